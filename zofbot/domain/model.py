"""Zof's objects: runs, results, projects, schedules, webhook endpoints and the request quota.

Every model is frozen, and every field but the id may be missing, because Zof documents few field names and may add
enum values at any time. A missing value is ``None`` and is left out of texts.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr

from zofbot.domain.extra_fields import ExtraValue

_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,128}")


def is_valid_id(text: str) -> bool:
    """Whether it can be one of Zof's ids: only these are put into URLs and buttons."""
    return _ID_PATTERN.fullmatch(text) is not None


class Outcome(StrEnum):
    """The outcome of a run or result, derived from Zof's status."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    CANCELED = "canceled"
    QUEUED = "queued"
    RUNNING = "running"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether the status is final."""
        return self in _FINAL_OUTCOMES

    @property
    def is_bad(self) -> bool:
        """Whether it needs attention: a test, the product or the platform failed."""
        return self in (Outcome.FAILED, Outcome.ERROR)


_FINAL_OUTCOMES = frozenset({Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.CANCELED, Outcome.SKIPPED})


class _ZofModel(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class CaseCounts(_ZofModel):
    """Number of a run's cases by outcome."""

    total: int | None = None
    passed: int | None = None
    failed: int | None = None
    error: int | None = None
    skipped: int | None = None

    @property
    def has_bad_count(self) -> bool:
        """Whether Zof counts the cases that failed or errored."""
        return self.failed is not None or self.error is not None

    @property
    def bad_count(self) -> int:
        """Cases that failed or errored."""
        return (self.failed or 0) + (self.error or 0)


class _RunOrResult(_ZofModel):
    """Fields common to runs and results."""

    id: str
    outcome: Outcome = Outcome.UNKNOWN
    status: str | None = None
    """Zof's status, unchanged."""
    title: str | None = None
    project_id: str | None = None
    project_name: str | None = None
    environment: str | None = None
    duration: float | None = None
    """Seconds."""
    started: datetime | None = None
    ended: datetime | None = None
    created: datetime | None = None
    extras: tuple[ExtraValue, ...] = ()
    url: str | None = None
    """As sent by Zof; whether it may be shown is decided where links are built."""
    request_id: str | None = None
    """``X-Request-Id`` of the reply this was read from."""
    ahead: float = 0.0
    """Seconds by which Zof's times were later than the time of reading, to which they were limited."""

    @property
    def project(self) -> str | None:
        """The project's name, else its id."""
        return self.project_name or self.project_id

    @property
    def latest_time(self) -> datetime | None:
        """The end, else the start, else the creation time."""
        return self.ended or self.started or self.created

    @property
    def happened_at(self) -> float | None:
        """The latest known time by Zof's clock, in Unix seconds, for comparing Zof's objects with each other."""
        return self.latest_time.timestamp() + self.ahead if self.latest_time else None

    def without_future_times(self, now: datetime) -> Self:
        """Return a copy with no time after ``now``, when it was read, because Zof's clock may be ahead of ours."""
        times = (("started", self.started), ("ended", self.ended), ("created", self.created))
        later = {name: now for name, at in times if at and at > now}
        if not later:
            return self
        ahead = (self.latest_time - now).total_seconds() if self.latest_time else 0.0
        return self.model_copy(update={**later, "ahead": max(ahead, 0.0)})


class Result(_RunOrResult):
    """One case's outcome inside a run."""

    run_id: str | None = None
    case_id: str | None = None
    failure: str | None = None
    logs: str | None = None
    """A link or a reference; Zof does not say which."""
    severity: str | None = None
    author_ids: tuple[str, ...] = ()
    """Ids in Slack of who made the change, as far as the poller found them."""
    owner_ids: tuple[str, ...] = ()
    """Likewise, of whom the case belongs to."""
    attempt: int | None = None
    """The number of this attempt at its case, from 1, or of all attempts; ``None`` if Zof gives none."""
    quarantined: bool = False
    """Whether Zof marks the case as quarantined: its failures are known and not worked on now."""


class Run(_RunOrResult):
    """One execution of a set of cases."""

    schedule_id: str | None = None
    schedule_name: str | None = None
    counts: CaseCounts = CaseCounts()
    results: tuple[Result, ...] | None = None
    """The results that Zof sent with the run; ``None`` if it sent no list."""

    @property
    def has_unnamed_failures(self) -> bool:
        """Whether it failed, but says neither by its results nor by its counts which or how many cases did."""
        if not self.outcome.is_bad or self.counts.has_bad_count:
            return False
        return not any(item.outcome.is_bad for item in self.results or ())

    def without_future_times(self, now: datetime) -> Self:
        """Return a copy in which neither the run nor its results have a time after ``now``."""
        run = super().without_future_times(now)
        results = tuple(result.without_future_times(now) for result in self.results or ())
        same = all(old is new for old, new in zip(self.results or (), results, strict=True))
        return run if same else run.model_copy(update={"results": results})


class Project(_ZofModel):
    """A project as Zof lists it (https://zof.ai/docs/api/projects)."""

    id: str
    name: str | None = None


class Schedule(_ZofModel):
    """A schedule as Zof lists it (https://zof.ai/docs/api/schedules, which documents few fields)."""

    id: str
    name: str | None = None
    cron: str | None = None
    """Five fields; their time zone is not documented."""
    next: datetime | None = None
    paused: bool = False
    project: str | None = None
    """The project's name, else its id."""
    environment: str | None = None


class Endpoint(_ZofModel):
    """A webhook endpoint registered in Zof (https://zof.ai/docs/api/webhooks)."""

    id: str
    url: str | None = None
    events: tuple[str, ...] = ()
    status: str | None = None
    secret: SecretStr | None = None
    """Only in the reply to its creation, and only if Zof chose it."""


class Quota(_ZofModel):
    """The organization's request quota as last reported by Zof."""

    limit: int
    remaining: int
    reset: datetime

    def is_low(self, now: datetime) -> bool:
        """Whether less than a tenth is left and the window has not been reset yet."""
        return self.remaining < self.limit / 10 and now < self.reset


def utc_datetime(seconds: float) -> datetime:
    """Convert Unix seconds to a UTC datetime."""
    return datetime.fromtimestamp(seconds, UTC)
