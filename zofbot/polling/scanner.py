"""Scan Zof's listings page by page, and queue the runs of new items for reading."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

import structlog

from zofbot.domain.errors import ZofError, ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.model import Outcome, Result, Run
from zofbot.observability.events.polling import ItemListed, OldFailureListed
from zofbot.polling.checkpoint import PollCheckpoint
from zofbot.polling.context import CycleStats, PollContext
from zofbot.polling.cursor import (
    ALL_RUNS_FEED,
    FEEDS,
    MAX_SCAN_PAGES,
    OVERLAP_SECONDS,
    Feed,
    FeedCursor,
    ListedItem,
)
from zofbot.polling.feed_audits import FeedAudits
from zofbot.polling.run_relevance import is_relevant
from zofbot.store.pending_runs import PendingRun
from zofbot.zof.client import Page
from zofbot.zof.protocol import is_askable_id, is_input_refusal

log = structlog.get_logger()

MAX_AUDIT_PAGES = 2
"""Pages that audits may read in one cycle."""

MAX_PAGE_FAILURES = 3
"""Cycles in a row in which a page cannot be read before a scan ends there and leaves the rest to the audit."""

MAX_UNLISTED_INTERVALS = 5
"""Poll intervals without a complete list of all runs after which cycles count as incomplete."""

PageStream = AsyncGenerator[Page[Run] | Page[Result], None]


@dataclass(frozen=True, slots=True)
class FeedScan:
    """A feed being read, for new items or for an audit; ``name`` is the name of its cursor."""

    feed: Feed
    name: str
    pages: PageStream


class FeedScanner:
    """Runs the feed scans of one cycle."""

    def __init__(self, context: PollContext, checkpoint: PollCheckpoint, stats: CycleStats) -> None:
        self._context = context
        self._checkpoint = checkpoint
        self._stats = stats
        self._began = context.unix_time()
        self._audits = FeedAudits(context, checkpoint)
        self._barred = False
        self._read_any = False
        self._failures: list[tuple[FeedScan, ZofUnavailable | ZofUnreadable]] = []

    async def scan_feeds(self) -> None:
        """Read the feeds one page at a time, then audits, within half of the budget; the rest is for reading runs.

        Audits that have begun get pages of their own: a feed without a detectable order is read whole each time and may
        need all others. Raises ZofUnavailable if no feed can be read, or if the quota is spent.
        """
        self._checkpoint.prune_recovery_watches(self._context.unix_time())
        audit_pages = MAX_AUDIT_PAGES if self._audits.has_begun() else 0
        most = max(self._context.reader.budget // 2, len(FEEDS) + audit_pages)
        failed_last = sorted(FEEDS, key=lambda feed: isinstance(self._context.refused.get(feed.name), ZofUnavailable))
        feeds = [(feed, feed.name, self._start_scan(feed)) for feed in failed_last]
        read = await self._interleave_scans(feeds, most - audit_pages)
        unread_last = sorted(self._audits.start_due_audits(), key=lambda audit: audit[0].name in self._context.refused)
        await self._interleave_scans(unread_last, min(MAX_AUDIT_PAGES, most - read))

    async def _interleave_scans(self, chosen: Sequence[tuple[Feed, str, FeedCursor]], most: int) -> int:
        """Read pages in turn until all scans end, ``most`` pages are read or the key is refused. Return the count."""
        reader = self._context.reader
        least = max(0, reader.remaining - most)
        before = reader.remaining
        async with AsyncExitStack() as stack:
            scans = []
            for feed, name, progress in chosen:
                pages = await stack.enter_async_context(
                    aclosing(reader.listing_pages(feed.noun, progress, feed.outcome))
                )
                scans.append(FeedScan(feed, name, pages))
            while scans and reader.remaining > least and not self._barred:
                scans = [
                    scan
                    for scan in scans
                    if self._barred or reader.remaining <= least or await self._advance_scan(scan)
                ]
        self._handle_failures()
        return before - reader.remaining

    def _start_scan(self, feed: Feed) -> FeedCursor:
        progress = self._checkpoint.cursor_of(feed.name)
        if progress.began is None:
            if progress.complete is not None:
                mark = progress.complete - OVERLAP_SECONDS
            else:
                mark = self._first_mark() if feed is ALL_RUNS_FEED else 0.0
            progress = progress.start_scan(self._context.unix_time(), max(mark, self._checkpoint.floor))
            self._checkpoint.start_scan(feed.name, progress)
        return progress

    def _first_mark(self) -> float:
        """Return how far back the first scan of all runs goes; it is limited because there are many.

        Earlier versions did not read this feed, so open failures may be older than the look-back.
        """
        open_ = (each.since for each in self._checkpoint.open_scopes.values())
        return min([self._context.unix_time() - self._context.settings.lookback, *open_])

    async def _advance_scan(self, scan: FeedScan) -> bool:
        """Read one page. Return whether the scan continues."""
        progress = self._checkpoint.cursor_of(scan.name)
        try:
            page = await anext(scan.pages, None)
        except ZofRejected as error:
            self._handle_refusal(scan, progress, error)
            return False
        except (ZofUnavailable, ZofUnreadable) as error:
            if isinstance(error, ZofUnavailable):
                self._raise_if_outage(scan, error)
            self._failures.append((scan, error))
            return False
        self._read_any = True
        if self._context.refused.pop(scan.feed.name, None):
            log.info("feed read again", feed=scan.feed.name)
        if page is None:  # Zof returned the same cursor again
            onward = progress.finish_scan()
        else:
            new_items = [item for item in page if self._queue_if_new(scan, item)]
            onward = progress.advance_past(page, known=not new_items, order=self._context.settings.order)
            if progress.has_repeated(page):
                log.warning("zof cursor", fault="repeated", feed=scan.name, request_id=page.request_id)
        # without an order all pages are read each time, so that only empty ones show that there is no end
        if onward.pages >= MAX_SCAN_PAGES and (onward.order or not page or not page.listed):
            log.error("scan ended after too many pages", feed=scan.name, pages=onward.pages, since=progress.mark)
            self._end_scan_early(scan, progress)
            return False
        self._checkpoint.save_cursor(scan.name, onward)
        if onward.began is None:
            self._finish_scan(scan, progress, onward)
        return onward.began is not None

    def _raise_if_outage(self, scan: FeedScan, error: ZofUnavailable) -> None:
        """Raise an error after which the others need not be tried: Zof says when to come back, and has returned none.

        Since the listing alone may be out of order, the next cycle begins with another.
        """
        if error.is_quota_spent:
            raise error
        if error.retry_at and not self._read_any:
            self._report_refusal(scan, error)
            raise error

    def _queue_if_new(self, scan: FeedScan, item: ListedItem) -> bool:
        """Queue an item's run if the item is new. Return whether it is."""
        feed = scan.feed
        name = feed.item_key(item)
        if self._checkpoint.is_known(name):
            return False
        at = item.happened_at
        is_timeless_pass = at is None and item.outcome is Outcome.PASSED
        listed = self._checkpoint.first_listing(name, self._began) if is_timeless_pass else None
        if isinstance(item, Run) and feed is ALL_RUNS_FEED and not self._is_relevant(scan, item, listed):
            return False
        complete = self._checkpoint.cursor_of(feed.name).complete
        if (complete is None) if at is None else (at < self._checkpoint.floor):
            if at is None:
                self._checkpoint.mark_handled([name], self._context.unix_time())  # it may be arbitrarily old
            self._count_too_old(feed, first=complete is None)
            return False
        if isinstance(item, Result) and self._checkpoint.is_truncated(item.run_id):
            self._checkpoint.mark_handled([name], at or self._context.unix_time())
            return False
        self._stats.new_items += 1
        self._context.events.emit(ItemListed(feed.name))
        if (
            complete is not None
            and at is not None
            and at < complete - OVERLAP_SECONDS
            and item.outcome is not Outcome.PASSED
        ):
            self._context.missed[feed.name] += 1  # an earlier scan should have seen it
        self._queue_read(feed, item, name, at if listed is None else listed)
        return True

    def _count_too_old(self, feed: Feed, *, first: bool) -> None:
        if first and feed is not ALL_RUNS_FEED:
            self._stats.too_old += 1
            self._context.too_old[feed.name] += 1
            self._context.events.emit(OldFailureListed())

    def _is_relevant(self, scan: FeedScan, run: Run, listed: float | None) -> bool:
        """Whether a run adds to the failure feeds; for an audit they do not count, as one may have a broken page."""
        is_audit = scan.name != scan.feed.name
        return is_relevant(run, listed, self._checkpoint, lambda feed: is_audit or self._is_unread(feed))

    def _is_unread(self, feed: Feed) -> bool:
        """Whether a feed could not be read when it was last tried."""
        return feed.name in self._context.refused or any(scan.feed == feed for scan, _ in self._failures)

    def _queue_read(self, feed: Feed, item: ListedItem, name: str, at: float | None) -> None:
        """Queue the item's run for reading, or the result itself if it names no run."""
        run = item.id if isinstance(item, Run) else item.run_id or ""
        subject = run if is_askable_id(run) else item.id
        if not is_askable_id(subject):
            log.error("listed with an unusable id", feed=feed.name, request_id=item.request_id)
            self._checkpoint.mark_handled([name], self._context.unix_time())
            return
        pending = PendingRun("run" if subject == run else "result", subject, feed.name, self._context.unix_time(), at)
        known = self._checkpoint.pending_runs.get(pending.hash_field, pending)
        # A listed run has ended; a result may be listed while its run is in progress.
        due = 0.0 if feed.noun == "runs" else known.due
        self._checkpoint.add_pending(replace(known.with_place(item), due=due, seen=(*known.seen, name)))

    def _handle_refusal(self, scan: FeedScan, progress: FeedCursor, error: ZofRejected) -> None:
        if progress.cursor is not None and (is_input_refusal(error) or error.status in (404, 410)):
            self._stats.refused += 1
            log.warning("zof cursor", fault="refused", feed=scan.name, request_id=error.request_id)
            self._checkpoint.save_cursor(scan.name, progress.restart_scan())
            return
        # else what other feeds found would wait for this scan
        self._checkpoint.save_cursor(scan.name, progress.postpone_scan())
        self._barred = error.status == 401  # the other feeds would be refused too
        self._report_refusal(scan, error)

    def _report_refusal(self, scan: FeedScan, error: ZofError) -> None:
        """Log a feed that cannot be read. One of results is not missed if the key may not read it: runs have them."""
        is_missed = scan.feed.noun == "runs" or not (isinstance(error, ZofRejected) and error.status == 403)
        self._stats.refused += is_missed
        before = self._context.refused.get(scan.feed.name)
        self._context.refused[scan.feed.name] = error
        if before is None or before.sentence != error.sentence:
            log.error("feed not read", feed=scan.name, cause=error.sentence, fix=error.next_step,
                      request_id=error.request_id)  # fmt: skip

    def _handle_failures(self) -> None:
        """Handle the pages that could not be read. Raises ZofUnavailable if there were no others: that is an outage."""
        failures, self._failures = self._failures, []
        outage = next((error for _, error in failures if isinstance(error, ZofUnavailable)), None)
        if outage and not self._read_any:
            raise outage
        for scan, error in failures:
            if isinstance(error, ZofUnavailable) and self._is_dispensable(scan.feed):
                log.warning("runs not read", cause=error.sentence, request_id=error.request_id)
            else:
                self._report_refusal(scan, error)
            progress = self._checkpoint.cursor_of(scan.name)
            if progress.cursor is None:
                self._checkpoint.save_cursor(scan.name, progress.postpone_scan())
            elif self._read_any:
                self._count_failure(scan, progress)

    def _is_dispensable(self, feed: Feed) -> bool:
        """Whether a feed may be unavailable for now: all runs is the longest, and the others show most failures."""
        if feed is not ALL_RUNS_FEED or self._audits.is_extended(feed):
            return False
        complete = self._checkpoint.cursor_of(feed.name).complete or self._checkpoint.opened
        return self._context.unix_time() - complete < MAX_UNLISTED_INTERVALS * self._context.settings.interval

    def _count_failure(self, scan: FeedScan, progress: FeedCursor) -> None:
        """Count a failure to read a page; after too many the scan ends there, and the audit goes back as far.

        Until an audit has done so, later scans end at the first failure, so that nothing waits for them again.
        """
        if not self._audits.is_extended(scan.feed):
            if progress.failures + 1 < MAX_PAGE_FAILURES:
                self._checkpoint.save_cursor(scan.name, replace(progress, failures=progress.failures + 1))
                return
            log.error("scan ended at an unreadable page", feed=scan.name, since=progress.mark)
        self._end_scan_early(scan, progress)

    def _end_scan_early(self, scan: FeedScan, progress: FeedCursor) -> None:
        """End a scan before it has read everything, and let the audit go back as far."""
        is_first = scan.name == scan.feed.name and progress.complete is None
        # what has no time is known to be old only until the first scan ends
        self._checkpoint.save_cursor(scan.name, progress.postpone_scan() if is_first else progress.finish_scan())
        self._audits.extend(scan.feed, progress.mark)

    def _finish_scan(self, scan: FeedScan, before: FeedCursor, after: FeedCursor) -> None:
        feed = scan.feed
        if scan.name != feed.name:
            self._audits.finish(feed, before, after)
            return
        if before.complete is None:
            too_old = self._context.too_old.pop(feed.name, 0)
            log.info("first scan finished", feed=feed.name, too_old=too_old, since=before.mark)
        if after.order is None:
            self._audits.count_scan(feed)
