"""Redis behind Sentinels: the primary dies, its replica takes over, and all is told, once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as redis

from tests.support.bot import until
from tests.support.failover import FailoverScenario, failover_scenario, kill_primary_under_load
from tests.support.valkey_servers import Servers, sentinels
from zofbot.store.primary import Sentinels
from zofbot.store.soundness import dangers, vitals


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    async with sentinels(tmp_path) as bot:
        yield bot


async def ready(walk: FailoverScenario) -> bool:
    return not await walk.bot.app.missing()


async def test_the_primary_is_killed_while_alerts_come_and_each_is_told_once(servers: Servers) -> None:
    await kill_primary_under_load(servers)


async def test_what_no_replica_has_is_not_sent_so_a_lost_primary_cannot_make_it_twice(servers: Servers) -> None:
    async with failover_scenario(servers) as walk:
        primary, replica = await servers.primary(), await servers.replica()
        replica.send(signal.SIGSTOP)  # it is there, and confirms nothing
        await walk.fail()
        await asyncio.sleep(2)
        assert walk.missing() == walk.wanted
        await primary.kill()  # and all that only it has heard
        replica.send(signal.SIGCONT)
        await until(lambda: ready(walk), 20)
        await walk.told()


async def test_a_primary_without_any_replica_goes_on(servers: Servers) -> None:
    async with failover_scenario(servers) as walk:
        replica, client = await servers.replica(), walk.bot.app.store.client
        await replica.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        [danger] = dangers(await vitals(client))
        assert danger.what.startswith(f"On replica 127.0.0.1:{replica.port}: Redis throws keys away")
        await replica.kill()
        assert [danger.about for danger in dangers(await vitals(client))] == ["redis replica"]
        await walk.failures(1)
        await walk.told()
        await replica.start()
        await until(servers.followed)
        await asyncio.sleep(1)
        replica.send(signal.SIGSTOP)  # from now on it counts again
        assert await walk.hook({"id": "agent_late"}, "agent.offline") == 503
        [danger] = dangers(await vitals(client))
        assert danger.what.startswith(f"Replica 127.0.0.1:{replica.port} does not answer zofbot")
        replica.send(signal.SIGCONT)


async def test_many_who_ask_at_once_do_not_make_it_forget_sentinels() -> None:
    asked = Sentinels([("a", 1), ("b", 2), ("c", 3)], {})

    class Answer:
        """One that says who the primary is, or that does not answer."""

        def __init__(self, answers: bool) -> None:
            self.answers = answers

        async def sentinel_masters(self) -> dict[str, dict[str, object]]:
            await asyncio.sleep(0)
            if not self.answers:
                raise redis.ConnectionError
            well = {"is_master": True, "is_sdown": False, "is_odown": False, "num-other-sentinels": 2}
            return {"mymaster": well | {"ip": "p", "port": 6379}}

    asked.sentinels = [Answer(False), Answer(True), Answer(True)]  # type: ignore[list-item]  # what is asked of them
    known = set(asked.sentinels)
    assert await asyncio.gather(*(asked.discover_master("mymaster") for _ in range(5))) == [("p", 6379)] * 5
    assert set(asked.sentinels) == known
