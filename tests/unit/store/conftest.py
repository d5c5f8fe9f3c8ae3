"""The outbox, on a double with Lua and on the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import fakeredis
import pytest
import redis.asyncio as redis

from tests.support.outbox_bench import OutboxBench


@pytest.fixture(params=["double", "server"])
async def bench(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[OutboxBench]:
    client = fakeredis.FakeAsyncRedis() if request.param == "double" else redis.from_url(store_url)
    async with client:
        await client.flushall()
        yield OutboxBench(client)
