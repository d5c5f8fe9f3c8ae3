"""Actions on alerts whose record has expired, and that do not fit the state in which they are restored."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.triage import (
    audit_entries,
    button_of,
    chosen_act,
    forget_alert,
    mention_bot,
    open_triage_form,
    press_button,
    press_with_changed_payload,
    private_text,
    raise_alert,
    thread_of,
)
from zofbot.config.manifest import build_manifest
from zofbot.domain.commands import SHORTCUT_CALLBACK_ID
from zofbot.simulator.slack.model import PostedMessage
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


async def wait_for_escalation(bot: RunningBot, root: PostedMessage) -> None:
    """Wait until the alert was escalated, as every alert was that expires; Zof's retries may take as long as that."""
    await wait_until(lambda: any("<@U0BEN>" in line for line in thread_of(bot, root)))


async def test_the_card_of_a_restored_alert_is_where_the_click_says_it_is(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await wait_for_escalation(triage_bot, root)
    await forget_alert(triage_bot, root)
    await press_with_changed_payload(triage_bot, ANA, root, button_of(root, "zof_triage_acknowledge"), message=None)
    await wait_until(lambda: text_of(root).startswith('["Acknowledged: '))


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


@pytest.mark.parametrize("way", ["button", "form button", "words", "shortcut", "why"])
async def test_while_zof_is_unavailable_its_error_is_shown_and_the_next_attempt_succeeds(
    triage_bot: RunningBot, way: str
) -> None:
    root = await raise_alert(triage_bot)
    await wait_for_escalation(triage_bot, root)
    await forget_alert(triage_bot, root)
    triage_bot.world.slack.shortcuts = build_manifest()["features"]["shortcuts"]

    async def ask() -> None:
        match way:
            case "button" | "form button":
                action = "acknowledge" if way == "button" else "assign"
                await press_button(triage_bot, ANA, root, button_of(root, f"zof_triage_{action}"))
            case "words" | "why":
                assert (await mention_bot(triage_bot, root, "ack" if way == "words" else "why")).is_accepted
            case _:
                await triage_bot.simulator.people.use_shortcut(ANA, root.channel, root.ts, SHORTCUT_CALLBACK_ID)

    triage_bot.world.zof.faults.set_fault("503")
    await ask()
    await wait_until(lambda: "Request ID" in private_text(triage_bot, ANA))
    refusal = private_text(triage_bot, ANA)
    assert "Zof is unavailable" in refusal
    assert "Try again" in refusal
    assert "expired" not in refusal
    triage_bot.world.zof.faults.set_fault("none")
    await ask()
    match way:
        case "button" | "words":
            await wait_until(lambda: "Acknowledged" in text_of(root))
        case "why":
            await wait_until(lambda: "matched, posted" in private_text(triage_bot, ANA))
        case _:
            await wait_until(lambda: bool(triage_bot.world.slack.modals.get(ANA)))


@pytest.mark.parametrize("act", ["acknowledge", "resolve"])
async def test_a_form_stays_open_with_zofs_error_if_the_alert_expired_meanwhile(
    triage_bot: RunningBot, act: str
) -> None:
    root = await raise_alert(triage_bot)
    await wait_for_escalation(triage_bot, root)
    view = await open_triage_form(triage_bot, root)
    form = triage_bot.world.slack.modals[ANA][-1]
    await forget_alert(triage_bot, root)
    triage_bot.world.zof.faults.set_fault("503")
    await triage_bot.simulator.people.submit_view(ANA, view, chosen_act(act, act.capitalize()))

    def answer() -> str:
        return f"{form.errors} {private_text(triage_bot, ANA)}"

    await wait_until(lambda: "Zof is unavailable" in answer())
    assert "Request ID" in answer()
    assert "expired" not in answer()


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
