"""The only limit in real time: it ends a test that hangs, and judges nobody's speed."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from zofbot.clock import timeout
from zofbot.simulator.server import SimulatorServer

T = TypeVar("T")

HANG_SECONDS = 120.0
"""A process, page or server that has not done in this time what a test waits for never will."""


async def limit_wait(work: Awaitable[T]) -> T:
    """Wait for ``work``. Raises TimeoutError after ``HANG_SECONDS``, not counting those of a suspended machine."""
    async with timeout(HANG_SECONDS):
        return await work


def lift_slack_limits(simulator: SimulatorServer) -> None:
    """Have Slack wait as long as a busy machine needs, in real time; its three seconds are tested in virtual time."""
    simulator.people.delivery.within = HANG_SECONDS
    simulator.world.slack.trigger_seconds = HANG_SECONDS
