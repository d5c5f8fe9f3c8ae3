"""Build one alert for each failed run, which lists its worst failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from zofbot.alerting.alerts import Alert
from zofbot.alerting.alerts_in_scope import run_field
from zofbot.alerting.audience import WHOLE_RUN
from zofbot.alerting.causes import group_by_cause, summarize_case, summarize_causes, with_past
from zofbot.alerting.channel_alerts.builder import AlertBuilder
from zofbot.alerting.channel_alerts.thread_replies import ReplyStyle
from zofbot.alerting.counting import Count
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import AlertStatus, RunAlertPayload
from zofbot.subscriptions import Broadcast
from zofbot.subscriptions.events import case_key, named_cases

MAX_TOP_FAILURES = 3


@dataclass(frozen=True)
class RunAlertBuilder(AlertBuilder):
    """Builds or updates the alert of a run."""

    def build_alerts(self) -> bool:
        """Add the notifications to the draft. Return whether all failures went into a storm summary."""
        run, at = self.finding.run, self.finding.happened
        cases = named_cases(self.audience.results)
        known = self.alerts.find_by_run(run.id) or self._find_relapsed(cases)
        if known:
            self._update_run_alert(*known)
            return False
        resolved = self.alerts.find_resolution(cases, run, at)
        body = self._run_body().model_copy(update={"resolved": resolved})
        alert = self._add_alert("run", run.id, self.finding.outcome, cases, body, failures=max(1, self._thread.bad))
        alert = self._thread.add_run_replies(alert, self.audience.results, ReplyStyle())
        self.alerts.put_alert(run_field(run.id), alert)
        return bool(alert.storm)

    def _find_relapsed(self, cases: Collection[str]) -> tuple[str, Alert] | None:
        """Return the recovered alert that goes on with these failures, if any, with its field."""
        found = self.alerts.find_flapping(cases, self.finding.run, self.finding.happened)
        return None if found and self._replaces_waiting(found[1]) else found

    def _update_run_alert(self, field: str, alert: Alert) -> None:
        """Update the alert of a run of which more was read, or that fails again after a recovery."""
        at, run_id = self.finding.happened, self.finding.run.id
        again = alert.is_relapse(at, run_id)
        snoozer = self._find_snoozer(alert) if again else ()
        known = alert.cases if self._shows_later_run(alert) else alert.left
        more = [case for case in named_cases(self.audience.results) if case not in known]
        reopened = again or bool(more)
        flaps = again and alert.with_relapse(at, run_id).is_flapping(at)
        body = self._counted_run_body(alert, again=again, reopened=reopened)
        body, called = self._end_alert_silence(alert, body, flaps=flaps)
        left = named_cases(self.audience.results) if again else [*alert.left, *more]
        changed = alert.model_copy(
            update={
                "cases": tuple(dict.fromkeys((*alert.cases, *more))),
                "left": tuple(dict.fromkeys(left)),
                "partial": alert.partial or self._is_partial,
                "recovered": None if reopened else alert.recovered,
                **self._run_counts(alert),
                "body": payloads.dump_payload(body),
            }
        )
        changed = changed.with_relapse(at, run_id) if again else changed
        loud = again and self.audience.wants_broadcast(Broadcast.RELAPSE)
        if flaps:
            changed = self._thread.add_flapping_reply(changed, body.run.title, loud=loud)
        else:
            changed = self._thread.add_run_replies(
                changed, self.audience.results, ReplyStyle(again=again, loud=loud, mention=(*snoozer, *called))
            )
        self.alerts.put_alert(field, changed, self.held)
        self._update_message(alert, changed)
        self._schedule_escalations(changed, alert)

    def _counted_run_body(self, alert: Alert, *, again: bool, reopened: bool) -> RunAlertPayload:
        """Return the payload of an alert in which this run counts; it goes on showing a later run that it shows."""
        before = RunAlertPayload.model_validate(alert.body)
        body = before if self._shows_later_run(alert) else self._run_body()
        changed: dict[str, Any] = {"standing": before.standing, "turned": before.turned, "turner": before.turner}
        if again:
            changed = {"standing": AlertStatus.AGAIN, "turned": self._seen_at, "turner": self.finding.run.id}
        elif reopened and before.is_recovered:
            changed = {"standing": AlertStatus.OPEN, "turned": None, "turner": ""}
        return body.model_copy(update={**changed, **self._reopened_fields(alert, reopened)})

    def _shows_later_run(self, alert: Alert) -> bool:
        """Whether the alert continues in a run that happened after this one."""
        return self.finding.happened < alert.last and alert.body["run"]["id"] != self._thread.place.id

    def _run_body(self) -> RunAlertPayload:
        causes = group_by_cause(self.audience.results)
        count = self.audience.counted.get(WHOLE_RUN, Count(1, self.finding.happened))
        return RunAlertPayload(
            run=self._thread.place,
            mention=self.audience.mention_ids,
            owners=self.audience.card_owners,
            extras=self._extras,
            opened=self._notify_time,
            policy=self.audience.escalation_policy,
            takers=self.audience.subscription_ids,
            silent=self.audience.silent_ids,
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
