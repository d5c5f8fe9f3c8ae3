"""What the report of a failed test adds: the command that repeats it, and what was written to the simulated Slack."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import pytest

from tests.support.limits import lift_slack_limits
from tests.support.virtual_time import VirtualLoop
from zofbot.simulator.server import BEAT_SECONDS, SimulatorServer
from zofbot.simulator.world import World


@dataclass
class ReportedWorld:
    """A world that a failed test's report shows; ``in_use`` until its server is stopped, which can be tests later."""

    world: World
    in_use: bool = True


_reported: list[ReportedWorld] = []


@contextmanager
def report_world(world: World) -> Iterator[None]:
    """Show the world in the report of a test that fails meanwhile, or fails as this ends."""
    reported = ReportedWorld(world)
    _reported.append(reported)
    try:
        yield
    finally:
        reported.in_use = False


@asynccontextmanager
async def serve_world(world: World, *, beat_seconds: float = BEAT_SECONDS) -> AsyncIterator[SimulatorServer]:
    """Run a simulator's server, and show its world in the report of a test that fails.

    In real time, its Slack waits as long as a busy machine needs.
    """
    simulator = SimulatorServer(world, beat_seconds)
    if not isinstance(asyncio.get_running_loop(), VirtualLoop):
        lift_slack_limits(simulator)
    with report_world(world):
        await simulator.start()
        try:
            yield simulator
        finally:
            await simulator.stop()


def forget_unused_worlds() -> None:
    """Drop the worlds of a test that has ended."""
    _reported[:] = [item for item in _reported if item.in_use]


def how_to_reproduce(item: pytest.Item) -> str:
    """Return the command that repeats a test, at the same time of day if it runs on virtual time, and its messages."""
    lines = [reproduction_command(item.nodeid, _virtual_epoch(item))]
    for reported in _reported:
        lines += [
            f"a simulated Slack whose clock shows {reported.world.clock.time():.0f}, and its messages:",
            *_message_lines(reported.world),
        ]
    return "\n".join(lines)


def reproduction_command(test_id: str, epoch: float | None) -> str:
    """Return the command that repeats a test; ``epoch``: at this time in Unix seconds.

    The id is quoted for the shell, whose command line make builds after it has replaced ``$$`` with ``$``.
    """
    arguments = f"ARGS=-n0 {shlex.quote(test_id)}".replace("$", "$$")
    time = "" if epoch is None else f"ZOFBOT_TEST_EPOCH={epoch:.0f} "
    return f"{time}make test {shlex.quote(arguments)}"


def _virtual_epoch(item: pytest.Item) -> float | None:
    """Return the Unix seconds at which the test began, or None if it runs in real time."""
    match getattr(item, "funcargs", {}).get("anyio_backend"):
        case (_, {"loop_factory": loop}) if loop is VirtualLoop:
            return VirtualLoop.latest_epoch
    return None


def _message_lines(world: World) -> list[str]:
    """Return a line for each of the bot's latest messages: those for all readers, then those for one."""
    private = [item for kept in world.slack.messages.values() for item in kept.values() if item.only_to]
    return [
        *(
            f"  {item.ts} {item.channel} {item.idempotency_key} {item.text[:100]!r}"
            for item in world.slack.ledger[-50:]
        ),
        *(f"  {item.ts} {item.channel} only to {item.only_to} {item.text[:100]!r}" for item in private[-20:]),
    ]
