"""Build and parse idempotency keys."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote


def idempotency_key(kind: str, identifier: str, category: str, channel: str, *, turn: int = 0) -> str:
    """Return ``<kind>:<run or result id>:<category>[:<turn>]:<channel>``, the same for webhook and poller.

    It depends neither on an event's id nor on the order of arrival. A colon in Zof's ids, though unexpected, is
    percent-encoded, so that keys stay unique.
    """
    parts = [kind, quote(identifier, safe=""), category, *([str(turn)] if turn else []), channel]
    return ":".join(parts)


def split_key(root: str) -> tuple[str, str, str]:
    """Return what an alert's key was made from: kind, run or result id, and channel."""
    kind, identifier, *_, channel = root.split(":") if root.count(":") >= 2 else (root, "", "")
    return kind, unquote(identifier), channel


def edit_key(root: str) -> str:
    """Return the key shared by all edits of the message with the key ``root``, so that pending edits are merged."""
    kind, _, rest = root.partition(":")
    return f"{kind}-edit:{rest}"


def alert_key_of(posted: str, channel: str) -> str:
    """Return the alert key for a message posted in ``channel`` with the key ``posted``; empty for other messages.

    A message that people deleted is posted again with the alert's key and a number.
    """
    found = re.fullmatch(rf"((?:run|case|storm):.+:{re.escape(channel)})(?::[0-9]+)?", posted)
    return found[1] if found else ""
