"""An entry: one notification as an operator sees it, and the outbox as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zofbot.notification import Claimed, Kind, Notification, Receipt, State


@dataclass(frozen=True)
class Entry:
    """What the outbox knows of one key; of what was sent long ago only the receipt is left. Times are Unix seconds."""

    key: str
    state: State
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
class Depth:
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
class Parked:
    """A channel that refuses; what it is to get waits until it is mended. ``since`` is in Unix seconds."""

    channel: str
    reason: str
    since: float
    waiting: int
    told: bool
    """Whether somebody was told."""

    @classmethod
    def read(cls, channel: str, kept: str, waiting: int) -> Parked:
        """Read what ``settle.lua`` keeps."""
        told, since, reason = kept.split(" ", 2)
        return cls(channel, reason, int(since) / 1000, waiting, told == "1")


def entry(key: str, note: Mapping[str, str], kept: str | None) -> Entry | None:
    """Put together what stands under a key's two names; None when nothing does."""
    if not note and kept is None:
        return None
    moved = kept is not None and kept.startswith("=")
    return Entry(
        key,
        State(note.get("state", State.SENT)),
        note.get("kind", ""),
        note.get("channel", "") or ("" if moved or kept is None else kept.split()[0]),
        note.get("root", ""),
        int(note.get("attempt", 0)),
        note.get("reason", ""),
        _seconds(note.get("committed")),
        float(note["happened"]) if "happened" in note else None,
        _seconds(note.get("since")),
        None if moved or kept is None else receipt(kept),
        kept[1:] if moved and kept else "",
        json.loads(note.get("body", "{}")),
        int(note.get("schema", 0)),
        float(note.get("not_before", 0)),
    )


def receipt(kept: str) -> Receipt:
    """Read a receipt as it is kept: channel, time stamp, and for edits when they were made."""
    channel, ts = kept.split()[:2]
    return Receipt(channel, ts)


def flat(notification: Notification) -> list[str | int]:
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


def claimed(fields: Sequence[bytes]) -> Claimed:
    """Read what ``claim.lua`` gives."""
    (key, kind, channel, root, happened, critical, not_before, schema, body, attempt, committed, since, place,
     failure, triage, rerun, storm, storm_triage) = texts(fields)  # fmt: skip
    return Claimed(
        Notification.model_construct(  # it was checked when it was committed
            key=key, kind=Kind(kind), channel=channel, root=root, happened=float(happened), critical=critical == "1",
            not_before=float(not_before), schema_=int(schema), body=json.loads(body),
        ),
        int(attempt),
        int(committed) / 1000,
        int(since) / 1000 if since else None,
        receipt(place) if place else None,
        json.loads(failure) if failure else None,
        triage,
        rerun,
        json.loads(storm) if storm else None,
        storm_triage,
    )  # fmt: skip


def text(value: bytes | str) -> str:
    """Text as a client gives it that decodes, or one that does not."""
    return value.decode() if isinstance(value, bytes) else value


def texts(values: Iterable[bytes | str]) -> list[str]:
    """Several texts."""
    return [text(value) for value in values]


def pairs(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """A hash as text."""
    return {text(name): text(value) for name, value in fields.items()}


def _seconds(milliseconds: str | None) -> float | None:
    return int(milliseconds) / 1000 if milliseconds else None
