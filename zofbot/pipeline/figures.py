"""The figures of the last day at Zof: read once for all who look at them, and no more than once a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog

from zofbot.clock import Clock, timeout
from zofbot.errors import ZofError, ZofUnavailable
from zofbot.model import Outcome, Run
from zofbot.pipeline import window
from zofbot.pipeline.feeds import Order
from zofbot.slack.home import Figures
from zofbot.zof.client import Patience, ZofClient

log = structlog.get_logger()

HOURS = 24
PAGES = 5
"""Pages of runs that are read: a fair part of a minute's quota, for whatever number of viewers."""

FRESH = 60.0
"""Seconds for which nobody asks again, whether Zof answered or not."""

PATIENCE = Patience(15, background=True)
"""Nobody waits for it, and people's questions go first."""

SECONDS = 30.0
"""How long all of it may take."""

GOING = (Outcome.RUNNING, Outcome.QUEUED)


def figures(runs: Iterable[Run], since: float, at: float, *, cut: bool = False) -> Figures:
    """Sum up the runs that happened between ``since`` and ``at`` (Unix seconds); those without a time are left out."""
    seen = {run.id: run for run in runs if run.when and since <= run.when.timestamp() <= at}
    going = sorted((run for run in seen.values() if run.outcome in GOING), key=lambda run: (_began(run), run.id))
    outcomes = [run.outcome for run in seen.values()]
    bad = sum(outcome.bad for outcome in outcomes)
    return Figures(at, len(seen), outcomes.count(Outcome.PASSED), bad, tuple(going), cut)


def _began(run: Run) -> float:
    at = run.started or run.created or run.when
    return at.timestamp() if at else 0.0


class Day:
    """The last day as it was last read: ``figures``, or why there are none (``trouble``)."""

    def __init__(self, zof: ZofClient, clock: Clock, order: Order | None) -> None:
        self.figures: Figures | None = None
        self.trouble: ZofError | None = None
        self._zof, self._clock, self._order = zof, clock, order
        self._asked = 0.0
        self._asking = asyncio.Lock()

    @property
    def stale(self) -> bool:
        """Whether it is worth asking again."""
        return self._clock.time() - self._asked >= FRESH

    async def read(self) -> None:
        """Ask Zof, unless that was done lately or is being done; what it would not tell is the ``trouble``."""
        async with self._asking:
            if not self.stale:
                return
            try:
                async with timeout(SECONDS):
                    self.figures = await self._read()
                self.trouble = None
            except ZofError as error:
                self.trouble = error
                log.warning("figures not read", cause=error.sentence, request_id=error.request_id)
            except TimeoutError:
                self.trouble = ZofUnavailable(f"Zof did not list its runs within {SECONDS:.0f} s.")
            self._asked = self._clock.time()

    async def _read(self) -> Figures:
        now = self._clock.now()
        back = now - timedelta(hours=HOURS)
        kept: dict[str, Run] = {}
        walk = window.begun(now.timestamp(), back.timestamp(), self._order)
        pages = self._zof.runs(since=back, patience=PATIENCE, pages=PAGES)
        cut = await window.read(pages, kept, walk, self._order)
        return figures(kept.values(), back.timestamp(), now.timestamp(), cut=cut)
