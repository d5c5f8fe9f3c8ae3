"""``/zof cancel``: a run is cancelled at Zof, once somebody has looked at which."""

from __future__ import annotations

import hashlib
from typing import Any

from slack_bolt.async_app import AsyncApp

from zofbot.access import Role
from zofbot.errors import BadInput, ZofRejected
from zofbot.listeners.actions import value_of
from zofbot.listeners.desk import Asked, Desk, asked
from zofbot.listeners.known import may
from zofbot.model import is_id
from zofbot.slack import acts
from zofbot.slack.message import Message
from zofbot.store.audit import Entry

CANCEL = "zof_cancel"


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to the button that answers the question."""

    async def pressed(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        who, identifier = asked(body), str(value_of(action).get("id") or "")
        desk.answer_later(who, _cancel(desk, who, identifier), replace=True)

    app.action(CANCEL)(pressed)


async def offered(desk: Desk, who: Asked, identifier: str) -> Message:
    """Show which run it is, for ids are mistyped. Raises ZofbotError."""
    await may(desk, who, Role.OPERATOR)
    run = await desk.zof.run(identifier)
    if run.outcome.final:
        return acts.ended_already(run)
    return acts.cancel(run, CANCEL)


async def _cancel(desk: Desk, who: Asked, identifier: str) -> Message:
    if not is_id(identifier):
        raise BadInput("This button does not say what it is about.", "Type the command again.")
    person = await may(desk, who, Role.OPERATOR)
    once = hashlib.blake2s(f"cancel:{identifier}:{who.request}".encode(), digest_size=16).hexdigest()
    try:
        reply = await desk.zof.post("/runs/{id}/cancel", identifier, what="run", deed="cancel",
                                    idempotency_key=once)  # fmt: skip
    except ZofRejected as error:
        if error.status != 409:
            raise
        return acts.ended_already(await desk.zof.run(identifier))
    entry = Entry(at=desk.clock().timestamp(), act="cancel", user=who.user, name=person.name or who.name,
                  channel=who.channel, details={"run": identifier}, request=who.request,
                  zof_requests=(reply.request_id,) if reply.request_id else ())  # fmt: skip
    await desk.audit.append(entry)
    return acts.cancelled(identifier)
