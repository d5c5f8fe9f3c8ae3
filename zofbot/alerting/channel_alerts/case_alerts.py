"""Build one alert for each failed case, which later runs of it update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zofbot.alerting.alerts import Alert
from zofbot.alerting.alerts_in_scope import case_field
from zofbot.alerting.channel_alerts.case_payloads import CasePayloadBuilder
from zofbot.alerting.channel_alerts.thread_replies import ReplyStyle
from zofbot.alerting.escalation_reminders import build_wake_up
from zofbot.alerting.storms.storm_placement import find_bursts
from zofbot.domain.model import Result
from zofbot.notifications import payloads
from zofbot.subscriptions import Broadcast
from zofbot.subscriptions.events import case_key, named_cases

WORSE_AFTER_SECONDS = 6 * 3600.0
"""Seconds without a failure after which the next one counts as worse."""


@dataclass(frozen=True)
class CaseAlertBuilder(CasePayloadBuilder):
    """Builds or updates the alerts of a run's cases."""

    def build_alerts(self) -> bool:
        """Add the notifications to the draft. Return whether all failures went into a storm summary."""
        grouped: dict[str, list[Result]] = {}
        for result in self.audience.results:
            grouped.setdefault(case_key(result), []).append(result)
        own = {case: replace(self, audience=self.audience.for_results(results)) for case, results in grouped.items()}
        loud = [case for case in sorted(grouped) if own[case].audience.wants_broadcast(Broadcast.RELAPSE)]
        shown = self._shown_relapses(loud)
        sorts = {case: own[case].storm_sort for case in grouped if self._continued_alert(case) is None}
        bursts = find_bursts([*sorts.values()], critical=self.critical)
        absorbed = [
            own[case]._build_case_alert(case, grouped[case], shown.get(case), burst=sorts.get(case) in bursts)
            for case in sorted(grouped)
        ]
        return all(absorbed)

    def _shown_relapses(self, cases: Sequence[str]) -> dict[str, int]:
        """Return the relapsed cases that the channel hears of, each with the number of others that it stands for.

        ``cases`` are those whose subscriptions ask for that. Of several the first stands for all, except for those in
        storms, whose threads get one reply a minute, and those that flap: of these, the first without a line.
        """
        at, run_id = self.finding.happened, self.finding.run.id
        known = ((case, alert) for case in cases if (alert := self._continued_alert(case)))
        relapsed = {case: alert.with_relapse(at, run_id) for case, alert in known if alert.is_relapse(at, run_id)}
        in_storm = [case for case, alert in relapsed.items() if alert.storm]
        flapping = [case for case, alert in relapsed.items() if not alert.storm and alert.is_flapping(at)]
        single = [case for case in relapsed if case not in {*in_storm, *flapping}]
        first_flapping = [case for case in flapping if not relapsed[case].line][:1]
        return {**dict.fromkeys((*in_storm, *first_flapping), 0), **dict.fromkeys(single[:1], len(single) - 1)}

    def _continued_alert(self, case: str) -> Alert | None:
        """Return the case's alert if this failure continues it; None if a new alert is due."""
        known, at = self.alerts.get(case_field(case)), self.finding.happened
        if known is None or known.is_over(at):
            return None
        if self.finding.run.id in known.runs:  # a resolution came after this run, whatever Zof's clock says
            return known
        return None if self._replaces_waiting(known) or self.alerts.resolution_of(known, at) else known

    def _build_case_alert(self, case: str, results: Sequence[Result], others: int | None, *, burst: bool) -> bool:
        """Build or update one case's alert. Return whether it went into a storm summary.

        A relapse is broadcast, with the number of ``others`` that it stands for; not if that is None.
        """
        field, at = case_field(case), self.finding.happened
        known = self._continued_alert(case)
        if known:
            self._update_case_alert(field, known, results, others)
            return False
        first = results[0]
        before = self.alerts.get(field)
        resolved = self.alerts.resolution_of(before, at) if before else None
        body = self._case_body(case, first).model_copy(update={"resolved": resolved})
        alert = self._add_alert(
            "case", first.id, first.outcome, named_cases(results), body, failures=len(results), burst=burst
        )
        if before and before.recovered is None and self._replaces_waiting(before):
            self.alerts.withdraw_alert(before)
        self.alerts.put_alert(field, alert.model_copy(update={"runs": self._counted_runs(case)}))
        self._thread.add_result_replies(alert, results, ReplyStyle())
        return bool(alert.storm)

    def _update_case_alert(self, field: str, alert: Alert, results: Sequence[Result], others: int | None) -> None:
        at, run_id = self.finding.happened, self.finding.run.id
        again = alert.is_relapse(at, run_id)
        snoozer = self._find_snoozer(alert) if again else ()
        updated = self._counted_body(alert, self._case_body(case_key(results[0]), results[0]), again=again)
        flaps = (alert.with_relapse(at, run_id) if again else alert).is_flapping(at)
        updated, called = self._end_alert_silence(alert, updated, flaps=flaps)
        changed = alert.model_copy(update={**self._run_counts(alert), "body": payloads.dump_payload(updated)})
        changed = changed.with_relapse(at, run_id).model_copy(update={"left": alert.cases}) if again else changed
        worse = Broadcast.RELAPSE if again else Broadcast.WORSE
        loud = (
            others is not None if again else at - alert.last > WORSE_AFTER_SECONDS
        ) and self.audience.wants_broadcast(worse)
        if again and flaps:
            changed = self._thread.add_flapping_reply(changed, updated.case.title, loud=loud)
        else:
            how = ReplyStyle(again=again, loud=loud, mention=(*snoozer, *called), others=others or 0)
            self._thread.add_result_replies(changed, results, how)
        self.alerts.put_alert(field, changed, self.held)
        self._update_message(alert, changed)
        self._schedule_escalations(changed, alert)
        self._report_wake_up(alert, changed)

    def _report_wake_up(self, before: Alert, alert: Alert) -> None:
        """Notify the person whose snooze ends because of this failure."""
        asleep = self.alerts.records.woken_snooze(alert.key, before.body, alert.body)
        if asleep:
            self.draft.add_notifications(build_wake_up(alert.key, self.audience.channel, asleep, alert.body["last"]))
