"""Webhook trials: while an operator tests Zof's webhooks, the endpoint records deliveries for the command line."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

from zofbot.clock import Clock
from zofbot.domain.durations import to_milliseconds
from zofbot.domain.json_encoding import encode_json
from zofbot.store.keyspace import Keyspace

TRIAL_KEY, ARRIVAL_KEY = "webhook_trial", "webhook_arrived"
"""Keys of the active trial and of the latest delivery since it began."""

TRIAL_CHECK_SECONDS = 1.0
"""A process checks at most this often whether a trial is active, because anybody can send requests."""


@dataclass(frozen=True)
class TrialArrival:
    """A delivery: whether it was ``signed`` with our secret, and the ``header`` with its signature.

    ``type`` and ``envelope`` (``current`` or ``older``) are known only if it was signed. Otherwise ``headers`` names
    those that may hold a signature.
    """

    signed: bool
    header: str = ""
    type: str = ""
    envelope: str = ""
    headers: tuple[str, ...] = ()

    def dump(self) -> str:
        """Format as stored JSON."""
        return encode_json(asdict(self))

    @classmethod
    def load(cls, text: str | bytes) -> TrialArrival:
        """Parse stored JSON; fields added by newer versions are ignored."""
        known = {name: value for name, value in json.loads(text).items() if name in cls.__dataclass_fields__}
        return cls(**known | {"headers": tuple(known.get("headers", ()))})


class WebhookTrials:
    """Webhook trials, one at a time per namespace. Every method raises StoreUnavailable."""

    def __init__(self, keyspace: Keyspace, clock: Clock) -> None:
        self._keyspace, self._redis, self._clock = keyspace, keyspace.client, clock
        self._trial_key, self._arrival_key = map(keyspace.key, (TRIAL_KEY, ARRIVAL_KEY))
        self._checked_at = -math.inf
        self._is_active = False

    async def start_trial(self, seconds: float) -> None:
        """Record deliveries for ``seconds``; every process starts within ``TRIAL_CHECK_SECONDS``."""
        async with self._keyspace.pipeline(transaction=True) as pipe:
            pipe.delete(self._arrival_key)
            pipe.set(self._trial_key, "1", px=to_milliseconds(seconds))
            await pipe.execute()

    async def record_arrival(self, arrival: TrialArrival) -> None:
        """Record a delivery if a trial is active; one with a hint is recorded by ``PendingRuns.add_pending`` instead.

        A signed delivery is not replaced by an unsigned one.
        """
        if self._clock.monotonic() - self._checked_at >= TRIAL_CHECK_SECONDS:
            async with self._keyspace.guard_call():
                self._is_active = bool(await self._redis.exists(self._trial_key))
            self._checked_at = self._clock.monotonic()
        if self._is_active:
            async with self._keyspace.guard_call():
                await self._redis.set(self._arrival_key, arrival.dump(), ex=120, nx=not arrival.signed)

    async def latest_arrival(self) -> TrialArrival | None:
        """Return the latest delivery since the trial began."""
        async with self._keyspace.guard_call():
            found = await self._redis.get(self._arrival_key)
        return TrialArrival.load(found) if found else None
