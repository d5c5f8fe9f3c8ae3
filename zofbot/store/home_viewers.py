"""App Home views: who opened theirs recently, and which show outdated data.

=====================  =================================================================================
``home:viewers``       sorted set: user ids, by when they last opened their Home
``home:shown``         hash: for each user, when the Home was last updated automatically, and the mark it shows
``home:versions``      hash: for each user, Slack's hash of the view shown now
=====================  =================================================================================

A mark identifies the data that a Home shows: it changes with every commit, settlement and action, and every few minutes
because ages grow. Claiming due Homes is one atomic step, so each is updated by one process.
"""

from __future__ import annotations

from typing import NamedTuple

from zofbot.clock import Clock
from zofbot.domain.durations import to_milliseconds
from zofbot.store.decoding import decode_text, decode_texts
from zofbot.store.keyspace import Keyspace

VIEWER_SECONDS = 1800.0
"""A Home is kept up to date for this long after it was opened; Slack does not report when it is closed."""

MIN_UPDATE_SECONDS = 15.0
"""Minimum between updates of one Home; with ``MAX_VIEWERS`` that stays under Slack's hundred a minute."""

MAX_VIEWERS = 20
"""Number of Homes kept up to date: those opened last."""

MAX_AGE_SECONDS = 300.0
"""A Home is updated after this time even if nothing happened."""

# KEYS: viewers, shown, versions, then the sources of a mark: sequence, open, dead, audit.
_MARK_SCRIPT = """
local NOW, MAX_AGE = tonumber(ARGV[1]), tonumber(ARGV[2])
local function mark()
  local last = redis.call('XREVRANGE', KEYS[7], '+', '-', 'COUNT', 1)
  return table.concat({redis.call('GET', KEYS[4]) or '0', redis.call('ZCARD', KEYS[5]), redis.call('ZCARD', KEYS[6]),
    last[1] and last[1][1] or '-', math.floor(NOW / MAX_AGE)}, '/')
end
"""

# ARGV: now (ms), MAX_AGE (ms), user id, TTL of all keys (seconds), time of the last automatic update (ms).
# Returns the version of the view shown now.
_ADD_VIEWER_SCRIPT = (
    _MARK_SCRIPT
    + """
redis.call('ZADD', KEYS[1], NOW, ARGV[3])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[5] .. ' ' .. mark())
for place = 1, 3 do redis.call('EXPIRE', KEYS[place], ARGV[4]) end
return redis.call('HGET', KEYS[3], ARGV[3]) or ''
"""
)

# ARGV: now (ms), MAX_AGE (ms), VIEWER (ms), MIN_UPDATE (ms), MAX_VIEWERS. Returns (user id, version) of those due.
_CLAIM_DUE_SCRIPT = (
    _MARK_SCRIPT
    + """
local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', NOW - tonumber(ARGV[3]))
for _, user in ipairs(redis.call('ZREVRANGE', KEYS[1], ARGV[5], -1)) do expired[#expired + 1] = user end
for _, user in ipairs(expired) do
  redis.call('ZREM', KEYS[1], user)
  redis.call('HDEL', KEYS[2], user)
end
local viewers, due = redis.call('ZREVRANGE', KEYS[1], 0, -1), {}
if #viewers == 0 then return due end
local current = mark()
for _, user in ipairs(viewers) do
  local at, seen = string.match(redis.call('HGET', KEYS[2], user) or '', '^(%d+) (%S+)$')
  if not at or (seen ~= current and NOW - tonumber(at) >= tonumber(ARGV[4])) then
    redis.call('HSET', KEYS[2], user, string.format('%.0f', NOW) .. ' ' .. current)
    due[#due + 1] = {user, redis.call('HGET', KEYS[3], user) or ''}
  end
end
return due
"""
)

# ARGV: user id, the outdated version. A version saved since then is kept.
_MARK_STALE_SCRIPT = """
redis.call('HDEL', KEYS[2], ARGV[1])
if redis.call('HGET', KEYS[3], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[3], ARGV[1]) end
"""


class HomeViewer(NamedTuple):
    """A user whose Home must be updated, and Slack's hash of the view shown now, empty if unknown."""

    user: str
    version: str


class HomeViewers:
    """The App Homes of one bot. Every method is one round trip and raises StoreUnavailable."""

    def __init__(self, keyspace: Keyspace, clock: Clock) -> None:
        self._keyspace, self._clock = keyspace, clock
        names = (
            "home:viewers",
            "home:shown",
            "home:versions",
            "outbox:sequence",
            "outbox:open",
            "outbox:dead",
            "audit",
        )
        self._keys = [keyspace.key(name) for name in names]
        self._add_viewer, self._claim_due, self._mark_stale = map(
            keyspace.register_script, (_ADD_VIEWER_SCRIPT, _CLAIM_DUE_SCRIPT, _MARK_STALE_SCRIPT)
        )

    async def add_viewer(self, user: str, *, has_note: bool = False) -> str:
        """Keep a user's Home up to date from now on; returns the version of the view shown now.

        Call it before reading the data to show, so that later changes make the Home due: at once, or if the view
        ``has_note``, which the next view has not, after ``MIN_UPDATE_SECONDS``.
        """
        now = self._now_milliseconds()
        args: list[str | int] = [
            now,
            to_milliseconds(MAX_AGE_SECONDS),
            user,
            int(2 * VIEWER_SECONDS),
            now if has_note else 0,
        ]
        return decode_text(await self._add_viewer.run(self._keys, args))

    async def claim_due(self) -> list[HomeViewer]:
        """Claim the users whose Homes show outdated data; the caller must update them."""
        args = [
            self._now_milliseconds(),
            to_milliseconds(MAX_AGE_SECONDS),
            to_milliseconds(VIEWER_SECONDS),
            to_milliseconds(MIN_UPDATE_SECONDS),
            MAX_VIEWERS,
        ]
        found = await self._claim_due.run(self._keys, args)
        return [HomeViewer(*decode_texts(item)) for item in found]

    async def save_version(self, user: str, version: str) -> None:
        """Store Slack's hash of the view shown now."""
        async with self._keyspace.pipeline() as pipe:
            pipe.hset(self._keys[2], user, version)
            pipe.expire(self._keys[2], int(2 * VIEWER_SECONDS))
            await pipe.execute()

    async def mark_stale(self, user: str, version: str) -> None:
        """Mark a user's Home stale, and forget ``version`` unless a newer one was saved."""
        await self._mark_stale.run(self._keys, [user, version])

    async def mark_uncertain(self, user: str) -> None:
        """Schedule an update at the next opportunity, because it is unknown which view is shown."""
        async with self._keyspace.pipeline() as pipe:
            pipe.hset(self._keys[1], user, f"{self._now_milliseconds()} ?")
            pipe.expire(self._keys[1], int(2 * VIEWER_SECONDS))
            await pipe.execute()

    def _now_milliseconds(self) -> int:
        return to_milliseconds(self._clock.time())
