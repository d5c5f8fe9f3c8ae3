"""A client of a plain address, which may lead to another server than it did before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio as redis
import structlog
from redis.asyncio.connection import AbstractConnection, SSLConnection, parse_url
from redis.exceptions import ReadOnlyError, ResponseError

log = structlog.get_logger()


class _FollowingConnection(AbstractConnection):
    """A connection to a plain address, which may lead to another server by now.

    Where a service follows its primary with a name, the old primary says READONLY on connections that are still open.
    Then all that are idle are dropped, and this one connects anew, to where the name leads now.
    """

    def __init__(self, *, moved: Callable[[], Awaitable[None]], **options: Any) -> None:
        """``moved`` drops the connections that are idle."""
        super().__init__(**options)
        self._moved = moved

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            if not isinstance(error, ReadOnlyError) and "-READONLY" not in str(error):  # so from scripts of Redis 6
                raise
            log.warning("store moved", mend="If it stays like this, point REDIS_URL to the primary.")
            await self.disconnect()
            await self._moved()
            raise redis.ConnectionError("The server is no primary any more") from error


class _TcpConnection(_FollowingConnection, redis.Connection): ...


class _TlsConnection(_FollowingConnection, SSLConnection): ...


class _UnixConnection(_FollowingConnection, redis.UnixDomainSocketConnection): ...


_CONNECTION_CLASSES: dict[type[AbstractConnection], Any] = {
    redis.Connection: _TcpConnection,
    SSLConnection: _TlsConnection,
    redis.UnixDomainSocketConnection: _UnixConnection,
}


def make_client(url: str, common: dict[str, Any]) -> redis.Redis:
    """Make a client of the server that ``url`` leads to, at any time; ``common`` outranks what the address says."""
    options: dict[str, Any] = dict(parse_url(url))
    kind = _CONNECTION_CLASSES[options.pop("connection_class", redis.Connection)]
    pool: redis.ConnectionPool

    async def drop_idle() -> None:
        await pool.disconnect(inuse_connections=False)

    pool = redis.ConnectionPool(kind, moved=drop_idle, **(options | common))
    return redis.Redis.from_pool(pool)
