"""A card says who did what, and a button does what it says to what it says, or is not there."""

from __future__ import annotations

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.triage import (
    button_of,
    mention_bot,
    open_form,
    press_button,
    private_text,
    raise_alert,
    thread_of,
)
from zofbot.simulator.slack.model import PostedMessage

ANA, BEN, CHIOMA = "U0ANA", "U0BEN", "U0CHIOMA"


def assign_values(user: str) -> dict[str, object]:
    return {"owner": {"owner": {"type": "users_select", "selected_user": user}}}


async def acknowledged_by_ana(bot: RunningBot) -> PostedMessage:
    root = await raise_alert(bot)
    await press_button(bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "*Acknowledged* by ana" in text_of(root))
    return root


def answer_with(bot: RunningBot, user: str, words: str) -> PostedMessage:
    """The latest private answer that holds these words."""
    return [message for message in bot.private_messages(user=user) if words in text_of(message)][-1]


async def pressed_too_late(bot: RunningBot, root: PostedMessage, old: dict[str, object], user: str) -> PostedMessage:
    """The answer to a press on what the card showed before."""
    before = private_text(bot, user).count("Nothing changed")
    await press_button(bot, user, root, old)
    await wait_until(lambda: private_text(bot, user).count("Nothing changed") > before)
    return answer_with(bot, user, "Nothing changed")


async def test_a_card_says_who_acknowledged_and_to_whom_it_was_assigned(triage_bot: RunningBot) -> None:
    root = await acknowledged_by_ana(triage_bot)
    view = await open_form(triage_bot, ANA, root, "assign")
    await triage_bot.simulator.people.submit_view(ANA, view, assign_values(BEN))
    await wait_until(lambda: "assigned to ben" in text_of(root))
    shown = text_of(root)
    assert "*Acknowledged* by ana" in shown
    assert "by ben" not in shown
    assert shown.index("*Acknowledged* by ana") < shown.index("· assigned to ben")


async def test_where_the_same_person_acknowledged_and_has_it_they_are_named_once(triage_bot: RunningBot) -> None:
    root = await acknowledged_by_ana(triage_bot)
    assert "assigned to" not in text_of(root)


async def test_a_stale_button_is_offered_again_only_where_the_act_is_allowed(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    old = button_of(root, "zof_triage_acknowledge")
    triage_bot.world.slack.faults.set_fault("429", only="chat.update")  # the card goes on showing what was
    assert (await mention_bot(triage_bot, root, "resolve flaky: retried", BEN)).is_accepted
    await wait_until(lambda: any("resolved this" in line for line in thread_of(triage_bot, root)))
    answer = await pressed_too_late(triage_bot, root, old, ANA)
    assert "Resolved by ben" in text_of(answer)
    assert "Do it anyway" not in text_of(answer)


async def test_do_it_anyway_names_the_act_and_does_it_only_to_the_state_it_named(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    old = button_of(root, "zof_triage_acknowledge")
    triage_bot.world.slack.faults.set_fault("429", only="chat.update")
    assert (await mention_bot(triage_bot, root, "ack", BEN)).is_accepted
    first = await pressed_too_late(triage_bot, root, old, ANA)
    assert "Acknowledged by ben" in text_of(first)
    assert "*Do it anyway* will acknowledge it." in text_of(first)
    assert (
        await mention_bot(triage_bot, root, "snooze 2h", CHIOMA)
    ).is_accepted  # so what the answer named has passed, too
    await wait_until(lambda: any("chioma snoozed this" in line for line in thread_of(triage_bot, root)))
    await triage_bot.press_button(first, "zof_do_acknowledge")
    await wait_until(lambda: "Snoozed by chioma" in private_text(triage_bot, ANA))
    assert not any("ana acknowledged" in line for line in thread_of(triage_bot, root))
    await triage_bot.press_button(answer_with(triage_bot, ANA, "Snoozed by chioma"), "zof_do_acknowledge")
    await wait_until(lambda: any("ana acknowledged this" in line for line in thread_of(triage_bot, root)))


async def test_to_undo_what_is_not_the_last_act_any_more_is_not_offered_again(triage_bot: RunningBot) -> None:
    root = await acknowledged_by_ana(triage_bot)
    mine = answer_with(triage_bot, ANA, "You acknowledged")
    assert (await mention_bot(triage_bot, root, "snooze 2h", BEN)).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    await triage_bot.press_button(mine, "zof_do_undo")
    await wait_until(lambda: "Nothing changed" in private_text(triage_bot, ANA))
    answer = answer_with(triage_bot, ANA, "Nothing changed")
    assert "Snoozed by ben" in text_of(answer)
    assert "zof_do_" not in text_of(answer), "it would undo what ben did"


async def test_an_undo_that_comes_too_late_says_that_the_time_has_passed(triage_bot: RunningBot) -> None:
    root = await acknowledged_by_ana(triage_bot)
    triage_bot.world.clock.advance(61)
    await triage_bot.press_button(answer_with(triage_bot, ANA, "You acknowledged"), "zof_do_undo")
    await wait_until(lambda: "60 s have passed" in private_text(triage_bot, ANA))
    assert "Acknowledged by ana" in text_of(answer_with(triage_bot, ANA, "60 s have passed"))
    assert "*Acknowledged* by ana" in text_of(root)
