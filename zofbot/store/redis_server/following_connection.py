"""Redis client for a plain URL whose host name may come to point to another server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio as redis
import structlog
from redis.asyncio.connection import AbstractConnection, SSLConnection, parse_url
from redis.exceptions import ReadOnlyError, ResponseError

from zofbot.store.redis_server.lean_connection import LeanConnection

log = structlog.get_logger()


class _FollowingConnection(LeanConnection):
    """A connection that reconnects when its server has become a replica.

    Managed services move a host name to the new primary; the old one then answers READONLY on open connections. This
    connection closes, drops all idle ones of the pool, and reconnects to wherever the name points now.
    """

    def __init__(self, *, drop_idle: Callable[[], Awaitable[None]], **options: Any) -> None:
        """``drop_idle`` closes the pool's idle connections."""
        super().__init__(**options)
        self._drop_idle = drop_idle

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            if not isinstance(error, ReadOnlyError) and "-READONLY" not in str(error):  # from Redis 6 scripts
                raise
            log.warning("store moved", fix="If it stays like this, point REDIS_URL to the primary.")
            await self.disconnect()
            await self._drop_idle()
            raise redis.ConnectionError("The server is no longer the primary") from error


class _TcpConnection(_FollowingConnection, redis.Connection): ...


class _TlsConnection(_FollowingConnection, SSLConnection): ...


class _UnixConnection(_FollowingConnection, redis.UnixDomainSocketConnection): ...


_CONNECTION_CLASSES: dict[type[AbstractConnection], Any] = {
    redis.Connection: _TcpConnection,
    SSLConnection: _TlsConnection,
    redis.UnixDomainSocketConnection: _UnixConnection,
}


def make_client(url: str, common: dict[str, Any]) -> redis.Redis:
    """Make a client of whichever server ``url`` points to; options in ``common`` override those in the URL."""
    options: dict[str, Any] = dict(parse_url(url))
    connection_class = _CONNECTION_CLASSES[options.pop("connection_class", redis.Connection)]
    pool: redis.ConnectionPool

    async def drop_idle() -> None:
        await pool.disconnect(inuse_connections=False)

    pool = redis.ConnectionPool(connection_class, drop_idle=drop_idle, **(options | common))
    return redis.Redis.from_pool(pool)
