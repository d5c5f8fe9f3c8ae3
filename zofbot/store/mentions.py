"""Recent mentions of people in a channel, to limit the mentions in reminders and escalations.

``{namespace}:mentions:<channel>`` is a sorted set of ``<user or group id> <message's key>``, scored by the time of
sending in milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.clock import Clock
from zofbot.domain.durations import to_milliseconds
from zofbot.store.keyspace import Keyspace

# KEYS: the set. ARGV: now and the window in milliseconds, mentions allowed per window, the message's key, the ids.
# Returns how many milliseconds to wait until all may be mentioned; if 0, the mentions are recorded. Earlier records of
# the same message do not count.
_TAKE = """
local now, window, most, message = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + window, '+inf') -- recorded by a clock that was set back since
local seen, known = {}, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for at = 1, #known, 2 do
  local who, key = string.match(known[at], '^(%S+) (.*)$')
  if key ~= message then
    seen[who] = seen[who] or {}
    table.insert(seen[who], tonumber(known[at + 1]))
  end
end
local wait = 0
for at = 5, #ARGV do
  local times = seen[ARGV[at]] or {}
  if #times >= most then wait = math.max(wait, times[#times - most + 1] + window - now) end
end
if wait > 0 then return wait end
for at = 5, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[at] .. ' ' .. message) end
redis.call('PEXPIRE', KEYS[1], window)
return 0
"""


class Mentions:
    """Limit mentions of one user or user group in a channel to ``most`` within ``window`` seconds."""

    def __init__(self, keyspace: Keyspace, clock: Clock, *, most: int, window: float) -> None:
        self._clock, self._most, self._window = clock, most, to_milliseconds(window)
        self._keyspace = keyspace
        self._take = keyspace.register_script(_TAKE)

    async def take(self, channel: str, people: Sequence[str], message: str) -> float:
        """Record that ``message`` (its key) mentions ``people`` now and return 0, or return the seconds to wait.

        Idempotent per message. Raises StoreUnavailable.
        """
        now = to_milliseconds(self._clock.time())
        args: list[str | int] = [now, self._window, self._most, message, *people]
        return int(await self._take.run([self._keyspace.key("mentions", channel)], args)) / 1000
