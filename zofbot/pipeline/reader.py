"""Reads Zof for the poller: pages of a feed, and runs whole, within an allowance that leaves the quota to people."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

from zofbot.errors import ZofError, ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.model import Outcome, Result, Run, is_id
from zofbot.pipeline.feeds import Feed, Noun, Progress
from zofbot.routing import Finding, Notice
from zofbot.routing.attempts import is_retried
from zofbot.routing.finding import NOTICES
from zofbot.store.hints import Watch
from zofbot.zof.client import Page, Patience, ZofClient

RESULT_PAGES = 10
"""Pages of results that are read of one run; more are counted."""


class Reader:
    """``left`` is how many requests may still be made in this interval, ``most`` how many in one."""

    def __init__(self, zof: ZofClient, most: int) -> None:
        self.most = self.left = most
        self.spent = 0
        self._zof = zof

    def renew(self) -> None:
        """Begin an interval; what was overspent in the last one (a run is never read by halves) is made up for."""
        self.left = self.most + min(self.left, 0)
        self.spent = 0

    async def pages(self, feed: Feed, progress: Progress) -> AsyncGenerator[Page[Run] | Page[Result], None]:
        """Go on with a walk. Raises ZofError."""
        async with aclosing(self.listing(feed.noun, progress, feed.outcome)) as pages:
            async for page in pages:
                yield page

    async def listing(
        self, noun: Noun, progress: Progress, status: str | None = None
    ) -> AsyncGenerator[Page[Run] | Page[Result], None]:
        """Go on through a listing, of one status or of all. Raises ZofError."""
        listing = self._zof.runs if noun == "runs" else self._zof.results
        since = datetime.fromtimestamp(max(progress.mark, 0), UTC)
        pages = listing(
            status=status, since=since, starting_after=progress.cursor, patience=Patience.BACKGROUND, pages=10**6
        )
        async with aclosing(pages):
            try:
                async for page in pages:
                    self._spend()
                    yield page
            except ZofError:
                self._spend()  # it was asked for all the same
                raise

    async def run(self, watch: Watch) -> Finding:
        """Read a run with its failures, and with what passed as far as that says more of it. Raises ZofError."""
        self._spend()
        run = await self._zof.run(watch.subject, patience=Patience.BACKGROUND)
        otherwise = watch.happened or watch.since
        found = Finding.of(run, run.results or (), otherwise=otherwise)
        if not found.ended or not _lacks(found, watch.seen):
            return found
        results = {result.id: result for result in run.results or ()} | await self._results(run)
        return Finding.of(run, results.values(), otherwise=otherwise)

    async def result(self, watch: Watch) -> Finding:
        """Read a result that was listed without its run. Raises ZofError."""
        self._spend()
        result = await self._zof.result(watch.subject, patience=Patience.BACKGROUND)
        if result.run_id and is_id(result.run_id):
            return await self.run(replace(watch, kind="run", subject=result.run_id))
        same = result.model_dump(include={"title", "project_id", "project_name", "environment", "ended", "started"})
        run = Run(id=result.id, outcome=result.outcome, **same)
        return Finding.of(run, [result], otherwise=watch.happened or watch.since)

    async def notice(self, watch: Watch) -> Notice:
        """Make out a notice by what the event said, and by a run that it names.

        Raises ZofUnavailable where the event did not say where it belongs.
        """
        happened = watch.happened or watch.since
        event, projects, environment = NOTICES[watch.why], watch.projects, watch.environment
        own = Notice(event, watch.subject, happened, watch.said, watch.run, projects, environment)
        if not watch.run:
            return own
        self._spend()
        try:
            run = await self._zof.run(watch.run, patience=Patience.BACKGROUND)
        except (ZofRejected, ZofUnreadable):
            return own
        except ZofUnavailable:
            if projects or environment:
                return own
            raise
        where = Finding.of(run, (), otherwise=happened)
        projects = tuple(dict.fromkeys((*projects, *where.projects)))  # the last is shown
        return replace(own, projects=projects, environment=where.environment or environment)

    def _spend(self) -> None:
        self.left -= 1
        self.spent += 1

    async def _results(self, run: Run) -> dict[str, Result]:
        """List a run's results: all where a page holds them; what passed where it may be a recovery or a retry."""
        found, more = await self._listed(run.id, None, RESULT_PAGES if run.outcome is Outcome.PASSED else 1)
        if not more or run.outcome is Outcome.PASSED:
            return found
        counted = {Outcome.FAILED: run.counts.failed, Outcome.ERROR: run.counts.error}
        for outcome in (outcome for outcome, count in counted.items() if count != 0):
            found |= (await self._listed(run.id, outcome, RESULT_PAGES))[0]
        if is_retried(result for result in found.values() if result.outcome.bad):
            found |= (await self._listed(run.id, Outcome.PASSED, RESULT_PAGES))[0]
        return found

    async def _listed(self, run_id: str, status: Outcome | None, most: int) -> tuple[dict[str, Result], bool]:
        """The results on so many pages, and whether Zof has more of them."""
        found: dict[str, Result] = {}
        more = False
        pages = self._zof.results(run_id=run_id, status=status, patience=Patience.BACKGROUND, pages=most)
        async with aclosing(pages):
            async for page in pages:
                self._spend()
                found |= {result.id: result for result in page}
                more = page.more
        return found, more


def _lacks(found: Finding, seen: Collection[str]) -> bool:
    """Whether a run has results that did not come along with it, as far as its counts and the listings tell."""
    run = found.run
    came = {result.id for result in run.results or ()}
    listed = {field.rpartition(":")[2] for field in seen if field.startswith("results:")}
    if found.partial or not listed <= came:
        return True
    uncounted = run.counts.failed is None and run.counts.error is None
    return run.results is None and (run.outcome is Outcome.PASSED or (run.outcome.bad and uncounted))
