"""A shelf: Slack's answers by key, each asked for once however many wait for it, and kept while it does not answer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from zofbot.clock import Clock
from zofbot.domain.errors import SlackDeferred, SlackError

FRESH_SECONDS = 300.0
"""Seconds for which Slack is not asked again; the methods for user groups take 20 calls a minute."""

MAX_STALE_SECONDS = 3600.0
"""Seconds for which what was known still counts when Slack does not answer."""

RETRY_PAUSE_SECONDS = 10.0
"""Seconds before Slack is asked again what it did not answer."""

MAX_CACHE_ENTRIES = 5000
"""Answers remembered; those least asked for are forgotten first."""

T = TypeVar("T")


@dataclass
class _CacheEntry(Generic[T]):
    version: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: datetime | None = None
    """When Slack last answered."""
    known: T | None = None
    error: SlackError | None = None
    again: datetime | None = None
    """Until then it is not asked again."""


class TtlCache(Generic[T]):
    """Answers by key, each asked for once however many wait for it.

    Times are in seconds: an answer is not asked for again while it is ``fresh``, counts up to ``stale`` where Slack
    gives no other, and one that Slack did not give is asked for again after ``pause``.
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
        """Give the answer, the latest one known where Slack gives none. Raises SlackError where there is none.

        What was answered under another ``version`` counts for nothing.
        """
        entry = self._entries.get(key)
        if entry is None or entry.version != version:
            entry = self._entries[key] = _CacheEntry(version)
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_CACHE_ENTRIES:
            self._entries.popitem(last=False)
        async with entry.lock:
            if not self._is_younger_than(entry, self._fresh) and not (entry.again and self._clock.now() < entry.again):
                await self._refresh_entry(entry, key)
            if entry.known is not None and self._is_younger_than(entry, self._stale):
                return entry.known
            assert entry.error
            raise entry.error

    def _is_younger_than(self, entry: _CacheEntry[T], seconds: float) -> bool:
        return entry.at is not None and (self._clock.now() - entry.at).total_seconds() < seconds

    async def _refresh_entry(self, entry: _CacheEntry[T], key: str) -> None:
        try:
            entry.known = await self._ask(key)
        except SlackError as error:
            wait = error.retry_after if isinstance(error, SlackDeferred) else self._pause
            entry.error, entry.again = error, self._clock.now() + timedelta(seconds=max(wait, 0.5))
        else:
            entry.at = self._clock.now()
            entry.error = entry.again = None
