"""The whole house over real HTTP: the bot with a real Valkey, the pretend Slack and the pretend Zof."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator

import fakeredis
import hypothesis
import pytest
import redis.asyncio as redis

from tests.support.bot import RunningBot, running_bot, started
from tests.support.slack_app import slack_app
from tests.support.triage import triage_bot
from tests.support.valkey_servers import folder_in_memory, shared_valkey
from tests.support.virtual_time import VirtualLoop, count_redis_replies, loop_epoch, test_clock
from zofbot.clock import MovableClock
from zofbot.simulator.seed import seed_world
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.world import World

# Stores write each step to a disk and wait for it, on a busy machine for seconds: in tests they write to memory.
if folder_in_memory:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder_in_memory)

hypothesis.settings.register_profile("house", deadline=None)  # no test is timed: machines that test are busy
hypothesis.settings.load_profile("house")


count_redis_replies()

__all__ = ["slack_app", "triage_bot"]


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Virtual time for every test; folders whose tests are about real time replace it."""
    return "asyncio", {"loop_factory": VirtualLoop}


@pytest.fixture(scope="session")
def valkey() -> str:
    """The address of one Valkey for all tests of this process; it outlives their event loops."""
    return shared_valkey()


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


@pytest.fixture
async def clock() -> MovableClock:
    """The time that bot, simulator and test share."""
    return test_clock()


@pytest.fixture
async def stage(clock: MovableClock) -> AsyncIterator[SimulatorServer]:
    """The simulated Slack and Zof with sample data, without a bot."""
    world = World(clock)
    seed_world(world)
    stage = SimulatorServer(world)
    await stage.start()
    yield stage
    await stage.stop()


@pytest.fixture
async def bot(request: pytest.FixtureRequest, valkey: str) -> AsyncIterator[RunningBot]:
    """A bot that answers, over HTTP unless the test asks for ``each_transport``; it neither polls nor delivers."""
    async with running_bot(valkey, socket=getattr(request, "param", "http") == "socket") as bot:
        yield bot


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Print with a failing test what reproduces it: its clock, and what its bots wrote to Slack."""
    report = yield
    if call.when == "call" and report.failed:
        report.sections.append(("to reproduce", how_to_reproduce(item)))
    if call.when == "teardown":
        started.clear()
    return report


def how_to_reproduce(item: pytest.Item) -> str:
    """The command that runs a failed test once more at the same time of day, and its bots' ledgers."""
    epochs = [f"{bot.world.clock.time():.0f}" for bot in started]
    lines = [f"ZOFBOT_TEST_EPOCH={loop_epoch():.0f} make test ARGS='-n0 {item.nodeid}'"]
    for bot, now in zip(started, epochs, strict=True):
        lines.append(f"a bot whose clock shows {now}, and its messages:")
        lines += [
            f"  {item.ts} {item.channel} {item.idempotency_key} {item.text[:100]!r}"
            for item in bot.world.slack.ledger[-50:]
        ]
    return "\n".join(lines)
