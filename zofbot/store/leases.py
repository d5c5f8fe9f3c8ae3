"""A lease: of all processes that stand by one works at a time, and a number tells its writes from a predecessor's."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import redis.asyncio as redis

from zofbot.clock import Clock
from zofbot.store import guard_redis_call
from zofbot.store.records import decode_hash
from zofbot.store.schema import STORE_SCHEMA, outdated_error, schema_key

# KEYS: holder, number, the schema, word, hashes to be read. ARGV: who asks, how long (ms), its number, now (ms),
# the newest schema that it knows; then field and value of each thing that it has others know.
# Answers 'outdated' to who does not know the store's, nothing while somebody else holds it, else number and hashes.
# A number starts from the time, so that it rises even over a store that came back empty.
_HOLD_SCRIPT = """
local holder = redis.call('GET', KEYS[1])
if tonumber(redis.call('GET', KEYS[3]) or 0) > tonumber(ARGV[5]) then
  if holder == ARGV[1] then redis.call('DEL', KEYS[1]) end
  return 'outdated'
end
if holder and holder ~= ARGV[1] then return {} end
local number = tonumber(redis.call('GET', KEYS[2]) or '0')
if number == 0 or number ~= tonumber(ARGV[3]) then
  number = math.max(number, tonumber(ARGV[3])) + 1
  number = math.max(number, tonumber(ARGV[4]))
  redis.call('SET', KEYS[2], string.format('%.0f', number))
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if #ARGV > 5 then redis.call('HSET', KEYS[4], unpack(ARGV, 6)) end
local found = {string.format('%.0f', number)}
for place = 5, #KEYS do found[place - 3] = redis.call('HGETALL', KEYS[place]) end
return found
"""

_RELEASE_SCRIPT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if #ARGV > 1 then redis.call('HSET', KEYS[2], unpack(ARGV, 2)) end
return redis.call('DEL', KEYS[1])
"""

LeaseNote = Mapping[str, str]
"""What the process that works has others know of it: a few fields, stored by a step that it takes anyway."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The number of a lease, kept under its ``key``: what comes with another number is refused."""

    key: str
    number: int


@dataclass(frozen=True, slots=True)
class LeaseState:
    """Whether anybody holds it, and the last word of whoever did."""

    held: bool
    word: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HeldLease:
    """The lease is ours; ``hashes`` were read in the same step."""

    fence: Fence
    hashes: dict[str, dict[str, str]]


class Lease:
    """One process's claim to the work called ``name``; it ends by itself ``seconds`` after it was last held.

    The number rises with each take-over, also when the lease had ended meanwhile. Every method raises StoreUnavailable,
    and ``hold`` OutdatedVersion once a newer ``schema`` was written to the store: then the lease is let go of.
    """

    def __init__(  # noqa: PLR0913  (the last is for tests of two versions side by side)
        self,
        client: redis.Redis,
        namespace: str,
        name: str,
        seconds: float,
        clock: Clock,
        *,
        schema: int = STORE_SCHEMA,
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._prefix = "{" + namespace + "}:"
        self._holder, self._fence, self._word = (f"{self._prefix}{noun}:{name}" for noun in ("lease", "fence", "word"))
        self._written, self._schema = schema_key(namespace), schema
        self._me = secrets.token_hex(8)
        self._number = 0
        self._redis = client
        self._hold = client.register_script(_HOLD_SCRIPT)
        self._release = client.register_script(_RELEASE_SCRIPT)

    async def hold(self, *names: str, word: LeaseNote = MappingProxyType({})) -> HeldLease | None:
        """Take the lease or keep it, leave a word for others, and read hashes: one round trip.

        None, and nothing was left, while another process holds it.
        """
        keys = [self._holder, self._fence, self._written, self._word, *(self._prefix + name for name in names)]
        args: list[str | int] = [self._me, int(self.seconds * 1000), self._number]
        args += [int(self._clock.time() * 1000), self._schema, *_flatten_note(word)]
        async with guard_redis_call():
            found = await self._hold(keys=keys, args=args)
        if found == b"outdated":
            raise outdated_error()
        if not found:
            return None
        self._number = int(found[0])
        return HeldLease(
            Fence(self._fence, self._number),
            {name: _decode_pairs(flat) for name, flat in zip(names, found[1:], strict=True)},
        )

    async def release(self, word: LeaseNote = MappingProxyType({})) -> None:
        """Let the next one have it at once; nothing happens when it is not ours any more."""
        async with guard_redis_call():
            await self._release(keys=[self._holder, self._word], args=[self._me, *_flatten_note(word)])

    async def read_state(self) -> LeaseState:
        """How it stands, for whoever only looks: one round trip."""
        async with guard_redis_call(), self._redis.pipeline(transaction=False) as pipe:
            pipe.exists(self._holder)
            pipe.hgetall(self._word)
            held, word = await pipe.execute()
        return LeaseState(bool(held), decode_hash(word))


def _flatten_note(word: LeaseNote) -> list[str]:
    return [part for pair in word.items() for part in pair]


def _decode_pairs(flat: list[bytes]) -> dict[str, str]:
    each = iter(part.decode() for part in flat)
    return dict(zip(each, each, strict=True))
