"""Read-only access to triage records, for the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zofbot.alerting.alerts import parse_alerts
from zofbot.alerting.state import DecisionBuilder, alerts_hash, storms_hash, triage_hash
from zofbot.alerting.stored_state import is_acted_on, read_triage_record
from zofbot.alerting.storms.storm_members import storm_key_of
from zofbot.alerting.storms.storm_record import load_storm, stored_storm_keys
from zofbot.notifications import payloads
from zofbot.notifications.past_causes import Resolution
from zofbot.notifications.payloads import FailurePayload
from zofbot.triage import Action, RunFacts, TriageRecord, TriageState, effective_record, merge_storm_record


def triage_fields(channels: Iterable[str], hashes: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str]]:
    """Return the triage records, by hash and field, that a decision may read, given the other hashes it was given.

    They are those of the alerts in its scopes, and of the storms of the channels.
    """
    fields = []
    for channel in channels:
        scopes = [stored for name, stored in hashes.items() if name.startswith(alerts_hash(channel, ""))]
        keys = {alert.key for stored in scopes for alert in parse_alerts(stored).values()}
        keys.update(stored_storm_keys(hashes.get(storms_hash(channel), {})))
        fields += [(triage_hash(channel), key) for key in sorted(keys)]
    return fields


class TriageRecords:
    """The triage records of one channel. A failure is given by its alert's key and stored payload."""

    def __init__(self, draft: DecisionBuilder, channel: str) -> None:
        self._draft, self._channel = draft, channel
        self._name = triage_hash(channel)

    def current_record(self, key: str, body: Mapping[str, Any]) -> TriageRecord:
        """Return a failure's triage record, merged with that of the storm that includes it."""
        own = effective_record(self._load_record(key), _facts_of(body), self._draft.now)
        storm = load_storm(self._draft, self._channel, self._storm_key(key))
        if storm is None:
            return own
        return merge_storm_record(
            own, effective_record(self._load_record(storm.storm_key), storm.summary_body().test_facts, self._draft.now)
        )

    def is_open(self, key: str, body: Mapping[str, Any]) -> bool:
        """Whether nobody has acted on a failure, or what they did has ended."""
        return self.current_record(key, body).state is TriageState.OPEN

    def woken_snooze(self, key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> TriageRecord | None:
        """Return the snoozed record of a failure whose new payload ended the snooze; None if none was ended."""
        if not is_acted_on(self._draft, self._channel, key):
            return None
        asleep = self.current_record(key, before)
        return (
            asleep
            if asleep.state is TriageState.SNOOZED and self.current_record(key, after).did is Action.WAKE
            else None
        )

    def resolution_before(self, key: str, body: Mapping[str, Any], at: float) -> Resolution | None:
        """Return how a person resolved a failure before ``at`` (Unix seconds); None if it is not resolved."""
        if self._draft.read_hash(self._name).keys().isdisjoint((key, self._storm_key(key))):
            return None
        present = self.current_record(key, body)
        if present.state is not TriageState.RESOLVED or present.since >= at:
            return None
        return Resolution(at=present.since, by=present.moved_by.name, reason=present.reason, note=present.note)

    def snoozer_before_relapse(self, key: str, body: Mapping[str, Any], recovered: float) -> str:
        """Return the id of the person whose snooze was active when a failure ``recovered`` (Unix seconds), or empty."""
        record, course = self._load_record(key), _facts_of(body)
        asleep = effective_record(record, course.model_copy(update={"turn": record.turn}), recovered)
        return asleep.moved_by.id if record.turn == course.turn - 1 and asleep.state is TriageState.SNOOZED else ""

    def _storm_key(self, key: str) -> str:
        return storm_key_of(self._draft, self._channel, key)

    def _load_record(self, key: str) -> TriageRecord:
        return read_triage_record(self._draft, self._channel, key)


def _facts_of(body: Mapping[str, Any]) -> RunFacts:
    shown = payloads.load_payload(dict(body))
    return shown.test_facts if isinstance(shown, FailurePayload) else RunFacts()
