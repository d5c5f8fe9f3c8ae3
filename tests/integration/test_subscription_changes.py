"""Changes of subscriptions: each is made as a whole or not at all, also when several people make them at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_until
from tests.support.reply_loss import lossy_proxy
from tests.support.subscriptions import store_subscription
from zofbot.store.audit import AuditLog
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions import format_filters, parse_filters
from zofbot.subscriptions.model import MAX_SUBSCRIPTIONS

ANA, BEN, CHANNEL = "U0ANA", "U0BEN", "C0QA"


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    """A bot that delivers, and polls too seldom to matter."""
    async with running_bot(store_url, workers=True, history=False, zofbot_poll_interval=3600) as bot:
        yield bot


@asynccontextmanager
async def outbox_that_takes_nothing(bot: RunningBot) -> AsyncIterator[None]:
    """Make every commit of a notification fail, by damaging the number that the outbox ranks them with."""
    client, name = bot.app.store.client, bot.app.store.keyspace.key("outbox", "sequence")
    kept = await client.get(name)
    await client.set(name, "damaged")
    yield
    await (client.delete(name) if kept is None else client.set(name, kept))


async def list_filters(bot: RunningBot) -> list[str]:
    subscriptions = Subscriptions(bot.app.store.keyspace)
    return [format_filters(item) for item in await subscriptions.list_for_channel(CHANNEL)]


async def list_acts(bot: RunningBot) -> list[tuple[str, str, str]]:
    return [(act.act, act.before, act.after) for act in await AuditLog(bot.app.store.keyspace).read_records()]


async def wait_for_note(bot: RunningBot, words: str) -> None:
    await wait_until(lambda: any(words in text_of(message) for message in bot.public_messages()))


async def open_edit_form(bot: RunningBot, user: str) -> str:
    """Open the form of the channel's first subscription; returns the view's id."""
    await bot.answer_text("/zof subscriptions", user=user)
    await bot.press_button(bot.private_messages(user=user)[-1], "zof_edit", user=user)
    await wait_until(lambda: bool(bot.world.slack.modals.get(user)))
    return bot.world.slack.modals[user][-1].id


def field_value(field: str, value: str) -> dict[str, Any]:
    return {field: {field: {"type": "plain_text_input", "value": value}}}


async def test_a_removal_that_cannot_be_noted_removes_nothing(bot: RunningBot) -> None:
    await bot.answer_text("/zof subscribe project:checkout")
    async with outbox_that_takes_nothing(bot):
        assert "store" in await bot.answer_text("/zof unsubscribe 1")
        assert await list_filters(bot) == ["project:checkout"]
    assert "removed" in await bot.answer_text("/zof unsubscribe 1")
    await wait_for_note(bot, "ana removed this channel's subscription to project:checkout.")
    assert await list_filters(bot) == []
    assert (await list_acts(bot))[-1] == ("unsubscribe", "project:checkout", "")


async def test_a_subscription_that_cannot_be_noted_is_not_made(bot: RunningBot) -> None:
    async with outbox_that_takes_nothing(bot):
        assert "store" in await bot.answer_text("/zof subscribe env:qa")
        assert await list_filters(bot) == []
    assert "Subscribed" in await bot.answer_text("/zof subscribe env:qa")
    await wait_for_note(bot, "ana subscribed this channel to env:qa.")
    assert await list_acts(bot) == [("subscribe", "", "env:qa")]


async def test_an_edit_that_cannot_be_noted_changes_nothing(bot: RunningBot) -> None:
    await bot.answer_text("/zof subscribe project:checkout")
    view, people = await open_edit_form(bot, ANA), bot.simulator.people
    async with outbox_that_takes_nothing(bot):
        await people.submit_view(ANA, view, field_value("env", "production"))
        assert "store" in str(bot.world.slack.modals[ANA][-1].errors)
        assert await list_filters(bot) == ["project:checkout"]
    await people.submit_view(ANA, view, field_value("env", "production"))
    await wait_for_note(bot, "from project:checkout to project:checkout env:production.")
    assert (await list_acts(bot))[-1] == (
        "change subscription", "project:checkout", "project:checkout env:production",
    )  # fmt: skip


async def type_at_once(bot: RunningBot, *texts: str) -> None:
    """Have several people type while Slack is slow to say who Ben is, so that all decide before any of them changes."""
    slack = bot.world.slack
    slack.faults.delays["slow"] = 0.5
    slack.faults.set_fault("slow", only="users.info")
    await asyncio.gather(*(bot.type_text(text, user=user) for text, user in zip(texts, (ANA, BEN), strict=True)))


async def test_two_people_who_add_the_same_subscription_add_one(bot: RunningBot) -> None:
    await type_at_once(bot, *["/zof subscribe project:checkout mention:<@U0CHIOMA>"] * 2)
    assert await list_filters(bot) == ["project:checkout mention:<@U0CHIOMA>"]
    await wait_until(
        lambda: any(
            "already has that subscription: number 1" in text_of(message)
            for user in (ANA, BEN)
            for message in bot.private_messages(user=user)
        )
    )
    assert len(await list_acts(bot)) == 1


async def test_a_change_that_redis_made_though_its_reply_was_lost_is_told_as_made(store_url: str) -> None:
    async with lossy_proxy(store_url) as loss, running_bot(loss.url) as bot:
        await bot.answer_text("/zof subscribe env:qa")
        bot.world.clock.advance(1)
        loss.content = b"subscribed:"  # in the key of its note
        assert "Subscribed" in await bot.answer_text("/zof subscribe project:checkout")
        assert await list_filters(bot) == ["env:qa", "project:checkout"]
        loss.content = b"unsubscribed:"
        assert "Subscription removed" in await bot.answer_text("/zof unsubscribe 2")
        assert await list_filters(bot) == ["env:qa"]
        assert loss.count == 2
        assert [act for act, _, _ in await list_acts(bot)] == ["subscribe", "subscribe", "unsubscribe"]


async def test_two_people_who_add_the_last_subscription_do_not_exceed_the_maximum(bot: RunningBot) -> None:
    for number in range(MAX_SUBSCRIPTIONS - 1):
        own = {"id": f"s{number}", "channel": CHANNEL, "created": float(number)}
        await store_subscription(bot.app.store.keyspace, parse_filters(f"env:e{number}").model_copy(update=own))
    await type_at_once(bot, "/zof subscribe env:a mention:<@U0CHIOMA>", "/zof subscribe env:b mention:<@U0CHIOMA>")
    assert len(await list_filters(bot)) == MAX_SUBSCRIPTIONS


async def test_of_two_people_who_edit_one_subscription_the_second_is_told(bot: RunningBot) -> None:
    await bot.answer_text("/zof subscribe project:checkout")
    views = {user: await open_edit_form(bot, user) for user in (ANA, BEN)}
    people, modals = bot.simulator.people, bot.world.slack.modals
    await people.submit_view(ANA, views[ANA], field_value("env", "production"))
    await people.submit_view(BEN, views[BEN], field_value("project", "checkout, billing"))
    assert modals[BEN][-1].errors == {
        "project": "Someone changed this subscription meanwhile. Close the form and edit it again."
    }
    assert await list_filters(bot) == ["project:checkout env:production"]
    await people.dismiss_view(BEN, views[BEN])
    again = await open_edit_form(bot, BEN)
    await people.submit_view(BEN, again, field_value("project", "checkout, billing"))
    assert await list_filters(bot) == ["project:checkout,billing env:production"]


async def test_a_form_that_does_not_say_what_it_was_opened_with_is_saved(bot: RunningBot) -> None:
    await bot.answer_text("/zof subscribe project:checkout")
    view = await open_edit_form(bot, ANA)
    payload = bot.world.slack.modals[ANA][-1].payload
    known = json.loads(payload["private_metadata"])
    payload["private_metadata"] = json.dumps({name: value for name, value in known.items() if name != "version"})
    await bot.simulator.people.submit_view(ANA, view, field_value("env", "qa"))
    assert await list_filters(bot) == ["project:checkout env:qa"]


async def test_lines_about_many_long_filters_count_the_rest(bot: RunningBot) -> None:
    for number in range(7):
        cases = ",".join(f"{'x' * 60}-{number}-{each}" for each in range(12))
        await bot.answer_text(f"/zof subscribe case:{cases}")
        await bot.answer_text(f"/zof mute case:{cases} 2h")
        bot.world.clock.advance(1)
    assert "and 2 more" in await bot.answer_text("/zof unsubscribe all")
    await wait_for_note(bot, "and 2 more.")
    assert "a summary follows here" in await bot.answer_text("/zof unmute all")
    await wait_for_note(bot, "and 2 more in this channel.")


async def test_the_reply_to_a_removal_says_what_was_removed(bot: RunningBot) -> None:
    for filters in ("project:checkout", "env:qa"):
        await bot.answer_text(f"/zof subscribe {filters}")
        bot.world.clock.advance(1)  # subscriptions are numbered by when they were made
    assert "Subscription removed.*\\n`project:checkout`" in await bot.answer_text("/zof unsubscribe 1")
    assert "Subscription removed.*\\n`env:qa`" in await bot.answer_text("/zof unsubscribe 1")


async def test_of_many_subscriptions_that_end_the_rest_are_counted(bot: RunningBot) -> None:
    for number in range(7):
        await bot.answer_text(f"/zof subscribe env:e{number}")
        bot.world.clock.advance(1)
    reply = await bot.answer_text("/zof unsubscribe all")
    assert "7 subscriptions removed." in reply
    assert "`env:e4`\\nand 2 more" in reply
    await wait_for_note(
        bot, "ana removed this channel's subscriptions to env:e0; env:e1; env:e2; env:e3; env:e4; and 2 more."
    )
