"""Stored subscriptions: one hash, ``{namespace}:subscriptions``, from id to JSON, and a token of its version."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import structlog
from pydantic import ValidationError

from zofbot.store.decoding import decode_text
from zofbot.store.keyspace import Keyspace
from zofbot.store.schema import SCHEMA_KEY, STORE_SCHEMA, outdated_error
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.model import SUBSCRIPTION_SCHEMA as KNOWN

log = structlog.get_logger()

SUBSCRIPTIONS_HASH = "subscriptions"

SUBSCRIPTIONS_VERSION_HASH, VERSION_FIELD = "subscriptions:version", "token"
"""Hash and field of a token that each change of a subscription replaces; earlier versions of zofbot do not."""

# KEYS: the hash, the store's schema, the version. ARGV: the newest schema the caller knows, the field and the token of
# the new version, verb, id, record; or several ids.
# Returns how many were changed, -1 if the store's schema is newer.
_CHANGE_SCRIPT = """
local function change(verb, id, record)
  if verb == 'remove' then return redis.call('HDEL', KEYS[1], unpack(ARGV, 5)) end
  if verb == 'add' then return redis.call('HSETNX', KEYS[1], id, record) end
  if redis.call('HEXISTS', KEYS[1], id) == 0 then return 0 end -- removed meanwhile
  redis.call('HSET', KEYS[1], id, record)
  return 1
end

if tonumber(redis.call('GET', KEYS[2]) or 0) > tonumber(ARGV[1]) then return -1 end
local changed = change(ARGV[4], ARGV[5], ARGV[6])
if changed > 0 then redis.call('HSET', KEYS[3], ARGV[2], ARGV[3]) end
return changed
"""


def version_change() -> dict[str, dict[str, str]]:
    """Return the change of hashes that must go with every change of a subscription, in one atomic step."""
    return {SUBSCRIPTIONS_VERSION_HASH: {VERSION_FIELD: secrets.token_hex(8)}}


def parse_subscription_records(records: Mapping[str, str]) -> list[Subscription]:
    """Parse subscriptions, oldest first; records that cannot be parsed are logged and skipped."""
    subscriptions = []
    for identifier, record in records.items():
        try:
            subscription = Subscription.model_validate_json(record)
        except ValidationError as error:
            log.error("unreadable subscription", id=identifier, record=record, problems=error.error_count())
            continue
        if subscription.schema_ > KNOWN:
            log.error("subscription of a newer zofbot", id=identifier, schema=subscription.schema_, known=KNOWN)
            continue
        subscriptions.append(subscription)
    return sorted(subscriptions, key=lambda item: (item.created, item.id))


class Subscriptions:
    """The subscriptions of all channels. Every method raises StoreUnavailable.

    Writes raise OutdatedVersion if the store's schema is newer than ``schema``.
    """

    def __init__(self, keyspace: Keyspace, *, schema: int = STORE_SCHEMA) -> None:
        self._keyspace, self._redis = keyspace, keyspace.client
        self._name = keyspace.key(SUBSCRIPTIONS_HASH)
        self._keys = [self._name, keyspace.key(SCHEMA_KEY), keyspace.key(SUBSCRIPTIONS_VERSION_HASH)]
        self._schema = schema
        self._change = keyspace.register_script(_CHANGE_SCRIPT)

    async def read_records(self) -> dict[str, str]:
        """Return every stored record by id, unparsed."""
        async with self._keyspace.guard_call():
            found = await self._redis.hgetall(self._name)
        return {decode_text(name): decode_text(record) for name, record in found.items()}

    async def list_all(self) -> list[Subscription]:
        """Return every subscription, oldest first; records that cannot be parsed are logged and skipped."""
        return parse_subscription_records(await self.read_records())

    async def list_for_channel(self, channel: str) -> list[Subscription]:
        """Return a channel's subscriptions, in the order of the numbers shown to people."""
        return [item for item in await self.list_all() if item.channel == channel]

    async def add(self, subscription: Subscription) -> bool:
        """Add a subscription; False if its id exists."""
        return bool(await self._run_change("add", subscription.id, subscription.model_dump_json(by_alias=True)))

    async def replace(self, subscription: Subscription) -> bool:
        """Replace the subscription with the same id; False if it was removed."""
        return bool(await self._run_change("replace", subscription.id, subscription.model_dump_json(by_alias=True)))

    async def remove(self, *identifiers: str) -> int:
        """Remove subscriptions by id; returns how many existed."""
        return await self._run_change("remove", *identifiers) if identifiers else 0

    async def _run_change(self, verb: str, *arguments: str) -> int:
        [version] = version_change()[SUBSCRIPTIONS_VERSION_HASH].items()
        changed = int(await self._change.run(self._keys, [self._schema, *version, verb, *arguments]))
        if changed < 0:
            raise outdated_error()
        return changed
