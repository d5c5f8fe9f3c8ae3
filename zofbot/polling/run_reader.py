"""Reads feeds and whole runs from Zof within a request budget, so that quota is left for people."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from zofbot.domain.errors import BadInput, ZofError, ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.model import Outcome, Result, Run
from zofbot.polling.cursor import FeedCursor, ListingName, result_id
from zofbot.polling.result_lister import ResultLister, lacks_passes
from zofbot.store.pending_runs import PendingRun
from zofbot.subscriptions import PlatformEvent, RunFinding
from zofbot.subscriptions.events import ACTIVE_OUTCOMES, PLATFORM_EVENT_TYPES
from zofbot.zof.client import Page, TimeBudget, ZofClient
from zofbot.zof.protocol import is_askable_id
from zofbot.zof.webhook_event import RUN_END_TYPES

log = structlog.get_logger()

MAX_WATCH_SECONDS = 24 * 3600.0
"""Seconds after which a run that does not end is processed as it is, and one that cannot be read is given up."""

MIN_REFUSALS = 5
"""Refusals, or failures, in a row before a run is given up: after a pause, two may be hours apart."""

MayRecover = Callable[[RunFinding], bool]
"""Whether what passes in a run may end an open failure."""


class RunReader:
    """Reads Zof within a ``budget`` of requests, of which so many are ``remaining``; ``spent`` counts an interval's."""

    def __init__(self, zof: ZofClient, budget: int) -> None:
        self.budget = self.remaining = budget
        self.spent = 0
        self._zof = zof
        self._results = ResultLister(zof, self._count_request)

    def start_interval(self) -> None:
        """Start a new interval, with a new budget."""
        self.renew_budget()
        self.spent = 0

    def renew_budget(self) -> None:
        """Start a new budget. Requests above the last one (a run is always read in full) are deducted."""
        self.remaining = self.budget + min(self.remaining, 0)

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
        self, pending_runs: Sequence[PendingRun], may_recover: MayRecover, now: float
    ) -> list[RunFinding | PlatformEvent | Exception]:
        """Read pending runs at the same time; an error is returned, so that it does not cancel other reads."""
        async with asyncio.TaskGroup() as group:
            reads = [
                group.create_task(self._read_or_return_error(pending, may_recover, now)) for pending in pending_runs
            ]
        return [read.result() for read in reads]

    async def _read_or_return_error(
        self, pending: PendingRun, may_recover: MayRecover, now: float
    ) -> RunFinding | PlatformEvent | Exception:
        try:
            match pending.kind:
                case "run":
                    return await self.read_run(pending, may_recover, now)
                case "result":
                    return await self.read_result(pending, may_recover, now)
                case _:
                    return await self.read_platform_event(pending)
        except BadInput as error:  # an id that Zof lists, but cannot be asked for, is as good as unknown to it
            return ZofRejected(error.sentence, error.next_step, status=404)
        except Exception as error:
            return error

    async def read_run(self, pending: PendingRun, may_recover: MayRecover, now: float) -> RunFinding:
        """Read a run with its failures, and with all passed results if it may end a failure. Raises ZofError.

        If its results cannot be listed, and it could not be read in full the last time either, it is returned without
        them, unless it has ended and has no failures, or its passes are needed.
        """
        self._count_request()
        run = await self._zof.get_run(pending.subject, time_budget=TimeBudget.BACKGROUND)
        came = {result.id: result for result in run.results or ()}
        own = _build_finding(run, came.values(), pending, now)
        # without an end time, only its results tell whether it ended after a failure
        latest = own if run.ended else replace(own, happened=math.inf)
        passes = (own.run.outcome is Outcome.PASSED or own.run.outcome.is_bad) and may_recover(latest)
        shown = _shown_ids(pending)
        if own.run.outcome in ACTIVE_OUTCOMES or not _lacks_results(own, shown, passes=passes):
            return own
        try:
            listing = await self._results.list_results(own.run, pending, passes=passes)
        except ZofError as error:
            matters_without = own.outcome.is_bad or (own.total > 0 and not passes)
            if not _may_last(error, pending) or (own.has_ended and not matters_without):
                raise
            log.warning("results not listed", run=run.id, cause=error.sentence, request_id=error.request_id)
            return replace(own, is_unlisted=True, missing=shown.difference(came))
        results = came | listing.results
        missing = frozenset() if listing.is_truncated else shown.difference(results)
        found = _build_finding(run, results.values(), pending, now)
        has_all_passes = own.has_all_passes or listing.has_passes
        return replace(
            found,
            is_truncated=listing.is_truncated,
            missing=missing,
            has_all_passes=has_all_passes,
            lacks_passes=passes and not has_all_passes,
        )

    async def read_result(self, pending: PendingRun, may_recover: MayRecover, now: float) -> RunFinding:
        """Read a result that was listed without its run, or whose run cannot be read or lacks it. Raises ZofError.

        A project and environment that it does not name are those of its run or listing.
        """
        self._count_request()
        result = await self._zof.get_result(pending.subject, time_budget=TimeBudget.BACKGROUND)
        if result.run_id and is_askable_id(result.run_id) and not pending.alone:
            return await self.read_run(replace(pending, kind="run", subject=result.run_id), may_recover, now)
        own = result.model_dump(
            include={"title", "project_id", "project_name", "environment", "ended", "started"}, exclude_none=True
        )
        place = {"environment": pending.environment or None} if result.project else pending.place
        found = _build_finding(Run(id=result.id, outcome=result.outcome, **{**place, **own}), [result], pending, now)
        return replace(found, has_all_passes=True)

    async def read_platform_event(self, pending: PendingRun) -> PlatformEvent:
        """Build a platform event from its webhook, and from the run it names, if any.

        Raises ZofUnavailable if that run cannot be read and the webhook names no project or environment.
        """
        own = announced_event(pending)
        if not pending.run:
            return own
        self._count_request()
        try:
            run = await self._zof.get_run(pending.run, time_budget=TimeBudget.BACKGROUND)
        except (ZofRejected, ZofUnreadable):
            return own
        except ZofUnavailable:
            if own.projects or own.environment:
                return own
            raise
        where = RunFinding.from_results(run, (), otherwise=own.happened)
        projects = tuple(dict.fromkeys((*own.projects, *where.projects)))  # the last one is shown
        return replace(own, projects=projects, environment=where.environment or own.environment)

    def _count_request(self) -> None:
        self.remaining -= 1
        self.spent += 1


def announced_event(pending: PendingRun) -> PlatformEvent:
    """Return the platform event of a pending notice as its webhook says."""
    event, happened = PLATFORM_EVENT_TYPES[pending.why], pending.happened or pending.since
    return PlatformEvent(
        event, pending.subject, happened, pending.said, pending.run, pending.projects, pending.environment
    )


def _shown_ids(pending: PendingRun) -> frozenset[str]:
    """Return the ids of the failed results that listings have shown."""
    return frozenset(map(result_id, pending.seen)) - {""}


def _build_finding(run: Run, results: Iterable[Result], pending: PendingRun, now: float) -> RunFinding:
    """Build the finding of a pending run as Zof returns it: whether it has ended may be shown elsewhere.

    That is, in a webhook, or by listing a failed result while none is queued or running. After a day without either it
    counts as ended as well, whatever its status is then.
    """
    is_announced, is_late = pending.why in RUN_END_TYPES, now - pending.since >= MAX_WATCH_SECONDS
    times = [pending.happened or 0.0] if is_announced else []
    if run.started is not None and run.duration is not None:
        times.append(min(run.started.timestamp() + run.duration, now))
    found = RunFinding.from_results(
        run, results, otherwise=pending.happened or pending.since, least=max(times, default=0.0)
    )
    if run.outcome is Outcome.UNKNOWN or (run.outcome in ACTIVE_OUTCOMES and is_late):
        named = Outcome.FAILED if pending.why == "run.failed" else Outcome.UNKNOWN
        run = run.model_copy(update={"outcome": named})
    is_over = is_announced or (bool(_shown_ids(pending)) and not found.is_active)
    has_all_passes = run.results is not None and not lacks_passes(run, run.results)
    found = replace(found, run=run, has_all_passes=has_all_passes, is_over=is_over)
    return replace(found, is_overdue=is_late and not found.has_ended)


def _may_last(error: ZofError, pending: PendingRun) -> bool:
    """Whether an error need not be waited for: not the first in a row, and quota is left."""
    is_quota_spent = isinstance(error, ZofUnavailable) and error.is_quota_spent
    return not is_quota_spent and bool(pending.failures or pending.refusals)


def _lacks_results(found: RunFinding, shown: Collection[str], *, passes: bool) -> bool:
    """Whether a run has results that its own reply lacks, judging by its counts and the ids that listings have shown.

    A failed run without either may have some, too. Passed ones count only with ``passes``.
    """
    run = found.run
    came = {result.id for result in run.results or ()}
    if found.is_partial or not came.issuperset(shown) or run.has_unnamed_failures:
        return True
    if passes:
        return not found.has_all_passes
    return run.outcome is Outcome.UNKNOWN and not run.counts.has_bad_count and not came
