"""Stored traces of requests and background work, kept for 7 days in two capped streams.

``{namespace}:traces:requests`` holds requests of people, ``{namespace}:traces:work`` failures of background work; two
streams, so that many of one do not evict the other. An entry's field ``ids`` lists the ids it is found under, one per
line; ``trace`` is the trace as JSON.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from pydantic import ValidationError

from zofbot.clock import Clock, timeout
from zofbot.domain.errors import StoreUnavailable
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.health import TraceDropped, TracesStored
from zofbot.observability.trace_model import Trace
from zofbot.observability.trace_recorder import TraceRecorder
from zofbot.store.decoding import decode_hash, decode_text
from zofbot.store.keyspace import Keyspace

log = structlog.get_logger()

TRACE_TTL_SECONDS = 7 * 24 * 3600

MAX_TRACES_BY_STREAM = {"requests": 20_000, "work": 5_000}
"""Approximate: Redis trims whole blocks of the oldest."""

MAX_TRACE_BYTES = 4096
"""Size limit of a stored trace; steps in the middle of a longer one are left out."""

MAX_WAITING_TRACES = 1000
"""Traces that wait in memory to be written; beyond that the oldest are dropped."""

MAX_BATCH_SIZE, BATCH_DELAY_SECONDS = 50, 0.1
"""Traces written in one round trip, and the time for which they are collected."""

RETRY_SECONDS = 2.0
"""Pause between attempts while the store is unavailable."""

SWEEP_INTERVAL_SECONDS = 3600.0
"""Interval between deletions of expired traces, which are never shown."""

PAGE_SIZE = 100
MAX_SHOWN_TRACES = 5
"""Number of traces shown for one id: the latest."""


class TraceStore:
    """The stored traces of one bot, with ``kept`` entries per stream. Every method raises StoreUnavailable."""

    def __init__(self, keyspace: Keyspace, kept: dict[str, int] | None = None) -> None:
        self._keyspace, self._redis = keyspace, keyspace.client
        kept = kept or MAX_TRACES_BY_STREAM
        self._streams = {keyspace.key("traces", name): limit for name, limit in kept.items()}

    async def write_traces(self, traces: Sequence[Trace]) -> None:
        """Store traces: one round trip."""
        requests, work = self._streams
        async with self._keyspace.pipeline() as pipe:
            for trace in traces:
                stream = requests if trace.kind == "request" else work
                fields: Any = {"ids": "\n".join(trace.ids), "trace": trace.to_bounded_json(MAX_TRACE_BYTES)}
                pipe.xadd(stream, fields, maxlen=self._streams[stream], approximate=True)
            for stream in self._streams:
                pipe.expire(stream, TRACE_TTL_SECONDS)
            await pipe.execute()

    async def delete_expired(self) -> None:
        """Delete traces older than ``TRACE_TTL_SECONDS``."""
        oldest = await self._oldest_id()
        async with self._keyspace.pipeline() as pipe:
            for stream in self._streams:
                pipe.xtrim(stream, minid=oldest, approximate=False)
            await pipe.execute()

    async def find_traces(self, name: str) -> list[Trace]:
        """Return the latest traces with this id, oldest first; those that cannot be parsed are logged and skipped."""
        oldest = await self._oldest_id()
        found = [item for stream in self._streams for item in await self._find_in_stream(stream, name, oldest)]
        return latest_traces(found)

    async def _find_in_stream(self, stream: str, name: str, oldest: str) -> list[Trace]:
        """Search one stream for the latest traces with this id, from its end."""
        found: list[Trace] = []
        end, more = "+", True
        while more and len(found) < MAX_SHOWN_TRACES:
            async with self._keyspace.guard_call():
                page: Any = await self._redis.xrevrange(stream, max=end, min=oldest, count=PAGE_SIZE)
            entries = [decode_hash(fields) for _, fields in page]
            matching = [entry for entry in entries if name in entry.get("ids", "").split("\n")]
            found += [trace for item in matching if (trace := _parse_trace(item))]
            more = len(page) == PAGE_SIZE
            end = f"({decode_text(page[-1][0])}" if page else end
        return found

    async def _oldest_id(self) -> str:
        """Return the lowest id that has not expired, by Redis' clock, from which the ids are made."""
        async with self._keyspace.guard_call():
            seconds, _ = await self._redis.time()
        return str((seconds - TRACE_TTL_SECONDS) * 1000)


class TraceWriter:
    """Queue finished traces and write them in the background, so that no request waits for the store.

    Up to ``most`` are queued while the store is unavailable. ``known`` are secrets to redact.
    """

    def __init__(
        self,
        traces: TraceStore,
        events: EventEmitter,
        clock: Clock,
        known: tuple[str, ...] = (),
        most: int = MAX_WAITING_TRACES,
    ) -> None:
        self._traces, self._events, self._clock, self._known, self._most = traces, events, clock, known, most
        self._waiting: deque[TraceRecorder] = deque()
        self._writing: list[TraceRecorder] = []
        self._has_waiting = asyncio.Event()

    def add_secrets(self, *secrets: str) -> None:
        """Redact these secrets as well from now on."""
        self._known = (*secrets, *self._known)

    def add_trace(self, recorder: TraceRecorder) -> None:
        """Queue a finished trace."""
        self._waiting.append(recorder)
        self._has_waiting.set()
        self._drop_oldest(len(self._waiting) - self._most)

    async def run(self) -> None:
        """Write queued traces and delete expired ones, until cancelled."""
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
                self._has_waiting.set()
                await self._clock.sleep(RETRY_SECONDS)

    async def write_waiting(self) -> None:
        """Write all queued traces; a batch that cannot be written is dropped.

        Raises StoreUnavailable; they then stay queued.
        """
        self._has_waiting.clear()
        while self._waiting:
            self._writing = [self._waiting.popleft() for _ in range(min(MAX_BATCH_SIZE, len(self._waiting)))]
            try:
                await self._traces.write_traces([await self._clean_trace(item) for item in self._writing])
                self._events.emit(TracesStored(len(self._writing)))
            except (StoreUnavailable, asyncio.CancelledError):
                self._waiting.extendleft(reversed(self._writing))
                raise
            except Exception:
                log.exception("traces cannot be written", count=len(self._writing))
                self._count_dropped(len(self._writing))
            finally:
                self._writing = []
                self._drop_oldest(len(self._waiting) - self._most)

    async def write_remaining(self, seconds: float) -> None:
        """Write the queued traces within ``seconds``, then drop the rest."""
        try:
            async with timeout(seconds):
                await self.write_waiting()
        except (StoreUnavailable, TimeoutError):
            log.warning("traces dropped", count=len(self._waiting))
        self._drop_oldest(len(self._waiting))

    async def find_traces(self, name: str) -> list[Trace]:
        """Return traces with this id, queued ones included. Raises StoreUnavailable unless one is queued."""
        queued = [item.build_trace(*self._known) for item in (*self._writing, *self._waiting) if item.has_id(name)]
        try:
            stored = await self._traces.find_traces(name)
        except StoreUnavailable:
            if not queued:
                raise
            stored = []
        return latest_traces([*stored, *queued])

    async def _wait_for_trace(self, seconds: float) -> bool:
        """Wait until a trace is queued; False after ``seconds`` without one."""
        try:
            async with timeout(seconds):
                return await self._has_waiting.wait()
        except TimeoutError:
            return False

    async def _clean_trace(self, recorder: TraceRecorder) -> Trace:
        await asyncio.sleep(0)  # redacting takes a while; let other tasks run in between
        return recorder.build_trace(*self._known)

    def _drop_oldest(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()
        self._count_dropped(count)

    def _count_dropped(self, count: int) -> None:
        for _ in range(count):
            self._events.emit(TraceDropped())


def latest_traces(found: Iterable[Trace]) -> list[Trace]:
    """Return the latest ``MAX_SHOWN_TRACES``, oldest first, without duplicates."""
    by_reference = {item.reference: item for item in found}
    return sorted(by_reference.values(), key=lambda item: item.at)[-MAX_SHOWN_TRACES:]


def _parse_trace(entry: dict[str, str]) -> Trace | None:
    try:
        trace = Trace.model_validate_json(entry.get("trace", ""))
    except ValidationError as error:
        log.error("unreadable trace", problems=error.error_count())
        return None
    return trace.model_copy(update={"ids": tuple(entry["ids"].split("\n"))})
