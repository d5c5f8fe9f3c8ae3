"""Lists the results of a run: all of them if few, else those that matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass

from zofbot.domain.model import Outcome, Result, Run
from zofbot.polling.cursor import result_id
from zofbot.store.pending_runs import PendingRun
from zofbot.subscriptions.case_retries import is_retried
from zofbot.subscriptions.events import ACTIVE_OUTCOMES
from zofbot.zof.client import TimeBudget, ZofClient
from zofbot.zof.webhook_event import RUN_END_TYPES

MAX_RESULT_PAGES = 10
"""Pages of results read per run and outcome; further results are only counted."""


@dataclass(frozen=True, slots=True)
class ResultListing:
    """Results listed of a run, by id; ``is_truncated``: Zof has more than are read.

    ``has_passes``: the passed results are among them, as many as the run counts or as are ever read.
    """

    results: dict[str, Result]
    is_truncated: bool
    has_passes: bool


class ResultLister:
    """Lists results of runs in the background; ``count_request`` is called for each page."""

    def __init__(self, zof: ZofClient, count_request: Callable[[], None]) -> None:
        self._zof = zof
        self._count_request = count_request

    async def list_results(self, run: Run, pending: PendingRun, *, passes: bool) -> ResultListing:
        """List a run's results: all if one page holds them, else the bad ones, and passed ones for a retry.

        With ``passes``, passed ones are listed too, for recoveries; of a passed run, which has few others, all are.
        Those of an outcome that the run counts none of are listed if a listing has shown a result with it. If only its
        results can show whether the run has ended, those in progress are listed. Raises ZofError.
        """
        reads_all = passes and run.outcome is Outcome.PASSED
        found, more = await self._list_by_status(run.id, None, MAX_RESULT_PAGES if reads_all else 1)
        if not more:
            return ResultListing(found, is_truncated=False, has_passes=not lacks_passes(run, found.values()))
        cut = False
        counted = {Outcome.FAILED: run.counts.failed, Outcome.ERROR: run.counts.error}
        outcomes = {key.split(":")[1] for key in pending.seen if result_id(key)}
        for outcome in (outcome for outcome, count in counted.items() if count != 0 or outcome in outcomes):
            listed, more = await self._list_by_status(run.id, outcome, MAX_RESULT_PAGES)
            found, cut = found | listed, cut or more
        if run.outcome is Outcome.UNKNOWN and run.ended is None and pending.why not in RUN_END_TYPES:
            for outcome in sorted(ACTIVE_OUTCOMES):
                found |= (await self._list_by_status(run.id, outcome, 1))[0]
        # a case with several results may fail in one that was cut off
        retried = is_retried(result for result in found.values() if result.outcome.is_bad)
        are_passes_cut = cut or reads_all
        if retried or (passes and not are_passes_cut):
            listed, more = await self._list_by_status(run.id, Outcome.PASSED, MAX_RESULT_PAGES)
            found, are_passes_cut = found | listed, are_passes_cut or more
        has_passes = (passes or retried) and (are_passes_cut or not lacks_passes(run, found.values()))
        return ResultListing(found, is_truncated=cut, has_passes=has_passes)

    async def _list_by_status(self, run_id: str, status: Outcome | None, most: int) -> tuple[dict[str, Result], bool]:
        """Return the results on at most ``most`` pages, and whether Zof has more."""
        found: dict[str, Result] = {}
        more = False
        pages = self._zof.list_results(run_id=run_id, status=status, time_budget=TimeBudget.BACKGROUND, pages=most)
        async with aclosing(pages):
            async for page in pages:
                self._count_request()
                found |= {result.id: result for result in page}
                more = page.more
        return found, more


def lacks_passes(run: Run, results: Iterable[Result]) -> bool:
    """Whether a run counts more passed results than these."""
    return (run.counts.passed or 0) > sum(result.outcome is Outcome.PASSED for result in results)
