"""The simulated world at a known time, and a client of its Zof."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.sample_world import fill_world
from tests.support.virtual_time import SetClock
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.world import World

START = 1795467000.0  # 2026-11-23T20:50:00Z


@pytest.fixture
def world() -> World:
    world = World(SetClock(START))
    fill_world(world)
    return world


@pytest.fixture
async def zof(world: World) -> AsyncIterator[httpx.AsyncClient]:
    stage = SimulatorServer(world)
    await stage.start()
    headers = {"Authorization": "Bearer zof-simulated-key"}
    async with httpx.AsyncClient(base_url=f"{stage.url}/zof/v1", headers=headers) as client:
        yield client
    await stage.stop()
