"""Cases that are tried again within one run: of several attempts the last counts, and the card says how many."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from zofbot.simulator.zof.state import ZofRecord, format_time


def end_run(bot: RunningBot, tries: list[tuple[str, ...]], status: str, **more: Any) -> ZofRecord:
    """End a run whose cases were tried so often, a minute apart, with these outcomes."""
    zof, now = bot.world.zof, bot.world.clock.time()
    run = zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly cart", **more})
    for number, outcomes in enumerate(tries):
        for attempt, outcome in enumerate(outcomes):
            about = {"test_case_id": f"tc_{number}", "name": f"Case {number}", "failure_summary": "boom"}
            at = format_time(now - 600 + 60 * attempt)
            zof.add_result(run["id"], status=outcome, created_at=at, completed_at=at, **about)
    return zof.finish_run(run["id"], status)


def alert_keys(bot: RunningBot) -> list[str]:
    return [text_of(message) for message in bot.public_messages() if "cart" in message.text or "Case" in message.text]


@pytest.mark.parametrize("group", ["run", "case"])
async def test_the_last_attempt_counts_and_the_card_says_how_many_there_were(store_url: str, group: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text(f"/zof subscribe project:* group:{group}")
        await wait_for_first_poll(bot)
        run = end_run(bot, [("failed", "passed"), ("failed", "error"), ("passed", "passed")], "failed")
        await wait_until(lambda: alert_keys(bot) != [], 300)
        bot.world.clock.advance(300)
        await wait_until(lambda: sum(call.path == "/results" for call in bot.world.zof.calls) >= 6)
        assert not any("Case 0" in alert for alert in alert_keys(bot))
        assert any("Case 1" in alert and "2 attempts" in alert for alert in alert_keys(bot))
        assert bot.world.slack.duplicate_keys() == []
        card = await bot.answer_text(f"/zof run {run['id']}")
        assert "Case 1" in card
        assert "2 attempts" in card
        assert "Case 0" not in card
        assert [call.path for call in bot.world.zof.calls].count(f"/runs/{run['id']}") == 2, "the poller and the person"


async def test_a_run_that_passed_once_its_cases_were_tried_again_is_told_to_nobody(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text("/zof subscribe project:* on:failed,error,passed-with-failures")
        await wait_for_first_poll(bot)
        run = end_run(bot, [("failed", "passed"), ("passed",)], "passed")
        later = end_run(bot, [("failed",)], "failed", name="cart, later")
        await wait_until(lambda: alert_keys(bot) != [], 300)
        keys = [str(message.idempotency_key) for message in bot.public_messages()]
        assert any(later["id"] in key for key in keys)
        assert not any(run["id"] in key for key in keys)
        assert "✅ Passed: nightly cart" in await bot.answer_text(f"/zof run {run['id']}")


@pytest.mark.parametrize("cases", [40, 150], ids=["on one page", "on several pages"])
async def test_attempts_are_listed_where_they_do_not_come_along_with_the_run(store_url: str, cases: int) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text("/zof subscribe project:*")
        await wait_for_first_poll(bot)
        tries = [("failed", "failed", "passed"), ("failed",), *[("passed",)] * cases]
        run = end_run(bot, tries, "failed")
        bot.world.zof.raw[f"/runs/{run['id']}"] = {**run, "summary": None}
        await wait_until(lambda: alert_keys(bot) != [], 300)
        assert not any("Case 0" in alert for alert in alert_keys(bot))
        assert any("Case 1" in alert for alert in alert_keys(bot))


async def test_a_case_with_parameters_is_as_many_cases(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text("/zof subscribe project:*")
        await wait_for_first_poll(bot)
        zof = bot.world.zof
        run = zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly cart"})
        for browser, status in (("chrome", "failed"), ("firefox", "passed")):
            zof.add_result(run["id"], status=status, test_case_id="tc_1", name=f"Login [{browser}]")
        zof.finish_run(run["id"], "failed")
        await wait_until(lambda: any("Login [chrome]" in alert for alert in alert_keys(bot)), 300)
