"""The outbox's Lua scripts: the keys and limits that all of them get, and how they are run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from zofbot.clock import Clock
from zofbot.domain.durations import to_milliseconds
from zofbot.store.channel_pace import EDIT_INTERVAL_SECONDS, MAX_BURST
from zofbot.store.keyspace import Keyspace, ScriptArguments
from zofbot.store.schema import SCHEMA_KEY, outdated_error

KEY_TTL_SECONDS = 30 * 86400
"""Keys are remembered this long; longer than any look-back."""

BODY_TTL_SECONDS = 2 * 86400
"""A root that people delete can be reposted unchanged for this long."""

MAX_ATTEMPT_AGE_SECONDS = 24 * 3600.0
"""A failed attempt is the last if the first was longer ago than this."""

_INDEX_NAMES = ("due", "later", "leases", "open", "dead", "pace", "parked", "pause", "sequence", "recent:sent",
            "recent:dropped", "removed")  # fmt: skip
"""Indexes, in the order in which ``lua/keys.lua`` takes them."""


class OutboxScripts:
    """The scripts of one outbox. ``pace`` is the interval between messages of a channel, in seconds."""

    def __init__(self, keyspace: Keyspace, clock: Clock, pace: float, schema: int) -> None:
        self._keyspace, self._clock = keyspace, clock
        self._keys = [keyspace.key("outbox", name) for name in _INDEX_NAMES] + [keyspace.key(SCHEMA_KEY)]
        self._limits = [
            to_milliseconds(pace),
            MAX_BURST,
            to_milliseconds(EDIT_INTERVAL_SECONDS),
            KEY_TTL_SECONDS,
            BODY_TTL_SECONDS,
            to_milliseconds(MAX_ATTEMPT_AGE_SECONDS),
            schema,
        ]
        self._scripts = {
            name: keyspace.register_script(_load_script(name)) for name in ("commit", "claim", "settle", "repair")
        }

    async def run(self, name: str, keys: Sequence[str], args: ScriptArguments) -> Any:
        """Run a script on ``keys``, given by their full names.

        Raises OutdatedVersion if the store's schema is newer, and StoreUnavailable.
        """
        shared: ScriptArguments = [self._keyspace.prefix, to_milliseconds(self._clock.time()), *self._limits]
        found = await self._scripts[name].run([*self._keys, *keys], [*shared, *args])
        if found == b"outdated":
            raise outdated_error()
        return found


@cache
def _load_script(name: str) -> str:
    folder = resources.files("zofbot.store") / "lua"
    claims = ("claims",) if name in ("commit", "claim") else ()
    parts = ("keys", "channel_pace", "queues", *claims, name)
    return "\n".join((folder / f"{part}.lua").read_text() for part in parts)
