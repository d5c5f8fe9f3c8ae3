"""Reads feeds and whole runs from Zof within a request budget, so that quota is left for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

from zofbot.domain.errors import ZofError, ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.model import Outcome, Result, Run, is_valid_id
from zofbot.polling.cursor import Feed, FeedCursor, ListingName, result_id
from zofbot.store.pending_runs import PendingRun
from zofbot.subscriptions import PlatformEvent, RunFinding
from zofbot.subscriptions.case_retries import is_retried
from zofbot.subscriptions.events import PLATFORM_EVENT_TYPES
from zofbot.zof.client import Page, TimeBudget, ZofClient

MAX_RESULT_PAGES = 10
"""Pages of results read per run and outcome; further results are only counted."""

MayRecover = Callable[[RunFinding], bool]
"""Whether what passes in a run may end an open failure."""


class RunReader:
    """Reads Zof within a budget: ``most`` requests per interval, of which ``left`` remain and ``spent`` were made."""

    def __init__(self, zof: ZofClient, most: int) -> None:
        self.most = self.left = most
        self.spent = 0
        self._zof = zof

    def start_interval(self) -> None:
        """Start a new interval. Requests above the last one's budget (a run is always read in full) are deducted."""
        self.left = self.most + min(self.left, 0)
        self.spent = 0

    async def feed_pages(self, feed: Feed, progress: FeedCursor) -> AsyncGenerator[Page[Run] | Page[Result], None]:
        """Continue a scan of a feed. Raises ZofError."""
        async with aclosing(self.listing_pages(feed.noun, progress, feed.outcome)) as pages:
            async for page in pages:
                yield page

    async def listing_pages(
        self, noun: ListingName, progress: FeedCursor, status: str | None = None
    ) -> AsyncGenerator[Page[Run] | Page[Result], None]:
        """Continue a scan of a listing, of one status or all. Raises ZofError."""
        listing = self._zof.list_runs if noun == "runs" else self._zof.list_results
        since = datetime.fromtimestamp(max(progress.mark, 0), UTC)
        pages = listing(
            status=status, since=since, starting_after=progress.cursor, time_budget=TimeBudget.BACKGROUND, pages=10**6
        )
        async with aclosing(pages):
            try:
                async for page in pages:
                    self._count_request()
                    yield page
            except ZofError:
                self._count_request()  # a failed request counts too
                raise

    async def read_pending(
        self, watches: Sequence[PendingRun], may_recover: MayRecover
    ) -> list[RunFinding | PlatformEvent | Exception]:
        """Read pending runs at the same time; an error is returned, so that it does not cancel other reads."""
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(self._read_or_return_error(watch, may_recover)) for watch in watches]
        return [read.result() for read in reads]

    async def _read_or_return_error(
        self, watch: PendingRun, may_recover: MayRecover
    ) -> RunFinding | PlatformEvent | Exception:
        try:
            match watch.kind:
                case "run":
                    return await self.read_run(watch, may_recover)
                case "result":
                    return await self.read_result(watch, may_recover)
                case _:
                    return await self.read_platform_event(watch)
        except Exception as error:
            return error

    async def read_run(self, watch: PendingRun, may_recover: MayRecover) -> RunFinding:
        """Read a run with its failures, and with all passed results if it may end a failure. Raises ZofError."""
        self._count_request()
        run = await self._zof.get_run(watch.subject, time_budget=TimeBudget.BACKGROUND)
        otherwise = watch.happened or watch.since
        found = RunFinding.from_results(run, run.results or (), otherwise=otherwise)
        passes = (run.outcome is Outcome.PASSED or run.outcome.is_bad) and may_recover(found)
        ids = frozenset(map(result_id, watch.seen)) - {""}
        if not found.has_ended or not _lacks_results(found, ids, passes=passes):
            return found
        listed, cut = await self._list_results(run, passes=passes, shown=watch.seen)
        results = {result.id: result for result in run.results or ()} | listed
        found = RunFinding.from_results(run, results.values(), otherwise=otherwise)
        return replace(found, is_cut=cut, missing=frozenset() if cut else ids.difference(results))

    async def read_result(self, watch: PendingRun, may_recover: MayRecover) -> RunFinding:
        """Read a result that was listed without its run. Raises ZofError."""
        self._count_request()
        result = await self._zof.get_result(watch.subject, time_budget=TimeBudget.BACKGROUND)
        if result.run_id and is_valid_id(result.run_id):
            return await self.read_run(replace(watch, kind="run", subject=result.run_id), may_recover)
        same = result.model_dump(include={"title", "project_id", "project_name", "environment", "ended", "started"})
        run = Run(id=result.id, outcome=result.outcome, **same)
        return RunFinding.from_results(run, [result], otherwise=watch.happened or watch.since)

    async def read_platform_event(self, watch: PendingRun) -> PlatformEvent:
        """Build a platform event from its webhook, and from the run it names, if any.

        Raises ZofUnavailable if that run cannot be read and the webhook names no project or environment.
        """
        happened = watch.happened or watch.since
        event, projects, environment = PLATFORM_EVENT_TYPES[watch.why], watch.projects, watch.environment
        own = PlatformEvent(event, watch.subject, happened, watch.said, watch.run, projects, environment)
        if not watch.run:
            return own
        self._count_request()
        try:
            run = await self._zof.get_run(watch.run, time_budget=TimeBudget.BACKGROUND)
        except (ZofRejected, ZofUnreadable):
            return own
        except ZofUnavailable:
            if projects or environment:
                return own
            raise
        where = RunFinding.from_results(run, (), otherwise=happened)
        projects = tuple(dict.fromkeys((*projects, *where.projects)))  # the last one is shown
        return replace(own, projects=projects, environment=where.environment or environment)

    def _count_request(self) -> None:
        self.left -= 1
        self.spent += 1

    async def _list_results(self, run: Run, *, passes: bool, shown: Collection[str]) -> tuple[dict[str, Result], bool]:
        """List a run's results: all if one page holds them, else the bad ones, and passed ones for a retry.

        With ``passes``, passed ones are listed too, for recoveries. Those of an outcome that the run counts none of are
        listed if a result with it is among the keys in ``shown``. Also return whether Zof has more than are read.
        """
        found, more = await self._list_by_status(run.id, None, MAX_RESULT_PAGES if run.outcome is Outcome.PASSED else 1)
        if not more or run.outcome is Outcome.PASSED:
            return found, more
        cut = False
        counted = {Outcome.FAILED: run.counts.failed, Outcome.ERROR: run.counts.error}
        outcomes = {key.split(":")[1] for key in shown if result_id(key)}
        for outcome in (outcome for outcome, count in counted.items() if count != 0 or outcome in outcomes):
            listed, more = await self._list_by_status(run.id, outcome, MAX_RESULT_PAGES)
            found, cut = found | listed, cut or more
        # a case with several results may fail in one that was cut off
        if (passes and not cut) or is_retried(result for result in found.values() if result.outcome.is_bad):
            found |= (await self._list_by_status(run.id, Outcome.PASSED, MAX_RESULT_PAGES))[0]
        return found, cut

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


def lacks_passes(run: Run) -> bool:
    """Whether a run has passed results that its own reply lacks, judging by its counts."""
    came = sum(result.outcome is Outcome.PASSED for result in run.results or ())
    return run.results is None or (run.counts.passed or 0) > came


def _lacks_results(found: RunFinding, shown: Collection[str], *, passes: bool) -> bool:
    """Whether a run has results that its own reply lacks, judging by its counts and the ids that listings have shown.

    Passed ones count only with ``passes``.
    """
    run = found.run
    came = {result.id for result in run.results or ()}
    if found.is_partial or not came.issuperset(shown):
        return True
    if passes:
        return lacks_passes(run)
    uncounted = run.counts.failed is None and run.counts.error is None
    return run.results is None and run.outcome.is_bad and uncounted
