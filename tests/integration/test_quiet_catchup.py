"""At the end of quiet hours one message says what failed, what is open and what has recovered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.bot import text_of
from tests.support.nights import HOUR_SECONDS, NightBench, night
from tests.support.subscriptions import store_subscription
from zofbot.notifications.notification import NotificationState
from zofbot.simulator.slack.model import PostedMessage
from zofbot.subscriptions import Subscription, parse_filters


@pytest.fixture
async def asleep(store_url: str) -> AsyncIterator[NightBench]:
    async with night(store_url, "/zof subscribe group:case quiet:HOURS") as made:
        yield made


@asynccontextmanager
async def quiet_half_hour(store_url: str, filters: str) -> AsyncIterator[NightBench]:
    """Start a bot with quiet hours that end in half an hour."""
    async with night(store_url) as made:
        await made.pass_time(HOUR_SECONDS - made.clock.time() % HOUR_SECONDS + HOUR_SECONDS / 2)
        await made.bot.type_text(f"/zof subscribe {filters} quiet:{made.quiet_hours(-1, 1)}")
        yield made


def replies_to(made: NightBench, root: PostedMessage) -> list[str]:
    return [text_of(reply) for reply in made.bot.world.slack.ledger if reply.thread_ts == root.ts]


async def test_one_message_sums_up_and_only_what_is_open_has_one_of_its_own(asleep: NightBench) -> None:
    await asleep.end_run("failed", "Cart", "Pay")
    await asleep.pass_time(600)
    await asleep.end_run("passed", passed=("Cart",))
    assert asleep.root_messages() == []
    await asleep.pass_time(4 * HOUR_SECONDS)
    assert asleep.message_kinds() == ["catchup", "case"]
    summary, root = map(text_of, asleep.root_messages())
    assert "Quiet hours ended: 2 failures (1 still open, 1 recovered)" in summary
    assert (
        summary.index("Still open") < summary.index("*Pay (") < summary.index("*Recovered*") < summary.index("*Cart (")
    )
    assert "recovered after 10 min" in summary
    assert "Pay" in root
    await asleep.pass_time(4 * HOUR_SECONDS)
    assert asleep.message_kinds() == ["catchup", "case"], "and nothing comes again"


async def test_the_summary_comes_first_though_slack_fails_at_first(asleep: NightBench) -> None:
    await asleep.end_run("failed", "Cart", "Pay")
    asleep.bot.world.slack.faults.set_fault("500", 1, "chat.postMessage")
    await asleep.pass_time(4 * HOUR_SECONDS)
    assert asleep.message_kinds() == ["catchup", "case", "case"]


async def test_what_recovered_and_fails_again_is_posted_after_all(store_url: str) -> None:
    async with quiet_half_hour(store_url, "group:case") as made:
        await made.end_run("failed", "Cart")
        await made.pass_time(60)
        await made.end_run("passed", passed=("Cart",))
        await made.pass_time(HOUR_SECONDS / 2)
        assert made.message_kinds() == ["catchup"]
        await made.end_run("failed", "Cart")
        assert made.message_kinds() == ["catchup", "case"]
        assert "Cart" in text_of(made.root_messages()[-1])


@pytest.mark.parametrize(("group", "count"), [("cause", 1), ("cause", 3), ("case", 30)])
async def test_a_cause_or_storm_that_recovered_is_in_the_summary_only_until_it_fails_again(
    store_url: str, group: str, count: int
) -> None:
    cases = tuple(f"Case {number}" for number in range(count))
    filters = f"group:{group} mention:<@U0BEN> broadcast:recovered"
    async with quiet_half_hour(store_url, filters) as made:
        await made.end_run("failed", *cases)
        await made.pass_time(60)
        await made.end_run("passed", passed=cases)
        await made.end_run("failed", *cases)
        await made.pass_time(60)
        await made.end_run("passed", passed=cases)
        await made.pass_time(HOUR_SECONDS / 2)
        assert made.message_kinds() == ["catchup"]
        assert f"{1 if group == 'cause' else count} recovered" in text_of(made.root_messages()[0])
        await made.end_run("failed", *cases)
        await made.pass_time(60)
        assert made.message_kinds() == ["catchup", "storm"]
        root = made.root_messages()[-1]
        assert "<@U0BEN>" in text_of(root)
        listed = any("Case 29" in reply for reply in replies_to(made, root))
        assert group == "cause" or listed, "its thread lists the members"


async def test_the_thread_of_a_storm_that_is_posted_after_all_lists_all_its_members(store_url: str) -> None:
    cases = tuple(f"Case {number:02}" for number in range(60))
    async with quiet_half_hour(store_url, "group:case") as made:
        await made.end_run("failed", *cases)
        await made.end_run("passed", passed=cases)
        await made.pass_time(HOUR_SECONDS / 2)
        assert made.message_kinds() == ["catchup"]
        await made.end_run("failed", "Case 30")
        await made.pass_time(60)
        root = made.root_messages()[-1]
        assert "60 alerts" in text_of(root)
        lists = [line for line in replies_to(made, root) if "Case" in line]
        assert [case for case in cases if sum(case in line for line in lists) != 1 + (case == "Case 30")] == []


async def test_the_thread_of_a_cause_that_is_posted_after_all_lists_the_cases_of_each_place(store_url: str) -> None:
    checkout, search = ("Cart", "Pay"), ("Find", "Sort")
    async with quiet_half_hour(store_url, "group:cause") as made:
        await made.end_run("failed", *checkout)
        await made.end_run("failed", *search, project_id="proj_search")
        await made.end_run("passed", passed=checkout)
        await made.end_run("passed", passed=search, project_id="proj_search")
        await made.pass_time(HOUR_SECONDS / 2)
        assert made.message_kinds() == ["catchup"]
        await made.end_run("failed", *checkout)
        await made.pass_time(60)
        root = made.root_messages()[-1]
        assert sum("Pay" in line for line in replies_to(made, root)) == 1
        for _ in range(2):
            await made.end_run("failed", *search, project_id="proj_search")
            await made.pass_time(60)
            assert sum("Sort" in line for line in replies_to(made, root)) == 1
            await made.end_run("passed", passed=search, project_id="proj_search")
        assert made.message_kinds() == ["catchup", "storm"]


async def test_the_thread_of_a_cause_that_comes_and_goes_in_one_night_lists_its_cases_once(store_url: str) -> None:
    async with quiet_half_hour(store_url, "group:cause") as made:
        await made.end_run("failed", "Cart", "Pay")
        await made.end_run("passed", passed=("Cart", "Pay"))
        await made.end_run("failed", "Cart", "Pay")
        await made.pass_time(HOUR_SECONDS / 2)
        assert made.message_kinds() == ["catchup", "storm"]
        assert sum("Pay" in line for line in replies_to(made, made.root_messages()[-1])) == 1


async def test_what_recovered_and_fails_again_in_one_night_is_open(asleep: NightBench) -> None:
    await asleep.end_run("failed", "Cart")
    await asleep.pass_time(60)
    await asleep.end_run("passed", passed=("Cart",))
    await asleep.pass_time(60)
    await asleep.end_run("failed", "Cart")
    await asleep.pass_time(4 * HOUR_SECONDS)
    assert asleep.message_kinds() == ["catchup", "case"]
    assert "1 failure (1 still open)" in text_of(asleep.root_messages()[0])


async def test_what_was_posted_before_and_recovers_in_the_night_is_summed_up_too(store_url: str) -> None:
    async with night(store_url, "/zof subscribe group:case") as made:
        await made.end_run("failed", "Cart")
        assert made.message_kinds() == ["case"]
        [kept] = await made.bot.app.store.client.hvals("{zofbot}:subscriptions")
        subscription = Subscription.model_validate_json(kept)
        sleepy = subscription.model_copy(update={"quiet": parse_filters(f"quiet:{made.quiet_hours()}").quiet})
        await store_subscription(made.bot.app.store.keyspace, sleepy)
        await made.pass_time(60)
        await made.end_run("passed", passed=("Cart",))
        await made.pass_time(4 * HOUR_SECONDS)
        assert made.message_kinds() == ["case", "catchup"]
        assert "1 recovered" in text_of(made.root_messages()[-1])


async def test_what_waits_is_overtaken_by_a_failure_that_waits_for_nothing(asleep: NightBench) -> None:
    await asleep.bot.type_text("/zof subscribe group:case on:error mention:<@U0BEN>")
    first = await asleep.end_run("failed", "Cart")
    run = asleep.bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "nightly"})
    asleep.bot.world.zof.add_result(run["id"], status="error", name="Cart", test_case_id="tc_Cart")
    asleep.bot.world.zof.finish_run(run["id"])
    await asleep.post_webhook(run["id"])
    [own] = asleep.root_messages()
    assert "<@U0BEN>" in text_of(own)
    await asleep.pass_time(4 * HOUR_SECONDS)
    assert asleep.root_messages() == [own], "neither the first alert nor a summary of it follows"
    assert "was dropped" in await asleep.bot.answer_text(f"/zof why {first}")
    await asleep.end_run("passed", passed=("Cart",))
    assert any("ecovered" in reply for reply in replies_to(asleep, own))


async def test_a_night_without_failures_ends_without_a_word(asleep: NightBench) -> None:
    await asleep.end_run("passed", passed=("Cart",))
    await asleep.pass_time(4 * HOUR_SECONDS)
    assert asleep.root_messages() == []


async def test_hearing_twice_and_from_the_poller_too_says_it_once(asleep: NightBench) -> None:
    run = await asleep.end_run("failed", "Cart")
    await asleep.post_webhook(run)
    await asleep.pass_time(4 * HOUR_SECONDS)
    await asleep.post_webhook(run)
    await asleep.pass_time(HOUR_SECONDS)
    assert asleep.message_kinds() == ["catchup", "case"]


async def test_the_message_that_is_left_out_says_why(asleep: NightBench) -> None:
    run = await asleep.end_run("failed", "Cart")
    await asleep.end_run("passed", passed=("Cart",))
    await asleep.pass_time(4 * HOUR_SECONDS)
    dropped = await asleep.bot.app.outbox.list_records(NotificationState.DROPPED)
    assert any(item.key.startswith("case:") for item in dropped)
    assert "it recovered during" in await asleep.bot.answer_text(f"/zof why {run}")


async def test_it_goes_before_what_it_sums_up_even_if_that_is_critical(asleep: NightBench) -> None:
    await asleep.end_run("failed", "Cart", environment="production")
    await asleep.pass_time(4 * HOUR_SECONDS)
    assert asleep.message_kinds() == ["catchup", "case"]


@pytest.mark.parametrize("count", [3, 20])
async def test_it_goes_before_all_critical_alerts_however_many_and_they_all_follow(
    asleep: NightBench, count: int
) -> None:
    await asleep.end_run("failed", *(f"Case {number}" for number in range(count)), environment="production")
    asleep.clock.advance(4 * HOUR_SECONDS)
    await asyncio.sleep(5 + count)
    assert asleep.message_kinds() == ["catchup", *["case"] * count]
    await asleep.end_run("failed", "Another", environment="production")
    assert asleep.message_kinds()[-1] == "case", "and what fails afterwards is posted"


async def test_it_goes_first_after_slack_rejected_everything_for_a_while(asleep: NightBench) -> None:
    await asleep.end_run("failed", "Cart", environment="production")
    slack = asleep.bot.world.slack
    valid, slack.bot_token = slack.bot_token, "xoxb-another"
    asleep.clock.advance(4 * HOUR_SECONDS)
    await asyncio.sleep(60)
    slack.bot_token = valid
    await asyncio.sleep(70)
    assert asleep.message_kinds() == ["catchup", "case"]


async def test_each_failure_of_a_storm_is_counted(asleep: NightBench) -> None:
    cases = tuple(f"Case {number}" for number in range(30))
    await asleep.end_run("failed", *cases)
    await asleep.pass_time(600)
    await asleep.end_run("passed", passed=cases[:10])
    await asleep.pass_time(4 * HOUR_SECONDS)
    assert asleep.message_kinds() == ["catchup", "storm"]
    assert "30 failures (20 still open, 10 recovered)" in text_of(asleep.root_messages()[0])


async def test_what_recovered_is_listed_even_if_more_was_held_back_than_one_message_can_show(
    asleep: NightBench,
) -> None:
    cases = tuple(f"Guest checkout keeps the cart after a sign-in from another device {n:02}" for n in range(60))
    await asleep.end_run("failed", *cases[:30])
    await asleep.end_run("failed", *cases[30:])
    await asleep.pass_time(600)
    await asleep.end_run("passed", passed=cases[:30])
    await asleep.pass_time(4 * HOUR_SECONDS)
    summary = text_of(asleep.root_messages()[0])
    assert "60 failures (30 still open, 30 recovered)" in summary
    assert "Slack rejected" not in summary
    assert all(f"✅ *{case} " in summary for case in cases[:30])
    listed = sum(f"❌ *{case} " in summary for case in cases[30:])
    assert 10 <= listed < 30
    assert f"and {30 - listed} more; `/zof triage` lists them" in summary
