"""``after:``: how many failures a channel waits for, within a window or in a row, and that the card says how many."""

from __future__ import annotations

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.failing_runs import fail_run
from zofbot.simulator.zof.state import ZofRecord


def alert_keys(bot: RunningBot) -> list[str]:
    return [
        text_of(message)
        for message in bot.public_messages()
        if not message.thread_ts and "subscribed" not in message.text
    ]


async def end_run(bot: RunningBot, bad: int, name: str = "nightly cart", environment: str = "staging") -> ZofRecord:
    """End a run, wait until it was read, and let some minutes pass."""
    run = fail_run(bot, bad, passed=1 - bad, environment=environment)
    run["name"] = name
    asked = len(bot.world.zof.calls)

    def is_listed() -> bool:
        calls = list(bot.world.zof.calls)[asked:]
        return sum(call.path == "/runs" for call in calls) >= 6

    await wait_until(is_listed, 300)
    bot.world.clock.advance(300)
    return run


@pytest.mark.parametrize("group", ["case", "run"])
async def test_the_second_failure_within_an_hour_counts_two(store_url: str, group: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text(f"/zof subscribe project:* group:{group} after:2/1h")
        await wait_for_first_poll(bot)
        await end_run(bot, 1)
        assert alert_keys(bot) == []
        await end_run(bot, 1)
        await wait_until(lambda: alert_keys(bot) != [], 300)
        [alert] = alert_keys(bot)
        assert ("*2 failures<!date^" if group == "case" else "2 failed runs<!date^") in alert
        assert "^ since {date_short_pretty}" in alert


@pytest.mark.parametrize(("typed", "group"), [("after:3-in-a-row", "run"), ("after:3 in a row", "case")])
async def test_failures_in_a_row_begin_anew_when_one_passes(store_url: str, typed: str, group: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        said = await bot.answer_text(f"/zof subscribe project:* group:{group} {typed}")
        assert "after:3-in-a-row" in said
        await wait_for_first_poll(bot)
        for bad in (1, 1, 0, 1, 1):
            await end_run(bot, bad)
        await end_run(bot, 0, "another schedule", "production")
        assert alert_keys(bot) == []
        await end_run(bot, 1)
        await wait_until(lambda: alert_keys(bot) != [], 300)
        assert ("*3 failures<!date^" if group == "case" else "3 failed runs<!date^") in alert_keys(bot)[0]


async def test_runs_of_another_name_do_not_end_a_row(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text("/zof subscribe project:* after:2-in-a-row")
        await wait_for_first_poll(bot)
        await end_run(bot, 1, "nightly #41")
        await end_run(bot, 0, "smoke #7")
        await end_run(bot, 1, "nightly #42")
        await wait_until(lambda: alert_keys(bot) != [], 300)


async def test_the_form_has_failures_in_a_row_too(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        await bot.type_text("/zof subscribe project:* after:3-in-a-row")
        await bot.press_button(bot.private_messages()[-1], "zof_edit")
        await wait_until(lambda: bool(bot.world.slack.modals.get("U0ANA")))
        assert "in a row, until one passes" in str(bot.world.slack.modals["U0ANA"][-1])
