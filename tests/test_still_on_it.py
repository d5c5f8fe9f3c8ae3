"""``reack:4h``: whoever acknowledged a failure is asked whether they are still on it, and silence opens it again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import House, buttons, house, polled, said, until
from tests.test_mentions import mention
from tests.test_ordering import written
from tests.test_told import SECRET, current, fail, hook
from tests.test_triage import alert, control, press, private, thread
from tests.walking import Clock
from zofbot.app import running
from zofbot.notification import State
from zofbot.simulator.entities import Message
from zofbot.triage.policy import ANSWER

ANA, BEN = "U0ANA", "U0BEN"
HOURS = 4 * 3600.0
SETTINGS: dict[str, Any] = {"works": True, "zofbot_poll_interval": 3600, "zof_webhook_secret": SECRET}


class Shift:
    """A channel whose acknowledgements are asked about after four hours, its one alert, and the time."""

    def __init__(self, built: House, clock: Clock) -> None:
        self.built, self.clock = built, clock
        self.root: Message

    async def acknowledged(self, user: str = ANA) -> None:
        """Have somebody acknowledge the alert by its button."""
        await press(self.built, user, self.root, control(self.root, "zof_triage_acknowledge"))
        await until(lambda: "*Acknowledged* by" in said(self.root))
        await self.quiet()

    async def later(self, seconds: float) -> None:
        """Let time pass while nothing is on its way, and everything be said that comes due by then."""
        await self.quiet()
        self.clock.ahead += seconds
        self.built.bot.outbox.news.set()
        await self.quiet()

    async def quiet(self) -> None:
        async def settled() -> bool:
            depth = await self.built.bot.outbox.depth()
            return depth.sending == 0 and depth.pending == depth.scheduled

        await until(settled)

    def asked(self) -> list[Message]:
        """The questions in the thread, oldest first."""
        return [one for one in self.built.world.slack.ledger
                if one.thread_ts == self.root.ts and "Still on it" in one.text]  # fmt: skip

    def count(self, words: str) -> int:
        """How many lines of the thread say so."""
        return sum(words in line for line in thread(self.built, self.root))

    async def dropped(self, sort: str) -> bool:
        """Whether what was to be said by then was not wanted any more."""
        entries = await self.built.bot.outbox.list(State.DROPPED)
        return any(one.key.startswith(f"{sort}:") and one.reason == "no longer wanted" for one in entries)


@asynccontextmanager
async def on_shift(valkey: str, **more: Any) -> AsyncIterator[Shift]:
    clock = Clock()
    async with house(valkey, clock=clock, **SETTINGS | more) as built:
        yield Shift(built, clock)


async def subscribed(shift: Shift, more: str = "") -> None:
    """Wait until the bot polls, have the channel subscribe, and a case fail."""
    built = shift.built
    await polled(built)
    await built.type(f"/zof subscribe group:case reack:4h {more}")
    shift.root = await alert(built)
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
    assert f"<@{ANA}>" in said(question), "whoever has it is mentioned"
    assert [one["text"]["text"] for one in buttons(question)] == ["Still on it", "Release"]
    await shift.built.press(question, "zof_do_confirm")
    await until(lambda: shift.count("ana is still on it") == 1)
    assert "You are still on Case 0" in private(shift.built, ANA)
    await shift.later(ANSWER + 60)
    assert "*Acknowledged* by ana" in said(shift.root), "the answer was in time"
    assert await shift.dropped("lapse")
    assert shift.count("nobody said") == 0
    await shift.later(HOURS - ANSWER - 60)
    assert len(shift.asked()) == 2
    await shift.later(ANSWER)
    assert shift.count("nobody said that they are still on it") == 1
    assert [entry.before + entry.after for entry in await written(shift.built, "confirm")] == ["acknowledged" * 2]


async def test_silence_opens_it_again_on_the_card_and_in_the_thread_and_calls_for_help_anew(valkey: str) -> None:
    async with on_shift(valkey) as shift:
        await subscribed(shift, "escalate:15m-><@U0CHIOMA>")
        await shift.acknowledged()
        await shift.later(HOURS)
        assert len(shift.asked()) == 1
        assert shift.count("<@U0CHIOMA>") == 0
        await shift.later(ANSWER)
        assert shift.count("Open again, for nobody said that they are still on it: Case 0") == 1
        assert "*Open again*" in said(shift.root)
        assert "nobody said that they are still on it" in said(shift.root)
        assert "Acknowledged" not in said(shift.root)
        assert shift.count("<@U0CHIOMA>") == 0
        await shift.later(900)
        assert shift.count("<@U0CHIOMA>") == 1, "the escalation counts from when it opened again"
        await shift.built.press(shift.asked()[0], "zof_do_confirm")
        await until(lambda: "Still on it is not possible: Its acknowledgement lapsed" in private(shift.built, ANA))
        await shift.acknowledged(BEN)
        await shift.later(HOURS)
        assert f"<@{BEN}>" in said(shift.asked()[-1])


async def test_it_is_asked_of_whom_it_was_assigned_to_meanwhile(shift: Shift) -> None:
    await shift.acknowledged()
    assert (await mention(shift.built, shift.root, f"assign <@{BEN}>", ANA)).ok
    await until(lambda: shift.count("assigned this to ben") == 1)
    await shift.later(HOURS)
    [question] = shift.asked()
    assert f"<@{BEN}>" in said(question)
    assert f"<@{ANA}>" not in said(question)
    await shift.built.press(question, "zof_do_unacknowledge", user=BEN)
    await until(lambda: "*Released* by ben" in said(shift.root))
    await shift.later(ANSWER)
    assert await shift.dropped("lapse")


async def test_words_in_the_thread_confirm_it_before_anybody_is_asked(shift: Shift) -> None:
    await shift.acknowledged()
    await shift.later(HOURS / 2)
    assert (await mention(shift.built, shift.root, "still on it", ANA)).ok
    await until(lambda: shift.count("ana is still on it") == 1)
    await shift.later(HOURS / 2)
    assert not shift.asked()
    await shift.later(HOURS / 2)
    assert len(shift.asked()) == 1


@pytest.mark.parametrize("end", ["resolve", "recover"])
async def test_what_is_over_is_not_asked_about(shift: Shift, end: str) -> None:
    await shift.acknowledged()
    if end == "resolve":
        assert (await mention(shift.built, shift.root, "resolve flaky: retried", ANA)).ok
        await until(lambda: "*Resolved* by ana" in said(shift.root))
    else:
        passed = fail(shift.built, 0)
        assert await hook(shift.built, current(passed["id"], "evt_passed", "run.completed")) == 200
        await until(lambda: shift.count("Recovered") == 1)
    before = thread(shift.built, shift.root)
    await shift.later(HOURS)
    await shift.later(ANSWER)
    assert await shift.dropped("ask")
    assert await shift.dropped("lapse")
    assert thread(shift.built, shift.root) == before
    assert "Open again" not in said(shift.root)


async def test_what_has_been_forgotten_meanwhile_is_passed_over(shift: Shift) -> None:
    await shift.acknowledged()
    before = thread(shift.built, shift.root)
    card = said(shift.root)
    client, name = shift.built.bot.store.client, f"{{{shift.built.settings.zofbot_namespace}}}:failure"
    await client.delete(f"{name}:{shift.root.key}")
    await shift.later(HOURS)
    await shift.later(ANSWER)
    for sort in ("ask", "lapse", "shown"):
        assert await shift.dropped(sort)
    assert thread(shift.built, shift.root) == before
    assert said(shift.root) == card


@pytest.mark.parametrize("asleep", [HOURS, HOURS + ANSWER], ids=["asks after all", "opens it without a late question"])
async def test_a_bot_that_was_down_when_it_came_due_says_what_is_still_true(valkey: str, asleep: float) -> None:
    async with on_shift(valkey, works=False) as shift:
        async with started(shift):
            await subscribed(shift)
            await shift.acknowledged()
        shift.clock.ahead += asleep
        async with started(shift):
            await shift.quiet()
            opened = asleep > HOURS
            assert len(shift.asked()) == (not opened)
            assert shift.count("Open again") == opened
            assert ("*Open again*" in said(shift.root)) is opened
            await shift.later(ANSWER)
            assert shift.count("Open again") == 1
            assert "*Open again*" in said(shift.root)


@asynccontextmanager
async def started(shift: Shift) -> AsyncIterator[None]:
    """A bot that does everything, until the context ends."""
    moments = lambda: datetime.fromtimestamp(shift.clock(), UTC)  # noqa: E731
    async with running(shift.built.settings, moments) as bot:
        shift.built.bot = bot
        shift.built.world.slack.request_url = f"{bot.url}/slack/events"
        yield
