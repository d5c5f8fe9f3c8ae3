"""Redis Cluster: a primary dies, its slot moves to another node, and all is told, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as redis
from redis.asyncio.sentinel import MasterNotFoundError

from tests.support.bot import wait_until
from tests.support.failover import failover_scenario, kill_primary_under_load
from tests.support.ports import free_port
from tests.support.valkey_servers import ValkeyCluster, ValkeyServer, running_servers, valkey_cluster
from zofbot.config.redis_url import parse_redis_url
from zofbot.store.redis_server.primary_locators import ClusterNodes


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[ValkeyCluster]:
    async with valkey_cluster(tmp_path) as bot:
        yield bot


async def test_the_primary_is_killed_while_alerts_come_and_each_is_posted_once(servers: ValkeyCluster) -> None:
    await kill_primary_under_load(servers)


async def test_the_slot_moves_key_by_key_while_alerts_come_and_each_is_posted_once(servers: ValkeyCluster) -> None:
    async with failover_scenario(servers) as walk:
        source = await servers.find_primary()
        target = next(item for item in servers.each[:3] if item is not source)
        coming = asyncio.create_task(walk.keep_failing(3))
        await wait_until(lambda: len(walk.alerts_in("C0QA")) > 0)
        await begin_move(servers, source, target)
        assert await move_keys(servers, source, target, some=10) == 10
        await asyncio.sleep(1.5)  # half of the keys are here and half are there
        while await move_keys(servers, source, target):
            pass
        await end_move(servers, target)
        await walk.acknowledge_oldest()
        await coming
        await walk.wait_for_delivery()
        assert await servers.find_primary() is target


async def test_a_planned_failover_goes_unnoticed_but_for_moments(servers: ValkeyCluster) -> None:
    async with failover_scenario(servers) as walk:
        replica = await servers.find_replica()
        coming = asyncio.create_task(walk.keep_failing(2))
        await wait_until(lambda: len(walk.alerts_in("C0QA")) > 0)
        await replica.run_command("CLUSTER", "FAILOVER")
        await coming
        await walk.wait_for_delivery()
        assert await servers.find_primary() is replica


async def test_a_node_that_does_not_know_who_holds_the_slot_is_not_believed(tmp_path: Path) -> None:
    alone = ValkeyServer(
        free_port(), tmp_path / "alone", ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    )
    async with running_servers(alone):
        nodes = ClusterNodes(parse_redis_url(f"redis+cluster://127.0.0.1:{alone.port}"), 7, {})
        with pytest.raises(MasterNotFoundError, match="slot 7: slot not served"):
            await nodes.discover_master("")
        await alone.run_command("CLUSTER", "ADDSLOTS", 7)
        assert await nodes.discover_master("") == ("127.0.0.1", alone.port)


async def begin_move(servers: ValkeyCluster, source: ValkeyServer, target: ValkeyServer) -> None:
    await target.run_command("CLUSTER", "SETSLOT", servers.slot, "IMPORTING", await servers.node_id(source))
    await source.run_command("CLUSTER", "SETSLOT", servers.slot, "MIGRATING", await servers.node_id(target))


async def move_keys(servers: ValkeyCluster, source: ValkeyServer, target: ValkeyServer, some: int = 100) -> int:
    keys = await source.run_command("CLUSTER", "GETKEYSINSLOT", servers.slot, some)
    if keys:
        await source.run_command("MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "KEYS", *keys)
    return len(keys)


async def end_move(servers: ValkeyCluster, target: ValkeyServer) -> None:
    identity = await servers.node_id(target)
    for item in servers.each:
        try:
            await item.run_command("CLUSTER", "SETSLOT", servers.slot, "NODE", identity)
        except redis.ResponseError:  # a replica hears of it from the others
            continue
