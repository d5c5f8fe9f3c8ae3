"""Answers that are not Slack's, words that nobody knows, and messages that people remove: what becomes of an alert."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from zofbot.notifications.notification import Notification, NotificationKind, NotificationState
from zofbot.simulator.seed import ON_CALL_GROUP
from zofbot.simulator.slack import broken_replies
from zofbot.simulator.slack.model import PostedMessage
from zofbot.store.outbox import Outbox
from zofbot.store.records import OutboxRecord


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    """A bot that delivers, in a channel that is told of each failed run."""
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe group:run layout:flat")
        await wait_until(lambda: bool(bot.public_messages()))
        yield bot


async def fail_and_report(bot: RunningBot) -> str:
    """Fail a run that has nothing to do with those before; returns the key of its alert."""
    bot.world.clock.advance(7200)
    run = fail_run(bot, 1, passed=0)
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}")) == 200
    return f"run:{run['id']}:failed:C0QA"


def posted_messages(bot: RunningBot, key: str) -> list[PostedMessage]:
    return bot.world.slack.messages_with_key(key)


def outbox_of(bot: RunningBot) -> Outbox:
    return Outbox(bot.app.store.keyspace, bot.world.clock)


async def entry_of(bot: RunningBot, key: str) -> OutboxRecord | None:
    return await outbox_of(bot).get_record(key)


async def wait_for_state(
    bot: RunningBot, key: str, state: NotificationState = NotificationState.SENT, seconds: float = 300
) -> OutboxRecord:
    found: list[OutboxRecord] = []

    async def has_state() -> bool:
        entry = await entry_of(bot, key)
        if entry is not None and entry.state is state:
            found.append(entry)
        return bool(found)

    await wait_until(has_state, seconds)
    return found[0]


@pytest.mark.parametrize("stored", ["", "store_then_"])
@pytest.mark.parametrize("fault", broken_replies.BROKEN_REPLIES)
async def test_an_answer_that_is_not_slacks_leads_to_one_message(bot: RunningBot, fault: str, stored: str) -> None:
    bot.world.slack.faults.set_fault(stored + fault, 2, "chat.postMessage")
    key = await fail_and_report(bot)
    await wait_for_state(bot, key)
    assert len(posted_messages(bot, key)) == 1


@pytest.mark.parametrize("fault", broken_replies.BROKEN_REPLIES)
async def test_an_answer_to_a_look_that_is_not_slacks_does_not_pass_for_nothing_found(
    bot: RunningBot, fault: str
) -> None:
    bot.world.slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    key = await fail_and_report(bot)
    await wait_until(lambda: bot.world.slack.faults.current == "none", 60)
    bot.world.slack.faults.set_fault(fault, 2, "conversations.history")
    await wait_for_state(bot, key)
    assert len(posted_messages(bot, key)) == 1


async def test_retrying_a_dead_letter_looks_before_it_sends(bot: RunningBot) -> None:
    bot.world.slack.faults.set_fault("store_then_error:no_text", 1, "chat.postMessage")
    key = await fail_and_report(bot)
    assert (await wait_for_state(bot, key, NotificationState.DEAD)).reason == "no_text"
    assert await outbox_of(bot).retry(key)
    await wait_for_state(bot, key)
    assert len(posted_messages(bot, key)) == 1


TRANSIENT = ["team_added_to_org", "accesslimited", "access_denied", "external_channel_migrating",
             "two_factor_setup_required", "a_word_nobody_knows_yet"]  # fmt: skip


@pytest.mark.parametrize("word", TRANSIENT)
async def test_a_word_that_is_not_final_is_tried_again_and_shown(bot: RunningBot, word: str) -> None:
    bot.world.slack.faults.set_fault(f"error:{word}", None, "chat.postMessage")
    key = await fail_and_report(bot)
    outbox = outbox_of(bot)

    async def word_shown() -> bool:
        return word in str([await outbox.get_record(key), await outbox.parked_channels(), await outbox.read_stats()])

    await wait_until(word_shown, 60)
    bot.world.clock.advance(3600)
    await wait_until(word_shown, 60)
    bot.world.slack.faults.set_fault("none")
    await wait_for_state(bot, key, seconds=900)
    assert len(posted_messages(bot, key)) == 1


async def test_no_permission_parks_one_channel_and_tells_its_subscriber(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:run layout:flat", channel="C0CHECKOUT")
    bot.world.slack.channels["C0QA"].restricted = "no_permission"
    key = await fail_and_report(bot)
    elsewhere = key.replace("C0QA", "C0CHECKOUT")
    await wait_for_state(bot, elsewhere)
    outbox = outbox_of(bot)

    async def is_parked() -> bool:
        return [(channel.channel, channel.reason) for channel in await outbox.parked_channels()] == [
            ("C0QA", "no_permission")
        ]

    await wait_until(is_parked, 60)
    assert not (await outbox.read_stats()).paused
    dm = bot.world.slack.find_dm("U0ANA")
    assert dm
    await wait_until(lambda: "C0QA" in " ".join(text_of(message) for message in bot.visible_messages(dm.id)), 60)
    bot.world.slack.channels["C0QA"].restricted = ""
    await wait_for_state(bot, key, seconds=900)
    assert len(posted_messages(bot, key)) == 1


async def edit_message(bot: RunningBot, key: str, number: int) -> str:
    """Have the alert's message edited; returns the edit's key."""
    body = await bot.app.store.client.hget(f"{{{bot.settings.zofbot_namespace}}}:note:{key}", "body")
    assert body
    name = f"edit:{number}:{key}"
    note = Notification(key=name, kind=NotificationKind.EDIT, channel="C0QA", root=key, happened=bot.world.unix_time(),
                        body=json.loads(body))  # fmt: skip
    await outbox_of(bot).commit([note])
    return name


@pytest.mark.parametrize("word", ["edit_window_closed", "cant_update_message"])
async def test_an_edit_that_comes_too_late_is_dropped_by_name(bot: RunningBot, word: str) -> None:
    bot.world.slack.edit_window, bot.world.slack.edit_refusal = 60, word
    key = await fail_and_report(bot)
    await wait_for_state(bot, key)
    bot.world.clock.advance(120)
    entry = await wait_for_state(bot, await edit_message(bot, key, 1), NotificationState.DROPPED)
    assert entry.reason == word
    assert (await outbox_of(bot).read_stats()).dead == 0
    assert len(posted_messages(bot, key)) == 1


async def test_a_message_that_slack_misses_for_a_moment_is_edited_and_not_posted_again(bot: RunningBot) -> None:
    key = await fail_and_report(bot)
    await wait_for_state(bot, key)
    bot.world.slack.faults.set_fault("error:message_not_found", 2, "chat.update")
    await wait_for_state(bot, await edit_message(bot, key, 1))
    [message] = posted_messages(bot, key)
    assert message.edited
    assert posted_messages(bot, f"{key}:2") == []


async def test_a_message_that_slack_does_not_show_yet_is_edited_and_not_posted_again(bot: RunningBot) -> None:
    key = await fail_and_report(bot)
    await wait_for_state(bot, key)
    bot.world.slack.faults.set_fault("error:message_not_found", 2, ("chat.update", "conversations.replies"))
    await wait_for_state(bot, await edit_message(bot, key, 1))
    [message] = posted_messages(bot, key)
    assert message.edited
    assert posted_messages(bot, f"{key}:2") == []


@pytest.mark.parametrize("fault", ["none", "html", "error:missing_scope"])
async def test_what_cannot_be_looked_for_is_not_posted_again(bot: RunningBot, fault: str) -> None:
    key = await fail_and_report(bot)
    await wait_for_state(bot, key)
    posted_messages(bot, key)[0].deleted = True
    bot.world.slack.faults.set_fault(fault, 3 if fault != "none" else None, "conversations.")
    name = await edit_message(bot, key, 1)
    await wait_for_state(bot, name, seconds=1200)
    assert len(posted_messages(bot, f"{key}:2")) == 1


async def test_an_alert_that_is_removed_again_and_again_is_posted_afresh_once_and_its_subscriber_told(
    bot: RunningBot,
) -> None:
    key = await fail_and_report(bot)
    await wait_for_state(bot, key)
    bot.world.slack.removes_alerts = True
    posted_messages(bot, key)[0].deleted = True
    await wait_for_state(bot, await edit_message(bot, key, 1), NotificationState.DROPPED)
    dm = bot.world.slack.find_dm("U0ANA")
    assert dm
    await wait_until(lambda: any("deleted again" in text_of(message) for message in bot.visible_messages(dm.id)), 60)
    for number in range(2, 6):
        bot.world.clock.advance(600)
        await wait_for_state(bot, await edit_message(bot, key, number), NotificationState.DROPPED)
    roots = [item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith(key)]
    assert [root.idempotency_key for root in roots] == [key, f"{key}:2"]
    assert len([message for message in bot.visible_messages(dm.id) if "deleted again" in text_of(message)]) == 1


async def test_an_alert_that_is_posted_again_after_people_deleted_it_mentions_nobody_again(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe group:run layout:flat mention:@oncall-checkout")
        key = await fail_and_report(bot)
        await wait_for_state(bot, key)
        [first] = posted_messages(bot, key)
        assert f"<!subteam^{ON_CALL_GROUP}>" in first.text
        bot.world.clock.advance(60)
        first.deleted = True
        await edit_message(bot, key, 1)
        await wait_for_state(bot, f"{key}:2")
        [again] = posted_messages(bot, f"{key}:2")
        assert "subteam" not in text_of(again)
        assert "Posted again" in text_of(again)
