"""Actions on alerts whose record has expired, and that do not fit the state in which they are restored."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.triage import (
    audit_entries,
    button_of,
    forget_alert,
    mention_bot,
    press_button,
    private_text,
    raise_alert,
)
from zofbot.store.audit import REFUSED_ACTION

ANA = "U0ANA"
DAY_SECONDS = 86400


async def age_store(bot: RunningBot, days: int) -> None:
    """Let the store's lasting keys expire as they would in so many days, which Redis counts by itself."""
    client = bot.app.store.client
    for name in [item async for item in client.scan_iter("*")]:
        left = await client.ttl(name)
        if left > DAY_SECONDS:
            await client.expire(name, left - days * DAY_SECONDS)  # 0 or less: deleted


async def test_the_card_of_an_alert_is_known_as_long_as_the_alert(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await asyncio.sleep(60)
    await age_store(triage_bot, 37)
    posted = len(triage_bot.world.slack.ledger)
    await press_button(triage_bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    assert all(message.thread_ts == root.ts for message in triage_bot.world.slack.ledger[posted:])


@pytest.mark.parametrize(
    ("words", "shown", "action", "refusal"),
    [
        ("resolve flaky: retried", "Resolved", "reopen", "Reopen isn't possible: It is open. Acknowledge, assign,"),
        ("snooze 2h", "Snoozed", "wake", "Unsnooze isn't possible: It is open. Acknowledge, assign,"),
    ],
)
async def test_a_click_that_does_not_fit_the_restored_alert_is_refused_and_its_card_is_current(
    triage_bot: RunningBot, words: str, shown: str, action: str, refusal: str
) -> None:
    root = await raise_alert(triage_bot)
    await mention_bot(triage_bot, root, words)
    await wait_until(lambda: shown in text_of(root))
    await forget_alert(triage_bot, root)
    await press_button(triage_bot, ANA, root, button_of(root, f"zof_triage_{action}"))
    await wait_until(lambda: refusal in private_text(triage_bot, ANA))
    assert "went wrong" not in private_text(triage_bot, ANA)
    await wait_until(lambda: shown not in text_of(root))
    assert "zof_triage_acknowledge" in text_of(root)
    [entry] = await audit_entries(triage_bot, REFUSED_ACTION)
    assert entry.details["reason"] == "not possible while open"


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("unack", "Unacknowledge isn't possible: It is open."),
        ("still on it", "Still on it isn't possible: It is open."),
        ("undo", "Nothing left to undo: It is open. Use the buttons on the card instead."),
        ("escalate", "No escalation policy"),
    ],
)
async def test_words_that_do_not_fit_the_restored_alert_are_refused(
    triage_bot: RunningBot, words: str, refusal: str
) -> None:
    root = await raise_alert(triage_bot)
    await mention_bot(triage_bot, root, "ack")
    await wait_until(lambda: "Acknowledged" in text_of(root))
    await forget_alert(triage_bot, root)
    await mention_bot(triage_bot, root, words)
    await wait_until(lambda: refusal in private_text(triage_bot, ANA))
    assert "went wrong" not in private_text(triage_bot, ANA)
    await wait_until(lambda: "Acknowledged" not in text_of(root))


async def test_undo_in_a_reply_about_an_expired_alert_is_refused_and_nothing_is_posted_again(
    triage_bot: RunningBot,
) -> None:
    root = await raise_alert(triage_bot)
    await press_button(triage_bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "You acknowledged" in private_text(triage_bot, ANA))
    reply = triage_bot.private_messages(user=ANA)[-1]
    await forget_alert(triage_bot, root)
    posted = len(triage_bot.world.slack.ledger)
    await triage_bot.press_button(reply, "zof_do_undo")
    await wait_until(lambda: "Nothing left to undo: It is open." in private_text(triage_bot, ANA))
    assert len(triage_bot.world.slack.ledger) == posted, "its message is not known, so there is no card to change"
