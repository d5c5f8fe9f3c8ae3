"""An entry: one notification as an operator sees it, and the outbox as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zofbot.notifications.notification import Claim, Notification, NotificationKind, NotificationState, Receipt


@dataclass(frozen=True)
class OutboxRecord:
    """What the outbox knows of one key; of what was sent long ago only the receipt is left. Times are Unix seconds."""

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
    """An attempt begun then may have got through."""
    receipt: Receipt | None = None
    replaced_by: str = ""
    """The key it was posted under again, after people deleted it."""
    body: dict[str, Any] = field(default_factory=dict)
    schema: int = 0
    """Version of what was written; 0 when only the receipt is left."""
    not_before: float = 0.0
    """It was not to be sent sooner."""


@dataclass(frozen=True)
class OutboxStats:
    """How much waits."""

    pending: int
    sending: int
    dead: int
    oldest: float = 0.0
    """Seconds since the oldest was committed that waits for nothing but its turn."""
    parked: int = 0
    """Channels that refuse."""
    paused: str = ""
    """Why nothing at all is sent."""
    scheduled: int = 0
    """Those of the pending that wait for a time of their own: quiet hours, an escalation, another try."""


@dataclass(frozen=True)
class ParkedChannel:
    """A channel that refuses; what it is to get waits until it is mended. ``since`` is in Unix seconds."""

    channel: str
    reason: str
    since: float
    waiting: int
    told: bool
    """Whether somebody was told."""

    @classmethod
    def from_stored(cls, channel: str, kept: str, waiting: int) -> ParkedChannel:
        """Read what ``settle.lua`` keeps."""
        told, since, reason = kept.split(" ", 2)
        return cls(channel, reason, int(since) / 1000, waiting, told == "1")


def build_record(key: str, note: Mapping[str, str], kept: str | None) -> OutboxRecord | None:
    """Put together what stands under a key's two names; None when nothing does."""
    if not note and kept is None:
        return None
    moved = kept is not None and kept.startswith("=")
    return OutboxRecord(
        key,
        NotificationState(note.get("state", NotificationState.SENT)),
        note.get("kind", ""),
        note.get("channel", "") or ("" if moved or kept is None else kept.split()[0]),
        note.get("root", ""),
        int(note.get("attempt", 0)),
        note.get("reason", ""),
        _to_seconds(note.get("committed")),
        float(note["happened"]) if "happened" in note else None,
        _to_seconds(note.get("since")),
        None if moved or kept is None else parse_receipt(kept),
        kept[1:] if moved and kept else "",
        json.loads(note.get("body", "{}")),
        int(note.get("schema", 0)),
        float(note.get("not_before", 0)),
    )


def parse_receipt(kept: str) -> Receipt:
    """Read a receipt as it is kept: channel, time stamp, and for edits when they were made."""
    channel, ts = kept.split()[:2]
    return Receipt(channel, ts)


def flatten_notification(notification: Notification) -> list[str | int]:
    """The nine values that ``commit.lua`` takes of a notification."""
    return [
        notification.key,
        notification.kind.value,
        notification.channel,
        notification.root,
        repr(notification.happened),
        int(notification.critical),
        repr(notification.not_before),
        notification.schema_,
        json.dumps(notification.body, separators=(",", ":"), ensure_ascii=False),
    ]


def parse_claim(fields: Sequence[bytes]) -> Claim:
    """Read what ``claim.lua`` gives."""
    (key, kind, channel, root, happened, critical, not_before, schema, body, attempt, committed, since, place,
     failure, triage, rerun, storm, storm_triage) = decode_texts(fields)  # fmt: skip
    return Claim(
        Notification.model_construct(  # it was checked when it was committed
            key=key,
            kind=NotificationKind(kind),
            channel=channel,
            root=root,
            happened=float(happened),
            critical=critical == "1",
            not_before=float(not_before),
            schema_=int(schema),
            body=json.loads(body),
        ),
        int(attempt),
        int(committed) / 1000,
        int(since) / 1000 if since else None,
        parse_receipt(place) if place else None,
        json.loads(failure) if failure else None,
        triage,
        rerun,
        json.loads(storm) if storm else None,
        storm_triage,
    )


def decode_text(value: bytes | str) -> str:
    """Text as a client gives it that decodes, or one that does not."""
    return value.decode() if isinstance(value, bytes) else value


def decode_texts(values: Iterable[bytes | str]) -> list[str]:
    """Several texts."""
    return [decode_text(value) for value in values]


def decode_hash(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """A hash as text."""
    return {decode_text(name): decode_text(value) for name, value in fields.items()}


def _to_seconds(milliseconds: str | None) -> float | None:
    return int(milliseconds) / 1000 if milliseconds else None
