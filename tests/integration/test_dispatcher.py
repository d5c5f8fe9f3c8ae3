"""The dispatcher against the pretend Slack over HTTP: every way a send can end, and one message each time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
import redis.asyncio as redis
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.support.bot import wait_until
from tests.support.failure_reports import serve_world
from tests.support.metric_values import metric_value
from tests.support.sample_world import fill_world
from tests.support.valkey_servers import valkey_server
from tests.support.virtual_time import SetClock
from zofbot.concurrency import cancel_tasks
from zofbot.config.manifest import SCOPES
from zofbot.delivery.attempt import RenderMessage
from zofbot.delivery.backoff import MAX_BACKOFF_SECONDS, retry_delay
from zofbot.delivery.dispatcher import MAX_BATCH_SIZE, MAX_CONCURRENT_SENDS, Dispatcher
from zofbot.delivery.failed_calls import OPERATOR_RETRY_SECONDS
from zofbot.delivery.monitor import PARKED_RETRY_SECONDS
from zofbot.domain.errors import SlackDeferred, SlackRefused, SlackUnknown, StoreUnavailable
from zofbot.notifications.notification import Claim, Notification, NotificationKind, NotificationState, Receipt
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.metrics import Metrics
from zofbot.simulator.slack.model import BOT_USER_ID, Channel, PostedMessage
from zofbot.simulator.slack.users import WorkspaceUsers
from zofbot.simulator.world import World
from zofbot.slack.calls import SlackCalls
from zofbot.slack.client import SlackClient
from zofbot.slack.errors import RefusalHandling, classify_error, handling_for
from zofbot.slack.history import HISTORY_LAG_SECONDS
from zofbot.slack.views.blocks import Message as Said
from zofbot.slack.views.blocks import section_block
from zofbot.store.attempt_results import AttemptResult
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import LEASE_SECONDS, Outbox
from zofbot.store.outbox_scripts import MAX_ATTEMPT_AGE_SECONDS
from zofbot.store.records import OutboxStats

NOW = 1_800_000_000.0
QA, CHECKOUT, RANDOM, INCIDENT, ARCHIVED = "C0QA", "C0CHECKOUT", "C0RANDOM", "C0INCIDENT", "C0OLD"
TALK = "C0TALK"


def root_notification(key: str, channel: str = QA, **more: Any) -> Notification:
    return Notification(
        key=key, kind=NotificationKind.ROOT, channel=channel, happened=NOW - 90, **{"body": {"of": key}, **more}
    )


def reply_notification(key: str, to: str, channel: str = QA, **more: Any) -> Notification:
    body = {"of": key, **more}
    return Notification(key=key, kind=NotificationKind.REPLY, channel=channel, root=to, happened=NOW - 90, body=body)


def edit_notification(key: str, of: str, channel: str = QA, said: str = "edited") -> Notification:
    return Notification(
        key=key, kind=NotificationKind.EDIT, channel=channel, root=of, happened=NOW - 90, body={"of": said}
    )


def render_text(claimed: Claim, now: float) -> Said:
    text = claimed.notification.body["of"]
    return Said(text, [section_block(f"*{text}*")])


@dataclass
class DispatcherBench:
    """One dispatcher, its outbox, and the world it writes to, all on one clock that only tests move."""

    world: World
    outbox: Outbox
    metrics: Metrics
    events: EventEmitter
    notifier: SlackClient
    dispatcher: Dispatcher
    told: list[tuple[str, str]] = field(default_factory=list)

    async def commit_notifications(self, *notifications: Notification) -> None:
        await self.outbox.commit(notifications)

    async def deliver_once(self, *, after: float = 0.0) -> int:
        self.world.advance(after)
        return await self.dispatcher.deliver_batch()

    async def deliver_all(self) -> None:
        """Take turns until nothing waits any more; when there is nothing to do, time goes on."""
        for _ in range(400):
            if not await self.dispatcher.deliver_batch():
                depth = await self.outbox.read_stats()
                if not depth.pending + depth.sending:
                    return
                self.world.advance(0.5)
        raise AssertionError("it never ends")

    def visible_messages(self, channel: str = QA) -> list[PostedMessage]:
        kept = self.world.slack.messages.get(channel, {}).values()
        return [message for message in kept if message.user == BOT_USER_ID and message.is_visible]

    def visible_texts(self, channel: str = QA) -> list[str]:
        return [message.text for message in self.visible_messages(channel)]

    def count_calls(self, method: str) -> int:
        return sum(call.method == method for call in self.world.slack.calls)

    async def state_of(self, key: str) -> NotificationState | None:
        known = await self.outbox.get_record(key)
        return known.state if known else None

    async def reason_of(self, key: str) -> str:
        known = await self.outbox.get_record(key)
        return known.reason if known else ""

    def metric_value(self, name: str, **labels: str) -> float:
        return metric_value(self.metrics, name, labels) or 0.0


def world() -> World:
    made = World(SetClock(NOW))
    fill_world(made)
    made.slack.messages.clear()
    return made


@asynccontextmanager
async def dispatcher_bench(
    url: str, made: World, *, deadline: float = 8.0, lease: float = LEASE_SECONDS, clean: bool = True
) -> AsyncIterator[DispatcherBench]:
    async with serve_world(made) as simulator, redis.from_url(url) as client, aiohttp.ClientSession() as session:
        if clean:
            await client.flushall()
        metrics = Metrics(made.clock)
        events = EventEmitter(metrics)
        clock = made.clock
        notifier = SlackClient(
            SlackCalls(
                session,
                token=made.slack.bot_token,
                api_url=f"{simulator.url}/api/",
                events=events,
                clock=clock,
                deadline=deadline,
            )
        )
        outbox = Outbox(Keyspace(client, "test"), clock)
        told: list[tuple[str, str]] = []

        async def report_parked(channel: str, reason: str) -> None:
            told.append((channel, reason))

        dispatcher = Dispatcher(
            outbox,
            notifier,
            render_text,
            events,
            clock,
            random=Random(1).random,
            on_parked=report_parked,
            lease=lease,
        )
        yield DispatcherBench(made, outbox, metrics, events, notifier, dispatcher, told)


@pytest.fixture
async def rig(store_url: str) -> AsyncIterator[DispatcherBench]:
    async with dispatcher_bench(store_url, world()) as built:
        yield built


# --- what is sent


async def test_a_root_its_reply_and_its_edit_reach_the_channel_in_their_places(rig: DispatcherBench) -> None:
    await rig.commit_notifications(
        root_notification("r"), reply_notification("p", "r"), edit_notification("e", "r", said="recovered")
    )
    await rig.deliver_all()
    top, under = rig.visible_messages()
    assert (top.text, top.idempotency_key, top.edited) == ("recovered", "r", True)
    assert (under.text, under.idempotency_key, under.thread_ts, under.broadcast) == ("p", "p", top.ts, False)
    shown = await rig.outbox.get_record("r")
    assert shown is not None
    assert shown.receipt == Receipt(QA, top.ts)


async def test_a_reply_can_be_shown_in_the_channel_as_well(rig: DispatcherBench) -> None:
    await rig.commit_notifications(root_notification("r"), reply_notification("p", "r", broadcast=True))
    await rig.deliver_all()
    assert rig.visible_messages()[1].broadcast


async def test_ten_changes_are_one_edit(rig: DispatcherBench) -> None:
    await rig.commit_notifications(root_notification("r"))
    await rig.deliver_all()
    for n in range(10):
        await rig.commit_notifications(edit_notification("e", "r", said=f"state {n}"))
    await rig.deliver_all()
    assert rig.count_calls("chat.update") == 1
    assert rig.visible_texts() == ["state 9"]


async def test_a_thousand_to_fifty_channels_are_all_seen_and_none_too_fast(rig: DispatcherBench) -> None:
    slack = rig.world.slack
    slack.hides_fast_posts = True
    channels = [f"C1{n:02}" for n in range(50)]
    slack.channels.update({name: Channel(name, name, {BOT_USER_ID}) for name in channels})
    await rig.commit_notifications(*(root_notification(f"k{n}", channels[n % 50]) for n in range(1000)))
    began = rig.world.unix_time()
    await rig.deliver_all()
    assert Counter(message.idempotency_key for message in slack.ledger) == Counter({f"k{n}": 1 for n in range(1000)})
    assert not [message for message in slack.ledger if message.hidden]
    assert not [call for call in slack.calls if call.error]
    assert rig.world.unix_time() - began <= 40


async def test_each_attempt_is_one_line_and_one_count(rig: DispatcherBench) -> None:
    rig.world.slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    with capture_logs() as logs:
        await rig.commit_notifications(root_notification("k"))
        await rig.deliver_all()
    lines = [line for line in logs if line["event"] == "delivery"]
    assert [(line["attempt"], line["outcome"], line["reason"]) for line in lines] == [
        (1, "unknown", "ServerDisconnectedError"),
        (2, "adopted", ""),
    ]
    assert {"key", "kind", "channel", "ms"} <= set(lines[0])
    assert rig.metric_value("zofbot_notifications_total", kind="root", outcome="unknown", reason="unconfirmed") == 1
    assert rig.metric_value("zofbot_notifications_total", kind="root", outcome="adopted", reason="none") == 1
    assert rig.metric_value("zofbot_finds_total", outcome="found") == 1
    assert rig.metric_value("zofbot_delivery_seconds_count", since="commit") == 1
    assert rig.metric_value("zofbot_delivery_seconds_sum", since="happened") >= 90


# --- the three answers

FAULTS = ["429", "429_fraction", "ratelimited_200", "500", "502", "cut", "store_then_500", "store_then_cut", "slow"]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_slack_answers_there_is_one_message_each(store_url: str, fault: str, times: int) -> None:
    made = world()
    made.slack.faults.delays["slow"] = 0.6
    async with dispatcher_bench(store_url, made, deadline=0.25 if fault == "slow" else 8.0) as rig:
        made.slack.faults.set_fault(fault, times, "chat.postMessage")
        await rig.commit_notifications(
            root_notification("r"), reply_notification("p", "r"), root_notification("other", CHECKOUT)
        )
        await rig.deliver_all()
        made.slack.faults.set_fault(fault, times, "chat.postMessage")
        await rig.commit_notifications(reply_notification("q", "r"))
        await rig.deliver_all()
        assert sorted(message.idempotency_key or "" for message in made.slack.ledger) == ["other", "p", "q", "r"]
        assert (
            len({message.thread_ts for message in rig.visible_messages() if message.idempotency_key in ("p", "q")}) == 1
        )


@pytest.mark.parametrize("fault", ["cut", "store_then_cut", "store_then_500", "429"])
async def test_an_edit_is_simply_made_again(rig: DispatcherBench, fault: str) -> None:
    await rig.commit_notifications(root_notification("r"))
    await rig.deliver_all()
    rig.world.slack.faults.set_fault(fault, 2, "chat.update")
    await rig.commit_notifications(edit_notification("e", "r", said="recovered"))
    await rig.deliver_all()
    assert rig.visible_texts() == ["recovered"]
    assert rig.count_calls("conversations.history") == 0


async def test_a_busy_slack_holds_the_channel_for_as_long_as_it_asks(rig: DispatcherBench) -> None:
    rig.world.slack.faults.set_fault("429_fraction", 1)
    await rig.commit_notifications(
        root_notification("k"), root_notification("l"), root_notification("elsewhere", CHECKOUT)
    )
    await rig.deliver_once()
    waiting = {QA: rig.visible_texts(), CHECKOUT: rig.visible_texts(CHECKOUT)}
    assert sorted(map(len, waiting.values())) in ([0, 2], [1, 1])
    [held] = await rig.outbox.list_records(NotificationState.PENDING)
    assert held.reason == "ratelimited"
    await rig.deliver_once(after=0.49)
    assert await rig.state_of(held.key) is NotificationState.PENDING
    await rig.deliver_once(after=1.01)
    assert await rig.state_of(held.key) is NotificationState.SENT


async def test_what_may_be_there_is_found_behind_pages_of_other_messages(rig: DispatcherBench) -> None:
    slack = rig.world.slack
    slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("k"))
    await rig.deliver_once()
    for n in range(450):
        slack.add_message(PostedMessage(QA, slack.next_timestamp(), "U0ANA", f"chatter {n}"))
    await rig.deliver_all()
    assert rig.count_calls("conversations.history") == 3
    assert rig.count_calls("chat.postMessage") == 1
    assert await rig.state_of("k") is NotificationState.SENT


async def test_a_search_that_leaves_no_time_to_send_is_not_made_from_the_start_again(rig: DispatcherBench) -> None:
    slack = rig.world.slack
    slack.faults.set_fault("cut", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("k"))
    await rig.deliver_once()
    for number in range(1000):
        slack.add_message(PostedMessage(QA, slack.next_timestamp(), "U0BEN", f"lunch? {number}"))
    slack.faults.delays["slow"] = 4.0
    slack.faults.set_fault("slow", None, "conversations.history")
    await rig.deliver_once(after=60)
    assert await rig.state_of("k") is NotificationState.PENDING, "the call might have outlasted the lease"
    await rig.deliver_once(after=1)
    assert await rig.state_of("k") is NotificationState.SENT
    assert [message.idempotency_key for message in slack.ledger if message.user == BOT_USER_ID] == ["k"]


async def test_what_may_be_there_is_found_in_its_thread(rig: DispatcherBench) -> None:
    await rig.commit_notifications(root_notification("r"))
    await rig.deliver_all()
    rig.world.slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    await rig.commit_notifications(reply_notification("p", "r"))
    await rig.deliver_all()
    assert rig.count_calls("conversations.replies") == 1
    assert rig.count_calls("conversations.history") == 0
    assert len(rig.visible_messages()) == 2


@pytest.mark.parametrize("off", [-250.0, 250.0])
async def test_clocks_that_differ_by_minutes_hide_nothing(rig: DispatcherBench, off: float, store_url: str) -> None:
    rig.world.slack.now = lambda: rig.world.unix_time() + off
    rig.world.slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("k"))
    await rig.deliver_all()
    assert [message.idempotency_key for message in rig.world.slack.ledger] == ["k"]


async def test_a_channel_that_cannot_be_looked_into_is_parked_and_looked_into_once_it_is_back(
    rig: DispatcherBench,
) -> None:
    rig.world.slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("k"))
    await rig.deliver_once()
    gone = rig.world.slack.channels.pop(QA)
    await rig.deliver_once(after=60)
    assert [(channel.channel, channel.reason) for channel in await rig.outbox.parked_channels()] == [
        (QA, "channel_not_found")
    ]
    rig.world.slack.channels[QA] = gone
    await rig.outbox.unpark_channel(QA)
    await rig.deliver_all()
    assert (rig.visible_texts(), rig.count_calls("chat.postMessage")) == (["k"], 1)


def add_group_dm(rig: DispatcherBench) -> None:
    members = {"U0ANA", "U0BEN", BOT_USER_ID}
    rig.world.slack.channels[TALK] = Channel(TALK, "mpdm-ana--ben-1", members, private=True, group_dm=True)


async def test_a_group_direct_message_is_looked_into_with_the_scopes_of_the_manifest(rig: DispatcherBench) -> None:
    add_group_dm(rig)
    rig.world.slack.scopes = set(SCOPES)
    await rig.commit_notifications(root_notification("r", TALK))
    await rig.deliver_all()
    rig.world.slack.faults.set_fault("store_then_cut", 2, "chat.postMessage")
    await rig.commit_notifications(root_notification("k", TALK), reply_notification("p", "r", TALK))
    await rig.deliver_all()
    assert (sorted(rig.visible_texts(TALK)), rig.count_calls("chat.postMessage")) == (["k", "p", "r"], 3)


@pytest.mark.parametrize(("channel", "scope"), [(QA, "channels:history"), (TALK, "mpim:history")])
async def test_without_the_scope_to_look_nothing_is_sent_again(rig: DispatcherBench, channel: str, scope: str) -> None:
    add_group_dm(rig)
    rig.world.slack.scopes.discard(scope)
    rig.world.slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("k", channel))
    with capture_logs() as logs:
        await rig.deliver_once()
        for _ in range(int(MAX_ATTEMPT_AGE_SECONDS / OPERATOR_RETRY_SECONDS / 4)):
            await rig.deliver_once(after=OPERATOR_RETRY_SECONDS)
    assert rig.count_calls("chat.postMessage") == 1
    assert await rig.reason_of("k") == "cannot look: missing_scope"
    assert any(line["event"] == "search for earlier send failed" for line in logs)
    rig.world.slack.scopes.add(scope)
    rig.world.advance(OPERATOR_RETRY_SECONDS)
    await rig.deliver_all()
    assert len(rig.visible_messages(channel)) == 1
    assert await rig.state_of("k") is NotificationState.SENT


async def test_what_nobody_could_look_for_in_a_day_is_dead_and_not_sent_again(rig: DispatcherBench) -> None:
    rig.world.slack.scopes.discard("channels:history")
    rig.world.slack.faults.set_fault("cut", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("k"))
    for _ in range(30):
        await rig.deliver_once(after=3600)
    assert await rig.state_of("k") is NotificationState.DEAD
    assert rig.count_calls("chat.postMessage") == 1
    assert rig.metric_value("zofbot_dead_letters_total") == 1


@pytest.mark.parametrize("fault", ["429", "500", "cut"])
async def test_looking_may_fail_too_and_then_it_is_looked_for_again(rig: DispatcherBench, fault: str) -> None:
    rig.world.slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("k"))
    await rig.deliver_once()
    rig.world.slack.faults.set_fault(fault, 2, "conversations.history")
    await rig.deliver_all()
    assert rig.count_calls("conversations.history") == 3
    assert [message.idempotency_key for message in rig.world.slack.ledger] == ["k"]


async def test_looking_where_only_members_may_joins_first(rig: DispatcherBench) -> None:
    rig.world.slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("k", RANDOM))
    await rig.deliver_all()
    assert BOT_USER_ID in rig.world.slack.channels[RANDOM].members
    assert rig.count_calls("chat.postMessage") == 1
    assert rig.visible_texts(RANDOM) == ["k"]


async def test_slack_out_of_reach_is_tried_again(store_url: str) -> None:
    made = world()
    async with dispatcher_bench(store_url, made) as rig:
        base, rig.notifier.client.base_url = rig.notifier.client.base_url, "http://127.0.0.1:9/api/"
        await rig.commit_notifications(root_notification("k"))
        await rig.deliver_once()
        assert await rig.reason_of("k") == "unreachable"
        rig.notifier.client.base_url = base
        await rig.deliver_all()
        assert rig.visible_texts() == ["k"]
        assert rig.count_calls("conversations.history") == 0


# --- refusals, each its own way


async def test_a_public_channel_that_wants_members_is_joined_once(rig: DispatcherBench) -> None:
    rig.world.slack.scopes.discard("chat:write.public")
    await rig.commit_notifications(root_notification("k", RANDOM), root_notification("l", RANDOM))
    await rig.deliver_once()
    await rig.deliver_all()
    assert sorted(rig.visible_texts(RANDOM)) == ["k", "l"]
    assert rig.count_calls("chat.postMessage") <= 4


@pytest.mark.parametrize("missing", ["channels:join", "nothing"])
async def test_a_channel_that_cannot_be_joined_is_parked(rig: DispatcherBench, missing: str) -> None:
    rig.world.slack.scopes -= {"chat:write.public", missing}
    channel = rig.world.slack.channels[INCIDENT if missing == "nothing" else RANDOM]
    await rig.commit_notifications(root_notification("k", channel.id))
    await rig.deliver_once(after=5)
    [parked] = await rig.outbox.parked_channels()
    assert (parked.channel, parked.waiting) == (channel.id, 1)
    assert parked.reason == ("channel_not_found" if channel.private else "not_in_channel")
    channel.members.add(BOT_USER_ID)
    await rig.outbox.unpark_channel(channel.id)
    await rig.deliver_all()
    assert rig.visible_texts(channel.id) == ["k"]


@pytest.mark.parametrize("fault", ["none", "store_then_cut"])
@pytest.mark.parametrize("answer", ["too_many_members", "is_bot", "a_word_nobody_knows"])
async def test_a_channel_that_slack_lets_nobody_join_is_parked_too(
    rig: DispatcherBench, fault: str, answer: str
) -> None:
    """Also if the bot joins to search for a message that Slack did not confirm."""
    slack = rig.world.slack
    await rig.commit_notifications(root_notification("k", RANDOM))
    if fault == "none":
        slack.scopes.discard("chat:write.public")
    else:
        slack.faults.set_fault(fault, 1, "chat.postMessage")
        await rig.deliver_once()
    slack.faults.set_fault(f"error:{answer}", None, "conversations.join")
    await rig.deliver_once(after=60)
    [parked] = await rig.outbox.parked_channels()
    assert (parked.channel, parked.waiting, parked.reason) == (RANDOM, 1, "not_in_channel")
    slack.faults.set_fault("none")
    slack.channels[RANDOM].members.add(BOT_USER_ID)
    await rig.outbox.unpark_channel(RANDOM)
    await rig.deliver_all()
    assert rig.visible_texts(RANDOM) == ["k"]


async def test_a_channel_that_was_archived_before_it_was_looked_into_is_parked_as_archived(
    rig: DispatcherBench,
) -> None:
    people, slack = WorkspaceUsers(rig.world), rig.world.slack
    slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("k"))
    await rig.deliver_once()
    await people.archive_channel("U0ANA", QA, archived=True)
    await rig.deliver_once(after=60)
    [parked] = await rig.outbox.parked_channels()
    assert (parked.channel, parked.reason) == (QA, "is_archived")
    await people.archive_channel("U0ANA", QA, archived=False)
    await rig.outbox.unpark_channel(QA)
    await rig.deliver_all()
    assert (rig.visible_texts(), rig.count_calls("chat.postMessage")) == (["k"], 1)
    assert BOT_USER_ID in slack.channels[QA].members, "only members may look"


@pytest.mark.parametrize("fault", ["500", "cut", "html", "error:internal_error"])
async def test_a_join_that_slack_does_not_confirm_is_tried_again_and_nothing_is_searched(
    rig: DispatcherBench, fault: str
) -> None:
    rig.world.slack.scopes.discard("chat:write.public")
    rig.world.slack.faults.set_fault(fault, 1, "conversations.join")
    await rig.commit_notifications(root_notification("k", RANDOM))
    await rig.deliver_once()
    assert await rig.state_of("k") is NotificationState.PENDING
    await rig.deliver_all()
    assert rig.visible_texts(RANDOM) == ["k"]
    assert rig.count_calls("conversations.history") == 0
    assert not await rig.outbox.parked_channels()


@pytest.mark.parametrize("how", ["is_archived", "restricted_action", "restricted_action_read_only_channel", "gone"])
async def test_a_channel_that_refuses_keeps_everything_until_it_is_mended(rig: DispatcherBench, how: str) -> None:
    slack = rig.world.slack
    channel = slack.channels[QA]
    await rig.commit_notifications(root_notification("r"))
    await rig.deliver_all()
    channel.archived = how == "is_archived"
    channel.restricted = how if how.startswith("restricted") else ""
    if how == "gone":
        del slack.channels[QA]
    await rig.commit_notifications(
        root_notification("k"),
        root_notification("l"),
        reply_notification("p", "r"),
        root_notification("elsewhere", CHECKOUT),
    )
    for _ in range(20):
        await rig.deliver_once(after=60)
    refused = rig.count_calls("chat.postMessage") - 2
    assert refused <= 2
    assert [record.key for record in await rig.outbox.list_records(NotificationState.DEAD)] == []
    assert (await rig.outbox.parked_channels())[0].waiting == 3
    assert rig.visible_texts(CHECKOUT) == ["elsewhere"]
    slack.channels[QA] = channel
    channel.archived, channel.restricted = False, ""
    assert await rig.outbox.unpark_channel(QA) == 3
    await rig.deliver_all()
    assert rig.visible_texts() == ["r", "k", "l", "p"]


async def test_a_token_that_was_revoked_buries_nothing(rig: DispatcherBench) -> None:
    rig.world.slack.bot_token = "xoxb-another"
    await rig.commit_notifications(
        *(root_notification(f"k{n}", channel) for n, channel in enumerate([QA, CHECKOUT] * 3))
    )
    with capture_logs() as logs:
        for _ in range(300):
            await rig.deliver_once(after=1)
    assert rig.count_calls("chat.postMessage") <= 4 + 11
    errors = [line for line in logs if line["event"] == "outbox paused"]
    assert errors[0]["reason"] == "invalid_auth"
    assert "SLACK_BOT_TOKEN" in errors[0]["fix"]
    assert await rig.outbox.list_records(NotificationState.DEAD) == []
    rig.world.slack.bot_token = rig.notifier.client.token or ""
    await rig.deliver_all()
    assert len(rig.world.slack.ledger) == 6


async def test_a_missing_scope_pauses_too(rig: DispatcherBench) -> None:
    rig.world.slack.scopes.discard("chat:write")
    await rig.commit_notifications(root_notification("k"))
    await rig.deliver_once()
    assert (await rig.outbox.read_stats()).paused == "missing_scope"
    rig.world.slack.scopes.add("chat:write")
    await rig.deliver_all()
    assert rig.visible_texts() == ["k"]


async def test_a_card_that_slack_refuses_is_said_in_plain_words(rig: DispatcherBench) -> None:
    rig.world.slack.takes_blocks = False
    await rig.commit_notifications(root_notification("k"))
    await rig.deliver_all()
    [message] = rig.visible_messages()
    assert message.text.startswith("k\n")
    assert len(message.text.splitlines()) == 3
    assert message.blocks == []
    assert message.idempotency_key == "k"


async def test_a_card_that_is_too_large_for_slack_is_said_in_plain_words_and_keeps_its_replies(
    rig: DispatcherBench,
) -> None:
    rig.world.slack.faults.set_fault("error:attachment_payload_limit_exceeded", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("r"), reply_notification("p", "r"))
    await rig.deliver_all()
    root, reply = rig.visible_messages()
    assert root.text.startswith("r\n")
    assert root.blocks == []
    assert (reply.text, reply.thread_ts) == ("p", root.ts)


async def test_an_edit_that_slack_refuses_is_said_in_plain_words(rig: DispatcherBench) -> None:
    await rig.commit_notifications(root_notification("r"))
    await rig.deliver_all()
    rig.world.slack.takes_blocks = False
    await rig.commit_notifications(edit_notification("e", "r", said="recovered"))
    await rig.deliver_all()
    assert rig.visible_texts()[0].startswith("recovered\n")


@pytest.mark.parametrize("unthreads", [False, True])
async def test_a_root_that_a_person_deleted_is_posted_once_more_with_what_belongs_to_it(
    rig: DispatcherBench, unthreads: bool
) -> None:
    rig.world.slack.unthreads_replies = unthreads
    await rig.commit_notifications(root_notification("r"))
    await rig.deliver_all()
    rig.visible_messages()[0].deleted = True
    await rig.commit_notifications(
        reply_notification("p", "r"), reply_notification("q", "r"), edit_notification("e", "r", said="recovered")
    )
    await rig.deliver_all()
    top, *under = rig.visible_messages()
    assert (top.text, top.idempotency_key) == ("recovered", "r:2")
    assert [(message.idempotency_key, message.thread_ts) for message in under] == [("p", top.ts), ("q", top.ts)]
    top.deleted = True
    await rig.commit_notifications(edit_notification("e", "r", said="failed again"))
    await rig.deliver_all()
    assert rig.visible_texts() == ["p", "q"], "it is posted afresh once and never again"
    assert await rig.outbox.removed_alerts() == {"r:2": QA}
    await rig.commit_notifications(reply_notification("s", "r"))
    await rig.deliver_all()
    assert await rig.reason_of("s") == "its root is dropped"
    assert unthreads or rig.world.slack.duplicate_keys() == []


@pytest.mark.parametrize("fault", ["store_then_cut", "store_then_500", "slow"])
@pytest.mark.parametrize("replies", [("p",), ("p", "q", "s")])
async def test_a_reply_that_slack_posted_in_the_channel_without_confirming_it_is_under_its_fresh_root_once(
    rig: DispatcherBench, fault: str, replies: tuple[str, ...]
) -> None:
    await rig.commit_notifications(root_notification("r"))
    await rig.deliver_all()
    rig.visible_messages()[0].deleted = True
    rig.world.slack.faults.set_fault(fault, 1, "chat.postMessage")
    await rig.commit_notifications(*(reply_notification(key, "r") for key in replies))
    await rig.deliver_all()
    top, *under = rig.visible_messages()
    assert (top.idempotency_key, top.thread_ts) == ("r:2", None)
    assert sorted((message.idempotency_key, message.thread_ts) for message in under) == [
        (key, top.ts) for key in replies
    ]


async def test_a_message_that_slack_did_not_confirm_is_looked_for_once_slacks_history_may_have_it(
    rig: DispatcherBench,
) -> None:
    rig.world.slack.faults.set_fault("store_then_500", 1, "chat.postMessage")
    await rig.commit_notifications(root_notification("k"))
    await rig.deliver_once()
    await rig.deliver_once(after=HISTORY_LAG_SECONDS - 0.1)
    assert rig.count_calls("conversations.history") == 0
    await rig.deliver_once(after=1.2)
    assert rig.count_calls("conversations.history") == 1
    assert await rig.state_of("k") is NotificationState.SENT


@pytest.mark.parametrize("fault", ["store_then_cut", "cut", "store_then_500"])
async def test_a_fresh_root_is_posted_once_too(rig: DispatcherBench, fault: str) -> None:
    rig.world.slack.unthreads_replies = False
    await rig.commit_notifications(root_notification("r"))
    await rig.deliver_all()
    rig.visible_messages()[0].deleted = True
    await rig.commit_notifications(reply_notification("p", "r"))
    await rig.deliver_once()
    rig.world.slack.faults.set_fault(fault, 1, "chat.postMessage")
    await rig.deliver_all()
    assert [message.idempotency_key for message in rig.world.slack.ledger] == ["r", "r:2", "p"]


async def test_a_card_that_cannot_be_drawn_is_a_dead_letter_and_holds_nobody_up(rig: DispatcherBench) -> None:
    await rig.commit_notifications(root_notification("broken", body={}), root_notification("k"))
    with capture_logs() as logs:
        await rig.deliver_all()
    assert rig.visible_texts() == ["k"]
    assert await rig.reason_of("broken") == "cannot be rendered: KeyError"
    assert any(line["event"] == "notification cannot be rendered" for line in logs)


async def test_what_belongs_to_a_root_that_died_is_dropped_and_counted(rig: DispatcherBench) -> None:
    await rig.commit_notifications(root_notification("r", body={}), reply_notification("p", "r"))
    with capture_logs() as logs:
        await rig.deliver_all()
    assert (rig.visible_texts(), await rig.state_of("p"), await rig.reason_of("p")) == (
        [],
        NotificationState.DROPPED,
        "its root is dead",
    )
    assert rig.metric_value("zofbot_notifications_total", kind="reply", outcome="dropped", reason="root_lost") == 1
    assert [line["key"] for line in logs if line["event"] == "dropped"] == ["p"]


# --- who is told of a channel that refuses


async def test_somebody_is_told_once_of_a_channel_that_refuses(store_url: str) -> None:
    made = world()
    async with dispatcher_bench(store_url, made) as rig, running_dispatcher(rig):
        await rig.commit_notifications(root_notification("k", ARCHIVED), root_notification("l", ARCHIVED))
        await wait_until(lambda: rig.told == [(ARCHIVED, "is_archived")])
        await wait_until(lambda: is_told(rig))
        await wait_until(lambda: rig.metric_value("zofbot_outbox", state="parked_channels") == 1)
        await rig.commit_notifications(root_notification("m", ARCHIVED))
    assert rig.told == [(ARCHIVED, "is_archived")]


async def is_told(rig: DispatcherBench) -> bool:
    return all(parked.told for parked in await rig.outbox.parked_channels())


async def test_a_worker_that_died_before_it_told_somebody_is_followed_by_one_that_does(store_url: str) -> None:
    made = world()
    async with dispatcher_bench(store_url, made) as rig:
        await rig.commit_notifications(root_notification("k", ARCHIVED))
        await rig.deliver_once()
        async with dispatcher_bench(store_url, made, clean=False) as other, running_dispatcher(other):
            await wait_until(lambda: other.told == [(ARCHIVED, "is_archived")])


async def test_a_channel_that_was_mended_and_nobody_said_so_is_tried_again(store_url: str) -> None:
    made = world()
    async with dispatcher_bench(store_url, made) as rig, running_dispatcher(rig):
        await rig.commit_notifications(root_notification("k", ARCHIVED))
        await wait_until(lambda: rig.told == [(ARCHIVED, "is_archived")])
        await wait_until(lambda: is_told(rig))
    made.slack.channels[ARCHIVED].archived = False
    made.advance(PARKED_RETRY_SECONDS)
    async with dispatcher_bench(store_url, made, clean=False) as rig, running_dispatcher(rig):
        await wait_until(lambda: rig.visible_texts(ARCHIVED) == ["k"])
        assert await rig.outbox.parked_channels() == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError(ARCHIVED), "subscribers not notified"),
        (StoreUnavailable("Redis is out of reach."), "outbox not measured"),
    ],
)
async def test_nobody_to_tell_does_not_end_the_deliveries(store_url: str, error: Exception, said: str) -> None:
    made = world()
    async with dispatcher_bench(store_url, made) as rig:

        async def broken(channel: str, reason: str) -> None:
            raise error

        worker = Dispatcher(
            rig.outbox, rig.notifier, render_text, rig.events, made.clock, random=Random(1).random, on_parked=broken
        )
        with capture_logs() as logs:
            async with running_one(worker):
                await rig.commit_notifications(root_notification("k", ARCHIVED))
                await wait_until(lambda: any(line["event"] == said for line in logs))
                await rig.commit_notifications(root_notification("l"))
                await wait_until(lambda: rig.visible_texts() == ["l"])
        assert not (await rig.outbox.parked_channels())[0].told


# --- running


@asynccontextmanager
async def running_one(dispatcher: Dispatcher) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(dispatcher.run())
    try:
        yield task
    finally:
        dispatcher.stop()
        await task


@asynccontextmanager
async def running_dispatcher(rig: DispatcherBench) -> AsyncIterator[asyncio.Task[None]]:
    """Run it; meanwhile time passes, for what is put back on a busy machine waits for its channel's next second."""
    passing = asyncio.create_task(_pass_time(rig.world))
    try:
        async with running_one(rig.dispatcher) as task:
            yield task
    finally:
        await cancel_tasks(passing)


async def _pass_time(made: World) -> None:
    while True:
        await asyncio.sleep(0.01)
        made.advance(0.01)


async def test_it_delivers_by_itself_what_any_process_commits(store_url: str) -> None:
    made = world()
    made.slack.paced = False
    async with (
        dispatcher_bench(store_url, made) as rig,
        dispatcher_bench(store_url, made, clean=False) as other,
        running_dispatcher(rig),
    ):
        await rig.commit_notifications(root_notification("mine"))
        await other.commit_notifications(root_notification("theirs", CHECKOUT))
        await wait_until(lambda: rig.visible_texts() == ["mine"] and rig.visible_texts(CHECKOUT) == ["theirs"])
        await wait_until(lambda: is_settled(rig))
    assert rig.metric_value("zofbot_outbox", state="dead") == 0


async def is_settled(rig: DispatcherBench) -> bool:
    depth = await rig.outbox.read_stats()
    return depth.pending + depth.sending == 0


async def test_two_workers_send_each_message_once(store_url: str) -> None:
    made = world()
    made.slack.paced = False
    channels = [f"C1{n:02}" for n in range(150)]
    made.slack.channels.update({name: Channel(name, name, {BOT_USER_ID}) for name in channels})
    async with dispatcher_bench(store_url, made) as rig, dispatcher_bench(store_url, made, clean=False) as other:
        await rig.commit_notifications(*(root_notification(f"k{n}", channels[n // 2]) for n in range(300)))
        async with running_dispatcher(rig), running_dispatcher(other):
            await wait_until(lambda: is_settled(rig), 30)
    assert Counter(message.idempotency_key for message in made.slack.ledger) == Counter(
        {f"k{n}": 1 for n in range(300)}
    )
    sent = {"kind": "root", "outcome": "sent", "reason": "none"}
    shares = [each.metric_value("zofbot_notifications_total", **sent) for each in (rig, other)]
    assert sum(shares) == 300


async def test_told_to_stop_it_claims_no_more_and_finishes_what_is_under_way(store_url: str) -> None:
    made = world()
    made.slack.faults.delays["slow"] = 0.3
    made.slack.faults.set_fault("slow")
    async with dispatcher_bench(store_url, made) as rig:
        await rig.commit_notifications(root_notification("k"))
        async with running_dispatcher(rig):
            await wait_until(lambda: rig.count_calls("chat.postMessage") == 1)
            rig.dispatcher.stop()
            await rig.commit_notifications(root_notification("l", CHECKOUT))
        assert await rig.state_of("k") is NotificationState.SENT
        assert await rig.state_of("l") is NotificationState.PENDING


async def test_what_does_not_finish_in_time_is_left_as_claimed_and_looked_for_later(store_url: str) -> None:
    made = world()
    async with dispatcher_bench(store_url, made) as rig:
        double = ScriptedNotifier(lambda: asyncio.sleep(3600), deadline=0.05)
        async with running_one(worker_with(rig, double)):
            await rig.commit_notifications(root_notification("k"))
            await wait_until(lambda: double.running == 1)
        assert await rig.state_of("k") is NotificationState.SENDING
        rig.world.advance(LEASE_SECONDS)
        await rig.deliver_all()
        assert rig.count_calls("conversations.history") == 1
        assert rig.visible_texts() == ["k"]


async def test_a_store_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    made = world()
    with valkey_server(tmp_path) as url:
        async with dispatcher_bench(url, made) as rig, running_dispatcher(rig):
            await rig.commit_notifications(root_notification("k"))
            await wait_until(lambda: rig.visible_texts() == ["k"])
            async with redis.from_url(url) as client:
                os.kill(int((await client.info("server"))["process_id"]), signal.SIGKILL)
            with capture_logs() as logs:
                await wait_until(lambda: any(line["event"] == "outbox unavailable" for line in logs))
            with pytest.raises(StoreUnavailable):
                await rig.commit_notifications(root_notification("l"))
            with valkey_server(tmp_path):
                await rig.commit_notifications(root_notification("l"))
                await wait_until(lambda: rig.visible_texts() == ["k", "l"])
                await wait_until(lambda: is_settled(rig))


async def test_a_store_that_goes_while_something_is_sent_hears_of_it_when_it_is_back(tmp_path: Path) -> None:
    made = world()
    go, sent = asyncio.Event(), Receipt(QA, "1.5")
    with valkey_server(tmp_path) as url:
        async with dispatcher_bench(url, made) as rig:
            double = ScriptedNotifier(go.wait, receipt=sent)
            async with running_one(worker_with(rig, double)):
                await rig.commit_notifications(root_notification("k"))
                await wait_until(lambda: double.running == 1)
                async with redis.from_url(url) as client:
                    os.kill(int((await client.info("server"))["process_id"]), signal.SIGKILL)
                with capture_logs() as logs:
                    go.set()
                    await wait_until(lambda: any(line["event"] == "settlements wait for the store" for line in logs))
                with valkey_server(tmp_path):
                    await wait_until(lambda: is_settled(rig))
                    shown = await rig.outbox.get_record("k")
                    assert shown is not None
                    assert shown.receipt == sent


async def test_what_the_store_does_not_hear_of_before_the_end_is_looked_for_later(tmp_path: Path) -> None:
    made = world()
    go = asyncio.Event()
    with valkey_server(tmp_path) as url:
        async with dispatcher_bench(url, made) as rig:
            double = ScriptedNotifier(go.wait)
            with capture_logs() as logs:
                async with running_one(worker_with(rig, double)):
                    await rig.commit_notifications(root_notification("k"))
                    await wait_until(lambda: double.running == 1)
                    async with redis.from_url(url) as client:
                        os.kill(int((await client.info("server"))["process_id"]), signal.SIGKILL)
                    go.set()
                    await wait_until(lambda: any(line["event"] == "settlements wait for the store" for line in logs))
            assert [line["count"] for line in logs if line["event"] == "settlements unfinished at stop"] == [1]
            with valkey_server(tmp_path):
                made.advance(LEASE_SECONDS)
                await rig.deliver_all()
            assert (rig.count_calls("conversations.history"), rig.visible_texts()) == (1, ["k"])


# --- limits of one worker, with a double that does what it is told


class ScriptedNotifier:
    """A notifier whose sends do what they are told, and which counts them."""

    def __init__(self, send: Callable[[], Any], *, receipt: Receipt | None = None, deadline: float = 8.0) -> None:
        self.deadline = deadline
        self._send = send
        self._receipt = receipt or Receipt(QA, "1.0")
        self.sends = self.running = self.most = self.looks = 0

    async def post_message(
        self, channel: str, message: Said, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        self.sends += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self._send()
        finally:
            self.running -= 1
        return self._receipt

    async def update_message(self, receipt: Receipt, message: Said, meta: Mapping[str, Any] | None = None) -> Receipt:
        await self._send()
        return receipt

    async def find_message(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        self.looks += 1
        return None

    async def has_message(self, receipt: Receipt) -> bool:
        self.looks += 1
        return False

    async def join_channel(self, channel: str) -> None:
        raise SlackRefused("is_archived", "")


def worker_with(
    rig: DispatcherBench,
    notifier: ScriptedNotifier,
    *,
    lease: float = LEASE_SECONDS,
    render: RenderMessage = render_text,
) -> Dispatcher:
    return Dispatcher(rig.outbox, notifier, render, rig.events, rig.world.clock, random=Random(1).random, lease=lease)


def failing_call(error: Exception) -> Callable[[], Any]:
    async def raise_error() -> None:
        raise error

    return raise_error


async def test_only_so_many_calls_are_made_at_once(rig: DispatcherBench) -> None:
    await rig.commit_notifications(*(root_notification(f"k{n}", f"C{n}") for n in range(90)))
    double = ScriptedNotifier(lambda: asyncio.sleep(0.01))
    assert await worker_with(rig, double).deliver_batch() == 90
    assert double.most == MAX_CONCURRENT_SENDS


async def test_a_claim_takes_only_so_many(rig: DispatcherBench) -> None:
    await rig.commit_notifications(*(root_notification(f"k{n}", f"C{n}") for n in range(MAX_BATCH_SIZE + 20)))
    double = ScriptedNotifier(lambda: asyncio.sleep(0))
    worker = worker_with(rig, double)
    assert [await worker.deliver_batch() for _ in range(3)] == [MAX_BATCH_SIZE, 20, 0]


async def test_what_cannot_be_begun_promptly_is_put_back(rig: DispatcherBench) -> None:
    await rig.commit_notifications(*(root_notification(f"k{n}", f"C{n}") for n in range(MAX_CONCURRENT_SENDS + 5)))
    double = ScriptedNotifier(lambda: asyncio.sleep(1.1))
    await worker_with(rig, double).deliver_batch()
    assert double.sends == MAX_CONCURRENT_SENDS
    assert (await rig.outbox.read_stats()).pending == 5
    assert rig.metric_value("zofbot_notifications_total", kind="root", outcome="snoozed", reason="none") == 5


async def test_nothing_is_sent_that_could_end_after_its_lease(rig: DispatcherBench) -> None:
    await rig.commit_notifications(root_notification("k"))
    double = ScriptedNotifier(lambda: asyncio.sleep(0), deadline=8.0)
    await worker_with(rig, double, lease=8.0).deliver_batch()
    assert double.sends == 0
    assert await rig.state_of("k") is NotificationState.PENDING


async def test_a_machine_that_was_suspended_does_not_send_what_another_may_have_sent_meanwhile(
    rig: DispatcherBench,
) -> None:
    """Its loop's clock stands still for so long, as Linux' CLOCK_MONOTONIC does (clock_gettime(2))."""

    def suspend_machine(claimed: Claim, now: float) -> Said:
        rig.world.advance(LEASE_SECONDS)
        return render_text(claimed, now)

    await rig.commit_notifications(root_notification("k"))
    double = ScriptedNotifier(lambda: asyncio.sleep(0))
    await worker_with(rig, double, render=suspend_machine).deliver_batch()
    assert double.sends == 0
    await rig.deliver_all()
    assert rig.visible_texts() == ["k"]


async def test_a_send_that_ends_after_its_lease_is_left_to_whoever_has_it_now(rig: DispatcherBench) -> None:
    async def late() -> None:
        await rig.deliver_once(after=LEASE_SECONDS)

    await rig.commit_notifications(root_notification("k"))
    with capture_logs() as logs:
        await worker_with(rig, ScriptedNotifier(late, receipt=Receipt(QA, "1.5"))).deliver_batch()
    [message] = rig.visible_messages()
    shown = await rig.outbox.get_record("k")
    assert shown is not None
    assert (shown.state, shown.receipt) == (NotificationState.SENT, Receipt(QA, message.ts))
    assert rig.metric_value("zofbot_settlements_lost_total") == 1
    assert [line["attempt"] for line in logs if line["event"] == "settled too late"] == [1]


async def test_a_remedy_is_tried_once(rig: DispatcherBench) -> None:
    await rig.commit_notifications(root_notification("k"))
    double = ScriptedNotifier(failing_call(SlackRefused("invalid_blocks", "no")))
    await worker_with(rig, double).deliver_batch()
    assert double.sends == 2
    assert (await rig.state_of("k"), await rig.reason_of("k")) == (NotificationState.DEAD, "invalid_blocks")


class MemberOnlyNotifier(ScriptedNotifier):
    """A notifier that may not edit in one channel, which Slack does not confirm that it joined."""

    async def update_message(self, receipt: Receipt, message: Said, meta: Mapping[str, Any] | None = None) -> Receipt:
        if receipt.channel == QA:
            raise SlackRefused("not_in_channel", "")
        return await super().update_message(receipt, message, meta)

    async def join_channel(self, channel: str) -> None:
        raise classify_error(503, "", {})


async def test_a_join_that_slack_does_not_confirm_holds_no_edits_of_other_channels(rig: DispatcherBench) -> None:
    await rig.commit_notifications(root_notification("r"), root_notification("s", CHECKOUT))
    await rig.deliver_all()
    worker = worker_with(rig, MemberOnlyNotifier(lambda: asyncio.sleep(0)))
    await rig.commit_notifications(edit_notification("e", "r"))
    await worker.deliver_batch()
    await rig.commit_notifications(edit_notification("f", "s", CHECKOUT))
    await worker.deliver_batch()
    assert await rig.state_of("e") is NotificationState.PENDING
    assert await rig.state_of("f") is NotificationState.SENT


async def test_an_error_nobody_thought_of_counts_as_maybe_sent(rig: DispatcherBench) -> None:
    await rig.commit_notifications(root_notification("k"))
    with capture_logs() as logs:
        await worker_with(rig, ScriptedNotifier(failing_call(ZeroDivisionError()))).deliver_batch()
    assert await rig.reason_of("k") == "crashed: ZeroDivisionError"
    assert any(line["event"] == "delivery crashed" for line in logs)
    rig.world.advance(60)
    double = ScriptedNotifier(lambda: asyncio.sleep(0))
    await worker_with(rig, double).deliver_batch()
    assert (double.looks, double.sends) == (1, 1)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (SlackDeferred("ratelimited", ""), NotificationState.PENDING),
        (SlackDeferred("unreachable", ""), NotificationState.PENDING),
        (SlackUnknown("TimeoutError", ""), NotificationState.SENDING),
        (SlackRefused("no_text", ""), NotificationState.DEAD),
        (SlackRefused("message_not_found", ""), NotificationState.DEAD),
        (SlackRefused("restricted_action_thread_locked", ""), NotificationState.DEAD),
        (SlackRefused("metadata_too_large", ""), NotificationState.DEAD),
        (SlackRefused("not_in_channel", ""), NotificationState.PENDING),
        (SlackRefused("ekm_access_denied", ""), NotificationState.PENDING),
        (SlackRefused("account_inactive", ""), NotificationState.PENDING),
    ],
)
async def test_each_answer_leads_to_its_state(rig: DispatcherBench, error: Exception, state: NotificationState) -> None:
    await rig.commit_notifications(root_notification("k"))
    await worker_with(rig, ScriptedNotifier(failing_call(error))).deliver_batch()
    assert await rig.state_of("k") is state


# --- stopping


class CancelSwallowingOutbox(Outbox):
    """Loses the cancellation that comes while it settles or is measured, as redis-py may on Python 3.11."""

    busy = 0

    async def settle(self, settlements: Sequence[AttemptResult]) -> list[str]:
        await self._swallow_cancellation()
        return await super().settle(settlements)

    async def read_stats(self) -> OutboxStats:
        await self._swallow_cancellation()
        return await super().read_stats()

    async def _swallow_cancellation(self) -> None:
        self.busy += 1
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            pass
        self.busy -= 1


async def test_it_ends_though_the_store_loses_its_cancellation(rig: DispatcherBench) -> None:
    outbox = CancelSwallowingOutbox(Keyspace(rig.outbox._redis, "test"), rig.world.clock)
    await outbox.commit([root_notification("k")])
    worker = Dispatcher(outbox, rig.notifier, render_text, rig.events, rig.world.clock, random=Random(1).random)
    running = asyncio.create_task(worker.run())
    await wait_until(lambda: outbox.busy == 2)
    async with asyncio.timeout(5):
        await cancel_tasks(running)


# --- the pure parts


@pytest.mark.parametrize(
    ("reason", "helps"),
    [
        ("not_in_channel", RefusalHandling.JOIN),
        ("channel_not_found", RefusalHandling.PARK),
        ("is_archived", RefusalHandling.PARK),
        ("restricted_action", RefusalHandling.PARK),
        ("restricted_action_read_only_channel", RefusalHandling.PARK),
        ("restricted_action_thread_only_channel", RefusalHandling.PARK),
        ("restricted_action_some_new_one", RefusalHandling.PARK),
        ("restricted_action_thread_locked", RefusalHandling.NONE),
        ("token_revoked", RefusalHandling.PAUSE),
        ("missing_scope", RefusalHandling.PAUSE),
        ("invalid_blocks", RefusalHandling.PLAIN),
        ("msg_too_long", RefusalHandling.PLAIN),
        ("thread_not_found", RefusalHandling.REPOST),
        ("message_not_found", RefusalHandling.REPOST),
        ("no_text", RefusalHandling.NONE),
        ("some_word_of_tomorrow", RefusalHandling.NONE),
    ],
)
def test_each_refusal_has_its_remedy(reason: str, helps: RefusalHandling) -> None:
    assert handling_for(reason) is helps


def test_a_plan_that_is_used_up_is_waited_for_longer_than_a_busy_second() -> None:
    used_up = classify_error(200, "message_limit_exceeded", {})
    busy = classify_error(200, "ratelimited", {})
    assert isinstance(used_up, SlackDeferred)
    assert isinstance(busy, SlackDeferred)
    assert (used_up.retry_after, busy.retry_after) == (60.0, 1.0)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_backoff_is_never_nothing_and_never_too_much(attempt: int, chance: float) -> None:
    assert 0.1 <= retry_delay(attempt, chance) <= MAX_BACKOFF_SECONDS


def test_a_backoff_grows_and_is_spread_over_all_that_it_may_be() -> None:
    assert [retry_delay(attempt, 1.0) for attempt in (1, 2, 3, 7, 8)] == [
        1,
        2,
        4,
        MAX_BACKOFF_SECONDS,
        MAX_BACKOFF_SECONDS,
    ]
    assert retry_delay(5, 0.5) == 8


async def test_a_commit_beside_a_running_dispatcher_claims_for_it(rig: DispatcherBench) -> None:
    running = asyncio.create_task(rig.dispatcher.run())
    await wait_until(lambda: rig.outbox.claim_terms()[0] > 0)
    await rig.commit_notifications(root_notification("a"))
    assert [claim.notification.key for batch in rig.outbox.claimed for claim in batch] == ["a"]
    await wait_until(lambda: len(rig.visible_messages()) == 1)
    await wait_until(lambda: rig.outbox.claim_terms()[0] > 0)
    await rig.commit_notifications(root_notification("b"))
    rig.dispatcher.stop()  # before it has started what was claimed
    await running
    assert await rig.state_of("b") is NotificationState.PENDING
    await rig.commit_notifications(root_notification("c"))
    assert not rig.outbox.claimed
