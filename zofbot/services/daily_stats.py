"""Run statistics of the last 24 hours, read from Zof for the whole process at most once a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog

from zofbot.clock import Clock, timeout
from zofbot.domain.errors import ZofError, ZofUnavailable
from zofbot.domain.model import Outcome, Run
from zofbot.polling import time_window
from zofbot.polling.cursor import ListOrder
from zofbot.slack.views.home.home_data import DailyStats
from zofbot.zof.client import TimeBudget, ZofClient
from zofbot.zof.personal_quota import charge_to_nobody

log = structlog.get_logger()

WINDOW_HOURS = 24
MAX_PAGES = 5
"""Pages of runs to read: a fair part of a minute's quota, independent of the number of viewers."""

CACHE_SECONDS = 60.0
"""Seconds before reading again, whether or not Zof answered."""

READ_BUDGET = TimeBudget(15, background=True)
"""A background budget: nobody waits for this, and people's lookups go first."""

MAX_READ_SECONDS = 30.0
"""Seconds that all pages together may take."""

ACTIVE_OUTCOMES = (Outcome.RUNNING, Outcome.QUEUED)


def summarize_runs(runs: Iterable[Run], since: float, at: float, *, cut: bool = False) -> DailyStats:
    """Count the runs between ``since`` and ``at`` (Unix seconds); runs without a time are left out."""
    seen = {run.id: run for run in runs if run.latest_time and since <= run.latest_time.timestamp() <= at}
    going = sorted(
        (run for run in seen.values() if run.outcome in ACTIVE_OUTCOMES), key=lambda run: (_start_time(run), run.id)
    )
    outcomes = [run.outcome for run in seen.values()]
    bad = sum(outcome.is_bad for outcome in outcomes)
    return DailyStats(at, len(seen), outcomes.count(Outcome.PASSED), bad, tuple(going), cut)


def _start_time(run: Run) -> float:
    at = run.started or run.created or run.latest_time
    return at.timestamp() if at else 0.0


class DailyStatsReader:
    """The statistics as last read (``figures``), and the error of the last read, if any (``trouble``)."""

    def __init__(self, zof: ZofClient, clock: Clock, order: ListOrder | None) -> None:
        self.figures: DailyStats | None = None
        self.trouble: ZofError | None = None
        self._zof, self._clock, self._order = zof, clock, order
        self._asked = 0.0
        self._asking = asyncio.Lock()

    @property
    def is_stale(self) -> bool:
        """Whether it is time to read again, also because the clock was set back."""
        return abs(self._clock.time() - self._asked) >= CACHE_SECONDS

    async def refresh(self) -> None:
        """Read from Zof if stale and not being read already; never raises ZofError, which becomes ``trouble``."""
        async with self._asking:
            if not self.is_stale:
                return
            try:
                with charge_to_nobody():
                    async with timeout(MAX_READ_SECONDS):
                        self.figures = await self._read_stats()
                self.trouble = None
            except ZofError as error:
                self.trouble = error
                log.warning("daily stats not read", cause=error.sentence, request_id=error.request_id)
            except TimeoutError:
                self.trouble = ZofUnavailable(
                    f"Zof did not list its runs within {MAX_READ_SECONDS:.0f} s.", "Try again in a minute."
                )
            self._asked = self._clock.time()

    async def _read_stats(self) -> DailyStats:
        now = self._clock.now()
        back = now - timedelta(hours=WINDOW_HOURS)
        runs: dict[str, Run] = {}
        cursor = time_window.start_window(now.timestamp(), back.timestamp(), self._order)
        pages = self._zof.list_runs(since=back, time_budget=READ_BUDGET, pages=MAX_PAGES)
        cut = await time_window.read_window(pages, runs, cursor, self._order)
        return summarize_runs(runs.values(), back.timestamp(), now.timestamp(), cut=cut)
