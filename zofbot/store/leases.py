"""Leases: one process works at a time, and a fencing number rejects late writes of its predecessors."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from zofbot.clock import Clock
from zofbot.domain.durations import to_milliseconds
from zofbot.store.decoding import decode_hash, decode_pairs
from zofbot.store.keyspace import Keyspace
from zofbot.store.schema import SCHEMA_KEY, STORE_SCHEMA, outdated_error

# KEYS: holder, number, schema, note, hashes to be read. ARGV: the caller's id, lease (ms), its last number, now (ms),
# the newest schema it knows; then field and value pairs of its note.
# Returns 'outdated' if the store's schema is newer, nothing while another process holds the lease, else number and
# hashes. Numbers start from the time, so that they rise even if the store lost its data.
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
for index = 5, #KEYS do found[index - 3] = redis.call('HGETALL', KEYS[index]) end
return found
"""

_RELEASE_SCRIPT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if #ARGV > 1 then redis.call('HSET', KEYS[2], unpack(ARGV, 2)) end
return redis.call('DEL', KEYS[1])
"""

LeaseNote = Mapping[str, str]
"""A few fields that the lease's holder publishes for other processes."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The fencing number of a lease, stored under ``key``; commits with another number are refused."""

    key: str
    number: int


@dataclass(frozen=True, slots=True)
class LeaseState:
    """Whether the lease is held, and the latest note of its last holder."""

    held: bool
    note: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease held by this process; ``hashes`` were read in the same step."""

    fence: Fence
    hashes: dict[str, dict[str, str]]


class Lease:
    """One process's claim to the work called ``name``; expires ``seconds`` after the last ``hold``.

    The number rises with each change of holder, and if the lease had expired meanwhile. Every method raises
    StoreUnavailable. ``hold`` raises OutdatedVersion, and releases the lease, if the store's schema is newer.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        name: str,
        seconds: float,
        clock: Clock,
        *,
        schema: int = STORE_SCHEMA,
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._holder, self._fence, self._note = (keyspace.key(noun, name) for noun in ("lease", "fence", "word"))
        self._written, self._schema = keyspace.key(SCHEMA_KEY), schema
        self._token = secrets.token_hex(8)
        self._number = 0
        self._keyspace = keyspace
        self._hold = keyspace.register_script(_HOLD_SCRIPT)
        self._release = keyspace.register_script(_RELEASE_SCRIPT)

    async def hold(self, *names: str, note: LeaseNote = MappingProxyType({})) -> HeldLease | None:
        """Take or renew the lease, publish ``note`` for other processes, and read hashes: one round trip.

        Returns None, and publishes nothing, while another process holds it.
        """
        keys = [self._holder, self._fence, self._written, self._note, *map(self._keyspace.key, names)]
        args: list[str | int] = [self._token, to_milliseconds(self.seconds), self._number]
        args += [to_milliseconds(self._clock.time()), self._schema, *_flatten_note(note)]
        found = await self._hold.run(keys, args)
        if found == b"outdated":
            raise outdated_error()
        if not found:
            return None
        self._number = int(found[0])
        return HeldLease(
            Fence(self._fence, self._number),
            {name: decode_pairs(flat) for name, flat in zip(names, found[1:], strict=True)},
        )

    async def release(self, note: LeaseNote = MappingProxyType({})) -> None:
        """Release the lease, so that another process can take it at once; no effect if it is not held."""
        await self._release.run([self._holder, self._note], [self._token, *_flatten_note(note)])

    async def read_state(self) -> LeaseState:
        """Read who holds the lease without taking it: one round trip."""
        async with self._keyspace.pipeline() as pipe:
            pipe.exists(self._holder)
            pipe.hgetall(self._note)
            held, note = await pipe.execute()
        return LeaseState(bool(held), decode_hash(note))


def _flatten_note(note: LeaseNote) -> list[str]:
    return [part for pair in note.items() for part in pair]
