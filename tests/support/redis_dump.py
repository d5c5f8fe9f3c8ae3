"""Dump a Redis server's data as text."""

from __future__ import annotations

from typing import Any

import redis.asyncio as redis


async def dump_redis(client: redis.Redis) -> str:
    """Return all keys with their values."""
    kept: list[Any] = []
    async for key in client.scan_iter():
        kept.append(key)
        match await client.type(key):
            case b"string":
                kept.append(await client.get(key))
            case b"hash":
                kept.append(await client.hgetall(key))
            case b"zset":
                kept.append(await client.zrange(key, 0, -1))
            case b"list":
                kept.append(await client.lrange(key, 0, -1))
            case b"set":
                kept.append(await client.smembers(key))
            case b"stream":
                kept.append(await client.xrange(key))
            case b"none":
                pass  # deleted since the scan, by the bot or because it expired
            case other:
                raise AssertionError(other)
    return str(kept)
