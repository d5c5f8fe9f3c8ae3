"""Find the primary: ask Sentinels, or the nodes of a cluster."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import redis.asyncio as redis
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
)
from redis.crc import key_slot
from redis.exceptions import RedisError

from zofbot.config.redis_url import RedisAddress
from zofbot.store.redis_server.closing_client import closing_client

MAX_QUERY_SECONDS = 0.3
"""Time limit for asking one Sentinel or node for the primary; a second one may have to be asked."""


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
        async with closing_client(redis.Redis(host=node[0], port=node[1], **self._options)) as client:
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


def cluster_slot(namespace: str) -> int:
    """Return the cluster slot of all keys of a namespace."""
    return key_slot(b"{" + namespace.encode() + b"}:")
