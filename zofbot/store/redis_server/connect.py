"""Open a client of the Redis at a URL; behind Sentinels and in a cluster it follows the primary."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio as redis
from redis import __version__ as REDIS_PY_VERSION  # noqa: N812
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import ConstantBackoff, NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import ClusterDownError, MovedError

from zofbot.clock import Clock
from zofbot.config.redis_url import RedisAddress, parse_redis_url
from zofbot.store.redis_server.closing_client import closing_client
from zofbot.store.redis_server.following_connection import make_client
from zofbot.store.redis_server.lean_connection import LeanConnection
from zofbot.store.redis_server.primary_locators import (
    MAX_QUERY_SECONDS,
    ClusterNodes,
    PrimaryLocator,
    Sentinels,
    cluster_slot,
)
from zofbot.store.redis_server.replicated_client import ReplicatedClient

CLIENT_NAME = f"zofbot-{os.getpid()}-{secrets.token_hex(4)}"
"""Name of this process's connections; the process id alone is the same in each container."""


class _PrimaryConnection(LeanConnection, SentinelManagedConnection):
    """Connection that looks up the primary again once its server no longer serves the slot."""

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except (MovedError, ClusterDownError) as error:
            await self.disconnect()
            raise redis.ConnectionError("The server no longer serves these keys") from error


class _SecurePrimaryConnection(_PrimaryConnection, SentinelManagedSSLConnection):
    """``_PrimaryConnection`` over TLS."""


@asynccontextmanager
async def connect_redis(url: str, namespace: str, clock: Clock) -> AsyncIterator[redis.Redis]:
    """Open a client of the Redis at ``url``; it connects on first use. Raises ValueError for an invalid URL."""
    address = parse_redis_url(url)
    common: dict[str, Any] = {
        "retry": Retry(ConstantBackoff(0.05), 1),  # a pooled connection may have been closed by a restarted server
        "health_check_interval": 30,
        "client_name": CLIENT_NAME,
        "driver_info": DriverInfo(lib_version=REDIS_PY_VERSION),  # otherwise it is looked up among all packages
    }
    if address.kind == "server":
        async with closing_client(make_client(address.url, common)) as client:
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
        async with closing_client(ReplicatedClient(pool, clock)) as client:
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
