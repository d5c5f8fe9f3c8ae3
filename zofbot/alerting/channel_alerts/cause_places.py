"""The alert of a cause in one project and environment, which recovers when its cases there have passed."""

from __future__ import annotations

from dataclasses import dataclass

from zofbot.alerting.alerts import Alert
from zofbot.alerting.causes import Cause, summarize_case
from zofbot.alerting.channel_alerts.case_payloads import CasePayloadBuilder
from zofbot.alerting.passes import known_passes
from zofbot.alerting.run_series import series_key
from zofbot.alerting.state import scope_key
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import CaseAlertPayload
from zofbot.notifications.idempotency import idempotency_key
from zofbot.subscriptions import Grouping
from zofbot.subscriptions.events import case_key, named_cases

MAX_CASES = 2000
"""Cases remembered for a cause in one project and environment."""


@dataclass(frozen=True)
class CausePlaceBuilder(CasePayloadBuilder):
    """Builds a new alert of a cause, and one that counts a further run."""

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
            left=named_cases(cause.results)[:MAX_CASES],
            partial=self._is_partial,
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

    def _counted_alert(self, alert: Alert, cause: Cause, failures: int) -> Alert:
        """Return the alert with this run's failures, which are to pass before it recovers; ``failures`` are new."""
        at = self.finding.happened
        again = alert.fails_again(at, self.finding.run.id)
        cases = tuple(dict.fromkeys((*alert.cases, *map(case_key, cause.results))))[:MAX_CASES]
        body = self._counted_body(alert, self._place_body(cause, cases), again=again)
        body = body.model_copy(update={"cases": len(cases), "failures": body_of(alert).failure_count + failures})
        left = tuple(dict.fromkeys(self._cases_left(alert, named_cases(cause.results), again=again)))
        counts = {**self._run_counts(alert), "signature": cause.signature, "cases": cases, "left": left}
        counts["partial"] = alert.partial or self._is_partial
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


def body_of(alert: Alert) -> CaseAlertPayload:
    """Return the payload of such an alert."""
    return CaseAlertPayload.model_validate(alert.body)
