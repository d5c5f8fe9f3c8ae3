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

from tests.support.bot import until
from tests.support.valkey_servers import valkey_server
from tests.support.virtual_time import SetClock
from zofbot.errands import end
from zofbot.errors import SlackDeferred, SlackRefused, SlackUnknown, StoreUnavailable
from zofbot.metrics import Metrics
from zofbot.notification import Claimed, Kind, Notification, Receipt, State
from zofbot.pipeline.delivery import LONG, LONGEST, Render, backoff
from zofbot.pipeline.dispatcher import AT_ONCE, BATCH, Dispatcher
from zofbot.pipeline.lookout import KNOCK
from zofbot.simulator.entities import BOT, Channel, Message
from zofbot.simulator.organization import furnish
from zofbot.simulator.stage import Stage
from zofbot.simulator.world import World
from zofbot.slack.message import Message as Said
from zofbot.slack.message import section
from zofbot.slack.notifier import SlackNotifier
from zofbot.slack.verdict import Remedy, remedy, verdict
from zofbot.store.entry import Depth
from zofbot.store.outbox import LEASE, MAX_AGE, Outbox
from zofbot.store.settlement import Settlement

NOW = 1_800_000_000.0
QA, CHECKOUT, RANDOM, INCIDENT, ARCHIVED = "C0QA", "C0CHECKOUT", "C0RANDOM", "C0INCIDENT", "C0OLD"


def root(key: str, channel: str = QA, **more: Any) -> Notification:
    return Notification(key=key, kind=Kind.ROOT, channel=channel, happened=NOW - 90, **{"body": {"of": key}, **more})


def reply(key: str, to: str, channel: str = QA, **more: Any) -> Notification:
    body = {"of": key, **more}
    return Notification(key=key, kind=Kind.REPLY, channel=channel, root=to, happened=NOW - 90, body=body)


def edit(key: str, of: str, channel: str = QA, said: str = "edited") -> Notification:
    return Notification(key=key, kind=Kind.EDIT, channel=channel, root=of, happened=NOW - 90, body={"of": said})


def render(claimed: Claimed, now: float) -> Said:
    text = claimed.notification.body["of"]
    return Said(text, [section(f"*{text}*")])


@dataclass
class Rig:
    """One dispatcher, its outbox, and the world it writes to, all on one clock that only tests move."""

    world: World
    outbox: Outbox
    metrics: Metrics
    notifier: SlackNotifier
    dispatcher: Dispatcher
    told: list[tuple[str, str]] = field(default_factory=list)

    async def commit(self, *notifications: Notification) -> None:
        await self.outbox.commit(notifications)

    async def turn(self, *, after: float = 0.0) -> int:
        self.world.advance(after)
        return await self.dispatcher.turn()

    async def finish(self) -> None:
        """Take turns until nothing waits any more; when there is nothing to do, time goes on."""
        for _ in range(400):
            if not await self.dispatcher.turn():
                depth = await self.outbox.depth()
                if not depth.pending + depth.sending:
                    return
                self.world.advance(0.5)
        raise AssertionError("it never ends")

    def seen(self, channel: str = QA) -> list[Message]:
        kept = self.world.slack.messages.get(channel, {}).values()
        return [message for message in kept if message.user == BOT and message.standing]

    def texts(self, channel: str = QA) -> list[str]:
        return [message.text for message in self.seen(channel)]

    def calls(self, method: str) -> int:
        return sum(call.method == method for call in self.world.slack.calls)

    async def state(self, key: str) -> State | None:
        known = await self.outbox.show(key)
        return known.state if known else None

    async def reason(self, key: str) -> str:
        known = await self.outbox.show(key)
        return known.reason if known else ""

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def world() -> World:
    made = World(SetClock(NOW))
    furnish(made)
    made.slack.messages.clear()
    return made


@asynccontextmanager
async def rigged(
    url: str, made: World, *, deadline: float = 8.0, lease: float = LEASE, clean: bool = True
) -> AsyncIterator[Rig]:
    stage = Stage(made)
    await stage.start()
    try:
        async with redis.from_url(url) as client, aiohttp.ClientSession() as session:
            if clean:
                await client.flushall()
            metrics = Metrics()
            clock = made.clock
            notifier = SlackNotifier(
                session,
                token=made.slack.bot_token,
                api_url=f"{stage.url}/api/",
                metrics=metrics,
                clock=clock,
                deadline=deadline,
            )
            outbox = Outbox(client, "test", clock)
            told: list[tuple[str, str]] = []

            async def tell(channel: str, reason: str) -> None:
                told.append((channel, reason))

            dispatcher = Dispatcher(
                outbox, notifier, render, metrics, clock, random=Random(1).random, on_parked=tell, lease=lease
            )
            yield Rig(made, outbox, metrics, notifier, dispatcher, told)
    finally:
        await stage.stop()


@pytest.fixture
async def rig(valkey: str) -> AsyncIterator[Rig]:
    async with rigged(valkey, world()) as built:
        yield built


# --- what is sent


async def test_a_root_its_reply_and_its_edit_reach_the_channel_in_their_places(rig: Rig) -> None:
    await rig.commit(root("r"), reply("p", "r"), edit("e", "r", said="recovered"))
    await rig.finish()
    top, under = rig.seen()
    assert (top.text, top.key, top.edited) == ("recovered", "r", True)
    assert (under.text, under.key, under.thread_ts, under.broadcast) == ("p", "p", top.ts, False)
    shown = await rig.outbox.show("r")
    assert shown is not None
    assert shown.receipt == Receipt(QA, top.ts)


async def test_a_reply_can_be_shown_in_the_channel_as_well(rig: Rig) -> None:
    await rig.commit(root("r"), reply("p", "r", broadcast=True))
    await rig.finish()
    assert rig.seen()[1].broadcast


async def test_ten_changes_are_one_edit(rig: Rig) -> None:
    await rig.commit(root("r"))
    await rig.finish()
    for n in range(10):
        await rig.commit(edit("e", "r", said=f"state {n}"))
    await rig.finish()
    assert rig.calls("chat.update") == 1
    assert rig.texts() == ["state 9"]


async def test_a_thousand_to_fifty_channels_are_all_seen_and_none_too_fast(rig: Rig) -> None:
    slack = rig.world.slack
    slack.hides_fast_posts = True
    channels = [f"C1{n:02}" for n in range(50)]
    slack.channels.update({name: Channel(name, name, {BOT}) for name in channels})
    await rig.commit(*(root(f"k{n}", channels[n % 50]) for n in range(1000)))
    began = rig.world.now()
    await rig.finish()
    assert Counter(message.key for message in slack.ledger) == Counter({f"k{n}": 1 for n in range(1000)})
    assert not [message for message in slack.ledger if message.hidden]
    assert not [call for call in slack.calls if call.error]
    assert rig.world.now() - began <= 40


async def test_each_attempt_is_one_line_and_one_count(rig: Rig) -> None:
    rig.world.slack.faults.set("store_then_cut", 1, "chat.postMessage")
    with capture_logs() as logs:
        await rig.commit(root("k"))
        await rig.finish()
    lines = [line for line in logs if line["event"] == "delivery"]
    assert [(line["attempt"], line["outcome"], line["reason"]) for line in lines] == [
        (1, "unknown", "ServerDisconnectedError"),
        (2, "adopted", ""),
    ]
    assert {"key", "kind", "channel", "ms"} <= set(lines[0])
    assert rig.count("zofbot_notifications_total", kind="root", outcome="unknown", reason="unconfirmed") == 1
    assert rig.count("zofbot_notifications_total", kind="root", outcome="adopted", reason="none") == 1
    assert rig.count("zofbot_finds_total", outcome="found") == 1
    assert rig.count("zofbot_delivery_seconds_count", since="commit") == 1
    assert rig.count("zofbot_delivery_seconds_sum", since="happened") >= 90


# --- the three answers

FAULTS = ["429", "429_fraction", "ratelimited_200", "500", "502", "cut", "store_then_500", "store_then_cut", "slow"]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_slack_answers_there_is_one_message_each(valkey: str, fault: str, times: int) -> None:
    made = world()
    made.slack.faults.delays["slow"] = 0.6
    async with rigged(valkey, made, deadline=0.25 if fault == "slow" else 8.0) as rig:
        made.slack.faults.set(fault, times, "chat.postMessage")
        await rig.commit(root("r"), reply("p", "r"), root("other", CHECKOUT))
        await rig.finish()
        made.slack.faults.set(fault, times, "chat.postMessage")
        await rig.commit(reply("q", "r"))
        await rig.finish()
        assert sorted(message.key or "" for message in made.slack.ledger) == ["other", "p", "q", "r"]
        assert len({message.thread_ts for message in rig.seen() if message.key in ("p", "q")}) == 1


@pytest.mark.parametrize("fault", ["cut", "store_then_cut", "store_then_500", "429"])
async def test_an_edit_is_simply_made_again(rig: Rig, fault: str) -> None:
    await rig.commit(root("r"))
    await rig.finish()
    rig.world.slack.faults.set(fault, 2, "chat.update")
    await rig.commit(edit("e", "r", said="recovered"))
    await rig.finish()
    assert rig.texts() == ["recovered"]
    assert rig.calls("conversations.history") == 0


async def test_a_busy_slack_holds_the_channel_for_as_long_as_it_asks(rig: Rig) -> None:
    rig.world.slack.faults.set("429_fraction", 1)
    await rig.commit(root("k"), root("l"), root("elsewhere", CHECKOUT))
    await rig.turn()
    waiting = {QA: rig.texts(), CHECKOUT: rig.texts(CHECKOUT)}
    assert sorted(map(len, waiting.values())) in ([0, 2], [1, 1])
    [held] = await rig.outbox.list(State.PENDING)
    assert held.reason == "ratelimited"
    await rig.turn(after=0.49)
    assert await rig.state(held.key) is State.PENDING
    await rig.turn(after=1.01)
    assert await rig.state(held.key) is State.SENT


async def test_what_may_be_there_is_found_behind_pages_of_other_messages(rig: Rig) -> None:
    slack = rig.world.slack
    slack.faults.set("store_then_cut", 1, "chat.postMessage")
    await rig.commit(root("k"))
    await rig.turn()
    for n in range(450):
        slack.keep(Message(QA, slack.stamp(), "U0ANA", f"chatter {n}"))
    await rig.finish()
    assert rig.calls("conversations.history") == 3
    assert rig.calls("chat.postMessage") == 1
    assert await rig.state("k") is State.SENT


async def test_what_may_be_there_is_found_in_its_thread(rig: Rig) -> None:
    await rig.commit(root("r"))
    await rig.finish()
    rig.world.slack.faults.set("store_then_cut", 1, "chat.postMessage")
    await rig.commit(reply("p", "r"))
    await rig.finish()
    assert rig.calls("conversations.replies") == 1
    assert rig.calls("conversations.history") == 0
    assert len(rig.seen()) == 2


@pytest.mark.parametrize("off", [-250.0, 250.0])
async def test_clocks_that_differ_by_minutes_hide_nothing(rig: Rig, off: float, valkey: str) -> None:
    rig.world.slack.now = lambda: rig.world.now() + off
    rig.world.slack.faults.set("store_then_cut", 1, "chat.postMessage")
    await rig.commit(root("k"))
    await rig.finish()
    assert [message.key for message in rig.world.slack.ledger] == ["k"]


async def test_a_channel_that_cannot_be_looked_into_is_parked_and_looked_into_once_it_is_back(rig: Rig) -> None:
    rig.world.slack.faults.set("store_then_cut", 1, "chat.postMessage")
    await rig.commit(root("k"))
    await rig.turn()
    gone = rig.world.slack.channels.pop(QA)
    await rig.turn(after=60)
    assert [(one.channel, one.reason) for one in await rig.outbox.parked()] == [(QA, "channel_not_found")]
    rig.world.slack.channels[QA] = gone
    await rig.outbox.unpark(QA)
    await rig.finish()
    assert (rig.texts(), rig.calls("chat.postMessage")) == (["k"], 1)


async def test_without_the_scope_to_look_nothing_is_sent_again(rig: Rig) -> None:
    rig.world.slack.scopes.discard("channels:history")
    rig.world.slack.faults.set("store_then_cut", 1, "chat.postMessage")
    await rig.commit(root("k"))
    with capture_logs() as logs:
        await rig.turn()
        for _ in range(int(MAX_AGE / LONG / 4)):
            await rig.turn(after=LONG)
    assert rig.calls("chat.postMessage") == 1
    assert await rig.reason("k") == "cannot look: missing_scope"
    assert any(line["event"] == "cannot look whether it was sent" for line in logs)
    rig.world.slack.scopes.add("channels:history")
    rig.world.advance(LONG)
    await rig.finish()
    assert len(rig.seen()) == 1
    assert await rig.state("k") is State.SENT


async def test_what_nobody_could_look_for_in_a_day_is_dead_and_not_sent_again(rig: Rig) -> None:
    rig.world.slack.scopes.discard("channels:history")
    rig.world.slack.faults.set("cut", 1, "chat.postMessage")
    await rig.commit(root("k"))
    for _ in range(30):
        await rig.turn(after=3600)
    assert await rig.state("k") is State.DEAD
    assert rig.calls("chat.postMessage") == 1
    assert rig.count("zofbot_dead_letters_total") == 1


@pytest.mark.parametrize("fault", ["429", "500", "cut"])
async def test_looking_may_fail_too_and_then_it_is_looked_for_again(rig: Rig, fault: str) -> None:
    rig.world.slack.faults.set("store_then_cut", 1, "chat.postMessage")
    await rig.commit(root("k"))
    await rig.turn()
    rig.world.slack.faults.set(fault, 2, "conversations.history")
    await rig.finish()
    assert rig.calls("conversations.history") == 3
    assert [message.key for message in rig.world.slack.ledger] == ["k"]


async def test_looking_where_only_members_may_joins_first(rig: Rig) -> None:
    rig.world.slack.faults.set("store_then_cut", 1, "chat.postMessage")
    await rig.commit(root("k", RANDOM))
    await rig.finish()
    assert BOT in rig.world.slack.channels[RANDOM].members
    assert rig.calls("chat.postMessage") == 1
    assert rig.texts(RANDOM) == ["k"]


async def test_slack_out_of_reach_is_tried_again(valkey: str) -> None:
    made = world()
    async with rigged(valkey, made) as rig:
        base, rig.notifier.client.base_url = rig.notifier.client.base_url, "http://127.0.0.1:9/api/"
        await rig.commit(root("k"))
        await rig.turn()
        assert await rig.reason("k") == "unreachable"
        rig.notifier.client.base_url = base
        await rig.finish()
        assert rig.texts() == ["k"]
        assert rig.calls("conversations.history") == 0


# --- refusals, each its own way


async def test_a_public_channel_that_wants_members_is_joined_once(rig: Rig) -> None:
    rig.world.slack.scopes.discard("chat:write.public")
    await rig.commit(root("k", RANDOM), root("l", RANDOM))
    await rig.turn()
    await rig.finish()
    assert sorted(rig.texts(RANDOM)) == ["k", "l"]
    assert rig.calls("chat.postMessage") <= 4


@pytest.mark.parametrize("missing", ["channels:join", "nothing"])
async def test_a_channel_that_cannot_be_joined_is_parked(rig: Rig, missing: str) -> None:
    rig.world.slack.scopes -= {"chat:write.public", missing}
    channel = rig.world.slack.channels[INCIDENT if missing == "nothing" else RANDOM]
    await rig.commit(root("k", channel.id))
    await rig.turn(after=5)
    [parked] = await rig.outbox.parked()
    assert (parked.channel, parked.waiting) == (channel.id, 1)
    assert parked.reason == ("channel_not_found" if channel.private else "not_in_channel")
    channel.members.add(BOT)
    await rig.outbox.unpark(channel.id)
    await rig.finish()
    assert rig.texts(channel.id) == ["k"]


@pytest.mark.parametrize("how", ["is_archived", "restricted_action", "restricted_action_read_only_channel", "gone"])
async def test_a_channel_that_refuses_keeps_everything_until_it_is_mended(rig: Rig, how: str) -> None:
    slack = rig.world.slack
    channel = slack.channels[QA]
    await rig.commit(root("r"))
    await rig.finish()
    channel.archived = how == "is_archived"
    channel.restricted = how if how.startswith("restricted") else ""
    if how == "gone":
        del slack.channels[QA]
    await rig.commit(root("k"), root("l"), reply("p", "r"), root("elsewhere", CHECKOUT))
    for _ in range(20):
        await rig.turn(after=60)
    refused = rig.calls("chat.postMessage") - 2
    assert refused <= 2
    assert [one.key for one in await rig.outbox.list(State.DEAD)] == []
    assert (await rig.outbox.parked())[0].waiting == 3
    assert rig.texts(CHECKOUT) == ["elsewhere"]
    slack.channels[QA] = channel
    channel.archived, channel.restricted = False, ""
    assert await rig.outbox.unpark(QA) == 3
    await rig.finish()
    assert rig.texts() == ["r", "k", "l", "p"]


async def test_a_token_that_was_revoked_buries_nothing(rig: Rig) -> None:
    rig.world.slack.bot_token = "xoxb-another"
    await rig.commit(*(root(f"k{n}", channel) for n, channel in enumerate([QA, CHECKOUT] * 3)))
    with capture_logs() as logs:
        for _ in range(300):
            await rig.turn(after=1)
    assert rig.calls("chat.postMessage") <= 4 + 11
    errors = [line for line in logs if line["event"] == "outbox paused"]
    assert errors[0]["reason"] == "invalid_auth"
    assert "SLACK_BOT_TOKEN" in errors[0]["mend"]
    assert await rig.outbox.list(State.DEAD) == []
    rig.world.slack.bot_token = rig.notifier.client.token or ""
    await rig.finish()
    assert len(rig.world.slack.ledger) == 6


async def test_a_missing_scope_pauses_too(rig: Rig) -> None:
    rig.world.slack.scopes.discard("chat:write")
    await rig.commit(root("k"))
    await rig.turn()
    assert (await rig.outbox.depth()).paused == "missing_scope"
    rig.world.slack.scopes.add("chat:write")
    await rig.finish()
    assert rig.texts() == ["k"]


async def test_a_card_that_slack_refuses_is_said_in_plain_words(rig: Rig) -> None:
    rig.world.slack.takes_blocks = False
    await rig.commit(root("k"))
    await rig.finish()
    [message] = rig.seen()
    assert message.text.startswith("k\n")
    assert len(message.text.splitlines()) == 3
    assert message.blocks == []
    assert message.key == "k"


async def test_an_edit_that_slack_refuses_is_said_in_plain_words(rig: Rig) -> None:
    await rig.commit(root("r"))
    await rig.finish()
    rig.world.slack.takes_blocks = False
    await rig.commit(edit("e", "r", said="recovered"))
    await rig.finish()
    assert rig.texts()[0].startswith("recovered\n")


async def test_a_root_that_a_person_deleted_is_posted_once_more_with_what_belongs_to_it(rig: Rig) -> None:
    await rig.commit(root("r"))
    await rig.finish()
    rig.seen()[0].deleted = True
    await rig.commit(reply("p", "r"), reply("q", "r"), edit("e", "r", said="recovered"))
    await rig.finish()
    top, *under = rig.seen()
    assert (top.text, top.key) == ("recovered", "r:2")
    assert [(message.key, message.thread_ts) for message in under] == [("p", top.ts), ("q", top.ts)]
    top.deleted = True
    await rig.commit(edit("e", "r", said="failed again"))
    await rig.finish()
    assert rig.texts() == ["p", "q"], "it is posted afresh once and never again"
    assert await rig.outbox.removed() == {"r:2": QA}
    await rig.commit(reply("s", "r"))
    await rig.finish()
    assert await rig.reason("s") == "its root is dropped"
    assert rig.world.slack.doubled() == []


@pytest.mark.parametrize("fault", ["store_then_cut", "cut", "store_then_500"])
async def test_a_fresh_root_is_posted_once_too(rig: Rig, fault: str) -> None:
    await rig.commit(root("r"))
    await rig.finish()
    rig.seen()[0].deleted = True
    await rig.commit(reply("p", "r"))
    await rig.turn()
    rig.world.slack.faults.set(fault, 1, "chat.postMessage")
    await rig.finish()
    assert [message.key for message in rig.world.slack.ledger] == ["r", "r:2", "p"]


async def test_a_card_that_cannot_be_drawn_is_a_dead_letter_and_holds_nobody_up(rig: Rig) -> None:
    await rig.commit(root("broken", body={}), root("k"))
    with capture_logs() as logs:
        await rig.finish()
    assert rig.texts() == ["k"]
    assert await rig.reason("broken") == "cannot be drawn: KeyError"
    assert any(line["event"] == "notification cannot be drawn" for line in logs)


async def test_what_belongs_to_a_root_that_died_is_dropped_and_counted(rig: Rig) -> None:
    await rig.commit(root("r", body={}), reply("p", "r"))
    with capture_logs() as logs:
        await rig.finish()
    assert (rig.texts(), await rig.state("p"), await rig.reason("p")) == ([], State.DROPPED, "its root is dead")
    assert rig.count("zofbot_notifications_total", kind="reply", outcome="dropped", reason="root_lost") == 1
    assert [line["key"] for line in logs if line["event"] == "dropped"] == ["p"]


# --- who is told of a channel that refuses


async def test_somebody_is_told_once_of_a_channel_that_refuses(valkey: str) -> None:
    made = world()
    async with rigged(valkey, made) as rig, running(rig):
        await rig.commit(root("k", ARCHIVED), root("l", ARCHIVED))
        await until(lambda: rig.told == [(ARCHIVED, "is_archived")])
        await until(lambda: is_told(rig))
        await until(lambda: rig.count("zofbot_outbox", state="parked_channels") == 1)
        await rig.commit(root("m", ARCHIVED))
    assert rig.told == [(ARCHIVED, "is_archived")]


async def is_told(rig: Rig) -> bool:
    return all(parked.told for parked in await rig.outbox.parked())


async def test_a_worker_that_died_before_it_told_somebody_is_followed_by_one_that_does(valkey: str) -> None:
    made = world()
    async with rigged(valkey, made) as rig:
        await rig.commit(root("k", ARCHIVED))
        await rig.turn()
        async with rigged(valkey, made, clean=False) as other, running(other):
            await until(lambda: other.told == [(ARCHIVED, "is_archived")])


async def test_a_channel_that_was_mended_and_nobody_said_so_is_tried_again(valkey: str) -> None:
    made = world()
    async with rigged(valkey, made) as rig, running(rig):
        await rig.commit(root("k", ARCHIVED))
        await until(lambda: rig.told == [(ARCHIVED, "is_archived")])
        await until(lambda: is_told(rig))
    made.slack.channels[ARCHIVED].archived = False
    made.advance(KNOCK)
    async with rigged(valkey, made, clean=False) as rig, running(rig):
        await until(lambda: rig.texts(ARCHIVED) == ["k"])
        assert await rig.outbox.parked() == []


@pytest.mark.parametrize(
    ("error", "said"),
    [(KeyError(ARCHIVED), "nobody was told"), (StoreUnavailable("Redis is out of reach."), "outbox not measured")],
)
async def test_nobody_to_tell_does_not_end_the_deliveries(valkey: str, error: Exception, said: str) -> None:
    made = world()
    async with rigged(valkey, made) as rig:

        async def broken(channel: str, reason: str) -> None:
            raise error

        worker = Dispatcher(
            rig.outbox, rig.notifier, render, rig.metrics, made.clock, random=Random(1).random, on_parked=broken
        )
        with capture_logs() as logs:
            async with running_one(worker):
                await rig.commit(root("k", ARCHIVED))
                await until(lambda: any(line["event"] == said for line in logs))
                await rig.commit(root("l"))
                await until(lambda: rig.texts() == ["l"])
        assert not (await rig.outbox.parked())[0].told


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
async def running(rig: Rig) -> AsyncIterator[asyncio.Task[None]]:
    """Run it; meanwhile time passes, for what is put back on a busy machine waits for its channel's next second."""
    passing = asyncio.create_task(_pass_time(rig.world))
    try:
        async with running_one(rig.dispatcher) as task:
            yield task
    finally:
        await end(passing)


async def _pass_time(made: World) -> None:
    while True:
        await asyncio.sleep(0.01)
        made.advance(0.01)


async def test_it_delivers_by_itself_what_any_process_commits(valkey: str) -> None:
    made = world()
    made.slack.paced = False
    async with rigged(valkey, made) as rig, rigged(valkey, made, clean=False) as other, running(rig):
        await rig.commit(root("mine"))
        await other.commit(root("theirs", CHECKOUT))
        await until(lambda: rig.texts() == ["mine"] and rig.texts(CHECKOUT) == ["theirs"])
        await until(lambda: settled(rig))
    assert rig.count("zofbot_outbox", state="dead") == 0


async def settled(rig: Rig) -> bool:
    depth = await rig.outbox.depth()
    return depth.pending + depth.sending == 0


async def test_two_workers_send_each_message_once(valkey: str) -> None:
    made = world()
    made.slack.paced = False
    channels = [f"C1{n:02}" for n in range(150)]
    made.slack.channels.update({name: Channel(name, name, {BOT}) for name in channels})
    async with rigged(valkey, made) as rig, rigged(valkey, made, clean=False) as other:
        await rig.commit(*(root(f"k{n}", channels[n // 2]) for n in range(300)))
        async with running(rig), running(other):
            await until(lambda: settled(rig), 30)
    assert Counter(message.key for message in made.slack.ledger) == Counter({f"k{n}": 1 for n in range(300)})
    sent = {"kind": "root", "outcome": "sent", "reason": "none"}
    shares = [each.count("zofbot_notifications_total", **sent) for each in (rig, other)]
    assert sum(shares) == 300


async def test_told_to_stop_it_claims_no_more_and_finishes_what_is_under_way(valkey: str) -> None:
    made = world()
    made.slack.faults.delays["slow"] = 0.3
    made.slack.faults.set("slow")
    async with rigged(valkey, made) as rig:
        await rig.commit(root("k"))
        async with running(rig):
            await until(lambda: rig.calls("chat.postMessage") == 1)
            rig.dispatcher.stop()
            await rig.commit(root("l", CHECKOUT))
        assert await rig.state("k") is State.SENT
        assert await rig.state("l") is State.PENDING


async def test_what_does_not_finish_in_time_is_left_as_claimed_and_looked_for_later(valkey: str) -> None:
    made = world()
    async with rigged(valkey, made) as rig:
        double = Scripted(lambda: asyncio.sleep(3600), deadline=0.05)
        async with running_one(worker_with(rig, double)):
            await rig.commit(root("k"))
            await until(lambda: double.running == 1)
        assert await rig.state("k") is State.SENDING
        rig.world.advance(LEASE)
        await rig.finish()
        assert rig.calls("conversations.history") == 1
        assert rig.texts() == ["k"]


async def test_a_store_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    made = world()
    with valkey_server(tmp_path) as url:
        async with rigged(url, made) as rig, running(rig):
            await rig.commit(root("k"))
            await until(lambda: rig.texts() == ["k"])
            async with redis.from_url(url) as client:
                os.kill(int((await client.info("server"))["process_id"]), signal.SIGKILL)
            with capture_logs() as logs:
                await until(lambda: any(line["event"] == "outbox out of reach" for line in logs))
            with pytest.raises(StoreUnavailable):
                await rig.commit(root("l"))
            with valkey_server(tmp_path):
                await rig.commit(root("l"))
                await until(lambda: rig.texts() == ["k", "l"])
                await until(lambda: settled(rig))


async def test_a_store_that_goes_while_something_is_sent_hears_of_it_when_it_is_back(tmp_path: Path) -> None:
    made = world()
    go, sent = asyncio.Event(), Receipt(QA, "1.5")
    with valkey_server(tmp_path) as url:
        async with rigged(url, made) as rig:
            double = Scripted(go.wait, receipt=sent)
            async with running_one(worker_with(rig, double)):
                await rig.commit(root("k"))
                await until(lambda: double.running == 1)
                async with redis.from_url(url) as client:
                    os.kill(int((await client.info("server"))["process_id"]), signal.SIGKILL)
                with capture_logs() as logs:
                    go.set()
                    await until(lambda: any(line["event"] == "settlements wait for the store" for line in logs))
                with valkey_server(tmp_path):
                    await until(lambda: settled(rig))
                    shown = await rig.outbox.show("k")
                    assert shown is not None
                    assert shown.receipt == sent


async def test_what_the_store_does_not_hear_of_before_the_end_is_looked_for_later(tmp_path: Path) -> None:
    made = world()
    go = asyncio.Event()
    with valkey_server(tmp_path) as url:
        async with rigged(url, made) as rig:
            double = Scripted(go.wait)
            with capture_logs() as logs:
                async with running_one(worker_with(rig, double)):
                    await rig.commit(root("k"))
                    await until(lambda: double.running == 1)
                    async with redis.from_url(url) as client:
                        os.kill(int((await client.info("server"))["process_id"]), signal.SIGKILL)
                    go.set()
                    await until(lambda: any(line["event"] == "settlements wait for the store" for line in logs))
            assert [line["count"] for line in logs if line["event"] == "settlements left to their lease"] == [1]
            with valkey_server(tmp_path):
                made.advance(LEASE)
                await rig.finish()
            assert (rig.calls("conversations.history"), rig.texts()) == (1, ["k"])


# --- limits of one worker, with a double that does what it is told


class Scripted:
    """A notifier whose sends do what they are told, and which counts them."""

    def __init__(self, send: Callable[[], Any], *, receipt: Receipt | None = None, deadline: float = 8.0) -> None:
        self.deadline = deadline
        self._send = send
        self._receipt = receipt or Receipt(QA, "1.0")
        self.sends = self.running = self.most = self.looks = 0

    async def send(
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

    async def update(self, receipt: Receipt, message: Said, meta: Mapping[str, Any] | None = None) -> Receipt:
        await self._send()
        return receipt

    async def find(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        self.looks += 1
        return None

    async def is_standing(self, receipt: Receipt) -> bool:
        self.looks += 1
        return False

    async def join(self, channel: str) -> None:
        raise SlackRefused("is_archived", "")


def worker_with(rig: Rig, notifier: Scripted, *, lease: float = LEASE, render: Render = render) -> Dispatcher:
    return Dispatcher(rig.outbox, notifier, render, rig.metrics, rig.world.clock, random=Random(1).random, lease=lease)


def failing(error: Exception) -> Callable[[], Any]:
    async def send() -> None:
        raise error

    return send


async def test_only_so_many_calls_are_made_at_once(rig: Rig) -> None:
    await rig.commit(*(root(f"k{n}", f"C{n}") for n in range(90)))
    double = Scripted(lambda: asyncio.sleep(0.01))
    assert await worker_with(rig, double).turn() == 90
    assert double.most == AT_ONCE


async def test_a_claim_takes_only_so_many(rig: Rig) -> None:
    await rig.commit(*(root(f"k{n}", f"C{n}") for n in range(BATCH + 20)))
    double = Scripted(lambda: asyncio.sleep(0))
    worker = worker_with(rig, double)
    assert [await worker.turn() for _ in range(3)] == [BATCH, 20, 0]


async def test_what_cannot_be_begun_promptly_is_put_back(rig: Rig) -> None:
    await rig.commit(*(root(f"k{n}", f"C{n}") for n in range(AT_ONCE + 5)))
    double = Scripted(lambda: asyncio.sleep(1.1))
    await worker_with(rig, double).turn()
    assert double.sends == AT_ONCE
    assert (await rig.outbox.depth()).pending == 5
    assert rig.count("zofbot_notifications_total", kind="root", outcome="snoozed", reason="none") == 5


async def test_nothing_is_sent_that_could_end_after_its_lease(rig: Rig) -> None:
    await rig.commit(root("k"))
    double = Scripted(lambda: asyncio.sleep(0), deadline=8.0)
    await worker_with(rig, double, lease=8.0).turn()
    assert double.sends == 0
    assert await rig.state("k") is State.PENDING


async def test_a_machine_that_was_suspended_does_not_send_what_another_may_have_sent_meanwhile(rig: Rig) -> None:
    """Its loop's clock stands still for so long, as Linux' CLOCK_MONOTONIC does (clock_gettime(2))."""

    def suspended(claimed: Claimed, now: float) -> Said:
        rig.world.advance(LEASE)
        return render(claimed, now)

    await rig.commit(root("k"))
    double = Scripted(lambda: asyncio.sleep(0))
    await worker_with(rig, double, render=suspended).turn()
    assert double.sends == 0
    await rig.finish()
    assert rig.texts() == ["k"]


async def test_a_send_that_ends_after_its_lease_is_left_to_whoever_has_it_now(rig: Rig) -> None:
    async def late() -> None:
        await rig.turn(after=LEASE)

    await rig.commit(root("k"))
    with capture_logs() as logs:
        await worker_with(rig, Scripted(late, receipt=Receipt(QA, "1.5"))).turn()
    [message] = rig.seen()
    shown = await rig.outbox.show("k")
    assert shown is not None
    assert (shown.state, shown.receipt) == (State.SENT, Receipt(QA, message.ts))
    assert rig.count("zofbot_settlements_lost_total") == 1
    assert [line["attempt"] for line in logs if line["event"] == "settled too late"] == [1]


async def test_a_remedy_is_tried_once(rig: Rig) -> None:
    await rig.commit(root("k"))
    double = Scripted(failing(SlackRefused("invalid_blocks", "no")))
    await worker_with(rig, double).turn()
    assert double.sends == 2
    assert (await rig.state("k"), await rig.reason("k")) == (State.DEAD, "invalid_blocks")


async def test_an_error_nobody_thought_of_counts_as_maybe_sent(rig: Rig) -> None:
    await rig.commit(root("k"))
    with capture_logs() as logs:
        await worker_with(rig, Scripted(failing(ZeroDivisionError()))).turn()
    assert await rig.reason("k") == "crashed: ZeroDivisionError"
    assert any(line["event"] == "delivery crashed" for line in logs)
    rig.world.advance(60)
    double = Scripted(lambda: asyncio.sleep(0))
    await worker_with(rig, double).turn()
    assert (double.looks, double.sends) == (1, 1)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (SlackDeferred("ratelimited", ""), State.PENDING),
        (SlackDeferred("unreachable", ""), State.PENDING),
        (SlackUnknown("TimeoutError", ""), State.SENDING),
        (SlackRefused("no_text", ""), State.DEAD),
        (SlackRefused("message_not_found", ""), State.DEAD),
        (SlackRefused("restricted_action_thread_locked", ""), State.DEAD),
        (SlackRefused("metadata_too_large", ""), State.DEAD),
        (SlackRefused("not_in_channel", ""), State.PENDING),
        (SlackRefused("ekm_access_denied", ""), State.PENDING),
        (SlackRefused("account_inactive", ""), State.PENDING),
    ],
)
async def test_each_answer_leads_to_its_state(rig: Rig, error: Exception, state: State) -> None:
    await rig.commit(root("k"))
    await worker_with(rig, Scripted(failing(error))).turn()
    assert await rig.state("k") is state


# --- stopping


class Deaf(Outbox):
    """Loses the cancellation that comes while it settles or is measured, as redis-py may on Python 3.11."""

    busy = 0

    async def settle(self, settlements: Sequence[Settlement]) -> list[str]:
        await self._deafly()
        return await super().settle(settlements)

    async def depth(self) -> Depth:
        await self._deafly()
        return await super().depth()

    async def _deafly(self) -> None:
        self.busy += 1
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            pass
        self.busy -= 1


async def test_it_ends_though_the_store_loses_its_cancellation(rig: Rig) -> None:
    outbox = Deaf(rig.outbox._redis, "test", rig.world.clock)
    await outbox.commit([root("k")])
    worker = Dispatcher(outbox, rig.notifier, render, rig.metrics, rig.world.clock, random=Random(1).random)
    running = asyncio.create_task(worker.run())
    await until(lambda: outbox.busy == 2)
    async with asyncio.timeout(5):
        await end(running)


# --- the pure parts


@pytest.mark.parametrize(
    ("reason", "helps"),
    [
        ("not_in_channel", Remedy.JOIN),
        ("channel_not_found", Remedy.PARK),
        ("is_archived", Remedy.PARK),
        ("restricted_action", Remedy.PARK),
        ("restricted_action_read_only_channel", Remedy.PARK),
        ("restricted_action_thread_only_channel", Remedy.PARK),
        ("restricted_action_some_new_one", Remedy.PARK),
        ("restricted_action_thread_locked", Remedy.NONE),
        ("token_revoked", Remedy.PAUSE),
        ("missing_scope", Remedy.PAUSE),
        ("invalid_blocks", Remedy.PLAIN),
        ("msg_too_long", Remedy.PLAIN),
        ("thread_not_found", Remedy.REPOST),
        ("message_not_found", Remedy.REPOST),
        ("no_text", Remedy.NONE),
        ("some_word_of_tomorrow", Remedy.NONE),
    ],
)
def test_each_refusal_has_its_remedy(reason: str, helps: Remedy) -> None:
    assert remedy(reason) is helps


def test_a_plan_that_is_used_up_is_waited_for_longer_than_a_busy_second() -> None:
    used_up = verdict(200, "message_limit_exceeded", {})
    busy = verdict(200, "ratelimited", {})
    assert isinstance(used_up, SlackDeferred)
    assert isinstance(busy, SlackDeferred)
    assert (used_up.retry_after, busy.retry_after) == (60.0, 1.0)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_backoff_is_never_nothing_and_never_too_much(attempt: int, chance: float) -> None:
    assert 0.1 <= backoff(attempt, chance) <= LONGEST


def test_a_backoff_grows_and_is_spread_over_all_that_it_may_be() -> None:
    assert [backoff(attempt, 1.0) for attempt in (1, 2, 3, 7, 8)] == [1, 2, 4, LONGEST, LONGEST]
    assert backoff(5, 0.5) == 8
