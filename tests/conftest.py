"""The whole house over real HTTP: the bot with a real Valkey, the pretend Slack and the pretend Zof."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fakeredis
import hypothesis
import pytest
import redis.asyncio as redis

from zofbot.app import Zofbot, running
from zofbot.deadline import deadline
from zofbot.rotation import Reread
from zofbot.settings import Settings
from zofbot.simulator.delivery import Outcome
from zofbot.simulator.entities import Message
from zofbot.simulator.organization import furnish
from zofbot.simulator.stage import Stage
from zofbot.simulator.world import World
from zofbot.store.embedded import embedded
from zofbot.store.primary import reached

# Stores write each step to a disk and wait for it, on a busy machine for seconds: in tests they write to memory.
if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 2**30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")

hypothesis.settings.register_profile("house", deadline=None)  # no test is timed: machines that test are busy
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with embedded(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(params=["double", "server"])
async def client(request: pytest.FixtureRequest, valkey: str) -> AsyncIterator[redis.Redis]:
    """An empty store: a double, and a real one."""
    if request.param == "double":
        async with fakeredis.FakeAsyncRedis() as double:
            yield double
    else:
        async with redis.from_url(valkey) as server:
            await server.flushall()
            yield server


async def until(true: Callable[[], bool] | Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    """Wait for something that happens after the answer; where it does not, say what everybody was at."""
    try:
        async with deadline(seconds):
            while True:
                found = true()
                if found if isinstance(found, bool) else await found:
                    return
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        for task in asyncio.all_tasks():
            error.add_note(f"{task.get_coro()}\n    at {task.get_stack(limit=1)}")
        raise


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """The pretend Slack and Zof, furnished, without a bot."""
    world = World()
    furnish(world)
    stage = Stage(world)
    await stage.start()
    yield stage
    await stage.stop()


@dataclass
class House:
    """One bot in its pretend world, and how tests look at it."""

    world: World
    stage: Stage
    bot: Zofbot
    settings: Settings

    async def type(self, text: str, *, user: str = "U0ANA", channel: str = "C0QA") -> Outcome:
        return await self.stage.people.type(user, channel, text)

    async def press(self, message: Message, action_id: str, *, user: str = "U0ANA", label: str = "") -> Outcome:
        """Press a button of a message: the first with this action, or the one whose value holds ``label``."""
        button = next(b for b in buttons(message) if b["action_id"] == action_id and label in b.get("value", ""))
        return await self.stage.people.press(user, button, channel=message.channel, ts=message.ts)

    def seen(self, channel: str = "C0QA", user: str = "U0ANA") -> list[Message]:
        """What the person sees of the bot in the channel, oldest first."""
        kept = self.world.slack.messages.get(channel, {}).values()
        return [m for m in kept if m.user == "U0ZOFBOT" and not m.deleted and not m.hidden and m.only_to in ("", user)]

    def private(self, channel: str = "C0QA", user: str = "U0ANA") -> list[Message]:
        return [message for message in self.seen(channel, user) if message.only_to]

    def public(self, channel: str = "C0QA") -> list[Message]:
        return [message for message in self.seen(channel) if not message.only_to]

    async def answer(self, text: str, *, user: str = "U0ANA", channel: str = "C0QA") -> str:
        """Type something and give all of the last private answer as text."""
        outcome = await self.type(text, user=user, channel=channel)
        assert outcome.status == 200, outcome
        return said(self.private(channel, user)[-1])


async def polled(built: House) -> None:
    """Wait until all feeds were read once: what fails from then on is told."""
    await until(lambda: sum(call.path == "/results" for call in built.world.zof.calls) >= 2)


def said(message: Message) -> str:
    return json.dumps([message.text, message.blocks, message.attachments], ensure_ascii=False)


def buttons(message: Message) -> list[dict[str, Any]]:
    blocks = [*message.blocks, *(block for attachment in message.attachments for block in attachment.get("blocks", []))]
    elements = [
        element | {"block_id": block["block_id"]}
        for block in blocks
        for element in [*block.get("elements", []), block.get("accessory", {})]
    ]
    return [element for element in elements if element.get("type") == "button"]


def pointing(stage: Stage, redis_url: str, **more: Any) -> Settings:
    """Settings of a bot in the pretend world, over HTTP."""
    slack, zof = stage.world.slack, stage.world.zof
    there = {
        "slack_bot_token": slack.bot_token,
        "slack_signing_secret": slack.signing_secret,
        "slack_api_url": f"{stage.url}/api/",
        "zof_api_key": zof.key,
        "zof_base_url": f"{stage.url}/zof/v1",
        "redis_url": redis_url,
        "port": 0,
    }
    return Settings.model_validate(there | more)


@asynccontextmanager
async def house(
    valkey: str,
    *,
    socket: bool = False,
    works: bool = False,
    reread: Reread | None = None,
    clock: Callable[[], float] = time.time,
    **settings: Any,
) -> AsyncIterator[House]:
    """Start a world and a bot in it; ``settings`` replace those that point there, ``works``: it polls and delivers."""
    world = World(clock=clock)
    furnish(world)
    world.zof.quota = None
    stage = Stage(world, clock)
    await stage.start()
    async with reached(valkey, "zofbot") as client:
        await client.flushall()
    own = {
        "slack_app_token": world.slack.app_token if socket else "",
        "zof_result_url_template": "https://app.zof.ai/results/{result_id}",
    }
    chosen = pointing(stage, valkey, **own | settings)
    try:
        async with running(chosen, _moments(clock), works=works, reread=reread) as bot:
            world.slack.request_url = f"{bot.url}/slack/events"
            await until(lambda: _ready(bot))
            yield House(world, stage, bot, chosen)
    finally:
        await stage.stop()


def _moments(clock: Callable[[], float]) -> Callable[[], datetime]:
    return lambda: datetime.fromtimestamp(clock(), UTC)


async def _ready(bot: Zofbot) -> bool:
    return not await bot.missing()


@pytest.fixture(params=["http", "socket"])
async def zofbot(request: pytest.FixtureRequest, valkey: str) -> AsyncIterator[House]:
    async with house(valkey, socket=request.param == "socket") as built:
        yield built


@pytest.fixture
async def over_http(valkey: str) -> AsyncIterator[House]:
    async with house(valkey) as built:
        yield built
