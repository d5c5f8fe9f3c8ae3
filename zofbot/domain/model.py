"""What Zof talks about, as this bot keeps it: runs, results, their outcome, and the quota they cost.

Every value is frozen and every field but the id may be missing: Zof publishes few field names and may add enum words
at any time, so a missing thing is ``None`` here and is left out wherever people read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr

_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,128}")


def is_valid_id(text: str) -> bool:
    """Whether it can be one of Zof's ids: nothing else is ever put into an address or a button."""
    return _ID_PATTERN.fullmatch(text) is not None


class Outcome(StrEnum):
    """How a run or a result stands; the words are Zof's, the categories are ours."""

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
        """Whether it will not change any more, as far as Zof's words tell."""
        return self in _FINAL_OUTCOMES

    @property
    def is_bad(self) -> bool:
        """Whether somebody should look: a test or the product failed, or the platform did."""
        return self in (Outcome.FAILED, Outcome.ERROR)


_FINAL_OUTCOMES = frozenset({Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.CANCELED, Outcome.SKIPPED})


class _ZofModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CaseCounts(_ZofModel):
    """How many cases of a run ended how."""

    total: int | None = None
    passed: int | None = None
    failed: int | None = None
    error: int | None = None
    skipped: int | None = None

    @property
    def bad_count(self) -> int:
        """Cases that failed or errored."""
        return (self.failed or 0) + (self.error or 0)


class _RunOrResult(_ZofModel):
    """What runs and results have in common."""

    id: str
    outcome: Outcome = Outcome.UNKNOWN
    status: str | None = None
    """Zof's own word, kept as it came."""
    title: str | None = None
    project_id: str | None = None
    project_name: str | None = None
    environment: str | None = None
    duration: float | None = None
    """Seconds."""
    started: datetime | None = None
    ended: datetime | None = None
    created: datetime | None = None
    url: str | None = None
    """As Zof sent it; whether it may be shown is decided where links are made."""
    request_id: str | None = None
    """``X-Request-SlackId`` of the reply this was read from."""
    ahead: float = 0.0
    """Seconds by which Zof dated it after the moment of reading; its times are cut to that moment."""

    @property
    def project(self) -> str | None:
        """The project as people know it."""
        return self.project_name or self.project_id

    @property
    def latest_time(self) -> datetime | None:
        """The latest moment known of it."""
        return self.ended or self.started or self.created

    @property
    def happened_at(self) -> float | None:
        """The latest moment known of it by Zof's clock, in Unix seconds: for comparing Zof's things with each other."""
        return self.latest_time.timestamp() + self.ahead if self.latest_time else None

    def without_future_times(self, now: datetime) -> Self:
        """The same with no time after ``now``, when it was read: Zof's clock may be ahead of ours."""
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
    attempt: int | None = None
    """Which attempt at its case it is, counted from 1, or how many there were; ``None`` when Zof numbers none."""


class Run(_RunOrResult):
    """One execution of a set of cases."""

    schedule_id: str | None = None
    schedule_name: str | None = None
    counts: CaseCounts = CaseCounts()
    results: tuple[Result, ...] | None = None
    """The cases Zof sent along with the run; ``None`` when it sent no list."""

    def without_future_times(self, now: datetime) -> Self:
        """The same, its results included, with no time after ``now``."""
        run = super().without_future_times(now)
        results = tuple(result.without_future_times(now) for result in self.results or ())
        same = all(old is new for old, new in zip(self.results or (), results, strict=True))
        return run if same else run.model_copy(update={"results": results})


class Project(_ZofModel):
    """A project as Zof lists it (https://zof.ai/docs/api/projects)."""

    id: str
    name: str | None = None


class Schedule(_ZofModel):
    """A schedule as Zof lists it (https://zof.ai/docs/api/schedules); that page names few fields."""

    id: str
    name: str | None = None
    cron: str | None = None
    """Five fields, as Zof keeps them; in which time zone is not published."""
    next: datetime | None = None
    paused: bool = False
    project: str | None = None
    """The project's name, else its id."""
    environment: str | None = None


class Endpoint(_ZofModel):
    """An address that Zof sends its webhooks to (https://zof.ai/docs/api/webhooks)."""

    id: str
    url: str | None = None
    events: tuple[str, ...] = ()
    status: str | None = None
    secret: SecretStr | None = None
    """Only in the answer that made it, and only where Zof chose it."""


class Quota(_ZofModel):
    """What Zof last said of the organization's request quota."""

    limit: int
    remaining: int
    reset: datetime

    def is_low(self, now: datetime) -> bool:
        """Whether under a tenth is left and the window has not turned over yet."""
        return self.remaining < self.limit / 10 and now < self.reset


def utc_datetime(seconds: float) -> datetime:
    """A time given in Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)
