"""The schema: one number for how all that lasts is written, kept in the store itself as ``{namespace}:schema``.

A version of zofbot whose records an older one would misread or spoil raises the number when it starts. From then on the
steps of older processes are refused, whole and before anything is changed: they finish what they are sending and leave
the rest to newer ones. What an older version has written is read by every later one, so a record may gain fields under
the same number only where it does no harm that an older process leaves them out when it writes the record anew.
"""

from __future__ import annotations

import redis.asyncio as redis

from zofbot import notification
from zofbot.errors import Outdated
from zofbot.routing import subscription
from zofbot.store import _reachable

SCHEMA = max(notification.SCHEMA, subscription.SCHEMA)
"""What this version writes, and the newest that it reads; raised when any of them has to be."""

NAME = "schema"

# KEYS: the number. ARGV: ours. Answers the one that holds.
_RAISE = """
local there = tonumber(redis.call('GET', KEYS[1]) or '0')
if there < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return math.max(there, tonumber(ARGV[1]))
"""


def key_in(namespace: str) -> str:
    """Where the number stands."""
    return "{" + namespace + "}:" + NAME


async def written(client: redis.Redis, namespace: str) -> int:
    """The newest schema that anybody has written here; 0 for an empty store, and one of before it was noted."""
    async with _reachable():
        return int(await client.get(key_in(namespace)) or 0)


async def enter(client: redis.Redis, namespace: str, schema: int = SCHEMA) -> None:
    """Begin to write under ``schema``. Raises Outdated where something newer has, and StoreUnavailable."""
    raising = client.register_script(_RAISE)
    async with _reachable():
        there = int(await raising(keys=[key_in(namespace)], args=[schema]))
    if there > schema:
        raise outdated(there, schema)


def outdated(there: int | None = None, schema: int = SCHEMA) -> Outdated:
    """Why a process does nothing more here."""
    numbers = f" (records of schema {there}; this one knows {schema})" if there else ""
    return Outdated(
        f"A newer zofbot has written to this store{numbers}.",
        "Run that version here too, or give this one another store or ZOFBOT_NAMESPACE.",
    )
