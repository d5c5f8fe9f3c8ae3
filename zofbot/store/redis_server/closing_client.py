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

    redis-py's own ``async with`` closes it in a separate task, whose error is lost if a time limit around it ends; and
    a reply that had arrived would be lost if its connection took long to close.
    """
    try:
        yield client
    finally:
        try:
            await client.aclose()
        except redis.TimeoutError as error:  # closed on this side
            log.debug("redis connection closed late", error=str(error))
