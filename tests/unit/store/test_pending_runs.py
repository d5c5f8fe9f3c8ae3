"""A Redis that is silent ends the wait for a hint, also when the subscription has to be made again."""

from __future__ import annotations

import pytest

from tests.support.valkey_servers import stopped_server
from zofbot.clock import MovableClock
from zofbot.domain.errors import StoreUnavailable
from zofbot.store.keyspace import Keyspace
from zofbot.store.pending_runs import PendingRuns
from zofbot.store.redis_server.connect import connect_redis


@pytest.mark.parametrize("subscribed", [False, True])
async def test_a_wait_at_a_silent_redis_ends(store_url: str, clock: MovableClock, subscribed: bool) -> None:
    async with connect_redis(store_url, "test", clock) as client:
        hints = PendingRuns(Keyspace(client, "test"), clock)
        if subscribed:
            assert await hints.wait_for_hint(0)
            await client.client_kill_filter(_type="pubsub")
        async with stopped_server(store_url):
            with pytest.raises(StoreUnavailable):
                await hints.wait_for_hint(10)
        assert await hints.wait_for_hint(0)
        await hints.aclose()
