"""Traces: what became of each request, for 7 days, in two capped streams; written by a task that nobody waits for.

``{namespace}:traces:requests`` has what people asked for, ``{namespace}:traces:work`` what went wrong in work that
happens by itself, so that a bad night of the one does not push out the other. An entry's field ``ids`` has what
it is found under, a line each, and ``build_trace`` the trace as JSON.
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
from zofbot.domain.errors import StoreUnavailable
from zofbot.observability.metrics import Metrics
from zofbot.observability.trace import Trace
from zofbot.observability.tracing import TraceRecorder
from zofbot.store import guard_redis_call
from zofbot.store.records import decode_hash, decode_text

log = structlog.get_logger()

TRACE_TTL_SECONDS = 7 * 24 * 3600

MAX_TRACES_BY_STREAM = {"requests": 20_000, "work": 5_000}
"""Traces of each stream, about: Redis drops whole blocks of the oldest."""

MAX_TRACE_BYTES = 4096
"""Bytes of one trace; its middle is left out beyond that."""

MAX_WAITING_TRACES = 1000
"""Traces that wait in memory for the store; when more come, the oldest are dropped."""

MAX_BATCH_SIZE, BATCH_DELAY_SECONDS = 50, 0.1
"""Traces that are written in one step, at most, and seconds in which they come together."""

RETRY_SECONDS = 2.0
"""Seconds until another try, while the store does not answer."""

SWEEP_INTERVAL_SECONDS = 3600.0
"""Seconds between two looks for what is too old; nothing that old is ever shown."""

PAGE_SIZE = 100
MAX_SHOWN_TRACES = 5
"""Traces found under one id that are shown: the latest."""


class TraceStore:
    """The traces of one bot, of ``kept`` entries a stream; every method raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str, kept: dict[str, int] | None = None) -> None:
        self._redis = client
        kept = kept or MAX_TRACES_BY_STREAM
        self._streams = {"{" + namespace + "}:traces:" + name: most for name, most in kept.items()}

    async def write_traces(self, traces: Sequence[Trace]) -> None:
        """Keep traces: one round trip."""
        requests, work = self._streams
        async with guard_redis_call(), self._redis.pipeline(transaction=False) as pipe:
            for trace in traces:
                stream = requests if trace.kind == "request" else work
                fields: Any = {"ids": "\n".join(trace.ids), "trace": trace.to_bounded_json(MAX_TRACE_BYTES)}
                pipe.xadd(stream, fields, maxlen=self._streams[stream], approximate=True)
            for stream in self._streams:
                pipe.expire(stream, TRACE_TTL_SECONDS)
            await pipe.execute()

    async def delete_expired(self) -> None:
        """Forget what is too old."""
        oldest = await self._oldest_id()
        async with guard_redis_call(), self._redis.pipeline(transaction=False) as pipe:
            for stream in self._streams:
                pipe.xtrim(stream, minid=oldest, approximate=False)
            await pipe.execute()

    async def find_traces(self, name: str) -> list[Trace]:
        """The latest traces with this id, oldest first; one that cannot be read is left out, and said in the log."""
        oldest = await self._oldest_id()
        found = [item for stream in self._streams for item in await self._find_in_stream(stream, name, oldest)]
        return latest_traces(found)

    async def _find_in_stream(self, stream: str, name: str, oldest: str) -> list[Trace]:
        """The latest of one stream, looked for from its end on."""
        found: list[Trace] = []
        end, more = "+", True
        while more and len(found) < MAX_SHOWN_TRACES:
            async with guard_redis_call():
                page: Any = await self._redis.xrevrange(stream, max=end, min=oldest, count=PAGE_SIZE)
            entries = [decode_hash(fields) for _, fields in page]
            mine = [entry for entry in entries if name in entry.get("ids", "").split("\n")]
            found += [trace for item in mine if (trace := _parse_trace(item))]
            more = len(page) == PAGE_SIZE
            end = f"({decode_text(page[-1][0])}" if page else end
        return found

    async def _oldest_id(self) -> str:
        """The least id that is not too old, by the store's own clock, which made the ids."""
        async with guard_redis_call():
            seconds, _ = await self._redis.time()
        return str((seconds - TRACE_TTL_SECONDS) * 1000)


class TraceWriter:
    """Takes traces from whoever works, and writes them in a task of its own, so that nobody waits for the store.

    Up to ``most`` wait while the store does not answer. ``known`` are secrets that certainly must not be written.
    """

    def __init__(
        self,
        traces: TraceStore,
        metrics: Metrics,
        clock: Clock,
        known: tuple[str, ...] = (),
        most: int = MAX_WAITING_TRACES,
    ) -> None:
        self._traces, self._metrics, self._clock, self._known, self._most = traces, metrics, clock, known, most
        self._waiting: deque[TraceRecorder] = deque()
        self._writing: list[TraceRecorder] = []
        self._some = asyncio.Event()

    def add_secrets(self, *secrets: str) -> None:
        """Keep these out as well, from now on."""
        self._known = (*secrets, *self._known)

    def add_trace(self, made: TraceRecorder) -> None:
        """Take a trace that has ended."""
        self._waiting.append(made)
        self._some.set()
        self._drop_oldest(len(self._waiting) - self._most)

    async def run(self) -> None:
        """Write what was taken until cancelled, and sweep out what is old."""
        now = self._clock.monotonic
        sweep = 0.0
        while True:
            try:
                if await self._wait_for_trace(SWEEP_INTERVAL_SECONDS):
                    await self._clock.sleep(BATCH_DELAY_SECONDS)
                    await self.write_waiting()
                if now() >= sweep:
                    await self._traces.delete_expired()
                    sweep = now() + SWEEP_INTERVAL_SECONDS
            except StoreUnavailable:
                self._some.set()
                await self._clock.sleep(RETRY_SECONDS)

    async def write_waiting(self) -> None:
        """Write all that waits. Raises StoreUnavailable: it then goes on waiting."""
        self._some.clear()
        while self._waiting:
            self._writing = [self._waiting.popleft() for _ in range(min(MAX_BATCH_SIZE, len(self._waiting)))]
            try:
                await self._traces.write_traces([await self._clean_trace(item) for item in self._writing])
                self._metrics.traces.labels("kept").inc(len(self._writing))
            except BaseException:
                self._waiting.extendleft(reversed(self._writing))
                raise
            finally:
                self._writing = []
                self._drop_oldest(len(self._waiting) - self._most)

    async def write_remaining(self, seconds: float) -> None:
        """Write what waits still, within so many seconds; what is left then is dropped."""
        try:
            async with timeout(seconds):
                await self.write_waiting()
        except (StoreUnavailable, TimeoutError):
            log.warning("traces dropped", count=len(self._waiting))
        self._drop_oldest(len(self._waiting))

    async def find_traces(self, name: str) -> list[Trace]:
        """Traces with this id, those included that wait here. Raises StoreUnavailable when there is none of these."""
        here = [item.build_trace(*self._known) for item in (*self._writing, *self._waiting) if item.has_id(name)]
        try:
            there = await self._traces.find_traces(name)
        except StoreUnavailable:
            if not here:
                raise
            there = []
        return latest_traces([*there, *here])

    async def _wait_for_trace(self, seconds: float) -> bool:
        """Whether something was taken within so many seconds."""
        try:
            async with timeout(seconds):
                return await self._some.wait()
        except TimeoutError:
            return False

    async def _clean_trace(self, made: TraceRecorder) -> Trace:
        await asyncio.sleep(0)  # each takes a moment of this process, in which others have their turn
        return made.build_trace(*self._known)

    def _drop_oldest(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()
            self._metrics.traces.labels("dropped").inc()


def latest_traces(found: Iterable[Trace]) -> list[Trace]:
    """The latest ``SHOWN``, oldest first, each once."""
    each = {item.reference: item for item in found}
    return sorted(each.values(), key=lambda item: item.at)[-MAX_SHOWN_TRACES:]


def _parse_trace(entry: dict[str, str]) -> Trace | None:
    try:
        kept = Trace.model_validate_json(entry.get("trace", ""))
    except ValidationError as error:
        log.error("unreadable trace", problems=error.error_count())
        return None
    return kept.model_copy(update={"ids": tuple(entry["ids"].split("\n"))})
