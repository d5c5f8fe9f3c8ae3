"""Secrets planted everywhere are found nowhere: not in logs, Redis, Slack, metrics or error replies."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import aiohttp
import pytest
import redis.asyncio as redis
import structlog

from tests.support.bot import running_bot, text_of, wait_until
from tests.support.redis_dump import dump_redis
from zofbot.observability.log_config import configure_logging

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


async def test_no_secret_that_was_planted_is_found_anywhere(store_url: str) -> None:
    stream = io.StringIO()
    async with running_bot(
        store_url, workers=True, zofbot_poll_interval=1, zof_webhook_secret="planted-webhook-secret"
    ) as bot:
        configure_logging("json", "debug", bot.settings.all_secrets(), stream)
        result = bot.world.zof.results["res_4821"]
        spilled = " ".join(SPILLED.values())
        result["name"] = f"Voucher marker {spilled}"
        result["failure_summary"] = f"401 with {spilled}"
        await bot.type_text("/zof result res_4821 share")
        await wait_until(lambda: any("Voucher" in text_of(message) for message in bot.public_messages()))
        await bot.type_text("/zof subscribe project:*")
        for typed in (f"result {SPILLED['github']}", f"run {SPILLED['aws']}", SPILLED["slack"], f"subscribe {spilled}"):
            await bot.type_text(f"/zof {typed}")
        bot.world.zof.faults.set_fault("401", 1)
        await bot.type_text("/zof res_4821")
        async with aiohttp.ClientSession() as session, session.get(f"{bot.app.url}/metrics") as reply:
            metrics = await reply.text()
        async with redis.from_url(store_url) as client:
            stored = await dump_redis(client)
        told = " ".join(text_of(item) for channel in bot.world.slack.messages.values() for item in channel.values())
    assert "Voucher marker" in told, "what was planted has arrived"
    assert told.count("[redacted]") >= len(SPILLED)
    places = {"logs": stream.getvalue(), "redis": stored, "slack": told, "metrics": metrics}
    settings = {f"setting {number}": secret for number, secret in enumerate(bot.settings.all_secrets())}
    found = [
        (place, name)
        for place, text in places.items()
        for name, secret in (SPILLED | settings).items()
        if secret in text
    ]
    assert found == []
