"""Lists the results of a run: all of them if few, else those that matter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import aclosing
from dataclasses import dataclass

from zofbot.domain.model import Outcome, Result, Run
from zofbot.polling.cursor import has_plain_status, result_id
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


@dataclass(frozen=True, slots=True)
class ResultPages:
    """Results on some pages, by id; ``more``: Zof has more, after ``cursor``."""

    results: dict[str, Result]
    more: bool
    cursor: str | None = None


class ResultLister:
    """Lists results of runs in the background; ``count_request`` is called for each page."""

    def __init__(self, zof: ZofClient, count_request: Callable[[], None]) -> None:
        self._zof = zof
        self._count_request = count_request

    async def list_results(self, run: Run, pending: PendingRun, *, passes: bool) -> ResultListing:
        """List a run's results: all if one page holds them, else the bad ones, and passed ones for a retry.

        With ``passes``, passed ones are listed too, for recoveries; of a passed run, which has few others, all are.
        If only its results can show whether the run has ended, those in progress are listed. Raises ZofError.
        """
        reads_all = passes and run.outcome is Outcome.PASSED
        first = await self._read_pages(run.id, None, MAX_RESULT_PAGES if reads_all else 1)
        found = first.results
        if not first.more:
            return ResultListing(found, is_truncated=False, has_passes=not lacks_passes(run, found.values()))
        bad = await self._read_by_status(run, pending)
        if not (bad.more or reads_all):
            bad = await self._read_others(run, first, bad)
        found = found | bad.results
        if run.outcome is Outcome.UNKNOWN and run.ended is None and pending.why not in RUN_END_TYPES:
            for outcome in sorted(ACTIVE_OUTCOMES):
                found |= (await self._read_pages(run.id, outcome, 1)).results
        # a case with several results may fail in one that was cut off
        retried = is_retried(result for result in found.values() if result.outcome.is_bad)
        are_passes_cut = bad.more or reads_all
        if retried or (passes and not are_passes_cut):
            passed = await self._read_pages(run.id, Outcome.PASSED, MAX_RESULT_PAGES)
            found, are_passes_cut = found | passed.results, are_passes_cut or passed.more
        has_passes = (passes or retried) and (are_passes_cut or not lacks_passes(run, found.values()))
        return ResultListing(found, is_truncated=bad.more, has_passes=has_passes)

    async def _read_by_status(self, run: Run, pending: PendingRun) -> ResultPages:
        """Read the results of both bad outcomes; of one that the run counts none of only if a listing showed one."""
        found: dict[str, Result] = {}
        more = False
        counted = {Outcome.FAILED: run.counts.failed, Outcome.ERROR: run.counts.error}
        shown = {key.split(":")[1] for key in pending.seen if result_id(key)}
        for outcome in (outcome for outcome, number in counted.items() if number != 0 or outcome in shown):
            listed = await self._read_pages(run.id, outcome, MAX_RESULT_PAGES)
            found, more = found | listed.results, more or listed.more
        return ResultPages(found, more)

    async def _read_others(self, run: Run, first: ResultPages, bad: ResultPages) -> ResultPages:
        """Add the results on the pages after the first, if these may have bad ones that are not listed by status."""
        if not _may_have_unlisted_failures(run, first, (first.results | bad.results).values()):
            return bad
        rest = await self._read_pages(run.id, None, MAX_RESULT_PAGES - 1, first.cursor)
        found = bad.results | rest.results
        has_all = run.counts.has_bad_count and run.counts.bad_count <= _count_bad((first.results | found).values())
        return ResultPages(found, rest.more and not has_all)

    async def _read_pages(
        self, run_id: str, status: Outcome | None, most: int, starting_after: str | None = None
    ) -> ResultPages:
        """Return the results on at most ``most`` pages."""
        found: dict[str, Result] = {}
        more, cursor = False, None
        pages = self._zof.list_results(
            run_id=run_id,
            status=status,
            starting_after=starting_after,
            time_budget=TimeBudget.BACKGROUND,
            pages=most,
        )
        async with aclosing(pages):
            async for page in pages:
                self._count_request()
                found |= {result.id: result for result in page}
                more, cursor = page.more, page.next_cursor
        return ResultPages(found, more, cursor)


def lacks_passes(run: Run, results: Collection[Result]) -> bool:
    """Whether a run counts more passed results than these; if it counts none by itself, of all those that remain."""
    came = sum(result.outcome is Outcome.PASSED for result in results)
    if run.counts.passed is not None:
        return run.counts.passed > came
    others = max(run.counts.bad_count + (run.counts.skipped or 0), len(results) - came)
    return (run.counts.total or 0) - others > came


def _may_have_unlisted_failures(run: Run, first: ResultPages, found: Collection[Result]) -> bool:
    """Whether a run may have bad results that are not listed by status: Zof may compare that exactly.

    So it may if it counts or has more than were found, or if a status on its first page is not that of its outcome.
    """
    has_other_words = any(item.outcome.is_bad and not has_plain_status(item) for item in first.results.values())
    lacks_all = run.has_unnamed_failures and not _count_bad(found)
    return has_other_words or lacks_all or run.counts.bad_count > _count_bad(found)


def _count_bad(results: Iterable[Result]) -> int:
    return sum(result.outcome.is_bad for result in results)
