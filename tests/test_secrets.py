"""Secrets planted everywhere are found nowhere: not in logs, Redis, Slack, metrics or error replies."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import redis.asyncio as redis
import structlog

from tests.conftest import house, said, until
from zofbot.logs import configure

SPILLED = {
    "aws": "AKIAIOSFODNN7PLANTED",
    "github": "ghp_" + "Planted0" * 5,
    "slack": "xoxb-" + "1234567890-planted",
    "bearer": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl",
}
"""What tests print; redaction knows such shapes."""


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    root = logging.getLogger()
    before, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = before, level
    structlog.configure(**config)


async def everything(client: redis.Redis) -> str:
    """All keys of Redis with all that they hold."""
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
            case other:
                raise AssertionError(other)
    return str(kept)


async def test_no_secret_that_was_planted_is_found_anywhere(valkey: str) -> None:
    stream = io.StringIO()
    async with house(valkey, works=True, zofbot_poll_interval=1, zof_webhook_secret="planted-webhook-secret") as built:
        configure("json", "debug", built.settings.secrets(), stream)
        result = built.world.zof.results["res_4821"]
        spilled = " ".join(SPILLED.values())
        result["name"] = f"Voucher marker {spilled}"
        result["failure_summary"] = f"401 with {spilled}"
        await built.type("/zof result res_4821 share")
        await until(lambda: any("Voucher" in said(one) for one in built.public()))
        await built.type("/zof subscribe project:*")
        for typed in (f"result {SPILLED['github']}", f"run {SPILLED['aws']}", SPILLED["slack"], f"subscribe {spilled}"):
            await built.type(f"/zof {typed}")
        built.world.zof.faults.set("401", 1)
        await built.type("/zof res_4821")
        async with aiohttp.ClientSession() as session, session.get(f"{built.bot.url}/metrics") as reply:
            metrics = await reply.text()
        async with redis.from_url(valkey) as client:
            stored = await everything(client)
        told = " ".join(said(one) for channel in built.world.slack.messages.values() for one in channel.values())
    assert "Voucher marker" in told, "what was planted has arrived"
    assert told.count("[redacted]") >= len(SPILLED)
    places = {"logs": stream.getvalue(), "redis": stored, "slack": told, "metrics": metrics}
    settings = {f"setting {number}": one for number, one in enumerate(built.settings.secrets())}
    found = [
        (place, name)
        for place, text in places.items()
        for name, secret in (SPILLED | settings).items()
        if secret in text
    ]
    assert found == []
