"""Events of delivery: attempts, what became of notifications, and what the outbox holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeliveryStarted:
    """A dispatcher exists; ``outcomes`` has each kind, outcome and cause that it can report."""

    outcomes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One ended attempt to send a notification; ``cause`` is its ``reason`` as one of a fixed set."""

    key: str
    kind: str
    channel: str
    attempt: int
    outcome: str
    reason: str
    cause: str
    seconds: float
    since_commit: float | None = None
    """Seconds since it was committed, or could be sent at the earliest; None unless it reached Slack."""
    since_happened: float | None = None
    """Likewise, since the failure happened."""


@dataclass(frozen=True, slots=True)
class DeliveryCrashed:
    """An attempt raised an unexpected error."""

    key: str
    error: Exception


@dataclass(frozen=True, slots=True)
class NotificationDropped:
    """A notification was dropped when it was to be claimed."""

    key: str
    kind: str
    channel: str
    reason: str
    cause: str


@dataclass(frozen=True, slots=True)
class EarlierSendSearched:
    """Slack was searched for a message that may be there; ``outcome`` is found, absent or failed."""

    outcome: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A notification was given up."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class SettlementLost:
    """An attempt ended after its lease, when another worker had claimed the notification."""

    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class OutboxPaused:
    """Slack rejects everything from this installation; ``fix`` says what to do about it."""

    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class OutboxMeasured:
    """What the outbox holds."""

    pending: int
    scheduled: int
    sending: int
    dead: int
    parked: int
    """Channels, not notifications."""
    oldest: float
    """Age in seconds of the oldest notification that waits for nothing but its turn."""
    paused: bool


@dataclass(frozen=True, slots=True)
class OutboxNotMeasured:
    """The store did not answer the outbox monitor."""

    error: str
