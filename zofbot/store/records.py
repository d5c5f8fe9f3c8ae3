"""Records of the outbox as operators see them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zofbot.notifications.notification import NotificationState, Receipt

UNREADABLE_ERRORS = (ValueError, RecursionError)
"""What parsing a record raises if it is damaged, or was stored by a version that does it otherwise."""


@dataclass(frozen=True)
class OutboxRecord:
    """One notification; long after sending only its receipt is left. Times are Unix seconds."""

    key: str
    state: NotificationState
    kind: str = ""
    channel: str = ""
    root: str = ""
    attempts: int = 0
    reason: str = ""
    committed: float | None = None
    happened: float | None = None
    since: float | None = None
    """Start of an attempt that may have posted the message; None if there is none."""
    receipt: Receipt | None = None
    replaced_by: str = ""
    """Key of the message that replaced it after people deleted it."""
    body: dict[str, Any] = field(default_factory=dict)
    schema: int = 0
    """Schema of the stored record; 0 if only the receipt is left."""
    not_before: float = 0.0
    """Earliest time of sending."""


@dataclass(frozen=True)
class OutboxStats:
    """Sizes of the outbox, in notifications unless stated otherwise."""

    pending: int
    sending: int
    dead: int
    oldest: float = 0.0
    """Age in seconds of the oldest pending notification that is not scheduled for later."""
    parked: int = 0
    """Channels that refuse messages."""
    paused: str = ""
    """Why all sending is paused; empty if it is not."""
    scheduled: int = 0
    """Pending ones that are scheduled for later: quiet hours, an escalation, a retry."""


@dataclass(frozen=True)
class ParkedChannel:
    """A channel that refuses messages; they wait until it is fixed. ``since`` is in Unix seconds."""

    channel: str
    reason: str
    since: float
    waiting: int
    told: bool
    """Whether the people responsible were notified."""

    @classmethod
    def from_stored(cls, channel: str, kept: str, waiting: int) -> ParkedChannel:
        """Parse the value that ``settle.lua`` stores.

        A channel whose value cannot be read is due to be retried: if it still refuses, a new value is stored.
        """
        try:
            notified, since, reason = kept.split(" ", 2)
            return cls(channel, reason, int(since) / 1000, waiting, notified == "1")
        except ValueError:
            return cls(channel, f"unreadable entry: {kept}", 0.0, waiting, told=True)


def build_record(key: str, note: Mapping[str, str], kept: str | None) -> OutboxRecord | None:
    """Combine a key's hash ``note`` and its receipt ``kept``; None if both are missing.

    Of a hash that cannot be read, what can be said without parsing is returned.
    """
    if not note and kept is None:
        return None
    try:
        return _parse_record(key, note, kept)
    except UNREADABLE_ERRORS:
        known = note.get("state") in list(NotificationState)
        return OutboxRecord(
            key,
            NotificationState(note["state"]) if known else NotificationState.PENDING,
            note.get("kind", ""),
            note.get("channel", ""),
            note.get("root", ""),
            reason=note.get("reason", "cannot be read"),
        )


def _parse_record(key: str, note: Mapping[str, str], kept: str | None) -> OutboxRecord:
    replaced = kept is not None and kept.startswith("=")
    return OutboxRecord(
        key,
        NotificationState(note.get("state", NotificationState.SENT)),
        note.get("kind", ""),
        note.get("channel", "") or ("" if replaced or kept is None else kept.split()[0]),
        note.get("root", ""),
        int(note.get("attempt", 0)),
        note.get("reason", ""),
        _to_seconds(note.get("committed")),
        float(note["happened"]) if "happened" in note else None,
        _to_seconds(note.get("since")),
        None if replaced or kept is None else parse_receipt(kept),
        kept[1:] if replaced and kept else "",
        parse_object(note.get("body", "{}")),
        int(note.get("schema", 0)),
        float(note.get("not_before", 0)),
    )


def parse_receipt(kept: str) -> Receipt:
    """Parse a stored receipt: channel, message timestamp, and for edits the time of the edit."""
    channel, ts = kept.split()[:2]
    return Receipt(channel, ts)


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object. Raises ValueError, or RecursionError."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _to_seconds(milliseconds: str | None) -> float | None:
    return int(milliseconds) / 1000 if milliseconds else None
