"""Payload of a digest: counts, the trend and notable cases at the time it was built."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from zofbot.domain.frozen_model import FrozenModel


class TrendPoint(FrozenModel):
    """One part of the period: how many runs ended, and how many of them passed."""

    label: str
    passed: int = 0
    ended: int = 0

    @property
    def pass_rate(self) -> float | None:
        return self.passed / self.ended if self.ended else None


class CaseCount(FrozenModel):
    """A case with a count (``times`` ``of`` so many results) or a duration (``seconds``).

    For a cause it is one of its cases, and ``why`` the first line of its failure text: empty if it has none, None only
    where an earlier version stored it.
    """

    title: str = ""
    why: str | None = None
    where: str = ""
    times: int = 0
    of: int = 0
    seconds: float = 0.0


class DigestPayload(FrozenModel):
    """Stored payload of a digest: text is stripped, redacted and clipped; times are Unix seconds.

    ``rhythm`` and ``zone`` are the schedule it was made for. ``answered`` and ``ended`` are median seconds until a
    failure was acknowledged and until it was closed. ``back`` is how far back data was read, if Zof has more.
    """

    card: Literal["digest"] = "digest"
    every: Literal["daily", "weekly"] = "daily"
    rhythm: str = ""
    zone: str = "UTC"
    since: float = 0.0
    until: float = 0.0
    runs: int = 0
    passed: int = 0
    failed: int = 0
    error: int = 0
    other: int = 0
    results: int = 0
    bad: int = 0
    trend: tuple[TrendPoint, ...] = ()
    failing: tuple[CaseCount, ...] = ()
    slowest: tuple[CaseCount, ...] = ()
    flaky: tuple[CaseCount, ...] = ()
    causes: tuple[CaseCount, ...] = ()
    """The causes of this channel's alerts: failures, and the seconds for which their alerts were open."""
    standings: dict[str, int] = Field(default_factory=dict)
    """How many failures of these alerts were new, known and flaky, by the words of ``CaseStanding``."""
    open: int = 0
    oldest: float | None = None
    snoozed: int = 0
    answered: float | None = None
    ended: float | None = None
    narrowed: bool = False
    """Whether only runs that match the channel's subscriptions are counted."""
    back: float | None = None
    trouble: str = ""
    request_id: str = ""

    @property
    def pass_rate(self) -> float | None:
        """Share of passed runs among those that passed, failed or errored, 0 to 1."""
        over = self.passed + self.failed + self.error
        return self.passed / over if over else None
