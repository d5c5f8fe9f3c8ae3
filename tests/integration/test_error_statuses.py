"""Runs that the platform failed under words of its own: blocked, broken, timed out, with no failed case in them."""

from __future__ import annotations

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.failing_runs import alerting_bot, post_webhook, webhook_event
from zofbot.simulator.zof.state import ZofRecord

STATUSES = ("blocked", "Broken", "timed out", "TIMED_OUT", "completed_error")


def end_run(bot: RunningBot, status: str) -> ZofRecord:
    """End a run whose two cases passed, as far as they ran."""
    zof = bot.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": f"cart {status}"})
    for number in range(2):
        zof.add_result(run["id"], status="passed", name=f"Case {number}", test_case_id=f"tc_{number}")
    return zof.finish_run(run["id"], status)


def alert_headings(bot: RunningBot) -> list[str]:
    return [message.text for message in bot.public_messages() if "cart" in message.text]


@pytest.mark.parametrize("ignores_filter", [False, True], ids=["filtered", "unfiltered"])
async def test_a_status_that_nobody_can_ask_for_is_found_by_polling(store_url: str, ignores_filter: bool) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        if ignores_filter:
            bot.world.zof.refused_params = {"status"}
        await bot.type_text("/zof subscribe project:*")
        await wait_for_first_poll(bot)
        for status in STATUSES:
            end_run(bot, status)
        await wait_until(lambda: len(alert_headings(bot)) == len(STATUSES), 300)
        assert all(heading.startswith("Error: cart") for heading in alert_headings(bot))
        asked = len(bot.world.zof.calls)
        bot.world.clock.advance(60)
        await wait_until(lambda: sum(call.path == "/runs" for call in list(bot.world.zof.calls)[asked:]) >= 3)
        assert bot.world.slack.duplicate_keys() == []


async def test_and_as_well_by_webhook(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe project:*")
        run = end_run(bot, "timed_out")
        assert await post_webhook(bot, webhook_event(run["id"], "evt_1", "run.completed")) == 200
        await wait_until(lambda: alert_headings(bot) != [])
        assert "Error: cart timed_out" in text_of(bot.public_messages()[-1])


async def test_a_word_that_says_only_that_it_ended_does_not_win_over_how(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        words = {"completed_failed": "Failed", "finished with errors": "Error", "done-passed": "Passed"}
        for word, heading in words.items():
            run = end_run(bot, word)
            assert f"{heading}: cart" in await bot.answer_text(f"/zof run {run['id']}")
