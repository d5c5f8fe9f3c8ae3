"""A client that takes long to close: its answer counts, and no error goes unheard."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio as redis

from zofbot.store.redis_server.closing_client import closing_client


class SlowToClose(redis.UnixDomainSocketConnection):
    """A connection whose other side does not confirm that it is closed."""

    async def disconnect(self, *args: Any, **options: Any) -> None:
        was_open = self.is_connected
        await super().disconnect(*args, **options)
        if was_open:
            await asyncio.sleep(0.3)
            raise redis.TimeoutError("Timed out closing connection after 0.3")


def make_client(store_url: str, kind: type[redis.UnixDomainSocketConnection]) -> redis.Redis:
    return redis.Redis.from_pool(redis.ConnectionPool(kind, path=store_url.removeprefix("unix://")))


async def test_what_was_answered_counts_although_closing_takes_long(store_url: str) -> None:
    async with closing_client(make_client(store_url, SlowToClose)) as client:
        answer = await client.ping()
    assert answer


async def test_nothing_goes_on_behind_a_time_limit(store_url: str) -> None:
    tasks = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), closing_client(make_client(store_url, SlowToClose)) as client:
            await client.ping()
    assert asyncio.all_tasks() == tasks


async def test_connections_are_closed(store_url: str) -> None:
    async with closing_client(make_client(store_url, redis.UnixDomainSocketConnection)) as client:
        await client.ping()
        [connection] = client.connection_pool._available_connections
        assert connection.is_connected
    assert not connection.is_connected
