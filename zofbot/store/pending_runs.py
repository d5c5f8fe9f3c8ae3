"""Hints: the runs that were heard of and not read to their end yet. A webhook is answered once its hint stands here."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Literal

import redis.asyncio as redis
from redis.exceptions import RedisError

from zofbot.clock import Clock
from zofbot.domain.errors import StoreUnavailable
from zofbot.store import guard_redis_call
from zofbot.store.webhook_trials import ARRIVAL_KEY, TRIAL_KEY

PENDING_RUNS_HASH = "hints"
"""Its fields are the subjects of watches, its values the watches; the poller changes it with what it commits."""

LAST_DELIVERY_KEY = "delivered"
"""The key of when Zof last delivered something."""

DELIVERY_NOTE_SECONDS = 60.0
"""How long a process notes no other delivery after one."""

EVENT_TTL_SECONDS = 7 * 24 * 3600
"""How long a delivery is known again; Zof does not say for how long it repeats one."""

MAX_PENDING_RUNS = 5000
"""How many hints wait at once; Zof lets the poller read far fewer runs in an hour, and it finds those not hinted at."""

# KEYS: the event, the hints, a trial of the webhooks, what arrived in it.
# ARGV: seconds to know the event, field, watch, channel, most hints, the delivery for a trial.
# Answers 1 for news, 0 for what was known, -1 where no more may wait. An event about what waits already is not
# remembered, so that what is remembered grows no faster than what is looked at.
_ADD_SCRIPT = """
local function note()
  if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('SET', KEYS[4], ARGV[6], 'EX', 120) end
end
if redis.call('EXISTS', KEYS[1]) == 1 then note() return 0 end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then return -1 end
  redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[2])
note()
return 1
"""


@dataclass(frozen=True, slots=True)
class PendingRun:
    """Something to be looked at until it is final; times are Unix seconds."""

    kind: Literal["run", "result", "notice"]
    subject: str
    """The id of the run, the result, or what a notice is about."""
    why: str
    """The type of the event, or the feed it was found in."""
    since: float
    happened: float | None = None
    due: float = 0.0
    refused: float = 0.0
    """Since when Zof would not show it."""
    run: str = ""
    """The run that a notice names."""
    seen: tuple[str, ...] = ()
    """What listings showed of it, to be noted together with it."""
    projects: tuple[str, ...] = ()
    """What an event said of itself, redacted: every name of its project, where, and in words what it is about."""
    environment: str = ""
    said: str = ""

    @property
    def hash_field(self) -> str:
        """Where it stands in the hash."""
        return self.subject if self.kind == "run" else f"{self.why}:{self.subject}"

    def dump(self) -> str:
        """As it is stored."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> PendingRun:
        """Read it back; what a newer version added is left aside."""
        found = json.loads(text)
        known = {name: value for name, value in found.items() if name in cls.__dataclass_fields__}
        return cls(**known | {name: tuple(known.get(name, ())) for name in ("seen", "projects")})


class PendingRunsFull(Exception):
    """As many hints wait as may; nothing was stored."""


class PendingRuns:
    """The hints of one bot, for the web door that stores them and the poller that follows them."""

    def __init__(self, client: redis.Redis, namespace: str, clock: Clock) -> None:
        self._clock = clock
        self._prefix = "{" + namespace + "}:"
        self._channel = self._prefix + "heard"
        self._keep = client.register_script(_ADD_SCRIPT)
        self._ear = client.pubsub(ignore_subscribe_messages=True)
        self._redis = client
        self._noted = -math.inf

    async def add_pending(self, event: str, watch: PendingRun, arrival: str = "") -> bool:
        """Store what a delivery hints at and wake the poller, in one step; False for an ``event`` known already.

        ``arrival`` is kept for whoever tries the webhooks. Raises StoreUnavailable or PendingRunsFull: then the
        delivery must not be acknowledged.
        """
        async with guard_redis_call():
            new = await self._keep(
                keys=[self._prefix + name for name in (f"event:{event}", PENDING_RUNS_HASH, TRIAL_KEY, ARRIVAL_KEY)],
                args=[EVENT_TTL_SECONDS, watch.hash_field, watch.dump(), self._channel, MAX_PENDING_RUNS, arrival],
            )
        if new < 0:
            raise PendingRunsFull
        return bool(new)

    async def note_delivery(self) -> None:
        """Remember that Zof has delivered something, whatever it was, for ``zofbot check``. Raises StoreUnavailable."""
        if self._clock.monotonic() - self._noted < DELIVERY_NOTE_SECONDS:
            return
        async with guard_redis_call():
            await self._redis.set(self._prefix + LAST_DELIVERY_KEY, f"{self._clock.time():.0f}")
        self._noted = self._clock.monotonic()

    async def last_delivery(self) -> float | None:
        """When Zof last delivered something, give or take a minute, in Unix seconds. Raises StoreUnavailable."""
        async with guard_redis_call():
            found = await self._redis.get(self._prefix + LAST_DELIVERY_KEY)
        return float(found) if found else None

    async def wait_for_hint(self, seconds: float) -> bool:
        """Wait until a process stores a hint; False when ``seconds`` have passed without. Raises StoreUnavailable.

        The first time it returns at once: what was stored before it listened it cannot have heard.
        """
        try:
            if not self._ear.subscribed:
                await self._ear.subscribe(self._channel)
                return True
            heard = await self._receive_hint(self._clock.monotonic() + seconds)
            while heard and await self._ear.get_message(timeout=0):
                pass  # many hints are one piece of news
        except (RedisError, OSError) as error:
            await self.aclose()
            raise StoreUnavailable("The bot's store (Redis) does not answer.") from error
        return heard

    async def _receive_hint(self, deadline: float) -> bool:
        while (left := deadline - self._clock.monotonic()) > 0:
            if await self._ear.get_message(timeout=left):
                return True
        return False

    async def aclose(self) -> None:
        """Stop listening."""
        await self._ear.aclose()  # type: ignore[no-untyped-call]  # the library's, not annotated
