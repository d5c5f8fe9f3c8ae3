"""Traces: what became of each request, for 7 days, in two capped streams; written by a task that nobody waits for.

``{namespace}:traces:requests`` has what people asked for, ``{namespace}:traces:work`` what went wrong in work that
happens by itself, so that a bad night of the one does not push out the other. An entry's field ``ids`` has what it is
found under, a line each, and ``trace`` the trace as JSON.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import redis.asyncio as redis
import structlog
from pydantic import ValidationError

from zofbot.clock import Clock, timeout
from zofbot.errors import StoreUnavailable
from zofbot.metrics import Metrics
from zofbot.store import _reachable
from zofbot.store.entry import pairs, text
from zofbot.trace import Trace
from zofbot.tracing import Tracing

log = structlog.get_logger()

KEPT_SECONDS = 7 * 24 * 3600

KEPT = {"requests": 20_000, "work": 5_000}
"""Traces of each stream, about: Redis drops whole blocks of the oldest."""

LARGEST = 4096
"""Bytes of one trace; its middle is left out beyond that."""

WAITING = 1000
"""Traces that wait in memory for the store; when more come, the oldest are dropped."""

BATCH, LINGER = 50, 0.1
"""Traces that are written in one step, at most, and seconds in which they come together."""

AGAIN = 2.0
"""Seconds until another try, while the store does not answer."""

SWEEP = 3600.0
"""Seconds between two looks for what is too old; nothing that old is ever shown."""

PAGE = 100
SHOWN = 5
"""Traces found under one id that are shown: the latest."""


class Traces:
    """The traces of one bot, of ``kept`` entries a stream; every method raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str, kept: dict[str, int] | None = None) -> None:
        self._redis = client
        kept = kept or KEPT
        self._streams = {"{" + namespace + "}:traces:" + name: most for name, most in kept.items()}

    async def write(self, traces: Sequence[Trace]) -> None:
        """Keep traces: one round trip."""
        requests, work = self._streams
        async with _reachable(), self._redis.pipeline(transaction=False) as pipe:
            for one in traces:
                stream = requests if one.kind == "request" else work
                fields: Any = {"ids": "\n".join(one.ids), "trace": one.fitted(LARGEST)}
                pipe.xadd(stream, fields, maxlen=self._streams[stream], approximate=True)
            for stream in self._streams:
                pipe.expire(stream, KEPT_SECONDS)
            await pipe.execute()

    async def sweep(self) -> None:
        """Forget what is too old."""
        oldest = await self._oldest()
        async with _reachable(), self._redis.pipeline(transaction=False) as pipe:
            for stream in self._streams:
                pipe.xtrim(stream, minid=oldest, approximate=False)
            await pipe.execute()

    async def find(self, name: str) -> list[Trace]:
        """The latest traces with this id, oldest first; one that cannot be read is left out, and said in the log."""
        oldest = await self._oldest()
        found = [one for stream in self._streams for one in await self._in(stream, name, oldest)]
        return latest(found)

    async def _in(self, stream: str, name: str, oldest: str) -> list[Trace]:
        """The latest of one stream, looked for from its end on."""
        found: list[Trace] = []
        end, more = "+", True
        while more and len(found) < SHOWN:
            async with _reachable():
                page: Any = await self._redis.xrevrange(stream, max=end, min=oldest, count=PAGE)
            entries = [pairs(fields) for _, fields in page]
            mine = [one for one in entries if name in one.get("ids", "").split("\n")]
            found += [trace for one in mine if (trace := _read(one))]
            more = len(page) == PAGE
            end = f"({text(page[-1][0])}" if page else end
        return found

    async def _oldest(self) -> str:
        """The least id that is not too old, by the store's own clock, which made the ids."""
        async with _reachable():
            seconds, _ = await self._redis.time()
        return str((seconds - KEPT_SECONDS) * 1000)


class TraceWriter:
    """Takes traces from whoever works, and writes them in a task of its own, so that nobody waits for the store.

    Up to ``most`` wait while the store does not answer. ``known`` are secrets that certainly must not be written.
    """

    def __init__(
        self, traces: Traces, metrics: Metrics, clock: Clock, known: tuple[str, ...] = (), most: int = WAITING
    ) -> None:
        self._traces, self._metrics, self._clock, self._known, self._most = traces, metrics, clock, known, most
        self._waiting: deque[Tracing] = deque()
        self._writing: list[Tracing] = []
        self._some = asyncio.Event()

    def learn(self, *secrets: str) -> None:
        """Keep these out as well, from now on."""
        self._known = (*secrets, *self._known)

    def keep(self, made: Tracing) -> None:
        """Take a trace that has ended."""
        self._waiting.append(made)
        self._some.set()
        self._drop(len(self._waiting) - self._most)

    async def run(self) -> None:
        """Write what was taken until cancelled, and sweep out what is old."""
        now = self._clock.monotonic
        sweep = 0.0
        while True:
            try:
                if await self._taken(SWEEP):
                    await self._clock.sleep(LINGER)
                    await self.write()
                if now() >= sweep:
                    await self._traces.sweep()
                    sweep = now() + SWEEP
            except StoreUnavailable:
                self._some.set()
                await self._clock.sleep(AGAIN)

    async def write(self) -> None:
        """Write all that waits. Raises StoreUnavailable: it then goes on waiting."""
        self._some.clear()
        while self._waiting:
            self._writing = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._traces.write([await self._cleaned(one) for one in self._writing])
                self._metrics.traces.labels("kept").inc(len(self._writing))
            except BaseException:
                self._waiting.extendleft(reversed(self._writing))
                raise
            finally:
                self._writing = []
                self._drop(len(self._waiting) - self._most)

    async def finish(self, seconds: float) -> None:
        """Write what waits still, within so many seconds; what is left then is dropped."""
        try:
            async with timeout(seconds):
                await self.write()
        except (StoreUnavailable, TimeoutError):
            log.warning("traces dropped", count=len(self._waiting))
        self._drop(len(self._waiting))

    async def find(self, name: str) -> list[Trace]:
        """Traces with this id, those included that wait here. Raises StoreUnavailable when there is none of these."""
        here = [one.trace(*self._known) for one in (*self._writing, *self._waiting) if one.found(name)]
        try:
            there = await self._traces.find(name)
        except StoreUnavailable:
            if not here:
                raise
            there = []
        return latest([*there, *here])

    async def _taken(self, seconds: float) -> bool:
        """Whether something was taken within so many seconds."""
        try:
            async with timeout(seconds):
                return await self._some.wait()
        except TimeoutError:
            return False

    async def _cleaned(self, made: Tracing) -> Trace:
        await asyncio.sleep(0)  # each takes a moment of this process, in which others have their turn
        return made.trace(*self._known)

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()
            self._metrics.traces.labels("dropped").inc()


def latest(found: Iterable[Trace]) -> list[Trace]:
    """The latest ``SHOWN``, oldest first, each once."""
    each = {one.reference: one for one in found}
    return sorted(each.values(), key=lambda one: one.at)[-SHOWN:]


def _read(entry: dict[str, str]) -> Trace | None:
    try:
        kept = Trace.model_validate_json(entry.get("trace", ""))
    except ValidationError as error:
        log.error("unreadable trace", problems=error.error_count())
        return None
    return kept.model_copy(update={"ids": tuple(entry["ids"].split("\n"))})
