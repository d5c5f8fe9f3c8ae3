"""Schema version of all stored records, kept in the store as ``{namespace}:schema``.

A version of zofbot whose records an older one would misread or damage raises the number when it starts. From then on
the writes of older processes are refused before they change anything; they only finish what they are sending. Every
version reads the records of all older ones. A record may gain fields under the same number only if it does no harm that
an older process drops them when it rewrites the record.
"""

from __future__ import annotations

from zofbot.domain.errors import OutdatedVersion
from zofbot.notifications import notification
from zofbot.store.keyspace import Keyspace
from zofbot.subscriptions import model

STORE_SCHEMA = max(notification.NOTIFICATION_SCHEMA, model.SUBSCRIPTION_SCHEMA)
"""The schema that this version writes, and the newest that it can read."""

SCHEMA_KEY = "schema"

# KEYS: the stored schema. ARGV: the caller's. Stores and returns the higher of the two.
_RAISE_SCRIPT = """
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
if stored < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return math.max(stored, tonumber(ARGV[1]))
"""


async def stored_schema(keyspace: Keyspace) -> int:
    """Return the newest schema ever written; 0 if the store is empty or older than schema numbers."""
    async with keyspace.guard_call():
        return int(await keyspace.client.get(keyspace.key(SCHEMA_KEY)) or 0)


async def claim_schema(keyspace: Keyspace, schema: int = STORE_SCHEMA) -> None:
    """Raise the stored schema to ``schema``. Raises OutdatedVersion if it is newer, and StoreUnavailable."""
    raise_schema = keyspace.register_script(_RAISE_SCRIPT)
    stored = int(await raise_schema.run([keyspace.key(SCHEMA_KEY)], [schema]))
    if stored > schema:
        raise outdated_error(stored, schema)


def outdated_error(stored: int | None = None, schema: int = STORE_SCHEMA) -> OutdatedVersion:
    """Build the error of a process that is older than the store's schema."""
    numbers = f" (records of schema {stored}; this one knows {schema})" if stored else ""
    return OutdatedVersion(
        f"A newer zofbot has written to this store{numbers}.",
        "Run that version here too, or give this one another store or ZOFBOT_NAMESPACE.",
    )
