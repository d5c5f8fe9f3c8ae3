"""Recover open alerts when runs pass: edit the alert and reply in its thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from zofbot.alerting.alerts import (
    Alert,
    AlertsInScope,
    PassingRun,
    apply_pass,
    known_passes,
    passes_of,
    record_passes,
    recovered_by,
)
from zofbot.alerting.audience import DEFAULT_SUBSCRIPTION
from zofbot.alerting.catchups import DraftSnapshot, is_unposted, schedule_catch_up
from zofbot.alerting.holds import Hold, cases_of, compute_hold, mutes_on
from zofbot.alerting.state import DecisionBuilder, scope_key
from zofbot.alerting.storm_record import build_storm_reply, load_storm, storm_key_of
from zofbot.domain.model import Outcome
from zofbot.notifications import payloads
from zofbot.notifications.idempotency import edit_key, idempotency_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.payloads import AlertStatus, FailurePayload, RecoveryPayload, RunSummary
from zofbot.subscriptions import Broadcast, EventType, RunFinding, Subscription

NO_HOLD = Hold()


def remember_passes(draft: DecisionBuilder, finding: RunFinding) -> None:
    """Store what passed in a run, for earlier failures that are read later."""
    own = passes_of(finding)
    if own:
        record_passes(draft, scope_key(finding), own)


@dataclass(frozen=True)
class ChannelRecovery:
    """Applies a finding to the open alerts of one channel."""

    draft: DecisionBuilder
    finding: RunFinding
    channel: str
    subscriptions: Sequence[Subscription]

    def recover_alerts(self) -> list[Alert]:
        """Recover alerts whose cases passed in this run, or in a later run read before it. Return those recovered."""
        place = scope_key(self.finding)
        roots = AlertsInScope(self.draft, self.channel, place)
        own, done = passes_of(self.finding), []
        for field, root in roots.list_items():
            news = known_passes(self.draft, place) if self.finding.run.id in root.runs else [own] if own else []
            healed = reduce(apply_pass, news, root)
            by = recovered_by(healed) if healed.recovered != root.recovered else None
            changed = _with_recovery(root, healed, by, self.draft.clamp_to_now(by.at)) if by else healed
            unposted = by is not None and is_unposted(self.draft, self.channel, root.key)
            if unposted:
                changed = changed.model_copy(update={"body": changed.body | {"unposted": True}})
            before = DraftSnapshot.take(self.draft)
            if changed != root:
                roots.put_alert(field, changed)
            hold = (
                self._notify_recovery(changed, by, again=root.recovered is not None) if by and not unposted else NO_HOLD
            )
            schedule_catch_up(self.draft, self.channel, hold, before)
            if changed.turns > root.turns:
                done.append(changed)
        return done

    def _notify_recovery(self, root: Alert, by: PassingRun, *, again: bool) -> Hold:
        """Notify the subscriptions that still ask for recoveries. Return the hold that delays this."""
        asked = [
            subscription
            for subscription in self.subscriptions
            if subscription.id in root.takers and subscription.channel == self.channel
        ]
        wanted = [item for item in asked if EventType.RECOVERED in item.on]
        if not wanted and (asked or DEFAULT_SUBSCRIPTION not in root.takers):
            return NO_HOLD
        body = payloads.load_payload(root.body)
        cases = cases_of(body) if isinstance(body, FailurePayload) else []
        mutes = mutes_on(self.draft, self.channel, self.finding.projects, self.finding.environment, cases)
        hold = compute_hold(self.draft.now, wanted, mutes, critical=root.critical)
        loud = any(Broadcast.RECOVERED in item.broadcast for item in wanted)
        self.draft.add_notifications(*self._recovery_notifications(root, by, hold.until, again=again, loud=loud))
        return hold

    def _recovery_notifications(
        self, root: Alert, by: PassingRun, held: float, *, again: bool, loud: bool
    ) -> Iterator[Notification]:
        """Yield the edit and the reply, broadcast to the channel if ``loud``.

        ``again``: a recovery was posted before, and its time is corrected because an earlier run was read late.
        """
        yield from self._storm_recovery(root, by, held)
        if root.storm:
            return
        yield self._build_notification(NotificationKind.EDIT, edit_key(root.key), root, root.body, held)
        if (root.threaded or loud) and not root.is_flapping(by.at):
            name = idempotency_key("recovered", root.id, root.category, self.channel, turn=root.turns - 1)
            body = payloads.dump_payload(self._recovery_reply(root, by, loud=loud))
            yield self._build_notification(NotificationKind.REPLY, name, root, body, held)
            if again:
                yield self._build_notification(NotificationKind.EDIT, edit_key(name), root, body, held, of=name)

    def _storm_recovery(self, root: Alert, by: PassingRun, held: float) -> Iterator[Notification]:
        """Yield the reply in the storm's thread when all of the storm has recovered."""
        storm = load_storm(self.draft, self.channel, storm_key_of(self.draft, self.channel, root.key))
        if storm and storm.standing is AlertStatus.RECOVERED and (storm.turned, storm.turner) == (by.at, by.run[:128]):
            name = idempotency_key("recovered", storm.id, storm.category, storm.channel, turn=storm.turn - 1)
            body = RecoveryPayload(
                title=storm.summary_body().title, run=self._recovering_run(by), after=by.at - storm.failed
            )
            yield build_storm_reply(storm, name, body, by.at, held)

    def _recovery_reply(self, root: Alert, by: PassingRun, *, loud: bool) -> RecoveryPayload:
        after = by.at - root.last
        return RecoveryPayload(title=_alert_title(root), run=self._recovering_run(by), after=after, broadcast=loud)

    def _recovering_run(self, by: PassingRun) -> RunSummary:
        own = by.run == self.finding.run.id
        return RunSummary.from_run(self.finding.run, Outcome.PASSED) if own else RunSummary(id=by.run[:128])

    def _build_notification(  # noqa: PLR0913, PLR0917  (what differs between the three)
        self, kind: NotificationKind, name: str, root: Alert, body: dict[str, Any], held: float, of: str = ""
    ) -> Notification:
        return Notification(
            key=name,
            kind=kind,
            channel=self.channel,
            body=body,
            root=of or root.key,
            happened=self.draft.clamp_to_now(root.recovered or root.last),
            critical=root.critical,
            not_before=held,
            schema=NOTIFICATION_SCHEMA,
        )


def _with_recovery(before: Alert, root: Alert, by: PassingRun, at: float) -> Alert:
    turn = before.body.get("turn", 0) + (before.recovered is None)
    turned = {"standing": AlertStatus.RECOVERED.value, "turned": at, "turner": by.run[:128], "turn": turn}
    return root.model_copy(update={"body": root.body | turned})


def _alert_title(root: Alert) -> str:
    """Return the title of the case or run as the alert's message shows it."""
    body = payloads.load_payload(root.body)
    return body.title if isinstance(body, payloads.RunAlertPayload | payloads.CaseAlertPayload) else ""
