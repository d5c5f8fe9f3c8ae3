"""What a resolution of a failure, or undoing one, changes in the memory of its causes."""

from __future__ import annotations

from pydantic import ValidationError

from zofbot.alerting.history.cause_memory import load_resolution, resolution_field
from zofbot.alerting.state import causes_hash, failure_hash, storms_hash
from zofbot.alerting.storms.storm_members import members_of
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.past_causes import Resolution
from zofbot.notifications.payload_parts import clean_text
from zofbot.notifications.payloads import FailurePayload, Payload, causes_of, load_payload_json
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.services.failures import Failure
from zofbot.store.outbox import Outbox
from zofbot.triage import Action, ActionRequest

MAX_NOTE_CHARACTERS = 300
"""Characters of a note that are remembered."""

MAX_MEMBERS = 500
"""Members of a storm whose causes are resolved with it."""


async def resolution_changes(
    outbox: Outbox, before: Failure, after: Failure, request: ActionRequest
) -> dict[str, dict[str, str | None]]:
    """Return the changes of an action for the same commit; none unless it resolves, or undoes that.

    Raises StoreUnavailable.
    """
    undoes = request.act is Action.UNDO and before.present.did is Action.RESOLVE
    if not undoes and request.act is not Action.RESOLVE:
        return {}
    causes = dict.fromkeys(cause for body in await _load_bodies(outbox, after) for cause in causes_of(body))
    places = [(causes_hash(*cause), resolution_field(cause[1])) for cause in causes]
    stored = await outbox.read_fields(*places) if places else []
    changes: dict[str, dict[str, str | None]] = {}
    for (name, field), text in zip(places, stored, strict=True):
        known = load_resolution(text)
        if undoes and (known is None or known.alert != after.key):
            continue  # somebody has resolved the same cause elsewhere since
        now = known.before if undoes and known else _build_resolution(after, request, known)
        changes.setdefault(name, {})[field] = now.model_dump_json(exclude_defaults=True) if now else None
    return changes


async def _load_bodies(outbox: Outbox, failure: Failure) -> list[FailurePayload]:
    """Return what a failure's alert shows; of a storm, what its members show."""
    if not isinstance(failure.body, StormPayload) or failure.body.by_cause:
        return [failure.body]
    name = storms_hash(failure.channel)
    members = members_of((await outbox.read_hashes(name))[name], failure.key)[:MAX_MEMBERS]
    stored = await outbox.read_fields(*((failure_hash(key), "body") for key in members)) if members else []
    bodies = (_parse_body(text) for text in stored if text)
    return [body for body in bodies if isinstance(body, RunAlertPayload | CaseAlertPayload)]


def _parse_body(stored: str) -> Payload | None:
    """Parse a stored payload; None for one of a later version, whose causes are then not resolved."""
    try:
        return load_payload_json(stored)
    except ValidationError:
        return None


def _build_resolution(failure: Failure, request: ActionRequest, before: Resolution | None) -> Resolution:
    before = before.model_copy(update={"before": None}) if before else None
    return Resolution(
        at=request.at,
        by=request.who.name or request.who.id,
        reason=failure.present.reason,
        note=clean_text(failure.present.note, MAX_NOTE_CHARACTERS),
        alert=failure.key,
        before=before,
    )
