"""An escalation that comes due while no bot runs, or after a restart, is sent once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.bot import running_bot, wait_for_first_poll, wait_until
from tests.support.failing_runs import SECRET
from tests.support.triage import count_mentions, raise_alert
from tests.support.virtual_time import test_clock
from zofbot.app import run_bot

MINUTE = 60.0


@pytest.mark.parametrize("down", [MINUTE, 60 * MINUTE], ids=["back in time", "back too late"])
async def test_a_restarted_bot_escalates_once(store_url: str, down: float) -> None:
    clock = test_clock()
    settings: dict[str, Any] = {"zofbot_poll_interval": 3600, "zof_webhook_secret": SECRET}
    async with running_bot(store_url, clock=clock, **settings) as bot:
        async with run_bot(bot.settings, clock) as bot.app:
            bot.world.slack.request_url = f"{bot.app.url}/slack/events"
            await wait_for_first_poll(bot)
            await bot.type_text("/zof subscribe group:case escalate:30m-><@U0BEN>")
            root = await raise_alert(bot)
        clock.advance(down)
        async with run_bot(bot.settings, clock) as bot.app:
            await asyncio.sleep(10)
            assert count_mentions(bot, root) == (down > 30 * MINUTE)
            clock.advance(30 * MINUTE)
            await wait_until(lambda: count_mentions(bot, root) == 1)
            clock.advance(60 * MINUTE)
            await asyncio.sleep(10)
            assert count_mentions(bot, root) == 1
