"""How long scopes with open failures are watched, and what is stored of them."""

from __future__ import annotations

import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.store.outbox_scripts import KEY_TTL_SECONDS
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import parse_filters

DAY_SECONDS = 86400.0


async def subscribe_and_poll(built: PollerBench, *filters: str) -> None:
    """Have the poller apply the rules for these subscriptions, and read what is there."""
    for number, text in enumerate(filters):
        wish = parse_filters(text).model_copy(
            update={"id": f"s{number}", "channel": CHANNEL, "created": built.clock.at + number}
        )
        await built.store.hset("{test}:" + SUBSCRIPTIONS_HASH, wish.id, wish.model_dump_json(by_alias=True))
    built.poller = built.start_poller(decide=decide_batch)
    await built.poll_until_settled()


async def let_days_pass(built: PollerBench, days: float, *, restarted: bool = True) -> None:
    built.clock.advance(days * DAY_SECONDS)
    if restarted:
        await built.store.delete("{test}:lease:poller")
        built.poller = built.start_poller(decide=decide_batch)
    await built.poll_until_settled()


@pytest.mark.parametrize("restarted", [True, False])
async def test_nothing_is_kept_of_scopes_that_no_longer_run(restarted: bool) -> None:
    async with poller_bench() as built:
        await subscribe_and_poll(built, "group:case", "on:new after:2-in-a-row")
        for number in range(5):
            built.finish_run(passed=50, environment=f"pull-{number}")
        await built.poll_until_settled()
        assert await built.store.hlen("{test}:failing") == 5
        names = [name async for name in built.store.scan_iter("*") if name.startswith((b"{test}:open:", b"{test}:pas"))]
        assert len(names) == 10
        assert all([await built.store.ttl(name) > KEY_TTL_SECONDS for name in names])
        await let_days_pass(built, 29, restarted=restarted)
        built.finish_run()
        await built.poll_until_settled()
        assert await built.store.hlen("{test}:failing") == 1


@pytest.mark.parametrize("filters", ["case:*0 after:9-in-a-row", "case:*0 on:known"])
async def test_a_failure_recovers_though_another_in_its_scope_is_too_old(filters: str) -> None:
    async with poller_bench() as built:
        await subscribe_and_poll(built, f"group:case {filters}", "group:case case:*1")
        built.finish_run(bad=1)
        await built.poll_until_settled()
        await let_days_pass(built, 20)
        first = built.world.zof.runs.copy()
        built.finish_run(bad=2)
        for item in built.world.zof.results_of_run(next(run for run in built.world.zof.runs if run not in first)):
            item["status"] = "failed" if item["name"] == "Case 1" else "skipped"
        await built.poll_until_settled()
        await let_days_pass(built, 1)
        built.finish_run("passed", bad=0, passed=2)
        await built.poll_until_settled()
        assert [key for key in await built.committed_keys() if key.startswith("recovered:")]


async def test_a_failure_recovers_within_two_weeks_of_it_not_of_the_first_in_its_scope() -> None:
    async with poller_bench() as built:
        await subscribe_and_poll(built, "group:case")
        built.finish_run(bad=2)
        await built.poll_until_settled()
        await let_days_pass(built, 10)
        built.finish_run(bad=1)
        await built.poll_until_settled()
        await let_days_pass(built, 12)
        built.finish_run("passed", bad=0, passed=2)
        await built.poll_until_settled()
        recovered = [key for key in await built.committed_keys() if key.startswith("recovered:")]
        assert len(recovered) == 1
