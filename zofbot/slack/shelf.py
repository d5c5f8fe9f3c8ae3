"""A shelf: Slack's answers by key, each asked for once however many wait for it, and kept while it does not answer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from zofbot.clock import Clock
from zofbot.errors import SlackDeferred, SlackError

FRESH = 300.0
"""Seconds for which Slack is not asked again; the methods for user groups take 20 calls a minute."""

STALE = 3600.0
"""Seconds for which what was known still counts when Slack does not answer."""

PAUSE = 10.0
"""Seconds before Slack is asked again what it did not answer."""

MOST = 5000
"""Answers remembered; those least asked for are forgotten first."""

Known = TypeVar("Known")


@dataclass
class _Entry(Generic[Known]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: datetime | None = None
    """When Slack last answered."""
    known: Known | None = None
    error: SlackError | None = None
    again: datetime | None = None
    """Until then it is not asked again."""


class Shelf(Generic[Known]):
    """Answers by key, each asked for once however many wait for it."""

    def __init__(self, ask: Callable[[str], Awaitable[Known]], clock: Clock, fresh: float = FRESH) -> None:
        self._ask, self._clock = ask, clock
        self._fresh, self._stale = fresh, max(fresh, STALE)
        self._entries: OrderedDict[str, _Entry[Known]] = OrderedDict()

    async def get(self, key: str, fresh: float | None = None) -> Known:
        """Give the answer, the latest one known where Slack gives none. Raises SlackError where there is none.

        ``fresh`` are the seconds for which Slack is not asked again, where they are fewer than usual.
        """
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        if len(self._entries) > MOST:
            self._entries.popitem(last=False)
        async with entry.lock:
            if not self._since(entry, self._fresh if fresh is None else fresh) and not (
                entry.again and self._clock.now() < entry.again
            ):
                await self._renew(entry, key)
            if entry.known is not None and self._since(entry, self._stale):
                return entry.known
            assert entry.error
            raise entry.error

    def _since(self, entry: _Entry[Known], seconds: float) -> bool:
        return entry.at is not None and (self._clock.now() - entry.at).total_seconds() < seconds

    async def _renew(self, entry: _Entry[Known], key: str) -> None:
        try:
            entry.known = await self._ask(key)
        except SlackError as error:
            wait = error.retry_after if isinstance(error, SlackDeferred) else PAUSE
            entry.error, entry.again = error, self._clock.now() + timedelta(seconds=max(wait, 1))
        else:
            entry.at = self._clock.now()
            entry.error = entry.again = None
