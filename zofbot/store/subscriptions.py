"""Who wants to be told what: all subscriptions in one hash, ``{namespace}:subscriptions``, id to JSON."""

from __future__ import annotations

from collections.abc import Mapping

import redis.asyncio as redis
import structlog
from pydantic import ValidationError

from zofbot.routing import Subscription
from zofbot.store import _reachable
from zofbot.store.entry import text

log = structlog.get_logger()

NAME = "subscriptions"

# KEYS: the hash. ARGV: id, record. One that has ended meanwhile must not come back.
_REPLACE = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""


def readable(records: Mapping[str, str]) -> list[Subscription]:
    """The subscriptions among ``records``, oldest first; what cannot be read is said in the log."""
    found = []
    for identifier, record in records.items():
        try:
            found.append(Subscription.model_validate_json(record))
        except ValidationError as error:
            log.error("unreadable subscription", id=identifier, record=record, problems=error.error_count())
    return sorted(found, key=lambda one: (one.created, one.id))


class Subscriptions:
    """The subscriptions of all channels. Every method raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._redis = client
        self._name = "{" + namespace + "}:" + NAME
        self._replace = client.register_script(_REPLACE)

    async def records(self) -> dict[str, str]:
        """Every record as it stands there, by its id."""
        async with _reachable():
            found = await self._redis.hgetall(self._name)
        return {text(name): text(record) for name, record in found.items()}

    async def all(self) -> list[Subscription]:
        """Every subscription, oldest first; a record that cannot be read is left where it is, and said in the log."""
        return readable(await self.records())

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
