"""Shared fixtures: the bot over real HTTP, with a real Valkey and the simulated Slack and Zof."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Generator

import fakeredis
import hypothesis
import pytest
import redis.asyncio as redis
import structlog

from tests.support.bot import RunningBot, over_socket, running_bot
from tests.support.failure_reports import forget_unused_worlds, how_to_reproduce, serve_world
from tests.support.recording_app import recording_app
from tests.support.sample_world import fill_world
from tests.support.triage import triage_bot
from tests.support.valkey_servers import folder_in_memory, shared_valkey
from tests.support.virtual_time import VirtualLoop, count_redis_replies, test_clock
from zofbot.clock import MovableClock
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.world import World
from zofbot.simulator.zof.state import Organization

# Stores fsync every write, which can take seconds on a busy disk; in tests they use a folder in memory.
if folder_in_memory:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder_in_memory)

hypothesis.settings.register_profile("zofbot", deadline=None)  # no deadlines: test machines may be slow
hypothesis.settings.load_profile("zofbot")


count_redis_replies()

# The default renderer is made for terminals: its colors and columns took a tenth of the time of tests that log much.
structlog.configure(processors=[
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
])  # fmt: skip

__all__ = ["recording_app", "triage_bot"]


def pytest_collection_finish() -> None:
    """Leave the modules and the collected tests out of garbage collections, which otherwise look at all of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run every test on virtual time; folders whose tests need real time override this."""
    return "asyncio", {"loop_factory": VirtualLoop}


@pytest.fixture(scope="session")
def store_url() -> str:
    """URL of one Valkey shared by all tests of this process; it outlives their event loops."""
    return shared_valkey()


@pytest.fixture(params=["double", "server"])
async def store(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[redis.Redis]:
    """An empty store: fakeredis, and a real server."""
    if request.param == "double":
        async with fakeredis.FakeAsyncRedis() as double:
            yield double
    else:
        async with redis.from_url(store_url) as server:
            await server.flushall()
            yield server


@pytest.fixture
async def clock() -> MovableClock:
    """The clock that bot, simulator and test share."""
    return test_clock()


@pytest.fixture
def world(clock: MovableClock) -> World:
    """The simulated Slack and Zof with sample data, as state without a server."""
    world = World(clock)
    fill_world(world)
    return world


@pytest.fixture
def slack(world: World) -> Workspace:
    """The simulated workspace: people, channels, messages, faults."""
    return world.slack


@pytest.fixture
def zof(world: World) -> Organization:
    """The simulated Zof: projects, runs, results, calls, faults."""
    return world.zof


@pytest.fixture
async def simulator(world: World) -> AsyncIterator[SimulatorServer]:
    """A server of the simulated world, without a bot."""
    async with serve_world(world) as simulator:
        yield simulator


@pytest.fixture
async def bot(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[RunningBot]:
    """A bot that only serves requests, over HTTP unless the test uses ``each_transport``."""
    async with running_bot(store_url, socket=over_socket(request)) as bot:
        yield bot


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test, setup or teardown how to reproduce it, and what was written to Slack."""
    report = yield
    if report.failed:
        report.sections.append(("to reproduce", how_to_reproduce(item)))
    if call.when == "teardown":
        forget_unused_worlds()
    return report
