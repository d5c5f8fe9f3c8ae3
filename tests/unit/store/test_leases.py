"""Leases: one works at a time, anybody may take over, and a predecessor's writes are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import fakeredis
import pytest
import redis.asyncio as redis

from tests.support.limits import HANG_SECONDS
from tests.support.virtual_time import SetClock
from zofbot.domain.errors import StoreUnavailable
from zofbot.store.keyspace import Keyspace
from zofbot.store.leases import Fence, Lease
from zofbot.store.outbox import LeaseLost, Outbox

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR_SECONDS = 3600.0


clock = SetClock(NOW.timestamp())


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
async def store(server: fakeredis.FakeServer) -> AsyncIterator[redis.Redis]:
    async with fakeredis.FakeAsyncRedis(server=server) as client:
        yield client


def make_lease(store: redis.Redis, seconds: float = 60) -> Lease:
    return Lease(Keyspace(store, "test"), "poller", seconds, clock)


async def fence_number(holder: Lease) -> int:
    held = await holder.hold()
    assert held is not None
    return held.fence.number


async def expire_lease(store: redis.Redis) -> None:
    """What time does to a lease that nobody holds on to."""
    assert await store.delete("{test}:lease:poller")


async def test_of_many_one_holds_it(store: redis.Redis) -> None:
    held = await asyncio.gather(*(make_lease(store).hold() for _ in range(20)))
    assert sum(item is not None for item in held) == 1


async def test_it_ends_by_itself_and_another_takes_it(store_url: str) -> None:
    async with redis.from_url(store_url) as server:
        await server.flushall()
        mine, other = make_lease(server, 0.05), make_lease(server, HOUR_SECONDS)
        first = await fence_number(mine)
        assert await server.blpop(["nothing"], timeout=0.1) is None  # waits by the server's clock
        assert not (await mine.read_state()).held
        assert await fence_number(other) > first
        assert await mine.hold() is None


async def test_it_lasts_for_its_seconds(store: redis.Redis) -> None:
    await make_lease(store, HOUR_SECONDS).hold()
    assert HOUR_SECONDS - HANG_SECONDS < await store.ttl("{test}:lease:poller") <= HOUR_SECONDS


async def test_holding_on_keeps_the_number_and_renews_the_time(store: redis.Redis) -> None:
    mine = make_lease(store, HOUR_SECONDS)
    first = await fence_number(mine)
    await store.expire("{test}:lease:poller", round(HOUR_SECONDS / 2))
    assert await fence_number(mine) == first
    assert await store.ttl("{test}:lease:poller") > HOUR_SECONDS - HANG_SECONDS


async def test_the_number_rises_with_each_take_over(store: redis.Redis) -> None:
    one, other = make_lease(store), make_lease(store)
    numbers = []
    for holder in (one, other, one, other):
        numbers.append(await fence_number(holder))
        await expire_lease(store)
    assert numbers == sorted(set(numbers))


async def test_who_let_it_lapse_goes_on_with_his_number_if_nobody_came(store: redis.Redis) -> None:
    mine = make_lease(store)
    first = await fence_number(mine)
    await expire_lease(store)
    assert await fence_number(mine) == first


async def test_released_it_is_free_at_once(store: redis.Redis) -> None:
    one, other = make_lease(store), make_lease(store)
    await one.hold()
    assert await other.hold() is None
    await one.release()
    assert await other.hold() is not None


async def test_nobody_releases_what_another_holds(store: redis.Redis) -> None:
    one, other = make_lease(store), make_lease(store)
    await one.hold()
    await expire_lease(store)
    await other.hold()
    await one.release()
    assert await one.hold() is None


async def test_the_number_rises_over_a_store_that_came_back_empty(store: redis.Redis) -> None:
    mine = make_lease(store)
    first = await fence_number(mine)
    await store.flushall()
    assert await fence_number(mine) > first
    await store.flushall()
    assert await fence_number(make_lease(store)) >= NOW.timestamp() * 1000  # another process's starts from the time


async def test_hashes_come_along(store: redis.Redis) -> None:
    await store.hset("{test}:hints", mapping={"run_1": "é", "run_2": ""})
    held = await make_lease(store).hold("hints", "nothing")
    assert held is not None
    assert held.hashes == {"hints": {"run_1": "é", "run_2": ""}, "nothing": {}}
    assert held.fence == Fence("{test}:fence:poller", held.fence.number)


async def test_a_predecessors_commit_is_refused_whole(store: redis.Redis) -> None:
    one, other, outbox = make_lease(store), make_lease(store), Outbox(Keyspace(store, "test"), clock)
    old = await one.hold()
    assert old is not None
    await outbox.commit([], changes={"noted": {"a": "1"}}, fence=old.fence)
    await expire_lease(store)
    new = await other.hold()
    assert new is not None
    with pytest.raises(LeaseLost):
        await outbox.commit([], changes={"noted": {"a": "2", "b": "2"}}, fence=old.fence)
    assert await outbox.read_hashes("noted") == {"noted": {"a": "1"}}
    await outbox.commit([], changes={"noted": {"a": None}}, fence=new.fence)
    assert await outbox.read_hashes("noted") == {"noted": {}}


async def test_without_a_store_there_is_no_lease(store: redis.Redis, server: fakeredis.FakeServer) -> None:
    server.connected = False
    with pytest.raises(StoreUnavailable):
        await make_lease(store).hold()
    with pytest.raises(StoreUnavailable):
        await make_lease(store).release()
