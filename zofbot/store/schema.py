"""The schema: one number for how all that lasts is written, kept in the store itself as ``{namespace}:schema``.

A version of zofbot whose records an older one would misread or spoil raises the number when it starts. From then on the
steps of older processes are refused, whole and before anything is changed: they finish what they are sending and leave
the rest to newer ones. What an older version has written is read by every later one, so a record may gain fields under
the same number only where it does no harm that an older process leaves them out when it writes the record anew.
"""

from __future__ import annotations

import redis.asyncio as redis

from zofbot.domain.errors import OutdatedVersion
from zofbot.notifications import notification
from zofbot.store import guard_redis_call
from zofbot.subscriptions import model

STORE_SCHEMA = max(notification.NOTIFICATION_SCHEMA, model.SUBSCRIPTION_SCHEMA)
"""What this version writes, and the newest that it reads; raised when any of them has to be."""

SCHEMA_KEY = "schema"

# KEYS: the number. ARGV: ours. Answers the one that holds.
_RAISE_SCRIPT = """
local there = tonumber(redis.call('GET', KEYS[1]) or '0')
if there < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return math.max(there, tonumber(ARGV[1]))
"""


def schema_key(namespace: str) -> str:
    """Where the number stands."""
    return "{" + namespace + "}:" + SCHEMA_KEY


async def stored_schema(client: redis.Redis, namespace: str) -> int:
    """The newest schema that anybody has written here; 0 for an empty store, and one of before it was noted."""
    async with guard_redis_call():
        return int(await client.get(schema_key(namespace)) or 0)


async def claim_schema(client: redis.Redis, namespace: str, schema: int = STORE_SCHEMA) -> None:
    """Begin to write under ``schema``. Raises OutdatedVersion where something newer has, and StoreUnavailable."""
    raising = client.register_script(_RAISE_SCRIPT)
    async with guard_redis_call():
        there = int(await raising(keys=[schema_key(namespace)], args=[schema]))
    if there > schema:
        raise outdated_error(there, schema)


def outdated_error(there: int | None = None, schema: int = STORE_SCHEMA) -> OutdatedVersion:
    """Why a process does nothing more here."""
    numbers = f" (records of schema {there}; this one knows {schema})" if there else ""
    return OutdatedVersion(
        f"A newer zofbot has written to this store{numbers}.",
        "Run that version here too, or give this one another store or ZOFBOT_NAMESPACE.",
    )
