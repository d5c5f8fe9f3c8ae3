"""*Share*, where Slack's answer is not Slack's: the card is in the channel once, however often somebody presses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_until
from tests.support.reply_loss import lossy_proxy
from tests.support.valkey_servers import stopped_server
from tests.support.virtual_time import stand_still
from zofbot.simulator.slack import broken_replies, channel_changes
from zofbot.store import MAX_POSTING_SECONDS

RESULT = "res_4821"


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with running_bot(store_url) as bot:
        yield bot


async def share_card(bot: RunningBot, channel: str = "C0QA") -> str:
    """Press the button once more; gives the private answer."""
    bot.world.clock.advance(MAX_POSTING_SECONDS + 1)
    before = len(bot.private_messages(channel))
    card = next(message for message in bot.private_messages(channel) if "zof_share" in text_of(message))
    await bot.press_button(card, "zof_share")
    await wait_until(lambda: len(bot.private_messages(channel)) > before, 120)
    return text_of(bot.private_messages(channel)[-1])


def posts(bot: RunningBot) -> list[Any]:
    return [call for call in bot.world.slack.calls if call.method == "chat.postMessage"]


@pytest.mark.parametrize(
    "fault", [f"{stored}{fault}" for stored in ("", "store_then_") for fault in broken_replies.BROKEN_REPLIES]
)
async def test_a_second_share_looks_before_it_sends(bot: RunningBot, fault: str) -> None:
    await bot.answer_text(f"/zof {RESULT}")
    bot.world.slack.faults.set_fault(fault, None, "chat.postMessage")
    assert "didn't confirm" in await share_card(bot) or fault.startswith("store_then_")
    bot.world.slack.faults.set_fault("none")
    await share_card(bot)
    await share_card(bot)
    assert len(bot.world.slack.ledger) == 1


async def test_a_share_that_has_taken_long_is_not_tried_again(bot: RunningBot) -> None:
    await bot.answer_text(f"/zof {RESULT}")
    bot.world.slack.faults.set_fault("429", None, "chat.postMessage")
    asking = asyncio.create_task(share_card(bot))
    await wait_until(lambda: len(posts(bot)) == 1)
    stand_still(40)
    assert "rate-limiting" in await asking
    assert len(posts(bot)) == 2, "the third and fourth of the attempts would be too late"


@pytest.mark.parametrize("off", [-250.0, 250.0])
async def test_a_clock_that_differs_from_slacks_hides_no_card(bot: RunningBot, off: float) -> None:
    bot.world.slack.now = lambda: bot.world.unix_time() + off
    await bot.answer_text(f"/zof {RESULT}")
    bot.world.slack.faults.set_fault("store_then_cut", 1, "chat.postMessage")
    await share_card(bot)
    assert len(bot.world.slack.ledger) == 1


async def test_what_an_earlier_share_left_in_doubt_is_remembered_by_each_later_one(bot: RunningBot) -> None:
    await bot.answer_text(f"/zof {RESULT}")
    bot.world.slack.faults.set_fault("store_then_html", 1, "chat.postMessage")
    for fault in ("html", "429", "error:fatal_error"):
        if fault != "html":
            bot.world.slack.faults.set_fault(fault, None, "conversations.history")
        else:
            bot.world.slack.faults.set_fault("store_then_html", None, "chat.postMessage")
            bot.world.slack.channels["C0QA"].members.discard("U0ZOFBOT")  # nobody can look
        answer = await share_card(bot)
        bot.world.slack.channels["C0QA"].members.add("U0ZOFBOT")
        bot.world.slack.faults.set_fault("none")
        assert "didn't confirm" in answer, fault
    await share_card(bot)
    assert len(bot.world.slack.ledger) == 1


async def test_an_unconfirmed_answer_of_a_response_url_is_not_repeated_for_all_to_see(bot: RunningBot) -> None:
    channel = "C0INCIDENT"  # private, and the bot is no member
    await bot.answer_text(f"/zof {RESULT}", channel=channel)
    bot.world.slack.faults.set_fault("store_then_html", 1, "response_url")
    assert "didn't confirm" in await share_card(bot, channel)
    assert "can't check" in await share_card(bot, channel)
    assert len(bot.public_messages(channel)) == 1


async def test_where_the_bot_is_no_member_the_reply_says_that_details_are_missing(bot: RunningBot) -> None:
    channel = "C0INCIDENT"
    await bot.answer_text(f"/zof {RESULT}", channel=channel)
    for answer in (await share_card(bot, channel), await share_card(bot, channel)):
        assert "hared this, without" in answer or "Shared to this channel, without failure details" in answer
        assert "/invite @zofbot" in answer
    [redacted] = bot.public_messages(channel)
    assert "order total is wrong" not in text_of(redacted)
    await channel_changes.add_member(bot.simulator.people, "U0ZOFBOT", channel)
    answer = await share_card(bot, channel)
    assert "Shared to this channel." in answer
    assert "without" not in answer
    assert "order total is wrong" in text_of(bot.public_messages(channel)[-1])
    assert "already shared this" in await share_card(bot, channel)
    assert len(bot.public_messages(channel)) == 2


@pytest.mark.parametrize("typed", ["/zof result res_4821 share"])
async def test_a_typed_share_says_it_too(bot: RunningBot, typed: str) -> None:
    assert "without failure details" in await bot.answer_text(typed, channel="C0INCIDENT")
    assert "without" not in await bot.answer_text(typed)


async def test_a_share_that_lacks_no_details_says_nothing_of_them(bot: RunningBot) -> None:
    bot.world.zof.results[RESULT] = {"id": RESULT, "status": "passed", "name": "Cart"}
    answer = await bot.answer_text(f"/zof result {RESULT} share", channel="C0INCIDENT")
    assert "Shared to this channel." in answer
    assert "without" not in answer


async def test_a_share_that_redis_noted_though_its_reply_was_lost_is_posted_once(store_url: str) -> None:
    async with lossy_proxy(store_url) as loss, running_bot(loss.url) as bot:
        await bot.answer_text(f"/zof {RESULT}")
        assert "Shared to this channel" in await share_card(bot)  # Redis knows the script from now on
        for status, fault in (("error", "none"), ("passed", "html")):
            bot.world.zof.results[RESULT]["status"] = status
            bot.world.slack.faults.set_fault(fault, None, "chat.postMessage")
            loss.content = b":share:share:"
            await share_card(bot)
            bot.world.slack.faults.set_fault("none")
            loss.content = b":share:share:"
            await share_card(bot)
        assert loss.count == 4
        assert len(bot.world.slack.ledger) == 3
        assert "already shared this" in await share_card(bot)


async def test_a_card_that_was_posted_is_told_as_shared_although_redis_takes_no_note_of_it(bot: RunningBot) -> None:
    client = bot.app.store.client
    await client.config_set("min-replicas-to-write", "1")
    try:
        assert "Shared to this channel" in await bot.answer_text(f"/zof result {RESULT} share")
    finally:
        await client.config_set("min-replicas-to-write", "0")
    assert len(bot.world.slack.ledger) == 1


async def test_without_redis_only_a_typed_share_is_posted(bot: RunningBot) -> None:
    """A button can be pressed twice, so its share needs a store that remembers; a typed one is asked for each time."""
    await bot.answer_text(f"/zof {RESULT}")
    async with stopped_server(bot.settings.redis_url):
        assert "isn't responding" in await share_card(bot)
        assert not bot.world.slack.ledger
        await bot.type_text(f"/zof result {RESULT} share")
        await wait_until(lambda: "Shared to this channel" in text_of(bot.private_messages()[-1]))
    assert len(bot.world.slack.ledger) == 1
