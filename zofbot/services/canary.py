"""The canary: every few minutes, send an invented failure through to Slack, find it there, and delete it.

It passes the rules, the outbox and the dispatcher like any other failure, under its own key and without leaving state.
At most one is in progress at a time; leftovers of a process that died are removed in the next cycle.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from zofbot.clients import Clients
from zofbot.clock import Clock
from zofbot.concurrency import is_cancel_requested
from zofbot.domain.durations import clock_offset
from zofbot.domain.errors import SlackError, StoreUnavailable, ZofError
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import ZofCall
from zofbot.observability.events.health import (
    CanaryArrived,
    CanaryLate,
    CanaryPassed,
    CanaryStarted,
    LeaseChecked,
    LeaseTaken,
)
from zofbot.services import canary_diagnosis
from zofbot.services.canary_diagnosis import Diagnosis
from zofbot.services.canary_probe import CANARY_HASH, CanaryProbes
from zofbot.store.leases import Fence, HeldLease, Lease
from zofbot.store.outbox import LeaseLost, Outbox
from zofbot.zof.client import TimeBudget

log = structlog.get_logger()

CANARY_LEASE = "canary"

MAX_CANARY_SECONDS = 60.0
"""Seconds until a canary counts as late, or half an interval if that is shorter."""

STANDBY_CHECK_INTERVALS = 0.25
"""Time between lease checks of a process without the lease, in canary intervals."""


def lease_seconds(interval: float) -> float:
    """Return how long the lease lasts: one cycle plus the wait for the next; takeover happens within two cycles."""
    return 1.5 * interval + MAX_CANARY_SECONDS


@dataclass
class ZofClock:
    """Seconds that this machine's clock was ahead of Zof's at its last reply to any request."""

    clock: Clock
    ahead: float | None = None

    def read_reply_time(self, call: ZofCall) -> None:
        """Update ``ahead`` from a reply's Date header."""
        self.ahead = clock_offset(call.date, self.clock.time())


@dataclass
class CanaryCycle:
    """Result of one canary cycle: whether this process has the lease, and the faults found."""

    leads: bool = False
    faults: list[Diagnosis] = field(default_factory=list)


@dataclass(frozen=True)
class CanarySettings:
    """Where and how often a canary is sent. Times are seconds."""

    channel: str
    interval: float
    within: float | None = None
    """After this time it is late; by default after half an interval, at most ``MAX_CANARY_SECONDS``."""
    time_budget: TimeBudget = TimeBudget.BACKGROUND
    """The time for reading from Zof."""

    @property
    def max_seconds(self) -> float:
        return min(MAX_CANARY_SECONDS, self.interval / 2) if self.within is None else self.within


class Canary:
    """One process's canary; several processes may have one, and the holder of the lease sends."""

    def __init__(
        self, settings: CanarySettings, clients: Clients, outbox: Outbox, zof_clock: ZofClock, events: EventEmitter
    ) -> None:
        self._settings, self._clients, self._outbox, self._events = settings, clients, outbox, events
        self._zof_clock, self._clock = zof_clock, zof_clock.clock
        seconds = lease_seconds(settings.interval)
        self._lease = Lease(clients.store.keyspace, CANARY_LEASE, seconds, self._clock)
        self._probes = CanaryProbes(settings.channel, outbox, clients.slack, self._clock)
        self._fence: Fence | None = None

    async def run(self) -> None:
        """Send a canary each interval until cancelled. Before the first success, lateness counts from the start."""
        self._events.emit(CanaryStarted(self._unix_time()))
        now = self._clock.monotonic
        try:
            while not is_cancel_requested():
                began = now()
                cycle = await self.probe_once()
                if is_cancel_requested():
                    break
                pause = self._settings.interval * (1 if cycle.leads or cycle.faults else STANDBY_CHECK_INTERVALS)
                await self._clock.sleep(max(0.0, began + pause - now()))
        finally:
            await self._release_lease()

    async def probe_once(self) -> CanaryCycle:
        """Run one cycle if this process gets the lease: delivery, Zof, clocks. Logs and counts each broken link."""
        cycle = CanaryCycle()
        try:
            async with self._collect_faults(cycle):
                if held := await self._hold_lease():
                    cycle.leads = True
                    await self._check_delivery(cycle, held.fence, held.hashes[CANARY_HASH])
                    await self._check_zof_and_clocks(cycle)
        except Exception as error:  # as in the poller: nothing ends the loop, and it is counted
            log.error("canary failed", exc_info=error)
            cycle.faults.append(
                Diagnosis("outbox", f"The canary itself failed ({type(error).__name__}).", "Report it.")
            )
        for item in {each_fault.link: each_fault for each_fault in reversed(cycle.faults)}.values():
            self._events.emit(CanaryLate(item.link, item.what, item.fix))
        if cycle.leads and not cycle.faults:
            self._events.emit(CanaryPassed(self._unix_time()))
        return cycle

    async def _hold_lease(self) -> HeldLease | None:
        """Acquire or renew the lease, which also tests writing to and reading from Redis."""
        held = await self._lease.hold(CANARY_HASH)
        self._events.emit(LeaseChecked(CANARY_LEASE, held is not None))
        if held and held.fence != self._fence:
            self._fence = held.fence
            self._events.emit(LeaseTaken(CANARY_LEASE))
        return held

    @asynccontextmanager
    async def _collect_faults(self, cycle: CanaryCycle) -> AsyncIterator[None]:
        """Record errors as faults, except that another process has taken the lease or Zof limits the rate."""
        try:
            yield
        except (StoreUnavailable, SlackError) as error:
            cycle.faults.append(canary_diagnosis.diagnose_error(error))
        except ZofError as error:
            if not canary_diagnosis.is_rate_limited(error):
                cycle.faults.append(canary_diagnosis.diagnose_error(error))
        except LeaseLost:
            cycle.leads = False

    async def _check_delivery(self, cycle: CanaryCycle, fence: Fence, left: Mapping[str, str]) -> None:
        """Send a probe through the rules, the outbox and the dispatcher to Slack, find it, and delete it."""
        async with self._collect_faults(cycle):
            in_progress = await self._probes.remove_leftovers(left)
            name, began = min(in_progress.items(), key=lambda item: item[1], default=("", 0.0))
            if not name:
                name, began = await self._probes.start_probe(fence)
            entry = await self._probes.wait_for_settlement(name, self._settings.max_seconds)
            if entry is None or entry.receipt is None:
                parked = {channel.channel: channel for channel in await self._outbox.parked_channels()}.get(
                    self._settings.channel
                )
                cycle.faults.append(canary_diagnosis.diagnose_stuck(entry, parked, await self._outbox.read_stats()))
                return
            messages = await self._probes.find_messages(float(entry.receipt.ts))
            if name in messages:
                self._events.emit(CanaryArrived(max(0.0, self._unix_time() - began)))
            else:
                cycle.faults.append(canary_diagnosis.diagnose_hidden())
            for item, receipt in messages.items():
                await self._probes.remove_probe(item, receipt)

    async def _check_zof_and_clocks(self, cycle: CanaryCycle) -> None:
        """Read a page of Zof's runs, and compare this machine's clock with those of Slack, Zof and Redis."""
        self._zof_clock.ahead = None
        async with self._collect_faults(cycle):
            pages = self._clients.zof.list_runs(time_budget=self._settings.time_budget, pages=1)
            try:
                await anext(pages, None)
            finally:
                await pages.aclose()
        async with self._collect_faults(cycle):
            slack = clock_offset((await self._clients.slack.identity.fetch()).date, self._unix_time())
            offsets = {
                "Slack": slack,
                "Zof": self._zof_clock.ahead,
                "Redis": self._unix_time() - await self._clients.store.read_time(),
            }
            if off := canary_diagnosis.diagnose_clock(
                {whose: item for whose, item in offsets.items() if item is not None}
            ):
                cycle.faults.append(off)

    async def _release_lease(self) -> None:
        """Let another process take over at once."""
        try:
            await self._lease.release()
        except StoreUnavailable:
            log.warning("lease not released", seconds=self._lease.seconds)

    def _unix_time(self) -> float:
        return self._clock.time()
