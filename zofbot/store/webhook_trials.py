"""What arrives while an operator tries whether Zof's webhooks get through: noted by the web door, read by the CLI."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import redis.asyncio as redis

from zofbot.clock import Clock
from zofbot.store import guard_redis_call

TRIAL_KEY, ARRIVAL_KEY = "webhook_trial", "webhook_arrived"
"""The keys of a trial under way, and of the latest delivery since it began."""

TRIAL_CHECK_SECONDS = 1.0
"""How long a web door goes by its last look whether a trial is under way; strangers knock there, too."""


@dataclass(frozen=True)
class TrialArrival:
    """A delivery: whether it was ``signed`` with our secret, and in which ``header`` its signature stood.

    ``type`` and ``envelope`` (``current`` or ``older``) are known only of signed ones. Of others
    ``headers`` names those that may hold a signature.
    """

    signed: bool
    header: str = ""
    type: str = ""
    envelope: str = ""
    headers: tuple[str, ...] = ()

    def dump(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def load(cls, text: str | bytes) -> TrialArrival:
        """Read it back; what a newer version added is left aside."""
        known = {name: value for name, value in json.loads(text).items() if name in cls.__dataclass_fields__}
        return cls(**known | {"headers": tuple(known.get("headers", ()))})


class WebhookTrials:
    """One trial at a time for each namespace. Every method raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str, clock: Clock) -> None:
        self._redis, self._clock = client, clock
        self._under_way, self._arrived = (f"{{{namespace}}}:{name}" for name in (TRIAL_KEY, ARRIVAL_KEY))
        self._looked = -math.inf
        self._noting = False

    async def start_trial(self, seconds: float) -> None:
        """Have web doors note what arrives, from a second from now on, for so many ``seconds``."""
        async with guard_redis_call(), self._redis.pipeline() as pipe:
            pipe.delete(self._arrived)
            pipe.set(self._under_way, "1", px=int(seconds * 1000))
            await pipe.execute()

    async def record_arrival(self, arrival: TrialArrival) -> None:
        """Keep what arrived while a trial is under way, unless ``PendingRuns.keep`` does so with the hint in one step.

        A signed delivery is not replaced by an unsigned one.
        """
        if self._clock.monotonic() - self._looked >= TRIAL_CHECK_SECONDS:
            async with guard_redis_call():
                self._noting = bool(await self._redis.exists(self._under_way))
            self._looked = self._clock.monotonic()
        if self._noting:
            async with guard_redis_call():
                await self._redis.set(self._arrived, arrival.dump(), ex=120, nx=not arrival.signed)

    async def latest_arrival(self) -> TrialArrival | None:
        """The latest delivery since the trial began."""
        async with guard_redis_call():
            found = await self._redis.get(self._arrived)
        return TrialArrival.load(found) if found else None
