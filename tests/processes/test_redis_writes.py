"""A Redis that answers and does not take writes, and a plain address whose primary has become another server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis.asyncio as redis

from tests.support.bot import RunningBot, running_bot, wait_until
from tests.support.cli import CommandResult, run_command
from tests.support.failing_runs import SECRET, post_webhook, webhook_event
from tests.support.ports import free_port
from tests.support.valkey_servers import ValkeyServer, running_servers
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.diagnostics import Finding, Level, run_checks
from zofbot.store import open_store


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ValkeyServer]:
    one = ValkeyServer(free_port(), tmp_path / "one", ("--save", "", "--appendonly", "yes"))
    async with running_servers(one):
        yield one


async def read_readiness(bot: RunningBot) -> tuple[int, list[str], str]:
    """The status of ``/readyz``, what it misses, and the metric."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{bot.app.url}/readyz") as reply:
            status, missing = reply.status, (await reply.json())["missing"]
        async with session.get(f"{bot.app.url}/metrics") as reply:
            lines = (await reply.text()).splitlines()
    return status, missing, next(line for line in lines if line.startswith("zofbot_store_up "))


async def found_in(settings: Settings) -> list[Finding]:
    found = await run_checks(settings, Clock(), seconds=10)
    return [item for item in found if item.level is Level.ERROR and item.about.startswith("redis")]


# --- writes that are refused


@pytest.mark.parametrize(
    ("setting", "value", "word", "finding"),
    [
        ("maxmemory", "1", "OOM", "memory limit (maxmemory)"),
        ("min-replicas-to-write", "1", "NOREPLICAS", "too few replicas"),
    ],
)
async def test_a_redis_that_refuses_writes_is_not_ready(
    server: ValkeyServer, setting: str, value: str, word: str, finding: str
) -> None:
    async with running_bot(f"redis://127.0.0.1:{server.port}") as bot:
        assert await read_readiness(bot) == (200, [], "zofbot_store_up 1.0")
        await server.run_command("CONFIG", "SET", setting, value)
        assert await read_readiness(bot) == (503, [f"redis rejects commands ({word})"], "zofbot_store_up 0.0")
        [found] = await found_in(bot.settings)
        assert finding in found.what
        assert found.fix
        await server.run_command("CONFIG", "SET", setting, "0")
        assert await read_readiness(bot) == (200, [], "zofbot_store_up 1.0")


async def test_a_redis_whose_disk_fails_is_not_ready(server: ValkeyServer) -> None:
    async with running_bot(f"redis://127.0.0.1:{server.port}") as bot:
        await server.run_command("CONFIG", "SET", "save", "3600 1000")
        (server.folder / "dump.rdb").mkdir()  # where the file should stand
        await server.run_command("BGSAVE")

        async def has_failed() -> bool:
            return bool((await server.run_command("INFO", "persistence"))["rdb_last_bgsave_status"] == "err")

        await wait_until(has_failed)
        assert await read_readiness(bot) == (503, ["redis rejects commands (MISCONF)"], "zofbot_store_up 0.0")
        assert any("its disk" in item.what for item in await found_in(bot.settings))


READS = ("+@read", "+@connection", "+@scripting", "+info", "+config|get", "+time")


@pytest.mark.parametrize(
    ("rules", "finding"),
    [
        (READS, "run SET."),
        (("+@all", "-hset"), "run HSET."),
        (("+@all", "-eval"), "run EVAL."),
        (("+@all", "-zadd"), "run ZADD."),
        (("+@all", "resetkeys", "~other:*"), "access the keys of ZOFBOT_NAMESPACE."),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
async def test_check_names_the_permission_that_is_missing(
    server: ValkeyServer, rules: tuple[str, ...], finding: str
) -> None:
    address = f"127.0.0.1:{server.port}"
    await server.run_command("ACL", "SETUSER", "zofbot", "on", ">hunter2hunter2", "~*", "&*", *rules)
    async with running_bot(f"redis://{address}") as bot:
        limited = bot.settings.model_copy(update={"redis_url": f"redis://zofbot:hunter2hunter2@{address}"})
        found = await found_in(limited)
        assert any(item.what.endswith(finding) for item in found), found
        assert all("docs/operate.md" in item.fix for item in found)
        assert "hunter2" not in str(found)


async def test_a_user_that_lost_the_right_to_write_is_not_ready(server: ValkeyServer) -> None:
    address = f"127.0.0.1:{server.port}"
    await server.run_command("ACL", "SETUSER", "zofbot", "on", ">pw", "~*", "&*", "+@all")
    async with running_bot(f"redis://zofbot:pw@{address}") as bot:
        await server.run_command("ACL", "SETUSER", "zofbot", "-@write")
        assert await read_readiness(bot) == (503, ["redis rejects commands (NOPERM)"], "zofbot_store_up 0.0")


# --- users that are not let in

REJECTED = (
    "zofbot: REDIS_URL is wrong: Redis rejects the user or password. "
    "Correct them in REDIS_URL: redis://user:password@host.\n"
)


@pytest.mark.parametrize("login", ["", ":hunter2hunter2@", "nobody:hunter2hunter2@"])
@pytest.mark.parametrize(
    "command", [("run",), ("worker",), ("outbox", "list"), ("subscriptions", "export")], ids=" ".join
)
async def test_a_wrong_password_is_a_wrong_setting(server: ValkeyServer, login: str, command: tuple[str, ...]) -> None:
    await server.run_command("CONFIG", "SET", "requirepass", "the-password")
    tokens = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "ZOF_API_KEY": "zof_key"}
    own = {"REDIS_URL": f"redis://{login}127.0.0.1:{server.port}/0", "ZOFBOT_LOG_LEVEL": "error"}
    assert await run_command(*command, **tokens, **own) == CommandResult(2, "", REJECTED)


# --- a plain address whose primary moved


@asynccontextmanager
async def forwarding_proxy(*targets: int) -> AsyncIterator[tuple[int, list[int]]]:
    """A name of a managed service: what connects is led to the first of the ports; what is open stays."""
    leads = list(targets)
    tasks: set[asyncio.Task[Any]] = set()

    async def pipe_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1 << 16):
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def accept_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        its_reader, its_writer = await asyncio.open_connection("127.0.0.1", leads[0])
        for work in (pipe_bytes(reader, its_writer), pipe_bytes(its_reader, writer)):
            tasks.add(asyncio.create_task(work))

    served = await asyncio.start_server(accept_connection, "127.0.0.1", 0)
    try:
        yield served.sockets[0].getsockname()[1], leads
    finally:
        served.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[ValkeyServer, ValkeyServer]]:
    first = ValkeyServer(free_port(), tmp_path / "first")
    second = ValkeyServer(free_port(), tmp_path / "second", ("--replicaof", f"127.0.0.1 {first.port}"))
    async with running_servers(first, second):
        yield first, second


async def fail_over(old: ValkeyServer, new: ValkeyServer) -> None:
    """As a managed service does: the roles change, and nobody's connection is closed."""
    await new.run_command("REPLICAOF", "NO", "ONE")
    await old.run_command("REPLICAOF", "127.0.0.1", new.port)


async def test_a_plain_address_whose_primary_moved_is_followed(pair: tuple[ValkeyServer, ValkeyServer]) -> None:
    old, new = pair
    async with forwarding_proxy(old.port) as (port, leads):
        async with running_bot(f"redis://127.0.0.1:{port}", zof_webhook_secret=SECRET, workers=True) as bot:
            await asyncio.gather(*(read_readiness(bot) for _ in range(4)))  # several connections are open
            leads[:] = [new.port]
            await fail_over(old, new)
            assert await read_readiness(bot) == (200, [], "zofbot_store_up 1.0")
            run = bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging"})
            assert await post_webhook(bot, webhook_event(run["id"], "evt_1")) == 200
            assert "Voucher" in await bot.answer_text("/zof result res_4821")
        assert await new.run_command("EXISTS", "{zofbot}:probe")


async def test_each_kind_of_write_goes_on_where_the_primary_is_now(pair: tuple[ValkeyServer, ValkeyServer]) -> None:
    old, new = pair
    async with (
        forwarding_proxy(old.port) as (port, leads),
        open_store(f"redis://127.0.0.1:{port}", "a", Clock()) as store,
    ):
        script = store.client.register_script("return redis.call('SET', KEYS[1], ARGV[1])")
        await script(keys=["{a}:s"], args=["before"])
        leads[:] = [new.port]
        for number, place in enumerate((new, old)):
            await fail_over(old if place is new else new, place)
            leads[:] = [place.port]
            await script(keys=["{a}:s"], args=[str(number)])
            async with store.client.pipeline() as pipe:
                pipe.set("{a}:p", str(number))
                await pipe.execute()
            async with redis.Redis(port=place.port) as there:
                assert await there.mget("{a}:s", "{a}:p") == [str(number).encode()] * 2


async def test_a_name_that_still_leads_to_the_old_server_is_said_and_asked_again(
    pair: tuple[ValkeyServer, ValkeyServer],
) -> None:
    old, new = pair
    async with forwarding_proxy(old.port) as (port, leads), running_bot(f"redis://127.0.0.1:{port}") as bot:
        await fail_over(old, new)

        async def is_said() -> bool:
            return (await read_readiness(bot))[:2] == (503, ["redis rejects commands (READONLY)"])

        async def is_ready() -> bool:
            return (await read_readiness(bot))[0] == 200

        await wait_until(is_said)
        leads[:] = [new.port]
        await wait_until(is_ready)
