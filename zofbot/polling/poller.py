"""The poller: reads news from Zof in the background. Several processes may run one; only the lease holder works."""

from __future__ import annotations

import math
from collections.abc import Callable

import structlog

from zofbot.concurrency import is_cancel_requested
from zofbot.domain.errors import StoreUnavailable, ZofUnavailable
from zofbot.domain.model import utc_datetime
from zofbot.observability import trace_recorder
from zofbot.observability.events.health import LeaseTaken
from zofbot.observability.events.polling import PollCycleEnded, PollProgress
from zofbot.polling.checkpoint import CHECKPOINT_HASHES, PollCheckpoint
from zofbot.polling.context import CycleStats, PollContext
from zofbot.polling.cursor import FEEDS
from zofbot.polling.cycle import PollCycle
from zofbot.polling.lease_keeper import LeaseKeeper
from zofbot.polling.report_job import ReportJob
from zofbot.polling.status import POLLER_LEASE, failure_note, success_note
from zofbot.polling.subscription_cache import SubscriptionCache, subscriptions_in
from zofbot.store.keyspace import MAX_STORE_RETRY_SECONDS
from zofbot.store.leases import Fence, HeldLease, Lease
from zofbot.store.outbox import LeaseLost
from zofbot.store.pending_runs import PENDING_RUNS_HASH, PendingRuns

__all__ = ["CycleStats", "Poller", "lease_seconds", "subscriptions_in"]

log = structlog.get_logger()

MAX_BEAT_SECONDS = 60.0
"""Seconds between two cycles at most, however long the poll interval: the lease is kept and hints are read."""

LEASE_BEATS, STANDBY_CHECK_BEATS = 1.5, 0.25
"""Lease duration, and interval at which a standby checks the lease, in beats; their sum is below two."""

MIN_INTERVAL_SHARE = 0.9
"""Share of the poll interval between two full cycles at least; it varies, so that several bots do not poll in step."""

MAX_PAUSE_SECONDS = 900.0
"""Seconds paused at most when Zof says when to come back. The unit of ``Retry-After`` is not documented
(https://zof.ai/docs/api/rate-limits); if it is another one, a day would pass without a poll."""

MIN_INTERVAL_SECONDS = 30.0
"""Seconds; polling faster is the usual cause of rate limiting (https://zof.ai/docs/limits/api-rate-limits)."""


def lease_seconds(interval: float) -> float:
    """Return how long a poller's lease lasts, in seconds."""
    return min(interval, MAX_BEAT_SECONDS) * LEASE_BEATS


class Poller:
    """Reads failures from Zof and commits what the rules decide; ``random`` returns 0 to 1."""

    def __init__(
        self,
        context: PollContext,
        hints: PendingRuns,
        lease: Lease,
        *,
        random: Callable[[], float],
        digester: ReportJob | None = None,
    ) -> None:
        self._context, self._interval = context, context.settings.interval
        self._beat = min(self._interval, lease.seconds / LEASE_BEATS)
        self._budget_began = self._next_scan = -math.inf
        self._hints = hints
        self._lease = LeaseKeeper(lease, context.events, context.clock)
        self._random = random
        self._checkpoint: PollCheckpoint | None = None
        self._fence: Fence | None = None
        self._started_before = False
        self._is_scan_lost = False
        """Whether the store failed in the last full cycle, so that what that has read must be read again."""
        self._digester = digester
        self._subscriptions = SubscriptionCache()

    async def run(self) -> None:
        """Poll until cancelled: every interval, and sooner for a hint or a pending run that is due."""
        if self._interval < MIN_INTERVAL_SECONDS:
            log.warning("polling often", seconds=self._interval, fix="set ZOFBOT_POLL_INTERVAL to 60, or use webhooks")
        now = self._context.clock.monotonic
        try:
            while not is_cancel_requested():
                outcome, pause, error = await self._run_traced_cycle(
                    feeds=now() >= self._next_scan or self._can_repeat_scan()
                )
                if is_cancel_requested():
                    break
                if outcome == "done":
                    await self._wait_for_hint(min(self._next_scan - now(), self._seconds_until_due()))
                else:
                    if not isinstance(error, StoreUnavailable):
                        self._next_scan = now() + pause
                    await self._context.clock.sleep(pause)
        finally:
            await self._lease.release()
            await self._hints.aclose()

    async def poll_once(self, *, feeds: bool = True) -> CycleStats:
        """Run one cycle if the lease is free: read pending runs and, with ``feeds``, scan all feeds.

        For hints that were just received the lease is not renewed if it was shortly before: commits are fenced.
        Raises StoreUnavailable, LeaseLost if another process has taken over, and ZofUnavailable after committing what
        was found.
        """
        held = None if self._take_hints(feeds=feeds) else await self._hold_lease(whole=feeds)
        if held is None and self._checkpoint is None:
            return CycleStats()
        self._renew_budget(feeds=feeds)
        pending_runs: int | None = None
        try:
            async with self._lease.keep_renewed():
                checkpoint, fence = await self._open_checkpoint(held)
                digest_lease = held if feeds else None
                try:
                    stats = await PollCycle(self._context, checkpoint, self._subscriptions, fence).run(feeds=feeds)
                except ZofUnavailable as error:
                    await self._advance_digests(digest_lease, checkpoint, outage=error)
                    raise
                await self._advance_digests(digest_lease, checkpoint)
            pending_runs = len(checkpoint.pending_runs)
        except ZofUnavailable:
            raise
        except BaseException:
            self._checkpoint = None  # it may be ahead of the store, so it is read again
            raise
        finally:
            self._context.events.emit(PollProgress(self._context.reader.spent, pending_runs))
        stats.requests = self._context.reader.spent
        stats.active_scans, stats.pending_runs = checkpoint.active_scans, pending_runs
        return stats

    async def _advance_digests(
        self, held: HeldLease | None, checkpoint: PollCheckpoint, outage: ZofUnavailable | None = None
    ) -> None:
        if held and self._digester:
            await self._digester.advance_digests(self._context, held, checkpoint, self._subscriptions.all, outage)

    def _can_repeat_scan(self) -> bool:
        """Whether a scan was lost because of the store, and what is left of the request budget allows another."""
        return self._is_scan_lost and self._context.reader.remaining >= len(FEEDS)

    def _renew_budget(self, *, feeds: bool) -> None:
        """Renew the request budget with each full cycle, and for hinted runs every beat until one before the next.

        A lost scan that is repeated earlier has what the interval's budget left.
        """
        now = self._context.clock.monotonic()
        is_repeated = self._is_scan_lost and now < self._next_scan
        if feeds and not is_repeated:
            self._context.reader.start_interval()
            self._next_scan = now + self._interval * (MIN_INTERVAL_SHARE + 0.2 * self._random())
        elif min(now - self._budget_began, self._next_scan - now) >= self._beat:
            self._context.reader.renew_budget()
        else:
            return
        self._budget_began = now

    def _take_hints(self, *, feeds: bool) -> bool:
        """Add the hints just received, if nothing else needs to be read and the lease need not be renewed."""
        hints = self._hints.take_received()
        if feeds or not hints or self._checkpoint is None or not self._lease.is_fresh:
            return False
        return self._checkpoint.add_hints(hints)

    async def _hold_lease(self, *, whole: bool) -> HeldLease | None:
        """Take or renew the lease, and read pending runs with it; None if another process has it."""
        own = self._digester.HASHES if self._digester else ()
        # once an interval all subscriptions are read: earlier versions change them without a new version
        held = await self._lease.hold(PENDING_RUNS_HASH, *self._subscriptions.hashes(whole=whole), *own)
        if held is None:
            self._checkpoint = None
            if self._digester:
                self._digester.reset_batch()
        return held

    async def _run_traced_cycle(self, *, feeds: bool) -> tuple[str, float, Exception | None]:
        """Run one cycle and emit how it ended.

        Return its outcome, the seconds to pause unless that is "done", and the error if any.
        """
        context, what = self._context, "the feeds" if feeds else "pending runs"
        with trace_recorder.record_trace(context.events.emit, "poll", context.clock, what=what):
            began = context.clock.monotonic()
            outcome, pause, read_all_at, error = await self._run_cycle(feeds=feeds)
            seconds = context.clock.monotonic() - began
            context.events.emit(PollCycleEnded(outcome, seconds, feeds, pause, read_all_at, error))
        if feeds:
            self._is_scan_lost = isinstance(error, StoreUnavailable)
        return outcome, pause, error

    async def _run_cycle(self, *, feeds: bool) -> tuple[str, float, float | None, Exception | None]:
        """Run one cycle. Return its outcome, the pause after it, when it had read everything, and the error if any."""
        try:
            stats = await self.poll_once(feeds=feeds)
        except ZofUnavailable as error:
            self._lease.note = failure_note(self._context.unix_time(), error)
            return "unavailable", self._pause_after(error, feeds=feeds), None, error
        except StoreUnavailable as error:
            return "unavailable", min(MAX_STORE_RETRY_SECONDS, self._beat * STANDBY_CHECK_BEATS), None, error
        except LeaseLost as error:
            return "fenced", self._beat * STANDBY_CHECK_BEATS, None, error
        except Exception as error:  # no error may end the loop; it is counted and retried
            return "failed", self._beat, None, error
        read_all_at = self._note_progress(stats) if feeds else None
        if not stats.has_lease:
            return "standby", self._beat * STANDBY_CHECK_BEATS, None, None
        return "done", 0.0, read_all_at, None

    def _note_progress(self, stats: CycleStats) -> float | None:
        """Note for the lease how a full cycle went. Return the Unix time if everything was read."""
        now = self._context.unix_time()
        is_complete = stats.has_lease and not stats.refused
        note = success_note(now) if is_complete else {}
        if error := next(iter(self._context.refused.values()), None):
            note |= failure_note(now, error)
        self._lease.note = note or self._lease.note
        return now if is_complete else None

    def _pause_after(self, error: ZofUnavailable, *, feeds: bool) -> float:
        """Return the seconds to pause: until the time that Zof named, or until the next beat if it named none.

        A cycle without the feeds has asked for a few runs only. Unless the quota is spent, the feeds are tried by the
        next beat, as they tell whether it is an outage.
        """
        wait = (error.retry_at - self._context.clock.now()).total_seconds() if error.retry_at else 0.0
        pause = min(wait, MAX_PAUSE_SECONDS) if wait > 0 else self._beat
        if feeds or error.is_quota_spent:
            return pause
        return min(pause, self._beat, max(self._next_scan - self._context.clock.monotonic(), 0.0))

    def _seconds_until_due(self) -> float:
        """Return the seconds until the next pending run is due, within the request budget, or until the next beat."""
        now = self._context.unix_time()
        has_budget = self._context.reader.remaining > 0
        pending_runs = self._checkpoint.pending_runs.values() if self._checkpoint and has_budget else ()
        return min([self._beat, *(pending.due - now for pending in pending_runs if pending.due > now)])

    async def _wait_for_hint(self, seconds: float) -> None:
        """Wait up to so many seconds for a hint; just sleep if the request budget is spent or the store is down."""
        if self._context.reader.remaining <= 0:
            await self._context.clock.sleep(max(seconds, 0))
            return
        try:
            await self._hints.wait_for_hint(seconds)
        except StoreUnavailable:
            await self._context.clock.sleep(min(max(seconds, 0), MAX_STORE_RETRY_SECONDS))

    async def _open_checkpoint(self, held: HeldLease | None) -> tuple[PollCheckpoint, Fence]:
        """Load the checkpoint, unless this process has already loaded it under its current lease.

        ``held`` is what was read when the lease was renewed; None if it was not.
        """
        if held is None:
            assert self._checkpoint is not None
            assert self._fence is not None
            return self._checkpoint, self._fence
        if held.fence != self._fence:
            self._context.events.emit(LeaseTaken(POLLER_LEASE))
        if self._checkpoint is None or held.fence != self._fence:
            self._checkpoint = PollCheckpoint(
                await self._context.outbox.read_hashes(*CHECKPOINT_HASHES),
                self._context.unix_time(),
                self._context.settings.lookback,
            )
            self._fence = held.fence
            self._log_first_start(self._checkpoint)
        self._checkpoint.load_pending(held.hashes[PENDING_RUNS_HASH])
        self._subscriptions.update(held.hashes)
        return self._checkpoint, held.fence

    def _log_first_start(self, checkpoint: PollCheckpoint) -> None:
        posting_since = utc_datetime(checkpoint.floor).isoformat(timespec="seconds")
        if checkpoint.first and self._started_before:
            log.error("the store is empty again", fix="check Redis' persistence and eviction policy",
                      posting_since=posting_since)  # fmt: skip
        elif checkpoint.first:
            log.info("first start", posting_since=posting_since)
        self._started_before = True
