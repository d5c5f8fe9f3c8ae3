"""An attempt that outlives its lease, by a slow Slack or a clock that is set forward, posts nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import fakeredis
import pytest

from tests.support.virtual_time import test_clock
from zofbot.clock import MovableClock
from zofbot.concurrency import cancel_tasks
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.domain.errors import SlackUnknown
from zofbot.notifications.notification import Claim, Notification, NotificationKind, NotificationState, Receipt
from zofbot.observability.emitter import EventEmitter
from zofbot.services.resolution_links import ResolutionLinker
from zofbot.slack.calls import CALL_DEADLINE_SECONDS
from zofbot.slack.directory import Readers
from zofbot.slack.history import HISTORY_LAG_SECONDS
from zofbot.slack.shared_channels import SharedChannelFilter
from zofbot.slack.views.blocks import Message
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import LEASE_SECONDS, Outbox
from zofbot.store.outbox_scripts import MAX_ATTEMPT_AGE_SECONDS

ROOT = Notification(key="k", kind=NotificationKind.ROOT, channel="C1", happened=0.0, body={"of": "text"})


@dataclass
class LaggingSlack:
    """A Slack that posts ``accept_seconds`` after a call began and answers ``reply_seconds`` later.

    Its history shows a message ``HISTORY_LAG_SECONDS`` after it was posted.
    """

    clock: MovableClock
    accept_seconds: float
    reply_seconds: float = 0.0
    deadline: float = CALL_DEADLINE_SECONDS
    posted: list[float] = field(default_factory=list)
    """When each message was posted, in seconds of the loop's clock."""

    async def post_message(self, channel: str, *_: object, **__: object) -> Receipt:
        number = len(self.posted) + 1
        await asyncio.sleep(self.accept_seconds)
        self.posted.append(self.clock.monotonic())
        await asyncio.sleep(self.reply_seconds)
        return Receipt(channel, f"{number}.0")

    async def find_message(self, channel: str, *_: object, **__: object) -> Receipt | None:
        shown = [at for at in self.posted if self.clock.monotonic() - at >= HISTORY_LAG_SECONDS]
        return Receipt(channel, "1.0") if shown else None


@dataclass
class SlowSlack:
    """A Slack whose calls take ``call_seconds`` and whose first post fails without posting anything."""

    call_seconds: float
    deadline: float = CALL_DEADLINE_SECONDS
    calls: list[str] = field(default_factory=list)

    async def post_message(self, channel: str, *_: object, **__: object) -> Receipt:
        await self._answer("post")
        if self.calls.count("post") == 1:
            raise SlackUnknown("timeout", "")
        return Receipt(channel, "2.0")

    async def find_message(self, *_: object, **__: object) -> Receipt | None:
        await self._answer("find")
        return None

    async def find_readers(self, channel: str) -> Readers:
        await self._answer("readers")
        return Readers.OURS

    async def fetch_permalink(self, receipt: Receipt) -> str:
        await self._answer("link")
        return "https://acme.slack.com/archives/C1/p1"

    async def _answer(self, call: str) -> None:
        self.calls.append(call)
        await asyncio.sleep(self.call_seconds)


@dataclass
class LeaseBench:
    """An outbox on a double of Redis, and the clock of all."""

    outbox: Outbox
    clock: MovableClock

    def make_dispatcher(self, slack: Any, prepare: Callable[[Claim], Any] | None = None) -> Dispatcher:
        return Dispatcher(
            self.outbox, slack, lambda *_: Message("text"), EventEmitter(), self.clock, random=lambda: 0.0,
            prepare=prepare,
        )  # fmt: skip

    async def has_sent(self) -> bool:
        record = await self.outbox.get_record("k")
        return record is not None and record.state is NotificationState.SENT


@pytest.fixture
async def bench() -> AsyncIterator[LeaseBench]:
    clock = test_clock()
    async with fakeredis.FakeAsyncRedis() as client:
        yield LeaseBench(Outbox(Keyspace(client, "test"), clock), clock)


async def test_a_message_that_slack_accepts_late_can_be_found_once_the_lease_has_ended(bench: LeaseBench) -> None:
    """Its worker is killed before the reply arrives, so the next one searches when the lease ends."""

    async def prepare_slowly(claim: Claim) -> Claim:
        await asyncio.sleep(LEASE_SECONDS - CALL_DEADLINE_SECONDS - 0.5)
        return claim

    slack = LaggingSlack(bench.clock, accept_seconds=CALL_DEADLINE_SECONDS - 1, reply_seconds=1.0)
    await bench.outbox.commit([ROOT])
    killed = asyncio.create_task(bench.make_dispatcher(slack, prepare_slowly).run())
    await asyncio.sleep(LEASE_SECONDS - 1.0)
    await cancel_tasks(killed)
    next_worker = asyncio.create_task(bench.make_dispatcher(slack).run())
    await asyncio.sleep(2 * LEASE_SECONDS)
    await cancel_tasks(next_worker)
    assert await bench.has_sent()
    assert len(slack.posted) == 1


@pytest.mark.parametrize("call_seconds", [5.5, CALL_DEADLINE_SECONDS - 0.1])
async def test_a_message_whose_first_post_was_lost_is_posted_however_slow_slack_is(
    bench: LeaseBench, call_seconds: float
) -> None:
    """It is searched for, its readers and a link are waited for as long as they may take, and then it is posted."""
    slack = SlowSlack(call_seconds)
    body = {"of": "text", "why": "boom", "past": [{"resolved": {"alert": "earlier"}}]}
    await bench.outbox.record_receipt("earlier", Receipt("C1", "1.0"))
    await bench.outbox.commit([ROOT.model_copy(update={"body": body})])
    shared = SharedChannelFilter(slack.find_readers, lambda edit: bench.outbox.commit([edit]), bench.clock)
    linker = ResolutionLinker(shared, bench.outbox, slack.fetch_permalink)
    running = asyncio.create_task(bench.make_dispatcher(slack, linker).run())
    await asyncio.sleep(4 * LEASE_SECONDS)
    await cancel_tasks(running)
    assert await bench.has_sent()
    assert slack.calls.count("post") == 2
    assert "link" in slack.calls


async def test_a_clock_that_is_set_forward_during_a_call_posts_nothing_twice(bench: LeaseBench) -> None:
    slack = LaggingSlack(bench.clock, accept_seconds=CALL_DEADLINE_SECONDS - 1)
    await bench.outbox.commit([ROOT])
    running = asyncio.create_task(bench.make_dispatcher(slack).run())
    await asyncio.sleep(2)
    bench.clock.advance(60)
    await asyncio.sleep(2 * LEASE_SECONDS)
    await cancel_tasks(running)
    assert await bench.has_sent()
    assert len(slack.posted) == 1


async def test_a_message_whose_machine_was_suspended_for_a_day_during_a_call_is_posted(bench: LeaseBench) -> None:
    slack = LaggingSlack(bench.clock, accept_seconds=CALL_DEADLINE_SECONDS - 1)
    await bench.outbox.commit([ROOT])
    running = asyncio.create_task(bench.make_dispatcher(slack).run())
    await asyncio.sleep(2)
    bench.clock.advance(MAX_ATTEMPT_AGE_SECONDS)
    await asyncio.sleep(2 * LEASE_SECONDS)
    await cancel_tasks(running)
    assert await bench.has_sent()
    assert len(slack.posted) == 1
