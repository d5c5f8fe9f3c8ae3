"""At the end of quiet hours one message says what failed, what is open and what has recovered."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import text_of
from tests.support.nights import HOUR, Night, night
from zofbot.notification import State
from zofbot.routing import Subscription, parse
from zofbot.store.subscriptions import Subscriptions


@pytest.fixture
async def asleep(valkey: str) -> AsyncIterator[Night]:
    async with night(valkey, "/zof subscribe group:case quiet:HOURS") as made:
        yield made


async def test_one_message_sums_up_and_only_what_is_open_has_one_of_its_own(asleep: Night) -> None:
    await asleep.end("failed", "Cart", "Pay")
    await asleep.later(600)
    await asleep.end("passed", passed=("Cart",))
    assert asleep.said() == []
    await asleep.later(4 * HOUR)
    assert asleep.kinds() == ["catchup", "case"]
    summary, root = map(text_of, asleep.said())
    assert "Quiet hours are over: 2 failures (1 still open, 1 recovered)" in summary
    assert summary.index("Still open") < summary.index("*Pay*") < summary.index("*Recovered*") < summary.index("*Cart*")
    assert "recovered after 10 min" in summary
    assert "Pay" in root
    await asleep.later(4 * HOUR)
    assert asleep.kinds() == ["catchup", "case"], "and nothing comes again"


async def test_what_recovered_and_fails_again_is_posted_after_all(valkey: str) -> None:
    async with night(valkey) as made:
        await made.later(HOUR - made.clock.time() % HOUR + HOUR / 2)  # half an hour before quiet hours end
        await made.bot.type(f"/zof subscribe group:case quiet:{made.hours(-1, 1)}")
        await made.end("failed", "Cart")
        await made.later(60)
        await made.end("passed", passed=("Cart",))
        await made.later(HOUR / 2)
        assert made.kinds() == ["catchup"]
        await made.end("failed", "Cart")
        assert made.kinds() == ["catchup", "case"]
        assert "Cart" in text_of(made.said()[-1])


async def test_what_recovered_and_fails_again_in_one_night_is_open(asleep: Night) -> None:
    await asleep.end("failed", "Cart")
    await asleep.later(60)
    await asleep.end("passed", passed=("Cart",))
    await asleep.later(60)
    await asleep.end("failed", "Cart")
    await asleep.later(4 * HOUR)
    assert asleep.kinds() == ["catchup", "case"]
    assert "1 failure (1 still open)" in text_of(asleep.said()[0])


async def test_what_was_posted_before_and_recovers_in_the_night_is_summed_up_too(valkey: str) -> None:
    async with night(valkey, "/zof subscribe group:case") as made:
        await made.end("failed", "Cart")
        assert made.kinds() == ["case"]
        [kept] = await made.bot.app.store.client.hvals("{zofbot}:subscriptions")
        subscription = Subscription.model_validate_json(kept)
        sleepy = subscription.model_copy(update={"quiet": parse(f"quiet:{made.hours()}").quiet})
        await Subscriptions(made.bot.app.store.client, "zofbot").replace(sleepy)
        await made.later(60)
        await made.end("passed", passed=("Cart",))
        await made.later(4 * HOUR)
        assert made.kinds() == ["case", "catchup"]
        assert "1 recovered" in text_of(made.said()[-1])


async def test_a_night_without_failures_ends_without_a_word(asleep: Night) -> None:
    await asleep.end("passed", passed=("Cart",))
    await asleep.later(4 * HOUR)
    assert asleep.said() == []


async def test_hearing_twice_and_from_the_poller_too_says_it_once(asleep: Night) -> None:
    run = await asleep.end("failed", "Cart")
    await asleep.hear(run)
    await asleep.later(4 * HOUR)
    await asleep.hear(run)
    await asleep.later(HOUR)
    assert asleep.kinds() == ["catchup", "case"]


async def test_the_message_that_is_left_out_says_why(asleep: Night) -> None:
    run = await asleep.end("failed", "Cart")
    await asleep.end("passed", passed=("Cart",))
    await asleep.later(4 * HOUR)
    dropped = await asleep.bot.app.outbox.list(State.DROPPED)
    assert any(one.key.startswith("case:") for one in dropped)
    assert "It recovered before" in await asleep.bot.answer(f"/zof why {run}")


async def test_it_goes_before_what_it_sums_up_even_if_that_is_critical(asleep: Night) -> None:
    await asleep.end("failed", "Cart", environment="production")
    await asleep.later(4 * HOUR)
    assert asleep.kinds() == ["catchup", "case"]


async def test_each_failure_of_a_storm_is_counted(asleep: Night) -> None:
    cases = tuple(f"Case {number}" for number in range(30))
    await asleep.end("failed", *cases)
    await asleep.later(600)
    await asleep.end("passed", passed=cases[:10])
    await asleep.later(4 * HOUR)
    assert asleep.kinds() == ["catchup", "storm"]
    assert "30 failures (20 still open, 10 recovered)" in text_of(asleep.said()[0])
