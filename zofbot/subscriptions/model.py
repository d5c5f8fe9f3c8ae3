"""A subscription: one channel's wish to be told of some failures, in some way."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from zofbot.domain.text import clean_name
from zofbot.subscriptions.events import EventType
from zofbot.triage import EscalationStep

SUBSCRIPTION_SCHEMA = 1
"""Version of a stored subscription."""

MAX_SUBSCRIPTIONS = 50
"""Subscriptions that one channel may have."""


class Grouping(StrEnum):
    """What gets a message of its own: a run, or each case over many runs."""

    RUN = "run"
    CASE = "case"


class Layout(StrEnum):
    """Whether details stand in the message's thread or are left out."""

    THREAD = "thread"
    FLAT = "flat"


class Broadcast(StrEnum):
    """Which replies are shown in the channel as well."""

    NEVER = "never"
    """None of them; it stands alone."""
    RELAPSE = "relapse"
    """The failure is back after it had recovered."""
    WORSE = "worse"
    """It fails again after six hours without a failure."""
    RECOVERED = "recovered"


class _SubscriptionModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Threshold(_SubscriptionModel):
    """Only from the ``count``-th failure within ``window`` seconds, or in a row, however long that takes.

    Earlier versions do not know of failures in a row and keep to the window.
    """

    count: int = Field(ge=2, le=100)
    window: int = Field(default=7 * 86400, ge=1, le=7 * 86400)
    in_a_row: bool = False


class QuietHours(_SubscriptionModel):
    """Hours of each day and whole days in which nothing is sent.

    ``start`` and ``end`` are minutes after midnight in ``zone``, the same where there are no hours.
    ``days`` of the week (0 for Monday) are quiet from midnight to midnight. ``critical`` lets critical
    failures through.
    """

    start: int = Field(default=0, ge=0, lt=1440)
    end: int = Field(default=0, ge=0, lt=1440)
    days: tuple[int, ...] = ()
    critical: bool = False
    zone: str = "UTC"


class Subscription(_SubscriptionModel):
    r"""What ``channel`` wants to be told; ``by`` is the id of the person who asked for it.

    Patterns are globs, any of which may match; one that begins with ``-`` excludes, with ``\-`` names what begins with
    a dash. ``mention`` has ids of people and user groups. ``created`` is in Unix seconds.
    """

    id: str = ""
    channel: str = ""
    by: str = ""
    by_name: str = ""
    created: float = 0.0

    project: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    case: tuple[str, ...] = ()
    on: tuple[EventType, ...] = (EventType.FAILED, EventType.ERROR, EventType.RECOVERED)
    group: Grouping = Grouping.RUN
    layout: Layout = Layout.THREAD
    broadcast: tuple[Broadcast, ...] = Field(default=(Broadcast.RELAPSE,), alias="broadcasts")
    """Whoever asks for one kind is shown relapses, too."""
    after: Threshold | None = None
    mention: tuple[str, ...] = ()
    quiet: QuietHours | None = None
    escalate: tuple[EscalationStep, ...] = ()
    reack: int = Field(default=0, ge=0, le=30 * 86400)
    """Seconds after which an acknowledgement is asked about; 0 for never."""

    schema_: int = Field(default=SUBSCRIPTION_SCHEMA, alias="schema")

    @property
    def mention_ids(self) -> tuple[str, ...]:
        """The ids of all people and user groups that it may mention, each once."""
        escalated = (identifier for step in self.escalate for identifier in step.mention)
        return tuple(dict.fromkeys([*self.mention, *escalated]))

    @field_validator("project", "env", "case")
    @classmethod
    def _clean_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        """Clean them as what is typed is cleaned, so that what was stored before that can be typed, too."""
        return tuple(name if (name := clean_name(each)).strip("-\\ ") else each for each in patterns)

    @field_validator("on")
    @classmethod
    def _sort_events(cls, asked: tuple[EventType, ...]) -> tuple[EventType, ...]:
        """Sort, so that what means the same is the same."""
        return tuple(item for item in EventType if item in asked)

    @field_validator("broadcast", mode="before")
    @classmethod
    def _read_old_broadcast(cls, stored: Any) -> Any:
        """Read records from before relapses were shown: ``never`` was the default then and nobody's choice."""
        return (Broadcast.RELAPSE, Broadcast.WORSE)[: 1 + (stored == "worse")] if isinstance(stored, str) else stored

    @field_validator("broadcast")
    @classmethod
    def _add_relapses(cls, asked: tuple[Broadcast, ...]) -> tuple[Broadcast, ...]:
        asked_for = {*asked} - {Broadcast.NEVER}
        if not asked_for:
            return (Broadcast.NEVER,)
        return tuple(each for each in Broadcast if each in asked_for | {Broadcast.RELAPSE})

    @field_validator("mention")
    @classmethod
    def _sort_mentions(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        """Put groups behind people, in whatever order they were named."""
        return tuple(sorted(ids, key=lambda item: item.startswith("S")))
