"""The keys of one bot in Redis: their prefix, and calls and scripts whose errors are StoreUnavailable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import redis.asyncio as redis
from redis.asyncio.client import Pipeline
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from zofbot.clock import timeout
from zofbot.domain.errors import StoreUnavailable
from zofbot.observability import trace_recorder
from zofbot.store.write_refusals import find_refusal

MAX_REDIS_SECONDS = 1.0
"""Time limit of one call to Redis; a slash command must be answered within three seconds in total."""

CALL_TIMEOUT_STEPS = 10
"""Parts in which that limit is measured: on a busy machine this process and Redis often wait for CPU."""

MAX_STORE_RETRY_SECONDS = 5.0
"""Maximum seconds until an unavailable store is tried again."""

ScriptArguments = list[str | int]


class Keyspace:
    """All keys that begin with ``{namespace}:``, one hash tag, so that Redis Cluster keeps them in one slot.

    ``max_seconds`` limits each call.
    """

    def __init__(self, client: redis.Redis, namespace: str, max_seconds: float = MAX_REDIS_SECONDS) -> None:
        self.client = client
        self._max_seconds = max_seconds
        self.prefix = "{" + namespace + "}:"

    def key(self, *parts: str) -> str:
        """Return the full name of a key."""
        return self.prefix + ":".join(parts)

    def register_script(self, text: str) -> RedisScript:
        """Prepare a Lua script to be run many times."""
        return RedisScript(self, self.client.register_script(text))

    def guard_call(self) -> AbstractAsyncContextManager[None]:
        """Limit the duration of a call to Redis and raise its errors as StoreUnavailable."""
        return guard_redis_call(self._max_seconds)

    @asynccontextmanager
    async def pipeline(self, *, transaction: bool = False) -> AsyncIterator[Pipeline]:
        """Open a pipeline, whose commands are sent in one round trip. Raises StoreUnavailable."""
        async with self.guard_call(), self.client.pipeline(transaction=transaction) as pipe:
            yield pipe


class RedisScript:
    """A Lua script, which Redis runs in one atomic step."""

    def __init__(self, keyspace: Keyspace, script: AsyncScript) -> None:
        self._keyspace, self._script = keyspace, script

    async def run(self, keys: Sequence[str], args: Sequence[str | int | float | bytes]) -> Any:
        """Run the script: one round trip. ``keys`` are full names. Raises StoreUnavailable."""
        async with self._keyspace.guard_call():
            return await self._script(keys=keys, args=args)


def limit_redis_call(max_seconds: float = MAX_REDIS_SECONDS) -> timeout:
    """Limit the duration of a call to Redis. Raises TimeoutError."""
    return timeout(max_seconds, steps=CALL_TIMEOUT_STEPS)


@asynccontextmanager
async def guard_redis_call(max_seconds: float = MAX_REDIS_SECONDS) -> AsyncIterator[None]:
    """Limit the duration of a call to Redis and raise its errors as StoreUnavailable."""
    try:
        async with limit_redis_call(max_seconds):
            yield
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        trace_recorder.record_step("redis", "no answer", type(error).__name__, bad=True)
        raise _unavailable_error(error) from error


def _unavailable_error(error: Exception) -> StoreUnavailable:
    refusal = find_refusal(error)
    if refusal is None:
        return StoreUnavailable(
            "zofbot's store (Redis) isn't responding.", "Try again in a minute. An operator should check Redis."
        )
    unavailable = StoreUnavailable(
        f"zofbot's store (Redis) rejects commands ({refusal.word}).",
        "Try again in a minute. An operator should run `zofbot check`.",
    )
    unavailable.reason = f"rejects commands ({refusal.word})"
    return unavailable
