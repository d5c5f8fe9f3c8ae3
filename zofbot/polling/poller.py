"""The poller: the only unattended reader of Zof. Any number may run; the one that holds the lease works."""

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
from zofbot.observability import tracing
from zofbot.observability.metrics import Metrics
from zofbot.observability.tracing import KeepTrace, discard_trace
from zofbot.polling import checkpoint
from zofbot.polling.checkpoint import PollCheckpoint
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
"""Seconds between two turns at most, however seldom the feeds are read: the lease is kept, and hints are followed."""

LEASE_BEATS, STANDBY_CHECK_BEATS = 1.5, 0.25
"""How long the lease lasts and how often those who stand by look at it: together less than two beats."""

MAX_STORE_RETRY_SECONDS = 5.0
"""Seconds until a store that is gone is asked again, at most."""

MIN_INTERVAL_SECONDS = 30.0
"""Seconds; to poll faster is what most often has Zof refuse requests (https://zof.ai/docs/limits/api-rate-limits)."""


def lease_seconds(interval: float) -> float:
    """Return how long a poller's lease lasts."""
    return min(interval, MAX_BEAT_SECONDS) * LEASE_BEATS


class ReportJob(Protocol):
    """Reads Zof for reports between two cycles, under the poller's lease and within its request budget."""

    @property
    def HASHES(self) -> Sequence[str]:  # noqa: N802  # a constant of those who do it
        """The hashes that it reads, loaded with those of the poller."""

    def reset_batch(self) -> None:
        """Forget what was begun: another process has the lease now."""

    async def advance_digests(
        self, means: PollContext, held: HeldLease, book: PollCheckpoint, subscriptions: Sequence[Subscription]
    ) -> None:
        """Read on for what is due. Raises StoreUnavailable and LeaseLost."""


class Poller:
    """Reads what failed at Zof and commits what the rules make of it.

    Times are in seconds. ``order`` is that of Zof's listings where an operator named it, ``requests`` how many may be
    made in one interval; ``random`` gives 0 to 1; ``keep`` takes the traces of turns in which something went wrong.
    """

    def __init__(  # noqa: PLR0913  # everything between the two ends of the house is joined here
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
        self._means = PollContext(
            outbox, RunReader(zof, requests), decide, metrics, clock, lookback, order, default_channel
        )
        self._hints = hints
        self._lease = lease
        self._random = random
        self._book: PollCheckpoint | None = None
        self._fence: Fence | None = None
        self._knew = False
        self._word: LeaseNote = {}
        self._digester = digester
        self._subscriptions = SubscriptionCache()

    async def run(self) -> None:
        """Poll until cancelled: every interval, and sooner for a hint or for a run that is watched."""
        if self.interval < MIN_INTERVAL_SECONDS:
            log.warning("polling often", seconds=self.interval, mend="set ZOFBOT_POLL_INTERVAL to 60, or use webhooks")
        now = self._means.clock.monotonic
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
                    await self._means.clock.sleep(pause)
        finally:
            await self._release_lease()

    async def poll_once(self, *, feeds: bool = True) -> CycleStats:
        """Work once, if the lease is to be had: follow hints and, unless told otherwise, read all feeds.

        Raises StoreUnavailable, LeaseLost when another process has taken over meanwhile, and ZofUnavailable, before
        which what was found is committed.
        """
        own = self._digester.HASHES if self._digester else ()
        held = await self._lease.hold(HINTS, SUBSCRIPTIONS, *own, word=self._word)
        self._word = {}
        self._means.metrics.lease.labels("poller").set(held is not None)
        if held is None:
            self._book = None
            if self._digester:
                self._digester.reset_batch()
            return CycleStats()
        if feeds:
            self._means.reader.start_interval()
        try:
            async with self._keep_lease():
                book = await self._open_checkpoint(held)
                self._subscriptions.update(held.hashes[SUBSCRIPTIONS])
                tick = await PollCycle(self._means, book, self._subscriptions, held.fence).run(feeds=feeds)
                if feeds and self._digester:
                    await self._digester.advance_digests(self._means, held, book, self._subscriptions.all)
        except ZofUnavailable:
            raise
        except BaseException:
            self._book = None  # it may be ahead of the store: what is true is read again
            raise
        finally:
            self._means.metrics.poll_requests.set(self._means.reader.spent)
        self._means.metrics.poll_watched.set(len(book.watches))
        tick.requests, tick.walking, tick.watched = self._means.reader.spent, book.active_scans, len(book.watches)
        return tick

    async def _run_traced_cycle(self, *, feeds: bool) -> tuple[str, float]:
        """Work once and say how it went, and how long to pause unless it is done."""
        what = "the feeds" if feeds else "what is watched"
        with tracing.record_trace(self._keep, "poll", self._means.clock, what=what):
            outcome, pause = await self._run_cycle(feeds=feeds)
            tracing.record_step("poll", "turn", outcome, bad=outcome in ("unavailable", "failed"))
        return outcome, pause

    async def _run_cycle(self, *, feeds: bool) -> tuple[str, float]:
        outcome, pause = "failed", self._beat
        began = self._means.clock.monotonic()
        try:
            tick = await self.poll_once(feeds=feeds)
            outcome, pause = ("done", 0.0) if tick.leads else ("standby", self._beat * STANDBY_CHECK_BEATS)
            if feeds and tick.leads and not tick.refused:
                self._means.metrics.poll_last.set(self._means.unix_time())
                self._word = success_note(self._means.unix_time())
            elif feeds and self._means.refused:
                self._word = failure_note(self._means.unix_time(), next(iter(self._means.refused.values())))
        except ZofUnavailable as error:
            outcome, pause = "unavailable", self._seconds_until(error.retry_at)
            self._word = failure_note(self._means.unix_time(), error)
            log.warning("zof not read", cause=error.sentence, request_id=error.request_id, again=round(pause, 1))
        except StoreUnavailable as error:
            outcome, pause = "unavailable", min(MAX_STORE_RETRY_SECONDS, self._beat * STANDBY_CHECK_BEATS)
            log.warning("poller without store", error=error.sentence, again=round(pause, 1))
        except LeaseLost:
            outcome, pause = "fenced", self._beat * STANDBY_CHECK_BEATS
            log.warning("another poller has taken over")
        except Exception as error:  # the one place where nothing may end the loop; it is counted and tried again
            log.error("poll failed", exc_info=error)
            tracing.record_error(error)
        self._means.metrics.poll_turns.labels(outcome).inc()
        if feeds and outcome != "standby":
            self._means.metrics.poll_seconds.observe(self._means.clock.monotonic() - began)
        return outcome, pause

    def _seconds_until(self, retry_at: datetime | None) -> float:
        wait = (retry_at - self._means.clock.now()).total_seconds() if retry_at else 0.0
        return wait if wait > 0 else self._beat

    def _seconds_until_due(self) -> float:
        """Seconds until something that is watched is to be looked at, if there is allowance left, or the next beat."""
        now = self._means.unix_time()
        watches = self._book.watches.values() if self._book and self._means.reader.left > 0 else ()
        return min([self._beat, *(watch.due - now for watch in watches if watch.due > now)])

    async def _wait_for_hint(self, seconds: float) -> None:
        """Wait for a hint. Without the store there is none to be heard, without an allowance none to be followed."""
        if self._means.reader.left <= 0:
            await self._means.clock.sleep(max(seconds, 0))
            return
        try:
            await self._hints.wait_for_hint(seconds)
        except StoreUnavailable:
            await self._means.clock.sleep(min(max(seconds, 0), MAX_STORE_RETRY_SECONDS))

    async def _release_lease(self) -> None:
        """Let another process take over at once."""
        try:
            await self._lease.release(self._word)
        except StoreUnavailable:
            log.warning("lease not released", seconds=self._lease.seconds)
        await self._hints.aclose()

    async def _open_checkpoint(self, held: HeldLease) -> PollCheckpoint:
        """Read what the store knows, unless that was done since this process took over."""
        if held.fence != self._fence:
            self._means.metrics.lease_taken.labels("poller").inc()
        if self._book is None or held.fence != self._fence:
            self._book = PollCheckpoint(
                await self._means.outbox.read_hashes(*checkpoint.CHECKPOINT_HASHES),
                self._means.unix_time(),
                self._means.lookback,
            )
            self._fence = held.fence
            self._log_first_start(self._book)
        self._book.load_pending(held.hashes[HINTS])
        return self._book

    def _log_first_start(self, book: PollCheckpoint) -> None:
        if book.first and self._knew:
            log.error("the store came back empty", mend="look at Redis' persistence and eviction policy",
                      posting_since=book.floor)  # fmt: skip
        elif book.first:
            log.info("first start", posting_since=book.floor)
        self._knew = True

    @asynccontextmanager
    async def _keep_lease(self) -> AsyncIterator[None]:
        """Keep the lease for as long as a turn may take."""
        keeping = asyncio.create_task(self._renew_lease())
        try:
            yield
        finally:
            await cancel_tasks(keeping)

    async def _renew_lease(self) -> None:
        while True:
            await self._means.clock.sleep(self._lease.seconds / 3)
            try:
                await self._lease.hold()
            except StoreUnavailable:
                log.warning("lease not renewed", seconds=self._lease.seconds)
