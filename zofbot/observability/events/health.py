"""Events of the process' own health: leases, canaries, traces, background tasks, readiness."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeaseChecked:
    """This process asked for a lease, and holds it or not."""

    name: str
    held: bool


@dataclass(frozen=True, slots=True)
class LeaseTaken:
    """This process has the lease now and had not before."""

    name: str


@dataclass(frozen=True, slots=True)
class CanaryStarted:
    """Canaries are sent from now on, in Unix seconds."""

    at: float


@dataclass(frozen=True, slots=True)
class CanaryArrived:
    """Slack showed a canary ``seconds`` after it began."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CanaryLate:
    """A canary is late: the link that is broken, what was observed, and how to fix it."""

    link: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class CanaryPassed:
    """A canary arrived in time, at this Unix time."""

    at: float


@dataclass(frozen=True, slots=True)
class TracesStored:
    """Finished traces were stored."""

    count: int


@dataclass(frozen=True, slots=True)
class TraceDropped:
    """A finished trace was dropped: too many were waiting, it could not be written, or the process stopped."""


@dataclass(frozen=True, slots=True)
class ReadinessChecked:
    """Whether Redis accepts writes, and whether Slack accepted the token and its socket is connected."""

    store: bool
    slack: bool


@dataclass(frozen=True, slots=True)
class BackgroundTaskFailed:
    """A background task raised an unexpected error."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class BackgroundTaskCanceled:
    """A background task was canceled, because zofbot is stopping."""
