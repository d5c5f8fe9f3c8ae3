"""A process that stood still itself, as in a throttled container, does not take that for the silence of others."""

from __future__ import annotations

import asyncio

from tests.support.virtual_time import stand_still
from zofbot.clock import MovableClock
from zofbot.store.keyspace import guard_redis_call
from zofbot.store.redis_server.connect import connect_redis


async def test_a_reply_that_waited_for_this_process_counts_and_its_command_is_not_sent_again(
    store_url: str, clock: MovableClock
) -> None:
    async with connect_redis(store_url, "test", clock) as client:
        await client.set("sent", 0)
        async with guard_redis_call():
            command = asyncio.ensure_future(client.incr("sent"))
            await asyncio.sleep(0)
            stand_still(6.0)
            assert await command == 1
