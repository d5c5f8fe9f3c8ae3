"""TTL cache for Slack lookups; merges concurrent requests and serves stale values while Slack is down."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from zofbot.clock import Clock
from zofbot.domain.errors import SlackDeferred, SlackError

FRESH_SECONDS = 300.0
"""Seconds an answer stays fresh; Slack allows 20 calls a minute to the user group methods."""

MAX_STALE_SECONDS = 3600.0
"""Seconds an old answer may be served while Slack does not answer."""

RETRY_PAUSE_SECONDS = 10.0
"""Seconds before a failed lookup is repeated."""

MAX_CACHE_ENTRIES = 5000
"""Maximum entries; the least recently used are evicted first."""

T = TypeVar("T")


@dataclass
class _CacheEntry(Generic[T]):
    version: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: datetime | None = None
    """Time of Slack's last answer."""
    known: T | None = None
    error: SlackError | None = None
    failed: datetime | None = None
    """Time of ``error``."""
    pause: float = 0.0
    """Seconds from then to the next attempt."""


class TtlCache(Generic[T]):
    """Answers by key; concurrent callers share one request.

    Times are in seconds: an answer is reused while ``fresh``, served up to the age ``stale`` while Slack fails, and a
    failed lookup is repeated after ``pause``; each ends early if the clock was set back by more.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[T]],
        clock: Clock,
        *,
        fresh: float = FRESH_SECONDS,
        stale: float = MAX_STALE_SECONDS,
        pause: float = RETRY_PAUSE_SECONDS,
    ) -> None:
        self._ask, self._clock = ask, clock
        self._fresh, self._stale, self._pause = fresh, max(fresh, stale), pause
        self._entries: OrderedDict[str, _CacheEntry[T]] = OrderedDict()

    async def get(self, key: str, version: str = "") -> T:
        """Return the answer, or the last known one while Slack fails. Raises SlackError if there is none.

        An answer cached under another ``version`` is ignored.
        """
        entry = self._entries.get(key)
        if entry is None or entry.version != version:
            entry = self._entries[key] = _CacheEntry(version)
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_CACHE_ENTRIES:
            self._entries.popitem(last=False)
        async with entry.lock:
            if not self._is_within(self._fresh, entry.at) and not self._is_within(entry.pause, entry.failed):
                await self._refresh_entry(entry, key)
            if entry.known is not None and self._is_within(self._stale, entry.at):
                return entry.known
            assert entry.error
            raise entry.error

    def _is_within(self, seconds: float, then: datetime | None) -> bool:
        return then is not None and abs((self._clock.now() - then).total_seconds()) < seconds

    async def _refresh_entry(self, entry: _CacheEntry[T], key: str) -> None:
        try:
            entry.known = await self._ask(key)
        except SlackError as error:
            entry.error, entry.failed = error, self._clock.now()
            entry.pause = max(error.retry_after if isinstance(error, SlackDeferred) else self._pause, 0.5)
        else:
            entry.at = self._clock.now()
            entry.error = entry.failed = None
