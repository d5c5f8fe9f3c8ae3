"""A failure that returns soon after it recovered: the channel hears of it once, and of one that flaps in one line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.zof.state import ZofRecord


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url) as bot:
        yield bot


async def hear_of(bot: RunningBot, run: ZofRecord) -> None:
    kind = "run.completed" if run["status"] == "passed" else "run.failed"
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}", kind)) == 200


async def end_run(bot: RunningBot, cases: int = 1, *, minutes: float = 5) -> None:
    """End a run of the same cases some time later, badly or, with none, well, and see the card show it."""
    bot.world.clock.advance(minutes * 60)
    await hear_of(bot, fail_run(bot, cases, passed=max(0, 2 - cases)))
    await wait_until(
        lambda: bool(root_messages(bot)) and ("Recovered" in text_of(root_messages(bot)[-1])) == (not cases)
    )


def root_messages(bot: RunningBot) -> list[PostedMessage]:
    return [item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith(("run:", "case:"))]


def thread_replies(bot: RunningBot) -> list[PostedMessage]:
    return [item for item in bot.world.slack.ledger if item.thread_ts]


def broadcast_texts(bot: RunningBot) -> list[str]:
    return [reply.text for reply in thread_replies(bot) if reply.broadcast]


def count_naming(words: str, texts: list[str]) -> int:
    return sum(words in text for text in texts)


@pytest.mark.parametrize("filters", ["group:run", "group:case", "group:run layout:flat", "group:case layout:flat"])
async def test_the_channel_hears_once_that_a_failure_is_back(bot: RunningBot, filters: str) -> None:
    await bot.type_text(f"/zof subscribe {filters}")
    for cases in (1, 0, 1):
        await end_run(bot, cases)
    await wait_until(lambda: len(broadcast_texts(bot)) == 1)
    assert "Failing again: Case 0" in broadcast_texts(bot)[0]
    await end_run(bot)
    await wait_until(
        lambda: "2 failures" in text_of(root_messages(bot)[0]) if "case" in filters else len(root_messages(bot)) == 2
    )
    assert len(broadcast_texts(bot)) == 1


async def test_the_channel_hears_once_of_several_cases_that_are_back(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:case")
    for cases in (2, 0, 2):
        await end_run(bot, cases)
    await wait_until(lambda: sum("Failing again" in text_of(root) for root in root_messages(bot)) == 2)
    await wait_until(lambda: count_naming("Failing again", [reply.text for reply in thread_replies(bot)]) == 2)
    assert len(broadcast_texts(bot)) == 1
    assert "and 1 more case of this run" in broadcast_texts(bot)[0]


async def test_a_relapse_that_is_heard_of_twice_is_told_once(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:case")
    for cases in (1, 0, 1):
        await end_run(bot, cases)
    await wait_until(lambda: len(broadcast_texts(bot)) == 1)
    for run in list(bot.world.zof.runs.values())[-3:]:
        assert await post_webhook(bot, webhook_event(run["id"], f"evt_again_{run['id']}")) == 200
    await end_run(bot, 0)
    await end_run(bot)
    await wait_until(lambda: len(broadcast_texts(bot)) == 2)
    assert count_naming("Failing again", broadcast_texts(bot)) == 1
    assert count_naming("Flapping, 2 times", broadcast_texts(bot)) == 1


@pytest.mark.parametrize("group", ["run", "case"])
async def test_never_keeps_it_in_the_thread(bot: RunningBot, group: str) -> None:
    await bot.type_text(f"/zof subscribe group:{group} broadcast:never")
    for cases in (1, 0, 1, 0, 1):
        await end_run(bot, cases)
    await wait_until(lambda: count_naming("Flapping", [reply.text for reply in thread_replies(bot)]) == 1)
    assert count_naming("Failing again", [reply.text for reply in thread_replies(bot)]) == 1
    assert not broadcast_texts(bot)


async def test_never_is_explained_where_it_is_chosen(bot: RunningBot) -> None:
    assert "only in the thread" in await bot.answer_text("/zof subscribe broadcast:never")
    assert "broadcast:never" in await bot.answer_text("/zof help subscribe")
    refused = await bot.answer_text("/zof subscribe broadcast:sometimes")
    assert all(word in refused for word in ("never", "relapse", "worse", "recovered"))


@pytest.mark.parametrize("filters", ["group:run", "group:case", "group:run layout:flat", "group:case layout:flat"])
async def test_what_flaps_is_one_line_and_pings_no_more_until_it_is_calm(bot: RunningBot, filters: str) -> None:
    await bot.type_text(f"/zof subscribe {filters} mention:<@U0BEN>")
    for cases in (1, 0, 1, 0, 1, 0, 1, 0, 1):
        await end_run(bot, cases)
    await wait_until(lambda: count_naming("Flapping, 4 times", [reply.text for reply in thread_replies(bot)]) == 1)
    assert count_naming("Flapping", [reply.text for reply in thread_replies(bot)]) == 1
    assert len(broadcast_texts(bot)) == 2  # that it was back, and the line
    assert len(root_messages(bot)) == 1
    assert count_naming("Recovered", [reply.text for reply in thread_replies(bot)]) <= 2
    await end_run(bot, minutes=61)
    await end_run(bot, 0)
    await end_run(bot)
    await wait_until(lambda: count_naming("Failing again", broadcast_texts(bot)) == 2)
    assert count_naming("Flapping", [reply.text for reply in thread_replies(bot)]) == 1


async def test_nobody_is_called_while_it_flaps_and_somebody_is_when_it_stays_broken(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:case escalate:7m-><@U0BEN>")
    for cases in (1, 0, 1, 0, 1):
        await end_run(bot, cases)
    for minutes in (10, 49):
        bot.world.clock.advance(minutes * 60)
        await asyncio.sleep(5)
        assert not count_naming("<@U0BEN>", [reply.text for reply in thread_replies(bot)])
    bot.world.clock.advance(60)
    await wait_until(lambda: count_naming("<@U0BEN>", [reply.text for reply in thread_replies(bot)]) == 1)


async def test_a_run_without_cases_that_is_back_is_heard_and_recovers_by_the_next_that_passes(
    bot: RunningBot,
) -> None:
    await bot.type_text("/zof subscribe on:failed,error,recovered")
    zof = bot.world.zof

    async def end_bare(status: str, environment: str = "staging", title: str = "") -> None:
        bot.world.clock.advance(60)
        named = {"name": title} if title else {}
        run = zof.start_run({"project_id": "proj_checkout", "environment": environment, **named})
        await hear_of(bot, zof.finish_run(run["id"], status))

    await end_bare("error")
    await wait_until(lambda: len(root_messages(bot)) == 1)
    await end_bare("passed", environment="production")
    await end_bare("passed", title="nightly")
    await wait_until(lambda: "Recovered" in text_of(root_messages(bot)[0]))
    assert any("Recovered after 2 min" in reply.text for reply in thread_replies(bot))
    await end_bare("error")
    await wait_until(lambda: len(broadcast_texts(bot)) == 1)
    assert "Failing again" in broadcast_texts(bot)[0]
    assert len(root_messages(bot)) == 1


async def test_a_recovery_counts_from_the_latest_failure(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:case")
    for cases, minutes in ((1, 5), (0, 5), (1, 40), (1, 10), (0, 3)):
        await end_run(bot, cases, minutes=minutes)
    await wait_until(lambda: count_naming("Recovered after 3 min", [reply.text for reply in thread_replies(bot)]) == 1)


@pytest.mark.parametrize("layout", ["thread", "flat"])
async def test_recoveries_are_shown_in_the_channel_by_choice(bot: RunningBot, layout: str) -> None:
    await bot.type_text(f"/zof subscribe layout:{layout} broadcast:recovered")
    await end_run(bot)
    await end_run(bot, 0)
    await wait_until(lambda: count_naming("Recovered after 5 min", broadcast_texts(bot)) == 1)
    await end_run(bot)
    await wait_until(lambda: count_naming("Failing again", broadcast_texts(bot)) == 1)
