"""*Share*, where Slack's answer is not Slack's: the card is in the channel once, however often somebody presses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, until
from zofbot.simulator import spoilt
from zofbot.store import POSTING_SECONDS

RESULT = "res_4821"


@pytest.fixture
async def bot(valkey: str) -> AsyncIterator[RunningBot]:
    async with running_bot(valkey) as bot:
        yield bot


async def share(bot: RunningBot, channel: str = "C0QA") -> str:
    """Press the button once more; gives the private answer."""
    bot.world.clock.advance(POSTING_SECONDS + 1)
    before = len(bot.private(channel))
    card = next(one for one in bot.private(channel) if "zof_share" in text_of(one))
    await bot.press(card, "zof_share")
    await until(lambda: len(bot.private(channel)) > before, 120)
    return text_of(bot.private(channel)[-1])


@pytest.mark.parametrize("fault", [f"{stored}{fault}" for stored in ("", "store_then_") for fault in spoilt.REPLIES])
async def test_a_second_share_looks_before_it_sends(bot: RunningBot, fault: str) -> None:
    await bot.answer(f"/zof {RESULT}")
    bot.world.slack.faults.set(fault, None, "chat.postMessage")
    assert "did not confirm" in await share(bot) or fault.startswith("store_then_")
    bot.world.slack.faults.set("none")
    await share(bot)
    await share(bot)
    assert len(bot.world.slack.ledger) == 1


async def test_what_an_earlier_share_left_in_doubt_is_remembered_by_each_later_one(bot: RunningBot) -> None:
    await bot.answer(f"/zof {RESULT}")
    bot.world.slack.faults.set("store_then_html", 1, "chat.postMessage")
    for fault in ("html", "429", "error:fatal_error"):
        if fault != "html":
            bot.world.slack.faults.set(fault, None, "conversations.history")
        else:
            bot.world.slack.faults.set("store_then_html", None, "chat.postMessage")
            bot.world.slack.channels["C0QA"].members.discard("U0ZOFBOT")  # nobody can look
        answer = await share(bot)
        bot.world.slack.channels["C0QA"].members.add("U0ZOFBOT")
        bot.world.slack.faults.set("none")
        assert "did not confirm" in answer, fault
    await share(bot)
    assert len(bot.world.slack.ledger) == 1


async def test_an_unconfirmed_answer_of_a_response_url_is_not_repeated_for_all_to_see(bot: RunningBot) -> None:
    channel = "C0INCIDENT"  # private, and the bot is no member
    await bot.answer(f"/zof {RESULT}", channel=channel)
    bot.world.slack.faults.set("store_then_html", 1, "response_url")
    assert "did not confirm" in await share(bot, channel)
    assert "cannot look" in await share(bot, channel)
    assert len(bot.public(channel)) == 1
