"""Answers that are not Slack's, words that nobody knows, and messages that people remove: what becomes of an alert."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, until, wait_for_first_poll
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from zofbot.notification import Kind, Notification, State
from zofbot.simulator import spoilt
from zofbot.simulator.entities import Message
from zofbot.store.entry import Entry
from zofbot.store.outbox import Outbox


@pytest.fixture
async def bot(valkey: str) -> AsyncIterator[RunningBot]:
    """A bot that delivers, in a channel that is told of each failed run."""
    async with running_bot(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET) as bot:
        await wait_for_first_poll(bot)
        await bot.type("/zof subscribe group:run layout:flat")
        await until(lambda: bool(bot.public()))
        yield bot


async def fail_and_report(bot: RunningBot) -> str:
    """Fail a run that has nothing to do with those before; returns the key of its alert."""
    bot.world.clock.advance(7200)
    run = fail_run(bot, 1, passed=0)
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}")) == 200
    return f"run:{run['id']}:failed:C0QA"


def posted(bot: RunningBot, key: str) -> list[Message]:
    return bot.world.slack.posted(key)


def outbox_of(bot: RunningBot) -> Outbox:
    return Outbox(bot.app.store.client, bot.settings.zofbot_namespace, bot.world.clock)


async def entry_of(bot: RunningBot, key: str) -> Entry | None:
    return await outbox_of(bot).show(key)


async def settled(bot: RunningBot, key: str, state: State = State.SENT, seconds: float = 300) -> Entry:
    found: list[Entry] = []

    async def there() -> bool:
        entry = await entry_of(bot, key)
        if entry is not None and entry.state is state:
            found.append(entry)
        return bool(found)

    await until(there, seconds)
    return found[0]


@pytest.mark.parametrize("stored", ["", "store_then_"])
@pytest.mark.parametrize("fault", spoilt.REPLIES)
async def test_an_answer_that_is_not_slacks_leads_to_one_message(bot: RunningBot, fault: str, stored: str) -> None:
    bot.world.slack.faults.set(stored + fault, 2, "chat.postMessage")
    key = await fail_and_report(bot)
    await settled(bot, key)
    assert len(posted(bot, key)) == 1


@pytest.mark.parametrize("fault", spoilt.REPLIES)
async def test_an_answer_to_a_look_that_is_not_slacks_does_not_pass_for_nothing_found(
    bot: RunningBot, fault: str
) -> None:
    bot.world.slack.faults.set("store_then_cut", 1, "chat.postMessage")
    key = await fail_and_report(bot)
    await until(lambda: bot.world.slack.faults.current == "none", 60)
    bot.world.slack.faults.set(fault, 2, "conversations.history")
    await settled(bot, key)
    assert len(posted(bot, key)) == 1


async def test_retrying_a_dead_letter_looks_before_it_sends(bot: RunningBot) -> None:
    bot.world.slack.faults.set("store_then_error:no_text", 1, "chat.postMessage")
    key = await fail_and_report(bot)
    assert (await settled(bot, key, State.DEAD)).reason == "no_text"
    assert await outbox_of(bot).retry(key)
    await settled(bot, key)
    assert len(posted(bot, key)) == 1


TRANSIENT = ["team_added_to_org", "accesslimited", "access_denied", "external_channel_migrating",
             "two_factor_setup_required", "a_word_nobody_knows_yet"]  # fmt: skip


@pytest.mark.parametrize("word", TRANSIENT)
async def test_a_word_that_is_not_final_is_tried_again_and_shown(bot: RunningBot, word: str) -> None:
    bot.world.slack.faults.set(f"error:{word}", None, "chat.postMessage")
    key = await fail_and_report(bot)
    outbox = outbox_of(bot)

    async def word_shown() -> bool:
        return word in str([await outbox.show(key), await outbox.parked(), await outbox.depth()])

    await until(word_shown, 60)
    bot.world.clock.advance(3600)
    await until(word_shown, 60)
    bot.world.slack.faults.set("none")
    await settled(bot, key, seconds=900)
    assert len(posted(bot, key)) == 1


async def test_no_permission_parks_one_channel_and_tells_its_subscriber(bot: RunningBot) -> None:
    await bot.type("/zof subscribe group:run layout:flat", channel="C0CHECKOUT")
    bot.world.slack.channels["C0QA"].restricted = "no_permission"
    key = await fail_and_report(bot)
    elsewhere = key.replace("C0QA", "C0CHECKOUT")
    await settled(bot, elsewhere)
    outbox = outbox_of(bot)

    async def parked() -> bool:
        return [(one.channel, one.reason) for one in await outbox.parked()] == [("C0QA", "no_permission")]

    await until(parked, 60)
    assert not (await outbox.depth()).paused
    dm = bot.world.slack.dm("U0ANA")
    assert dm
    await until(lambda: "C0QA" in " ".join(text_of(one) for one in bot.seen(dm.id)), 60)
    bot.world.slack.channels["C0QA"].restricted = ""
    await settled(bot, key, seconds=900)
    assert len(posted(bot, key)) == 1


async def edit(bot: RunningBot, key: str, number: int) -> str:
    """Have the alert's message edited; returns the edit's key."""
    body = await bot.app.store.client.hget(f"{{{bot.settings.zofbot_namespace}}}:note:{key}", "body")
    assert body
    name = f"edit:{number}:{key}"
    note = Notification(key=name, kind=Kind.EDIT, channel="C0QA", root=key, happened=bot.world.now(),
                        body=json.loads(body))  # fmt: skip
    await outbox_of(bot).commit([note])
    return name


@pytest.mark.parametrize("word", ["edit_window_closed", "cant_update_message"])
async def test_an_edit_that_comes_too_late_is_dropped_by_name(bot: RunningBot, word: str) -> None:
    bot.world.slack.edit_window, bot.world.slack.edit_refusal = 60, word
    key = await fail_and_report(bot)
    await settled(bot, key)
    bot.world.clock.advance(120)
    entry = await settled(bot, await edit(bot, key, 1), State.DROPPED)
    assert entry.reason == word
    assert (await outbox_of(bot).depth()).dead == 0
    assert len(posted(bot, key)) == 1


async def test_a_message_that_slack_misses_for_a_moment_is_edited_and_not_posted_again(bot: RunningBot) -> None:
    key = await fail_and_report(bot)
    await settled(bot, key)
    bot.world.slack.faults.set("error:message_not_found", 2, "chat.update")
    await settled(bot, await edit(bot, key, 1))
    [message] = posted(bot, key)
    assert message.edited
    assert posted(bot, f"{key}:2") == []


@pytest.mark.parametrize("fault", ["none", "html", "error:missing_scope"])
async def test_what_cannot_be_looked_for_is_not_posted_again(bot: RunningBot, fault: str) -> None:
    key = await fail_and_report(bot)
    await settled(bot, key)
    posted(bot, key)[0].deleted = True
    bot.world.slack.faults.set(fault, 3 if fault != "none" else None, "conversations.")
    name = await edit(bot, key, 1)
    await settled(bot, name, seconds=1200)
    assert len(posted(bot, f"{key}:2")) == 1


async def test_an_alert_that_is_removed_again_and_again_is_posted_afresh_once_and_its_subscriber_told(
    bot: RunningBot,
) -> None:
    key = await fail_and_report(bot)
    await settled(bot, key)
    bot.world.slack.removes_alerts = True
    posted(bot, key)[0].deleted = True
    await settled(bot, await edit(bot, key, 1), State.DROPPED)
    dm = bot.world.slack.dm("U0ANA")
    assert dm
    await until(lambda: "removed" in " ".join(text_of(one) for one in bot.seen(dm.id)), 60)
    for number in range(2, 6):
        bot.world.clock.advance(600)
        await settled(bot, await edit(bot, key, number), State.DROPPED)
    roots = [one for one in bot.world.slack.ledger if (one.key or "").startswith(key)]
    assert [one.key for one in roots] == [key, f"{key}:2"]
    assert len([one for one in bot.seen(dm.id) if "removed" in text_of(one)]) == 1
