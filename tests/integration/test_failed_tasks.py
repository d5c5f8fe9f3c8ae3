"""A task of the bot that should run until it stops, and fails: readiness says so, and the bot asks to be stopped."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.support.bot import bot_settings, wait_until
from zofbot.alerting.state import PENDING_COMMANDS_HASH
from zofbot.app import run_bot
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import ZofbotError
from zofbot.simulator.server import SimulatorServer

NO_TEXT = b"\xff"
"""A value that is not UTF-8, as zofbot never stores one."""


async def run_until_failure(settings: Settings, clock: Clock, unready: list[str], *, late: bool) -> None:
    """Run a bot until it asks to be stopped, and add what it is not ready for; ``late``: listen only after that."""
    stop = asyncio.Event()
    async with run_bot(settings, clock) as bot:
        if late:
            await wait_until(lambda: bool(bot.tasks.failed))
        bot.tasks.call_on_failure(stop.set)
        await stop.wait()
        async with aiohttp.ClientSession() as session, session.get(f"{bot.url}/readyz") as reply:
            assert reply.status == 503
            unready += (await reply.json())["missing"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("task", ["delivery", "run commands"])
async def test_a_task_that_fails_makes_the_bot_unready_and_stops_it(
    simulator: SimulatorServer, store_url: str, task: str, late: bool
) -> None:
    clock, settings, unready = simulator.world.clock, bot_settings(simulator, store_url), list[str]()
    async with run_bot(settings, clock, workers=False) as web:
        await web.store.client.flushall()
        if task == "delivery":
            await web.store.client.hset(web.store.keyspace.key("outbox", "pause"), "reason", NO_TEXT)
        else:
            await web.store.client.hset(web.store.keyspace.key(PENDING_COMMANDS_HASH), "order", NO_TEXT)
    with capture_logs() as logs, pytest.raises(ZofbotError, match=task):
        await run_until_failure(settings, clock, unready, late=late)
    assert f"task {task!r} has failed" in unready
    [line] = [line for line in logs if line["event"] == "task failed"]
    assert line["task"] == task
    assert line["exc_info"]
