"""Private answers as Slack shows them: added, not replaced, plain where the card is refused, in the right thread."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_until
from tests.support.triage import button_of, flaky_resolution, mention_bot, press_button, raise_alert
from zofbot.simulator.slack.model import PostedMessage
from zofbot.slack.views.replies import request_replies

pytestmark = pytest.mark.anyio

Form = Literal["text", "json", "json_200"]
each_form = pytest.mark.parametrize("form", ["text", "json", "json_200"])


def slow_zof(bot: RunningBot) -> None:
    """Have Zof answer after the three seconds that Slack waits."""
    bot.world.zof.faults.set_fault("slow", 1)


# --- what follows an acknowledgement adds to it


async def test_a_late_answer_is_a_second_message_and_the_first_promises_nothing_else(bot: RunningBot) -> None:
    slow_zof(bot)
    assert (await bot.type_text("/zof runs")).is_accepted
    await wait_until(lambda: len(bot.private_messages()) == 2)
    waiting, answer = bot.private_messages()
    assert "Waiting for Zof" in text_of(waiting)
    assert "replaces" not in text_of(waiting)
    assert "run_" in text_of(answer)


async def test_the_preview_of_a_subscription_adds_only_the_preview(bot: RunningBot) -> None:
    assert (await bot.type_text("/zof subscribe group:case")).is_accepted
    await wait_until(lambda: len(bot.private_messages()) == 2)
    answer, preview = map(text_of, bot.private_messages())
    assert "Subscribed: matching failures will be posted here" in answer
    assert "Over the last 7 days" in preview
    assert "Subscribed: matching failures will be posted here" not in preview


async def test_the_preview_of_a_digest_adds_only_the_preview(bot: RunningBot) -> None:
    assert (await bot.type_text("/zof digest")).is_accepted
    await wait_until(lambda: len(bot.private_messages()) == 2)
    answer, preview = map(text_of, bot.private_messages())
    assert "No digest in this channel" in answer
    assert "Daily digest" in preview
    assert "No digest in this channel" not in preview


async def test_turning_a_page_still_replaces_the_page(bot: RunningBot) -> None:
    await bot.answer_text("/zof runs")
    [page] = bot.private_messages()
    first = text_of(page)
    await bot.press_button(page, "zof_runs_page")
    await wait_until(lambda: text_of(page) != first)
    assert bot.private_messages() == [page]


# --- refusals, in every form that they come in


@each_form
async def test_a_late_answer_that_cannot_be_drawn_is_said_in_plain_words(bot: RunningBot, form: Form) -> None:
    slow_zof(bot)
    bot.world.slack.refuses_answers = form
    await bot.type_text("/zof runs")
    bot.world.slack.takes_blocks = False
    await wait_until(lambda: len(bot.private_messages()) == 2)
    assert "Slack rejected the full card" in bot.private_messages()[1].text


@each_form
async def test_an_answer_whose_address_expired_comes_another_way(bot: RunningBot, form: Form) -> None:
    bot.world.slack.refuses_answers = form
    slow_zof(bot)
    await bot.type_text("/zof runs")
    for hook in bot.world.slack.hooks.values():
        hook.at -= 1801
    await wait_until(lambda: len(bot.private_messages()) == 2)
    assert "run_" in text_of(bot.private_messages()[1])
    assert [call.method for call in bot.world.slack.calls if call.method == "chat.postEphemeral"]


@each_form
async def test_a_card_shared_where_the_bot_is_no_member_goes_out_in_plain_words(store_url: str, form: Form) -> None:
    async with running_bot(store_url) as bot:
        slack = bot.world.slack
        slack.refuses_answers, slack.takes_blocks = form, False
        slack.channels["C0QA"].members.discard("U0ZOFBOT")
        slack.channels["C0QA"].private = True
        result = next(iter(bot.world.zof.results))
        await bot.type_text(f"/zof result {result} share")
        await wait_until(lambda: bool(bot.public_messages()))
        assert "Slack rejected the full card" in bot.public_messages()[0].text


# --- threads


async def test_a_click_inside_a_thread_is_answered_in_the_thread(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    known = len(triage_bot.private_messages())
    await mention_bot(triage_bot, root, "ack")
    await wait_until(lambda: len(triage_bot.private_messages()) > known)
    answer = triage_bot.private_messages()[-1]
    assert answer.thread_ts == root.ts
    known = len(triage_bot.private_messages())
    await triage_bot.press_button(answer, "zof_do_undo")
    await wait_until(lambda: len(triage_bot.private_messages()) < known)
    assert answer.deleted, "the card and its thread say that it was undone"


async def test_a_click_on_the_alert_itself_is_answered_in_the_channel(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    known = len(triage_bot.private_messages())
    await press_button(triage_bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: len(triage_bot.private_messages()) > known)
    assert triage_bot.private_messages()[-1].thread_ts is None


async def test_a_form_opened_inside_a_thread_is_answered_in_the_thread(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    root.thread_ts = "1.000001"  # as of a card inside another thread
    triage_bot.world.slack.messages["C0QA"]["1.000001"] = PostedMessage("C0QA", "1.000001", "U0ANA", "above")
    known = len(triage_bot.private_messages())
    view = await _resolve_form(triage_bot, root)
    await triage_bot.simulator.people.submit_view("U0ANA", view, flaky_resolution())
    await wait_until(lambda: len(triage_bot.private_messages()) > known)
    assert triage_bot.private_messages()[-1].thread_ts == "1.000001"


async def _resolve_form(bot: RunningBot, root: PostedMessage) -> str:
    menu = button_of(root, "zof_triage_more")
    option = {"text": {"type": "plain_text", "text": "Resolve…", "emoji": True}, "value": "resolve"}
    await press_button(bot, "U0ANA", root, menu | {"selected_option": option})
    await wait_until(lambda: bool(bot.world.slack.modals.get("U0ANA")))
    return bot.world.slack.modals["U0ANA"][-1].id


def test_nothing_promises_to_replace() -> None:
    assert "replace" not in str(request_replies.still_working_reply().message_fields())
