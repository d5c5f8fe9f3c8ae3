"""Make background calls wait for the reset when Zof's quota is low, so that people's requests go first."""

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
# Sharing must not delay a reply for long when the store hangs.
_MAX_SHARED_SECONDS = 0.5


class SharedQuota(Protocol):
    """Storage through which processes share the quota. Both methods raise StoreUnavailable."""

    async def read_quota(self) -> Quota | None: ...

    async def write_quota(self, quota: Quota) -> None: ...


class QuotaGate:
    """The organization's quota as known from this process's replies and from ``shared_quota``."""

    def __init__(self, shared_quota: SharedQuota | None, clock: Clock) -> None:
        self.quota: Quota | None = None
        self._shared_quota = shared_quota
        self._clock = clock
        self._checked_at: datetime | None = None
        self._shared_low = False

    async def update_quota(self, quota: Quota | None) -> None:
        """Update from a reply; share it with other processes while less than a fifth is left, and once it recovers."""
        if quota is None:
            return
        self.quota = quota
        low = quota.remaining * 5 < quota.limit
        if self._shared_quota is None or not (low or self._shared_low):
            return
        try:
            async with timeout(_MAX_SHARED_SECONDS):
                await self._shared_quota.write_quota(quota)
            self._shared_low = low
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("zof quota not shared", cause=type(error).__name__)

    async def wait_for_quota(self, most: float) -> None:
        """Sleep until the reset if the quota is low.

        Raises ZofUnavailable, with the reset as ``retry_at``, if that is more than ``most`` seconds away.
        """
        await self._refresh_shared()
        now = self._clock.now()
        if self.quota is None or not self.quota.is_low(now):
            return
        seconds = (self.quota.reset - now).total_seconds()
        if seconds > most:
            error = ZofUnavailable(
                "Zof's request quota is nearly used up; the rest is reserved for commands.",
                describe_retry(self.quota.reset, now),
            )
            error.retry_at = self.quota.reset
            raise error
        await self._clock.sleep(seconds)

    async def _refresh_shared(self) -> None:
        now = self._clock.now()
        if self._shared_quota is None or (self._checked_at is not None and now - self._checked_at < _CHECK_INTERVAL):
            return
        self._checked_at = now
        try:
            async with timeout(_MAX_SHARED_SECONDS):
                self.quota = newer_quota(self.quota, await self._shared_quota.read_quota(), now)
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("zof quota not shared", cause=type(error).__name__)


def newer_quota(mine: Quota | None, theirs: Quota | None, now: datetime) -> Quota | None:
    """Return the quota of the later window, or within one window the one with less remaining."""
    known = [quota for quota in (mine, theirs) if quota is not None and quota.reset > now]
    return max(known, key=lambda quota: (quota.reset, -quota.remaining), default=mine)
