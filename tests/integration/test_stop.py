"""Stopping while nothing answers: zofbot has ten seconds, whatever it waits for."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.bot import RunningBot, running_bot, wait_until
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.valkey_servers import stopped_server
from zofbot.simulator.slack.socket_mode import SocketConnection

MAX_STOP_SECONDS = 10.0
"""Time to stop that docs/operate.md promises."""

OUTAGE_SECONDS = 600.0


async def let_an_alert_hang(bot: RunningBot) -> None:
    """Let Slack answer no call and close no connection, and wait until an alert is being sent."""
    slack = bot.world.slack
    slack.faults.delays["slow"] = OUTAGE_SECONDS
    slack.faults.set_fault("slow")
    for line in slack.lines:
        if isinstance(line, SocketConnection):
            line.stop_reading()
    await post_webhook(bot, webhook_event(fail_run(bot)["id"], "event_1"))
    await wait_until(lambda: any(call.method == "chat.postMessage" for call in slack.calls))


def send_requests(bot: RunningBot) -> list[asyncio.Task[Any]]:
    """Type commands, and send more webhooks than are stored at the same time."""
    commands = [bot.type_text("/zof run run_2038") for _ in range(3)]
    webhooks = [post_webhook(bot, webhook_event(f"run_{number}", f"event_{number}")) for number in range(200)]
    return [asyncio.create_task(request) for request in (*commands, *webhooks)]


@pytest.mark.parametrize("socket", [False, True], ids=["http", "socket"])
@pytest.mark.parametrize("redis_answers", [False, True])
async def test_a_stop_while_nothing_answers_ends_in_time(store_url: str, socket: bool, redis_answers: bool) -> None:
    time = asyncio.get_running_loop().time
    options: dict[str, Any] = {"zofbot_default_channel": "C0QA", "zof_webhook_secret": SECRET}
    async with AsyncExitStack() as outage:
        async with running_bot(store_url, socket=socket, workers=True, **options) as bot:
            await let_an_alert_hang(bot)
            bot.world.zof.faults.delays["hang"] = OUTAGE_SECONDS
            bot.world.zof.faults.set_fault("hang")
            requests = send_requests(bot)
            await asyncio.sleep(0.1)
            if not redis_answers:
                await outage.enter_async_context(stopped_server(store_url))
                requests += send_requests(bot)
                await asyncio.sleep(0.1)
            stopped_at = time()
        assert time() - stopped_at < MAX_STOP_SECONDS
        await asyncio.gather(*requests, return_exceptions=True)
