"""Walks through Zof's listings: what a page shows for the first time becomes something to look at."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

import structlog

from zofbot.alerting.state import scope_key
from zofbot.domain.errors import ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.model import Outcome, Result, Run, is_valid_id
from zofbot.polling.checkpoint import PollCheckpoint
from zofbot.polling.context import CycleStats, PollContext
from zofbot.polling.cursor import (
    ALL_RUNS_FEED,
    FEEDS,
    OVERLAP_SECONDS,
    Feed,
    FeedCursor,
    ListedItem,
    is_shown_by_status,
)
from zofbot.store.pending_runs import PendingRun
from zofbot.subscriptions import RunFinding
from zofbot.zof.client import Page

log = structlog.get_logger()

AUDIT_INTERVAL_SECONDS = 3600.0
"""How often each feed is compared with what was noted."""

AUDIT_LOOK_BACK_SECONDS = 24 * 3600.0
"""How far back that goes, or the look-back if it is longer: a run is listed where it began, and may take that long."""

MAX_AUDIT_PAGES = 2
"""Pages that an audit may read in one turn."""

PageStream = AsyncGenerator[Page[Run] | Page[Result], None]


@dataclass(frozen=True, slots=True)
class FeedScan:
    """One feed being read, for news or for an audit; ``name`` is that of its progress."""

    feed: Feed
    name: str
    pages: PageStream


class FeedScanner:
    """The walks of one turn."""

    def __init__(self, means: PollContext, book: PollCheckpoint, tick: CycleStats) -> None:
        self._means = means
        self._book = book
        self._tick = tick
        self._barred = False

    async def scan_feeds(self) -> None:
        """Read a page of each feed in turn; half of the allowance at most, for what is found has to be read, too.

        Raises ZofUnavailable.
        """
        self._book.prune_recovery_watches()
        most = max(self._means.reader.most // 2, len(FEEDS))
        read = await self._interleave_scans([(feed, feed.name, self._start_scan(feed)) for feed in FEEDS], most)
        audits = [(feed, name, progress) for feed in FEEDS for name, progress in self._active_audit(feed)]
        await self._interleave_scans(audits, min(MAX_AUDIT_PAGES, most - read))

    async def _interleave_scans(self, chosen: Sequence[tuple[Feed, str, FeedCursor]], most: int) -> int:
        """Take turns until all walks have ended, ``most`` pages were read or the key was refused; how many were."""
        reader = self._means.reader
        least = max(0, reader.left - most)
        before = reader.left
        async with AsyncExitStack() as stack:
            walks = []
            for feed, name, progress in chosen:
                pages = await stack.enter_async_context(aclosing(reader.feed_pages(feed, progress)))
                walks.append(FeedScan(feed, name, pages))
            while walks and reader.left > least and not self._barred:
                walks = [
                    walk for walk in walks if self._barred or reader.left <= least or await self._advance_scan(walk)
                ]
        return before - reader.left

    def _start_scan(self, feed: Feed) -> FeedCursor:
        progress = self._book.cursor_of(feed.name)
        if progress.began is None:
            if progress.complete is not None:
                mark = progress.complete - OVERLAP_SECONDS
            else:
                mark = self._first_mark() if feed is ALL_RUNS_FEED else 0.0
            progress = progress.start_scan(self._means.unix_time(), max(mark, self._book.floor))
            self._book.start_scan(feed.name, progress)
        return progress

    def _first_mark(self) -> float:
        """How far back all runs are read at first: they are many, and an earlier version did not read them."""
        open_ = (each.since for each in self._book.failing.values())
        return min([self._means.unix_time() - self._means.lookback, *open_])

    def _active_audit(self, feed: Feed) -> Iterator[tuple[str, FeedCursor]]:
        """The audit of a feed, if one is under way or due."""
        name, now, known = _audit_name(feed), self._means.unix_time(), self._book.cursor_of(feed.name)
        audit = self._book.cursor_of(name)
        if audit.began is None and known.order and self._is_audit_due(feed):
            audit = replace(
                known.start_scan(now, now - max(AUDIT_LOOK_BACK_SECONDS, self._means.lookback)), complete=audit.complete
            )
            self._book.save_cursor(name, audit)
        if audit.began is not None:
            yield name, audit

    def _is_audit_due(self, feed: Feed) -> bool:
        last = self._book.cursor_of(_audit_name(feed)).complete or self._book.opened
        return self._means.unix_time() - last >= AUDIT_INTERVAL_SECONDS

    async def _advance_scan(self, walk: FeedScan) -> bool:
        """Take in one page; whether the walk goes on."""
        progress = self._book.cursor_of(walk.name)
        try:
            page = await anext(walk.pages, None)
        except (ZofRejected, ZofUnreadable) as error:
            self._handle_refusal(walk, progress, error)
            return False
        except ZofUnavailable as error:
            if walk.feed is not ALL_RUNS_FEED:
                raise
            log.warning("runs not read", cause=error.sentence, request_id=error.request_id)
            return False  # it is the longest of all listings; what the others show is told all the same
        if self._means.refused.pop(walk.feed.name, None):
            log.info("feed read again", feed=walk.feed.name)
        if page is None:  # the cursor came round again
            onward = progress.finish_scan()
        else:
            fresh = [item for item in page if self._queue_if_new(walk.feed, item)]
            onward = progress.advance_past(page, known=not fresh, order=self._means.order)
        self._book.save_cursor(walk.name, onward)
        if onward.began is None:
            self._finish_scan(walk, progress, onward)
        return onward.began is not None

    def _queue_if_new(self, feed: Feed, item: ListedItem) -> bool:
        """Whether an item was not known; then it is to be looked at."""
        if feed is ALL_RUNS_FEED and not self._is_relevant(item):
            return False
        name = feed.item_key(item)
        if self._book.is_known(name):
            return False
        at = item.happened_at
        complete = self._book.cursor_of(feed.name).complete
        if complete is None and at is None:
            self._book.mark_handled([name], self._means.unix_time())  # it may be as old as anything
        if complete is None if at is None else at < self._book.floor:
            self._count_silent(feed, first=complete is None)
            return False
        if isinstance(item, Result) and self._book.is_truncated(item.run_id):
            self._book.mark_handled([name], at or self._means.unix_time())
            return False
        self._tick.fresh += 1
        self._means.metrics.poll_new.labels(feed.name).inc()
        if (
            complete is not None
            and at is not None
            and at < complete - OVERLAP_SECONDS
            and item.outcome is not Outcome.PASSED
        ):
            self._means.missed[feed.name] += 1  # an earlier walk should have seen it
        self._queue_read(feed, item, name, at)
        return True

    def _count_silent(self, feed: Feed, *, first: bool) -> None:
        if first and feed is not ALL_RUNS_FEED:
            self._tick.silent += 1
            self._means.silent[feed.name] += 1
            self._means.metrics.poll_silent.inc()

    def _is_relevant(self, item: ListedItem) -> bool:
        """Whether a run says something that no other feed does: it may be a recovery, or failed in other words."""
        assert isinstance(item, Run)
        if item.outcome is not Outcome.PASSED:
            return item.outcome.is_bad and not is_shown_by_status(item)
        failed = self._book.failing.get(scope_key(RunFinding.from_results(item, (), otherwise=0)))
        return failed is not None and (item.happened_at is None or item.happened_at > failed.since)

    def _queue_read(self, feed: Feed, item: ListedItem, name: str, at: float | None) -> None:
        """Have its run read, or the result itself where it names none."""
        run = item.id if isinstance(item, Run) else item.run_id or ""
        subject = run if is_valid_id(run) else item.id
        if not is_valid_id(subject):
            log.error("listed under an id that cannot be asked for", feed=feed.name, request_id=item.request_id)
            self._book.mark_handled([name], self._means.unix_time())
            return
        watch = PendingRun("run" if subject == run else "result", subject, feed.name, self._means.unix_time(), at)
        known = self._book.watches.get(watch.hash_field, watch)
        # A run that is listed has ended; a result may be listed while its run goes on.
        due = 0.0 if feed.noun == "runs" else known.due
        self._book.add_pending(replace(known, due=due, seen=(*known.seen, name)))

    def _handle_refusal(self, walk: FeedScan, progress: FeedCursor, error: ZofRejected | ZofUnreadable) -> None:
        self._tick.refused += 1
        if progress.cursor is not None and error.status in (400, 404, 410):
            log.warning("zof cursor", fault="refused", feed=walk.name, request_id=error.request_id)
            self._book.save_cursor(walk.name, progress.restart_scan())
            return
        if progress.cursor is None or isinstance(error, ZofRejected):
            self._book.save_cursor(
                walk.name, progress.postpone_scan()
            )  # else what other feeds found would wait for this walk
        self._barred = error.status == 401  # of the others Zof would say the same
        before = self._means.refused.get(walk.feed.name)
        self._means.refused[walk.feed.name] = error
        if before is None or before.sentence != error.sentence:
            log.error("feed not read", feed=walk.name, cause=error.sentence, mend=error.next_step,
                      request_id=error.request_id)  # fmt: skip

    def _finish_scan(self, walk: FeedScan, before: FeedCursor, after: FeedCursor) -> None:
        feed = walk.feed
        if walk.name != feed.name:
            self._report_audit(feed, before.mark)
            return
        if before.complete is None:
            log.info("feed begun", feed=feed.name, silent=self._means.silent.pop(feed.name, 0), since=before.mark)
        if after.order is None and self._is_audit_due(feed):
            # Where no order shows, each walk reads all there is: that is an audit.
            self._book.save_cursor(_audit_name(feed), FeedCursor(complete=self._means.unix_time()))
            self._report_audit(feed, 0)

    def _report_audit(self, feed: Feed, since: float) -> None:
        missed = self._means.missed.pop(feed.name, 0)
        line = log.warning if missed else log.info
        line("feed audited", feed=feed.name, missed=missed, since=since)
        self._means.metrics.poll_gap.labels(feed.name).set(missed)
        self._means.metrics.poll_audited.labels(feed.name).set(self._means.unix_time())


def _audit_name(feed: Feed) -> str:
    """Under which an audit's progress is kept."""
    return f"audit of {feed.name}"
