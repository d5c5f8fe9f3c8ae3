"""What the alerts of one channel about a failed run have in common, whatever they are grouped by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zofbot.alerting.alerts import CALM_SECONDS, Alert
from zofbot.alerting.alerts_in_scope import AlertsInScope
from zofbot.alerting.audience import ChannelAudience
from zofbot.alerting.catchups import is_held_longer
from zofbot.alerting.causes import member_causes
from zofbot.alerting.channel_alerts.silence import Shown, end_silence, join_subscriptions
from zofbot.alerting.channel_alerts.thread_replies import ThreadReplies
from zofbot.alerting.escalation_reminders import schedule_reminders
from zofbot.alerting.history.cause_memory import recall_causes
from zofbot.alerting.holds import Hold
from zofbot.alerting.run_series import series_key
from zofbot.alerting.state import DecisionBuilder
from zofbot.alerting.storms.storm_members import storm_key_of
from zofbot.alerting.storms.storm_placement import StormCandidate, StormPlacement, absorb_into_storm, alert_sort
from zofbot.alerting.storms.storm_record import Storm
from zofbot.domain.extra_fields import common_extras, merge_extras
from zofbot.notifications import payload_parts, payloads
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.extra_summaries import ExtraSummary, summarize_extras
from zofbot.notifications.idempotency import idempotency_key
from zofbot.notifications.notification import NotificationKind
from zofbot.notifications.past_causes import PastCause, Resolution
from zofbot.notifications.payload_parts import MAX_LINK_LENGTH
from zofbot.notifications.storm_payloads import StormMember
from zofbot.subscriptions import Grouping, RunFinding
from zofbot.subscriptions.events import is_unnamed
from zofbot.triage import EscalationPolicy, TriageRecord

MAX_RUNS_COUNTED = 10
"""Latest runs remembered of an alert, each of which counts once however often it is read."""


@dataclass(frozen=True)
class AlertBuilder(ABC):
    """Builds one channel's alerts for a run; ``hold`` says until when they wait."""

    draft: DecisionBuilder
    finding: RunFinding
    audience: ChannelAudience
    alerts: AlertsInScope
    hold: Hold
    critical: bool

    @abstractmethod
    def build_alerts(self) -> bool:
        """Add the notifications to the draft. Return whether all failures went into a storm summary."""

    @property
    def held(self) -> float:
        """When the notifications may be sent (Unix seconds), 0 for at once."""
        return self.hold.until

    @property
    def storm_sort(self) -> str:
        """The sort of its alerts: a storm combines alerts of one sort."""
        return alert_sort(self.audience.mention_ids, self.audience.escalation_policy, critical=self.critical)

    @property
    def _is_partial(self) -> bool:
        """Whether some of its failures were not read, or do not name their case."""
        unread = self.finding.is_partial and self.audience.group is Grouping.RUN
        return unread or any(map(is_unnamed, self.audience.results))

    @property
    def _notify_time(self) -> float:
        """When the channel is notified (Unix seconds); mutes are ignored because they may be ended early."""
        return max(self.draft.now, 0.0 if self.hold.mutes else self.held)

    @property
    def _seen_at(self) -> float:
        """When it happened, no later than now: shown to people and compared with the times of their actions."""
        return self.draft.clamp_to_now(self.finding.happened)

    @property
    def _thread(self) -> ThreadReplies:
        return ThreadReplies(self.draft, self.finding, self.audience, self.held, self._notify_time, self.critical)

    def _add_alert(  # noqa: PLR0913, PLR0917  (the last two are the storm's)
        self,
        kind: str,
        identifier: str,
        category: str,
        cases: tuple[str, ...],
        body: RunAlertPayload | CaseAlertPayload,
        failures: int = 1,
        burst: bool = False,
    ) -> Alert:
        """Create an alert and add its notification: its own message, or a line in a storm summary."""
        name = idempotency_key(kind, identifier, str(category), self.audience.channel)
        member = self._storm_member(name, identifier, body, failures)
        absorbed = self._place_in_storm(member, str(category), failures, burst=burst)
        left_out = len(self.audience.mention_ids) - len(absorbed.mention)
        body = body.model_copy(update={"mention": absorbed.mention, "unmentioned": left_out})
        made = Alert(
            key=name,
            storm=absorbed.storm,
            group=self.audience.group,
            id=identifier,
            category=str(category),
            takers=self.audience.subscription_ids,
            threaded=self.audience.is_threaded,
            title=self.finding.run.title or "",
            series=series_key(self.finding.run),
            cases=cases,
            left=cases,
            partial=self._is_partial,
            runs=(self.finding.run.id,),
            first=self.finding.happened,
            last=self.finding.happened,
            critical=self.critical,
            body=payloads.dump_payload(body),
        )
        if not made.storm:
            self.draft.add_notifications(self._thread.notify(NotificationKind.ROOT, made.key, made.body))
        self._schedule_escalations(made)
        return made

    def _storm_member(
        self, name: str, identifier: str, body: RunAlertPayload | CaseAlertPayload, failures: int
    ) -> StormMember:
        """Return the line about an alert with the key ``name`` in a storm."""
        run, url = self.finding.run, payload_parts.storable_link(self.finding.run.url)
        return StormMember(
            key=name,
            id=identifier[:128],
            title=body.title,
            project=payload_parts.clean_text(run.project, 80),
            environment=payload_parts.clean_text(run.environment, 80),
            url=url if len(url) <= MAX_LINK_LENGTH else "",
            last=self._seen_at,
            cases=body.cases if isinstance(body, CaseAlertPayload) else 1,
            causes=member_causes(body, failures),
        )

    def _place_in_storm(
        self, member: StormMember, category: str, failures: int, *, burst: bool, apart: bool = False
    ) -> StormPlacement:
        candidate = StormCandidate(
            channel=self.audience.channel,
            member=member,
            category=category,
            happened=self._seen_at,
            held=self.held,
            failures=failures,
            mention=self.audience.mention_ids,
            policy=self.audience.escalation_policy,
            takers=self.audience.subscription_ids,
            critical=self.critical,
            run=self._thread.place,
            burst=burst,
            apart=apart,
        )
        return absorb_into_storm(self.draft, candidate)

    def _schedule_escalations(self, alert: Alert, before: Alert | None = None) -> None:
        """Schedule escalations of a new alert, or one that was as ``before``. Obsolete ones are dropped when due.

        A further failure reopens an alert that people had resolved or snoozed, as of when it happened.
        """
        body = payloads.load_payload(alert.body)
        if not isinstance(body, RunAlertPayload | CaseAlertPayload) or not body.policy.escalate:
            return
        if storm_key_of(self.draft, self.audience.channel, alert.key):
            return  # the storm is escalated as a whole
        continues = before is not None and body.turn == before.body.get("turn", 0)
        present = TriageRecord(turn=body.turn, opened=body.last if continues else body.opened)
        if before and not before.body.get("policy", {}).get("escalate"):  # it was silent until now
            present = self.alerts.records.current_record(alert.key, alert.body)
        flaps = alert.relapsed is not None and alert.is_flapping(self.finding.happened)
        calm = self.draft.clamp_to_now(alert.relapsed or 0.0) + CALM_SECONDS if flaps else 0.0
        notified_at = max(self._notify_time, self.held, calm - body.policy.escalate[0].after)
        self.draft.add_notifications(
            *schedule_reminders(alert.key, self.audience.channel, present, body.policy, notified_at=notified_at)
        )

    def _update_message(self, before: Alert, alert: Alert) -> None:
        """Edit the alert's message to its latest state.

        If it recovered before it was posted and has failed again, post it after all.
        """
        if before.body.get("unposted") and not alert.body.get("unposted"):
            self.draft.add_notifications(self._thread.notify(NotificationKind.ROOT, alert.key, alert.body))
        self._thread.edit(alert)

    def _replaces_waiting(self, alert: Alert) -> bool:
        """Whether these failures are posted instead of an alert's message, which waits for quiet hours or a mute.

        They are its latest ones, and nobody for whom it waits would miss it.
        """
        is_for_all = set(alert.takers) <= set(self.audience.subscription_ids) and self.finding.happened >= alert.last
        return is_for_all and is_held_longer(self.draft, self.audience.channel, alert.thread_key, self.held)

    def _find_snoozer(self, alert: Alert) -> tuple[str, ...]:
        """Return the id of the person whose snooze was active when it recovered, if any."""
        snoozer = self.alerts.records.snoozer_before_relapse(alert.key, alert.body, alert.body.get("turned") or 0.0)
        return (snoozer,) if snoozer else ()

    def _end_alert_silence(self, alert: Alert, body: Shown, *, flaps: bool) -> tuple[Shown, tuple[str, ...]]:
        """End an alert's silence, unless the channel hears nothing of it here: it flaps, or it is part of a storm."""
        return (body, ()) if flaps or alert.storm else self._end_silence(alert.key, body)

    def _end_silence(self, key: str, shown: Shown) -> tuple[Shown, tuple[str, ...]]:
        """End the silence of an alert or a cause's message if it is open. Return it, and the ids to mention now."""
        if not shown.silent:
            return shown, ()
        body = shown.summary_body() if isinstance(shown, Storm) else shown
        if not self.alerts.records.is_open(key, payloads.dump_payload(body)):
            return shown, ()
        return end_silence(self.draft, self.audience, shown, self._notify_time)

    def _reopened_fields(self, alert: Alert, again: bool) -> dict[str, Any]:
        """Return the payload fields that carry over from the alert or change when it is reopened."""
        turn, opened, policy = (alert.body.get(name) for name in ("turn", "opened", "policy"))
        reopened = again and alert.recovered is not None
        return {
            "turn": (turn or 0) + reopened,
            "opened": self._notify_time if reopened else opened or alert.first,
            "reopened": alert.body.get("reopened", 0.0),
            "reopened_from": alert.body.get("reopened_from"),
            "policy": EscalationPolicy.model_validate(policy or {}),
            "mention": tuple(alert.body.get("mention", ())),
            "unmentioned": alert.body.get("unmentioned", 0),
            **join_subscriptions(self.audience, alert.takers, alert.body.get("silent", ())),
            "unposted": bool(alert.body.get("unposted")) and not again,
            "resolved": Resolution.model_validate(resolved) if (resolved := alert.body.get("resolved")) else None,
        }

    def _run_counts(self, alert: Alert) -> dict[str, Any]:
        """Return the alert's fields with this run counted, and the subscriptions that it matches."""
        at, run_id = self.finding.happened, self.finding.run.id
        return {
            "runs": _latest_runs(*alert.runs, run_id),
            "first": min(alert.first, at),
            "last": max(alert.last, at),
            "takers": tuple(dict.fromkeys((*alert.takers, *self.audience.subscription_ids))),
        }

    def _counted_runs(self, case: str) -> tuple[str, ...]:
        """Return the runs that a new alert of the case counts: this one, and those before it for a threshold."""
        count = self.audience.counted.get(case)
        return _latest_runs(*(count.runs if count else ()), self.finding.run.id)

    def _recall_causes(self, signatures: Iterable[str]) -> tuple[PastCause, ...]:
        return recall_causes(self.draft, self.finding, filter(None, signatures), self.audience.channel)

    @property
    def _extras(self) -> tuple[ExtraSummary, ...]:
        """What the run says besides its result, and what all its failures say alike."""
        return summarize_extras(
            merge_extras(self.finding.run.extras, common_extras([result.extras for result in self.audience.results]))
        )


def _latest_runs(*run_ids: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run_ids))[-MAX_RUNS_COUNTED:]
