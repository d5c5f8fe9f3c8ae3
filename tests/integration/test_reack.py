"""``reack:4h``: whoever acknowledged a failure is asked whether they are still on it, and silence opens it again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.bot import RunningBot, buttons_of, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.triage import (
    audit_entries,
    button_of,
    mention_bot,
    press_button,
    press_with_changed_payload,
    private_text,
    raise_alert,
    thread_of,
)
from tests.support.virtual_time import test_clock
from zofbot.app import run_bot
from zofbot.clock import MovableClock
from zofbot.notifications.notification import NotificationState
from zofbot.simulator.slack.model import PostedMessage
from zofbot.triage.escalation_policy import REACK_ANSWER_SECONDS

ANA, BEN = "U0ANA", "U0BEN"
HOURS = 4 * 3600.0
SETTINGS: dict[str, Any] = {"workers": True, "zofbot_poll_interval": 3600, "zof_webhook_secret": SECRET}


class OnCallShift:
    """A channel whose acknowledgements are asked about after four hours, its one alert, and the time."""

    def __init__(self, bot: RunningBot, clock: MovableClock) -> None:
        self.bot, self.clock = bot, clock
        self.root: PostedMessage

    async def acknowledge_alert(self, user: str = ANA) -> None:
        """Have somebody acknowledge the alert by its button."""
        await press_button(self.bot, user, self.root, button_of(self.root, "zof_triage_acknowledge"))
        await wait_until(lambda: "*Acknowledged* by" in text_of(self.root))
        await self.wait_until_quiet()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass while nothing is on its way, and everything be said that comes due by then."""
        await self.wait_until_quiet()
        self.clock.advance(seconds)
        self.bot.app.outbox.news.set()
        await self.wait_until_quiet()

    async def wait_until_quiet(self) -> None:
        async def is_settled() -> bool:
            depth = await self.bot.app.outbox.read_stats()
            return depth.sending == 0 and depth.pending == depth.scheduled

        await wait_until(is_settled)

    def reack_questions(self) -> list[PostedMessage]:
        """The questions in the thread, oldest first."""
        return [item for item in self.bot.world.slack.ledger
                if item.thread_ts == self.root.ts and "Still on it" in item.text]  # fmt: skip

    def count_lines(self, words: str) -> int:
        """How many lines of the thread say so."""
        return sum(words in line for line in thread_of(self.bot, self.root))

    async def is_dropped(self, sort: str) -> bool:
        """Whether what was to be said by then was not wanted any more."""
        entries = await self.bot.app.outbox.list_records(NotificationState.DROPPED)
        return any(entry.key.startswith(f"{sort}:") and entry.reason == "no longer wanted" for entry in entries)


@asynccontextmanager
async def on_shift(store_url: str, **more: Any) -> AsyncIterator[OnCallShift]:
    clock = test_clock()
    async with running_bot(store_url, clock=clock, **SETTINGS | more) as bot:
        yield OnCallShift(bot, clock)


async def add_subscription(shift: OnCallShift, more: str = "") -> None:
    """Wait until the bot polls, have the channel subscribe, and a case fail."""
    bot = shift.bot
    await wait_for_first_poll(bot)
    await bot.type_text(f"/zof subscribe group:case reack:4h {more}")
    shift.root = await raise_alert(bot)
    await shift.wait_until_quiet()


@pytest.fixture
async def shift(store_url: str) -> AsyncIterator[OnCallShift]:
    async with on_shift(store_url) as made:
        await add_subscription(made)
        yield made


async def test_the_question_stays_if_the_payload_of_its_answer_lacks_the_message(shift: OnCallShift) -> None:
    await shift.acknowledge_alert()
    await shift.pass_time(HOURS)
    [question] = shift.reack_questions()
    [confirm] = [button for button in buttons_of(question) if button["action_id"] == "zof_do_confirm"]
    await press_with_changed_payload(shift.bot, ANA, question, confirm, message=None)
    await wait_until(lambda: shift.count_lines("ana is still on it") == 1)
    await shift.wait_until_quiet()
    assert not question.deleted


async def test_the_owner_is_asked_once_and_what_they_confirm_is_asked_about_again(shift: OnCallShift) -> None:
    await shift.acknowledge_alert()
    await shift.pass_time(HOURS - 60)
    assert not shift.reack_questions()
    await shift.pass_time(60)
    [question] = shift.reack_questions()
    assert f"<@{ANA}>" in text_of(question), "whoever has it is mentioned"
    assert [item["text"]["text"] for item in buttons_of(question)] == ["Still on it", "Unacknowledge"]
    await shift.bot.press_button(question, "zof_do_confirm")
    await wait_until(lambda: shift.count_lines("ana is still on it") == 1)
    assert "still on" not in private_text(shift.bot, ANA), "the thread says it"
    await shift.pass_time(REACK_ANSWER_SECONDS + 60)
    assert "*Acknowledged* by ana" in text_of(shift.root), "the answer was in time"
    assert await shift.is_dropped("lapse")
    assert shift.count_lines("no answer") == 0
    await shift.pass_time(HOURS - REACK_ANSWER_SECONDS - 60)
    assert len(shift.reack_questions()) == 2
    await shift.pass_time(REACK_ANSWER_SECONDS)
    assert shift.count_lines("no answer from the owner") == 1
    assert [entry.before + entry.after for entry in await audit_entries(shift.bot, "confirm")] == ["acknowledged" * 2]


async def test_silence_opens_it_again_on_the_card_and_in_the_thread_and_calls_for_help_anew(store_url: str) -> None:
    async with on_shift(store_url) as shift:
        await add_subscription(shift, "escalate:15m-><@U0CHIOMA>")
        await shift.acknowledge_alert()
        await shift.pass_time(HOURS)
        assert len(shift.reack_questions()) == 1
        assert shift.count_lines("<@U0CHIOMA>") == 0
        await shift.pass_time(REACK_ANSWER_SECONDS)
        assert shift.count_lines("Open again: no answer from the owner: Case 0") == 1
        assert "*Open again*" in text_of(shift.root)
        assert "no answer from the owner" in text_of(shift.root)
        assert "Acknowledged" not in text_of(shift.root)
        assert shift.count_lines("<@U0CHIOMA>") == 0
        await shift.pass_time(900)
        assert shift.count_lines("<@U0CHIOMA>") == 1, "the escalation counts from when it opened again"
        await shift.bot.press_button(shift.reack_questions()[0], "zof_do_confirm")
        await wait_until(
            lambda: "Still on it isn't possible: Its acknowledgement expired" in private_text(shift.bot, ANA)
        )
        await shift.acknowledge_alert(BEN)
        await shift.pass_time(HOURS)
        assert f"<@{BEN}>" in text_of(shift.reack_questions()[-1])


async def test_it_is_asked_of_whom_it_was_assigned_to_meanwhile(shift: OnCallShift) -> None:
    await shift.acknowledge_alert()
    assert (await mention_bot(shift.bot, shift.root, f"assign <@{BEN}>", ANA)).is_accepted
    await wait_until(lambda: shift.count_lines("assigned this to ben") == 1)
    await shift.pass_time(HOURS)
    [question] = shift.reack_questions()
    assert f"<@{BEN}>" in text_of(question)
    assert f"<@{ANA}>" not in text_of(question)
    await shift.bot.press_button(question, "zof_do_unacknowledge", user=BEN)
    await wait_until(lambda: "*Unacknowledged* by ben" in text_of(shift.root))
    await shift.pass_time(REACK_ANSWER_SECONDS)
    assert await shift.is_dropped("lapse")


async def test_words_in_the_thread_confirm_it_before_anybody_is_asked(shift: OnCallShift) -> None:
    await shift.acknowledge_alert()
    await shift.pass_time(HOURS / 2)
    assert (await mention_bot(shift.bot, shift.root, "still on it", ANA)).is_accepted
    await wait_until(lambda: shift.count_lines("ana is still on it") == 1)
    await shift.pass_time(HOURS / 2)
    assert not shift.reack_questions()
    await shift.pass_time(HOURS / 2)
    assert len(shift.reack_questions()) == 1


@pytest.mark.parametrize("end", ["resolve", "recover"])
async def test_what_is_over_is_not_asked_about(shift: OnCallShift, end: str) -> None:
    await shift.acknowledge_alert()
    if end == "resolve":
        assert (await mention_bot(shift.bot, shift.root, "resolve flaky: retried", ANA)).is_accepted
        await wait_until(lambda: "*Resolved* by ana" in text_of(shift.root))
    else:
        passed = fail_run(shift.bot, 0)
        assert await post_webhook(shift.bot, webhook_event(passed["id"], "evt_passed", "run.completed")) == 200
        await wait_until(lambda: shift.count_lines("Recovered") == 1)
    before = thread_of(shift.bot, shift.root)
    await shift.pass_time(HOURS)
    await shift.pass_time(REACK_ANSWER_SECONDS)
    assert await shift.is_dropped("ask")
    assert await shift.is_dropped("lapse")
    assert thread_of(shift.bot, shift.root) == before
    assert "Open again" not in text_of(shift.root)


async def test_what_has_been_forgotten_meanwhile_is_passed_over(shift: OnCallShift) -> None:
    await shift.acknowledge_alert()
    before = thread_of(shift.bot, shift.root)
    card = text_of(shift.root)
    client, name = shift.bot.app.store.client, f"{{{shift.bot.settings.zofbot_namespace}}}:failure"
    await client.delete(f"{name}:{shift.root.idempotency_key}")
    await shift.pass_time(HOURS)
    await shift.pass_time(REACK_ANSWER_SECONDS)
    for sort in ("ask", "lapse", "shown"):
        assert await shift.is_dropped(sort)
    assert thread_of(shift.bot, shift.root) == before
    assert text_of(shift.root) == card


@pytest.mark.parametrize(
    "asleep", [HOURS, HOURS + REACK_ANSWER_SECONDS], ids=["asks after all", "opens it without a late question"]
)
async def test_a_bot_that_was_down_when_it_came_due_says_what_is_still_true(store_url: str, asleep: float) -> None:
    async with on_shift(store_url, workers=False) as shift:
        async with start_shift(shift):
            await add_subscription(shift)
            await shift.acknowledge_alert()
        shift.clock.advance(asleep)
        async with start_shift(shift):
            await shift.wait_until_quiet()
            opened = asleep > HOURS
            assert len(shift.reack_questions()) == (not opened)
            assert shift.count_lines("Open again") == opened
            assert ("*Open again*" in text_of(shift.root)) is opened
            await shift.pass_time(REACK_ANSWER_SECONDS)
            assert shift.count_lines("Open again") == 1
            assert "*Open again*" in text_of(shift.root)


@asynccontextmanager
async def start_shift(shift: OnCallShift) -> AsyncIterator[None]:
    """A bot that does everything, until the context ends."""
    async with run_bot(shift.bot.settings, shift.clock) as bot:
        shift.bot.app = bot
        shift.bot.world.slack.request_url = f"{bot.url}/slack/events"
        yield
