"""How things stand when a notification has come due: what its message shows, and what decides whether it is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from zofbot.notifications.notification import Claim, NotificationKind
from zofbot.notifications.payloads import (
    STANDALONE_PAYLOADS,
    FailurePayload,
    Payload,
    StormPayload,
    load_payload,
)
from zofbot.triage import TriageRecord, effective_record, merge_storm_record


@dataclass(frozen=True)
class PresentState:
    """How the failure stands that a notification shows or is about.

    ``failure`` is ``None`` where it is about none, or about one that is not known any more; ``own`` is what people
    made of it, and ``storm`` what they made of the storm that it is part of.
    """

    kind: NotificationKind
    failure: FailurePayload | None
    own: TriageRecord
    storm: TriageRecord | None

    @property
    def record(self) -> TriageRecord:
        """How it stands, whether people worked on it or on its storm."""
        return merge_storm_record(self.own, self.storm) if self.storm else self.own


def read_claim(claim: Claim, now: float) -> tuple[Payload, PresentState]:
    """Return what a claimed notification says, and how things stand at ``now`` (Unix seconds).

    A root and an edit show their failure's latest state, whatever it was when they were committed. Raises pydantic's
    ValidationError for a record of a version that this one does not know.
    """
    kind = claim.notification.kind
    latest = claim.failure if kind is not NotificationKind.REPLY else None
    payload = load_payload(latest or claim.notification.body)
    if isinstance(payload, STANDALONE_PAYLOADS):
        return payload, PresentState(kind, None, TriageRecord(), None)
    failure = load_payload(claim.failure) if claim.failure and not latest else payload
    record = TriageRecord.model_validate_json(claim.triage) if claim.triage else TriageRecord()
    storm = _read_storm_record(claim, now)
    if not isinstance(failure, FailurePayload):
        return payload, PresentState(kind, None, record, storm)
    return payload, PresentState(kind, failure, effective_record(record, failure.test_facts, now), storm)


def _read_storm_record(claim: Claim, now: float) -> TriageRecord | None:
    storm = load_payload(claim.storm) if claim.storm else None
    if not isinstance(storm, StormPayload):
        return None
    record = TriageRecord.model_validate_json(claim.storm_triage) if claim.storm_triage else TriageRecord()
    return effective_record(record, storm.test_facts, now)
