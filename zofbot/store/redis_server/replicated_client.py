"""A Redis client whose writes a replica must confirm."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import redis.asyncio as redis
import structlog
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import (
    SentinelConnectionPool,
)
from redis.exceptions import RedisError

from zofbot.clock import Clock

log = structlog.get_logger()

MAX_CONFIRM_MILLISECONDS = 500
"""Time limit for a replica to confirm a write."""

REPLICA_CHECK_SECONDS = 1.0
"""A primary without replicas is checked again for replicas after this time."""

WRITE_COMMANDS = frozenset(("SET", "DEL", "EVALSHA", "HSETNX", "HDEL", "XADD"))
"""Every writing command that the store sends outside a pipeline."""


class NotReplicated(RedisError):
    """A write that no replica confirmed: it may be lost if the primary fails."""


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
            log.warning("primary has no replica" if alone else "store replicated again")
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
