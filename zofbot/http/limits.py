"""Request limits: body size and time, concurrency, rejected requests, log rate, idle connections."""

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
"""Time limit for receiving a body; Slack waits no longer for the response."""

MAX_CONCURRENT_BODIES = 32
"""Bodies read concurrently per endpoint."""

MAX_CONCURRENT_WEBHOOKS, MAX_WAITING_WEBHOOKS, MAX_WAIT_SECONDS = 16, 256, 5.0
"""Webhooks stored concurrently, how many may wait, and for how long; Zof waits ten seconds for a response."""

MAX_REJECTS_PER_SECOND, MAX_DELAYED_REJECTS, MAX_DELAY_SECONDS = 50, 512, 1.0
"""Rejections sent without delay per second, how many others may be delayed, and for how long."""

MAX_IDLE_CONNECTIONS, SWEEP_INTERVAL_SECONDS = 512, 1.0
"""Idle connections allowed, not counting those that sent an accepted request, and the interval of the check."""

MAX_IDLE_SECONDS = 75.0
"""Time a connection may be idle or take to send the headers; proxies close theirs sooner."""

RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ClosableConnection(Protocol):
    """A connection that can be closed at once."""

    def force_close(self) -> None: ...


class RejectedRequest(Exception):
    """A request that is unsigned, malformed or over a limit; ``reason`` is for metrics and logs."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class BodyReader:
    """Read bodies within limits of size and time; if there are too many, the longest-running read is aborted.

    So a sender of many slow bodies aborts its own, while a body that arrives at once is always read.
    """

    def __init__(self, most: int = MAX_CONCURRENT_BODIES) -> None:
        self._most = most
        self._reading: dict[asyncio.Timeout, None] = {}

    async def read_body(self, request: web.Request) -> bytes:
        """Return the whole body. Raises RejectedRequest: 408, 413 or 400."""
        try:
            self._stop_longest_read()
            if request.content.is_eof():
                return await _read_whole_body(request)  # it came with its headers, and does not wait
            async with timeout(MAX_BODY_SECONDS) as read_timeout:
                self._reading[read_timeout] = None
                try:
                    return await _read_whole_body(request)
                finally:
                    self._reading.pop(read_timeout, None)
        except TimeoutError:
            raise RejectedRequest(408, "too_slow") from None
        except (web.RequestPayloadError, OSError):  # invalid chunks, or the sender disconnected
            raise RejectedRequest(400, "malformed") from None

    def _stop_longest_read(self) -> None:
        while len(self._reading) >= self._most:
            longest = next(iter(self._reading))
            del self._reading[longest]
            if not longest.expired():
                longest.reschedule(0)


async def _read_whole_body(request: web.Request) -> bytes:
    """Read a whole body; unlike ``request.read()`` this keeps no copy in the request."""
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RejectedRequest(413, "too_large")
    return bytes(body)


class ConcurrencyLimit:
    """Limit concurrent requests; others wait for a slot, and too many waiting ones are rejected."""

    def __init__(
        self,
        at_once: int = MAX_CONCURRENT_WEBHOOKS,
        most: int = MAX_WAITING_WEBHOOKS,
        seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._most, self._seconds = most, seconds
        self._waiting = 0

    @asynccontextmanager
    async def acquire_slot(self) -> AsyncIterator[None]:
        """Hold a slot while the context lasts. Raises RejectedRequest: 503, to retry later."""
        if self._slots.locked():
            await self._wait_for_slot()
        else:
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    async def _wait_for_slot(self) -> None:
        if self._waiting >= self._most:
            raise RejectedRequest(503, "crowded")
        self._waiting += 1
        try:
            async with timeout(self._seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise RejectedRequest(503, "crowded") from None
        finally:
            self._waiting -= 1


class RejectThrottle:
    """Delay rejections beyond a few per second, so that a flood of bad requests costs little.

    A client that waits for each response is slowed down to one request per second and connection.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_at = 0.0
        self._delayed = 0

    async def delay_reject(self) -> bool:
        """Sleep before a rejection; False if too many are sleeping, then the connection should be closed instead."""
        now = self._clock.monotonic()
        self._next_at = min(max(self._next_at, now - 1) + 1 / MAX_REJECTS_PER_SECOND, now + MAX_DELAY_SECONDS)
        if self._next_at <= now:
            return True
        if self._delayed >= MAX_DELAYED_REJECTS:
            return False
        self._delayed += 1
        try:
            await self._clock.sleep(self._next_at - now)
        finally:
            self._delayed -= 1
        return True


async def reject_request(throttle: RejectThrottle, status: int, text: str = "") -> web.Response:
    """Build a rejection, delayed if there are many; a 503 says when to retry."""
    response = web.Response(status=status, text=text, headers={"Retry-After": "5"} if status == 503 else {})
    if not await throttle.delay_reject():
        response.force_close()
    return response


class SampledLog:
    """Log at most one line per reason and interval, with a count of omitted ones, so that no flood fills a disk."""

    def __init__(self, clock: Clock, seconds: float = 10.0) -> None:
        self._clock, self._seconds = clock, seconds
        self._logged_at: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def __call__(self, event: str, reason: str, **details: object) -> None:
        """Log the event, or count it as omitted; ``reason`` must have few distinct values."""
        key, now = (event, reason), self._clock.monotonic()
        if now - self._logged_at.get(key, -math.inf) < self._seconds:
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return
        self._logged_at[key] = now
        left_out = self._left_out.pop(key, 0)
        log.info(event, reason=reason, **details, **({"left_out": left_out} if left_out else {}))


class IdleConnectionReaper:
    """Track idle connections and close those over the limit of ``most``.

    A connection that sent an accepted request is not counted: it belongs to Slack, Zof or a proxy. ``idle_seconds`` is
    for the server, which closes any connection that is idle for longer.
    """

    def __init__(
        self, clock: Clock, *, most: int = MAX_IDLE_CONNECTIONS, idle_seconds: float = MAX_IDLE_SECONDS
    ) -> None:
        self.idle_seconds = idle_seconds
        self._clock = clock
        self._most = most
        self._busy: set[object] = set()
        self._trusted: set[object] = set()

    @web.middleware
    async def track_request(self, request: web.Request, handler: RequestHandler) -> web.StreamResponse:
        """Track which connections are busy, and which sent an accepted request."""
        self._busy.add(request.protocol)
        try:
            response = await handler(request)
        finally:
            self._busy.discard(request.protocol)
        if response.status < 400:
            self._trusted.add(request.protocol)
        return response

    async def close_idle(self, connections: Callable[[], Sequence[ClosableConnection]]) -> None:
        """Close idle connections over the limit, until cancelled; ``connections`` returns all, oldest first."""
        while True:
            await self._clock.sleep(SWEEP_INTERVAL_SECONDS)
            current = connections()
            self._trusted.intersection_update(current)
            idle = [item for item in current if item not in self._busy and item not in self._trusted]
            for item in idle[: max(0, len(idle) - self._most)]:
                item.force_close()
