"""What people of other organizations do not see: what a failure says, and what people noted about it.

A channel that is shared with another organization gets cards with names, outcomes and counts alone, for the text of a
failure may hold anything that a test printed. It is decided when a message is drawn, so that a card is drawn anew as
its channel stands by then; where Slack does not say whether a channel is shared, less is said.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from zofbot.model import Result
from zofbot.notification import Claimed

_INWARD = {"why", "note"}
"""Fields of bodies and of records that say more than what failed and where."""

Shared = Callable[[str], Awaitable[bool]]
"""Whether a channel, by its id, is shared with another organization."""


def veiled(claimed: Claimed) -> Claimed:
    """The same with nothing in it that others should not see."""
    notification = claimed.notification
    body = _without(notification.body)
    if body.get("card") == "notice":
        body.pop("said", None)
    return replace(
        claimed,
        notification=notification.model_copy(update={"body": body}),
        failure=_without(claimed.failure) if claimed.failure else claimed.failure,
        triage=json.dumps(_without(json.loads(claimed.triage))) if claimed.triage else "",
    )


def outward(result: Result) -> Result:
    """A result as others may see it."""
    return result.model_copy(update={"failure": None, "logs": None})


def veil(shared: Shared) -> Callable[[Claimed], Awaitable[Claimed]]:
    """Give what the dispatcher does with each notification before it is drawn."""

    async def before(claimed: Claimed) -> Claimed:
        return veiled(claimed) if await shared(claimed.notification.channel) else claimed

    return before


def _without(kept: Any) -> Any:
    if isinstance(kept, dict):
        return {name: _without(value) for name, value in kept.items() if name not in _INWARD}
    return [_without(one) for one in kept] if isinstance(kept, list) else kept
