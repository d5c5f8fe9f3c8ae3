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
from zofbot.alerting.channel_alerts.cause_lookup import CauseLookup
from zofbot.alerting.channel_alerts.cause_places import CausePlaceBuilder, body_of
from zofbot.alerting.channel_alerts.silence import join_subscriptions
from zofbot.alerting.channel_alerts.thread_replies import ReplyStyle
from zofbot.alerting.mention_limit import take_mentions
from zofbot.alerting.storms.storm_members import add_member, is_dropped, update_standing
from zofbot.alerting.storms.storm_messages import (
    build_storm_edit,
    build_summary,
    report_wake_up,
    schedule_escalations,
    schedule_more_escalations,
)
from zofbot.alerting.storms.storm_placement import find_bursts
from zofbot.alerting.storms.storm_pruning import prune_storms
from zofbot.alerting.storms.storm_record import (
    Storm,
    claim_cause,
    load_storm,
    save_storm,
)
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import AlertStatus
from zofbot.notifications.payload_parts import CauseSummary
from zofbot.notifications.storm_payloads import StormMember
from zofbot.notifications.thread_payloads import FailingAgainPayload
from zofbot.subscriptions import Broadcast
from zofbot.subscriptions.events import case_key
from zofbot.triage import TriageRecord

MAX_PROJECTS = 50
"""Projects in which the memory of a cause is updated when somebody resolves its message."""

MAX_PLACES_WITH_CASES = 10
"""Projects and environments of a cause whose cases are listed in its thread."""


@dataclass(frozen=True)
class CauseAlertBuilder(CausePlaceBuilder):
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
        member = self._storm_member(alert.key, first.id, body_of(alert), failures)
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
        member = self._storm_member(alert.key, alert.id, body_of(alert), len(cause.results))
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
        counted = message.with_causes([summary], failures).with_failures(member.project, member.environment, failures)
        projects = tuple(dict.fromkeys((*message.projects, self.finding.project)))[:MAX_PROJECTS]
        past = self._recall_causes([cause.signature]) if message.by_cause else ()
        more: dict[str, Any] = join_subscriptions(self.audience, message.takers, message.silent)
        more |= {"projects": projects, "past": past, "critical": message.critical or self.critical}
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

    def _put_alert(self, alert: Alert, cause: Cause, *, listed: bool = False) -> None:
        """Save an alert, and list its cases in the message's thread unless they are ``listed`` or one.

        In a further project or environment, people whom the message does not mention yet are mentioned there.
        """
        message = load_storm(self.draft, self.audience.channel, alert.storm)
        if message and message.by_cause and not listed:
            mention = self._mention_in_place(message, alert)
            several = len(cause.results) > 1 and message.members <= MAX_PLACES_WITH_CASES
            if mention or (several and alert.threaded):
                key = self._thread.add_cause_reply(alert, cause, ReplyStyle(mention=mention))
                alert = alert.model_copy(update={"replies": tuple(dict.fromkeys((*alert.replies, key)))})
        field, _ = self._lookup.find_alert(message, cause) if message else (cause_field(alert.storm), None)
        self.alerts.put_alert(field, alert, self.held)

    def _mention_in_place(self, message: Storm, alert: Alert) -> tuple[str, ...]:
        """Return the ids to mention as the cause is seen in a further project or environment, and note them."""
        new = tuple(each for each in self.audience.mention_ids if each not in message.mention)
        if alert.replies or message.members < 2 or not new:
            return ()
        mention = take_mentions(self.draft, message.channel, new, self._notify_time)
        save_storm(self.draft, message.model_copy(update={"mention": (*message.mention, *mention)}))
        return mention

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
