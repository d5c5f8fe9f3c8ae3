"""Build the messages of ``group:cause``: one for each cause in a channel, over runs, projects and environments.

A cause is worked on as a storm is: its message is a ``Storm`` record, whose members are one alert for each project and
environment in which it was seen. An alert recovers when its cases have passed, the message when all alerts have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from zofbot.alerting.alerts import Alert
from zofbot.alerting.alerts_in_scope import cause_field
from zofbot.alerting.causes import (
    MAX_DESCRIBED_CHARACTERS,
    Cause,
    group_by_cause,
    summarize_case,
)
from zofbot.alerting.channel_alerts.case_payloads import CasePayloadBuilder
from zofbot.alerting.channel_alerts.cause_lookup import CauseLookup
from zofbot.alerting.channel_alerts.thread_replies import ReplyStyle
from zofbot.alerting.mention_limit import take_mentions
from zofbot.alerting.passes import known_passes
from zofbot.alerting.run_series import series_key
from zofbot.alerting.state import scope_key
from zofbot.alerting.storms.storm_members import add_member, is_dropped, update_standing
from zofbot.alerting.storms.storm_messages import (
    build_storm_edit,
    build_summary,
    report_wake_up,
    schedule_escalations,
    schedule_more_escalations,
)
from zofbot.alerting.storms.storm_placement import find_bursts
from zofbot.alerting.storms.storm_record import (
    Storm,
    claim_cause,
    load_storm,
    prune_storms,
    save_storm,
)
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import AlertStatus, CaseAlertPayload
from zofbot.notifications.idempotency import idempotency_key
from zofbot.notifications.payload_parts import CauseSummary
from zofbot.notifications.storm_payloads import StormMember
from zofbot.notifications.thread_payloads import FailingAgainPayload
from zofbot.subscriptions import Broadcast, Grouping
from zofbot.subscriptions.events import case_key
from zofbot.triage import TriageRecord

MAX_CASES = 2000
"""Cases remembered for a cause in one project and environment."""

MAX_PROJECTS = 50
"""Projects in which the memory of a cause is updated when somebody resolves its message."""

MAX_PLACES_WITH_CASES = 10
"""Projects and environments of a cause whose cases are listed in its thread."""


@dataclass(frozen=True)
class CauseAlertBuilder(CasePayloadBuilder):
    """Builds or updates the messages of one channel about the causes of a run's failures."""

    def build_alerts(self) -> bool:
        """Add the notifications to the draft. Return whether all failures went into a storm summary."""
        causes = group_by_cause(self.audience.results)
        own = [(replace(self, audience=self.audience.for_results(cause.results)), cause) for cause in causes]
        sorts = [builder.storm_sort for builder, cause in own if builder._lookup.find_message(cause) is None]
        bursts = find_bursts(sorts, critical=self.critical)
        absorbed = [builder._build_cause(cause, builder.storm_sort in bursts) for builder, cause in own]
        return all(absorbed)

    def _build_cause(self, cause: Cause, burst: bool) -> bool:
        known = self._lookup.find_message(cause)
        if known:
            self._count_in_message(known, cause)
            return False
        first, alert, failures = cause.results[0], self._new_alert(cause), len(cause.results)
        member = self._storm_member(alert.key, first.id, _body_of(alert), failures)
        placed = self._place_in_storm(member, alert.category, failures, burst=burst, apart=True)
        if placed.storm:
            self._put_alert(alert.model_copy(update={"storm": placed.storm}), cause)
            return True
        message = self._new_message(cause, member).model_copy(
            update={
                "mention": placed.mention,
                "unmentioned": len(self.audience.mention_ids) - len(placed.mention),
                "resolved": self._lookup.find_resolution(cause),
            }
        )
        prune_storms(self.draft, message.channel, message.storm_key)
        message = add_member(self.draft, message, member, card=False, held=self.held)
        save_storm(self.draft, message)
        claim_cause(self.draft, message, cause.signature, anew=True)
        opened = TriageRecord(opened=message.opened)
        self.draft.add_notifications(
            build_summary(message, self.held), *schedule_escalations(message, opened, self._shown_at)
        )
        self._put_alert(alert.model_copy(update={"storm": message.storm_key}), cause)
        return False

    @property
    def _lookup(self) -> CauseLookup:
        return CauseLookup(self.draft, self.alerts, self.finding, self.audience.channel, self.held, self.storm_sort)

    @property
    def _shown_at(self) -> float:
        """When the channel sees it (Unix seconds)."""
        return max(self._notify_time, self.held)

    def _new_alert(self, cause: Cause) -> Alert:
        first, at = cause.results[0], self.finding.happened
        cases = tuple(dict.fromkeys(map(case_key, cause.results)))[:MAX_CASES]
        return Alert(
            key=idempotency_key("case", first.id, first.outcome.value, self.audience.channel),
            group=Grouping.CASE,
            id=first.id,
            category=first.outcome.value,
            takers=self.audience.subscription_ids,
            threaded=self.audience.is_threaded,
            title=self.finding.run.title or "",
            series=series_key(self.finding.run),
            cases=cases,
            left=cases,
            signature=cause.signature,
            runs=self._counted_runs(case_key(first)),
            first=at,
            last=at,
            critical=self.critical,
            body=payloads.dump_payload(self._place_body(cause, cases)),
        )

    def _place_body(self, cause: Cause, cases: tuple[str, ...]) -> CaseAlertPayload:
        body = self._case_body(case_key(cause.results[0]), cause.results[0])
        facts = {"case": summarize_case(cause.results[0]), "cases": len(cases), "failures": len(cause.results)}
        return body.model_copy(update=facts)

    def _new_message(self, cause: Cause, member: StormMember) -> Storm:
        failures, first = len(cause.results), cause.results[0]
        summary = CauseSummary(
            signature=cause.signature, count=failures, example=summarize_case(first, MAX_DESCRIBED_CHARACTERS)
        )
        return (
            Storm(
                id=first.id,
                category=first.outcome.value,
                channel=self.audience.channel,
                since=self._seen_at,
                last=self._seen_at,
                failed=self._seen_at,
                held=self.held,
                opened=self._notify_time,
                policy=self.audience.escalation_policy,
                takers=self.audience.subscription_ids,
                silent=self.audience.silent_ids,
                critical=self.critical,
                by_cause=True,
                flat=not self.audience.is_threaded,
                projects=(self.finding.project,),
                past=self._recall_causes([cause.signature]),
            )
            .with_causes([summary], failures)
            .with_failures(member.project, member.environment, failures)
        )

    def _count_in_message(self, message: Storm, cause: Cause) -> None:
        """Count the failures in the cause's message, which is reopened if it had recovered."""
        claim_cause(self.draft, message, cause.signature)
        _, known = self._lookup.find_alert(message, cause)
        cases = tuple(dict.fromkeys(map(case_key, cause.results)))
        added = [case for case in cases if known is None or case not in known.cases]
        counted = known is not None and self.finding.run.id in known.runs
        failures = len(added) if counted else len(cause.results)
        before, snoozer = message, self._snoozer_of(message)
        alert = self._new_alert(cause) if known is None else self._counted_alert(known, cause, failures)
        alert = alert.model_copy(update={"storm": message.storm_key})
        member = self._storm_member(alert.key, alert.id, _body_of(alert), len(cause.results))
        message = self._counted_message(message, cause, member, failures)
        save_storm(self.draft, message)
        if known is None:
            self._add_place(message, member)
        self._put_alert(alert, cause, listed=not added and not self._has_lost_replies(before, known))
        now = load_storm(self.draft, message.channel, message.storm_key) or message
        now = self._end_message_silence(now, alert, cause)
        report_wake_up(self.draft, before, now)
        self.draft.add_notifications(
            build_storm_edit(now, now.storm_key, payloads.dump_payload(now.summary_body()), self.held)
        )
        if message.standing is AlertStatus.RECOVERED and now.standing is AlertStatus.AGAIN:
            self._report_relapse(alert, now, snoozer)

    def _end_message_silence(self, message: Storm, alert: Alert, cause: Cause) -> Storm:
        loud, mention = self._end_silence(message.storm_key, message)
        if mention:
            self._thread.add_cause_reply(alert, cause, ReplyStyle(mention=mention))
        if loud != message:
            save_storm(self.draft, loud)
            present = self.alerts.records.current_record(loud.storm_key, payloads.dump_payload(loud.summary_body()))
            self.draft.add_notifications(*schedule_escalations(loud, present, self._shown_at))
        return loud

    def _counted_message(self, message: Storm, cause: Cause, member: StormMember, failures: int) -> Storm:
        if not failures:
            return message
        summary = CauseSummary(
            signature=message.causes[0].signature if message.by_cause else cause.signature,
            count=failures,
            example=summarize_case(cause.results[0]),
        )
        takers = tuple(dict.fromkeys((*message.takers, *self.audience.subscription_ids)))
        counted = message.with_causes([summary], failures).with_failures(member.project, member.environment, failures)
        projects = tuple(dict.fromkeys((*message.projects, self.finding.project)))[:MAX_PROJECTS]
        past = self._recall_causes([cause.signature]) if message.by_cause else ()
        more = {"takers": takers, "projects": projects, "past": past, "critical": message.critical or self.critical}
        if message.by_cause:
            more["last"] = max(message.last, self._seen_at)
        else:  # a storm does not go on with what fails again
            more["alerts"] = message.alerts
        return counted.model_copy(update=more)

    def _add_place(self, message: Storm, member: StormMember) -> None:
        """Add a project and environment to a message, which is open again with it, and escalated from then on."""
        grown = add_member(self.draft, message, member, card=False, held=self.held)
        more = {"failed": max(grown.failed, self._seen_at), "alerts": grown.alerts + (not grown.by_cause)}
        grown = grown.model_copy(update=more)
        grown = update_standing(self.draft, grown, self._seen_at, self.finding.run.id, self.held)
        save_storm(self.draft, grown)
        schedule_more_escalations(self.draft, grown, grown.failed, self._shown_at)

    def _counted_alert(self, alert: Alert, cause: Cause, failures: int) -> Alert:
        """Return the alert with this run's failures, which are to pass before it recovers; ``failures`` are new."""
        at, failing = self.finding.happened, tuple(map(case_key, cause.results))
        again = alert.fails_again(at, self.finding.run.id)
        cases = tuple(dict.fromkeys((*alert.cases, *failing)))[:MAX_CASES]
        body = self._counted_body(alert, self._place_body(cause, cases), again=again)
        body = body.model_copy(update={"cases": len(cases), "failures": _body_of(alert).failure_count + failures})
        left = tuple(dict.fromkeys(self._cases_left(alert, failing, again=again)))
        counts = {**self._run_counts(alert), "signature": cause.signature, "cases": cases, "left": left}
        changed = alert.model_copy(update={**counts, "body": payloads.dump_payload(body)})
        return changed.with_relapse(at, self.finding.run.id) if again else changed

    def _cases_left(self, alert: Alert, failing: tuple[str, ...], *, again: bool) -> tuple[str, ...]:
        """Return the cases that have to pass: those that failed and have not passed since, in this run or before."""
        at = self.finding.happened
        if again:
            return failing
        if at < alert.last and alert.recovered is not None:
            return alert.left
        if at < alert.last:  # passes after the latest failure are applied to the alert
            runs = (run for run in known_passes(self.draft, scope_key(self.finding)) if at < run.at <= alert.last)
            since = {case for run in runs for case in run.cases}
            return (*alert.left, *(case for case in failing if case not in since))
        passed = self.finding.passed.union(*(run.cases for run in alert.passing_runs if run.at < at))
        return (*(case for case in alert.left if case not in passed), *failing)

    def _put_alert(self, alert: Alert, cause: Cause, *, listed: bool = False) -> None:
        """Save an alert, and list its cases in the message's thread unless they are ``listed`` or one."""
        message = load_storm(self.draft, self.audience.channel, alert.storm)
        new = tuple(each for each in self.audience.mention_ids if message and each not in message.mention)
        several = len(cause.results) > 1 and message is not None and message.members <= MAX_PLACES_WITH_CASES
        joins = not alert.replies and message is not None and message.members > 1
        if message and message.by_cause and alert.threaded and not listed and (several or (joins and new)):
            mention = take_mentions(self.draft, message.channel, new, self._notify_time) if joins else ()
            key = self._thread.add_cause_reply(alert, cause, ReplyStyle(mention=mention))
            alert = alert.model_copy(update={"replies": tuple(dict.fromkeys((*alert.replies, key)))})
        field, _ = self._lookup.find_alert(message, cause) if message else (cause_field(alert.storm), None)
        self.alerts.put_alert(field, alert, self.held)

    def _has_lost_replies(self, message: Storm, alert: Alert | None) -> bool:
        """Whether the replies about an alert were dropped, as the message had recovered when it was due."""
        recovered = alert.recovered if alert else None
        return is_dropped(self.draft, message) or (recovered is not None and recovered < message.posted_late)

    def _snoozer_of(self, message: Storm) -> tuple[str, ...]:
        """Return the id of the person whose snooze was active when the message recovered, if any."""
        if message.standing is not AlertStatus.RECOVERED:
            return ()
        body: dict[str, Any] = payloads.dump_payload(message.summary_body())
        found = self.alerts.records.snoozer_before_relapse(message.storm_key, body, message.turned or 0.0)
        return (found,) if found else ()

    def _report_relapse(self, alert: Alert, message: Storm, snoozer: tuple[str, ...]) -> None:
        loud = self.audience.wants_broadcast(Broadcast.RELAPSE)
        if message.reports_turn(loud=loud) or snoozer:
            body = FailingAgainPayload(run=self._thread.place, mention=snoozer)
            self._thread.add_storm_reply(alert, body, ReplyStyle(again=True, loud=loud))


def _body_of(alert: Alert) -> CaseAlertPayload:
    return CaseAlertPayload.model_validate(alert.body)
