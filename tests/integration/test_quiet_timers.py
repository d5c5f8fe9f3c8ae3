"""Escalations, reminders and wake-ups wait for the end of quiet hours, unless they are critical."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.nights import HOUR_SECONDS, NightBench, night
from tests.support.triage import button_of, mention_bot, press_button, private_text, thread_of
from zofbot.simulator.slack.model import PostedMessage

MINUTE = 60.0


@asynccontextmanager
async def start_evening(
    store_url: str, more: str, group: str = "case", **place: Any
) -> AsyncIterator[tuple[NightBench, PostedMessage]]:
    """A case that failed ten minutes before quiet hours of three hours begin, and its message."""
    async with night(store_url) as made:
        await made.pass_time(HOUR_SECONDS - made.clock.time() % HOUR_SECONDS + HOUR_SECONDS - 11 * MINUTE)
        hours = made.quiet_hours(1, 4).replace(",UTC", "")
        await made.bot.type_text(f"/zof subscribe group:{group} quiet:{hours},critical,UTC {more}")
        await made.end_run("failed", "Cart", **place)
        [root] = made.root_messages()
        yield made, root


def count_lines(made: NightBench, root: PostedMessage, words: str) -> int:
    return sum(words in line for line in thread_of(made.bot, root))


async def test_an_escalation_that_comes_due_in_quiet_hours_comes_at_their_end(store_url: str) -> None:
    async with start_evening(store_url, "escalate:30m-><@U0BEN>") as (made, root):
        await made.pass_time(2 * HOUR_SECONDS)
        assert not count_lines(made, root, "<@U0BEN>")
        await made.pass_time(HOUR_SECONDS + 15 * MINUTE)
        assert count_lines(made, root, "<@U0BEN>") == 1
        await made.pass_time(HOUR_SECONDS)
        assert count_lines(made, root, "<@U0BEN>") == 1


async def test_a_step_that_waits_for_their_end_can_be_taken_at_once(store_url: str) -> None:
    async with start_evening(store_url, "escalate:30m-><@U0BEN>") as (made, root):
        await made.pass_time(2 * HOUR_SECONDS)
        for _ in range(2):
            assert (await mention_bot(made.bot, root, "escalate")).is_accepted
            await made.pass_time(MINUTE)
            assert count_lines(made, root, "<@U0BEN>") == 1
        assert "Everyone in the escalation policy was already mentioned" in private_text(made.bot, "U0ANA")
        await made.pass_time(2 * HOUR_SECONDS)
        assert count_lines(made, root, "<@U0BEN>") == 1, "nor again in the morning"


async def test_a_step_that_was_sent_is_not_taken_again(store_url: str) -> None:
    async with start_evening(store_url, "escalate:5m-><@U0BEN>,30m-><@U0CHIOMA>") as (made, root):
        await made.pass_time(6 * MINUTE)
        assert count_lines(made, root, "<@U0BEN>") == 1
        for _ in range(2):
            assert (await mention_bot(made.bot, root, "escalate")).is_accepted
            await made.pass_time(MINUTE)
            assert (count_lines(made, root, "<@U0BEN>"), count_lines(made, root, "<@U0CHIOMA>")) == (1, 1)
        await made.pass_time(4 * HOUR_SECONDS)
        assert (count_lines(made, root, "<@U0BEN>"), count_lines(made, root, "<@U0CHIOMA>")) == (1, 1)


@pytest.mark.parametrize("group", ["case", "cause"])
async def test_a_critical_one_comes_at_its_time(store_url: str, group: str) -> None:
    escalation = "escalate:30m-><@U0BEN>"
    async with start_evening(store_url, escalation, group, environment="production") as (made, root):
        await made.pass_time(HOUR_SECONDS)
        assert count_lines(made, root, "<@U0BEN>") == 1


async def test_one_that_was_taken_meanwhile_is_not_said_at_all(store_url: str) -> None:
    async with start_evening(store_url, "escalate:30m-><@U0BEN>") as (made, root):
        await made.pass_time(2 * HOUR_SECONDS)
        await press_button(made.bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
        await made.pass_time(2 * HOUR_SECONDS)
        assert not count_lines(made, root, "<@U0BEN>")


async def test_nobody_is_asked_in_the_night_nor_loses_what_they_have(store_url: str) -> None:
    async with start_evening(store_url, "reack:1h") as (made, root):
        await press_button(made.bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
        await made.pass_time(HOUR_SECONDS)
        await made.pass_time(2 * HOUR_SECONDS)
        assert not count_lines(made, root, "till on it"), "and the acknowledgement has not lapsed"
        await made.pass_time(15 * MINUTE)
        assert (count_lines(made, root, "Still on it"), count_lines(made, root, "Open again")) == (1, 0)
        await made.pass_time(20 * MINUTE)
        assert count_lines(made, root, "Open again") == 1


@pytest.mark.parametrize("words", ["snooze 1h"])
async def test_what_was_snoozed_wakes_at_their_end(store_url: str, words: str) -> None:
    async with start_evening(store_url, "") as (made, root):
        await mention_bot(made.bot, root, words)
        await made.pass_time(2 * HOUR_SECONDS)
        before = len(thread_of(made.bot, root))
        await made.pass_time(HOUR_SECONDS + 15 * MINUTE)
        assert len(thread_of(made.bot, root)) == before + 1
