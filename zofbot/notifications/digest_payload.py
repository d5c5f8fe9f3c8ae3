"""What a digest says: counts, the trend and the cases that stand out, as they were when it was made."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _DigestModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TrendPoint(_DigestModel):
    """One part of the time: of so many runs that ended, so many passed."""

    label: str
    passed: int = 0
    ended: int = 0

    @property
    def pass_rate(self) -> float | None:
        return self.passed / self.ended if self.ended else None


class CaseCount(_DigestModel):
    """A case, and how often: ``of`` so many results; or for how long (``seconds``)."""

    title: str
    where: str = ""
    times: int = 0
    of: int = 0
    seconds: float = 0.0


class DigestPayload(_DigestModel):
    """A digest as it is stored: text is stripped, redacted and clipped; times are Unix seconds.

    ``rhythm`` and ``zone`` say for which setting it was made. ``answered`` and ``ended`` are median seconds until
    somebody acknowledged and until it was over. ``back`` is how far back was read where Zof has more than that.
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
    open: int = 0
    oldest: float | None = None
    snoozed: int = 0
    answered: float | None = None
    ended: float | None = None
    narrowed: bool = False
    """Only what the channel's subscriptions mean is counted."""
    back: float | None = None
    trouble: str = ""
    request_id: str = ""

    @property
    def pass_rate(self) -> float | None:
        """The part that passed of the runs that passed, failed or errored."""
        over = self.passed + self.failed + self.error
        return self.passed / over if over else None
