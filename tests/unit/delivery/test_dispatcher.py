"""Limits of one dispatcher."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import fakeredis

from tests.support.bot import wait_until
from tests.support.virtual_time import test_clock
from zofbot.concurrency import cancel_tasks
from zofbot.delivery.dispatcher import MAX_CONCURRENT_SENDS, MAX_START_DELAY_SECONDS, Dispatcher
from zofbot.notifications.notification import Claim, Notification, NotificationKind, NotificationState, Receipt
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.delivery import DeadLetter
from zofbot.services.resolution_links import MAX_LINK_SECONDS, ResolutionLinker
from zofbot.slack.calls import CALL_DEADLINE_SECONDS
from zofbot.slack.history import HISTORY_LAG_SECONDS
from zofbot.slack.shared_channels import READERS_WAIT_SECONDS, SharedChannelFilter
from zofbot.slack.views.blocks import Message
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import LEASE_SECONDS, Outbox


def test_a_lease_outlasts_all_that_precedes_a_post_and_the_post() -> None:
    before = MAX_START_DELAY_SECONDS + CALL_DEADLINE_SECONDS + READERS_WAIT_SECONDS + MAX_LINK_SECONDS
    assert before + CALL_DEADLINE_SECONDS + HISTORY_LAG_SECONDS < LEASE_SECONDS


async def test_a_commit_claims_nothing_for_a_dispatcher_whose_slots_are_taken() -> None:
    clock, sending = test_clock(), 0

    async def post_message(*_: object, **__: object) -> None:
        nonlocal sending
        sending += 1
        await asyncio.Event().wait()

    notifier: Any = SimpleNamespace(deadline=CALL_DEADLINE_SECONDS, post_message=post_message)
    async with fakeredis.FakeAsyncRedis() as client:
        outbox = Outbox(Keyspace(client, "test"), clock)
        dispatcher = Dispatcher(outbox, notifier, lambda *_: Message("text"), EventEmitter(), clock, random=lambda: 1.0)
        running = asyncio.create_task(dispatcher.run())
        await outbox.commit([root_in(channel) for channel in range(MAX_CONCURRENT_SENDS)])
        await wait_until(lambda: sending == MAX_CONCURRENT_SENDS)
        await outbox.commit([root_in(MAX_CONCURRENT_SENDS)])
        record = await outbox.get_record(f"k{MAX_CONCURRENT_SENDS}")
        await cancel_tasks(running)
    assert record is not None
    assert record.state is NotificationState.PENDING, "left to another process that is free"


async def test_a_record_that_cannot_be_read_is_one_dead_letter_and_the_others_are_sent() -> None:
    clock, sent = test_clock(), []

    async def post_message(channel: str, *_: object, **__: object) -> Receipt:
        sent.append(channel)
        return Receipt(channel, "1.0")

    letters: list[DeadLetter] = []
    events = EventEmitter()
    events.add_hook(DeadLetter, letters.append)
    notifier: Any = SimpleNamespace(deadline=CALL_DEADLINE_SECONDS, post_message=post_message)
    async with fakeredis.FakeAsyncRedis() as client:
        outbox = Outbox(Keyspace(client, "test"), clock)
        await outbox.commit([root_in(channel) for channel in range(3)])
        await client.hset("{test}:note:k1", "body", "no JSON")
        dispatcher = Dispatcher(outbox, notifier, lambda *_: Message("text"), events, clock, random=lambda: 1.0)
        running = asyncio.create_task(dispatcher.run())
        await wait_until(lambda: len(sent) == 2 and bool(letters))
        await asyncio.sleep(3 * LEASE_SECONDS)
        assert not running.done()
        await cancel_tasks(running)
        stats = await outbox.read_stats()
    assert sorted(sent) == ["C0", "C2"]
    [letter] = letters
    assert letter.key == "k1"
    assert letter.reason.startswith("cannot be read: ")
    assert (stats.dead, stats.sending, stats.pending) == (1, 0, 0)


async def test_an_alert_with_a_known_past_is_sent_though_slack_returns_links_slowly() -> None:
    clock, sent = test_clock(), []

    async def post_message(channel: str, *_: object, **__: object) -> Receipt:
        sent.append(channel)
        return Receipt(channel, f"{len(sent)}.0")

    async def fetch_permalink(receipt: Receipt) -> str:
        await asyncio.sleep(3)
        return "too late"

    async def prepare(claim: Claim) -> Claim:
        return replace(claim, failure=claim.notification.body)

    notifier: Any = SimpleNamespace(deadline=CALL_DEADLINE_SECONDS, post_message=post_message)
    past = [{"resolved": {"alert": f"k{channel}"}} for channel in range(3)]
    async with fakeredis.FakeAsyncRedis() as client:
        outbox = Outbox(Keyspace(client, "test"), clock)
        dispatcher = Dispatcher(
            outbox,
            notifier,
            lambda *_: Message("text"),
            EventEmitter(),
            clock,
            random=lambda: 1.0,
            prepare=ResolutionLinker(prepare, outbox, fetch_permalink),
        )
        await outbox.commit([root_in(channel) for channel in range(3)])
        await dispatcher.deliver_batch()
        await outbox.commit([root_in(3).model_copy(update={"body": {"past": past}})])
        started = clock.monotonic()
        await dispatcher.deliver_batch()
        record = await outbox.get_record("k3")
    assert record is not None
    assert record.state is NotificationState.SENT
    assert sent == ["C0", "C1", "C2", "C3"]
    assert clock.monotonic() - started < MAX_LINK_SECONDS + 1


async def test_an_alert_is_sent_though_slack_says_neither_who_reads_its_channel_nor_where_its_past_is() -> None:
    """Each lookup before a send has a limit, and their sum leaves time for the call within the lease."""
    clock, sent = test_clock(), []

    async def post_message(channel: str, *_: object, **__: object) -> Receipt:
        sent.append(channel)
        return Receipt(channel, f"{len(sent)}.0")

    async def never_answer(_: object) -> Any:
        await asyncio.Event().wait()

    async def commit_nothing(_: Notification) -> None: ...

    notifier: Any = SimpleNamespace(deadline=CALL_DEADLINE_SECONDS, post_message=post_message)
    async with fakeredis.FakeAsyncRedis() as client:
        outbox = Outbox(Keyspace(client, "test"), clock)
        dispatcher = Dispatcher(
            outbox,
            notifier,
            lambda *_: Message("text"),
            EventEmitter(),
            clock,
            random=lambda: 1.0,
            prepare=ResolutionLinker(SharedChannelFilter(never_answer, commit_nothing, clock), outbox, never_answer),
        )
        await outbox.commit([root_in(0)])
        await dispatcher.deliver_batch()
        past = [{"resolved": {"alert": "k0"}}]
        await outbox.commit([root_in(1).model_copy(update={"body": {"past": past, "why": "boom"}})])
        for _ in range(2):
            await dispatcher.deliver_batch()
            await asyncio.sleep(1)
    assert sent == ["C0", "C1"]


def root_in(channel: int) -> Notification:
    return Notification(
        key=f"k{channel}", kind=NotificationKind.ROOT, channel=f"C{channel}", happened=0.0, body={"of": "text"}
    )
