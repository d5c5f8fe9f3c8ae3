"""Runs that Zof calls passed though cases failed in them: told only to those who ask for it, and by that name."""

from __future__ import annotations

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.failing_runs import SECRET, post_webhook, webhook_event
from zofbot.simulator.zof.state import ZofRecord

ASKS, OTHERS = "C0CHECKOUT", "C0QA"


def end_run(bot: RunningBot, failed: int, status: str = "passed", name: str = "nightly cart") -> ZofRecord:
    zof = bot.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": name})
    for number in range(3):
        outcome = "failed" if number < failed else "passed"
        zof.add_result(run["id"], status=outcome, test_case_id=f"tc_{number}", name=f"Case {number}")
    return zof.finish_run(run["id"], status)


def texts_in(bot: RunningBot, channel: str) -> list[str]:
    return [text_of(message) for message in bot.public_messages(channel) if "cart" in message.text]


@pytest.mark.parametrize("webhook", [False, True], ids=["polled", "webhook"])
@pytest.mark.parametrize("group", ["run", "case"])
async def test_it_is_told_only_where_it_is_asked_for(store_url: str, webhook: bool, group: str) -> None:
    interval = 3600 if webhook else 5
    async with running_bot(
        store_url,
        workers=True,
        zofbot_poll_interval=interval,
        zof_webhook_secret=SECRET,
        zofbot_default_channel="C0SEARCH",
    ) as bot:
        await bot.type_text(f"/zof subscribe project:* group:{group}", channel=OTHERS)
        await bot.type_text("/zof subscribe project:* on:passed-with-failures", channel=ASKS)
        await wait_for_first_poll(bot)
        run = end_run(bot, 1)
        if webhook:
            assert await post_webhook(bot, webhook_event(run["id"], "evt_1", "run.completed")) == 200
        await wait_until(lambda: texts_in(bot, ASKS) != [], 300)
        [alert] = texts_in(bot, ASKS)
        assert "🟡 Passed with 1 failed case: nightly cart" in alert
        assert "Case 0" in alert
        assert "Failed: nightly" not in alert
        later = end_run(bot, 2, "failed", "cart, later")
        if webhook:
            assert await post_webhook(bot, webhook_event(later["id"], "evt_2")) == 200
        await wait_until(lambda: any("Case" in text_of(message) for message in bot.public_messages(OTHERS)), 300)
        assert not any(
            f"Run `{run['id']}`" in text_of(message)  # the card of another run may say that a case passed in this one
            for channel in (OTHERS, "C0SEARCH")
            for message in bot.public_messages(channel)
        )
        assert "Passed with 1 failed case" in await bot.answer_text(f"/zof run {run['id']}")
        assert "its event is passed-with-failures" in await bot.answer_text(f"/zof why {run['id']}", channel=OTHERS)


async def test_it_recovers_when_the_case_passes(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text("/zof subscribe project:* on:passed-with-failures,recovered", channel=ASKS)
        await wait_for_first_poll(bot)
        end_run(bot, 2)
        await wait_until(lambda: texts_in(bot, ASKS) != [], 300)
        bot.world.clock.advance(120)
        end_run(bot, 0)
        await wait_until(lambda: "Recovered" in texts_in(bot, ASKS)[0], 300)


async def test_one_that_recovers_part_of_a_failure_does_not_reopen_it(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text("/zof subscribe project:*", channel=OTHERS)
        await wait_for_first_poll(bot)
        end_run(bot, 1, "failed")
        await wait_until(lambda: texts_in(bot, OTHERS) != [], 300)
        bot.world.clock.advance(120)
        end_run(bot, 0)
        await wait_until(lambda: "Recovered" in texts_in(bot, OTHERS)[0], 300)
        bot.world.clock.advance(120)
        quarantined = end_run(bot, 1)
        read = f"/runs/{quarantined['id']}"
        await wait_until(lambda: any(call.path == read for call in bot.world.zof.calls), 300)
        bot.world.clock.advance(120)
        end_run(bot, 1, "failed", "cart, later")
        await wait_until(lambda: "again" in str(texts_in(bot, OTHERS)), 300)
        assert not any(quarantined["id"] in item for item in texts_in(bot, OTHERS))


async def test_a_preview_does_not_count_them_for_who_does_not_ask(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        bot.world.zof.runs.clear()
        bot.world.zof.results.clear()
        bot.world.clock.advance(3600)
        end_run(bot, 1)
        bot.world.clock.advance(60)
        for channel, asked, said in (
            (OTHERS, "failed,error", "posted nothing"),
            (ASKS, "passed-with-failures", "1 message"),
        ):
            await bot.type_text(f"/zof subscribe project:* on:{asked}", channel=channel)
            await wait_until(lambda channel=channel: "would have" in text_of(bot.private_messages(channel)[-1]))
            assert said in text_of(bot.private_messages(channel)[-1])


async def test_its_test_alert_looks_like_it(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text("/zof subscribe project:* on:passed-with-failures", channel=ASKS)
        await bot.press_button(bot.private_messages(ASKS)[-1], "zof_test_alert")
        await wait_until(
            lambda: any("Passed with 1 failed case" in text_of(message) for message in bot.public_messages(ASKS)), 60
        )
