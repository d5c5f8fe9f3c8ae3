"""A subscription: which failures one channel wants to be notified about, and how."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)

from zofbot.domain.text import clean_name
from zofbot.subscriptions.case_history import CaseStanding
from zofbot.subscriptions.events import EventType
from zofbot.triage import EscalationStep

SUBSCRIPTION_SCHEMA = 1
"""Version of a stored subscription."""

MAX_SUBSCRIPTIONS = 50
"""Subscriptions per channel."""


class Grouping(StrEnum):
    """What gets its own message: each run, each case across runs, or each cause across runs and projects."""

    RUN = "run"
    CASE = "case"
    CAUSE = "cause"


class Layout(StrEnum):
    """Whether details are posted in the message's thread or left out."""

    THREAD = "thread"
    FLAT = "flat"


class Broadcast(StrEnum):
    """Which replies are also posted to the channel."""

    NEVER = "never"
    """None; cannot be combined with others."""
    RELAPSE = "relapse"
    """The failure is back after a recovery."""
    WORSE = "worse"
    """It fails again after six hours without a failure."""
    RECOVERED = "recovered"


class MentionRole(StrEnum):
    """Whom ``mention:`` can name by what they have to do with a failure."""

    AUTHOR = "author"
    """Who made the change that was tested."""
    OWNER = "owner"
    """Whom the case belongs to."""


class _SubscriptionModel(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore", populate_by_name=True)


class Threshold(_SubscriptionModel):
    """Notify only from the ``count``-th failure within ``window`` seconds, or in a row over any time.

    Earlier versions ignore ``in_a_row`` and use the window.
    """

    count: int = Field(ge=2, le=100)
    window: int = Field(default=7 * 86400, ge=1, le=7 * 86400)
    in_a_row: bool = False


class QuietHours(_SubscriptionModel):
    """Hours of each day and whole days in which nothing is sent.

    ``start`` and ``end`` are minutes after midnight in ``zone``, equal if there are no hours. ``days`` of the week
    (0 for Monday) are quiet from midnight to midnight. ``critical``: critical failures are sent anyway.
    """

    start: int = Field(default=0, ge=0, lt=1440)
    end: int = Field(default=0, ge=0, lt=1440)
    days: tuple[int, ...] = ()
    critical: bool = False
    zone: str = "UTC"


DEFAULT_EVENTS = (EventType.FAILED, EventType.ERROR, EventType.RECOVERED)


class Subscription(_SubscriptionModel):
    r"""The failures that ``channel`` wants to be notified about; ``by`` is the id of the person who subscribed it.

    Patterns are globs, any of which may match; one that begins with ``-`` excludes, and ``\-`` stands for a leading
    dash. ``mention`` has ids of people and user groups, and words of ``MentionRole``. ``created`` is in Unix seconds.
    """

    id: str = ""
    channel: str = ""
    by: str = ""
    by_name: str = ""
    created: float = 0.0

    project: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    case: tuple[str, ...] = ()
    branch: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    on: tuple[EventType, ...] = DEFAULT_EVENTS
    standings: tuple[CaseStanding, ...] = ()
    """Failures wanted by their cases' history, empty for all; typed with ``on:``. Earlier versions ignore it."""
    group: Grouping = Grouping.RUN
    layout: Layout = Layout.THREAD
    broadcast: tuple[Broadcast, ...] = Field(default=(Broadcast.RELAPSE,), alias="broadcasts")
    """Any kind but ``never`` includes relapses."""
    after: Threshold | None = None
    mention: tuple[str, ...] = ()
    quiet: QuietHours | None = None
    escalate: tuple[EscalationStep, ...] = ()
    reack: int = Field(default=0, ge=0, le=30 * 86400)
    """Seconds after which an acknowledgement is asked about; 0 for never."""

    schema_: int = Field(default=SUBSCRIPTION_SCHEMA, alias="schema")

    @property
    def mention_ids(self) -> tuple[str, ...]:
        """The ids of all people and user groups it may mention, without duplicates."""
        escalated = (identifier for step in self.escalate for identifier in step.mention)
        named = (identifier for identifier in self.mention if identifier not in self.mention_roles)
        return tuple(dict.fromkeys([*named, *escalated]))

    @property
    def mention_roles(self) -> tuple[MentionRole, ...]:
        """The roles whose people it mentions."""
        return tuple(role for role in MentionRole if role in self.mention)

    @computed_field  # type: ignore[prop-decorator]  # (https://docs.pydantic.dev/2.0/usage/computed_fields/)
    @property
    def by_cause(self) -> bool:
        """Whether causes have their own messages; stored beside ``group: case``, which earlier versions can read."""
        return self.group is Grouping.CAUSE

    @field_serializer("group", when_used="json")
    def _dump_group(self, group: Grouping) -> str:
        return (Grouping.CASE if group is Grouping.CAUSE else group).value

    @model_validator(mode="before")
    @classmethod
    def _read_by_cause(cls, stored: Any) -> Any:
        return {**stored, "group": Grouping.CAUSE} if isinstance(stored, dict) and stored.get("by_cause") else stored

    @property
    def event_words(self) -> tuple[str, ...]:
        """The words of ``on:``, without the default ones."""
        return (*(() if self.on == DEFAULT_EVENTS else self.on), *self.standings)

    @field_validator("standings", mode="before")
    @classmethod
    def _drop_later_words(cls, stored: Any) -> Any:
        """Leave out words that only a later version knows."""
        return [word for word in stored if word in list(CaseStanding)] if isinstance(stored, list | tuple) else stored

    @field_validator("standings")
    @classmethod
    def _sort_standings(cls, asked: tuple[CaseStanding, ...]) -> tuple[CaseStanding, ...]:
        """Sort, so that equal selections compare equal; all of them are the same as none."""
        return tuple(item for item in CaseStanding if item in asked) if len({*asked}) < len(CaseStanding) else ()

    @field_validator("project", "env", "case", "branch", "tag", "owner")
    @classmethod
    def _clean_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        """Clean stored patterns as typed ones are cleaned, so that old records can be typed too."""
        return tuple(name if (name := clean_name(each)).strip("-\\ ") else each for each in patterns)

    @field_validator("on")
    @classmethod
    def _sort_events(cls, asked: tuple[EventType, ...]) -> tuple[EventType, ...]:
        """Sort, so that equal selections compare equal."""
        return tuple(item for item in EventType if item in asked)

    @field_validator("broadcast", mode="before")
    @classmethod
    def _read_old_broadcast(cls, stored: Any) -> Any:
        """Convert old single values; ``never`` was the default then, not a choice, so it becomes ``relapse``."""
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
        """Sort groups after people, keeping the order otherwise."""
        return tuple(sorted(ids, key=lambda item: item.startswith("S")))
