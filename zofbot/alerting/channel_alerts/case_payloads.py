"""The payloads of alerts about a case, or about the cases with one cause in a project and environment."""

from __future__ import annotations

from dataclasses import dataclass

from zofbot.alerting.alerts import Alert
from zofbot.alerting.causes import describe_case, signature_of, with_past
from zofbot.alerting.channel_alerts.builder import AlertBuilder
from zofbot.alerting.counting import Count
from zofbot.alerting.stored_state import read_reopening
from zofbot.domain.model import Result
from zofbot.notifications import payload_parts
from zofbot.notifications.alert_payloads import AlertStatus, CaseAlertPayload


@dataclass(frozen=True)
class CasePayloadBuilder(AlertBuilder):
    """Builds the payload of a new alert, and of one that counts a further run."""

    def _case_body(self, case: str, result: Result) -> CaseAlertPayload:
        count = self.audience.counted.get(case, Count(1, self.finding.happened))
        return CaseAlertPayload(
            run=self._thread.place,
            mention=self.audience.mention_ids,
            owners=self.audience.card_owners,
            extras=self._extras,
            opened=self._notify_time,
            policy=self.audience.escalation_policy,
            takers=self.audience.subscription_ids,
            silent=self.audience.silent_ids,
            case=with_past(describe_case(result), self.finding.past.get(case)),
            past=self._recall_causes([signature_of(result)]),
            case_id=payload_parts.clean_text(result.case_id, 128),
            count=count.failures,
            first=self.draft.clamp_to_now(count.first),
            last=self._seen_at,
        )

    def _counted_body(self, alert: Alert, latest: CaseAlertPayload, *, again: bool) -> CaseAlertPayload:
        """Return the payload of a case's alert in which this run's failure counts; ``latest`` is built from it."""
        before = CaseAlertPayload.model_validate(alert.body)
        latest = latest if self.finding.happened >= alert.last else before
        counted = latest.model_copy(
            update={
                "count": before.count + (self.finding.run.id not in alert.runs),
                "first": min(before.first, self._seen_at),
                "last": max(before.last, self._seen_at),
                "standing": AlertStatus.AGAIN if again else before.standing,
                "turned": self._seen_at if again else before.turned,
                "turner": self.finding.run.id if again else before.turner,
                **self._reopened_fields(alert, again),
            }
        )
        reopening = read_reopening(self.draft, self.audience.channel, alert.key, counted.test_facts)
        return counted.model_copy(update=reopening)
