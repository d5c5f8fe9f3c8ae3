"""A private channel gets a new id when somebody begins to share it: what was kept for it goes on under the new one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import fail_run, post_webhook, webhook_event
from tests.support.nights import HOUR_SECONDS, NightBench, night
from tests.support.triage import BOT, audit_entries
from tests.support.valkey_servers import paused_writes
from zofbot.config.manifest import SCOPES_BY_EVENT
from zofbot.simulator.slack import channel_changes
from zofbot.simulator.slack.model import Channel, PostedMessage
from zofbot.store.subscriptions import Subscriptions

OLD, NEW = "G0OLD", "C0NEW"
ANA, BEN = "U0ANA", "U0BEN"


@pytest.fixture
async def day(store_url: str) -> AsyncIterator[NightBench]:
    async with night(store_url) as made:
        await prepare_channel(made.bot)
        yield made


async def prepare_channel(bot: RunningBot, typed: str = "/zof subscribe group:case") -> None:
    """Add a private channel, and subscribe it."""
    bot.world.slack.events = set(SCOPES_BY_EVENT)
    bot.world.slack.channels[OLD] = Channel(OLD, "private", {ANA, BEN, BOT}, private=True)
    await bot.type_text(typed, channel=OLD)


async def change_id(day: NightBench) -> None:
    assert (await channel_changes.change_channel_id(day.bot.simulator.people, OLD, NEW)).status == 200
    await day.wait_until_settled()


def stored_subscriptions(bot: RunningBot) -> Subscriptions:
    return Subscriptions(bot.app.store.keyspace)


def notes_to(bot: RunningBot, user: str) -> list[str]:
    """Return what the bot told a person about the new id."""
    dm = bot.world.slack.find_dm(user)
    return [text_of(item) for item in bot.public_messages(dm.id) if "new ID" in text_of(item)] if dm else []


def alerts_about(day: NightBench, case: str, channel: str = NEW) -> list[PostedMessage]:
    return [item for item in day.root_messages(channel) if case in text_of(item)]


async def test_a_button_of_an_alert_from_before_says_why_it_does_nothing(day: NightBench) -> None:
    await day.end_run("failed", "Cart")
    [alert] = alerts_about(day, "Cart", OLD)
    await change_id(day)
    await day.bot.press_button(alert, "zof_triage_acknowledge")
    await wait_until(lambda: "got a new ID" in "".join(map(text_of, day.bot.private_messages(NEW))))


async def test_while_the_store_takes_no_writes_slack_is_to_send_the_event_again(
    day: NightBench, store_url: str
) -> None:
    people = day.bot.simulator.people
    with capture_logs() as logs:
        async with paused_writes(store_url):
            changing = asyncio.create_task(channel_changes.change_channel_id(people, OLD, NEW))
            await wait_until(lambda: sum(line["event"] == "channel's new id not noted" for line in logs) == 2)
        assert (await changing).status == 200
    await day.wait_until_settled()
    assert [item.channel for item in await stored_subscriptions(day.bot).list_all()] == [NEW]
    assert len(notes_to(day.bot, ANA)) == 1


async def test_the_next_failure_is_posted_once_and_the_subscriptions_are_listed_where_they_were(
    day: NightBench,
) -> None:
    await day.end_run("failed", "Cart")
    await change_id(day)
    await day.end_run("failed", "Search")
    assert len(alerts_about(day, "Search")) == 1
    assert "1 subscription" in str(notes_to(day.bot, ANA))
    assert len(notes_to(day.bot, ANA)) == 1
    assert not notes_to(day.bot, BEN)
    assert "group:case" in await day.bot.answer_text("/zof subscriptions", channel=NEW)
    [entry] = await audit_entries(day.bot, "move")
    assert (entry.before, entry.after, entry.channel) == (OLD, NEW, NEW)
    assert not await day.bot.app.outbox.parked_channels()


async def test_a_run_that_was_posted_before_is_not_posted_again_when_it_is_heard_of_once_more(day: NightBench) -> None:
    run = await day.end_run("failed", "Cart")
    await change_id(day)
    await day.post_webhook(run)
    assert len(alerts_about(day, "Cart")) == 1


async def test_the_event_may_come_again_and_then_changes_nothing(day: NightBench) -> None:
    await change_id(day)
    before = await stored_subscriptions(day.bot).read()
    await channel_changes.report_channel_id(day.bot.simulator.people, OLD, NEW)
    await day.wait_until_settled()
    assert await stored_subscriptions(day.bot).read() == before
    assert len(notes_to(day.bot, ANA)) == 1
    assert len(await audit_entries(day.bot, "move")) == 1


async def test_mutes_still_hold_and_the_digest_is_still_set(day: NightBench) -> None:
    await day.bot.answer_text("/zof mute project:proj_checkout 2h", channel=OLD)
    await day.bot.answer_text("/zof digest daily 09:00", channel=OLD)
    await change_id(day)
    await day.end_run("failed", "Cart")
    assert not alerts_about(day, "Cart")
    assert "09:00" in await day.bot.answer_text("/zof digest", channel=NEW)
    [note] = notes_to(day.bot, ANA)
    assert "1 subscription, 1 mute and the digest" in note
    await day.pass_time(2 * HOUR_SECONDS)
    assert alerts_about(day, "Cart")


async def test_what_waits_for_the_old_id_is_sent_to_the_new_one_once(day: NightBench) -> None:
    await day.bot.answer_text("/zof mute project:proj_checkout 2h", channel=OLD)
    await day.end_run("failed", "Cart")
    await change_id(day)
    assert not alerts_about(day, "Cart")
    await day.pass_time(2 * HOUR_SECONDS)
    summaries = [item for item in day.root_messages(NEW) if "Mute ended" in text_of(item)]
    assert len(summaries) == 1
    assert "Cart" in text_of(summaries[0])


async def test_a_channel_parked_before_the_event_came_goes_on_under_its_new_id(day: NightBench) -> None:
    slack = day.bot.world.slack
    slack.events.discard("channel_id_changed")  # it comes late
    await channel_changes.change_channel_id(day.bot.simulator.people, OLD, NEW)
    run = fail_run(day.bot, 1)
    assert await post_webhook(day.bot, webhook_event(str(run["id"]), "evt_1")) == 200

    async def is_parked() -> bool:
        return bool(await day.bot.app.outbox.parked_channels())

    await wait_until(is_parked)
    slack.events = set(SCOPES_BY_EVENT)
    await channel_changes.report_channel_id(day.bot.simulator.people, OLD, NEW)
    await wait_until(lambda: bool(alerts_about(day, "Case 0")))
    await day.wait_until_settled()
    assert len(alerts_about(day, "Case 0")) == 1
    assert not await is_parked()


async def test_a_reply_and_an_edit_of_an_earlier_alert_reach_it(store_url: str) -> None:
    async with night(store_url) as day:
        await prepare_channel(day.bot)
        await day.end_run("failed", "Cart")
        [alert] = alerts_about(day, "Cart", OLD)
        slack = day.bot.world.slack
        slack.faults.set_fault("429", None, "chat.update")
        await day.bot.press_button(alert, "zof_triage_acknowledge")
        await channel_changes.change_channel_id(day.bot.simulator.people, OLD, NEW)
        slack.faults.set_fault("none")
        await day.pass_time(60)
        assert "Acknowledged" in text_of(alert)


async def test_nobody_is_asked_to_act_on_an_alert_whose_buttons_are_dead(store_url: str) -> None:
    async with night(store_url) as day:
        await prepare_channel(day.bot, "/zof subscribe group:case escalate:15m-><@U0BEN>")
        await day.end_run("failed", "Cart")
        await change_id(day)
        await day.pass_time(HOUR_SECONDS)
        assert not any("U0BEN" in text_of(item) for item in day.bot.world.slack.ledger if item.thread_ts)
        assert not await day.bot.app.outbox.parked_channels()


async def test_what_the_new_channel_has_already_is_not_there_twice(day: NightBench) -> None:
    day.bot.world.slack.events.discard("channel_id_changed")
    await channel_changes.change_channel_id(day.bot.simulator.people, OLD, NEW)
    await day.bot.type_text("/zof subscribe group:case", channel=NEW)
    day.bot.world.slack.events = set(SCOPES_BY_EVENT)
    await channel_changes.report_channel_id(day.bot.simulator.people, OLD, NEW)
    assert [item.channel for item in await stored_subscriptions(day.bot).list_all()] == [NEW]


@pytest.mark.parametrize(
    "event",
    [
        {"old_channel_id": "G0OTHER", "new_channel_id": NEW},
        {"old_channel_id": OLD, "new_channel_id": OLD},
        {"old_channel_id": OLD},
        {"old_channel_id": OLD, "new_channel_id": ""},
        {"old_channel_id": OLD, "new_channel_id": "C0 NEW:*"},
        {"old_channel_id": {"id": OLD}, "new_channel_id": NEW},
        {"old_channel_id": OLD, "new_channel_id": 7},
    ],
)
async def test_an_event_about_nothing_known_or_malformed_changes_nothing(
    day: NightBench, event: dict[str, Any]
) -> None:
    people = day.bot.simulator.people
    before = await stored_subscriptions(day.bot).read()
    await people.report_change({"type": "channel_id_changed", **event}, day.bot.world.slack.channels[OLD])
    assert await stored_subscriptions(day.bot).read() == before
    assert not await audit_entries(day.bot, "move")


@pytest.mark.parametrize("ids", [(OLD, NEW), (OLD, NEW, "C0LATER")])
async def test_an_alert_in_a_channel_without_subscriptions_is_still_updated(
    day: NightBench, ids: tuple[str, ...]
) -> None:
    await day.end_run("failed", "Cart")
    [alert] = alerts_about(day, "Cart", OLD)
    await day.bot.answer_text("/zof unsubscribe all", channel=OLD)
    await day.wait_until_settled()
    slack = day.bot.world.slack
    slack.faults.set_fault("429", None, "chat.update")
    await day.bot.press_button(alert, "zof_triage_acknowledge")
    people = day.bot.simulator.people
    for old, new in pairwise(ids):
        await channel_changes.change_channel_id(people, old, new)
    for old, new in pairwise(ids):  # the events may come again
        event = {"type": "channel_id_changed", "old_channel_id": old, "new_channel_id": new}
        await people.report_change(event, slack.channels[ids[-1]])
    slack.faults.set_fault("none")
    await day.pass_time(60)
    assert "Acknowledged" in text_of(alert)
    assert not await day.bot.app.outbox.parked_channels()
    assert len(await audit_entries(day.bot, "move")) == len(ids) - 1
