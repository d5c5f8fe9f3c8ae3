"""Build the notifications for one channel about a failed run: alerts, thread replies and edits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zofbot.alerting.alerts import CALM_SECONDS, Alert
from zofbot.alerting.alerts_in_scope import AlertsInScope, case_field, run_field
from zofbot.alerting.audience import WHOLE_RUN, ChannelAudience
from zofbot.alerting.causes import (
    describe_case,
    group_by_cause,
    member_causes,
    signature_of,
    summarize_case,
    summarize_causes,
    with_past,
)
from zofbot.alerting.counting import Count
from zofbot.alerting.escalation_reminders import build_wake_up, schedule_reminders
from zofbot.alerting.history.cause_memory import recall_causes
from zofbot.alerting.holds import Hold
from zofbot.alerting.state import DecisionBuilder
from zofbot.alerting.storms.storm_members import storm_key_of
from zofbot.alerting.storms.storm_placement import (
    MAX_ALERTS_PER_MINUTE,
    StormCandidate,
    StormPlacement,
    absorb_into_storm,
)
from zofbot.alerting.thread_replies import ReplyStyle, ThreadReplies
from zofbot.domain.extra_fields import common_extras, merge_extras
from zofbot.domain.model import Result
from zofbot.notifications import payload_parts, payloads
from zofbot.notifications.alert_payloads import AlertStatus, CaseAlertPayload, RunAlertPayload
from zofbot.notifications.extra_summaries import ExtraSummary, summarize_extras
from zofbot.notifications.idempotency import idempotency_key
from zofbot.notifications.notification import NotificationKind
from zofbot.notifications.past_causes import PastCause, Resolution
from zofbot.notifications.payload_parts import MAX_LINK_LENGTH
from zofbot.notifications.storm_payloads import StormMember
from zofbot.subscriptions import Broadcast, Grouping, RunFinding
from zofbot.subscriptions.events import case_key
from zofbot.triage import EscalationPolicy, TriageRecord

MAX_TOP_FAILURES = 3
WORSE_AFTER_SECONDS = 6 * 3600.0
"""Seconds without a failure after which the next one counts as worse."""


@dataclass(frozen=True)
class AlertBuilder:
    """Builds one channel's alerts for a run; ``hold`` says until when they wait."""

    draft: DecisionBuilder
    finding: RunFinding
    audience: ChannelAudience
    alerts: AlertsInScope
    hold: Hold
    critical: bool

    @property
    def held(self) -> float:
        """When the notifications may be sent (Unix seconds), 0 for at once."""
        return self.hold.until

    @property
    def _thread(self) -> ThreadReplies:
        return ThreadReplies(self.draft, self.finding, self.audience, self.held, self._notify_time, self.critical)

    def build_alerts(self) -> bool:
        """Add the notifications to the draft. Return whether all failures went into a storm summary."""
        return self._build_case_alerts() if self.audience.group is Grouping.CASE else self._build_run_alert()

    def _build_run_alert(self) -> bool:
        run, at = self.finding.run, self.finding.happened
        cases = [case_key(result) for result in self.audience.results]
        known = self.alerts.find_by_run(run.id) or self.alerts.find_flapping(cases, run.title or "", at)
        if known:
            self._update_run_alert(*known)
            return False
        resolved = self.alerts.find_resolution(cases, run.title or "", at)
        body = self._run_body().model_copy(update={"resolved": resolved})
        alert = self._add_alert("run", run.id, self.finding.outcome, cases, body, failures=max(1, self._thread.bad))
        alert = self._thread.add_run_replies(alert, self.audience.results, ReplyStyle())
        self.alerts.put_alert(run_field(run.id), alert)
        return bool(alert.storm)

    def _update_run_alert(self, field: str, alert: Alert) -> None:
        """Update the alert of a run of which more was read, or that fails again after a recovery."""
        at = self.finding.happened
        again = alert.is_relapse(at)
        snoozer = self._find_snoozer(alert) if again else ()
        more = [case for case in map(case_key, self.audience.results) if case not in alert.cases]
        reopened = again or bool(more)
        status = AlertStatus.AGAIN if again else AlertStatus.OPEN if more else AlertStatus(_status_of(alert))
        body = self._run_body(status).model_copy(update=self._reopened_fields(alert, reopened))
        left = list(map(case_key, self.audience.results)) if again else [*alert.left, *more]
        changed = alert.model_copy(
            update={
                "cases": (*alert.cases, *more),
                "left": tuple(dict.fromkeys(left)),
                "partial": alert.partial or self.finding.is_partial,
                "recovered": None if reopened else alert.recovered,
                **self._run_counts(alert),
                "body": payloads.dump_payload(body),
            }
        )
        changed = changed.with_relapse(at) if again else changed
        loud = again and self.audience.wants_broadcast(Broadcast.RELAPSE)
        if again and changed.is_flapping(at):
            changed = self._thread.add_flapping_reply(changed, body.run.title, loud=loud)
        else:
            changed = self._thread.add_run_replies(
                changed, self.audience.results, ReplyStyle(again=again, loud=loud, mention=snoozer)
            )
        self.alerts.put_alert(field, changed, self.held)
        self._update_message(alert, changed)
        self._schedule_escalations(changed, again=again)

    def _build_case_alerts(self) -> bool:
        grouped: dict[str, list[Result]] = {}
        for result in self.audience.results:
            grouped.setdefault(case_key(result), []).append(result)
        relapsed = [case for case in sorted(grouped) if self._has_relapse(case)]
        burst = sum(self._continued_alert(case) is None for case in grouped) > MAX_ALERTS_PER_MINUTE
        own = {case: replace(self, audience=self.audience.for_results(results)) for case, results in grouped.items()}
        absorbed = [own[case]._build_case_alert(case, grouped[case], relapsed, burst=burst) for case in sorted(grouped)]
        return all(absorbed)

    def _has_relapse(self, case: str) -> bool:
        known, at = self.alerts.get(case_field(case)), self.finding.happened
        return known is not None and known.is_relapse(at) and not self.alerts.resolution_of(known, at)

    def _continued_alert(self, case: str) -> Alert | None:
        """Return the case's alert if this failure continues it; None if a new alert is due."""
        known, at = self.alerts.get(case_field(case)), self.finding.happened
        if known is None or known.is_over(at):
            return None
        counted = self.finding.run.id in known.runs  # a resolution then came after this run, whatever Zof's clock says
        return known if counted or not self.alerts.resolution_of(known, at) else None

    def _build_case_alert(self, case: str, results: Sequence[Result], relapsed: Sequence[str], *, burst: bool) -> bool:
        """Build or update one case's alert. Only the first of ``relapsed`` is broadcast, with the number of others.

        Return whether it went into a storm summary.
        """
        field, at = case_field(case), self.finding.happened
        known = self._continued_alert(case)
        if known:
            self._update_case_alert(field, known, results, others=len(relapsed) - 1 if case in relapsed[:1] else None)
            return False
        first = results[0]
        before = self.alerts.get(field)
        resolved = self.alerts.resolution_of(before, at) if before else None
        body = self._case_body(case, first).model_copy(update={"resolved": resolved})
        alert = self._add_alert("case", first.id, first.outcome, [case], body, failures=len(results), burst=burst)
        self.alerts.put_alert(field, alert)
        self._thread.add_result_replies(alert, results, ReplyStyle())
        return bool(alert.storm)

    def _update_case_alert(self, field: str, alert: Alert, results: Sequence[Result], others: int | None) -> None:
        at = self.finding.happened
        again = alert.is_relapse(at)
        snoozer = self._find_snoozer(alert) if again else ()
        before = CaseAlertPayload.model_validate(alert.body)
        counts = before.count + (self.finding.run.id not in alert.runs)
        latest = self._case_body(case_key(results[0]), results[0]) if at >= alert.last else before
        updated = latest.model_copy(
            update={
                "count": counts,
                "first": min(before.first, self._seen_at),
                "last": max(before.last, self._seen_at),
                "standing": AlertStatus.AGAIN if again else before.standing,
                "turned": self._seen_at if again else before.turned,
                "turner": self.finding.run.id if again else before.turner,
                **self._reopened_fields(alert, again),
            }
        )
        changed = alert.model_copy(update={**self._run_counts(alert), "body": payloads.dump_payload(updated)})
        changed = changed.with_relapse(at).model_copy(update={"left": alert.cases}) if again else changed
        worse = Broadcast.RELAPSE if again else Broadcast.WORSE
        loud = (
            others is not None if again else at - alert.last > WORSE_AFTER_SECONDS
        ) and self.audience.wants_broadcast(worse)
        if again and changed.is_flapping(at):
            changed = self._thread.add_flapping_reply(changed, updated.case.title, loud=loud)
        else:
            how = ReplyStyle(again=again, loud=loud, mention=snoozer, others=others or 0)
            self._thread.add_result_replies(changed, results, how)
        self.alerts.put_alert(field, changed, self.held)
        self._update_message(alert, changed)
        self._schedule_escalations(changed, again=again)
        self._report_wake_up(alert, changed)

    def _update_message(self, before: Alert, alert: Alert) -> None:
        """Edit the alert's message to its latest state.

        If it recovered before it was posted and has failed again, post it after all.
        """
        if before.body.get("unposted") and not alert.body.get("unposted"):
            self.draft.add_notifications(self._thread.notify(NotificationKind.ROOT, alert.key, alert.body))
        self._thread.edit(alert)

    def _find_snoozer(self, alert: Alert) -> tuple[str, ...]:
        """Return the id of the person whose snooze was active when it recovered, if any."""
        snoozer = self.alerts.records.snoozer_before_relapse(alert.key, alert.body, alert.body.get("turned") or 0.0)
        return (snoozer,) if snoozer else ()

    def _report_wake_up(self, before: Alert, alert: Alert) -> None:
        """Notify the person whose snooze ends because of this failure."""
        asleep = self.alerts.records.woken_snooze(alert.key, before.body, alert.body)
        if asleep:
            self.draft.add_notifications(build_wake_up(alert.key, self.audience.channel, asleep, alert.body["last"]))

    def _reopened_fields(self, alert: Alert, again: bool) -> dict[str, Any]:
        """Return the payload fields that carry over from the alert or change when it is reopened."""
        turn, opened, policy = (alert.body.get(name) for name in ("turn", "opened", "policy"))
        reopened = again and alert.recovered is not None
        return {
            "turn": (turn or 0) + reopened,
            "opened": self._notify_time if reopened else opened or alert.first,
            "policy": EscalationPolicy.model_validate(policy or {}),
            "mention": tuple(alert.body.get("mention", ())),
            "unmentioned": alert.body.get("unmentioned", 0),
            "takers": tuple(alert.body.get("takers", ())),
            "unposted": bool(alert.body.get("unposted")) and not again,
            "resolved": Resolution.model_validate(resolved) if (resolved := alert.body.get("resolved")) else None,
        }

    @property
    def _notify_time(self) -> float:
        """When the channel is notified (Unix seconds); mutes are ignored because they may be ended early."""
        return max(self.draft.now, 0.0 if self.hold.mutes else self.held)

    @property
    def _seen_at(self) -> float:
        """When it happened, no later than now: shown to people and compared with the times of their actions."""
        return self.draft.clamp_to_now(self.finding.happened)

    def _schedule_escalations(self, alert: Alert, *, again: bool = True) -> None:
        """Schedule escalations. Ones made obsolete by an action are dropped when due.

        A further failure reopens an alert that people had resolved or snoozed, as of when it happened.
        """
        body = payloads.load_payload(alert.body)
        if not isinstance(body, RunAlertPayload | CaseAlertPayload) or not body.policy.escalate:
            return
        if storm_key_of(self.draft, self.audience.channel, alert.key):
            return  # the storm is escalated as a whole
        opened = body.opened if again else self._seen_at
        present = TriageRecord(turn=body.turn, opened=opened)
        flaps = alert.relapsed is not None and alert.is_flapping(self.finding.happened)
        calm = self.draft.clamp_to_now(alert.relapsed or 0.0) + CALM_SECONDS if flaps else 0.0
        notified_at = max(self._notify_time, self.held, calm - body.policy.escalate[0].after)
        self.draft.add_notifications(
            *schedule_reminders(alert.key, self.audience.channel, present, body.policy, notified_at=notified_at)
        )

    def _run_counts(self, alert: Alert) -> dict[str, Any]:
        """Return the alert's run fields with this run counted."""
        at, run_id = self.finding.happened, self.finding.run.id
        runs = tuple(dict.fromkeys((*alert.runs, run_id)))[-10:]
        return {"runs": runs, "first": min(alert.first, at), "last": max(alert.last, at)}

    def _add_alert(  # noqa: PLR0913, PLR0917  (the last two are the storm's)
        self,
        kind: str,
        identifier: str,
        category: str,
        cases: Iterable[str],
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
            takers=tuple(taker.id for taker in self.audience.takers),
            threaded=self.audience.is_threaded,
            title=self.finding.run.title or "",
            cases=tuple(dict.fromkeys(cases)),
            left=tuple(dict.fromkeys(cases)),
            partial=self.finding.is_partial and self.audience.group is Grouping.RUN,
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
            takers=tuple(taker.id for taker in self.audience.takers),
            critical=self.critical,
            run=self._thread.place,
            burst=burst,
            apart=apart,
        )
        return absorb_into_storm(self.draft, candidate)

    def _run_body(self, status: AlertStatus = AlertStatus.OPEN) -> RunAlertPayload:
        turned, causes = status is AlertStatus.AGAIN, group_by_cause(self.audience.results)
        count = self.audience.counted.get(WHOLE_RUN, Count(1, self.finding.happened))
        return RunAlertPayload(
            run=self._thread.place,
            standing=status,
            turned=self._seen_at if turned else None,
            turner=self.finding.run.id if turned else "",
            mention=self.audience.mention_ids,
            owners=self.audience.card_owners,
            extras=self._extras,
            opened=self._notify_time,
            policy=self.audience.escalation_policy,
            takers=tuple(taker.id for taker in self.audience.takers),
            bad=self._thread.bad,
            top=tuple(
                with_past(summarize_case(result), self.finding.past.get(case_key(result)))
                for result in self.audience.results[:MAX_TOP_FAILURES]
            ),
            causes=summarize_causes(causes, self.finding.past),
            past=self._recall_causes(cause.signature for cause in causes),
            standings=Counter(str(self.finding.standing_of(result)) for result in self.audience.results),
            quarantined=sum(result.quarantined for result in self.audience.results),
            all_causes=sum(bool(cause.signature) for cause in causes),
            grouped=len(self.audience.results),
            count=count.failures,
            first=self.draft.clamp_to_now(count.first) if count.failures > 1 else 0.0,
            last=self._seen_at,
        )

    def _recall_causes(self, signatures: Iterable[str]) -> tuple[PastCause, ...]:
        return recall_causes(self.draft, self.finding, filter(None, signatures), self.audience.channel)

    @property
    def _extras(self) -> tuple[ExtraSummary, ...]:
        """What the run says besides its result, and what all its failures say alike."""
        return summarize_extras(
            merge_extras(self.finding.run.extras, common_extras([result.extras for result in self.audience.results]))
        )

    def _case_body(self, case: str, result: Result) -> CaseAlertPayload:
        count = self.audience.counted.get(case, Count(1, self.finding.happened))
        return CaseAlertPayload(
            run=self._thread.place,
            mention=self.audience.mention_ids,
            owners=self.audience.card_owners,
            extras=self._extras,
            opened=self._notify_time,
            policy=self.audience.escalation_policy,
            takers=tuple(taker.id for taker in self.audience.takers),
            case=with_past(describe_case(result), self.finding.past.get(case)),
            past=self._recall_causes([signature_of(result)]),
            case_id=payload_parts.clean_text(result.case_id, 128),
            count=count.failures,
            first=self.draft.clamp_to_now(count.first),
            last=self._seen_at,
        )


def _status_of(alert: Alert) -> str:
    return str(alert.body.get("standing", AlertStatus.OPEN))
