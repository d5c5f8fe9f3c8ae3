"""Valkey servers for tests: a single one, a primary with a replica behind Sentinels, and a cluster."""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from tests.support.bot import wait_until
from tests.support.limits import HANG_SECONDS
from tests.support.ports import free_port
from tests.support.virtual_time import silent_redis
from zofbot.store.redis_server.embedded import _server_binary, server_command

SLOT_COUNT = 16384

folder_in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 2**30 else None
"""A folder in memory, because fsync on a busy disk can take seconds."""


@contextmanager
def valkey_server(folder: Path) -> Iterator[str]:
    """Run a server outside any event loop, with the configuration of the embedded store; yields its URL.

    With the folder of a killed server it continues with that data.
    """
    path = folder / "valkey.sock"
    path.unlink(missing_ok=True)
    process = subprocess.Popen(server_command(folder, path), stdin=subprocess.DEVNULL)
    try:
        while not _answers_ping(path):
            assert process.poll() is None, (folder / "valkey.log").read_text()
            time.sleep(0.01)
        yield f"unix://{path}"
    finally:
        process.kill()
        process.wait()


def _answers_ping(path: Path) -> bool:
    """Return whether the server accepts commands: it first loads the data that a killed one left."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:  # not listening yet
            return False


@functools.cache
def shared_valkey() -> str:
    """Return the URL of one server shared by all tests of this process; it outlives their event loops."""
    server = ExitStack()
    atexit.register(server.close)
    return server.enter_context(
        valkey_server(Path(server.enter_context(tempfile.TemporaryDirectory(dir=folder_in_memory))))
    )


@asynccontextmanager
async def stopped_server(url: str) -> AsyncIterator[None]:
    """Suspend the server while the context lasts; connections stay open, and virtual time passes."""
    async with redis.from_url(url) as client:
        pid = int((await client.info("server"))["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        with silent_redis():
            yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def paused_writes(url: str) -> AsyncIterator[None]:
    """Let the server answer only reads while the context lasts; virtual time passes."""
    async with redis.from_url(url) as client:
        await client.client_pause(round(HANG_SECONDS * 1000), all=False)
        try:
            with silent_redis():
                yield
        finally:
            await client.client_unpause()


@dataclass
class ValkeyServer:
    """One server process."""

    port: int
    folder: Path
    options: tuple[str, ...] = ()
    process: asyncio.subprocess.Process | None = None

    async def start_process(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.process = await asyncio.create_subprocess_exec(
            _server_binary(), *self.options, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--logfile", str(self.folder / "log"), stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await wait_until(self.is_answering)

    async def is_answering(self) -> bool:
        try:
            return await self.run_command("PING") is not None
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    async def run_command(self, *command: Any) -> Any:
        """Send a command; a second time if no answer came in time, because the tests themselves may be suspended."""
        async with redis.Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 2)) as client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def is_serving(self) -> bool:
        """True if it is part of a healthy cluster."""
        return bool((await self.run_command("CLUSTER INFO"))["cluster_state"] == "ok")

    def send_signal(self, number: signal.Signals) -> None:
        assert self.process
        if self.process.returncode is None:
            os.kill(self.process.pid, number)

    async def kill_process(self) -> None:
        assert self.process
        self.send_signal(signal.SIGKILL)
        await self.process.wait()


DOWN_AFTER_MILLISECONDS = 1000
"""Time without a reply after which a server counts as down.

Sentinels never promote a replica that lost its primary more than ten times as long before they noticed that: with 500,
not after a standstill of five seconds between the two.
"""

TILT_MILLISECONDS = 1000
"""Time for which Sentinels do not act after a standstill of their own: enough to hear from the others again."""

PERSISTENCE_OPTIONS = (
    "--appendonly",
    "yes",
    "--appendfsync",
    "everysec",
    "--save",
    "",
    "--repl-diskless-sync-delay",
    "0",
)


@dataclass
class ServerGroup:
    """Several servers, and the URL for zofbot."""

    url: str
    each: list[ValkeyServer] = field(default_factory=list)

    async def find_primary(self) -> ValkeyServer:
        """Find the primary that holds zofbot's keys."""
        for item in self.each:
            if await item.is_answering() and await self._holds_keys(item):
                return item
        raise LookupError("no primary")

    async def find_replica(self) -> ValkeyServer:
        """Find its replica."""
        port = (await (await self.find_primary()).run_command("INFO", "replication"))["slave0"]["port"]
        return next(item for item in self.each if item.port == int(port))

    async def is_replica_synced(self) -> bool:
        """True if the replica is in sync with the primary."""
        try:
            info = await (await self.find_primary()).run_command("INFO", "replication")
        except LookupError:
            return False
        return bool(info.get("slave0", {}).get("state") == "online")

    async def _holds_keys(self, server: ValkeyServer) -> bool:
        info = await server.run_command("INFO", "replication")
        return bool(info["role"] == "master")


class ValkeyCluster(ServerGroup):
    """Three primaries, and a replica of the one that holds zofbot's slot."""

    slot = key_slot(b"{zofbot}:")

    async def _holds_keys(self, server: ValkeyServer) -> bool:
        nodes = await server.run_command("CLUSTER NODES")
        mine = next((node for node in nodes.values() if "myself" in node["flags"]), None)
        assert mine
        return "master" in mine["flags"] and any(
            int(first) <= self.slot <= int(last) for first, last in ((s[0], s[-1]) for s in mine["slots"])
        )

    async def node_id(self, server: ValkeyServer) -> str:
        return (await server.run_command("CLUSTER", "MYID")).decode()  # type: ignore[no-any-return]

    async def is_healthy(self) -> bool:
        """True if all nodes report a healthy cluster."""
        info = [await item.run_command("CLUSTER INFO") for item in self.each]
        known = str(len(self.each))
        return all(item["cluster_state"] == "ok" and item["cluster_known_nodes"] == known for item in info)


@asynccontextmanager
async def running_servers(*servers: ValkeyServer) -> AsyncIterator[list[ValkeyServer]]:
    try:
        await asyncio.gather(*(server.start_process() for server in servers))
        yield list(servers)
    finally:
        await asyncio.gather(*(server.kill_process() for server in servers if server.process))


@asynccontextmanager
async def valkey_cluster(folder: Path, *, gone: int = 1000) -> AsyncIterator[ValkeyCluster]:
    """Start a cluster of four; a node silent for ``gone`` milliseconds counts as failed."""
    servers = []
    for number in range(4):
        port, bus = free_port(), free_port()
        servers.append(
            ValkeyServer(
                port,
                folder / f"node{number}",
                (
                    *PERSISTENCE_OPTIONS,
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    str(gone),
                    "--cluster-port",
                    str(bus),
                ),
            )
        )
    async with running_servers(*servers):
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in servers[:3])
        bot = ValkeyCluster(url, servers)
        share = SLOT_COUNT // 3
        for number, server in enumerate(servers[:3]):
            last = SLOT_COUNT if number == 2 else (number + 1) * share
            await server.run_command("CLUSTER", "ADDSLOTSRANGE", number * share, last - 1)
            await server.run_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in servers[1:]:
            bus_of = server.options[server.options.index("--cluster-port") + 1]
            await servers[0].run_command("CLUSTER", "MEET", "127.0.0.1", server.port, bus_of)
        primary = servers[bot.slot // share]

        async def have_met() -> bool:
            return len(await servers[3].run_command("CLUSTER NODES")) == 4

        await wait_until(have_met)
        identity = await bot.node_id(primary)
        await wait_until(_until_done(lambda: servers[3].run_command("CLUSTER", "REPLICATE", identity)))
        await wait_until(bot.is_healthy)
        await wait_until(bot.is_replica_synced)
        yield bot


def _until_done(work: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[bool]]:
    async def try_once() -> bool:
        try:
            await work()
        except redis.ResponseError:
            return False
        return True

    return try_once


@asynccontextmanager
async def valkey_sentinels(folder: Path) -> AsyncIterator[ServerGroup]:
    """Start a primary, its replica and three Sentinels with a quorum of two."""
    async with AsyncExitStack() as stack:
        first = ValkeyServer(free_port(), folder / "first", PERSISTENCE_OPTIONS)
        second = ValkeyServer(
            free_port(), folder / "second", (*PERSISTENCE_OPTIONS, "--replicaof", f"127.0.0.1 {first.port}")
        )
        data = await stack.enter_async_context(running_servers(first, second))
        ports = [free_port() for _ in range(3)]
        bot = ServerGroup("redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in ports) + "/mymaster/0", data)
        await wait_until(bot.is_replica_synced)
        watchers = []
        for port in ports:
            own = folder / f"sentinel{port}"
            own.mkdir()
            (own / "conf").write_text(
                f"sentinel monitor mymaster 127.0.0.1 {first.port} 2\n"
                f"sentinel down-after-milliseconds mymaster {DOWN_AFTER_MILLISECONDS}\n"
                "sentinel failover-timeout mymaster 3000\n"
            )
            watchers.append(ValkeyServer(port, own, (str(own / "conf"), "--sentinel")))
        await stack.enter_async_context(running_servers(*watchers))
        for watcher in watchers:  # for 30 s after a standstill of two they would not act
            await watcher.run_command("SENTINEL", "DEBUG", "tilt-period", TILT_MILLISECONDS)

        async def are_ready() -> bool:
            info = [(await watcher.run_command("SENTINEL MASTERS"))["mymaster"] for watcher in watchers]
            return all(item["num-slaves"] == 1 and item["num-other-sentinels"] == 2 for item in info)

        await wait_until(are_ready)
        yield bot
