"""A notification: what is to stand in a channel once, and the life it has until it does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

NOTIFICATION_SCHEMA = 1
"""Version of the records in the store; a record of a newer one is refused."""


class NotificationKind(StrEnum):
    """What a notification is to its channel; the order is the order in which a channel gets them."""

    ROOT = "root"
    """A message of its own."""
    REPLY = "reply"
    """In the thread of ``root``."""
    EDIT = "edit"
    """Makes the message ``root`` show its latest state; edits not made yet are merged."""


class NotificationState(StrEnum):
    """Where a notification stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"
    DROPPED = "dropped"


class Notification(BaseModel):
    """One thing to tell one channel. ``key`` is its idempotency key: whatever has one key is told once."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    kind: NotificationKind
    channel: str
    body: dict[str, Any] = Field(default_factory=dict)
    """What the card is drawn from when it is sent; JSON, redacted, without secrets."""
    root: str = ""
    """Key of the message that a reply stands under or an edit changes, or that a fresh root takes the place of."""
    happened: float
    """Unix seconds: when it happened at Zof."""
    critical: bool = False
    """Goes before what is not."""
    not_before: float = 0.0
    """Unix seconds: earliest time to send."""
    schema_: int = Field(default=NOTIFICATION_SCHEMA, alias="schema")


class UnwantedNotification(Exception):
    """There is nothing to say any more: it was overtaken before it came due."""


class UndecidedNotification(Exception):
    """Whether all of it may be said is not known yet: to be tried again in so many ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True)
class Receipt:
    """Where a message stands in Slack."""

    channel: str
    ts: str


@dataclass(frozen=True)
class Claim:
    """A notification taken by a worker, to be settled before its lease ends.

    ``attempt`` counts from 1. ``maybe_since`` (Unix seconds, ``None`` when certainly not sent) says that an earlier
    attempt begun then may have got through: look before sending. ``place`` is the root's receipt.
    ``failure`` is the latest body of the root that it shows or is about, and ``triage`` (JSON) what people made
    of it, where there is one.
    """

    notification: Notification
    attempt: int
    committed: float
    maybe_since: float | None = None
    place: Receipt | None = None
    failure: dict[str, Any] | None = None
    triage: str = ""
    rerun: str = ""
    """The run of its failed cases that is under way (JSON)."""
    storm: dict[str, Any] | None = None
    """The body of the storm that the failure is part of, and ``storm_triage`` what people made of that."""
    storm_triage: str = ""
    details_follow: bool = False
    """Something is left out until Slack says who reads the channel; it is edited then."""
