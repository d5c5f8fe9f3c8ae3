"""Words typed to the bot: what they mean, and what they do in the alert's thread."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bot import RunningBot, over_socket, text_of, wait_until
from tests.support.failing_runs import alerting_bot
from tests.support.triage import forget_alert, mention_bot, raise_alert, thread_of
from zofbot.domain.errors import BadInput
from zofbot.listeners import mentions
from zofbot.listeners.listener_table import ListenerTable
from zofbot.simulator.slack.model import PostedMessage
from zofbot.store.audit import AuditLog
from zofbot.triage import Action
from zofbot.triage.thread_commands import (
    ACTION_WORDS,
    QUESTION_WORDS,
    REASON_WORDS,
    ThreadCommand,
    parse_thread_command,
)

BOT = "U0ZOFBOT"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("<@U0ZOFBOT> ack", ThreadCommand(Action.ACKNOWLEDGE)),
        ("hey <@U0ZOFBOT|zofbot>  ACK!", ThreadCommand(Action.ACKNOWLEDGE)),
        ("<@U0ZOFBOT> “ack”", ThreadCommand(Action.ACKNOWLEDGE)),
        ("<@U0ZOFBOT> assign <@U0BEN>", ThreadCommand(Action.ASSIGN, rest="<@U0BEN>")),
        ("cc <@U0BEN> <@U0ZOFBOT> snooze 2h", ThreadCommand(Action.SNOOZE, rest="2h")),
        ("<@U0ZOFBOT>: snooze until fri 14:00", ThreadCommand(Action.SNOOZE, rest="until fri 14:00")),
        ("<@U0ZOFBOT> still on it", ThreadCommand(Action.CONFIRM, rest="on it")),
        ("<@U0ZOFBOT> why?", ThreadCommand(question="why")),
        ("<@U0ZOFBOT> result res_4821", ThreadCommand(question="result", rest="res_4821")),
        ("thanks <@U0ZOFBOT>", ThreadCommand(question="help")),
    ],
)
def test_what_is_typed_is_understood(typed: str, meant: ThreadCommand) -> None:
    assert parse_thread_command(typed, BOT) == meant


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("flaky: retried", ("flaky", "retried")),
        ("as Test bug, the selector had changed", ("test", "the selector had changed")),
        ("product", ("product", "")),
        ("infra - DNS &amp; all", ("platform", "DNS & all")),
        ("zof or infrastructure", ("platform", "")),
        ("tested it", ("", "tested it")),
        ("", ("", "")),
    ],
)
def test_a_reason_and_its_note_are_told_apart(typed: str, reason: tuple[str, str]) -> None:
    assert parse_thread_command(f"<@{BOT}> resolve {typed}", BOT).resolution_reason == reason


def test_a_mistyped_word_gets_the_one_that_was_meant() -> None:
    with pytest.raises(BadInput) as no:
        parse_thread_command(f"<@{BOT}> acknowlege", BOT)
    assert "acknowledge" in no.value.next_step


@given(st.text(max_size=200), st.sampled_from(["", BOT]))
def test_whatever_is_typed_is_understood_or_refused(typed: str, bot: str) -> None:
    try:
        found = parse_thread_command(f"<@{BOT}> {typed}", bot)
    except BadInput:
        return
    assert (found.act in ACTION_WORDS.values()) != (found.question in QUESTION_WORDS)
    reason, note = found.resolution_reason
    assert reason in ("", *REASON_WORDS.values())
    assert note in typed or reason or "&" in typed or re.search(r"\s{2,}|[\s“”‘’„\x1c-\x1f\x85]", typed)


# --- through the real door


@pytest.fixture
async def subscribed_bot(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url, socket=over_socket(request)) as bot:
        await bot.type_text("/zof subscribe group:case")
        yield bot


def private_answer(bot: RunningBot, user: str = "U0ANA") -> str:
    return " ".join(text_of(message) for message in bot.private_messages(user=user))


async def actions_done(bot: RunningBot) -> list[str]:
    """The acts on failures that were stored."""
    entries = await AuditLog(bot.app.store.keyspace).read_records()
    return [entry.act for entry in entries if entry.key.startswith("case:")]


@pytest.mark.parametrize("subscribed_bot", ["http", "socket"], indirect=True)
async def test_words_in_the_thread_do_what_the_buttons_do(subscribed_bot: RunningBot) -> None:
    root = await raise_alert(subscribed_bot)
    assert (await mention_bot(subscribed_bot, root, "ack")).is_accepted
    await wait_until(lambda: "Acknowledged" in text_of(root))
    await wait_until(lambda: "You acknowledged" in private_answer(subscribed_bot))
    [answer] = [message for message in subscribed_bot.private_messages() if "You acknowledged" in text_of(message)]
    assert answer.thread_ts == root.ts
    await mention_bot(subscribed_bot, root, "assign <@U0BEN>")
    await wait_until(lambda: any("assigned this to" in line for line in thread_of(subscribed_bot, root)))
    await mention_bot(subscribed_bot, root, "snooze until it fails 5 more times", "U0BEN")
    await wait_until(lambda: "Snoozed" in text_of(root))
    await mention_bot(subscribed_bot, root, "resolve flaky: retried &lt;b&gt;", "U0BEN")
    await wait_until(lambda: "Resolved" in text_of(root))
    assert "Flaky" in text_of(root)
    await mention_bot(subscribed_bot, root, "reopen")
    await wait_until(lambda: "Reopened" in text_of(root))
    await mention_bot(subscribed_bot, root, "undo")
    await wait_until(lambda: any(" undid this " in line for line in thread_of(subscribed_bot, root)))
    assert sorted(await actions_done(subscribed_bot)) == sorted(
        ["acknowledge", "assign", "snooze", "resolve", "reopen", "undo"]
    )


async def test_a_mention_that_slack_repeats_acts_once(subscribed_bot: RunningBot) -> None:
    root = await raise_alert(subscribed_bot)
    body = mention_event(subscribed_bot, root, "ack")
    for _ in range(3):
        assert (await subscribed_bot.simulator.people.deliver_payload("events_api", body)).is_accepted
    await wait_until(lambda: "Acknowledged" in text_of(root))
    await mention_bot(subscribed_bot, root, "unack")
    await wait_until(lambda: "Unacknowledged" in text_of(root))
    assert (await subscribed_bot.simulator.people.deliver_payload("events_api", body)).is_accepted
    await wait_until(
        lambda: len([line for line in thread_of(subscribed_bot, root) if "unacknowledged this" in line]) == 1
    )
    assert len([line for line in thread_of(subscribed_bot, root) if " acknowledged this" in line]) == 1
    assert "Acknowledged" not in text_of(root)


def mention_event(bot: RunningBot, root: PostedMessage, words: str, **more: object) -> dict[str, object]:
    """The payload of a mention."""
    inner = {"type": "app_mention", "user": "U0ANA", "text": f"<@{BOT}> {words}", "ts": "1795000000.000100",
             "channel": root.channel, "thread_ts": root.ts, "event_ts": "1795000000.000100", **more}  # fmt: skip
    return {"type": "event_callback", "team_id": "T0ACME", "event_id": "Ev0SAME", "event_time": 1795000000,
            "event": inner, "authorizations": [{"user_id": BOT, "is_bot": True}]}  # fmt: skip


async def test_outside_of_a_failures_thread_it_says_where_to_type(subscribed_bot: RunningBot) -> None:
    await mention_bot(subscribed_bot, None, "ack")
    await wait_until(lambda: "This isn't an alert's thread" in private_answer(subscribed_bot))
    await mention_bot(subscribed_bot, None, "result res_4821")
    await wait_until(lambda: "Voucher can be removed again" in private_answer(subscribed_bot))
    await mention_bot(subscribed_bot, None, "")
    await wait_until(lambda: "Commands in an alert's thread" in private_answer(subscribed_bot))


async def test_what_cannot_be_read_says_what_was_meant_and_changes_nothing(subscribed_bot: RunningBot) -> None:
    root = await raise_alert(subscribed_bot)
    before = text_of(root)
    for words, answer in [
        ("acknowlege", "Did you mean `acknowledge`?"),
        ("assign", "Assign to whom?"),
        ("snooze", "Snooze until when?"),
        ("snooze half past never", "That isn't a time"),
        ("resolve because", "A reason is missing."),
        ("wake", "isn't possible"),
        ("assign <@U0GUEST>", "isn't allowed to work on failures here"),
    ]:
        await mention_bot(subscribed_bot, root, words)
        await wait_until(lambda answer=answer: answer in private_answer(subscribed_bot))
    assert text_of(root) == before


@pytest.mark.parametrize(
    ("words", "example"),
    [
        ("resolve because", "@zofbot resolve flaky: retried"),
        ("snooze half past never", "@zofbot snooze 90m"),
        ("snooze", "@zofbot snooze 2h"),
        ("assign", "@zofbot assign @ben"),
    ],
)
async def test_what_a_thread_is_advised_to_type_mentions_the_bot(
    subscribed_bot: RunningBot, words: str, example: str
) -> None:
    root = await raise_alert(subscribed_bot)
    await mention_bot(subscribed_bot, root, words)
    await wait_until(lambda: f"For example: `{example}`" in private_answer(subscribed_bot))


async def test_an_answer_that_slack_does_not_draw_comes_in_plain_lines(subscribed_bot: RunningBot) -> None:
    root = await raise_alert(subscribed_bot)
    subscribed_bot.world.slack.faults.set_fault("invalid_blocks", 1, only="chat.postEphemeral")
    await mention_bot(subscribed_bot, root, "help")
    await wait_until(lambda: "Slack rejected the full card" in private_answer(subscribed_bot))
    [plain] = [message for message in subscribed_bot.private_messages() if "Slack rejected" in text_of(message)]
    assert plain.thread_ts == root.ts
    assert not plain.blocks
    assert "reference ref_" in plain.text


async def test_a_thread_that_slack_does_not_show_leaves_the_buttons(subscribed_bot: RunningBot) -> None:
    root = await raise_alert(subscribed_bot)
    await forget_alert(subscribed_bot, root)  # else our own receipts say whose thread it is
    subscribed_bot.world.slack.scopes.discard("channels:history")
    await mention_bot(subscribed_bot, root, "ack")
    await wait_until(
        lambda: "zofbot can't read this thread. Use the buttons" in private_answer(subscribed_bot).replace("*", "")
    )
    assert "Reference: `ref_" in private_answer(subscribed_bot)
    assert await actions_done(subscribed_bot) == []


async def test_a_bot_that_mentions_us_is_not_heard(subscribed_bot: RunningBot) -> None:
    root = await raise_alert(subscribed_bot)
    assert (
        await subscribed_bot.simulator.people.deliver_payload(
            "events_api", mention_event(subscribed_bot, root, "ack", bot_id="B0OTHER")
        )
    ).is_accepted
    assert await actions_done(subscribed_bot) == []
    assert (await mention_bot(subscribed_bot, root, "why")).is_accepted
    await wait_until(lambda: "was posted here" in private_answer(subscribed_bot))


async def test_the_thread_of_another_message_of_ours_is_no_failures_thread(subscribed_bot: RunningBot) -> None:
    await subscribed_bot.type_text("/zof handover 8h")
    await wait_until(lambda: any("Handover" in text_of(message) for message in subscribed_bot.public_messages()))
    [posted] = [message for message in subscribed_bot.public_messages() if "Handover" in text_of(message)]
    await mention_bot(subscribed_bot, posted, "ack")
    await wait_until(lambda: "This isn't an alert's thread" in private_answer(subscribed_bot))


def test_an_act_is_not_claimed_first_for_it_would_be_lost_with_the_process() -> None:
    unused: Any = None
    table = ListenerTable()
    mentions.register_listeners(table, unused)
    for words, without in [("ack", True), ("resolve flaky", True), ("why", False), ("gibberish", False)]:
        body = {"event": {"type": "app_mention", "text": f"<@{BOT}> {words}"}}
        assert table.is_idempotent(body) is without, words
