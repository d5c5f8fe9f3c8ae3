"""Find the message, the alert and the last resolution of a cause in a channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zofbot.alerting.alerts import FLAP_WINDOW_SECONDS, Alert
from zofbot.alerting.alerts_in_scope import AlertsInScope, cause_field
from zofbot.alerting.catch_up_entries import catch_up_entry
from zofbot.alerting.causes import Cause, is_of_other_version, signature_of_text
from zofbot.alerting.failure_signature import VERSION
from zofbot.alerting.state import DecisionBuilder
from zofbot.alerting.storms.storm_record import (
    Storm,
    cause_messages_of_other_versions,
    load_storm,
    load_storm_of_cause,
)
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import AlertStatus
from zofbot.notifications.past_causes import Resolution
from zofbot.subscriptions import RunFinding
from zofbot.subscriptions.events import case_key


@dataclass(frozen=True)
class CauseLookup:
    """Finds what a channel knows of the causes of a run.

    A failure waits until ``held`` (Unix seconds), 0 for not; ``sort`` is that of its alert.
    """

    draft: DecisionBuilder
    alerts: AlertsInScope
    finding: RunFinding
    channel: str
    held: float
    sort: str

    def find_message(self, cause: Cause) -> Storm | None:
        """Return the message in which the cause counts; None if it needs a new one."""
        found = next((message for message in self._messages_of(cause) if self._takes_in(message, cause)), None)
        if found is None or self._is_over(found, cause) or self._comes_before(found):
            return None
        return found

    def find_alert(self, message: Storm, cause: Cause) -> tuple[str, Alert | None]:
        """Return the field of the cause's alert in a message, and the alert; a storm has one for each cause."""
        field = cause_field(message.storm_key, "" if message.by_cause else cause.signature)
        known = self.alerts.get(field)
        if known or message.by_cause:
            return field, known
        others = ((other, alert) for other, alert in self._alerts_of(cause) if alert.storm == message.storm_key)
        return next(others, (field, None))  # by another version

    def find_resolution(self, cause: Cause) -> Resolution | None:
        """Return how a person resolved the cause's last message, if that is why it needs a new one."""
        before = next(self._messages_of(cause), None)
        return self._resolution_of(before) if before else None

    def _messages_of(self, cause: Cause) -> Iterator[Storm]:
        """Yield the messages and storms that are about the cause."""
        found = (load_storm_of_cause(self.draft, self.channel, cause.signature), self._find_in_scope(cause))
        yield from filter(None, found)
        others = cause_messages_of_other_versions(self.draft, self.channel, VERSION)
        yield from (message for message in others if _has_cause(message, cause))

    def _takes_in(self, message: Storm, cause: Cause) -> bool:
        """Whether a message is for everybody who is to hear of this failure: a storm is only for those of its sort."""
        return message.by_cause or message.sort in ("", self.sort) or self._is_counted(message, cause)

    def _find_in_scope(self, cause: Cause) -> Storm | None:
        """Return the message or storm in which the cause was last seen here, unless it recovered long ago."""
        found = [alert for _, alert in self._alerts_of(cause) if not alert.is_over(self.finding.happened)]
        latest = max(found, key=lambda alert: alert.last, default=None)
        return load_storm(self.draft, self.channel, latest.storm) if latest else None

    def _alerts_of(self, cause: Cause) -> Iterator[tuple[str, Alert]]:
        """Yield the cause's alerts here by field, and those of its cases whose signatures were made by other rules."""
        cases = set(map(case_key, cause.results))
        for field, alert in self.alerts.list_items():
            other = bool(alert.signature) and is_of_other_version(alert.signature)
            if alert.signature == cause.signature or (other and cases.intersection(alert.cases)):
                yield field, alert

    def _comes_before(self, message: Storm) -> bool:
        """Whether the message waits for quiet hours or a mute for which a failure now does not wait."""
        entry = catch_up_entry(self.draft, self.channel, message.storm_key)
        if entry is None:
            return message.held > max(self.draft.now, self.held)
        return entry.is_waiting(self.draft) and entry.until > self.held

    def _is_over(self, message: Storm, cause: Cause) -> bool:
        """Whether a failure now needs a new message: it recovered long ago, or somebody resolved it."""
        if self._is_counted(message, cause):
            return False
        at = self.finding.happened
        if message.standing is AlertStatus.RECOVERED and at > (message.turned or 0.0) + FLAP_WINDOW_SECONDS:
            return True
        return self._resolution_of(message) is not None

    def _is_counted(self, message: Storm, cause: Cause) -> bool:
        """Whether failures of this run with the cause are counted in a message already."""
        _, known = self.find_alert(message, cause)
        return known is not None and self.finding.run.id in known.runs

    def _resolution_of(self, message: Storm) -> Resolution | None:
        body = payloads.dump_payload(message.summary_body())
        return self.alerts.records.resolution_before(
            message.storm_key, body, self.draft.clamp_to_now(self.finding.happened)
        )


def _has_cause(message: Storm, cause: Cause) -> bool:
    """Whether a message that other rules made is about the cause, judging by its example."""
    return signature_of_text(message.causes[0].example.why).id == cause.signature
