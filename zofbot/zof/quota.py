"""The pace background work keeps: when Zof's quota runs low it waits for the reset, and people go first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

import structlog

from zofbot.clock import Clock, timeout
from zofbot.domain.errors import StoreUnavailable, ZofUnavailable
from zofbot.domain.model import Quota
from zofbot.zof.errors import describe_retry

log = structlog.get_logger()

_CHECK_INTERVAL = timedelta(seconds=5)
# A store that hangs must not cost a person the answer Zof has given already. Seconds.
_MAX_SHARED_SECONDS = 0.5


class SharedQuota(Protocol):
    """Where the processes of one bot tell each other how much quota is left. Both raise StoreUnavailable."""

    async def read_quota(self) -> Quota | None: ...

    async def write_quota(self, quota: Quota) -> None: ...


class QuotaGate:
    """What is known of the organization's quota, from our own replies and from the ``board``."""

    def __init__(self, board: SharedQuota | None, clock: Clock) -> None:
        self.quota: Quota | None = None
        self._board = board
        self._clock = clock
        self._looked: datetime | None = None
        self._told_low = False

    async def update_quota(self, quota: Quota | None) -> None:
        """Take in what a reply said; other processes hear of it when little is left, and when that is over."""
        if quota is None:
            return
        self.quota = quota
        low = quota.remaining * 5 < quota.limit
        if self._board is None or not (low or self._told_low):
            return
        try:
            async with timeout(_MAX_SHARED_SECONDS):
                await self._board.write_quota(quota)
            self._told_low = low
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("zof quota not shared", cause=type(error).__name__)

    async def wait_for_quota(self, most: float) -> None:
        """Sleep until the reset when the quota is low.

        Raises ZofUnavailable, with the reset as ``retry_at``, when that is more than ``most`` seconds away.
        """
        await self._refresh_shared()
        now = self._clock.now()
        if self.quota is None or not self.quota.is_low(now):
            return
        seconds = (self.quota.reset - now).total_seconds()
        if seconds > most:
            error = ZofUnavailable(
                "Zof's request quota is nearly used up; what is left is kept for people.",
                describe_retry(self.quota.reset, now),
            )
            error.retry_at = self.quota.reset
            raise error
        await self._clock.sleep(seconds)

    async def _refresh_shared(self) -> None:
        now = self._clock.now()
        if self._board is None or (self._looked is not None and now - self._looked < _CHECK_INTERVAL):
            return
        self._looked = now
        try:
            async with timeout(_MAX_SHARED_SECONDS):
                self.quota = newer_quota(self.quota, await self._board.read_quota(), now)
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("zof quota not shared", cause=type(error).__name__)


def newer_quota(mine: Quota | None, theirs: Quota | None, now: datetime) -> Quota | None:
    """Choose the quota to go by: the later window, and within one window the smaller remainder."""
    known = [quota for quota in (mine, theirs) if quota is not None and quota.reset > now]
    return max(known, key=lambda quota: (quota.reset, -quota.remaining), default=mine)
