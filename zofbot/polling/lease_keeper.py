"""The poller's lease while it works: renewed in the background during a cycle, with a note on how polling goes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from zofbot.clock import Clock
from zofbot.concurrency import cancel_tasks
from zofbot.domain.errors import StoreUnavailable
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.health import LeaseChecked
from zofbot.polling.status import POLLER_LEASE
from zofbot.store.leases import HeldLease, Lease, LeaseNote

log = structlog.get_logger()


class LeaseKeeper:
    """Holds the lease of one poller; ``note`` is stored beside it when it is held or released next."""

    def __init__(self, lease: Lease, events: EventEmitter, clock: Clock) -> None:
        self.note: LeaseNote = {}
        self._lease = lease
        self._events = events
        self._clock = clock
        self._held_at = -math.inf

    @property
    def is_fresh(self) -> bool:
        """Whether the lease was taken or renewed so recently that a cycle can begin without renewing it."""
        return self._clock.monotonic() - self._held_at < self._lease.seconds / 3

    async def hold(self, *hashes: str) -> HeldLease | None:
        """Take or renew the lease, and read these hashes; None if another process has it. Raises StoreUnavailable."""
        began = self._clock.monotonic()
        held = await self._lease.hold(*hashes, note=self.note)
        self._held_at = -math.inf if held is None else began
        self.note = {}
        self._events.emit(LeaseChecked(POLLER_LEASE, held is not None))
        return held

    @asynccontextmanager
    async def keep_renewed(self) -> AsyncIterator[None]:
        """Renew the lease in the background while the context lasts. Raises an error that ended the renewal."""
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            await cancel_tasks(renewing)
        if not renewing.cancelled():
            await renewing

    async def release(self) -> None:
        """Release the lease, so that another process can take over at once."""
        try:
            await self._lease.release(self.note)
        except StoreUnavailable:
            log.warning("lease not released", seconds=self._lease.seconds)

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._lease.seconds / 3)
            try:
                await self._lease.hold()
            except StoreUnavailable:
                log.warning("lease not renewed", seconds=self._lease.seconds)
