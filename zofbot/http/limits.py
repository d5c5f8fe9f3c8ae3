"""What a crowd at a door may cost: bodies read, turns taken, lines logged, connections kept, and how fast strays go."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from aiohttp import web

from zofbot.clock import Clock, timeout

log = structlog.get_logger()

MAX_BODY_BYTES = 1024 * 1024
MAX_BODY_SECONDS = 3.0
"""How long a body may take to arrive; Slack itself waits no longer for its answer."""

MAX_CONCURRENT_BODIES = 32
"""How many bodies of one door are read at once."""

MAX_CONCURRENT_WEBHOOKS, MAX_WAITING_WEBHOOKS, MAX_WAIT_SECONDS = 16, 256, 5.0
"""How many webhooks are stored at once, how many wait for their turn, and for how long; Zof waits ten seconds."""

MAX_REJECTS_PER_SECOND, MAX_DELAYED_REJECTS, MAX_DELAY_SECONDS = 50, 512, 1.0
"""How many strays are answered at once, how many of the others are made to wait, and how long at most."""

MAX_IDLE_CONNECTIONS, SWEEP_INTERVAL_SECONDS = 512, 1.0
"""How many connections may stand idle, beside those that brought something we took, and how often that is looked at."""

RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ClosableConnection(Protocol):
    """One that can be closed at once."""

    def force_close(self) -> None: ...


class RejectedRequest(Exception):
    """A request that is nobody's we know, or not whole, or one too many; ``reason`` is for metrics and logs."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class BodyReader:
    """Reads bodies within a size and a time; of too many at once the one that has been read for longest gives way.

    So whoever sends many slow ones pushes out their own, while one that comes in one piece is read at once.
    """

    def __init__(self, most: int = MAX_CONCURRENT_BODIES) -> None:
        self._most = most
        self._reading: dict[asyncio.Timeout, None] = {}

    async def read_body(self, request: web.Request) -> bytes:
        """Give the whole body. Raises RejectedRequest: 413 or 408."""
        try:
            async with timeout(MAX_BODY_SECONDS) as patience:
                self._stop_longest_read()
                self._reading[patience] = None
                try:
                    return await _read_whole_body(request)
                finally:
                    self._reading.pop(patience, None)
        except TimeoutError:
            raise RejectedRequest(408, "too_slow") from None
        except (web.RequestPayloadError, OSError):  # broken chunks, or whoever sent it has gone
            raise RejectedRequest(400, "malformed") from None

    def _stop_longest_read(self) -> None:
        while len(self._reading) >= self._most:
            longest = next(iter(self._reading))
            del self._reading[longest]
            if not longest.expired():
                longest.reschedule(0)


async def _read_whole_body(request: web.Request) -> bytes:
    """All of a body; the request keeps no copy, as ``request.read()`` has it do, and it is not buffered by the MiB."""
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RejectedRequest(413, "too_large")
    return bytes(body)


class ConcurrencyLimit:
    """Lets so many in at once; the others wait for their turn, and one too many is sent away."""

    def __init__(
        self,
        at_once: int = MAX_CONCURRENT_WEBHOOKS,
        most: int = MAX_WAITING_WEBHOOKS,
        seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._most, self._seconds = most, seconds
        self._waiting = 0

    @asynccontextmanager
    async def acquire_slot(self) -> AsyncIterator[None]:
        """Take a turn. Raises RejectedRequest: 503, to come again later."""
        if self._turns.locked():
            await self._wait_for_slot()
        else:
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()

    async def _wait_for_slot(self) -> None:
        if self._waiting >= self._most:
            raise RejectedRequest(503, "crowded")
        self._waiting += 1
        try:
            async with timeout(self._seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise RejectedRequest(503, "crowded") from None
        finally:
            self._waiting -= 1


class RejectThrottle:
    """Answers a few strays a second at once; the others wait, so that a flood of them costs next to nothing.

    Whoever sends a request only after the last one's answer is slowed down to one a second for each connection.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = 0.0
        self._held = 0

    async def delay_reject(self) -> bool:
        """Wait; False when too many are waiting already, for then the connection is better closed."""
        now = self._clock.monotonic()
        self._next = min(max(self._next, now - 1) + 1 / MAX_REJECTS_PER_SECOND, now + MAX_DELAY_SECONDS)
        if self._next <= now:
            return True
        if self._held >= MAX_DELAYED_REJECTS:
            return False
        self._held += 1
        try:
            await self._clock.sleep(self._next - now)
        finally:
            self._held -= 1
        return True


class SampledLog:
    """Logs one line for each reason in so many seconds, with how many were left out: a flood must not fill a disk."""

    def __init__(self, clock: Clock, seconds: float = 10.0) -> None:
        self._clock, self._seconds = clock, seconds
        self._last: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def __call__(self, event: str, reason: str, **facts: object) -> None:
        """Log it, or count that it was left out; ``reason`` is one of few."""
        kind, now = (event, reason), self._clock.monotonic()
        if now - self._last.get(kind, -math.inf) < self._seconds:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._last[kind] = now
        left_out = self._left_out.pop(kind, 0)
        log.info(event, reason=reason, **facts, **({"left_out": left_out} if left_out else {}))


class IdleConnectionReaper:
    """Knows which connections to a door stand idle, and closes those that are too many.

    A connection that has brought something we took is spared: it is Slack's, Zof's or a proxy's.
    """

    def __init__(self, clock: Clock, most: int = MAX_IDLE_CONNECTIONS) -> None:
        self._clock = clock
        self._most = most
        self._busy: set[object] = set()
        self._good: set[object] = set()

    @web.middleware
    async def track_request(self, request: web.Request, handler: RequestHandler) -> web.StreamResponse:
        """See each request come and go."""
        self._busy.add(request.protocol)
        try:
            response = await handler(request)
        finally:
            self._busy.discard(request.protocol)
        if response.status < 400:
            self._good.add(request.protocol)
        return response

    async def close_idle(self, connections: Callable[[], Sequence[ClosableConnection]]) -> None:
        """Close what is too many, again and again until cancelled; ``connections`` gives all, the oldest first."""
        while True:
            await self._clock.sleep(SWEEP_INTERVAL_SECONDS)
            present = connections()
            self._good.intersection_update(present)
            idle = [item for item in present if item not in self._busy and item not in self._good]
            for item in idle[: max(0, len(idle) - self._most)]:
                item.force_close()
