"""How a Redis client is closed after use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio as redis
import structlog

log = structlog.get_logger()


@asynccontextmanager
async def closing_client(client: redis.Redis) -> AsyncIterator[redis.Redis]:
    """Close a client after use, without an error if the server does not confirm that in time.

    redis-py's own ``async with`` closes it in a task of its own: within a time limit that ends, nobody hears of that
    task's error. And an answer would be lost because its connection took long to close.
    """
    try:
        yield client
    finally:
        try:
            await client.aclose()
        except redis.TimeoutError as error:  # closed on this side
            log.debug("redis connection closed late", error=str(error))
