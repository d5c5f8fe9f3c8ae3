"""Idempotency keys: the one place where they are made."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote


def idempotency_key(kind: str, identifier: str, category: str, channel: str, *, turn: int = 0) -> str:
    """``<kind>:<run or result id>:<category>[:<turn>]:<channel>``, for webhook and poller alike.

    Nothing in it comes from an event's id or from the order in which news arrive. What Zof's ids should not hold but
    might (a colon) is percent-encoded, so that no two things share a key.
    """
    parts = [kind, quote(identifier, safe=""), category, *([str(turn)] if turn else []), channel]
    return ":".join(parts)


def split_key(root: str) -> tuple[str, str, str]:
    """What a root's key was made from: its kind, the run's or result's id, and the channel."""
    kind, identifier, *_, channel = root.split(":") if root.count(":") >= 2 else (root, "", "")
    return kind, unquote(identifier), channel


def edit_key(root: str) -> str:
    """The one key for all edits of the message under key ``root``, so that those not made yet become one."""
    kind, _, rest = root.partition(":")
    return f"{kind}-edit:{rest}"


def alert_key_of(posted: str, channel: str) -> str:
    """The key of the failure whose message stands in ``channel`` under the key ``posted``; empty for any other message.

    A message that people deleted is posted again under its root's key and a number.
    """
    found = re.fullmatch(rf"((?:run|case|storm):.+:{re.escape(channel)})(?::[0-9]+)?", posted)
    return found[1] if found else ""
