"""A client of the simulated Zof."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from zofbot.simulator.server import SimulatorServer


@pytest.fixture
async def zof_client(simulator: SimulatorServer) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": "Bearer zof-simulated-key"}
    async with httpx.AsyncClient(base_url=f"{simulator.url}/zof/v1", headers=headers) as client:
        yield client
