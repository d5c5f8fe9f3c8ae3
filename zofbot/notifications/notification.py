"""A notification: one message, reply or edit that a channel gets once, and its delivery states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import Field

from zofbot.domain.frozen_model import FrozenModel
from zofbot.subscriptions.digest_schedule import DigestSetting

NOTIFICATION_SCHEMA = 1
"""Version of stored records; records with a newer version are rejected."""


class NotificationKind(StrEnum):
    """What a notification does in its channel, in the order in which notifications are sent."""

    ROOT = "root"
    """A new message."""
    REPLY = "reply"
    """A reply in the thread of ``root``."""
    EDIT = "edit"
    """An edit of the message ``root`` to its latest state; pending edits are merged."""


class NotificationState(StrEnum):
    """Delivery state of a notification."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"
    DROPPED = "dropped"


class Notification(FrozenModel):
    """A notification for one channel. ``key`` is its idempotency key: only one notification per key is sent."""

    key: str
    kind: NotificationKind
    channel: str
    body: dict[str, Any] = Field(default_factory=dict)
    """The payload that the message is rendered from when sent; JSON, redacted."""
    root: str = ""
    """Key of the message that a reply belongs to, an edit changes, or a new message replaces."""
    edits_reply: bool = False
    """Whether an edit changes a reply, which is not posted again if people delete it."""
    happened: float
    """Unix seconds: when it happened at Zof."""
    critical: bool = False
    """Sent before notifications that are not critical."""
    not_before: float = 0.0
    """Unix seconds: earliest time to send."""
    schema_: int = Field(default=NOTIFICATION_SCHEMA, alias="schema")


@dataclass(frozen=True)
class Obsolete:
    """The decision not to send a notification: it became obsolete before it was due."""


@dataclass(frozen=True)
class Postponed:
    """The decision to try a notification again in ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class Receipt:
    """A posted message's location in Slack: channel id and timestamp."""

    channel: str
    ts: str


@dataclass(frozen=True)
class Claim:
    """A notification claimed by a worker, which must report the outcome before its lease ends.

    ``attempt`` counts from 1. ``maybe_since`` is the start (Unix seconds) of an earlier attempt that may have been
    posted, so look for the message before sending; ``None`` if certainly not sent. ``place`` is the receipt of
    ``root``. ``failure`` is the latest payload of the alert that it shows or is about, if any, and ``triage`` (JSON)
    its triage record.
    """

    notification: Notification
    attempt: int
    committed: float
    maybe_since: float | None = None
    place: Receipt | None = None
    failure: dict[str, Any] | None = None
    triage: str = ""
    rerun: str = ""
    """The re-run of its failed cases that is in progress (JSON)."""
    storm: dict[str, Any] | None = None
    """The payload of the storm that includes the failure; ``storm_triage`` is that storm's triage record."""
    storm_triage: str = ""
    digest: DigestSetting | None = None
    """The channel's present digest setting, read where the notification is a digest."""
    tries: int = 0
    """Earlier attempts that ended as deferred or unknown, or with the worker's death; others, such as snoozed ones, do
    not lengthen the backoff.
    """
    details_follow: bool = False
    """Details are left out until Slack confirms who can read the channel; then the message is edited."""
