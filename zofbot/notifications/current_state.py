"""Load a due notification's payload and the current triage state of its failure."""

from __future__ import annotations

from dataclasses import dataclass

from zofbot.notifications.notification import Claim, NotificationKind
from zofbot.notifications.payloads import STANDALONE_PAYLOADS, FailurePayload, Payload, load_payload
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.subscriptions.digest_schedule import DigestSetting
from zofbot.triage import TriageRecord, effective_record, merge_storm_record


@dataclass(frozen=True)
class CurrentState:
    """The current state of the failure that a notification shows or is about.

    ``failure`` is ``None`` if there is none, or its record has expired; ``own`` is its triage record, and ``storm``
    that of the storm that includes it, if any.
    """

    kind: NotificationKind
    now: float
    """Unix seconds."""
    failure: FailurePayload | None
    own: TriageRecord
    storm: TriageRecord | None
    digest: DigestSetting | None = None
    """The channel's digest setting, where the notification is a digest."""

    @property
    def record(self) -> TriageRecord:
        """The failure's record, merged with its storm's."""
        return merge_storm_record(self.own, self.storm) if self.storm else self.own


def read_claim(claim: Claim, now: float) -> tuple[Payload, CurrentState]:
    """Return a claimed notification's payload, and the state of its failure at ``now`` (Unix seconds).

    New messages and edits show the failure's latest payload, not the one that was committed. Raises pydantic's
    ValidationError for a record that this version cannot read.
    """
    kind = claim.notification.kind
    latest = claim.failure if kind is not NotificationKind.REPLY else None
    payload = load_payload(latest or claim.notification.body)
    if isinstance(payload, STANDALONE_PAYLOADS):
        return payload, CurrentState(kind, now, None, TriageRecord(), None, claim.digest)
    failure = load_payload(claim.failure) if claim.failure and not latest else payload
    record = TriageRecord.model_validate_json(claim.triage) if claim.triage else TriageRecord()
    storm = _read_storm_record(claim, now)
    if not isinstance(failure, FailurePayload):
        return payload, CurrentState(kind, now, None, record, storm)
    return payload, CurrentState(kind, now, failure, effective_record(record, failure.test_facts, now), storm)


def _read_storm_record(claim: Claim, now: float) -> TriageRecord | None:
    storm = load_payload(claim.storm) if claim.storm else None
    if not isinstance(storm, StormPayload):
        return None
    record = TriageRecord.model_validate_json(claim.storm_triage) if claim.storm_triage else TriageRecord()
    return effective_record(record, storm.test_facts, now)
