"""The poller: the only unattended reader of Zof. Any number may run; the one that holds the lease works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from zofbot import tracing
from zofbot.clock import Clock
from zofbot.errands import cancelled, end
from zofbot.errors import StoreUnavailable, ZofUnavailable
from zofbot.metrics import Metrics
from zofbot.pipeline import notebook
from zofbot.pipeline.digester import Digester
from zofbot.pipeline.feeds import Order
from zofbot.pipeline.means import Decide, Means, Outbox, Tick
from zofbot.pipeline.notebook import Notebook
from zofbot.pipeline.reader import Reader
from zofbot.pipeline.rules import decide_all
from zofbot.pipeline.subscription_cache import SUBSCRIPTIONS, SubscriptionCache, subscriptions_in
from zofbot.pipeline.turn import Turn
from zofbot.pipeline.word import not_polled, polled
from zofbot.store.hints import HASH as HINTS
from zofbot.store.hints import Hints
from zofbot.store.leases import Fence, Held, Lease, Word
from zofbot.store.outbox import Fenced
from zofbot.tracing import Keep, forget
from zofbot.zof.client import ZofClient

__all__ = ["SUBSCRIPTIONS", "Poller", "Tick", "lease_seconds", "subscriptions_in"]

log = structlog.get_logger()

BEAT = 60.0
"""Seconds between two turns at most, however seldom the feeds are read: the lease is kept, and hints are followed."""

LEASE_BEATS, LOOK_BEATS = 1.5, 0.25
"""How long the lease lasts and how often those who stand by look at it: together less than two beats."""

ABSENT = 5.0
"""Seconds until a store that is gone is asked again, at most."""

OFTEN = 30.0
"""Seconds; to poll faster is what most often has Zof refuse requests (https://zof.ai/docs/limits/api-rate-limits)."""


def lease_seconds(interval: float) -> float:
    """Return how long a poller's lease lasts."""
    return min(interval, BEAT) * LEASE_BEATS


class Poller:
    """Reads what failed at Zof and commits what the rules make of it.

    Times are in seconds. ``order`` is that of Zof's listings where an operator named it, ``requests`` how many may be
    made in one interval; ``random`` gives 0 to 1; ``keep`` takes the traces of turns in which something went wrong.
    """

    def __init__(  # noqa: PLR0913  # everything between the two ends of the house is joined here
        self,
        zof: ZofClient,
        outbox: Outbox,
        hints: Hints,
        lease: Lease,
        *,
        metrics: Metrics,
        clock: Clock,
        random: Callable[[], float],
        decide: Decide = decide_all,
        interval: float = 60,
        lookback: float = 3600,
        order: Order | None = None,
        requests: int = 20,
        default_channel: str = "",
        digester: Digester | None = None,
        keep: Keep = forget,
    ) -> None:
        self._keep = keep
        self.interval = interval
        self._beat = min(interval, lease.seconds / LEASE_BEATS)
        self._means = Means(outbox, Reader(zof, requests), decide, metrics, clock, lookback, order, default_channel)
        self._hints = hints
        self._lease = lease
        self._random = random
        self._book: Notebook | None = None
        self._fence: Fence | None = None
        self._knew = False
        self._word: Word = {}
        self._digester = digester
        self._subscriptions = SubscriptionCache()

    async def run(self) -> None:
        """Poll until cancelled: every interval, and sooner for a hint or for a run that is watched."""
        if self.interval < OFTEN:
            log.warning("polling often", seconds=self.interval, mend="set ZOFBOT_POLL_INTERVAL to 60, or use webhooks")
        now = self._means.clock.monotonic
        following = now()
        try:
            while not cancelled():
                feeds = now() >= following
                if feeds:
                    following = now() + self.interval * (0.9 + 0.2 * self._random())
                outcome, pause = await self._turn(feeds=feeds)
                if cancelled():
                    break
                if outcome == "done":
                    await self._listen(min(following - now(), self._until_due()))
                else:
                    following = now() + pause
                    await self._means.clock.sleep(pause)
        finally:
            await self._leave()

    async def tick(self, *, feeds: bool = True) -> Tick:
        """Work once, if the lease is to be had: follow hints and, unless told otherwise, read all feeds.

        Raises StoreUnavailable, Fenced when another process has taken over meanwhile, and ZofUnavailable, before which
        what was found is committed.
        """
        own = self._digester.HASHES if self._digester else ()
        held = await self._lease.hold(HINTS, SUBSCRIPTIONS, *own, word=self._word)
        self._word = {}
        self._means.metrics.lease.labels("poller").set(held is not None)
        if held is None:
            self._book = None
            if self._digester:
                self._digester.forget()
            return Tick()
        if feeds:
            self._means.reader.renew()
        try:
            async with self._holding():
                book = await self._opened(held)
                self._subscriptions.update(held.hashes[SUBSCRIPTIONS])
                tick = await Turn(self._means, book, self._subscriptions, held.fence).work(feeds=feeds)
                if feeds and self._digester:
                    await self._digester.work(self._means, held, book, self._subscriptions.all)
        except ZofUnavailable:
            raise
        except BaseException:
            self._book = None  # it may be ahead of the store: what is true is read again
            raise
        finally:
            self._means.metrics.poll_requests.set(self._means.reader.spent)
        self._means.metrics.poll_watched.set(len(book.watches))
        tick.requests, tick.walking, tick.watched = self._means.reader.spent, book.walking, len(book.watches)
        return tick

    async def _turn(self, *, feeds: bool) -> tuple[str, float]:
        """Work once and say how it went, and how long to pause unless it is done."""
        what = "the feeds" if feeds else "what is watched"
        with tracing.traced(self._keep, "poll", self._means.clock, what=what):
            outcome, pause = await self._worked(feeds=feeds)
            tracing.step("poll", "turn", outcome, bad=outcome in ("unavailable", "failed"))
        return outcome, pause

    async def _worked(self, *, feeds: bool) -> tuple[str, float]:
        outcome, pause = "failed", self._beat
        began = self._means.clock.monotonic()
        try:
            tick = await self.tick(feeds=feeds)
            outcome, pause = ("done", 0.0) if tick.leads else ("standby", self._beat * LOOK_BEATS)
            if feeds and tick.leads and not tick.refused:
                self._means.metrics.poll_last.set(self._means.now())
                self._word = polled(self._means.now())
            elif feeds and self._means.refused:
                self._word = not_polled(self._means.now(), next(iter(self._means.refused.values())))
        except ZofUnavailable as error:
            outcome, pause = "unavailable", self._until(error.retry_at)
            self._word = not_polled(self._means.now(), error)
            log.warning("zof not read", cause=error.sentence, request_id=error.request_id, again=round(pause, 1))
        except StoreUnavailable as error:
            outcome, pause = "unavailable", min(ABSENT, self._beat * LOOK_BEATS)
            log.warning("poller without store", error=error.sentence, again=round(pause, 1))
        except Fenced:
            outcome, pause = "fenced", self._beat * LOOK_BEATS
            log.warning("another poller has taken over")
        except Exception as error:  # the one place where nothing may end the loop; it is counted and tried again
            log.error("poll failed", exc_info=error)
            tracing.fault(error)
        self._means.metrics.poll_turns.labels(outcome).inc()
        if feeds and outcome != "standby":
            self._means.metrics.poll_seconds.observe(self._means.clock.monotonic() - began)
        return outcome, pause

    def _until(self, retry_at: datetime | None) -> float:
        wait = (retry_at - self._means.clock.now()).total_seconds() if retry_at else 0.0
        return wait if wait > 0 else self._beat

    def _until_due(self) -> float:
        """Seconds until something that is watched is to be looked at, if there is allowance left, or the next beat."""
        now = self._means.now()
        watches = self._book.watches.values() if self._book and self._means.reader.left > 0 else ()
        return min([self._beat, *(watch.due - now for watch in watches if watch.due > now)])

    async def _listen(self, seconds: float) -> None:
        """Wait for a hint. Without the store there is none to be heard, without an allowance none to be followed."""
        if self._means.reader.left <= 0:
            await self._means.clock.sleep(max(seconds, 0))
            return
        try:
            await self._hints.wait(seconds)
        except StoreUnavailable:
            await self._means.clock.sleep(min(max(seconds, 0), ABSENT))

    async def _leave(self) -> None:
        """Let another process take over at once."""
        try:
            await self._lease.release(self._word)
        except StoreUnavailable:
            log.warning("lease not released", seconds=self._lease.seconds)
        await self._hints.aclose()

    async def _opened(self, held: Held) -> Notebook:
        """Read what the store knows, unless that was done since this process took over."""
        if held.fence != self._fence:
            self._means.metrics.lease_taken.labels("poller").inc()
        if self._book is None or held.fence != self._fence:
            self._book = Notebook(
                await self._means.outbox.hashes(*notebook.HASHES), self._means.now(), self._means.lookback
            )
            self._fence = held.fence
            self._introduce(self._book)
        self._book.hear(held.hashes[HINTS])
        return self._book

    def _introduce(self, book: Notebook) -> None:
        if book.first and self._knew:
            log.error("the store came back empty", mend="look at Redis' persistence and eviction policy",
                      posting_since=book.floor)  # fmt: skip
        elif book.first:
            log.info("first start", posting_since=book.floor)
        self._knew = True

    @asynccontextmanager
    async def _holding(self) -> AsyncIterator[None]:
        """Keep the lease for as long as a turn may take."""
        keeping = asyncio.create_task(self._hold_on())
        try:
            yield
        finally:
            await end(keeping)

    async def _hold_on(self) -> None:
        while True:
            await self._means.clock.sleep(self._lease.seconds / 3)
            try:
                await self._lease.hold()
            except StoreUnavailable:
                log.warning("lease not renewed", seconds=self._lease.seconds)
