"""The canary: it walks the whole way, nothing is left of it, and each link that breaks is named in time."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.support.bot import RunningBot, running_bot, text_of, wait_until
from tests.support.metric_values import metric_value
from tests.support.valkey_servers import valkey_server
from tests.support.virtual_time import machine_clock
from zofbot.app import run_bot
from zofbot.clients import Clients, make_zof_client
from zofbot.clock import Clock, MovableClock
from zofbot.concurrency import cancel_tasks
from zofbot.domain.durations import MAX_CLOCK_SKEW_SECONDS, clock_offset
from zofbot.domain.errors import StoreUnavailable, ZofRejected, ZofUnavailable
from zofbot.notifications.notification import NotificationKind, NotificationState
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import ZofCall
from zofbot.observability.metric_labels import CANARY_LINKS
from zofbot.services import canary_diagnosis
from zofbot.services.canary import CANARY_LEASE, Canary, CanaryCycle, CanarySettings, ZofClock, lease_seconds
from zofbot.services.canary_probe import CANARY_HASH, CanaryProbes, build_canary_alert
from zofbot.simulator.quota import BurstLimit, MinuteQuota
from zofbot.simulator.seed import ANA, QA_ALERTS
from zofbot.simulator.slack.model import BOT_USER_ID, Channel, PostedMessage
from zofbot.store.audit import AuditLog
from zofbot.store.decoding import decode_text
from zofbot.store.leases import Lease
from zofbot.store.outbox import Outbox
from zofbot.store.records import OutboxRecord, OutboxStats, ParkedChannel
from zofbot.zof.client import TimeBudget

CAGE = "C0CANARY"
SOON = TimeBudget(1.0, background=True)


Hatch = Callable[..., Canary]


@pytest.fixture
async def hatch() -> AsyncIterator[Hatch]:
    """Make one more process's canary, over the same store, Slack and Zof."""
    async with AsyncExitStack() as stack:

        def made(
            bot: RunningBot, *, within: float = 5.0, interval: float = 300.0, outbox: Outbox | None = None
        ) -> Canary:
            watch, store = ZofClock(bot.world.clock), bot.app.store
            events = EventEmitter()
            events.add_hook(ZofCall, watch.read_reply_time)
            zof = make_zof_client(bot.settings, events, bot.world.clock, store)
            stack.push_async_callback(zof.aclose)
            settings = CanarySettings(CAGE, interval, within, SOON)
            clients = Clients(store, zof, bot.app.notifier)
            return Canary(settings, clients, outbox or bot.app.outbox, watch, bot.app.events)

        yield made


def canary_channel(bot: RunningBot) -> Channel:
    channel = Channel(CAGE, "canary", {ANA, BOT_USER_ID}, private=True)
    return bot.world.slack.channels.setdefault(CAGE, channel)


def delivering_bot(store_url: str, **settings: Any) -> AbstractAsyncContextManager[RunningBot]:
    """Start a bot that polls once and delivers. It compares its time with that of Redis, which is the machine's."""
    options: dict[str, Any] = {"workers": True, "history": False, "zofbot_poll_interval": 3600} | settings
    return running_bot(store_url, clock=machine_clock(), **options)


@pytest.fixture
async def working_bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with delivering_bot(store_url) as bot:
        canary_channel(bot)
        sample = partial(metric_value, bot.app.metrics)
        polled = {"outcome": "done"}
        await wait_until(
            lambda: (sample("zofbot_poll_turns_total", polled) or 0) > 0
        )  # what follows is the canary's alone
        yield bot


@pytest.fixture
async def idle_bot(store_url: str) -> AsyncIterator[RunningBot]:
    """A bot that serves requests and does not deliver."""
    async with running_bot(store_url, clock=machine_clock()) as bot:
        canary_channel(bot)
        yield bot


def sent_probes(bot: RunningBot) -> list[PostedMessage]:
    return [item for item in bot.world.slack.ledger if item.channel == CAGE]


def standing_probes(bot: RunningBot) -> list[PostedMessage]:
    return [probe for probe in sent_probes(bot) if probe.is_visible]


def failure_counts(bot: RunningBot) -> dict[str, float]:
    sample = partial(metric_value, bot.app.metrics)
    return {link: sample("zofbot_canary_failures_total", {"link": link}) or 0.0 for link in CANARY_LINKS}


def failed_links(turn: CanaryCycle) -> set[str]:
    return {each_fault.link for each_fault in turn.faults}


async def kept_probes(bot: RunningBot) -> set[str]:
    """The names of all that Redis holds."""
    return {decode_text(name).partition(":")[2] for name in await bot.app.store.client.keys()}


# --- when OK


async def test_it_is_sent_seen_and_removed_and_nothing_is_left_of_it(working_bot: RunningBot, hatch: Hatch) -> None:
    before = await kept_probes(working_bot)
    turn = await hatch(working_bot).probe_once()
    assert (turn.leads, turn.faults) == (True, [])
    [one] = sent_probes(working_bot)
    assert (one.idempotency_key or "").startswith("canary:")
    assert one.deleted
    assert "Test alert. Nothing failed." in text_of(one)
    assert "zofbot's canary" in text_of(one)
    left = {name for name in await kept_probes(working_bot) - before if not name.startswith("claim:")}
    assert left <= {"lease:canary", "fence:canary", "outbox:sequence", "outbox:pace", "outbox:due"}
    assert await working_bot.app.outbox.get_record(one.idempotency_key or "") is None
    assert one.idempotency_key not in [
        entry.key for entry in await working_bot.app.outbox.list_records(NotificationState.SENT)
    ]


async def test_how_long_it_took_and_when_it_came_through_are_counted(working_bot: RunningBot, hatch: Hatch) -> None:
    sample = partial(metric_value, working_bot.app.metrics)
    began = working_bot.world.clock.time()
    await hatch(working_bot).probe_once()
    assert sample("zofbot_canary_seconds_count") == 1
    assert 0 < (sample("zofbot_canary_seconds_sum") or 0) < 10
    assert (sample("zofbot_canary_last_success_timestamp_seconds") or 0) > began
    assert failure_counts(working_bot) == dict.fromkeys(CANARY_LINKS, 0.0)
    assert sample("zofbot_lease_held", {"lease": "canary"}) == 1
    assert sample("zofbot_lease_takeovers_total", {"lease": "canary"}) == 1


async def test_nobody_who_works_on_failures_sees_it(working_bot: RunningBot, hatch: Hatch) -> None:
    working_bot.world.slack.keeps_everything = True
    await working_bot.type_text("/zof subscribe project:*", channel=CAGE)
    await hatch(working_bot).probe_once()
    for typed in ("/zof triage", "/zof triage all", "/zof triage mine"):
        answer = await working_bot.answer_text(typed, channel=CAGE)
        assert "Sample run (test alert)" not in answer
        assert "Sample case (test alert)" not in answer
    remembered = ("failure", "triage:", "open:", "storm:", "seen:")
    assert not {name for name in await kept_probes(working_bot) if name.startswith(remembered)}
    assert [entry.act for entry in await AuditLog(working_bot.app.store.keyspace).read_records()] == ["subscribe"]


async def test_where_slack_deletes_nothing_it_says_less_and_is_not_looked_for_again(
    working_bot: RunningBot, hatch: Hatch
) -> None:
    working_bot.world.slack.keeps_everything = True
    canary = hatch(working_bot)
    assert (await canary.probe_once()).faults == []
    [one] = standing_probes(working_bot)
    assert "Canary: zofbot" in text_of(one)
    assert "Sample case (test alert)" not in text_of(one)
    assert (await canary.probe_once()).faults == []
    deleting = [call for call in working_bot.world.slack.calls if call.method == "chat.delete"]
    assert len(deleting) == 2, "one each"


async def test_in_a_public_channel_it_joins_to_look(working_bot: RunningBot, hatch: Hatch) -> None:
    working_bot.world.slack.channels[CAGE] = Channel(CAGE, "canary", {ANA})
    assert (await hatch(working_bot).probe_once()).faults == []
    assert BOT_USER_ID in working_bot.world.slack.channels[CAGE].members


async def test_it_spends_one_request_of_zofs_and_few_of_slacks(working_bot: RunningBot, hatch: Hatch) -> None:
    zof, slack = len(working_bot.world.zof.calls), len(working_bot.world.slack.calls)
    await hatch(working_bot).probe_once()
    assert len(working_bot.world.zof.calls) - zof == 1
    methods = [call.method for call in [*working_bot.world.slack.calls][slack:]]
    assert sorted(methods) == ["auth.test", "chat.delete", "chat.postMessage", "conversations.history"]


async def test_of_many_processes_one_sends_and_another_takes_over(working_bot: RunningBot, hatch: Hatch) -> None:
    one, other = hatch(working_bot), hatch(working_bot)
    turns = await asyncio.gather(one.probe_once(), other.probe_once())
    assert sorted(turn.leads for turn in turns) == [False, True]
    assert len(sent_probes(working_bot)) == 1
    await working_bot.app.store.client.delete("{zofbot}:lease:canary")
    [loser] = [canary for canary, turn in zip((one, other), turns, strict=True) if not turn.leads]
    assert (await loser.probe_once()).leads
    assert lease_seconds(300) + 300 * 0.25 < 2 * 300, "within two intervals"


async def test_who_was_taken_over_from_in_the_middle_sends_none_and_blames_nobody(
    working_bot: RunningBot, hatch: Hatch
) -> None:
    name = await start_probe(working_bot)
    await wait_until(lambda: bool(standing_probes(working_bot)))
    await make_probes(working_bot).wait_for_settlement(name, 5.0)
    slack = working_bot.world.slack
    slack.faults.delays["slow"] = 0.5
    slack.faults.set_fault("slow", 1, "chat.delete")
    turning = asyncio.create_task(hatch(working_bot).probe_once())
    await wait_until(lambda: any(call.method == "chat.delete" for call in slack.calls))
    await working_bot.app.store.client.delete("{zofbot}:lease:canary")
    assert (await hatch(working_bot).probe_once()).leads
    turn = await turning
    assert (turn.leads, turn.faults) == (False, [])
    assert [probe.idempotency_key for probe in sent_probes(working_bot)].count(name) == 1
    assert len(sent_probes(working_bot)) == 2, "one is the other's"
    assert standing_probes(working_bot) == []


# --- what a process that died has left


def make_probes(bot: RunningBot) -> CanaryProbes:
    return CanaryProbes(CAGE, bot.app.outbox, bot.app.notifier, bot.world.clock)


async def start_probe(bot: RunningBot) -> str:
    """A process promised a canary a second ago, and died."""
    held = await Lease(bot.app.store.keyspace, CANARY_LEASE, 1.0, bot.world.clock).hold(CANARY_HASH)
    assert held
    name, _ = await make_probes(bot).start_probe(held.fence)
    await bot.app.store.client.delete("{zofbot}:lease:canary")
    bot.world.clock.advance(1.0)  # the next one's key is another
    return name


async def open_ones(bot: RunningBot) -> dict[str, str]:
    return (await bot.app.outbox.read_hashes(CANARY_HASH))[CANARY_HASH]


@pytest.mark.parametrize("died", ["promised", "sent", "deleted", "forgotten"])
async def test_what_a_process_left_at_any_step_is_removed_at_the_next_turn(
    working_bot: RunningBot, died: str, hatch: Hatch
) -> None:
    name = await start_probe(working_bot)
    if died != "promised":
        await wait_until(lambda: bool(standing_probes(working_bot)))
        await make_probes(working_bot).wait_for_settlement(name, 5.0)
    if died in ("deleted", "forgotten"):
        [one] = standing_probes(working_bot)
        one.deleted = True
    if died == "forgotten":
        assert await working_bot.app.outbox.erase_notification(name)
    assert (await hatch(working_bot).probe_once()).faults == []
    assert (await hatch(working_bot).probe_once()).leads is False
    assert standing_probes(working_bot) == []
    assert await open_ones(working_bot) == {}
    assert await working_bot.app.outbox.get_record(name) is None
    assert len(working_bot.world.slack.messages_with_key(name)) <= 1


async def test_what_a_store_that_was_emptied_forgot_is_found_in_the_channel(
    working_bot: RunningBot, hatch: Hatch
) -> None:
    await start_probe(working_bot)
    await wait_until(lambda: bool(standing_probes(working_bot)))
    await asyncio.sleep(0.3)
    await working_bot.app.store.client.flushall()
    assert (await hatch(working_bot).probe_once()).faults == []
    assert len(sent_probes(working_bot)) == 2
    assert standing_probes(working_bot) == []


async def test_one_that_was_never_sent_is_taken_back_so_that_there_is_no_heap(
    idle_bot: RunningBot, hatch: Hatch
) -> None:
    canary = hatch(idle_bot, within=0.2)
    for _ in range(3):
        assert failed_links(await canary.probe_once()) == {"outbox"}
    assert len(await open_ones(idle_bot)) == 1
    assert (await idle_bot.app.outbox.read_stats()).pending == 1


async def test_one_that_may_be_there_is_waited_for_and_no_other_is_sent_meanwhile(
    working_bot: RunningBot, hatch: Hatch
) -> None:
    working_bot.world.slack.faults.set_fault("500", only="chat.postMessage")
    canary = hatch(working_bot, within=1.5)
    for _ in range(3):
        assert failed_links(await canary.probe_once()) == {"slack"}
    [name] = await open_ones(working_bot)
    working_bot.world.slack.faults.set_fault("none")
    patient = hatch(working_bot, within=20.0)
    await working_bot.app.store.client.delete("{zofbot}:lease:canary")
    assert (await patient.probe_once()).faults == []
    assert [probe.idempotency_key for probe in sent_probes(working_bot)] == [name]
    assert standing_probes(working_bot) == []


async def test_a_channel_that_was_given_up_does_not_hold_the_next_one_up(working_bot: RunningBot, hatch: Hatch) -> None:
    working_bot.world.slack.channels["C0OLDCAGE"] = Channel("C0OLDCAGE", "old", {ANA, BOT_USER_ID}, private=True)
    working_bot.world.slack.keeps_everything = True
    held = await Lease(working_bot.app.store.keyspace, CANARY_LEASE, 1.0, working_bot.world.clock).hold(CANARY_HASH)
    assert held
    name, _ = await CanaryProbes(
        "C0OLDCAGE", working_bot.app.outbox, working_bot.app.notifier, working_bot.world.clock
    ).start_probe(held.fence)
    await make_probes(working_bot).wait_for_settlement(name, 5.0)
    working_bot.world.slack.channels["C0OLDCAGE"].archived = True
    await working_bot.app.store.client.delete("{zofbot}:lease:canary")
    assert (await hatch(working_bot).probe_once()).faults == []
    assert await open_ones(working_bot) == {}


# --- each link in turn


def slack_says(reason: str, only: str = "") -> Callable[[RunningBot], None]:
    return lambda bot: bot.world.slack.faults.set_fault(reason, only=only)


def zof_says(reason: str) -> Callable[[RunningBot], None]:
    return lambda bot: bot.world.zof.faults.set_fault(reason)


def archive_channel(bot: RunningBot) -> None:
    canary_channel(bot).archived = True


def leave_channel(bot: RunningBot) -> None:
    canary_channel(bot).members.discard(BOT_USER_ID)


def hide_messages(bot: RunningBot) -> None:
    slack = bot.world.slack
    slack.hides_fast_posts, slack.paces[CAGE] = True, BurstLimit(due=slack.now() + 60)


def no_scope(bot: RunningBot) -> None:
    bot.world.slack.scopes.discard("groups:history")


@pytest.mark.parametrize(
    ("breaks", "link", "what", "mend"),
    [
        (slack_says("500"), "slack", "internal_error", "zofbot check"),
        (slack_says("500", "chat.postMessage"), "slack", "internal_error", "zofbot check"),
        (slack_says("429", "chat.postMessage"), "slack", "ratelimited", "zofbot check"),
        (slack_says("502"), "slack", "", "Slack's status page"),
        (slack_says("invalid_auth"), "slack", "does not accept the bot's token", "update SLACK_BOT_TOKEN"),
        (slack_says("invalid_auth", "chat.postMessage"), "slack", "does not accept", "update SLACK_BOT_TOKEN"),
        (slack_says("500", "conversations.history"), "slack", "internal_error", "zofbot check"),
        (archive_channel, "slack", "archived", "Unarchive"),
        (leave_channel, "slack", "can't see this channel", "/invite"),
        (hide_messages, "slack", "does not show it", "zofbot check"),
        (no_scope, "slack", "lacks a permission", "zofbot manifest"),
        (zof_says("500"), "zof", "Request ID: req_", "status.zof.ai"),
        (zof_says("cut"), "zof", "", ""),
        (zof_says("hang"), "zof", "did not answer within 1 s", "Try again"),
        (zof_says("401"), "zof", "Request ID: req_", "ZOF_API_KEY"),
        (zof_says("html"), "zof", "", ""),
    ],
)
async def test_a_link_that_breaks_is_named_with_its_mend(  # noqa: PLR0917  (two of them are fixtures)
    working_bot: RunningBot, breaks: Callable[[RunningBot], None], link: str, what: str, mend: str, hatch: Hatch
) -> None:
    canary = hatch(working_bot, within=2.0)
    assert (await canary.probe_once()).faults == []
    before = metric_value(working_bot.app.metrics, "zofbot_canary_last_success_timestamp_seconds")
    breaks(working_bot)
    with capture_logs() as logs:
        turn = await canary.probe_once()
    assert failed_links(turn) == {link}
    assert failure_counts(working_bot) == dict.fromkeys(CANARY_LINKS, 0.0) | {link: 1.0}
    [line] = [line for line in logs if line["event"] == "canary late"]
    assert (line["log_level"], line["link"]) == ("error", link)
    assert what in line["what"]
    assert mend in line["fix"]
    assert line["fix"]
    now = metric_value(working_bot.app.metrics, "zofbot_canary_last_success_timestamp_seconds")
    assert now == before


async def test_a_busy_zof_is_not_a_broken_one(working_bot: RunningBot, hatch: Hatch) -> None:
    working_bot.world.zof.faults.set_fault("429_long")
    assert (await hatch(working_bot).probe_once()).faults == []
    working_bot.world.zof.faults.set_fault("none")
    working_bot.world.zof.quota = MinuteQuota(100, used=95, window=int(working_bot.world.unix_time() // 60))
    assert (await hatch(working_bot).probe_once()).faults == []


@pytest.mark.parametrize("off", [600.0, -600.0, 7200.0, -7200.0])
async def test_a_clock_that_is_off_is_named_with_those_it_differs_from(idle_bot: RunningBot, off: float) -> None:
    own = {"zofbot_canary_channel": CAGE, "zofbot_canary_interval": 20.0, "zofbot_namespace": "off"}
    settings = idle_bot.settings.model_copy(update=own)
    with capture_logs() as logs:
        async with run_bot(settings, MovableClock(lambda: idle_bot.world.unix_time() + off), endpoints=False):
            await wait_until(lambda: any(line["event"] == "canary late" for line in logs))
            await wait_until(lambda: len(sent_probes(idle_bot)) == 1 and not standing_probes(idle_bot))
    [line] = [line for line in logs if line["event"] == "canary late"]
    assert line["link"] == "clock"
    for whose in ("Slack", "Zof", "Redis"):
        assert f"{'ahead of' if off > 0 else 'behind'} {whose}" in line["what"]
    assert ("10 min" if abs(off) == 600 else "2 h") in line["what"]


async def test_without_redis_it_says_so(tmp_path: Path, hatch: Hatch) -> None:
    with valkey_server(tmp_path) as url:
        async with delivering_bot(url) as bot:
            canary_channel(bot)
            canary = hatch(bot)
            assert (await canary.probe_once()).faults == []
            os.kill(int((await bot.app.store.client.info("server"))["process_id"]), signal.SIGKILL)
            assert failed_links(await canary.probe_once()) == {"redis"}
            assert failure_counts(bot)["redis"] == 1
            with valkey_server(tmp_path):
                await wait_until(lambda: _is_well(canary))
                assert standing_probes(bot) == []


async def test_it_ends_though_redis_does_not_hear_of_it(tmp_path: Path, hatch: Hatch) -> None:
    with valkey_server(tmp_path) as url:
        async with running_bot(url, clock=machine_clock()) as bot:
            task = asyncio.create_task(hatch(bot, within=0.2).run())
            await wait_until(lambda: failure_counts(bot)["outbox"] == 1)
            os.kill(int((await bot.app.store.client.info("server"))["process_id"]), signal.SIGKILL)
            with capture_logs() as logs:
                await cancel_tasks(task)
            assert [line["log_level"] for line in logs if line["event"] == "lease not released"] == ["warning"]


async def _is_well(canary: Canary) -> bool:
    turn = await canary.probe_once()
    return turn.leads and not turn.faults


async def test_where_nobody_delivers_it_is_the_outbox(idle_bot: RunningBot, hatch: Hatch) -> None:
    turn = await hatch(idle_bot, within=0.3).probe_once()
    [only] = turn.faults
    assert (only.link, only.what) == ("outbox", "It is waiting: no worker claims it.")
    assert "worker runs" in only.fix


@pytest.mark.parametrize(
    ("breaks", "link"),
    [(slack_says("500"), "slack"), (zof_says("500"), "zof"), (archive_channel, "slack")],
    ids=["slack", "zof", "channel"],
)
async def test_a_link_that_breaks_between_two_turns_is_named_within_two_intervals(
    working_bot: RunningBot, breaks: Callable[[RunningBot], None], link: str, hatch: Hatch
) -> None:
    interval = 4.0
    task = asyncio.create_task(hatch(working_bot, within=2.0, interval=interval).run())
    try:
        await wait_until(lambda: len(sent_probes(working_bot)) == 1 and not standing_probes(working_bot))
        await asyncio.sleep(0.5)
        breaks(working_bot)
        await wait_until(lambda: failure_counts(working_bot)[link] > 0, seconds=2 * interval)
        assert sum(failure_counts(working_bot).values()) == failure_counts(working_bot)[link]
    finally:
        await cancel_tasks(task)


class FaultyOutbox(Outbox):
    """An outbox with a defect."""

    async def commit(self, *_: Any, **__: Any) -> list[str]:
        raise AttributeError("a defect")


async def test_what_nobody_foresaw_ends_nothing_and_is_counted(working_bot: RunningBot, hatch: Hatch) -> None:
    canary = hatch(working_bot)
    working_bot.world.slack.channels[CAGE].name = "fine"
    broken = hatch(working_bot, outbox=FaultyOutbox(working_bot.app.store.keyspace, working_bot.world.clock))
    with capture_logs() as logs:
        turn = await broken.probe_once()
    assert failed_links(turn) == {"outbox"}
    assert any(line["event"] == "canary failed" for line in logs)
    await working_bot.app.store.client.delete("{zofbot}:lease:canary")
    assert (await canary.probe_once()).faults == []


# --- in its place


async def test_a_worker_sends_them_where_a_channel_is_set(store_url: str) -> None:
    async with delivering_bot(store_url, zofbot_canary_channel=QA_ALERTS, zofbot_canary_interval=2) as bot:
        await wait_until(
            lambda: (
                len(own_messages(bot)) >= 2 and not [message for message in own_messages(bot)[:2] if message.is_visible]
            )
        )
        assert {message.channel for message in own_messages(bot)} == {QA_ALERTS}
        assert not [
            message for message in bot.public_messages() if message.is_visible and message not in own_messages(bot)
        ], "nothing else is said"


def own_messages(bot: RunningBot) -> list[PostedMessage]:
    return [item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("canary:")]


async def test_without_a_channel_there_is_none_and_nothing_counts_as_late(working_bot: RunningBot) -> None:
    await asyncio.sleep(0.3)
    assert own_messages(working_bot) == []
    last = metric_value(working_bot.app.metrics, "zofbot_canary_last_success_timestamp_seconds")
    assert last is not None
    assert math.isnan(last), "no rule compares it"


async def test_lateness_counts_from_the_start_until_one_came_through(store_url: str) -> None:
    async with delivering_bot(store_url, zofbot_canary_channel="C0NOWHERE") as bot:
        sample = partial(metric_value, bot.app.metrics)
        await wait_until(lambda: (sample("zofbot_canary_last_success_timestamp_seconds") or 0) > 0)


async def test_it_stops_in_time_whatever_it_waits_for(store_url: str) -> None:
    async with delivering_bot(store_url, zofbot_canary_channel=QA_ALERTS) as bot:
        bot.world.zof.faults.set_fault("hang")
        await wait_until(lambda: any(call.path == "/runs" and call.fault == "hang" for call in bot.world.zof.calls))
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 5


# --- what is said of it, and what is decided


@given(st.floats(1e9, 4e9))
def test_it_is_told_by_the_rules_under_a_key_of_its_own_and_alone(now: float) -> None:
    one = build_canary_alert(CAGE, now)
    assert (one.kind, one.channel, one.not_before) == (NotificationKind.ROOT, CAGE, 0.0)
    assert abs(one.happened - now) < 0.001
    assert one.key.startswith("canary:")
    assert one.key.endswith(f":failed:{CAGE}")
    assert (one.body["card"], one.body["alert"]["card"]) == ("trial", "run")


ENTRY = OutboxRecord("canary:1:failed:C1", NotificationState.PENDING, channel="C1")


@pytest.mark.parametrize(
    ("entry", "parked", "paused", "link", "said"),
    [
        (None, "", "", "redis", "is missing"),
        (ENTRY, "", "", "outbox", "no worker claims it"),
        (OutboxRecord("k", NotificationState.SENDING, attempts=1), "", "", "outbox", "did not finish"),
        (
            OutboxRecord("k", NotificationState.SENDING, attempts=2, reason="internal_error"),
            "",
            "",
            "slack",
            "internal_error",
        ),
        (
            OutboxRecord("k", NotificationState.PENDING, attempts=1, reason="unreachable"),
            "",
            "",
            "slack",
            "unreachable",
        ),
        (
            OutboxRecord("k", NotificationState.DEAD, attempts=1, reason="invalid_blocks"),
            "",
            "",
            "slack",
            "invalid_blocks",
        ),
        (
            OutboxRecord("k", NotificationState.DEAD, attempts=1, reason="cannot be rendered: KeyError"),
            "",
            "",
            "outbox",
            "cannot be rendered",
        ),
        (
            OutboxRecord("k", NotificationState.DEAD, attempts=1, reason="cannot be drawn: KeyError"),
            "",
            "",
            "outbox",
            "cannot be drawn",
        ),
        (OutboxRecord("k", NotificationState.SENDING, attempts=1, reason="crashed: Odd"), "", "", "outbox", "crashed"),
        (
            OutboxRecord("k", NotificationState.DROPPED, reason="dropped by an operator"),
            "",
            "",
            "outbox",
            "dropped by an operator",
        ),
        (ENTRY, "is_archived", "", "slack", "archived"),
        (ENTRY, "", "token_revoked", "slack", "no longer accepts"),
    ],
)
def test_how_it_stands_in_the_outbox_says_which_link_it_is(
    entry: OutboxRecord | None, parked: str, paused: str, link: str, said: str
) -> None:
    found = canary_diagnosis.diagnose_stuck(
        entry, ParkedChannel("C1", parked, 1.0, 1, told=True) if parked else None, OutboxStats(1, 0, 0, paused=paused)
    )
    assert (found.link, said in found.what, bool(found.fix)) == (link, True, True)


def test_a_zof_that_keeps_its_quota_is_busy_and_one_that_is_down_is_not() -> None:
    kept = ZofUnavailable("kept")
    kept.retry_at = Clock().now()
    down = ZofUnavailable("down", status=503)
    down.retry_at = Clock().now()
    assert [canary_diagnosis.is_rate_limited(item) for item in (kept, ZofUnavailable("x", status=429))] == [True, True]
    assert [
        canary_diagnosis.is_rate_limited(item) for item in (down, ZofUnavailable("slow"), ZofRejected("no", status=401))
    ] == [False] * 3
    assert canary_diagnosis.diagnose_error(StoreUnavailable("gone", "")).link == "redis"


@given(st.dictionaries(st.sampled_from(["Slack", "Zof", "Redis"]), st.floats(-1e6, 1e6)))
def test_only_clocks_that_are_far_off_are_named(told: dict[str, float]) -> None:
    found = canary_diagnosis.diagnose_clock(told)
    off = {whose for whose, seconds in told.items() if abs(seconds) > MAX_CLOCK_SKEW_SECONDS}
    assert bool(found) == bool(off)
    assert not found or {whose for whose in told if whose in found.what} == off


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 99 Nov 2026 10:00:00 GMT"])
def test_a_time_that_cannot_be_read_is_none(date: str) -> None:
    assert clock_offset(date, 1.0) is None
    assert clock_offset("Thu, 01 Jan 1970 00:01:00 GMT", 100.0) == 40.0
