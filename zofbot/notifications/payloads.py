"""Payloads: the data that a notification's message is rendered from when it is sent.

Payloads are stored as JSON, with texts already stripped, redacted and clipped; later versions may add fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter

from zofbot.domain.json_encoding import encode_json
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.catch_up_payload import CatchUpPayload
from zofbot.notifications.digest_payload import DigestPayload
from zofbot.notifications.other_payloads import AlertTestPayload, NotePayload, PlatformEventPayload
from zofbot.notifications.storm_payloads import StormMembersPayload, StormPayload
from zofbot.notifications.thread_payloads import (
    ActionPayload,
    CauseReplyPayload,
    FailingAgainPayload,
    FlappingPayload,
    MoreFailuresPayload,
    RecoveryPayload,
    ReminderPayload,
    RerunResultPayload,
    ResultPayload,
)
from zofbot.notifications.titles import format_title

Payload = (
    RunAlertPayload
    | CaseAlertPayload
    | ResultPayload
    | CauseReplyPayload
    | MoreFailuresPayload
    | FailingAgainPayload
    | FlappingPayload
    | RecoveryPayload
    | StormPayload
    | StormMembersPayload
    | ReminderPayload
    | ActionPayload
    | RerunResultPayload
    | PlatformEventPayload
    | DigestPayload
    | CatchUpPayload
    | NotePayload
    | AlertTestPayload
)
"""All payload types. A new type is added here and to ``RENDERERS`` in ``zofbot.slack.views.renderer``."""
STANDALONE_PAYLOADS = (DigestPayload, CatchUpPayload, NotePayload, AlertTestPayload)
"""Payloads that are rendered on their own, without the current state of a failure."""
FailurePayload = RunAlertPayload | CaseAlertPayload | StormPayload
"""Payloads of failures open to triage."""


def failure_title(body: FailurePayload) -> str:
    """Return what messages call a failure: its title with its place, not escaped; empty if it has no title."""
    return format_title(body.title, body.run.project, body.run.environment) if body.title else ""


def causes_of(body: FailurePayload) -> list[tuple[str, str]]:
    """Return the causes of a failure: project and signature of each."""
    match body:
        case RunAlertPayload():
            signatures = [cause.signature for cause in body.causes]
        case CaseAlertPayload():
            signatures = [body.case.signature]
        case StormPayload():
            return [(project, cause.signature) for project in body.projects for cause in body.causes if body.by_cause]
    return [(body.run.project_id or body.run.project, each) for each in dict.fromkeys(signatures) if each]


_PAYLOAD_ADAPTER: TypeAdapter[Payload] = TypeAdapter(
    Annotated[Payload, Field(discriminator="card")],
    config=ConfigDict(defer_build=True),  # until the first payload is parsed
)


def load_payload(stored: dict[str, Any]) -> Payload:
    """Parse a stored payload. Raises pydantic's ValidationError for one that this version does not know."""
    return _PAYLOAD_ADAPTER.validate_python(stored)


def holds_payload(stored: Mapping[str, Any], kind: type[Payload]) -> bool:
    """Whether a stored payload is of the given type, judging by its ``card`` field."""
    return bool(stored.get("card") == kind.model_fields["card"].default)


def load_payload_json(stored: str) -> Payload:
    """Parse a stored payload from JSON. Raises as ``load_payload`` does."""
    return _PAYLOAD_ADAPTER.validate_json(stored)


def dump_payload_json(body: Payload) -> str:
    """Serialize a payload to JSON text."""
    return encode_json(dump_payload(body))


def dump_payload(body: Payload) -> dict[str, Any]:
    """Convert a payload to JSON data, without default values."""
    return {"card": body.card, **body.model_dump(mode="json", exclude_defaults=True)}
