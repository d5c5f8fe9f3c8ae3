"""Valkey servers of one's own on loopback: a primary with a replica behind Sentinels, and a cluster."""

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
from redis.crc import key_slot

from tests.support.bot import until
from tests.support.virtual_time import silent_redis
from zofbot.store.embedded import _binary, server_command

SLOTS = 16384

folder_in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 2**30 else None
"""Where a store is as fast as tests want it: on a disk each step is waited for, on a busy machine for seconds."""


@contextmanager
def valkey_server(folder: Path) -> Iterator[str]:
    """Run a server on no event loop, with the configuration of the embedded store, and give its address.

    One that was killed goes on with its data when the folder is given again.
    """
    path = folder / "valkey.sock"
    path.unlink(missing_ok=True)
    process = subprocess.Popen(server_command(folder, path), stdin=subprocess.DEVNULL)
    try:
        while not path.exists():
            assert process.poll() is None, (folder / "valkey.log").read_text()
            time.sleep(0.01)
        yield f"unix://{path}"
    finally:
        process.kill()
        process.wait()


@functools.cache
def shared_valkey() -> str:
    """The address of one server for all tests of this process; it outlives their event loops."""
    server = ExitStack()
    atexit.register(server.close)
    return server.enter_context(
        valkey_server(Path(server.enter_context(tempfile.TemporaryDirectory(dir=folder_in_memory))))
    )


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def stopped_server(url: str) -> AsyncIterator[None]:
    """Have the server answer nobody, though connections stand; virtual time passes meanwhile. It goes on afterwards."""
    async with redis.from_url(url) as client:
        pid = int((await client.info("server"))["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        with silent_redis():
            yield
    finally:
        os.kill(pid, signal.SIGCONT)


@dataclass
class Server:
    """One process; ``port`` is where it listens."""

    port: int
    folder: Path
    options: tuple[str, ...] = ()
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.process = await asyncio.create_subprocess_exec(
            _binary(), *self.options, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--logfile", str(self.folder / "log"), stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await until(self.answers)

    async def answers(self) -> bool:
        try:
            return await self.ask("PING") is not None
        except redis.ConnectionError:
            return False

    async def ask(self, *command: Any) -> Any:
        async with redis.Redis(port=self.port, socket_timeout=1) as client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def serves(self) -> bool:
        """Whether it is part of a cluster that is well."""
        return bool((await self.ask("CLUSTER INFO"))["cluster_state"] == "ok")

    def send(self, number: signal.Signals) -> None:
        assert self.process
        if self.process.returncode is None:
            os.kill(self.process.pid, number)

    async def kill(self) -> None:
        assert self.process
        self.send(signal.SIGKILL)
        await self.process.wait()


KEEPS = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--repl-diskless-sync-delay", "0")


@dataclass
class Servers:
    """Several, and the address that zofbot is given."""

    url: str
    each: list[Server] = field(default_factory=list)

    async def primary(self) -> Server:
        """The one that holds zofbot's keys; the others are looked through for it."""
        for one in self.each:
            if await one.answers() and await self._holds(one):
                return one
        raise LookupError("no primary")

    async def replica(self) -> Server:
        """The one that would take its place."""
        port = (await (await self.primary()).ask("INFO", "replication"))["slave0"]["port"]
        return next(one for one in self.each if one.port == int(port))

    async def followed(self) -> bool:
        """Whether the primary's replica is in step."""
        try:
            told = await (await self.primary()).ask("INFO", "replication")
        except LookupError:
            return False
        return bool(told.get("slave0", {}).get("state") == "online")

    async def _holds(self, one: Server) -> bool:
        told = await one.ask("INFO", "replication")
        return bool(told["role"] == "master")


class Cluster(Servers):
    """Three primaries, and a replica of the one that holds zofbot's slot."""

    slot = key_slot(b"{zofbot}:")

    async def _holds(self, one: Server) -> bool:
        nodes = await one.ask("CLUSTER NODES")
        mine = next((node for node in nodes.values() if "myself" in node["flags"]), None)
        assert mine
        return "master" in mine["flags"] and any(
            int(first) <= self.slot <= int(last) for first, last in ((s[0], s[-1]) for s in mine["slots"])
        )

    async def identity(self, one: Server) -> str:
        return (await one.ask("CLUSTER", "MYID")).decode()  # type: ignore[no-any-return]

    async def whole(self) -> bool:
        """Whether all nodes agree that all is well."""
        told = [await one.ask("CLUSTER INFO") for one in self.each]
        known = str(len(self.each))
        return all(one["cluster_state"] == "ok" and one["cluster_known_nodes"] == known for one in told)


@asynccontextmanager
async def running_servers(*servers: Server) -> AsyncIterator[list[Server]]:
    try:
        await asyncio.gather(*(one.start() for one in servers))
        yield list(servers)
    finally:
        await asyncio.gather(*(one.kill() for one in servers if one.process))


@asynccontextmanager
async def cluster(folder: Path, *, gone: int = 1000) -> AsyncIterator[Cluster]:
    """Form a cluster of four; ``gone`` in milliseconds is when a silent node counts as gone."""
    servers = []
    for number in range(4):
        port, bus = free_port(), free_port()
        servers.append(Server(port, folder / f"node{number}", (
            *KEEPS, "--cluster-enabled", "yes", "--cluster-node-timeout", str(gone), "--cluster-port", str(bus),
        )))  # fmt: skip
    async with running_servers(*servers):
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{one.port}" for one in servers[:3])
        bot = Cluster(url, servers)
        share = SLOTS // 3
        for number, one in enumerate(servers[:3]):
            last = SLOTS if number == 2 else (number + 1) * share
            await one.ask("CLUSTER", "ADDSLOTSRANGE", number * share, last - 1)
            await one.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for one in servers[1:]:
            bus_of = one.options[one.options.index("--cluster-port") + 1]
            await servers[0].ask("CLUSTER", "MEET", "127.0.0.1", one.port, bus_of)
        primary = servers[bot.slot // share]

        async def met() -> bool:
            return len(await servers[3].ask("CLUSTER NODES")) == 4

        await until(met)
        identity = await bot.identity(primary)
        await until(_done(lambda: servers[3].ask("CLUSTER", "REPLICATE", identity)))
        await until(bot.whole, 20)
        await until(bot.followed, 20)
        yield bot


def _done(work: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[bool]]:
    async def tried() -> bool:
        try:
            await work()
        except redis.ResponseError:
            return False
        return True

    return tried


@asynccontextmanager
async def sentinels(folder: Path, *, down_after: int = 500) -> AsyncIterator[Servers]:
    """A primary, its replica and three Sentinels, two of which have to agree; ``down_after`` in milliseconds."""
    async with AsyncExitStack() as stack:
        first = Server(free_port(), folder / "first", KEEPS)
        second = Server(free_port(), folder / "second", (*KEEPS, "--replicaof", f"127.0.0.1 {first.port}"))
        data = await stack.enter_async_context(running_servers(first, second))
        ports = [free_port() for _ in range(3)]
        bot = Servers("redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in ports) + "/mymaster/0", data)
        await until(bot.followed, 20)
        watchers = []
        for port in ports:
            own = folder / f"sentinel{port}"
            own.mkdir()
            (own / "conf").write_text(
                f"sentinel monitor mymaster 127.0.0.1 {first.port} 2\n"
                f"sentinel down-after-milliseconds mymaster {down_after}\n"
                "sentinel failover-timeout mymaster 3000\n"
            )
            watchers.append(Server(port, own, (str(own / "conf"), "--sentinel")))
        await stack.enter_async_context(running_servers(*watchers))

        async def ready() -> bool:
            told = [(await one.ask("SENTINEL MASTERS"))["mymaster"] for one in watchers]
            return all(one["num-slaves"] == 1 and one["num-other-sentinels"] == 2 for one in told)

        await until(ready, 20)
        yield bot
