"""Redis Cluster: a primary dies, its slot moves to another node, and all is told, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as redis
from redis.asyncio.sentinel import MasterNotFoundError

from tests.support.bot import until
from tests.support.failover import failover_scenario, kill_primary_under_load
from tests.support.valkey_servers import Cluster, Server, cluster, free_port, running_servers
from zofbot.address import address
from zofbot.store.primary import Nodes


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path) as bot:
        yield bot


async def test_the_primary_is_killed_while_alerts_come_and_each_is_told_once(servers: Cluster) -> None:
    await kill_primary_under_load(servers)


async def test_the_slot_moves_key_by_key_while_alerts_come_and_each_is_told_once(servers: Cluster) -> None:
    async with failover_scenario(servers) as walk:
        source = await servers.primary()
        target = next(one for one in servers.each[:3] if one is not source)
        coming = asyncio.create_task(walk.failures(3))
        await until(lambda: len(walk.alerts("C0QA")) > 0)
        await begin_move(servers, source, target)
        assert await move_keys(servers, source, target, some=10) == 10
        await asyncio.sleep(1.5)  # half of the keys are here and half are there
        while await move_keys(servers, source, target):
            pass
        await end_move(servers, target)
        await walk.acknowledge()
        await coming
        await walk.told()
        assert await servers.primary() is target


async def test_a_planned_failover_goes_unnoticed_but_for_moments(servers: Cluster) -> None:
    async with failover_scenario(servers) as walk:
        replica = await servers.replica()
        coming = asyncio.create_task(walk.failures(2))
        await until(lambda: len(walk.alerts("C0QA")) > 0)
        await replica.ask("CLUSTER", "FAILOVER")
        await coming
        await walk.told()
        assert await servers.primary() is replica


async def test_a_node_that_does_not_know_who_holds_the_slot_is_not_believed(tmp_path: Path) -> None:
    alone = Server(free_port(), tmp_path / "alone", ("--cluster-enabled", "yes", "--cluster-port", str(free_port())))
    async with running_servers(alone):
        nodes = Nodes(address(f"redis+cluster://127.0.0.1:{alone.port}"), 7, {})
        with pytest.raises(MasterNotFoundError, match="slot 7: slot not served"):
            await nodes.discover_master("")
        await alone.ask("CLUSTER", "ADDSLOTS", 7)
        assert await nodes.discover_master("") == ("127.0.0.1", alone.port)


async def begin_move(servers: Cluster, source: Server, target: Server) -> None:
    await target.ask("CLUSTER", "SETSLOT", servers.slot, "IMPORTING", await servers.identity(source))
    await source.ask("CLUSTER", "SETSLOT", servers.slot, "MIGRATING", await servers.identity(target))


async def move_keys(servers: Cluster, source: Server, target: Server, some: int = 100) -> int:
    keys = await source.ask("CLUSTER", "GETKEYSINSLOT", servers.slot, some)
    if keys:
        await source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "KEYS", *keys)
    return len(keys)


async def end_move(servers: Cluster, target: Server) -> None:
    identity = await servers.identity(target)
    for one in servers.each:
        try:
            await one.ask("CLUSTER", "SETSLOT", servers.slot, "NODE", identity)
        except redis.ResponseError:  # a replica hears of it from the others
            continue
