"""A failure that comes back after a person resolved it, and who is woken when a snooze ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.triage import mention_bot, thread_of
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.zof.state import ZofRecord, format_time

HOUR = 3600.0


@pytest.fixture
async def hears(valkey: str) -> AsyncIterator[RunningBot]:
    async with running_bot(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET) as bot:
        await wait_for_first_poll(bot)
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
    hears: RunningBot, group: str, layout: str
) -> None:
    root = await first_root(hears, f"group:{group} layout:{layout} broadcast:never mention:<@U0BEN>")
    await resolve_alert(hears, root)
    await end_run(hears)
    await wait_until(lambda: len(root_messages(hears)) == 2)
    fresh = root_messages(hears)[1]
    assert fresh.thread_ts is None
    assert "<@U0BEN>" in text_of(fresh)
    assert "*Failing again* after ben resolved it" in text_of(fresh)
    assert "Flaky" in text_of(fresh)
    assert "retried by hand" in text_of(fresh)
    assert "*Resolved* by ben" in text_of(root)


async def test_the_next_failure_goes_on_under_the_fresh_message(hears: RunningBot) -> None:
    root = await first_root(hears, "group:case")
    await resolve_alert(hears, root)
    await end_run(hears)
    await wait_until(lambda: len(root_messages(hears)) == 2)
    await end_run(hears)
    await wait_until(lambda: "2 failures" in text_of(root_messages(hears)[1]))
    assert len(root_messages(hears)) == 2


@pytest.mark.parametrize("group", ["run", "case"])
async def test_what_was_resolved_and_passed_since_is_known_days_later(hears: RunningBot, group: str) -> None:
    root = await first_root(hears, f"group:{group}")
    await resolve_alert(hears, root)
    await end_run(hears, 0)
    await wait_until(lambda: "Recovered" in text_of(root))
    hears.world.clock.advance(60 * HOUR)
    await end_run(hears, 1, passed=2)
    await wait_until(lambda: len(root_messages(hears)) == 2)
    assert "ben resolved it" in text_of(root_messages(hears)[1])


@pytest.mark.parametrize("group", ["run", "case"])
async def test_what_was_resolved_and_passed_and_fails_within_the_hour_is_a_fresh_message_too(
    hears: RunningBot, group: str
) -> None:
    root = await first_root(hears, f"group:{group} mention:<@U0BEN>")
    await end_run(hears, 0)
    await wait_until(lambda: "Recovered" in text_of(root))
    await resolve_alert(hears, root)
    await end_run(hears)
    await wait_until(lambda: len(root_messages(hears)) == 2)
    assert "ben resolved it" in text_of(root_messages(hears)[1])
    assert "<@U0BEN>" in text_of(root_messages(hears)[1])


async def test_what_somebody_reopened_is_not_said_to_have_been_resolved(hears: RunningBot) -> None:
    root = await first_root(hears, "group:case")
    await resolve_alert(hears, root)
    assert (await mention_bot(hears, root, "reopen")).is_accepted
    await wait_until(lambda: "*Reopened* by ana" in text_of(root))
    await end_run(hears)
    await wait_until(lambda: "2 failures" in text_of(root))
    assert len(root_messages(hears)) == 1


async def test_a_failure_from_before_it_was_resolved_that_is_heard_of_late_changes_nothing(hears: RunningBot) -> None:
    root = await first_root(hears, "group:case")
    hears.world.clock.advance(60)
    late = fail_run(hears, 1)
    hears.world.clock.advance(60)
    await resolve_alert(hears, root)
    assert await post_webhook(hears, webhook_event(late["id"], "evt_late")) == 200
    await wait_until(lambda: "2 failures" in text_of(root))
    assert len(root_messages(hears)) == 1
    assert "*Resolved* by ben" in text_of(root)


async def test_whoever_snoozed_is_mentioned_when_it_wakes(hears: RunningBot) -> None:
    root = await first_root(hears, "group:case")
    assert (await mention_bot(hears, root, "snooze 30m", "U0BEN")).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    assert "<@U0BEN>" not in " ".join(thread_of(hears, root))
    hears.world.clock.advance(31 * 60)
    await wait_until(lambda: any("Snooze ended" in line and "<@U0BEN>" in line for line in thread_of(hears, root)))


async def test_whoever_snoozed_is_mentioned_when_further_failures_wake_it(hears: RunningBot) -> None:
    root = await first_root(hears, "group:case")
    assert (await mention_bot(hears, root, "snooze until it fails 2 more times", "U0BEN")).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    await end_run(hears)
    await wait_until(lambda: "2 failures" in text_of(root))
    assert "<@U0BEN>" not in " ".join(thread_of(hears, root))
    await end_run(hears)
    await wait_until(lambda: sum("<@U0BEN>" in line for line in thread_of(hears, root)) == 1)
    assert "*Snooze ended*" in text_of(root)


async def test_whoever_snoozed_is_mentioned_when_somebody_else_wakes_it(hears: RunningBot) -> None:
    root = await first_root(hears, "group:case")
    assert (await mention_bot(hears, root, "snooze 30m", "U0BEN")).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    assert (await mention_bot(hears, root, "wake")).is_accepted
    await wait_until(lambda: any("unsnoozed this" in line and "<@U0BEN>" in line for line in thread_of(hears, root)))


async def test_whoever_snoozed_until_it_recovers_is_mentioned_when_it_is_back(hears: RunningBot) -> None:
    root = await first_root(hears, "group:case broadcast:never")
    assert (await mention_bot(hears, root, "snooze until it recovers", "U0BEN")).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    await end_run(hears, 0)
    await wait_until(lambda: "Recovered" in text_of(root))
    await end_run(hears)
    await wait_until(lambda: any("Failing again" in line and "<@U0BEN>" in line for line in thread_of(hears, root)))
    await end_run(hears, 0)
    await wait_until(lambda: "Recovered" in text_of(root))
    await end_run(hears)
    await wait_until(lambda: any("Flapping" in line for line in thread_of(hears, root)))
    assert sum("<@U0BEN>" in line for line in thread_of(hears, root)) == 1


async def test_a_snooze_is_said_to_be_over_also_where_zofs_clock_is_ahead(hears: RunningBot) -> None:
    root = await first_root(hears, "group:case")
    assert (await mention_bot(hears, root, "snooze until it fails 1 more times", "U0BEN")).is_accepted
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    run = fail_run(hears, 1)
    run["completed_at"] = format_time(hears.world.unix_time() + 300)
    assert await post_webhook(hears, webhook_event(run["id"], "evt_ahead")) == 200
    await wait_until(lambda: sum("<@U0BEN>" in line for line in thread_of(hears, root)) == 1)
