"""Read-only queries of the outbox: records, counts, parked channels, hashes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import count
from typing import Any

from zofbot.clock import Clock
from zofbot.domain.durations import to_milliseconds
from zofbot.notifications.notification import NotificationState
from zofbot.store.decoding import decode_hash, decode_pairs, decode_text, decode_texts
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox_scripts import KEY_TTL_SECONDS
from zofbot.store.records import OutboxRecord, OutboxStats, ParkedChannel, build_record

OLDEST_PAGE_SIZE = 500
"""Entries read per round trip in search of the oldest one that could be sent now."""

MAX_WHOLE_FIELDS = 500
"""Fields up to which reading a hash whole costs less than choosing the fields that are needed."""

_READ_HASHES_SCRIPT = """
local found = {}
for index, name in ipairs(KEYS) do
  local limit = tonumber(ARGV[index])
  found[index] = (limit == 0 or redis.call('HLEN', name) <= limit) and redis.call('HGETALL', name)
end
return found
"""


class OutboxReader:
    """The part of the outbox that changes nothing. Every method raises StoreUnavailable."""

    def __init__(self, keyspace: Keyspace, clock: Clock) -> None:
        self._keyspace, self._redis = keyspace, keyspace.client
        self._clock = clock
        self._read_hashes = keyspace.register_script(_READ_HASHES_SCRIPT)

    async def parked_channels(self) -> list[ParkedChannel]:
        """List the channels that refuse messages."""
        async with self._keyspace.guard_call():
            found = await self._redis.hgetall(self._index_key("parked"))
            channels = {decode_text(channel): decode_text(kept) for channel, kept in found.items()}
            async with self._redis.pipeline(transaction=False) as pipe:
                for channel in channels:
                    pipe.zcard(self._keyspace.key("queue", channel))
                waiting = await pipe.execute()
        return [
            ParkedChannel.from_stored(*stored, count) for stored, count in zip(channels.items(), waiting, strict=True)
        ]

    async def removed_alerts(self) -> dict[str, str]:
        """Return the roots deleted twice of which nobody was notified yet, each with its channel."""
        async with self._keyspace.guard_call():
            found = await self._redis.hgetall(self._index_key("removed"))
        return {decode_text(key): decode_text(channel) for key, channel in found.items()}

    async def read_stats(self) -> OutboxStats:
        """Count the notifications by state."""
        now = self._clock.time()
        async with self._keyspace.pipeline() as pipe:
            pipe.zcard(self._index_key("open"))
            pipe.zcard(self._index_key("leases"))
            pipe.zcount(self._index_key("dead"), f"({to_milliseconds(now - KEY_TTL_SECONDS)}", "+inf")  # others expired
            pipe.zcount(self._index_key("later"), f"({to_milliseconds(now)}", "+inf")
            pipe.hkeys(self._index_key("parked"))
            pipe.hget(self._index_key("pause"), "reason")
            waiting, sending, dead, scheduled, parked, paused = await pipe.execute()
        oldest = max(0.0, now - await self._oldest_commit_time(to_milliseconds(now), decode_texts(parked)))
        return OutboxStats(
            max(0, waiting - sending), sending, dead, oldest, len(parked), decode_text(paused or b""), scheduled
        )

    async def _oldest_commit_time(self, now: int, parked: Sequence[str]) -> float:
        """Return when the oldest that could be sent at ``now`` (ms) was committed; Unix seconds, infinite if none.

        Left out is what is scheduled for later, and what waits for a ``parked`` channel.
        """
        indexes = [self._index_key("later"), *(self._keyspace.key("queue", channel) for channel in parked)]
        for start in count(0, OLDEST_PAGE_SIZE):
            async with self._keyspace.guard_call():
                found: Any = await self._redis.zrange(
                    self._index_key("open"), start, start + OLDEST_PAGE_SIZE - 1, withscores=True
                )
            if not found:
                break
            async with self._keyspace.pipeline() as pipe:
                for index in indexes:
                    pipe.zmscore(index, [key for key, _ in found])
                scheduled, *ranks = await pipe.execute()
            for (_, committed), till, *ranked in zip(found, scheduled, *ranks, strict=True):
                if (till is None or till <= now) and all(rank is None for rank in ranked):
                    return float(committed) / 1000
        return math.inf

    async def get_record(self, key: str) -> OutboxRecord | None:
        """Return the record of ``key``; None if unknown."""
        return next(iter(await self._load_records([key])), None)

    async def get_records(self, keys: Sequence[str]) -> Sequence[OutboxRecord]:
        """Return the records of those ``keys`` that are known: one round trip."""
        return await self._load_records(keys) if keys else []

    async def list_records(self, state: NotificationState, limit: int = 100) -> Sequence[OutboxRecord]:
        """Return up to ``limit`` records in ``state``: waiting ones oldest first, settled latest first (last 1,000)."""
        found: Any
        async with self._keyspace.guard_call():
            if state in (NotificationState.SENT, NotificationState.DROPPED):
                found = await self._redis.lrange(self._index_key(f"recent:{state}"), 0, limit - 1)
            elif state is NotificationState.DEAD:
                found = await self._redis.zrange(self._index_key("dead"), 0, limit - 1, desc=True)
            else:
                found = await self._list_open_keys(state, limit)
        return [record for record in await self._load_records(decode_texts(found)) if record.state is state]

    async def read_hashes(self, *names: str, unless_large: Collection[str] = ()) -> dict[str, dict[str, str]]:
        """Read hashes that ``commit`` changes: one atomic step, at a third of the CPU time of one command for each.

        Those of ``unless_large`` are left out if they have more than ``MAX_WHOLE_FIELDS``; read what is needed of them
        with ``read_fields``.
        """
        limits = [MAX_WHOLE_FIELDS if name in unless_large else 0 for name in names]
        found = await self._read_hashes.run(list(map(self._keyspace.key, names)), limits)
        return {name: decode_pairs(flat) for name, flat in zip(names, found, strict=True) if flat is not None}

    async def read_fields(self, *names: tuple[str, str]) -> Sequence[str | None]:
        """Read single fields of hashes that ``commit`` changes, given by hash and field: one round trip."""
        async with self._keyspace.pipeline() as pipe:
            for name, field in names:
                pipe.hget(self._keyspace.key(name), field)
            found = await pipe.execute()
        return [None if value is None else decode_text(value) for value in found]

    async def _list_open_keys(self, state: NotificationState, limit: int) -> Sequence[Any]:
        sending = await self._redis.zrange(self._index_key("leases"), 0, -1)
        if state is NotificationState.SENDING:
            return sending[:limit]
        excluded = set(sending)
        found = await self._redis.zrange(self._index_key("open"), 0, limit + len(excluded) - 1)
        return [key for key in found if key not in excluded][:limit]

    async def _load_records(self, keys: Sequence[str]) -> Sequence[OutboxRecord]:
        async with self._keyspace.pipeline() as pipe:
            for key in keys:
                pipe.hgetall(self._keyspace.key("note", key))
                pipe.get(self._keyspace.key("sent", key))
            found = await pipe.execute()
        kept = (None if place is None else decode_text(place) for place in found[1::2])
        stored = (
            build_record(key, decode_hash(note, "replace"), place)
            for key, note, place in zip(keys, found[::2], kept, strict=True)
        )
        return [item for item in stored if item]

    def _index_key(self, name: str) -> str:
        return self._keyspace.key("outbox", name)
