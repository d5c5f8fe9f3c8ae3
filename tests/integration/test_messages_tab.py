"""What people type to the bot in its direct messages, the Messages tab of the app."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import fail_run, post_webhook, webhook_event
from zofbot.config.manifest import SCOPES_BY_EVENT, build_manifest
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.simulator.slack import payloads
from zofbot.simulator.slack.model import PostedMessage
from zofbot.slack.views import channel_notes

pytestmark = pytest.mark.anyio

DM = "D0ANA"
HELP = "Unknown command."


async def answer_to(bot: RunningBot, words: str, thread: str | None = None) -> str:
    """Type to the bot; gives its answer."""
    known = len(bot.private_messages(DM))
    assert (await bot.simulator.people.type_text("U0ANA", DM, words, thread)).is_accepted
    await wait_until(lambda: len(bot.private_messages(DM)) > known)
    return text_of(bot.private_messages(DM)[-1])


@pytest.mark.parametrize("before", ["", "<@U0ZOFBOT> "])
async def test_the_words_of_a_mention_work_in_direct_messages(bot: RunningBot, before: str) -> None:
    result = next(iter(bot.world.zof.results))
    assert result in await answer_to(bot, f"{before}result {result}")
    assert "Commands in an alert's thread" in await answer_to(bot, f"{before}help")


@pytest.mark.parametrize("words", ["hello", "what is failing right now?", "resutl res_1", "👍", "<https://a.example>"])
async def test_anything_else_gets_one_line_of_help(bot: RunningBot, words: str) -> None:
    answer = await answer_to(bot, words)
    assert HELP in answer
    assert "help" in answer
    assert bot.private_messages(DM)[-1].blocks[0]["text"]["text"].count("\n") == 0


async def test_words_in_the_thread_of_an_alert_act_on_it(triage_bot: RunningBot) -> None:
    await triage_bot.type_text("/zof subscribe group:case", channel=DM)
    run = fail_run(triage_bot, 1)
    assert await post_webhook(triage_bot, webhook_event(run["id"], "evt_dm")) == 200
    await wait_until(
        lambda: any((message.idempotency_key or "").startswith("case:") for message in triage_bot.public_messages(DM))
    )
    root = next(
        message for message in triage_bot.public_messages(DM) if (message.idempotency_key or "").startswith("case:")
    )
    assert "You acknowledged" in await answer_to(triage_bot, "ack", root.ts)
    await wait_until(lambda: root.text.startswith("Acknowledged"))


async def test_an_act_outside_a_thread_says_where_it_works(bot: RunningBot) -> None:
    assert "This isn't an alert's thread" in await answer_to(bot, "ack")


# --- what is not answered


def count_answers(bot: RunningBot) -> int:
    return sum(call.method == "chat.postEphemeral" for call in bot.world.slack.calls)


def message_event(bot: RunningBot, **more: Any) -> dict[str, Any]:
    stamp = bot.world.slack.next_timestamp()
    message = PostedMessage(DM, stamp, "U0ANA", "hello")
    return payloads.message_event(message, "message", bot.world.slack.channels[DM]) | more


@pytest.mark.parametrize(
    "more",
    [
        {"bot_id": "B0OTHER"},
        {"bot_id": "B0ZOFBOT", "user": "U0ZOFBOT"},
        {"user": "U0ZOFBOT"},
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"subtype": "bot_message"},
        {"edited": {"user": "U0ANA", "ts": "1.000001"}},
        {"channel_type": "channel", "channel": "C0QA"},
    ],
)
async def test_bots_edits_and_other_channels_are_not_answered(bot: RunningBot, more: dict[str, Any]) -> None:
    body = payloads.event_payload(bot.world.slack, message_event(bot, **more))
    assert (await bot.simulator.people.deliver_payload("events_api", body)).is_accepted
    await asyncio.sleep(5)
    assert count_answers(bot) == 0
    assert HELP in await answer_to(bot, "hello")


async def test_a_mention_in_a_direct_message_that_comes_as_both_events_is_answered_once(bot: RunningBot) -> None:
    both = message_event(bot, text="<@U0ZOFBOT> hello")
    for kind in ("app_mention", "message"):
        body = payloads.event_payload(bot.world.slack, both | {"type": kind})
        assert (await bot.simulator.people.deliver_payload("events_api", body)).is_accepted
    await wait_until(lambda: count_answers(bot) > 0)
    await asyncio.sleep(5)
    assert count_answers(bot) == 1


async def test_the_bot_is_told_of_its_own_messages_and_does_not_answer_them(triage_bot: RunningBot) -> None:
    slack, now = triage_bot.world.slack, triage_bot.world.clock.time()
    note = Notification(
        key="line:1:U0ANA",
        kind=NotificationKind.ROOT,
        channel="U0ANA",
        body=channel_notes.note_payload("hello"),
        happened=now,
    )
    await triage_bot.app.outbox.commit([note])
    await wait_until(lambda: bool(triage_bot.public_messages(DM)))
    await wait_until(slack.echoes.empty)
    await asyncio.sleep(5)
    assert count_answers(triage_bot) == 0
    assert HELP in await answer_to(triage_bot, "hello")


def test_the_manifest_subscribes_to_direct_messages() -> None:
    made = build_manifest()
    assert "message.im" in made["settings"]["event_subscriptions"]["bot_events"]
    assert set(SCOPES_BY_EVENT["message.im"]) <= set(made["oauth_config"]["scopes"]["bot"])
    assert made["features"]["app_home"]["messages_tab_enabled"]
    assert not made["features"]["app_home"].get("messages_tab_read_only_enabled")
