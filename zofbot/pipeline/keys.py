"""Idempotency keys: the one place where they are made."""

from __future__ import annotations

from urllib.parse import quote


def key(kind: str, identifier: str, category: str, channel: str, *, turn: int = 0) -> str:
    """``<kind>:<run or result id>:<category>[:<turn>]:<channel>``, for webhook and poller alike.

    Nothing in it comes from an event's id or from the order in which news arrive. What Zof's ids should not hold but
    might (a colon) is percent-encoded, so that no two things share a key.
    """
    parts = [kind, quote(identifier, safe=""), category, *([str(turn)] if turn else []), channel]
    return ":".join(parts)


def edit_of(root: str) -> str:
    """The one key for all edits of the message under key ``root``, so that those not made yet become one."""
    kind, _, rest = root.partition(":")
    return f"{kind}-edit:{rest}"
