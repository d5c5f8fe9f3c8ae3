"""A failure that comes back after a person resolved it, and who is woken when a snooze ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.triage import mention_bot, thread_of
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.zof.state import ZofRecord, format_time

HOUR = 3600.0


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url) as bot:
        yield bot


async def end_run(bot: RunningBot, cases: int = 1, *, passed: int = 1) -> ZofRecord:
    """End a run of the same cases, badly or, with none, well, and have the bot hear of it; a minute passes first."""
    bot.world.clock.advance(60)
    run = fail_run(bot, cases, passed=passed)
    kind = "run.failed" if cases else "run.completed"
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}", kind)) == 200
    return run


def root_messages(bot: RunningBot) -> list[PostedMessage]:
    return [item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith(("run:", "case:"))]


async def first_root(bot: RunningBot, filters: str) -> PostedMessage:
    await bot.type_text(f"/zof subscribe {filters}")
    await end_run(bot)
    await wait_until(lambda: len(root_messages(bot)) == 1)
    return root_messages(bot)[0]


async def resolve_alert(bot: RunningBot, root: PostedMessage) -> None:
    assert (await mention_bot(bot, root, "resolve flaky: retried by hand", "U0BEN")).is_accepted
    await wait_until(lambda: "*Resolved* by ben" in text_of(root))


@pytest.mark.parametrize("group", ["run", "case"])
@pytest.mark.parametrize("layout", ["thread", "flat"])
async def test_what_fails_after_a_person_resolved_it_is_a_fresh_message_that_mentions_and_says_who_and_why(
    bot: RunningBot, group: str, layout: str
) -> None:
    root = await first_root(bot, f"group:{group} layout:{layout} broadcast:never mention:<@U0BEN>")
    await resolve_alert(bot, root)
    await end_run(bot)
    await wait_until(lambda: len(root_messages(bot)) == 2)
    fresh = root_messages(bot)[1]
    assert fresh.thread_ts is None
    assert "<@U0BEN>" in text_of(fresh)
    assert "*Failing again* after ben resolved it" in text_of(fresh)
    assert "Flaky" in text_of(fresh)
    assert "retried by hand" in text_of(fresh)
    assert "*Resolved* by ben" in text_of(root)


async def test_the_next_failure_goes_on_under_the_fresh_message(bot: RunningBot) -> None:
    root = await first_root(bot, "group:case")
    await resolve_alert(bot, root)
    await end_run(bot)
    await wait_until(lambda: len(root_messages(bot)) == 2)
    await end_run(bot)
    await wait_until(lambda: "2 failures" in text_of(root_messages(bot)[1]))
    assert len(root_messages(bot)) == 2


@pytest.mark.parametrize("group", ["run", "case"])
async def test_what_was_resolved_and_passed_since_is_known_days_later(bot: RunningBot, group: str) -> None:
    root = await first_root(bot, f"group:{group}")
    await resolve_alert(bot, root)
    await end_run(bot, 0)
    await wait_until(lambda: "Recovered" in text_of(root))
    bot.world.clock.advance(60 * HOUR)
    await end_run(bot, 1, passed=2)
    await wait_until(lambda: len(root_messages(bot)) == 2)
    assert "ben resolved it" in text_of(root_messages(bot)[1])


@pytest.mark.parametrize("group", ["run", "case"])
async def test_what_was_resolved_and_passed_and_fails_within_the_hour_is_a_fresh_message_too(
    bot: RunningBot, group: str
) -> None:
    root = await first_root(bot, f"group:{group} mention:<@U0BEN>")
    await end_run(bot, 0)
    await wait_until(lambda: "Recovered" in text_of(root))
    await resolve_alert(bot, root)
    await end_run(bot)
    await wait_until(lambda: len(root_messages(bot)) == 2)
    assert "ben resolved it" in text_of(root_messages(bot)[1])
    assert "<@U0BEN>" in text_of(root_messages(bot)[1])


async def test_what_somebody_reopened_is_not_said_to_have_been_resolved(bot: RunningBot) -> None:
    root = await first_root(bot, "group:case")
    await resolve_alert(bot, root)
    assert (await mention_bot(bot, root, "reopen")).is_accepted
    await wait_until(lambda: "*Reopened* by ana" in text_of(root))
    await end_run(bot)
    await wait_until(lambda: "2 failures" in text_of(root))
    assert len(root_messages(bot)) == 1


async def test_a_failure_from_before_it_was_resolved_that_is_heard_of_late_changes_nothing(bot: RunningBot) -> None:
    root = await first_root(bot, "group:case")
    bot.world.clock.advance(60)
    late = fail_run(bot, 1)
    bot.world.clock.advance(60)
    await resolve_alert(bot, root)
    assert await post_webhook(bot, webhook_event(late["id"], "evt_late")) == 200
    await wait_until(lambda: "2 failures" in text_of(root))
    assert len(root_messages(bot)) == 1
    assert "*Resolved* by ben" in text_of(root)


async def test_whoever_snoozed_is_mentioned_when_it_wakes(bot: RunningBot) -> None:
    root = await first_root(bot, "group:case")
    assert (await mention_bot(bot, root, "snooze 30m", "U0BEN")).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    assert "<@U0BEN>" not in " ".join(thread_of(bot, root))
    bot.world.clock.advance(31 * 60)
    await wait_until(lambda: any("Snooze ended" in line and "<@U0BEN>" in line for line in thread_of(bot, root)))


async def test_whoever_snoozed_is_mentioned_when_further_failures_wake_it(bot: RunningBot) -> None:
    root = await first_root(bot, "group:case")
    assert (await mention_bot(bot, root, "snooze until it fails 2 more times", "U0BEN")).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    await end_run(bot)
    await wait_until(lambda: "2 failures" in text_of(root))
    assert "<@U0BEN>" not in " ".join(thread_of(bot, root))
    await end_run(bot)
    await wait_until(lambda: sum("<@U0BEN>" in line for line in thread_of(bot, root)) == 1)
    assert "*Snooze ended*" in text_of(root)


async def test_whoever_snoozed_is_mentioned_when_somebody_else_wakes_it(bot: RunningBot) -> None:
    root = await first_root(bot, "group:case")
    assert (await mention_bot(bot, root, "snooze 30m", "U0BEN")).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    assert (await mention_bot(bot, root, "wake")).is_accepted
    await wait_until(lambda: any("unsnoozed this" in line and "<@U0BEN>" in line for line in thread_of(bot, root)))


async def test_whoever_snoozed_until_it_recovers_is_mentioned_when_it_is_back(bot: RunningBot) -> None:
    root = await first_root(bot, "group:case broadcast:never")
    assert (await mention_bot(bot, root, "snooze until it recovers", "U0BEN")).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    await end_run(bot, 0)
    await wait_until(lambda: "Recovered" in text_of(root))
    await end_run(bot)
    await wait_until(lambda: any("Failing again" in line and "<@U0BEN>" in line for line in thread_of(bot, root)))
    await end_run(bot, 0)
    await wait_until(lambda: "Recovered" in text_of(root))
    await end_run(bot)
    await wait_until(lambda: any("Flapping" in line for line in thread_of(bot, root)))
    assert sum("<@U0BEN>" in line for line in thread_of(bot, root)) == 1


async def test_a_snooze_is_said_to_be_over_also_where_zofs_clock_is_ahead(bot: RunningBot) -> None:
    root = await first_root(bot, "group:case")
    assert (await mention_bot(bot, root, "snooze until it fails 1 more times", "U0BEN")).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    run = fail_run(bot, 1)
    run["completed_at"] = format_time(bot.world.unix_time() + 300)
    assert await post_webhook(bot, webhook_event(run["id"], "evt_ahead")) == 200
    await wait_until(lambda: sum("<@U0BEN>" in line for line in thread_of(bot, root)) == 1)
