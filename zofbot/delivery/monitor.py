"""The outbox monitor: updates gauges, reports channels that refuse messages, and retries them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from zofbot.clock import Clock
from zofbot.concurrency import is_cancel_requested, wait_for_event
from zofbot.domain.durations import MAX_CLOCK_SKEW_SECONDS
from zofbot.domain.errors import StoreUnavailable
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.delivery import OutboxMeasured, OutboxNotMeasured
from zofbot.store.outbox import Outbox
from zofbot.store.records import ParkedChannel

log = structlog.get_logger()

CHECK_INTERVAL_SECONDS = 10.0
"""Seconds between checks while there is no trouble."""

PARKED_RETRY_SECONDS = 300.0
"""Seconds until a parked channel is retried, unless a Slack event shows earlier that it works again, or the clock was
set back meanwhile."""

OnParked = Callable[[str, str], Awaitable[None]]
"""Notifies the people concerned that a channel (id) refuses messages, with Slack's reason. May be called repeatedly."""


OnRemoved = Callable[[str, str], Awaitable[None]]
"""Notifies the people concerned that an alert (key) was deleted from a channel (id) twice. May be called repeatedly."""


async def no_recipient(channel: str, reason: str) -> None:
    """Do nothing: there is nobody to notify."""


class OutboxMonitor:
    """Periodic check of the outbox; setting ``trouble`` triggers one at once."""

    def __init__(
        self, outbox: Outbox, events: EventEmitter, on_parked: OnParked, on_removed: OnRemoved, clock: Clock
    ) -> None:
        self.trouble = asyncio.Event()
        self._stopping = False
        self._outbox = outbox
        self._events = events
        self._on_parked = on_parked
        self._on_removed = on_removed
        self._clock = clock

    async def run(self) -> None:
        """Check until ``stop()``."""
        while not self._stopping:
            self.trouble.clear()
            try:
                await self.measure_outbox()
                await self.check_parked()
                await self.report_removed()
            except StoreUnavailable as error:
                self._events.emit(OutboxNotMeasured(error.sentence))
            if is_cancel_requested():
                break
            await wait_for_event(self.trouble, CHECK_INTERVAL_SECONDS)

    def stop(self) -> None:
        """Ask ``run()`` to end."""
        self._stopping = True
        self.trouble.set()

    async def measure_outbox(self) -> None:
        """Emit what the outbox holds. Raises StoreUnavailable."""
        stats = await self._outbox.read_stats()
        self._events.emit(OutboxMeasured(
            stats.pending, stats.scheduled, stats.sending, stats.dead, stats.parked, stats.oldest, bool(stats.paused)
        ))  # fmt: skip

    async def check_parked(self) -> None:
        """Report each parked channel once, and retry it after a while. Raises StoreUnavailable.

        Not every fix causes a Slack event. A channel that still refuses is parked again by its first message.
        """
        for parked in await self._outbox.parked_channels():
            if not parked.told:
                await self._report_parked(parked)
            if not -MAX_CLOCK_SKEW_SECONDS <= self._clock.time() - parked.since < PARKED_RETRY_SECONDS:
                log.info("parked channel tried again", channel=parked.channel, waiting=parked.waiting)
                await self._outbox.unpark_channel(parked.channel)

    async def _report_parked(self, parked: ParkedChannel) -> None:
        log.error("channel parked", channel=parked.channel, reason=parked.reason, waiting=parked.waiting)
        try:
            await self._on_parked(parked.channel, parked.reason)
        except StoreUnavailable:
            raise
        except Exception:  # a failing callback must not stop deliveries; it is retried
            log.exception("subscribers not notified", channel=parked.channel)
        else:
            await self._outbox.mark_notified(parked.channel)

    async def report_removed(self) -> None:
        """Call ``on_removed`` for each alert that was deleted twice. Raises StoreUnavailable."""
        for key, channel in (await self._outbox.removed_alerts()).items():
            log.error("message removed again, no longer posted", key=key, channel=channel)
            try:
                await self._on_removed(key, channel)
            except StoreUnavailable:
                raise
            except Exception:  # as above
                log.exception("subscribers not notified", channel=channel)
            else:
                await self._outbox.mark_removal_notified(key)
