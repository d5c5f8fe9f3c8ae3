"""Events of the poller: cycles, what the feeds showed, and what was read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PollProgress:
    """Requests to Zof since the last full cycle began, and the pending runs; None if the cycle failed."""

    requests: int
    pending_runs: int | None


@dataclass(frozen=True, slots=True)
class PollCycleEnded:
    """One cycle of the poller; ``outcome`` is done, standby, unavailable, fenced or failed."""

    outcome: str
    seconds: float
    feeds: bool
    """Whether it was a full cycle, which scans the feeds."""
    pause: float
    """Seconds until the next one."""
    read_all_at: float | None = None
    """Unix time at which everything was read."""
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class FindingRead:
    """A run, result or platform event was read, ``lag`` seconds after it happened; ``source``: webhook or poll."""

    source: str
    lag: float


@dataclass(frozen=True, slots=True)
class ItemListed:
    """A feed showed a run or result for the first time."""

    feed: str


@dataclass(frozen=True, slots=True)
class OldFailureListed:
    """A feed showed a failure older than the look-back, which is not reported."""


@dataclass(frozen=True, slots=True)
class ReadGivenUp:
    """A run or result was announced, and Zof refused or failed to return it for too long."""

    kind: str
    id: str
    why: str
    cause: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class FeedAudited:
    """A feed was compared with what was handled; ``missed`` failures had not been. Times are Unix seconds."""

    feed: str
    missed: int
    since: float
    at: float
