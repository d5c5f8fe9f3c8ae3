"""Recover open alerts when runs pass: edit the alert and reply in its thread."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from zofbot.alerting.alerts import Alert, PassingRun
from zofbot.alerting.alerts_in_scope import AlertsInScope
from zofbot.alerting.audience import DEFAULT_SUBSCRIPTION
from zofbot.alerting.catch_up_entries import is_unposted
from zofbot.alerting.catchups import DraftSnapshot, schedule_catch_up
from zofbot.alerting.holds import Hold, cases_of, compute_hold, mutes_on
from zofbot.alerting.passes import apply_pass, has_failed, known_passes, passes_of, record_passes, recovered_by
from zofbot.alerting.state import DecisionBuilder, scope_key
from zofbot.alerting.storms.storm_members import storm_key_of
from zofbot.alerting.storms.storm_messages import build_storm_reply
from zofbot.alerting.storms.storm_record import Storm, load_storm
from zofbot.domain.model import Outcome
from zofbot.notifications import alert_payloads, payloads
from zofbot.notifications.alert_payloads import AlertStatus
from zofbot.notifications.idempotency import edit_key, idempotency_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.payload_parts import RunSummary
from zofbot.notifications.payloads import FailurePayload
from zofbot.notifications.thread_payloads import RecoveryPayload
from zofbot.subscriptions import Broadcast, EventType, RunFinding, Subscription
from zofbot.subscriptions.events import is_unnamed

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
        alerts = AlertsInScope(self.draft, self.channel, place)
        own, done = passes_of(self.finding), []
        for field, alert in alerts.list_items():
            news = known_passes(self.draft, place) if self.finding.run.id in alert.runs else [own] if own else []
            passed = reduce(apply_pass, news, _with_latest_reading(alert, self.finding))
            by = recovered_by(passed) if passed.recovered != alert.recovered else None
            changed = _with_recovery(alert, passed, by, self.draft.clamp_to_now(by.at)) if by else passed
            unposted = by is not None and is_unposted(self.draft, self.channel, alert.key)
            if unposted:
                changed = changed.model_copy(update={"body": changed.body | {"unposted": True}})
            before = DraftSnapshot.take(self.draft) if by and not unposted else None
            if changed is not alert and changed != alert:  # most are the same object, and comparing fields takes long
                alerts.put_alert(field, changed)
            if by and before:
                hold = self._notify_recovery(changed, by, again=alert.recovered is not None)
                schedule_catch_up(self.draft, self.channel, hold, before)
            if changed.turns > alert.turns:
                done.append(changed)
        return done

    def _notify_recovery(self, alert: Alert, by: PassingRun, *, again: bool) -> Hold:
        """Notify the subscriptions that still ask for recoveries. Return the hold that delays this.

        The storm that includes the alert is reported as recovered if any subscription to it asks for that.
        """
        storm = load_storm(self.draft, self.channel, storm_key_of(self.draft, self.channel, alert.key))
        wanted = self._find_wanting(alert.takers)
        storm_wanted = self._find_wanting((*alert.takers, *storm.takers)) if storm else wanted
        if not storm_wanted:
            return NO_HOLD
        body = payloads.load_payload(alert.body)
        cases = cases_of(body) if isinstance(body, FailurePayload) else []
        mutes = mutes_on(self.draft, self.channel, self.finding.projects, self.finding.environment, cases)
        hold = compute_hold(self.draft.now, wanted or storm_wanted, mutes, critical=alert.critical)
        if storm:
            loud = _is_broadcast(storm_wanted)
            self.draft.add_notifications(*self._storm_recovery(storm, by, hold.until, loud=loud))
        if wanted and not alert.storm:
            loud = _is_broadcast(wanted)
            self.draft.add_notifications(*self._alert_recovery(alert, by, hold.until, again=again, loud=loud))
        return hold

    def _find_wanting(self, takers: Collection[str]) -> list[Subscription]:
        """Return those of an alert's subscriptions that still ask for recoveries; the default channel's always does."""
        default = Subscription(id=DEFAULT_SUBSCRIPTION, channel=self.channel)
        own = (each for each in (*self.subscriptions, default) if each.id in takers and each.channel == self.channel)
        return [each for each in own if EventType.RECOVERED in each.on]

    def _alert_recovery(
        self, alert: Alert, by: PassingRun, held: float, *, again: bool, loud: bool
    ) -> Iterator[Notification]:
        """Yield the edit of the alert's own message and the reply to it, broadcast to the channel if ``loud``.

        ``again``: a recovery was posted before, and its time is corrected because an earlier run was read late.
        """
        yield self._build_notification(NotificationKind.EDIT, edit_key(alert.key), alert, alert.body, held)
        if (alert.threaded or loud) and not alert.is_flapping(by.at):
            name = idempotency_key("recovered", alert.id, alert.category, self.channel, turn=alert.turns - 1)
            body = payloads.dump_payload(self._recovery_reply(alert, by, loud=loud))
            yield self._build_notification(NotificationKind.REPLY, name, alert, body, held)
            if again:
                yield self._build_notification(NotificationKind.EDIT, edit_key(name), alert, body, held, of=name)

    def _storm_recovery(self, storm: Storm, by: PassingRun, held: float, *, loud: bool) -> Iterator[Notification]:
        """Yield the reply in the storm's thread when all of the storm has recovered; a cause's may be ``loud``."""
        if storm.unposted or not storm.reports_turn(loud=loud):
            return
        at = self.draft.clamp_to_now(by.at)
        if storm.standing is AlertStatus.RECOVERED and (storm.turned, storm.turner) == (at, by.run[:128]):
            name = idempotency_key("recovered", storm.id, storm.category, storm.channel, turn=storm.turn - 1)
            body = RecoveryPayload(
                title=storm.summary_body().title, run=self._recovering_run(by), after=at - storm.failed,
                broadcast=loud and storm.by_cause,
            )  # fmt: skip
            yield build_storm_reply(storm, name, body, at, held)

    def _recovery_reply(self, alert: Alert, by: PassingRun, *, loud: bool) -> RecoveryPayload:
        after = by.at - alert.last
        return RecoveryPayload(title=_alert_title(alert), run=self._recovering_run(by), after=after, broadcast=loud)

    def _recovering_run(self, by: PassingRun) -> RunSummary:
        own = by.run == self.finding.run.id
        return RunSummary.from_run(self.finding.run, Outcome.PASSED) if own else RunSummary(id=by.run[:128])

    def _build_notification(  # noqa: PLR0913, PLR0917  (what differs between the three)
        self, kind: NotificationKind, name: str, alert: Alert, body: dict[str, Any], held: float, of: str = ""
    ) -> Notification:
        return Notification(
            key=name,
            kind=kind,
            channel=self.channel,
            body=body,
            root=of or alert.key,
            edits_reply=bool(of),
            happened=self.draft.clamp_to_now(alert.recovered or alert.last),
            critical=alert.critical,
            not_before=held,
            schema=NOTIFICATION_SCHEMA,
        )


def _is_broadcast(wanted: Iterable[Subscription]) -> bool:
    """Whether the channel sees a recovery reply of which these subscriptions are to hear."""
    return any(Broadcast.RECOVERED in each.broadcast for each in wanted)


def _with_latest_reading(alert: Alert, finding: RunFinding) -> Alert:
    """Return the alert without what an earlier reading of the run showed and this one contradicts, or the same object.

    That is what passed in a run that has failed by now, or that the alert's latest run has unread or unnamed failures.
    """
    if alert.recovered is None and has_failed(finding) and not finding.is_unlisted:
        alert = alert.without_pass(finding.run.id)
    is_known = not finding.is_partial and not any(map(is_unnamed, finding.failures))
    if not alert.partial or not is_known or alert.runs[-1:] != (finding.run.id,):
        return alert
    return alert.model_copy(update={"partial": False})


def _with_recovery(before: Alert, alert: Alert, by: PassingRun, at: float) -> Alert:
    turn = before.body.get("turn", 0) + (before.recovered is None)
    turned = {"standing": AlertStatus.RECOVERED.value, "turned": at, "turner": by.run[:128], "turn": turn}
    return alert.model_copy(update={"body": alert.body | turned})


def _alert_title(alert: Alert) -> str:
    """Return the title of the case or run, with its place, as the alert's message shows it."""
    body = payloads.load_payload(alert.body)
    if not isinstance(body, alert_payloads.RunAlertPayload | alert_payloads.CaseAlertPayload):
        return ""
    return payloads.failure_title(body)
