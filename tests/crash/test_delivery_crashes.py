"""Workers killed with SIGKILL before and after each thing they say to Redis and Slack: one message each, every time."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random

import pytest
import redis.asyncio as redis

from tests.support.crash_worker import CHANNEL
from tests.support.paths import ROOT
from tests.support.virtual_time import SetClock
from zofbot.simulator import spoilt
from zofbot.simulator.organization import furnish
from zofbot.simulator.stage import Stage
from zofbot.simulator.workspace import Workspace
from zofbot.simulator.world import World
from zofbot.store.outbox import LEASE

NOW = 1_800_000_000.0
STORED = [f"store_then_{fault}" for fault in ("cut", "500", *spoilt.REPLIES)]
NOT_STORED = ["none", "cut", "429_fraction", "error:a_word_nobody_knows", *spoilt.REPLIES]
DIED, ENDED = -signal.SIGKILL, 0
LATER = 2 * LEASE
"""Seconds by which the clock of the next worker is ahead: what the dead one held has come free by then."""


@dataclass
class Crash:
    """Workers in a process of their own, and the world they write to, whose clock stands still."""

    slack: Workspace
    store: redis.Redis
    workers: asyncio.subprocess.Process
    lives: int = 0

    async def work(self, step: int = 0, when: str = "before") -> int:
        """Have a worker do all there is to do, or die at a step; returns how it ended."""
        assert self.workers.stdin
        assert self.workers.stdout
        self.workers.stdin.write(f"{step} {when} {NOW + self.lives * LATER}\n".encode())
        self.lives += 1
        async with asyncio.timeout(30):
            ended = int(await self.workers.stdout.readline())
        assert ended in (DIED, ENDED)
        return ended

    async def forget(self) -> None:
        """Begin again with nothing anywhere."""
        await self.store.flushall()
        self.slack.faults.set("none")
        for kept in (self.slack.ledger, self.slack.messages, self.slack.threads):
            kept.clear()
        self.lives = 0

    def once(self) -> bool:
        """Whether the channel holds each message once, in its place and up to date."""
        assert self.slack.doubled() == []
        top, *under = self.slack.ledger
        assert (top.key, top.text, top.channel) == ("r", "e", CHANNEL)
        assert sorted((message.key, message.thread_ts) for message in under) == [("p", top.ts), ("q", top.ts)]
        return True


@pytest.fixture(scope="module")
async def workers_and_world(valkey: str) -> AsyncIterator[Crash]:
    world = World(SetClock(NOW))
    furnish(world)
    world.slack.paced = False
    stage = Stage(world)
    await stage.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.crash_worker", valkey, f"{stage.url}/api/", world.slack.bot_token,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    try:
        async with redis.from_url(valkey) as store:
            yield Crash(world.slack, store, process)
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()
        await stage.stop()


@pytest.fixture
async def crash(workers_and_world: Crash) -> Crash:
    await workers_and_world.forget()
    return workers_and_world


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_any_step_each_message_stands_there_once(crash: Crash, when: str) -> None:
    step = 0
    while True:
        step += 1
        await crash.forget()
        if await crash.work(step, when) == ENDED:
            break
        assert await crash.work() == ENDED
        assert crash.once(), step
    assert crash.once()
    assert step > 10


@pytest.mark.parametrize("fault", spoilt.REPLIES)
async def test_killed_after_an_answer_that_is_not_slacks_each_message_stands_there_once(
    crash: Crash, fault: str
) -> None:
    for step in (4, 6, 8):
        await crash.forget()
        crash.slack.faults.set(f"store_then_{fault}", 1, "chat.postMessage")
        await crash.work(step, "after")
        assert await crash.work() == ENDED
        assert crash.once(), step


async def test_killed_again_and_again_each_message_stands_there_once(crash: Crash) -> None:
    random = Random(7)
    for _ in range(40):
        await crash.forget()
        for _ in range(random.randint(2, 4)):
            fault = random.choice(random.choice([STORED, NOT_STORED, ["none"]]))
            crash.slack.faults.set(fault, 1, random.choice(["chat.postMessage", "chat.postMessage", "conversations"]))
            await crash.work(random.randint(1, 14), random.choice(["before", "after"]))
        crash.slack.faults.set("none")
        assert await crash.work() == ENDED
        assert crash.once()
