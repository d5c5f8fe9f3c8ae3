"""A Zof whose clock is ahead of ours: what people did stands, runs keep their order, and nothing is dated ahead."""

from __future__ import annotations

import re

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.triage import button_of, flaky_resolution, open_form, press_button
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.zof.state import ZofRecord, format_time

AHEAD = 600.0
"""Seconds."""


def end_run(bot: RunningBot, bad: int, after: float = 0.0) -> ZofRecord:
    """End a run ``after`` so many seconds more, by a clock that is ahead."""
    run = fail_run(bot, bad, passed=2 - bad)
    at = bot.world.clock.time() + AHEAD + after
    for record in (run, *bot.world.zof.results_of_run(run["id"])):
        record |= {
            "created_at": format_time(at - 60),
            "started_at": format_time(at - 30),
            "completed_at": format_time(at),
        }
    return run


def root_of(bot: RunningBot) -> PostedMessage:
    return next(item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith(("run:", "case:")))


def dated_later(bot: RunningBot, text: str) -> list[str]:
    return [found for found in re.findall(r"<!date\^(\d+)", text) if float(found) > bot.world.clock.time() + 1]


@pytest.mark.parametrize("group", ["run", "case"])
async def test_what_was_resolved_stays_resolved(store_url: str, group: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5, zof_webhook_secret=SECRET) as bot:
        await bot.type_text(f"/zof subscribe project:* group:{group}")
        await wait_for_first_poll(bot)
        run = end_run(bot, 1)
        await post_webhook(bot, webhook_event(run["id"], "evt_1") | {"created": run["completed_at"]})
        await wait_until(
            lambda: any((item.idempotency_key or "").startswith(f"{group}:") for item in bot.world.slack.ledger)
        )
        root = root_of(bot)
        await press_button(bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
        await wait_until(lambda: "Acknowledged" in text_of(root))
        view = await open_form(bot, "U0ANA", root, "resolve")
        assert (await bot.simulator.people.submit_view("U0ANA", view, flaky_resolution())).is_accepted
        await wait_until(lambda: "Resolved" in text_of(root))
        bot.world.clock.advance(2 * AHEAD)
        await post_webhook(bot, webhook_event(run["id"], "evt_2", "run.completed"))
        again = bot.world.zof.calls[-1].n
        await wait_until(lambda: bot.world.zof.calls[-1].n > again + 10)
        assert "1 open" not in await bot.answer_text("/zof triage")
        assert "Resolved" in text_of(root)
        assert "gain" not in text_of(root)


async def test_nothing_is_dated_later_than_now(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text("/zof subscribe project:* group:case")
        await wait_for_first_poll(bot)
        run = end_run(bot, 1)
        await wait_until(lambda: any("Case 0" in text_of(message) for message in bot.public_messages()), 300)
        shown = [text_of(message) for message in bot.public_messages()]
        [result, *_] = bot.world.zof.results_of_run(run["id"])
        commands = (f"run {run['id']}", f"result {result['id']}", "runs", f"why {run['id']}", "triage")
        shown += [await bot.answer_text(f"/zof {command}") for command in commands]
        assert [dated_later(bot, text) for text in shown] == [[]] * len(shown)


async def test_two_runs_that_are_read_at_once_keep_their_order(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=5) as bot:
        await bot.type_text("/zof subscribe project:*")
        await wait_for_first_poll(bot)
        end_run(bot, 1)
        end_run(bot, 0, after=20.0)
        await wait_until(lambda: any("Recovered" in text_of(message) for message in bot.public_messages()), 300)
        assert not any(dated_later(bot, text_of(message)) for message in bot.public_messages())
        bot.world.clock.advance(60)
        end_run(bot, 1)
        await wait_until(lambda: any("Failing again" in text_of(message) for message in bot.public_messages()), 300)
        assert not any(dated_later(bot, text_of(message)) for message in bot.public_messages())
