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
from tests.support.failure_reports import serve_world
from tests.support.limits import limit_wait
from tests.support.paths import ROOT
from tests.support.virtual_time import SetClock
from zofbot.simulator.seed import seed_world
from zofbot.simulator.slack import broken_replies
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.world import World
from zofbot.store.outbox import LEASE_SECONDS

NOW = 1_800_000_000.0
STORED = [f"store_then_{fault}" for fault in ("cut", "500", *broken_replies.BROKEN_REPLIES)]
NOT_STORED = ["none", "cut", "429_fraction", "error:a_word_nobody_knows", *broken_replies.BROKEN_REPLIES]
DIED, ENDED = -signal.SIGKILL, 0
LATER = 2 * LEASE_SECONDS
"""Seconds by which the clock of the next worker is ahead: what the dead one held has come free by then."""


@dataclass
class CrashScenario:
    """Workers in a process of their own, and the world they write to, whose clock stands still."""

    slack: Workspace
    store: redis.Redis
    workers: asyncio.subprocess.Process
    lives: int = 0

    async def run_worker(self, step: int = 0, when: str = "before") -> int:
        """Have a worker do all there is to do, or die at a step; returns how it ended."""
        assert self.workers.stdin
        assert self.workers.stdout
        self.workers.stdin.write(f"{step} {when} {NOW + self.lives * LATER}\n".encode())
        self.lives += 1
        ended = int(await limit_wait(self.workers.stdout.readline()))
        assert ended in (DIED, ENDED)
        return ended

    async def reset_store(self) -> None:
        """Begin again with nothing anywhere."""
        await self.store.flushall()
        self.slack.faults.set_fault("none")
        for kept in (self.slack.ledger, self.slack.messages, self.slack.threads):
            kept.clear()
        self.slack.inspect, self.slack.removes_alerts = lambda payload, surface: None, False
        self.lives = 0

    def have_first_message_deleted(self, fault: str) -> None:
        """Have the first message deleted as soon as it is posted, and no other; ``fault`` hits the second."""

        def decide_removal(payload: object, surface: str) -> None:
            self.slack.removes_alerts = not self.slack.ledger
            if self.slack.removes_alerts:
                self.slack.faults.set_fault(fault, 1 if fault != "none" else None, "chat.postMessage")

        self.slack.inspect = decide_removal

    def is_posted_once(self) -> bool:
        """Whether the channel holds each message once, in its place and up to date."""
        assert self.slack.duplicate_keys() == []
        return self.is_shown_once("r", self.slack.ledger)

    def is_shown_once(self, root: str, messages: list[PostedMessage]) -> bool:
        """Whether these are each message once, in its place and up to date, with the root under the key ``root``."""
        top, *under = messages
        assert (top.idempotency_key, top.text, top.channel) == (root, "e", CHANNEL)
        assert sorted((message.idempotency_key, message.thread_ts) for message in under) == [
            ("p", top.ts),
            ("q", top.ts),
        ]
        return True


@pytest.fixture(scope="module")
async def workers_and_world(store_url: str) -> AsyncIterator[CrashScenario]:
    world = World(SetClock(NOW))
    seed_world(world)
    world.slack.paced = False
    async with serve_world(world) as simulator:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.crash_worker", store_url,
            f"{simulator.url}/api/", world.slack.bot_token,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        try:
            async with redis.from_url(store_url) as store:
                yield CrashScenario(world.slack, store, process)
        finally:
            assert process.stdin
            process.stdin.close()
            await process.wait()


@pytest.fixture
async def crash(workers_and_world: CrashScenario) -> CrashScenario:
    await workers_and_world.reset_store()
    return workers_and_world


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_any_step_each_message_is_posted_once(crash: CrashScenario, when: str) -> None:
    step = 0
    while True:
        step += 1
        await crash.reset_store()
        if await crash.run_worker(step, when) == ENDED:
            break
        assert await crash.run_worker() == ENDED
        assert crash.is_posted_once(), step
    assert crash.is_posted_once()
    assert step > 10


@pytest.mark.parametrize("fault", ["none", "store_then_cut"])
async def test_killed_at_any_step_while_people_delete_the_root_each_message_is_shown_once(
    crash: CrashScenario, fault: str
) -> None:
    step = 3  # before the root is posted
    while True:
        step += 1
        await crash.reset_store()
        crash.have_first_message_deleted(fault)
        ended = await crash.run_worker(step)
        if ended == DIED:
            assert await crash.run_worker() == ENDED
        shown = [message for message in crash.slack.ledger if message.is_visible]
        assert crash.is_shown_once(shown[0].idempotency_key or "", shown), step
        assert shown[0].idempotency_key in ("r", "r:2"), step
        if ended == ENDED:
            break
    assert step > 10


@pytest.mark.parametrize("fault", broken_replies.BROKEN_REPLIES)
async def test_killed_after_an_answer_that_is_not_slacks_each_message_stands_there_once(
    crash: CrashScenario, fault: str
) -> None:
    for step in (4, 6, 8):
        await crash.reset_store()
        crash.slack.faults.set_fault(f"store_then_{fault}", 1, "chat.postMessage")
        await crash.run_worker(step, "after")
        assert await crash.run_worker() == ENDED
        assert crash.is_posted_once(), step


async def test_killed_again_and_again_each_message_stands_there_once(crash: CrashScenario) -> None:
    random = Random(7)
    for _ in range(40):
        await crash.reset_store()
        for _ in range(random.randint(2, 4)):
            fault = random.choice(random.choice([STORED, NOT_STORED, ["none"]]))
            crash.slack.faults.set_fault(
                fault, 1, random.choice(["chat.postMessage", "chat.postMessage", "conversations"])
            )
            await crash.run_worker(random.randint(1, 14), random.choice(["before", "after"]))
        crash.slack.faults.set_fault("none")
        assert await crash.run_worker() == ENDED
        assert crash.is_posted_once()
