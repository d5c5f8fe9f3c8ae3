"""The canary: every few minutes a failure that never was walks the whole way into Slack, is seen there, and removed.

It passes the rules, the outbox and the dispatcher like any other, under a key of its own and with nothing remembered
of it. At most one is on its way at a time, and what a process that died has left is removed at the next turn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from zofbot.clock import Clock
from zofbot.errands import cancelled
from zofbot.errors import SlackError, StoreUnavailable, ZofError
from zofbot.metrics import Metrics
from zofbot.pipeline import fault
from zofbot.pipeline.fault import Fault
from zofbot.pipeline.probes import HASH, Probes
from zofbot.slack.notifier import SlackNotifier
from zofbot.spans import ahead
from zofbot.store import Store
from zofbot.store.leases import Fence, Held, Lease
from zofbot.store.outbox import Fenced, Outbox
from zofbot.zof.client import Patience, ZofCall, ZofClient

log = structlog.get_logger()

LEASE = "canary"

LONGEST = 60.0
"""Seconds one may be on its way, or half an interval if that is shorter, until it counts as late."""

LOOK_INTERVALS = 0.25
"""How often those who stand by look at the lease."""


def lease_seconds(interval: float) -> float:
    """How long the lease lasts: a turn and the wait for the next, and another takes over within two of them."""
    return 1.5 * interval + LONGEST


@dataclass
class Watch:
    """By how many seconds we were ahead of Zof's clock at its last reply, whatever it was asked."""

    clock: Clock
    ahead: float | None = None

    def heard(self, call: ZofCall) -> None:
        """Read the time of a reply."""
        self.ahead = ahead(call.date, self.clock.time())


@dataclass
class Turn:
    """What one turn came to."""

    leads: bool = False
    faults: list[Fault] = field(default_factory=list)


class Canary:
    """One process's canary. Times are in seconds; ``within`` says when one is late, ``patience`` is that with Zof."""

    def __init__(  # noqa: PLR0913  (the links that it tries)
        self,
        channel: str,
        *,
        store: Store,
        outbox: Outbox,
        notifier: SlackNotifier,
        zof: ZofClient,
        watch: Watch,
        lease: Lease,
        metrics: Metrics,
        clock: Clock,
        interval: float,
        within: float | None = None,
        patience: Patience = Patience.BACKGROUND,
    ) -> None:
        self._channel, self._interval = channel, interval
        self._store, self._outbox, self._notifier, self._zof = store, outbox, notifier, zof
        self._watch, self._lease, self._metrics, self._clock = watch, lease, metrics, clock
        self._probes = Probes(channel, outbox, notifier, clock)
        self._within = min(LONGEST, interval / 2) if within is None else within
        self._patience = patience
        self._fence: Fence | None = None

    async def run(self) -> None:
        """Send one each interval until cancelled; until the first comes through, lateness counts from the start."""
        self._metrics.canary_last.set(self._now())
        now = self._clock.monotonic
        try:
            while not cancelled():
                began = now()
                turn = await self.turn()
                if cancelled():
                    break
                pause = self._interval * (1 if turn.leads or turn.faults else LOOK_INTERVALS)
                await self._clock.sleep(max(0.0, began + pause - now()))
        finally:
            await self._leave()

    async def turn(self) -> Turn:
        """Send one, if the lease is to be had, and try what it does not touch; each link that does not hold is told."""
        turn = Turn()
        try:
            async with self._blaming(turn):
                if held := await self._lead():
                    turn.leads = True
                    await self._walk(turn, held.fence, held.hashes[HASH])
                    await self._elsewhere(turn)
        except Exception as error:  # as in the poller: nothing may end the loop, and it is counted
            log.error("canary failed", exc_info=error)
            turn.faults.append(Fault("outbox", f"The canary itself failed ({type(error).__name__}).", "Report it."))
        for one in {one.link: one for one in reversed(turn.faults)}.values():
            self._metrics.canary_failures.labels(one.link).inc()
            log.error("canary late", link=one.link, what=one.what, mend=one.mend)
        if turn.leads and not turn.faults:
            self._metrics.canary_last.set(self._now())
        return turn

    async def _lead(self) -> Held | None:
        """Take the lease or keep it: that writes to Redis and reads from it."""
        held = await self._lease.hold(HASH)
        self._metrics.lease.labels(LEASE).set(held is not None)
        if held and held.fence != self._fence:
            self._fence = held.fence
            self._metrics.lease_taken.labels(LEASE).inc()
        return held

    @asynccontextmanager
    async def _blaming(self, turn: Turn) -> AsyncIterator[None]:
        """Make a fault of what goes wrong; that another process has taken over is none."""
        try:
            yield
        except (StoreUnavailable, SlackError) as error:
            turn.faults.append(fault.of(error))
        except ZofError as error:
            if not fault.busy(error):
                turn.faults.append(fault.of(error))
        except Fenced:
            turn.leads = False

    async def _walk(self, turn: Turn, fence: Fence, left: Mapping[str, str]) -> None:
        """From the rules into Slack, and out again."""
        async with self._blaming(turn):
            under_way = await self._probes.tidy(left)
            name, began = min(under_way.items(), key=lambda one: one[1], default=("", 0.0))
            if not name:
                name, began = await self._probes.begin(fence)
            entry = await self._probes.arrived(name, self._within)
            if entry is None or entry.receipt is None:
                parked = next((one for one in await self._outbox.parked() if one.channel == self._channel), None)
                turn.faults.append(fault.stuck(entry, parked, await self._outbox.depth()))
                return
            there = await self._probes.standing(float(entry.receipt.ts))
            if name in there:
                self._metrics.canary_seconds.observe(max(0.0, self._now() - began))
            else:
                turn.faults.append(fault.hidden())
            for one, receipt in there.items():
                await self._probes.remove(one, receipt)

    async def _elsewhere(self, turn: Turn) -> None:
        """Read a page of Zof's runs, and compare clocks with everybody who tells the time."""
        self._watch.ahead = None
        async with self._blaming(turn):
            pages = self._zof.runs(patience=self._patience, pages=1)
            try:
                await anext(pages, None)
            finally:
                await pages.aclose()
        async with self._blaming(turn):
            slack = ahead((await self._notifier.identify()).date, self._now())
            told = {"Slack": slack, "Zof": self._watch.ahead, "Redis": self._now() - await self._store.time()}
            if off := fault.skewed({whose: one for whose, one in told.items() if one is not None}):
                turn.faults.append(off)

    async def _leave(self) -> None:
        """Let another process take over at once."""
        try:
            await self._lease.release()
        except StoreUnavailable:
            log.warning("lease not released", seconds=self._lease.seconds)

    def _now(self) -> float:
        return self._clock.time()
