"""The store that comes along: it survives kills, is adopted, and is shared by the processes of one folder."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Awaitable
from functools import partial
from pathlib import Path

import pytest
import redis.asyncio as redis
import structlog

from tests.support.bot import wait_until
from tests.support.limits import HANG_SECONDS, limit_wait
from zofbot.clock import Clock, timeout
from zofbot.concurrency import cancel_tasks
from zofbot.domain.errors import StoreUnavailable
from zofbot.store import SharedCard, open_store
from zofbot.store.redis_server.data_folder import open_lock, prepare_folder, socket_path
from zofbot.store.redis_server.embedded import server_command, start_embedded, supervise_embedded

NOW = 1_800_000_000.0
ANA = SharedCard("U0ANA", "ana", NOW)
BEN = SharedCard("U0BEN", "ben", NOW + 1)


# --- the embedded server, for real

KILLED = """
import asyncio, os, pathlib, signal, sys
from zofbot.clock import Clock
from zofbot.store import open_store
from zofbot.store.redis_server.embedded import start_embedded

async def main():
    async with start_embedded(pathlib.Path(sys.argv[1]), Clock()) as url, open_store(url, "test", Clock()) as store:
        assert await store.claim_request("before the kill")
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def server_pid(url: str) -> int:
    async with redis.from_url(url) as client:
        return int((await client.info("server"))["process_id"])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def is_claimed(folder: Path, name: str) -> bool:
    async with start_embedded(folder, Clock()) as url, open_store(url, "test", Clock()) as store:
        return not await store.claim_request(name)


async def test_what_was_acknowledged_survives_a_clean_stop(tmp_path: Path) -> None:
    assert not await is_claimed(tmp_path, "x")
    assert await is_claimed(tmp_path, "x")


async def test_a_clean_stop_leaves_no_server_behind(tmp_path: Path) -> None:
    async with start_embedded(tmp_path, Clock()) as url:
        pid = await server_pid(url)
    await wait_until(lambda: not is_alive(pid))  # the kernel may need a moment to bury it


async def test_a_server_that_is_silent_at_the_end_is_left_running(tmp_path: Path) -> None:
    async with start_embedded(tmp_path, Clock()) as first:
        pid = await server_pid(first)
        with structlog.testing.capture_logs() as logs:
            async with start_embedded(tmp_path, Clock()):
                os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
        assert [line["cause"] for line in logs if line["event"] == "store left running"] == ["it did not answer"]
    await wait_until(lambda: not is_alive(pid))


async def test_a_stop_does_not_wait_for_the_server_of_another_zofbot(tmp_path: Path) -> None:
    """Another zofbot may take the lock as soon as the server has ended; this one has it all the time."""
    folder, address = prepare_folder(tmp_path / "data")
    lock = open_lock(folder)
    fcntl.flock(lock, fcntl.LOCK_EX)
    server = await asyncio.create_subprocess_exec(*server_command(folder, address))
    try:
        with structlog.testing.capture_logs() as logs:
            async with timeout(HANG_SECONDS), start_embedded(folder, Clock()):
                pass
        assert await limit_wait(server.wait()) == 0
    finally:
        os.close(lock)
        if server.returncode is None:
            server.kill()
    assert [line["event"] for line in logs] == ["store adopted", "store still running"]


async def test_the_server_of_a_killed_bot_is_adopted(tmp_path: Path) -> None:
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, tmp_path)
    assert await killed.wait() == -signal.SIGKILL
    assert await is_claimed(tmp_path, "before the kill")


async def test_what_was_acknowledged_survives_the_servers_own_death(tmp_path: Path) -> None:
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, tmp_path)
    await killed.wait()
    async with redis.from_url(f"unix://{socket_path(tmp_path)}") as client:
        pid = int((await client.info("server"))["process_id"])
    os.kill(pid, signal.SIGKILL)
    assert await is_claimed(tmp_path, "before the kill")


def child_processes(state: str = "") -> set[int]:
    """Return the ids of this process's children, of those in one state such as ``T`` (stopped) if it is given."""
    children = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            present, parent = file.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state in ("", present):
                children.add(int(file.parent.name))
    return children


async def test_a_start_that_is_canceled_waits_for_the_process_that_it_has_made(tmp_path: Path) -> None:
    async def run_server() -> None:
        async with start_embedded(tmp_path, Clock()):
            is_running.set()
            await asyncio.Event().wait()

    while True:  # until a process is seen before it has started the server and ended
        is_running, before = asyncio.Event(), child_processes()
        running = asyncio.create_task(run_server())
        while not (made := child_processes() - before) and not is_running.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)  # nothing announces a process
        for pid in made:
            with contextlib.suppress(ProcessLookupError):  # it has ended already
                os.kill(pid, signal.SIGSTOP)
        for _ in range(20):  # so that it is stopped, and waited for, also on a busy machine
            await asyncio.sleep(0.01)
        if made := child_processes("T"):
            break
        await cancel_tasks(running)
    running.cancel()
    await asyncio.sleep(0.1)
    assert not running.done()
    for pid in made:
        os.kill(pid, signal.SIGCONT)
    await asyncio.wait([running])
    assert not child_processes() & made
    async with start_embedded(tmp_path, Clock()):
        """Stops the server that it has started all the same."""


async def test_a_server_that_dies_is_started_again(tmp_path: Path) -> None:
    async with start_embedded(tmp_path, Clock()) as url, open_store(url, "test", Clock()) as store:
        minding = asyncio.create_task(supervise_embedded(tmp_path, Clock()))
        for number in range(2):
            assert await store.claim_request(f"before death {number}")
            pid = await server_pid(url)
            os.kill(pid, signal.SIGKILL)
            await wait_until(partial(is_serving, url, pid))
            assert not await store.claim_request(f"before death {number}")
        await cancel_tasks(minding)
    assert not (tmp_path / "valkey.sock").exists()


async def is_serving(url: str, before: int = 0) -> bool:
    """Whether a server answers that is not the one ``before``."""
    try:
        return await server_pid(url) != before
    except redis.ConnectionError:
        return False


async def test_a_server_that_cannot_be_started_again_is_tried_until_it_can(tmp_path: Path) -> None:
    async with start_embedded(tmp_path, Clock()) as url:
        files = tmp_path / "appendonlydir"
        os.kill(await server_pid(url), signal.SIGKILL)
        files.rename(tmp_path / "aside")
        files.write_text("this is not a folder")
        minding = asyncio.create_task(supervise_embedded(tmp_path, Clock()))
        with structlog.testing.capture_logs() as lines:
            await wait_until(lambda: any(line["event"] == "store not started" for line in lines))
        files.unlink()
        (tmp_path / "aside").rename(files)
        await wait_until(partial(is_serving, url))
        await cancel_tasks(minding)


async def test_two_bots_of_one_folder_share_one_server_and_the_last_one_stops_it(tmp_path: Path) -> None:
    async with start_embedded(tmp_path, Clock()) as url:
        first = await server_pid(url)
        other = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, tmp_path)
        await other.wait()
        assert await server_pid(url) == first


CONTAINED = """
import asyncio, os, pathlib, sys, structlog
os.getpid = lambda: 1
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from zofbot.clock import Clock
from zofbot.store import open_store
from zofbot.store.redis_server.embedded import start_embedded

async def main():
    async with start_embedded(pathlib.Path(sys.argv[1]), Clock()) as url, open_store(url, "test", Clock()) as store:
        print(await store.claim_request(sys.argv[2] + " before"), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print(await store.claim_request(sys.argv[2] + " after"), flush=True)

asyncio.run(main())
"""


async def test_two_containers_of_one_folder_have_the_same_process_id_and_the_last_one_stops_the_server(
    tmp_path: Path,
) -> None:
    def start_contained(name: str) -> Awaitable[asyncio.subprocess.Process]:
        return asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            CONTAINED,
            tmp_path,
            name,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )

    bot = await start_contained("bot")
    assert bot.stdout
    assert await limit_wait(bot.stdout.readline()) == b"True\n"
    command = await start_contained("command")
    assert (await limit_wait(command.communicate(b"\n")))[0] == b"True\nTrue\n"
    assert (await limit_wait(bot.communicate(b"\n")))[0] == b"True\n"
    assert bot.returncode == 0
    assert not socket_path(tmp_path).exists()


async def test_a_long_folder_name_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    async with start_embedded(deep, Clock()) as url:
        assert len(url) < 104
        async with open_store(url, "test", Clock()) as store:
            await store.ping()


async def test_a_server_that_cannot_start_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("this is not a folder")
    with pytest.raises(StoreUnavailable) as caught:
        async with start_embedded(tmp_path, Clock()):
            raise AssertionError("it cannot have started")
    assert "valkey.log" in caught.value.next_step


async def test_a_copy_of_the_data_directory_is_a_backup(tmp_path: Path) -> None:
    async with start_embedded(tmp_path / "data", Clock()) as url, redis.from_url(url) as client:
        await client.set("k", "v")
        assert (tmp_path / "data").stat().st_mode & 0o077 == 0, "nobody else gets in"
        assert (await client.config_get("port"))["port"] == "0"
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    async with start_embedded(tmp_path / "copy", Clock()) as url, redis.from_url(url) as client:
        assert await client.get("k") == b"v"
