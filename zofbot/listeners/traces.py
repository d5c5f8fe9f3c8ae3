"""``/zof trace``: what became of a request, by an id that an error showed."""

from __future__ import annotations

from zofbot.access import Role
from zofbot.listeners.desk import Asked, Desk
from zofbot.listeners.known import may
from zofbot.slack import traces
from zofbot.slack.message import Message


async def show(desk: Desk, who: Asked, name: str) -> Message:
    """Draw the latest traces under this id, or say why there may be none. Raises ZofbotError."""
    await may(desk, who, Role.ADMIN, "look up traces")
    found = await desk.traces.find(name)
    return traces.card(name, found) if found else traces.unknown(name)
