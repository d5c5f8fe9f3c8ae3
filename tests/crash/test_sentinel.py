"""Redis behind Sentinels: the primary dies, its replica takes over, and all is told, once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as redis

from tests.support.bot import wait_until
from tests.support.failover import FailoverScenario, failover_scenario, kill_primary_under_load
from tests.support.valkey_servers import ServerGroup, valkey_sentinels
from zofbot.store.health import find_problems, read_redis_info
from zofbot.store.redis_server.primary_locators import Sentinels


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[ServerGroup]:
    async with valkey_sentinels(tmp_path) as bot:
        yield bot


async def is_ready(walk: FailoverScenario) -> bool:
    return not await walk.bot.app.list_unready()


async def test_the_primary_is_killed_while_alerts_come_and_each_is_posted_once(servers: ServerGroup) -> None:
    await kill_primary_under_load(servers)


async def test_what_no_replica_has_is_not_sent_so_a_lost_primary_cannot_make_it_twice(servers: ServerGroup) -> None:
    async with failover_scenario(servers) as walk:
        primary, replica = await servers.find_primary(), await servers.find_replica()
        replica.send_signal(signal.SIGSTOP)  # it is there, and confirms nothing
        await walk.fail_run()
        await asyncio.sleep(2)
        assert walk.missing_alerts() == walk.wanted
        await primary.kill_process()  # and all that only it has heard
        replica.send_signal(signal.SIGCONT)
        await wait_until(lambda: is_ready(walk))
        await walk.wait_for_delivery()


async def test_a_primary_without_any_replica_goes_on(servers: ServerGroup) -> None:
    async with failover_scenario(servers) as walk:
        replica, client = await servers.find_replica(), walk.bot.app.store.client
        await replica.run_command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        [danger] = find_problems(await read_redis_info(client))
        assert danger.what.startswith(f"On replica 127.0.0.1:{replica.port}: Redis evicts keys")
        await replica.kill_process()
        assert [danger.about for danger in find_problems(await read_redis_info(client))] == ["redis replica"]
        await walk.keep_failing(1)
        await walk.wait_for_delivery()
        await replica.start_process()
        await wait_until(servers.is_replica_synced)
        await asyncio.sleep(1)
        replica.send_signal(signal.SIGSTOP)  # from now on it counts again
        assert await walk.post_webhook({"id": "agent_late"}, "agent.offline") == 503
        [danger] = find_problems(await read_redis_info(client))
        assert danger.what.startswith(f"Replica 127.0.0.1:{replica.port} does not answer")
        replica.send_signal(signal.SIGCONT)


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
