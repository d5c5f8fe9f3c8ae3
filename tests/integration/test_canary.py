"""The canary: it walks the whole way, nothing is left of it, and each link that breaks is named in time."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.support.bot import RunningBot, running_bot, text_of, until
from tests.support.valkey_servers import valkey_server
from tests.support.virtual_time import test_clock
from zofbot.app import running
from zofbot.clock import Clock, MovableClock
from zofbot.errands import end
from zofbot.errors import StoreUnavailable, ZofRejected, ZofUnavailable
from zofbot.metrics import LINKS, Metrics
from zofbot.notification import Kind, State
from zofbot.pipeline import fault
from zofbot.pipeline.canary import LEASE, Canary, Turn, Watch, lease_seconds
from zofbot.pipeline.probes import HASH, Probes, drawn_up
from zofbot.rooms import zof_client
from zofbot.simulator.entities import BOT, Channel, Message
from zofbot.simulator.organization import ANA, QA_ALERTS
from zofbot.simulator.quota import Pace, PerMinute
from zofbot.spans import TOLERATED, ahead
from zofbot.store.audit import Audit
from zofbot.store.entry import Depth, Entry, Parked, text
from zofbot.store.leases import Lease
from zofbot.zof.client import Patience

CAGE = "C0CANARY"
SOON = Patience(1.0, background=True)


Hatch = Callable[..., Canary]


@pytest.fixture
async def hatch() -> AsyncIterator[Hatch]:
    """Make one more process's canary, over the same store, Slack and Zof."""
    async with AsyncExitStack() as stack:

        def made(bot: RunningBot, *, within: float = 5.0, interval: float = 300.0) -> Canary:
            watch, store = Watch(bot.world.clock), bot.app.store
            zof = zof_client(bot.settings, Metrics(), bot.world.clock, store, watch.heard)
            stack.push_async_callback(zof.aclose)
            return Canary(
                CAGE,
                store=store,
                outbox=bot.app.outbox,
                notifier=bot.app.notifier,
                zof=zof,
                watch=watch,
                lease=Lease(store.client, "zofbot", LEASE, lease_seconds(interval), bot.world.clock),
                metrics=bot.app.metrics,
                clock=bot.world.clock,
                interval=interval,
                within=within,
                patience=SOON,
            )

        yield made


def cage(bot: RunningBot) -> Channel:
    channel = Channel(CAGE, "canary", {ANA, BOT}, private=True)
    return bot.world.slack.channels.setdefault(CAGE, channel)


@pytest.fixture
async def there(valkey: str) -> AsyncIterator[RunningBot]:
    async with running_bot(valkey, works=True, zofbot_poll_interval=3600) as bot:
        cage(bot)
        sample = bot.app.metrics.registry.get_sample_value
        polled = {"outcome": "done"}
        await until(lambda: (sample("zofbot_poll_turns_total", polled) or 0) > 0)  # what follows is the canary's alone
        yield bot


@pytest.fixture
async def idle(valkey: str) -> AsyncIterator[RunningBot]:
    """A house in which nobody delivers."""
    async with running_bot(valkey) as bot:
        cage(bot)
        yield bot


def sent(bot: RunningBot) -> list[Message]:
    return [one for one in bot.world.slack.ledger if one.channel == CAGE]


def standing(bot: RunningBot) -> list[Message]:
    return [one for one in sent(bot) if one.standing]


def failures(bot: RunningBot) -> dict[str, float]:
    sample = bot.app.metrics.registry.get_sample_value
    return {link: sample("zofbot_canary_failures_total", {"link": link}) or 0.0 for link in LINKS}


def links(turn: Turn) -> set[str]:
    return {one.link for one in turn.faults}


async def kept(bot: RunningBot) -> set[str]:
    """The names of all that Redis holds."""
    return {text(name).partition(":")[2] for name in await bot.app.store.client.keys()}


# --- when all is well


async def test_it_is_sent_seen_and_removed_and_nothing_is_left_of_it(there: RunningBot, hatch: Hatch) -> None:
    before = await kept(there)
    turn = await hatch(there).turn()
    assert (turn.leads, turn.faults) == (True, [])
    [one] = sent(there)
    assert (one.key or "").startswith("canary:")
    assert one.deleted
    assert "This is a test; nothing failed." in text_of(one)
    assert "zofbot's canary" in text_of(one)
    left = {name for name in await kept(there) - before if not name.startswith("claim:")}
    assert left <= {"lease:canary", "fence:canary", "outbox:sequence", "outbox:pace", "outbox:due"}
    assert await there.app.outbox.show(one.key or "") is None
    assert one.key not in [entry.key for entry in await there.app.outbox.list(State.SENT)]


async def test_how_long_it_took_and_when_it_came_through_are_counted(there: RunningBot, hatch: Hatch) -> None:
    sample = there.app.metrics.registry.get_sample_value
    began = there.world.clock.time()
    await hatch(there).turn()
    assert sample("zofbot_canary_seconds_count") == 1
    assert 0 < (sample("zofbot_canary_seconds_sum") or 0) < 10
    assert (sample("zofbot_canary_last_success_timestamp_seconds") or 0) > began
    assert failures(there) == dict.fromkeys(LINKS, 0.0)
    assert sample("zofbot_lease_held", {"lease": "canary"}) == 1
    assert sample("zofbot_lease_takeovers_total", {"lease": "canary"}) == 1


async def test_nobody_who_works_on_failures_sees_it(there: RunningBot, hatch: Hatch) -> None:
    there.world.slack.keeps_everything = True
    await there.type("/zof subscribe project:*", channel=CAGE)
    await hatch(there).turn()
    for typed in ("/zof triage", "/zof triage all", "/zof triage mine"):
        answer = await there.answer(typed, channel=CAGE)
        assert "A run that never was" not in answer
        assert "A case that never was" not in answer
    remembered = ("failure", "triage:", "open:", "storm:", "seen:")
    assert not {name for name in await kept(there) if name.startswith(remembered)}
    assert [entry.act for entry in await Audit(there.app.store.client, "zofbot").read()] == ["subscribe"]


async def test_where_slack_deletes_nothing_it_says_less_and_is_not_looked_for_again(
    there: RunningBot, hatch: Hatch
) -> None:
    there.world.slack.keeps_everything = True
    canary = hatch(there)
    assert (await canary.turn()).faults == []
    [one] = standing(there)
    assert "A canary was here" in text_of(one)
    assert "A case that never was" not in text_of(one)
    assert (await canary.turn()).faults == []
    deleting = [call for call in there.world.slack.calls if call.method == "chat.delete"]
    assert len(deleting) == 2, "one each"


async def test_in_a_public_channel_it_joins_to_look(there: RunningBot, hatch: Hatch) -> None:
    there.world.slack.channels[CAGE] = Channel(CAGE, "canary", {ANA})
    assert (await hatch(there).turn()).faults == []
    assert BOT in there.world.slack.channels[CAGE].members


async def test_it_spends_one_request_of_zofs_and_few_of_slacks(there: RunningBot, hatch: Hatch) -> None:
    zof, slack = len(there.world.zof.calls), len(there.world.slack.calls)
    await hatch(there).turn()
    assert len(there.world.zof.calls) - zof == 1
    methods = [call.method for call in [*there.world.slack.calls][slack:]]
    assert sorted(methods) == ["auth.test", "chat.delete", "chat.postMessage", "conversations.history"]


async def test_of_many_processes_one_sends_and_another_takes_over(there: RunningBot, hatch: Hatch) -> None:
    one, other = hatch(there), hatch(there)
    turns = await asyncio.gather(one.turn(), other.turn())
    assert sorted(turn.leads for turn in turns) == [False, True]
    assert len(sent(there)) == 1
    await there.app.store.client.delete("{zofbot}:lease:canary")
    [loser] = [canary for canary, turn in zip((one, other), turns, strict=True) if not turn.leads]
    assert (await loser.turn()).leads
    assert lease_seconds(300) + 300 * 0.25 < 2 * 300, "within two intervals"


async def test_who_was_taken_over_from_in_the_middle_sends_none_and_blames_nobody(
    there: RunningBot, hatch: Hatch
) -> None:
    name = await begun(there)
    await until(lambda: bool(standing(there)))
    await probes(there).arrived(name, 5.0)
    slack = there.world.slack
    slack.faults.delays["slow"] = 0.5
    slack.faults.set("slow", 1, "chat.delete")
    turning = asyncio.create_task(hatch(there).turn())
    await until(lambda: any(call.method == "chat.delete" for call in slack.calls))
    await there.app.store.client.delete("{zofbot}:lease:canary")
    assert (await hatch(there).turn()).leads
    turn = await turning
    assert (turn.leads, turn.faults) == (False, [])
    assert [one.key for one in sent(there)].count(name) == 1
    assert len(sent(there)) == 2, "one is the other's"
    assert standing(there) == []


# --- what a process that died has left


def probes(bot: RunningBot) -> Probes:
    return Probes(CAGE, bot.app.outbox, bot.app.notifier, Clock())


async def begun(bot: RunningBot) -> str:
    """A process promised a canary, and died."""
    held = await Lease(bot.app.store.client, "zofbot", LEASE, 1.0, Clock()).hold(HASH)
    assert held
    name, _ = await probes(bot).begin(held.fence)
    await bot.app.store.client.delete("{zofbot}:lease:canary")
    return name


async def open_ones(bot: RunningBot) -> dict[str, str]:
    return (await bot.app.outbox.hashes(HASH))[HASH]


@pytest.mark.parametrize("died", ["promised", "sent", "deleted", "forgotten"])
async def test_what_a_process_left_at_any_step_is_removed_at_the_next_turn(
    there: RunningBot, died: str, hatch: Hatch
) -> None:
    name = await begun(there)
    if died != "promised":
        await until(lambda: bool(standing(there)))
        await probes(there).arrived(name, 5.0)
    if died in ("deleted", "forgotten"):
        [one] = standing(there)
        one.deleted = True
    if died == "forgotten":
        assert await there.app.outbox.forget(name)
    assert (await hatch(there).turn()).faults == []
    assert (await hatch(there).turn()).leads is False
    assert standing(there) == []
    assert await open_ones(there) == {}
    assert await there.app.outbox.show(name) is None
    assert len(there.world.slack.posted(name)) <= 1


async def test_what_a_store_that_was_emptied_forgot_is_found_in_the_channel(there: RunningBot, hatch: Hatch) -> None:
    await begun(there)
    await until(lambda: bool(standing(there)))
    await asyncio.sleep(0.3)
    await there.app.store.client.flushall()
    assert (await hatch(there).turn()).faults == []
    assert len(sent(there)) == 2
    assert standing(there) == []


async def test_one_that_was_never_sent_is_taken_back_so_that_there_is_no_heap(idle: RunningBot, hatch: Hatch) -> None:
    canary = hatch(idle, within=0.2)
    for _ in range(3):
        assert links(await canary.turn()) == {"outbox"}
    assert len(await open_ones(idle)) == 1
    assert (await idle.app.outbox.depth()).pending == 1


async def test_one_that_may_be_there_is_waited_for_and_no_other_is_sent_meanwhile(
    there: RunningBot, hatch: Hatch
) -> None:
    there.world.slack.faults.set("500", only="chat.postMessage")
    canary = hatch(there, within=1.5)
    for _ in range(3):
        assert links(await canary.turn()) == {"slack"}
    [name] = await open_ones(there)
    there.world.slack.faults.set("none")
    patient = hatch(there, within=20.0)
    await there.app.store.client.delete("{zofbot}:lease:canary")
    assert (await patient.turn()).faults == []
    assert [one.key for one in sent(there)] == [name]
    assert standing(there) == []


async def test_a_channel_that_was_given_up_does_not_hold_the_next_one_up(there: RunningBot, hatch: Hatch) -> None:
    there.world.slack.channels["C0OLDCAGE"] = Channel("C0OLDCAGE", "old", {ANA, BOT}, private=True)
    there.world.slack.keeps_everything = True
    held = await Lease(there.app.store.client, "zofbot", LEASE, 1.0, Clock()).hold(HASH)
    assert held
    name, _ = await Probes("C0OLDCAGE", there.app.outbox, there.app.notifier, Clock()).begin(held.fence)
    await probes(there).arrived(name, 5.0)
    there.world.slack.channels["C0OLDCAGE"].archived = True
    await there.app.store.client.delete("{zofbot}:lease:canary")
    assert (await hatch(there).turn()).faults == []
    assert await open_ones(there) == {}


# --- each link in turn


def slack_says(reason: str, only: str = "") -> Callable[[RunningBot], None]:
    return lambda bot: bot.world.slack.faults.set(reason, only=only)


def zof_says(reason: str) -> Callable[[RunningBot], None]:
    return lambda bot: bot.world.zof.faults.set(reason)


def archived(bot: RunningBot) -> None:
    cage(bot).archived = True


def left(bot: RunningBot) -> None:
    cage(bot).members.discard(BOT)


def hidden(bot: RunningBot) -> None:
    slack = bot.world.slack
    slack.hides_fast_posts, slack.paces[CAGE] = True, Pace(due=slack.now() + 60)


def no_scope(bot: RunningBot) -> None:
    bot.world.slack.scopes.discard("groups:history")


@pytest.mark.parametrize(
    ("breaks", "link", "what", "mend"),
    [
        (slack_says("500"), "slack", "internal_error", "zofbot check"),
        (slack_says("500", "chat.postMessage"), "slack", "internal_error", "zofbot check"),
        (slack_says("429", "chat.postMessage"), "slack", "ratelimited", "zofbot check"),
        (slack_says("502"), "slack", "", "Slack's status page"),
        (slack_says("invalid_auth"), "slack", "does not accept the bot's token", "renew SLACK_BOT_TOKEN"),
        (slack_says("invalid_auth", "chat.postMessage"), "slack", "does not accept", "renew SLACK_BOT_TOKEN"),
        (slack_says("500", "conversations.history"), "slack", "internal_error", "zofbot check"),
        (archived, "slack", "archived", "Unarchive"),
        (left, "slack", "cannot see this channel", "/invite"),
        (hidden, "slack", "does not show it", "zofbot check"),
        (no_scope, "slack", "lacks a permission", "zofbot manifest"),
        (zof_says("500"), "zof", "Request ID: req_", "status.zof.ai"),
        (zof_says("cut"), "zof", "", ""),
        (zof_says("hang"), "zof", "did not answer within 1 s", "Try again"),
        (zof_says("401"), "zof", "Request ID: req_", "ZOF_API_KEY"),
        (zof_says("html"), "zof", "", ""),
    ],
)
async def test_a_link_that_breaks_is_named_with_its_mend(  # noqa: PLR0917  (two of them are fixtures)
    there: RunningBot, breaks: Callable[[RunningBot], None], link: str, what: str, mend: str, hatch: Hatch
) -> None:
    canary = hatch(there, within=2.0)
    assert (await canary.turn()).faults == []
    before = there.app.metrics.registry.get_sample_value("zofbot_canary_last_success_timestamp_seconds")
    breaks(there)
    with capture_logs() as logs:
        turn = await canary.turn()
    assert links(turn) == {link}
    assert failures(there) == dict.fromkeys(LINKS, 0.0) | {link: 1.0}
    [line] = [line for line in logs if line["event"] == "canary late"]
    assert (line["log_level"], line["link"]) == ("error", link)
    assert what in line["what"]
    assert mend in line["mend"]
    assert line["mend"]
    now = there.app.metrics.registry.get_sample_value("zofbot_canary_last_success_timestamp_seconds")
    assert now == before


async def test_a_busy_zof_is_not_a_broken_one(there: RunningBot, hatch: Hatch) -> None:
    there.world.zof.faults.set("429_long")
    assert (await hatch(there).turn()).faults == []
    there.world.zof.faults.set("none")
    there.world.zof.quota = PerMinute(100, used=95, window=int(there.world.now() // 60))
    assert (await hatch(there).turn()).faults == []


@pytest.mark.parametrize("off", [600.0, -600.0, 7200.0, -7200.0])
async def test_a_clock_that_is_off_is_named_with_those_it_differs_from(idle: RunningBot, off: float) -> None:
    own = {"zofbot_canary_channel": CAGE, "zofbot_canary_interval": 20.0, "zofbot_namespace": "off"}
    settings = idle.settings.model_copy(update=own)
    with capture_logs() as logs:
        async with running(settings, MovableClock(lambda: test_clock().time() + off), doors=False):
            await until(lambda: any(line["event"] == "canary late" for line in logs))
            await until(lambda: len(sent(idle)) == 1 and not standing(idle))
    [line] = [line for line in logs if line["event"] == "canary late"]
    assert line["link"] == "clock"
    for whose in ("Slack", "Zof", "Redis"):
        assert f"{'ahead of' if off > 0 else 'behind'} {whose}" in line["what"]
    assert ("10 min" if abs(off) == 600 else "2 h") in line["what"]


async def test_without_redis_it_says_so(tmp_path: Path, hatch: Hatch) -> None:
    with valkey_server(tmp_path) as url:
        async with running_bot(url, works=True, zofbot_poll_interval=3600) as bot:
            cage(bot)
            canary = hatch(bot)
            assert (await canary.turn()).faults == []
            os.kill(int((await bot.app.store.client.info("server"))["process_id"]), signal.SIGKILL)
            assert links(await canary.turn()) == {"redis"}
            assert failures(bot)["redis"] == 1
            with valkey_server(tmp_path):
                await until(lambda: _well(canary))
                assert standing(bot) == []


async def test_it_ends_though_redis_does_not_hear_of_it(tmp_path: Path, hatch: Hatch) -> None:
    with valkey_server(tmp_path) as url:
        async with running_bot(url) as bot:
            task = asyncio.create_task(hatch(bot, within=0.2).run())
            await until(lambda: failures(bot)["outbox"] == 1)
            os.kill(int((await bot.app.store.client.info("server"))["process_id"]), signal.SIGKILL)
            with capture_logs() as logs:
                await end(task)
            assert [line["log_level"] for line in logs if line["event"] == "lease not released"] == ["warning"]


async def _well(canary: Canary) -> bool:
    turn = await canary.turn()
    return turn.leads and not turn.faults


async def test_where_nobody_delivers_it_is_the_outbox(idle: RunningBot, hatch: Hatch) -> None:
    turn = await hatch(idle, within=0.3).turn()
    [only] = turn.faults
    assert (only.link, only.what) == ("outbox", "It waits: no worker takes it.")
    assert "worker runs" in only.mend


@pytest.mark.parametrize(
    ("breaks", "link"),
    [(slack_says("500"), "slack"), (zof_says("500"), "zof"), (archived, "slack")],
    ids=["slack", "zof", "channel"],
)
async def test_a_link_that_breaks_between_two_turns_is_named_within_two_intervals(
    there: RunningBot, breaks: Callable[[RunningBot], None], link: str, hatch: Hatch
) -> None:
    interval = 4.0
    task = asyncio.create_task(hatch(there, within=2.0, interval=interval).run())
    try:
        await until(lambda: len(sent(there)) == 1 and not standing(there))
        await asyncio.sleep(0.5)
        breaks(there)
        await until(lambda: failures(there)[link] > 0, seconds=2 * interval)
        assert sum(failures(there).values()) == failures(there)[link]
    finally:
        await end(task)


async def test_what_nobody_foresaw_ends_nothing_and_is_counted(there: RunningBot, hatch: Hatch) -> None:
    canary = hatch(there)
    there.world.slack.channels[CAGE].name = "fine"
    broken = hatch(there)
    broken._probes = None  # type: ignore[assignment]  # no double could be as wrong
    with capture_logs() as logs:
        turn = await broken.turn()
    assert links(turn) == {"outbox"}
    assert any(line["event"] == "canary failed" for line in logs)
    await there.app.store.client.delete("{zofbot}:lease:canary")
    assert (await canary.turn()).faults == []


# --- in its place


async def test_a_worker_sends_them_where_a_channel_is_set(valkey: str) -> None:
    async with running_bot(valkey, works=True, zofbot_poll_interval=3600, zofbot_canary_channel=QA_ALERTS,
                     zofbot_canary_interval=2) as bot:  # fmt: skip
        canaries = [one for one in bot.world.slack.ledger if (one.key or "").startswith("canary:")]
        await until(lambda: len(ours(bot)) >= 2 and not [one for one in ours(bot)[:2] if one.standing])
        assert canaries == [] or canaries[0].channel == QA_ALERTS
        assert not [one for one in bot.public() if one.standing and one not in ours(bot)], "nothing else is said"


def ours(bot: RunningBot) -> list[Message]:
    return [one for one in bot.world.slack.ledger if (one.key or "").startswith("canary:")]


async def test_without_a_channel_there_is_none_and_nothing_counts_as_late(there: RunningBot) -> None:
    await asyncio.sleep(0.3)
    assert ours(there) == []
    last = there.app.metrics.registry.get_sample_value("zofbot_canary_last_success_timestamp_seconds")
    assert last is not None
    assert math.isnan(last), "no rule compares it"


async def test_lateness_counts_from_the_start_until_one_came_through(valkey: str) -> None:
    async with running_bot(valkey, works=True, zofbot_poll_interval=3600, zofbot_canary_channel="C0NOWHERE") as bot:
        sample = bot.app.metrics.registry.get_sample_value
        await until(lambda: (sample("zofbot_canary_last_success_timestamp_seconds") or 0) > 0)


async def test_it_stops_in_time_whatever_it_waits_for(valkey: str) -> None:
    async with running_bot(valkey, works=True, zofbot_poll_interval=3600, zofbot_canary_channel=QA_ALERTS) as bot:
        bot.world.zof.faults.set("hang")
        await until(lambda: any(call.path == "/runs" and call.fault == "hang" for call in bot.world.zof.calls))
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 5


# --- what is said of it, and what is decided


@given(st.floats(1e9, 4e9))
def test_it_is_told_by_the_rules_under_a_key_of_its_own_and_alone(now: float) -> None:
    one = drawn_up(CAGE, now)
    assert (one.kind, one.channel, one.not_before) == (Kind.ROOT, CAGE, 0.0)
    assert abs(one.happened - now) < 0.001
    assert one.key.startswith("canary:")
    assert one.key.endswith(f":failed:{CAGE}")
    assert (one.body["card"], one.body["alert"]["card"]) == ("trial", "run")


ENTRY = Entry("canary:1:failed:C1", State.PENDING, channel="C1")


@pytest.mark.parametrize(
    ("entry", "parked", "paused", "link", "said"),
    [
        (None, "", "", "redis", "is not there"),
        (ENTRY, "", "", "outbox", "no worker takes it"),
        (Entry("k", State.SENDING, attempts=1), "", "", "outbox", "did not come back"),
        (Entry("k", State.SENDING, attempts=2, reason="internal_error"), "", "", "slack", "internal_error"),
        (Entry("k", State.PENDING, attempts=1, reason="unreachable"), "", "", "slack", "unreachable"),
        (Entry("k", State.DEAD, attempts=1, reason="invalid_blocks"), "", "", "slack", "invalid_blocks"),
        (Entry("k", State.DEAD, attempts=1, reason="cannot be drawn: KeyError"), "", "", "outbox", "cannot be drawn"),
        (Entry("k", State.SENDING, attempts=1, reason="crashed: Odd"), "", "", "outbox", "crashed"),
        (Entry("k", State.DROPPED, reason="dropped by an operator"), "", "", "outbox", "dropped by an operator"),
        (ENTRY, "is_archived", "", "slack", "archived"),
        (ENTRY, "", "token_revoked", "slack", "no longer accepts"),
    ],
)
def test_how_it_stands_in_the_outbox_says_which_link_it_is(
    entry: Entry | None, parked: str, paused: str, link: str, said: str
) -> None:
    found = fault.stuck(
        entry, Parked("C1", parked, 1.0, 1, told=True) if parked else None, Depth(1, 0, 0, paused=paused)
    )
    assert (found.link, said in found.what, bool(found.mend)) == (link, True, True)


def test_a_zof_that_keeps_its_quota_is_busy_and_one_that_is_down_is_not() -> None:
    kept = ZofUnavailable("kept")
    kept.retry_at = Clock().now()
    down = ZofUnavailable("down", status=503)
    down.retry_at = Clock().now()
    assert [fault.busy(one) for one in (kept, ZofUnavailable("x", status=429))] == [True, True]
    assert [fault.busy(one) for one in (down, ZofUnavailable("slow"), ZofRejected("no", status=401))] == [False] * 3
    assert fault.of(StoreUnavailable("gone", "")).link == "redis"


@given(st.dictionaries(st.sampled_from(["Slack", "Zof", "Redis"]), st.floats(-1e6, 1e6)))
def test_only_clocks_that_are_far_off_are_named(told: dict[str, float]) -> None:
    found = fault.skewed(told)
    off = {whose for whose, seconds in told.items() if abs(seconds) > TOLERATED}
    assert bool(found) == bool(off)
    assert not found or {whose for whose in told if whose in found.what} == off


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 99 Nov 2026 10:00:00 GMT"])
def test_a_time_that_cannot_be_read_is_none(date: str) -> None:
    assert ahead(date, 1.0) is None
    assert ahead("Thu, 01 Jan 1970 00:01:00 GMT", 100.0) == 40.0
