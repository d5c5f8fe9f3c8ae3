"""What a resolution of a failure, or undoing one, changes in the memory of its causes."""

from __future__ import annotations

from zofbot.alerting.history.cause_memory import load_resolution, resolution_field
from zofbot.alerting.state import causes_hash
from zofbot.notifications.past_causes import Resolution
from zofbot.notifications.payloads import causes_of
from zofbot.services.failures import Failure
from zofbot.store.outbox import Outbox
from zofbot.triage import Action, ActionRequest


async def resolution_changes(
    outbox: Outbox, before: Failure, after: Failure, request: ActionRequest
) -> dict[str, dict[str, str | None]]:
    """Return the changes of an action for the same commit; none unless it resolves, or undoes that.

    Raises StoreUnavailable.
    """
    undoes = request.act is Action.UNDO and before.present.did is Action.RESOLVE
    if not undoes and request.act is not Action.RESOLVE:
        return {}
    places = [(causes_hash(*cause), resolution_field(cause[1])) for cause in causes_of(after.body)]
    stored = await outbox.read_fields(*places) if places else []
    changes: dict[str, dict[str, str | None]] = {}
    for (name, field), text in zip(places, stored, strict=True):
        known = load_resolution(text)
        if undoes and (known is None or known.alert != after.key):
            continue  # somebody has resolved the same cause elsewhere since
        now = known.before if undoes and known else _build_resolution(after, request, known)
        changes.setdefault(name, {})[field] = now.model_dump_json(exclude_defaults=True) if now else None
    return changes


def _build_resolution(failure: Failure, request: ActionRequest, before: Resolution | None) -> Resolution:
    before = before.model_copy(update={"before": None}) if before else None
    return Resolution(
        at=request.at,
        by=request.who.name or request.who.id,
        reason=failure.present.reason,
        note=failure.present.note,
        alert=failure.key,
        before=before,
    )
