"""Who wants to be told what: all subscriptions in one hash, ``{namespace}:subscriptions``, id to JSON."""

from __future__ import annotations

import redis.asyncio as redis
import structlog
from pydantic import ValidationError

from zofbot.routing import Subscription
from zofbot.store import _reachable

log = structlog.get_logger()

# KEYS: the hash. ARGV: id, record. One that has ended meanwhile must not come back.
_REPLACE = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""


class Subscriptions:
    """The subscriptions of all channels. Every method raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._redis = client
        self._name = "{" + namespace + "}:subscriptions"
        self._replace = client.register_script(_REPLACE)

    async def all(self) -> list[Subscription]:
        """Every subscription, oldest first; a record that cannot be read is left where it is, and said in the log."""
        async with _reachable():
            records = await self._redis.hgetall(self._name)
        found = []
        for record in records.values():
            try:
                found.append(Subscription.model_validate_json(record))
            except ValidationError as error:
                log.error("unreadable subscription", record=record, problems=error.error_count())
        return sorted(found, key=lambda one: (one.created, one.id))

    async def of(self, channel: str) -> list[Subscription]:
        """A channel's subscriptions, in the order in which they are numbered."""
        return [one for one in await self.all() if one.channel == channel]

    async def add(self, subscription: Subscription) -> bool:
        """Keep a subscription under its id; False when it is there already."""
        async with _reachable():
            record = subscription.model_dump_json(by_alias=True)
            return bool(await self._redis.hsetnx(self._name, subscription.id, record))

    async def replace(self, subscription: Subscription) -> bool:
        """Keep a subscription in the place of the one with its id; False when that has ended."""
        async with _reachable():
            record = subscription.model_dump_json(by_alias=True)
            return bool(await self._replace(keys=[self._name], args=[subscription.id, record]))

    async def remove(self, *identifiers: str) -> int:
        """Forget subscriptions; how many there were."""
        async with _reachable():
            return int(await self._redis.hdel(self._name, *identifiers)) if identifiers else 0
