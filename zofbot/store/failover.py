"""Redis client that follows the primary through failovers, behind Sentinels and in a cluster.

All keys lie in one slot, so a Redis Cluster is used like one primary with replicas, found by asking the nodes who holds
that slot. Replication is asynchronous; therefore a write must be confirmed by a replica, so that whatever is sent to
Slack was first recorded on two servers.
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
"""Time limit for asking one Sentinel or node for the primary; a second one may have to be asked."""

MAX_CONFIRM_MILLISECONDS = 500
"""Time limit for a replica to confirm a write."""

REPLICA_CHECK_SECONDS = 1.0
"""A primary without replicas is checked again for replicas after this time."""

WRITE_COMMANDS = frozenset(("SET", "DEL", "EVALSHA", "HSETNX", "HDEL", "XADD"))
"""Every writing command that the store sends outside a pipeline."""


class NotReplicated(RedisError):
    """A write that no replica confirmed: it may be lost if the primary fails."""


class PrimaryLocator(Protocol):
    """Find the primary; the method names are those that redis-py's SentinelConnectionPool calls."""

    async def discover_master(self, service_name: str) -> tuple[str, int]: ...

    async def aclose(self) -> None: ...


class Sentinels(Sentinel):
    """Sentinels asked by one task at a time: redis-py's list loses entries when two tasks reorder it at once."""

    def __init__(self, hosts: Sequence[tuple[str, int]], options: Mapping[str, Any]) -> None:
        super().__init__(hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        self._lock = asyncio.Lock()

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the primary's host and port. Raises MasterNotFoundError."""
        async with self._lock:
            host, port = await super().discover_master(service_name)
        return host, port


class ClusterNodes:
    """Find the primary of a slot by asking the nodes of a cluster.

    Each call starts with a different node, because one that is cut off from the others answers wrongly.
    """

    def __init__(self, address: RedisAddress, slot: int, options: Mapping[str, Any]) -> None:
        self._seeds, self._slot, self._options = address.hosts, slot, options
        self._known = deque(address.hosts)

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the host and port of the slot's primary. Raises MasterNotFoundError."""
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
        slots = [
            (slot_range[0], slot_range[1], [_server_address(server, node) for server in slot_range[2:]])
            for slot_range in ranges
        ]
        others = dict.fromkeys([*(address for *_, addresses in slots for address in addresses), *self._seeds])
        others.pop(node, None)
        self._known = deque([*others, node])
        return next((addresses[0] for first, last, addresses in slots if first <= self._slot <= last), None)

    async def aclose(self) -> None:
        """Do nothing: no connection is kept open."""


def _server_address(server: Any, asked: tuple[str, int]) -> tuple[str, int]:
    """Return a server's address as listed by a node; a node that does not know its own host is at ``asked``."""
    host = server[0].decode() if isinstance(server[0], bytes) else server[0]
    return host if host and host != "?" else asked[0], int(server[1])


class _PrimaryConnection(SentinelManagedConnection):
    """Connection that looks up the primary again once its server no longer serves the slot."""

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except (MovedError, ClusterDownError) as error:
            await self.disconnect()
            raise redis.ConnectionError("The server no longer serves these keys") from error


class _SecurePrimaryConnection(_PrimaryConnection, SentinelManagedSSLConnection):
    """``_PrimaryConnection`` over TLS."""


class ReplicatedClient(redis.Redis):
    """A client of a primary whose writes must be confirmed by a replica, in the same round trip.

    A primary without any replica is accepted, as long as the Sentinels or nodes name it as the primary; operators who
    want it to refuse writes set ``min-replicas-to-write``. Raises NotReplicated if a replica exists but does not
    confirm.
    """

    _alone = False
    """True if the primary had no replica at the last check."""
    _checked_address: object = None
    """Address of the primary at the last check; None forces a check before the next write."""
    _checked_at = 0.0

    def __init__(self, pool: SentinelConnectionPool, clock: Clock) -> None:
        """Take ownership of ``pool``, which is closed with the client."""
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self._clock = clock

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Execute a command; if it writes, wait for a replica's confirmation."""
        if args[0] not in WRITE_COMMANDS:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        await self._check_replicas()
        if self._alone:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        try:
            return await self._execute_and_confirm(*args, **options)
        except (RedisError, OSError, asyncio.CancelledError):
            self._checked_address = None
            raise

    async def _execute_and_confirm(self, *args: Any, **options: Any) -> Any:
        async with self.pipeline(transaction=False) as pipe:
            pipe.execute_command(*args, **options)
            pipe.execute_command("WAIT", 1, MAX_CONFIRM_MILLISECONDS)
            answer, confirmed = await pipe.execute(raise_on_error=False)
        for reply in (answer, confirmed):
            if isinstance(reply, Exception):
                raise reply
        if not confirmed:
            raise NotReplicated("No replica has confirmed the write")
        return answer

    async def _check_replicas(self) -> None:
        """Check whether the primary has replicas, unless a recent check is still valid."""
        now, pool = self._clock.monotonic(), self._sentinel_pool
        if (
            self._checked_address == pool.master_address
            and self._checked_address
            and (not self._alone or now - self._checked_at < REPLICA_CHECK_SECONDS)
        ):
            return
        info: Any = await super().execute_command("INFO", "replication")  # type: ignore[no-untyped-call]
        address, alone = pool.master_address, not replica_addresses(info)
        if alone and await pool.get_master_address() != address:  # type: ignore[no-untyped-call]
            raise NotReplicated("Another server has become the primary")
        if alone != self._alone:
            log.warning("store alone" if alone else "store replicated again")
        self._alone, self._checked_address, self._checked_at = alone, address, now

    def client_for(self, host: str, port: int) -> redis.Redis:
        """Make a client of one server, whether primary or replica, with this client's options."""
        options = {
            name: value for name, value in self._sentinel_pool.connection_kwargs.items() if name != "connection_pool"
        }
        secure = issubclass(self._sentinel_pool.connection_class, SSLConnection)
        connection_class = SSLConnection if secure else redis.Connection
        return redis.Redis.from_pool(redis.ConnectionPool(connection_class, host=host, port=port, **options))

    @property
    def _sentinel_pool(self) -> SentinelConnectionPool:
        pool = self.connection_pool
        assert isinstance(pool, SentinelConnectionPool)
        return pool


def replica_addresses(info: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return host and port of each online replica in a primary's INFO."""
    replicas = (value for name, value in info.items() if name.startswith("slave") and isinstance(value, Mapping))
    return [(str(item["ip"]), int(item["port"])) for item in replicas if item.get("state") == "online"]


def cluster_slot(namespace: str) -> int:
    """Return the cluster slot of all keys of a namespace."""
    return key_slot(b"{" + namespace.encode() + b"}:")


@asynccontextmanager
async def connect_redis(url: str, namespace: str, clock: Clock) -> AsyncIterator[redis.Redis]:
    """Open a client of the Redis at ``url``; it connects on first use. Raises ValueError for an invalid URL."""
    address = parse_redis_url(url)
    common: dict[str, Any] = {
        "retry": Retry(ConstantBackoff(0.05), 1),  # a pooled connection may have been closed by a restarted server
        "health_check_interval": 30,
        "client_name": f"zofbot-{os.getpid()}",
        "driver_info": DriverInfo(),  # otherwise each connection looks up the library's version
    }
    if address.kind == "server":
        async with make_client(address.url, common) as client:
            yield client
        return
    options: dict[str, Any] = dict(parse_url(address.url))
    secure = options.pop("connection_class", None) is SSLConnection
    locator = _make_locator(address, namespace, options, secure=secure)
    for name in ("host", "port"):
        options.pop(name)
    options |= common | {"connection_class": _SecurePrimaryConnection if secure else _PrimaryConnection}
    pool = SentinelConnectionPool(address.service, locator, **options)  # type: ignore[no-untyped-call]
    try:
        async with ReplicatedClient(pool, clock) as client:
            yield client
    finally:
        await locator.aclose()


def _make_locator(address: RedisAddress, namespace: str, options: dict[str, Any], *, secure: bool) -> PrimaryLocator:
    """Make the locator of the primary: TLS as for the servers; Sentinels have their own user and password."""
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    connection_options = tls | {
        "ssl": secure,
        "socket_timeout": MAX_QUERY_SECONDS,
        "socket_connect_timeout": MAX_QUERY_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    sentinel_credentials = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    if address.kind == "cluster":
        credentials = {name: options.get(name) for name in ("username", "password")}
        return ClusterNodes(address, cluster_slot(namespace), connection_options | credentials)
    return Sentinels(address.hosts, connection_options | sentinel_credentials)
