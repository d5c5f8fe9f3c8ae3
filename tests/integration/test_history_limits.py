"""Apps sold outside of the Marketplace read history once a minute, 15 messages at a time: nothing depends on more."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.triage import audit_entries, mention_bot, raise_alert
from zofbot.simulator.slack.model import PostedMessage

QA = "C0QA"


def write_messages(bot: RunningBot, count: int, channel: str = QA) -> None:
    """Have people write so many messages in the channel."""
    slack = bot.world.slack
    for number in range(count):
        slack.add_message(PostedMessage(channel, slack.next_timestamp(), "U0BEN", f"lunch? {number}"))


def calls(bot: RunningBot, method: str) -> int:
    return sum(call.method == method and call.ok for call in bot.world.slack.calls)


async def raise_lost_alert(bot: RunningBot, fault: str, noise: int) -> None:
    """Raise an alert whose first answer is lost, and have people talk before anybody looks for it."""
    await bot.type_text("/zof subscribe group:case")
    await wait_until(lambda: any("subscribed" in message.text for message in bot.public_messages()))
    slack = bot.world.slack
    slack.distributed = True
    slack.faults.set_fault(fault, 1, "chat.postMessage")
    run = fail_run(bot, 1)
    assert await post_webhook(bot, webhook_event(run["id"], "evt_lost")) == 200
    await wait_until(lambda: slack.faults.current == "none")
    write_messages(bot, noise)


@pytest.mark.parametrize("fault", ["store_then_cut", "cut"])
@pytest.mark.parametrize("noise", [10, 40])
async def test_a_lost_answer_is_settled_page_by_page(store_url: str, fault: str, noise: int) -> None:
    async with alerting_bot(store_url) as bot:
        await raise_lost_alert(bot, fault, noise)
        for _ in range(20):
            depth = await bot.app.outbox.read_stats()
            if depth.pending + depth.sending == 0:
                break
            bot.world.clock.advance(31)
            await asyncio.sleep(2)
        assert depth.pending + depth.sending == 0
        assert [
            "Case 0" in text_of(message)
            for message in bot.public_messages()
            if (message.idempotency_key or "").startswith("case:")
        ] == [True]
        assert bot.world.slack.duplicate_keys() == []


async def test_words_in_a_thread_need_no_history(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe group:case")
        root = await raise_alert(bot)
        await wait_until(lambda: bot.world.slack.find_message(QA, root.ts) is not None)
        bot.world.slack.scopes -= {"channels:history"}
        for words in ("ack", "unack", "ack"):
            assert (await mention_bot(bot, root, words)).is_accepted
        assert [entry.act for entry in await audit_entries(bot, "acknowledge")]
        assert calls(bot, "conversations.replies") == 0
