"""The poller: the only background reader of Zof. Several processes may run one; only the lease holder works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Protocol

import structlog

from zofbot.alerting.rules import decide_batch
from zofbot.clock import Clock
from zofbot.concurrency import cancel_tasks, is_cancel_requested
from zofbot.domain.errors import StoreUnavailable, ZofUnavailable
from zofbot.observability import trace_recorder
from zofbot.observability.metrics import Metrics
from zofbot.observability.trace_recorder import KeepTrace, discard_trace
from zofbot.polling.checkpoint import CHECKPOINT_HASHES, PollCheckpoint
from zofbot.polling.context import CycleStats, DecisionRules, PollContext, PollOutbox
from zofbot.polling.cursor import ListOrder
from zofbot.polling.cycle import PollCycle
from zofbot.polling.run_reader import RunReader
from zofbot.polling.status import failure_note, success_note
from zofbot.polling.subscription_cache import SUBSCRIPTIONS, SubscriptionCache, subscriptions_in
from zofbot.store.leases import Fence, HeldLease, Lease, LeaseNote
from zofbot.store.outbox import LeaseLost
from zofbot.store.pending_runs import PENDING_RUNS_HASH as HINTS
from zofbot.store.pending_runs import PendingRuns
from zofbot.subscriptions import Subscription
from zofbot.zof.client import ZofClient

__all__ = ["SUBSCRIPTIONS", "CycleStats", "Poller", "lease_seconds", "subscriptions_in"]

log = structlog.get_logger()

MAX_BEAT_SECONDS = 60.0
"""Seconds between two cycles at most, however long the poll interval: the lease is kept and hints are read."""

LEASE_BEATS, STANDBY_CHECK_BEATS = 1.5, 0.25
"""Lease duration, and interval at which a standby checks the lease, in beats; their sum is below two."""

MAX_STORE_RETRY_SECONDS = 5.0
"""Seconds until an unreachable store is tried again, at most."""

MIN_INTERVAL_SECONDS = 30.0
"""Seconds; polling faster is the usual cause of rate limiting (https://zof.ai/docs/limits/api-rate-limits)."""


def lease_seconds(interval: float) -> float:
    """Return how long a poller's lease lasts, in seconds."""
    return min(interval, MAX_BEAT_SECONDS) * LEASE_BEATS


class ReportJob(Protocol):
    """Reads Zof for reports between two cycles, under the poller's lease and within its request budget."""

    @property
    def HASHES(self) -> Sequence[str]:  # noqa: N802  # a class constant of implementations
        """The hashes that it needs, read together with the poller's."""

    def reset_batch(self) -> None:
        """Discard unfinished work because another process holds the lease."""

    async def advance_digests(
        self, context: PollContext, held: HeldLease, checkpoint: PollCheckpoint, subscriptions: Sequence[Subscription]
    ) -> None:
        """Continue reading for the digests that are due. Raises StoreUnavailable and LeaseLost."""


class Poller:
    """Reads failures from Zof and commits what the rules decide.

    Times are seconds. ``order`` is the order of Zof's listings if an operator set it, ``requests`` the maximum per
    interval; ``random`` returns 0 to 1; ``keep`` stores the traces of cycles in which something went wrong.
    """

    def __init__(  # noqa: PLR0913  # the poller connects Zof, the rules and the outbox
        self,
        zof: ZofClient,
        outbox: PollOutbox,
        hints: PendingRuns,
        lease: Lease,
        *,
        metrics: Metrics,
        clock: Clock,
        random: Callable[[], float],
        decide: DecisionRules = decide_batch,
        interval: float = 60,
        lookback: float = 3600,
        order: ListOrder | None = None,
        requests: int = 20,
        default_channel: str = "",
        digester: ReportJob | None = None,
        keep: KeepTrace = discard_trace,
    ) -> None:
        self._keep = keep
        self.interval = interval
        self._beat = min(interval, lease.seconds / LEASE_BEATS)
        self._context = PollContext(
            outbox, RunReader(zof, requests), decide, metrics, clock, lookback, order, default_channel
        )
        self._hints = hints
        self._lease = lease
        self._random = random
        self._checkpoint: PollCheckpoint | None = None
        self._fence: Fence | None = None
        self._started_before = False
        self._lease_note: LeaseNote = {}
        self._digester = digester
        self._subscriptions = SubscriptionCache()

    async def run(self) -> None:
        """Poll until cancelled: every interval, and sooner for a hint or a watched run that is due."""
        if self.interval < MIN_INTERVAL_SECONDS:
            log.warning("polling often", seconds=self.interval, mend="set ZOFBOT_POLL_INTERVAL to 60, or use webhooks")
        now = self._context.clock.monotonic
        following = now()
        try:
            while not is_cancel_requested():
                feeds = now() >= following
                if feeds:
                    following = now() + self.interval * (0.9 + 0.2 * self._random())
                outcome, pause = await self._run_traced_cycle(feeds=feeds)
                if is_cancel_requested():
                    break
                if outcome == "done":
                    await self._wait_for_hint(min(following - now(), self._seconds_until_due()))
                else:
                    following = now() + pause
                    await self._context.clock.sleep(pause)
        finally:
            await self._release_lease()

    async def poll_once(self, *, feeds: bool = True) -> CycleStats:
        """Run one cycle if the lease is free: read pending runs and, with ``feeds``, scan all feeds.

        Raises StoreUnavailable, LeaseLost if another process has taken over, and ZofUnavailable after committing what
        was found.
        """
        own = self._digester.HASHES if self._digester else ()
        held = await self._lease.hold(HINTS, SUBSCRIPTIONS, *own, note=self._lease_note)
        self._lease_note = {}
        self._context.metrics.lease.labels("poller").set(held is not None)
        if held is None:
            self._checkpoint = None
            if self._digester:
                self._digester.reset_batch()
            return CycleStats()
        if feeds:
            self._context.reader.start_interval()
        try:
            async with self._keep_lease():
                checkpoint = await self._open_checkpoint(held)
                self._subscriptions.update(held.hashes[SUBSCRIPTIONS])
                stats = await PollCycle(self._context, checkpoint, self._subscriptions, held.fence).run(feeds=feeds)
                if feeds and self._digester:
                    await self._digester.advance_digests(self._context, held, checkpoint, self._subscriptions.all)
        except ZofUnavailable:
            raise
        except BaseException:
            self._checkpoint = None  # it may be ahead of the store, so it is read again
            raise
        finally:
            self._context.metrics.poll_requests.set(self._context.reader.spent)
        self._context.metrics.poll_watched.set(len(checkpoint.watches))
        stats.requests, stats.walking, stats.watched = (
            self._context.reader.spent,
            checkpoint.active_scans,
            len(checkpoint.watches),
        )
        return stats

    async def _run_traced_cycle(self, *, feeds: bool) -> tuple[str, float]:
        """Run one cycle. Return its outcome, and the seconds to pause unless that is "done"."""
        what = "the feeds" if feeds else "what is watched"
        with trace_recorder.record_trace(self._keep, "poll", self._context.clock, what=what):
            outcome, pause = await self._run_cycle(feeds=feeds)
            trace_recorder.record_step("poll", "turn", outcome, bad=outcome in ("unavailable", "failed"))
        return outcome, pause

    async def _run_cycle(self, *, feeds: bool) -> tuple[str, float]:
        outcome, pause = "failed", self._beat
        began = self._context.clock.monotonic()
        try:
            stats = await self.poll_once(feeds=feeds)
            outcome, pause = ("done", 0.0) if stats.leads else ("standby", self._beat * STANDBY_CHECK_BEATS)
            if feeds and stats.leads and not stats.refused:
                self._context.metrics.poll_last.set(self._context.unix_time())
                self._lease_note = success_note(self._context.unix_time())
            elif feeds and self._context.refused:
                self._lease_note = failure_note(self._context.unix_time(), next(iter(self._context.refused.values())))
        except ZofUnavailable as error:
            outcome, pause = "unavailable", self._seconds_until(error.retry_at)
            self._lease_note = failure_note(self._context.unix_time(), error)
            log.warning("zof not read", cause=error.sentence, request_id=error.request_id, again=round(pause, 1))
        except StoreUnavailable as error:
            outcome, pause = "unavailable", min(MAX_STORE_RETRY_SECONDS, self._beat * STANDBY_CHECK_BEATS)
            log.warning("poller without store", error=error.sentence, again=round(pause, 1))
        except LeaseLost:
            outcome, pause = "fenced", self._beat * STANDBY_CHECK_BEATS
            log.warning("another poller has taken over")
        except Exception as error:  # no error may end the loop; it is counted and retried
            log.error("poll failed", exc_info=error)
            trace_recorder.record_error(error)
        self._context.metrics.poll_turns.labels(outcome).inc()
        if feeds and outcome != "standby":
            self._context.metrics.poll_seconds.observe(self._context.clock.monotonic() - began)
        return outcome, pause

    def _seconds_until(self, retry_at: datetime | None) -> float:
        wait = (retry_at - self._context.clock.now()).total_seconds() if retry_at else 0.0
        return wait if wait > 0 else self._beat

    def _seconds_until_due(self) -> float:
        """Return the seconds until the next watched run is due, within the request budget, or until the next beat."""
        now = self._context.unix_time()
        watches = self._checkpoint.watches.values() if self._checkpoint and self._context.reader.left > 0 else ()
        return min([self._beat, *(watch.due - now for watch in watches if watch.due > now)])

    async def _wait_for_hint(self, seconds: float) -> None:
        """Wait up to so many seconds for a hint; just sleep if the request budget is spent or the store is down."""
        if self._context.reader.left <= 0:
            await self._context.clock.sleep(max(seconds, 0))
            return
        try:
            await self._hints.wait_for_hint(seconds)
        except StoreUnavailable:
            await self._context.clock.sleep(min(max(seconds, 0), MAX_STORE_RETRY_SECONDS))

    async def _release_lease(self) -> None:
        """Release the lease, so that another process can take over at once."""
        try:
            await self._lease.release(self._lease_note)
        except StoreUnavailable:
            log.warning("lease not released", seconds=self._lease.seconds)
        await self._hints.aclose()

    async def _open_checkpoint(self, held: HeldLease) -> PollCheckpoint:
        """Load the checkpoint, unless this process has already loaded it under its current lease."""
        if held.fence != self._fence:
            self._context.metrics.lease_taken.labels("poller").inc()
        if self._checkpoint is None or held.fence != self._fence:
            self._checkpoint = PollCheckpoint(
                await self._context.outbox.read_hashes(*CHECKPOINT_HASHES),
                self._context.unix_time(),
                self._context.lookback,
            )
            self._fence = held.fence
            self._log_first_start(self._checkpoint)
        self._checkpoint.load_pending(held.hashes[HINTS])
        return self._checkpoint

    def _log_first_start(self, checkpoint: PollCheckpoint) -> None:
        if checkpoint.first and self._started_before:
            log.error("the store came back empty", mend="look at Redis' persistence and eviction policy",
                      posting_since=checkpoint.floor)  # fmt: skip
        elif checkpoint.first:
            log.info("first start", posting_since=checkpoint.floor)
        self._started_before = True

    @asynccontextmanager
    async def _keep_lease(self) -> AsyncIterator[None]:
        """Renew the lease in the background while a cycle runs."""
        keeping = asyncio.create_task(self._renew_lease())
        try:
            yield
        finally:
            await cancel_tasks(keeping)

    async def _renew_lease(self) -> None:
        while True:
            await self._context.clock.sleep(self._lease.seconds / 3)
            try:
                await self._lease.hold()
            except StoreUnavailable:
                log.warning("lease not renewed", seconds=self._lease.seconds)
