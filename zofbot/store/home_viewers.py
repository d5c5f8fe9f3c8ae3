"""App Homes: who looked at theirs lately, and which of them show what has passed.

=====================  =================================================================================
``home:viewers``       sorted set: people, by when they last opened their Home
``home:shown``         hash: for each, when theirs was last drawn anew by itself, and the mark it shows
``home:versions``      hash: for each, Slack's hash of the view that stands there
=====================  =================================================================================

A mark stands for all that Home shows: it changes with every commit, settlement and act, and every few minutes, for ages
grow. Taking those that are due is one atomic step, so each is drawn by one process.
"""

from __future__ import annotations

from typing import NamedTuple

import redis.asyncio as redis

from zofbot.clock import Clock
from zofbot.store import guard_redis_call
from zofbot.store.records import decode_text, decode_texts

VIEWER_SECONDS = 1800.0
"""For how long a Home is kept up to date once it was opened; Slack does not say when it is left."""

MIN_UPDATE_SECONDS = 15.0
"""Seconds between two times that a Home is drawn anew; with ``MOST`` that stays under Slack's hundred a minute."""

MAX_VIEWERS = 20
"""People whose Homes are kept up to date: those who opened theirs last."""

MAX_AGE_SECONDS = 300.0
"""Seconds after which a Home is drawn anew though nothing happened."""

# KEYS: viewers, shown, versions, then what a mark is made of: sequence of commits, what is open, the dead, the audit.
_MARK_SCRIPT = """
local NOW, BEAT = tonumber(ARGV[1]), tonumber(ARGV[2])
local function mark()
  local last = redis.call('XREVRANGE', KEYS[7], '+', '-', 'COUNT', 1)
  return table.concat({redis.call('GET', KEYS[4]) or '0', redis.call('ZCARD', KEYS[5]), redis.call('ZCARD', KEYS[6]),
    last[1] and last[1][1] or '-', math.floor(NOW / BEAT)}, '/')
end
"""

# ARGV: now (ms), beat (ms), somebody, seconds to keep it all. Answers the version that stands there.
_ADD_VIEWER_SCRIPT = (
    _MARK_SCRIPT
    + """
redis.call('ZADD', KEYS[1], NOW, ARGV[3])
redis.call('HSET', KEYS[2], ARGV[3], '0 ' .. mark())
for place = 1, 3 do redis.call('EXPIRE', KEYS[place], ARGV[4]) end
return redis.call('HGET', KEYS[3], ARGV[3]) or ''
"""
)

# ARGV: now (ms), beat (ms), how long a viewer is one (ms), pace (ms), most. Answers (somebody, version) of those due.
_CLAIM_DUE_SCRIPT = (
    _MARK_SCRIPT
    + """
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', NOW - tonumber(ARGV[3]))
for _, user in ipairs(redis.call('ZREVRANGE', KEYS[1], ARGV[5], -1)) do gone[#gone + 1] = user end
for _, user in ipairs(gone) do
  redis.call('ZREM', KEYS[1], user)
  redis.call('HDEL', KEYS[2], user)
end
local viewers, due = redis.call('ZREVRANGE', KEYS[1], 0, -1), {}
if #viewers == 0 then return due end
local present = mark()
for _, user in ipairs(viewers) do
  local at, seen = string.match(redis.call('HGET', KEYS[2], user) or '', '^(%d+) (%S+)$')
  if not at or (seen ~= present and NOW - tonumber(at) >= tonumber(ARGV[4])) then
    redis.call('HSET', KEYS[2], user, string.format('%.0f', NOW) .. ' ' .. present)
    due[#due + 1] = {user, redis.call('HGET', KEYS[3], user) or ''}
  end
end
return due
"""
)

# ARGV: somebody, the version that does not stand there. One that was kept since then stays.
_MARK_STALE_SCRIPT = """
redis.call('HDEL', KEYS[2], ARGV[1])
if redis.call('HGET', KEYS[3], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[3], ARGV[1]) end
"""


class HomeViewer(NamedTuple):
    """Somebody whose Home is to be drawn anew, and Slack's hash of what stands there now, if that is known."""

    user: str
    version: str


class HomeViewers:
    """The Homes of one bot. Every method raises StoreUnavailable, and is one round trip."""

    def __init__(self, client: redis.Redis, namespace: str, clock: Clock) -> None:
        self._redis = client
        self._clock = clock
        prefix = "{" + namespace + "}:"
        names = (
            "home:viewers",
            "home:shown",
            "home:versions",
            "outbox:sequence",
            "outbox:open",
            "outbox:dead",
            "audit",
        )
        self._keys = [prefix + name for name in names]
        self._opened, self._due, self._again = map(
            client.register_script, (_ADD_VIEWER_SCRIPT, _CLAIM_DUE_SCRIPT, _MARK_STALE_SCRIPT)
        )

    async def add_viewer(self, user: str) -> str:
        """Keep somebody's Home up to date from now on; gives the version that stands there.

        To be called before what it shows is read: what changes after that makes it due.
        """
        args: list[str | int] = [
            self._now_milliseconds(),
            _to_milliseconds(MAX_AGE_SECONDS),
            user,
            int(2 * VIEWER_SECONDS),
        ]
        async with guard_redis_call():
            return decode_text(await self._opened(keys=self._keys, args=args))

    async def claim_due(self) -> list[HomeViewer]:
        """Take those whose Home shows what has passed; whoever takes them draws them."""
        args = [
            self._now_milliseconds(),
            _to_milliseconds(MAX_AGE_SECONDS),
            _to_milliseconds(VIEWER_SECONDS),
            _to_milliseconds(MIN_UPDATE_SECONDS),
            MAX_VIEWERS,
        ]
        async with guard_redis_call():
            found = await self._due(keys=self._keys, args=args)
        return [HomeViewer(*decode_texts(item)) for item in found]

    async def save_version(self, user: str, version: str) -> None:
        """Keep which version stands there now."""
        async with guard_redis_call(), self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(self._keys[2], user, version)
            pipe.expire(self._keys[2], int(2 * VIEWER_SECONDS))
            await pipe.execute()

    async def mark_stale(self, user: str, version: str) -> None:
        """Have it drawn anew soon, for what stood there was not ``version`` any more, which is forgotten."""
        async with guard_redis_call():
            await self._again(keys=self._keys, args=[user, version])

    async def mark_uncertain(self, user: str) -> None:
        """Have it drawn anew at its next turn, whatever happens: what it shows is not certain."""
        async with guard_redis_call(), self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(self._keys[1], user, f"{self._now_milliseconds()} ?")
            pipe.expire(self._keys[1], int(2 * VIEWER_SECONDS))
            await pipe.execute()

    def _now_milliseconds(self) -> int:
        return _to_milliseconds(self._clock.time())


def _to_milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
