"""The primary: the server that takes writes at present, asked for anew whenever that has become another.

One client serves all three forms of REDIS_URL, for all keys lie in one slot: a Redis Cluster is to zofbot one primary
with its replicas, found by asking the nodes who holds that slot. Replication is asynchronous, so behind Sentinels and
in a cluster a write counts once a replica has it: what is sent to Slack was noted on two servers before.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import redis.asyncio as redis
import structlog
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import ConstantBackoff, NoBackoff
from redis.crc import key_slot
from redis.driver_info import DriverInfo
from redis.exceptions import ClusterDownError, MovedError, RedisError

from zofbot.clock import Clock
from zofbot.config.redis_url import RedisAddress, parse_redis_url
from zofbot.store.connections import make_client

log = structlog.get_logger()

MAX_QUERY_SECONDS = 0.3
"""Seconds that one Sentinel or node may take to say who the primary is; there may be a second one to ask."""

MAX_CONFIRM_MILLISECONDS = 500
"""Milliseconds that a replica may take to confirm a write."""

REPLICA_CHECK_SECONDS = 1.0
"""Seconds after which a primary without replicas is asked again whether it has some."""

WRITE_COMMANDS = frozenset(("SET", "DEL", "EVALSHA", "HSETNX", "HDEL", "XADD"))
"""Every command of the store's that writes outside of a pipeline."""


class NotReplicated(RedisError):
    """A write that no replica has confirmed: it may be lost with its primary, or may stand."""


class PrimaryLocator(Protocol):
    """Who knows where the primary is; named as redis-py's pool wants it."""

    async def discover_master(self, service_name: str) -> tuple[str, int]: ...

    async def aclose(self) -> None: ...


class Sentinels(Sentinel):
    """The Sentinels, asked by one task at a time: the library's list of them loses some when two reorder it at once."""

    def __init__(self, hosts: Sequence[tuple[str, int]], options: Mapping[str, Any]) -> None:
        super().__init__(hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        self._one = asyncio.Lock()

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Where the primary is. Raises MasterNotFoundError."""
        async with self._one:
            host, port = await super().discover_master(service_name)
        return host, port


class ClusterNodes:
    """The nodes of a cluster, each of which knows who holds a slot, but for those that were cut off from the others.

    Asked one after the other, and another one first each time: who was wrong is not believed twice.
    """

    def __init__(self, address: RedisAddress, slot: int, options: Mapping[str, Any]) -> None:
        self._seeds, self._slot, self._options = address.hosts, slot, options
        self._known = deque(address.hosts)

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Where the slot's primary is. Raises MasterNotFoundError."""
        reasons = []
        for node in tuple(self._known):
            try:
                found = await self._ask_node(node)
            except (RedisError, OSError) as error:
                reasons.append(type(error).__name__)
                continue
            if found:
                return found
            reasons.append("slot not served")
        raise MasterNotFoundError(f"No node says who holds slot {self._slot}: {', '.join(reasons)}")

    async def _ask_node(self, node: tuple[str, int]) -> tuple[str, int] | None:
        async with redis.Redis(host=node[0], port=node[1], **self._options) as client:
            ranges: Any = await client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
        serving = [
            (each_range[0], each_range[1], [_server_address(server, node) for server in each_range[2:]])
            for each_range in ranges
        ]
        there = dict.fromkeys([*(place for *_, places in serving for place in places), *self._seeds])
        there.pop(node, None)
        self._known = deque([*there, node])
        return next((places[0] for first, last, places in serving if first <= self._slot <= last), None)

    async def aclose(self) -> None:
        """Nothing is kept open."""


def _server_address(server: Any, asked: tuple[str, int]) -> tuple[str, int]:
    """Where a server is, as a node lists it; one that does not know its own name is where it was asked."""
    host = server[0].decode() if isinstance(server[0], bytes) else server[0]
    return host if host and host != "?" else asked[0], int(server[1])


class _PrimaryConnection(SentinelManagedConnection):
    """Asks for the primary anew once its server says that it is not the one."""

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except (MovedError, ClusterDownError) as error:
            await self.disconnect()
            raise redis.ConnectionError("The server does not serve these keys any more") from error


class _SecurePrimaryConnection(_PrimaryConnection, SentinelManagedSSLConnection):
    """The same over TLS."""


class ReplicatedClient(redis.Redis):
    """A client of a primary whose replicas may take its place: a write counts once one of them has it.

    One round trip, like without. A primary that has no replica at all is believed by itself, as long as whoever knows
    says that it is the primary; ``min-replicas-to-write`` in its configuration is for those who want it to refuse.
    Raises NotReplicated where a replica is there and does not confirm.
    """

    _alone = False
    """Whether the primary had no replica when it was looked at."""
    _seen: object = None
    """Where that primary was; nothing to have it looked at before the next write."""
    _looked = 0.0

    def __init__(self, pool: SentinelConnectionPool, clock: Clock) -> None:
        """Close the ``pool`` together with the client."""
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self._clock = clock

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Execute a command and, where it writes, wait for a replica."""
        if args[0] not in WRITE_COMMANDS:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        await self._check_replicas()
        if self._alone:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        try:
            return await self._execute_and_confirm(*args, **options)
        except (RedisError, OSError, asyncio.CancelledError):
            self._seen = None
            raise

    async def _execute_and_confirm(self, *args: Any, **options: Any) -> Any:
        async with self.pipeline(transaction=False) as pipe:
            pipe.execute_command(*args, **options)
            pipe.execute_command("WAIT", 1, MAX_CONFIRM_MILLISECONDS)
            answer, confirmed = await pipe.execute(raise_on_error=False)
        for said in (answer, confirmed):
            if isinstance(said, Exception):
                raise said
        if not confirmed:
            raise NotReplicated("No replica has confirmed the write")
        return answer

    async def _check_replicas(self) -> None:
        """See whether the primary has replicas, unless that is known."""
        now, pool = self._clock.monotonic(), self._sentinel_pool
        if (
            self._seen == pool.master_address
            and self._seen
            and (not self._alone or now - self._looked < REPLICA_CHECK_SECONDS)
        ):
            return
        told: Any = await super().execute_command("INFO", "replication")  # type: ignore[no-untyped-call]
        seen, alone = pool.master_address, not replica_addresses(told)
        if alone and await pool.get_master_address() != seen:  # type: ignore[no-untyped-call]
            raise NotReplicated("Another server has become the primary")
        if alone != self._alone:
            log.warning("store alone" if alone else "store replicated again")
        self._alone, self._seen, self._looked = alone, seen, now

    def client_for(self, host: str, port: int) -> redis.Redis:
        """Give a client of one of the servers, whatever it is at present."""
        options = {
            name: value for name, value in self._sentinel_pool.connection_kwargs.items() if name != "connection_pool"
        }
        secure = issubclass(self._sentinel_pool.connection_class, SSLConnection)
        kind = SSLConnection if secure else redis.Connection
        return redis.Redis.from_pool(redis.ConnectionPool(kind, host=host, port=port, **options))

    @property
    def _sentinel_pool(self) -> SentinelConnectionPool:
        pool = self.connection_pool
        assert isinstance(pool, SentinelConnectionPool)
        return pool


def replica_addresses(info: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Where the replicas are that follow a primary, by its INFO."""
    each = (value for name, value in info.items() if name.startswith("slave") and isinstance(value, Mapping))
    return [(str(item["ip"]), int(item["port"])) for item in each if item.get("state") == "online"]


def cluster_slot(namespace: str) -> int:
    """The one slot that all keys of a namespace lie in."""
    return key_slot(b"{" + namespace.encode() + b"}:")


@asynccontextmanager
async def connect_redis(url: str, namespace: str, clock: Clock) -> AsyncIterator[redis.Redis]:
    """Give a client of the store at ``url``, to be connected when it is first needed. Raises ValueError."""
    read = parse_redis_url(url)
    common: dict[str, Any] = {
        "retry": Retry(ConstantBackoff(0.05), 1),  # a pooled connection may be one to a server that was restarted since
        "health_check_interval": 30,
        "client_name": f"zofbot-{os.getpid()}",
        "driver_info": DriverInfo(),  # else each connection looks the library's version up anew
    }
    if read.kind == "server":
        async with make_client(read.url, common) as client:
            yield client
        return
    options: dict[str, Any] = dict(parse_url(read.url))
    secure = options.pop("connection_class", None) is SSLConnection
    finder = _make_locator(read, namespace, options, secure=secure)
    for name in ("host", "port"):
        options.pop(name)
    options |= common | {"connection_class": _SecurePrimaryConnection if secure else _PrimaryConnection}
    pool = SentinelConnectionPool(read.service, finder, **options)  # type: ignore[no-untyped-call]
    try:
        async with ReplicatedClient(pool, clock) as client:
            yield client
    finally:
        await finder.aclose()


def _make_locator(read: RedisAddress, namespace: str, options: dict[str, Any], *, secure: bool) -> PrimaryLocator:
    """Who to ask: with the TLS of the servers, and where these are Sentinels, with a password of their own."""
    shared = {name: value for name, value in options.items() if name.startswith("ssl_")}
    asking = shared | {
        "ssl": secure,
        "socket_timeout": MAX_QUERY_SECONDS,
        "socket_connect_timeout": MAX_QUERY_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    own = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    if read.kind == "cluster":
        same = {name: options.get(name) for name in ("username", "password")}
        return ClusterNodes(read, cluster_slot(namespace), asking | same)
    return Sentinels(read.hosts, asking | own)
