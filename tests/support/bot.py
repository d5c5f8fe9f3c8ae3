"""A bot running against the simulator, with actions and queries for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web_app

from tests.support.failure_reports import serve_world
from tests.support.limits import HANG_SECONDS
from tests.support.sample_world import fill_world
from tests.support.second_opinion import SecondOpinion
from tests.support.virtual_time import test_clock
from zofbot.app import Zofbot, run_bot
from zofbot.clock import MovableClock, timeout
from zofbot.config.secret_reload import ReadSettings
from zofbot.config.settings import Settings
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.slack.sender import Acknowledgement
from zofbot.simulator.world import World
from zofbot.store.redis_server.connect import connect_redis


async def wait_until(true: Callable[[], bool] | Callable[[], Awaitable[bool]], seconds: float = HANG_SECONDS) -> None:
    """Wait until a condition holds; raises TimeoutError with notes on what every task was waiting for."""
    waited, pause = 0.0, 0.01
    try:
        async with timeout(seconds):
            while True:
                found = true()
                if found if isinstance(found, bool) else await found:
                    return
                await asyncio.sleep(pause)
                waited += pause
                pause = min(pause * 1.2, max(0.1, waited / 50))
    except TimeoutError as error:
        for task in asyncio.all_tasks():
            error.add_note(f"{task.get_coro()}\n    at {task.get_stack(limit=1)}")
        raise


@dataclass
class RunningBot:
    """One bot running against the simulator."""

    world: World
    simulator: SimulatorServer
    app: Zofbot
    settings: Settings

    async def type_text(self, text: str, *, user: str = "U0ANA", channel: str = "C0QA") -> Acknowledgement:
        return await self.simulator.people.type_text(user, channel, text)

    async def press_button(
        self, message: PostedMessage, action_id: str, *, user: str = "U0ANA", label: str = ""
    ) -> Acknowledgement:
        """Press a button of a message: the first with this action, or the one whose value holds ``label``."""
        button = next(b for b in buttons_of(message) if b["action_id"] == action_id and label in b.get("value", ""))
        return await self.simulator.people.press_element(user, button, channel=message.channel, ts=message.ts)

    def visible_messages(self, channel: str = "C0QA", user: str = "U0ANA") -> list[PostedMessage]:
        """Return the bot's messages that the person sees in the channel, oldest first."""
        kept = self.world.slack.messages.get(channel, {}).values()
        return [m for m in kept if m.user == "U0ZOFBOT" and not m.deleted and not m.hidden and m.only_to in ("", user)]

    def private_messages(self, channel: str = "C0QA", user: str = "U0ANA") -> list[PostedMessage]:
        return [message for message in self.visible_messages(channel, user) if message.only_to]

    def public_messages(self, channel: str = "C0QA") -> list[PostedMessage]:
        return [message for message in self.visible_messages(channel) if not message.only_to]

    async def answer_text(self, text: str, *, user: str = "U0ANA", channel: str = "C0QA") -> str:
        """Type something and return the last ephemeral answer as JSON text."""
        known = len(self.private_messages(channel, user))
        outcome = await self.type_text(text, user=user, channel=channel)
        assert outcome.status == 200, outcome
        await wait_until(lambda: len(self.private_messages(channel, user)) > known)
        return text_of(self.private_messages(channel, user)[-1])


async def wait_for_first_poll(bot: RunningBot) -> None:
    """Wait until all feeds were read once; later failures are reported."""
    await wait_until(lambda: sum(call.path == "/results" for call in bot.world.zof.calls) >= 2)


def text_of(message: PostedMessage) -> str:
    return json.dumps([message.text, message.blocks, message.attachments], ensure_ascii=False)


def buttons_of(message: PostedMessage) -> list[dict[str, Any]]:
    blocks = [*message.blocks, *(block for attachment in message.attachments for block in attachment.get("blocks", []))]
    elements = [
        element | {"block_id": block["block_id"]}
        for block in blocks
        for element in [*block.get("elements", []), block.get("accessory", {})]
    ]
    return [element for element in elements if element.get("type") == "button"]


def bot_settings(simulator: SimulatorServer, redis_url: str, **more: Any) -> Settings:
    """Build settings of a bot for the simulator, over HTTP."""
    slack, zof = simulator.world.slack, simulator.world.zof
    there = {
        "slack_bot_token": slack.bot_token,
        "slack_signing_secret": slack.signing_secret,
        "slack_api_url": f"{simulator.url}/api/",
        "zof_api_key": zof.key,
        "zof_base_url": f"{simulator.url}/zof/v1",
        "redis_url": redis_url,
        "port": 0,
    }
    return Settings.model_validate(there | more)


@asynccontextmanager
async def running_bot(
    store_url: str,
    *,
    socket: bool = False,
    workers: bool = False,
    history: bool = True,
    read_settings: ReadSettings | None = None,
    clock: MovableClock | None = None,
    **settings: Any,
) -> AsyncIterator[RunningBot]:
    """Start a simulator and a bot; ``settings`` override the defaults; ``workers``: poll and deliver too.

    Without ``history`` Zof has a few runs only, which spares the first cycle and each preview of a subscription most
    of their reading.
    """
    clock = clock or test_clock()
    world = World(clock)
    fill_world(world, history=history)
    world.zof.quota = None
    world.slack.inspect = opinion = SecondOpinion()
    async with connect_redis(store_url, "zofbot", clock) as client:
        await client.flushall()
    own = {
        "slack_app_token": world.slack.app_token if socket else "",
        "zof_result_url_template": "https://app.zof.ai/results/{result_id}",
    }
    try:
        async with serve_world(world, beat_seconds=10.0) as simulator:  # nothing is suspended on virtual time
            chosen = bot_settings(simulator, store_url, **own | settings)
            async with run_bot(chosen, clock, workers=workers, read_settings=read_settings) as bot:
                world.slack.request_url = f"{bot.url}/slack/events"
                await wait_until(lambda: _is_ready(bot))
                yield RunningBot(world, simulator, bot, chosen)
    finally:
        web_app._cached_build_middleware.cache_clear()  # this cache would keep the bots in memory
    assert not opinion.problems, opinion.problems[:5]


async def _is_ready(bot: Zofbot) -> bool:
    return not await bot.list_unready()


def over_socket(request: pytest.FixtureRequest) -> bool:
    """Return whether the fixture's bot uses Socket Mode: only if the test asks for the parameter ``socket``."""
    return getattr(request, "param", "http") == "socket"


each_transport = pytest.mark.parametrize("bot", ["http", "socket"], indirect=True)
"""Run a test over both HTTP and Socket Mode: for what depends on how a request comes or is acknowledged."""
