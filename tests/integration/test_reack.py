"""``reack:4h``: whoever acknowledged a failure is asked whether they are still on it, and silence opens it again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.bot import RunningBot, buttons, running_bot, text_of, until, wait_for_first_poll
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.triage import (
    audit_entries,
    button_of,
    mention_bot,
    press_button,
    private_text,
    raise_alert,
    thread_of,
)
from tests.support.virtual_time import test_clock
from zofbot.app import running
from zofbot.clock import MovableClock
from zofbot.notification import State
from zofbot.simulator.entities import Message
from zofbot.triage.policy import ANSWER

ANA, BEN = "U0ANA", "U0BEN"
HOURS = 4 * 3600.0
SETTINGS: dict[str, Any] = {"works": True, "zofbot_poll_interval": 3600, "zof_webhook_secret": SECRET}


class Shift:
    """A channel whose acknowledgements are asked about after four hours, its one alert, and the time."""

    def __init__(self, bot: RunningBot, clock: MovableClock) -> None:
        self.bot, self.clock = bot, clock
        self.root: Message

    async def acknowledged(self, user: str = ANA) -> None:
        """Have somebody acknowledge the alert by its button."""
        await press_button(self.bot, user, self.root, button_of(self.root, "zof_triage_acknowledge"))
        await until(lambda: "*Acknowledged* by" in text_of(self.root))
        await self.quiet()

    async def later(self, seconds: float) -> None:
        """Let time pass while nothing is on its way, and everything be said that comes due by then."""
        await self.quiet()
        self.clock.advance(seconds)
        self.bot.app.outbox.news.set()
        await self.quiet()

    async def quiet(self) -> None:
        async def settled() -> bool:
            depth = await self.bot.app.outbox.depth()
            return depth.sending == 0 and depth.pending == depth.scheduled

        await until(settled)

    def asked(self) -> list[Message]:
        """The questions in the thread, oldest first."""
        return [one for one in self.bot.world.slack.ledger
                if one.thread_ts == self.root.ts and "Still on it" in one.text]  # fmt: skip

    def count(self, words: str) -> int:
        """How many lines of the thread say so."""
        return sum(words in line for line in thread_of(self.bot, self.root))

    async def dropped(self, sort: str) -> bool:
        """Whether what was to be said by then was not wanted any more."""
        entries = await self.bot.app.outbox.list(State.DROPPED)
        return any(one.key.startswith(f"{sort}:") and one.reason == "no longer wanted" for one in entries)


@asynccontextmanager
async def on_shift(valkey: str, **more: Any) -> AsyncIterator[Shift]:
    clock = test_clock()
    async with running_bot(valkey, clock=clock, **SETTINGS | more) as bot:
        yield Shift(bot, clock)


async def subscribed(shift: Shift, more: str = "") -> None:
    """Wait until the bot polls, have the channel subscribe, and a case fail."""
    bot = shift.bot
    await wait_for_first_poll(bot)
    await bot.type(f"/zof subscribe group:case reack:4h {more}")
    shift.root = await raise_alert(bot)
    await shift.quiet()


@pytest.fixture
async def shift(valkey: str) -> AsyncIterator[Shift]:
    async with on_shift(valkey) as made:
        await subscribed(made)
        yield made


async def test_the_owner_is_asked_once_and_what_they_confirm_is_asked_about_again(shift: Shift) -> None:
    await shift.acknowledged()
    await shift.later(HOURS - 60)
    assert not shift.asked()
    await shift.later(60)
    [question] = shift.asked()
    assert f"<@{ANA}>" in text_of(question), "whoever has it is mentioned"
    assert [one["text"]["text"] for one in buttons(question)] == ["Still on it", "Release"]
    await shift.bot.press(question, "zof_do_confirm")
    await until(lambda: shift.count("ana is still on it") == 1)
    await until(lambda: "You are still on Case 0" in private_text(shift.bot, ANA))
    await shift.later(ANSWER + 60)
    assert "*Acknowledged* by ana" in text_of(shift.root), "the answer was in time"
    assert await shift.dropped("lapse")
    assert shift.count("nobody said") == 0
    await shift.later(HOURS - ANSWER - 60)
    assert len(shift.asked()) == 2
    await shift.later(ANSWER)
    assert shift.count("nobody said that they are still on it") == 1
    assert [entry.before + entry.after for entry in await audit_entries(shift.bot, "confirm")] == ["acknowledged" * 2]


async def test_silence_opens_it_again_on_the_card_and_in_the_thread_and_calls_for_help_anew(valkey: str) -> None:
    async with on_shift(valkey) as shift:
        await subscribed(shift, "escalate:15m-><@U0CHIOMA>")
        await shift.acknowledged()
        await shift.later(HOURS)
        assert len(shift.asked()) == 1
        assert shift.count("<@U0CHIOMA>") == 0
        await shift.later(ANSWER)
        assert shift.count("Open again, for nobody said that they are still on it: Case 0") == 1
        assert "*Open again*" in text_of(shift.root)
        assert "nobody said that they are still on it" in text_of(shift.root)
        assert "Acknowledged" not in text_of(shift.root)
        assert shift.count("<@U0CHIOMA>") == 0
        await shift.later(900)
        assert shift.count("<@U0CHIOMA>") == 1, "the escalation counts from when it opened again"
        await shift.bot.press(shift.asked()[0], "zof_do_confirm")
        await until(lambda: "Still on it is not possible: Its acknowledgement lapsed" in private_text(shift.bot, ANA))
        await shift.acknowledged(BEN)
        await shift.later(HOURS)
        assert f"<@{BEN}>" in text_of(shift.asked()[-1])


async def test_it_is_asked_of_whom_it_was_assigned_to_meanwhile(shift: Shift) -> None:
    await shift.acknowledged()
    assert (await mention_bot(shift.bot, shift.root, f"assign <@{BEN}>", ANA)).ok
    await until(lambda: shift.count("assigned this to ben") == 1)
    await shift.later(HOURS)
    [question] = shift.asked()
    assert f"<@{BEN}>" in text_of(question)
    assert f"<@{ANA}>" not in text_of(question)
    await shift.bot.press(question, "zof_do_unacknowledge", user=BEN)
    await until(lambda: "*Released* by ben" in text_of(shift.root))
    await shift.later(ANSWER)
    assert await shift.dropped("lapse")


async def test_words_in_the_thread_confirm_it_before_anybody_is_asked(shift: Shift) -> None:
    await shift.acknowledged()
    await shift.later(HOURS / 2)
    assert (await mention_bot(shift.bot, shift.root, "still on it", ANA)).ok
    await until(lambda: shift.count("ana is still on it") == 1)
    await shift.later(HOURS / 2)
    assert not shift.asked()
    await shift.later(HOURS / 2)
    assert len(shift.asked()) == 1


@pytest.mark.parametrize("end", ["resolve", "recover"])
async def test_what_is_over_is_not_asked_about(shift: Shift, end: str) -> None:
    await shift.acknowledged()
    if end == "resolve":
        assert (await mention_bot(shift.bot, shift.root, "resolve flaky: retried", ANA)).ok
        await until(lambda: "*Resolved* by ana" in text_of(shift.root))
    else:
        passed = fail_run(shift.bot, 0)
        assert await post_webhook(shift.bot, webhook_event(passed["id"], "evt_passed", "run.completed")) == 200
        await until(lambda: shift.count("Recovered") == 1)
    before = thread_of(shift.bot, shift.root)
    await shift.later(HOURS)
    await shift.later(ANSWER)
    assert await shift.dropped("ask")
    assert await shift.dropped("lapse")
    assert thread_of(shift.bot, shift.root) == before
    assert "Open again" not in text_of(shift.root)


async def test_what_has_been_forgotten_meanwhile_is_passed_over(shift: Shift) -> None:
    await shift.acknowledged()
    before = thread_of(shift.bot, shift.root)
    card = text_of(shift.root)
    client, name = shift.bot.app.store.client, f"{{{shift.bot.settings.zofbot_namespace}}}:failure"
    await client.delete(f"{name}:{shift.root.key}")
    await shift.later(HOURS)
    await shift.later(ANSWER)
    for sort in ("ask", "lapse", "shown"):
        assert await shift.dropped(sort)
    assert thread_of(shift.bot, shift.root) == before
    assert text_of(shift.root) == card


@pytest.mark.parametrize("asleep", [HOURS, HOURS + ANSWER], ids=["asks after all", "opens it without a late question"])
async def test_a_bot_that_was_down_when_it_came_due_says_what_is_still_true(valkey: str, asleep: float) -> None:
    async with on_shift(valkey, works=False) as shift:
        async with started(shift):
            await subscribed(shift)
            await shift.acknowledged()
        shift.clock.advance(asleep)
        async with started(shift):
            await shift.quiet()
            opened = asleep > HOURS
            assert len(shift.asked()) == (not opened)
            assert shift.count("Open again") == opened
            assert ("*Open again*" in text_of(shift.root)) is opened
            await shift.later(ANSWER)
            assert shift.count("Open again") == 1
            assert "*Open again*" in text_of(shift.root)


@asynccontextmanager
async def started(shift: Shift) -> AsyncIterator[None]:
    """A bot that does everything, until the context ends."""
    async with running(shift.bot.settings, shift.clock) as bot:
        shift.bot.app = bot
        shift.bot.world.slack.request_url = f"{bot.url}/slack/events"
        yield
