"""Here processes run in real time, each with a clock of its own."""

from __future__ import annotations

import pytest

from tests.support.limits import lift_slack_limits
from zofbot.simulator.server import SimulatorServer


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def simulator(simulator: SimulatorServer) -> SimulatorServer:
    """The simulated world, whose Slack waits as long as a busy machine needs."""
    lift_slack_limits(simulator)
    return simulator
