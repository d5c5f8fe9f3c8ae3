"""``/zof trace``: looks up a request's trace by the id from an error reply."""

from __future__ import annotations

from zofbot.domain.permissions import Role
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import require_role
from zofbot.slack.views import traces
from zofbot.slack.views.blocks import Message


async def show_trace(context: ListenerContext, requester: Requester, name: str) -> Message:
    """Show the latest traces of an id, or explain why there may be none. Raises ZofbotError."""
    await require_role(context, requester, Role.ADMIN, "look up traces")
    found = await context.traces.find_traces(name)
    return traces.trace_card(name, found) if found else traces.unknown_trace_reply(name)
