"""The Redis store. All keys share one hash tag, so that Redis Cluster keeps them in one slot."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from zofbot.clock import Clock
from zofbot.domain.model import Quota
from zofbot.observability import trace_recorder
from zofbot.store.keyspace import MAX_REDIS_SECONDS, Keyspace
from zofbot.store.redis_server.connect import connect_redis

REQUEST_CLAIM_SECONDS = 600
"""Slack retries a request for about six minutes (https://docs.slack.dev/apis/events-api/); claims last longer."""

PROBE_TTL_SECONDS = 60
"""Lifetime of the key that is written to test whether Redis accepts writes."""

SHARE_TTL_SECONDS = 24 * 3600
"""For this long a second *Share* of a card returns the link to the first instead of posting again."""

MAX_POSTING_SECONDS = 60
"""A share still unfinished after this time belongs to a process that died."""

CHANGE_TTL_SECONDS = 2 * 3600
"""Lifetime of the number of a channel's or user's last change; longer than any cache entry about them."""

# KEYS: the last change of all, that of what changed. ARGV: CHANGE_TTL_SECONDS.
# Numbers are milliseconds of Redis' clock and three zeros, so that they also grow after the last one was lost.
_NOTE_CHANGE_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = math.floor(tonumber(redis.call('GET', KEYS[1]) or 0) / 1000)
local number = string.format('%.0f000', math.max(now, last + 1))
for _, key in ipairs(KEYS) do redis.call('SET', key, number, 'EX', ARGV[1]) end
"""
_CHANGE_NUMBER = re.compile(r"[0-9]{13}000")

# KEYS: the share. ARGV: the new share, now, TTL in seconds, MAX_POSTING_SECONDS.
# Returns the previous share (false if none) and 1 if the new one was stored. A new share that replaces an unfinished
# one keeps in `since` the time from which the card may already be in the channel.
_BEGIN_SHARE_SCRIPT = """
local previous = redis.call('GET', KEYS[1])
if previous then
  local share, new = cjson.decode(previous), cjson.decode(ARGV[1])
  if share.token == new.token then return {(share.since or 0) > 0 and previous, 1} end
  if share.done or tonumber(ARGV[2]) - share.at < tonumber(ARGV[4]) then return {previous, 0} end
  new.since = (share.since or 0) > 0 and share.since or share.at
  redis.call('SET', KEYS[1], cjson.encode(new), 'EX', ARGV[3])
  return {previous, 1}
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return {previous, 1}
"""


@dataclass(frozen=True)
class SharedCard:
    """Who shared a card, and the link to the message: empty until it is posted, or if Slack returned none."""

    user: str
    name: str
    at: float
    """Unix seconds."""
    done: bool = False
    link: str = ""
    since: float = 0.0
    """Start of an earlier share that may have posted the card, in Unix seconds; 0 if there was none."""

    @property
    def maybe_since(self) -> float:
        """Earliest time at which the card may have been posted, while this share is not done; Unix seconds."""
        return self.since or self.at

    @classmethod
    def load(cls, text: bytes | str) -> SharedCard:
        """Parse a share stored by ``begin_share``; fields added by newer versions are ignored."""
        return cls(**{name: value for name, value in json.loads(text).items() if name in cls.__dataclass_fields__})


class Store:
    """State that survives a restart or is shared by all processes. Every method raises StoreUnavailable."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.keyspace = keyspace
        self.client = self._redis = keyspace.client
        self._note_change = keyspace.register_script(_NOTE_CHANGE_SCRIPT)
        self._begin_share = keyspace.register_script(_BEGIN_SHARE_SCRIPT)

    async def ping(self) -> None:
        """Raise StoreUnavailable unless Redis answers."""
        async with self.keyspace.guard_call():
            await self._redis.ping()

    async def try_write(self) -> None:
        """Raise StoreUnavailable unless Redis accepts a write; it answers pings even when full or read-only."""
        async with self.keyspace.guard_call():
            await self._redis.set(self.keyspace.key("probe"), b"1", ex=PROBE_TTL_SECONDS)

    async def read_time(self) -> float:
        """Return the time of Redis' own clock, in Unix seconds."""
        async with self.keyspace.guard_call():
            seconds, micros = await self._redis.time()
        return seconds + micros / 1e6

    async def claim_request(self, request: str) -> bool:
        """Claim a request from Slack, once across all processes; False if it was claimed before."""
        name, token = self.keyspace.key("claim", request), secrets.token_bytes(8)
        async with self.keyspace.guard_call():
            # redis-py repeats SET after a lost connection; the claim found may then be our own.
            claimed = (
                await self._redis.set(name, token, nx=True, ex=REQUEST_CLAIM_SECONDS)
                or await self._redis.get(name) == token
            )
        trace_recorder.record_step("redis", "claim", "fresh" if claimed else "repeated")
        return bool(claimed)

    async def begin_share(self, key: str, share: SharedCard) -> tuple[bool, SharedCard | None]:
        """Claim the right to post a shared card; returns whether it was claimed, and the previous share if any.

        Claimed with a previous share means that its process died, so the card may already be in the channel.
        """
        stored = json.dumps(asdict(share) | {"token": secrets.token_hex(8)})
        arguments: list[str | float] = [stored, share.at, SHARE_TTL_SECONDS, MAX_POSTING_SECONDS]
        previous, claimed = await self._begin_share.run([self.keyspace.key("share", key)], arguments)
        trace_recorder.record_step("redis", "share", "begun" if claimed else "shared before", ids=(key,))
        return bool(claimed), SharedCard.load(previous) if previous else None

    async def end_share(self, key: str, share: SharedCard) -> None:
        """Store a finished share, with the link to the message."""
        async with self.keyspace.guard_call():
            await self._redis.set(self.keyspace.key("share", key), json.dumps(asdict(share)), ex=SHARE_TTL_SECONDS)

    async def cancel_share(self, key: str) -> None:
        """Release the claim of a share that certainly posted nothing."""
        async with self.keyspace.guard_call():
            await self._redis.delete(self.keyspace.key("share", key))

    async def note_change(self, identifier: str) -> None:
        """Invalidate every process's cache about a channel or user, given by id."""
        keys = [self.keyspace.key("changed", name) for name in ("", identifier)]
        await self._note_change.run(keys, [CHANGE_TTL_SECONDS])

    async def read_change_number(self, identifier: str) -> str:
        """Return the number of a channel's or user's last change, or of the last one of all (``identifier`` empty).

        Numbers grow with each ``note_change``; empty if there was no change in ``CHANGE_TTL_SECONDS``. Earlier versions
        add one to what is stored for a channel or user: then it is no number, because it cannot be compared.
        """
        async with self.keyspace.guard_call():
            stored = await self._redis.get(self.keyspace.key("changed", identifier))
        number = stored.decode() if isinstance(stored, bytes) else stored or ""
        return number if not number or _CHANGE_NUMBER.fullmatch(number) else f"counted {number}"

    async def read_quota(self) -> Quota | None:
        """Return Zof's quota as any process last saw it, None if unknown or expired."""
        async with self.keyspace.guard_call():
            text = await self._redis.get(self.keyspace.key("quota"))
        return Quota.model_validate_json(text) if text else None

    async def write_quota(self, quota: Quota) -> None:
        """Share Zof's quota with every process; expires when its window is reset."""
        async with self.keyspace.guard_call():
            until = int(quota.reset.timestamp()) + 1
            await self._redis.set(self.keyspace.key("quota"), quota.model_dump_json(), exat=until)


@asynccontextmanager
async def open_store(
    url: str, namespace: str, clock: Clock, max_seconds: float = MAX_REDIS_SECONDS
) -> AsyncIterator[Store]:
    """Open the store at ``url``; it connects on first use. Raises ValueError for an invalid URL."""
    async with connect_redis(url, namespace, clock) as client:
        yield Store(Keyspace(client, namespace, max_seconds))
