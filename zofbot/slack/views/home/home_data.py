"""What App Home shows: data of one person's Home at one time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zofbot.domain.model import Run, Schedule
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.blocks import (
    Block,
)
from zofbot.slack.views.causes import CauseRow
from zofbot.slack.views.oncall import FailureRow
from zofbot.subscriptions.mute import Mute


@dataclass(frozen=True)
class DailyStats:
    """Runs of the last 24 hours, as of ``at`` (Unix seconds); ``cut``: Zof has more than were read."""

    at: float
    runs: int = 0
    passed: int = 0
    bad: int = 0
    going: tuple[Run, ...] = ()
    cut: bool = False

    @property
    def pass_rate(self) -> float | None:
        """Share of passed runs among those that passed, failed or errored, 0 to 1."""
        ended = self.passed + self.bad
        return self.passed / ended if ended else None


@dataclass(frozen=True)
class FailureList:
    """The first rows of a list, and the total number."""

    rows: Sequence[FailureRow] = ()
    total: int = 0


@dataclass(frozen=True)
class HomeSubscription:
    """A subscription's filters as typed (``wish``), and its channel id."""

    id: str
    channel: str
    wish: str


@dataclass(frozen=True)
class DeadLetterRow:
    """A notification that could not be delivered."""

    key: str
    channel: str
    reason: str
    since: float | None = None


@dataclass(frozen=True)
class ZofProblem:
    """An error from Zof with its request id; ``since`` in Unix seconds, 0 if unknown."""

    sentence: str
    request_id: str = ""
    since: float = 0.0


@dataclass(frozen=True)
class BotHealth:
    """Health of the bot. ``polled`` (Unix seconds) is the last successful poll of Zof, 0 for never.

    ``store`` is the error from Redis; if it is set, the values that come from Redis are unknown.
    """

    zof: ZofProblem | None = None
    lacking: Sequence[ZofProblem] = ()
    """Listings that the API key may not read."""
    store: str = ""
    polled: float = 0.0
    polling: bool = False
    late: bool = False
    waiting: int = 0
    oldest: float = 0.0
    parked: int = 0
    paused: str = ""
    dead: int = 0
    letters: Sequence[DeadLetterRow] = ()


@dataclass(frozen=True)
class HomeData:
    """Data of one person's Home at ``now`` (Unix seconds).

    ``open`` counts failures in their channels; ``since`` is the first alert of the oldest unacknowledged one.
    ``note`` is the result of their last click. ``rooms``: Slack returned the person's channels.
    """

    now: float
    figures: DailyStats | None = None
    open: int = 0
    since: float | None = None
    mine: FailureList = FailureList()
    waiting: FailureList = FailureList()
    causes: Sequence[CauseRow] = ()
    """The causes with most failures in their channels in the last 7 days."""
    wishes: Sequence[HomeSubscription] = ()
    muted: Sequence[Mute] = ()
    health: BotHealth = BotHealth()
    rooms: bool = True
    edits: bool = False
    retries: bool = False
    links: ZofLinks = field(default_factory=ZofLinks)
    note: Sequence[Block] = ()
    schedules: Sequence[Schedule] = ()
