"""A run that Zof can never return: everything else is told."""

from __future__ import annotations

from collections.abc import Awaitable

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, answer_well, poller_bench
from zofbot.domain.errors import ZofUnavailable
from zofbot.polling.context import CycleStats
from zofbot.simulator.zof.state import ZofRecord


async def count_tries(built: PollerBench, run: ZofRecord, cycle: Awaitable[CycleStats]) -> int:
    """Return how often a cycle requests a run."""
    asked = len(built.zof.asked)
    await cycle
    return built.zof.asked[asked:].count(f"/runs/{run['id']}")


each_failure = pytest.mark.parametrize(
    "reply", [httpx.Response(500), httpx.Response(503, headers={"Retry-After": "30"})], ids=["fault", "come back"]
)


@each_failure
async def test_a_run_that_zof_fails_to_return_keeps_no_other_from_being_found(reply: httpx.Response) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        broken = built.finish_run()
        built.zof.spoil = lambda request: reply if request.url.path.endswith(broken["id"]) else None
        for _ in range(3):
            await built.run_cycle()
        new = built.finish_run()
        await built.run_cycle()
        assert f"run:{new['id']}:failed:{CHANNEL}" in await built.committed_keys()
        assert list(await built.pending_runs()) == [broken["id"]]
        built.zof.spoil = answer_well
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys()


async def test_a_run_that_zof_never_returns_is_no_outage_and_is_read_less_and_less_often() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        broken = built.finish_run()
        built.zof.spoil = lambda request: httpx.Response(500) if request.url.path.endswith(broken["id"]) else None
        await built.run_cycle()
        built.clock.at += 16
        tried = await count_tries(built, broken, built.poller.poll_once(feeds=False))
        assert tried
        cycles = [await count_tries(built, broken, built.run_cycle()) for _ in range(60)]
        assert 4 <= sum(map(bool, cycles)) <= 12
        assert list(await built.pending_runs()) == [broken["id"]]


async def test_a_run_that_zof_never_returns_is_given_up_after_a_day_loudly() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        broken = built.finish_run(bad=0)
        built.zof.spoil = lambda request: httpx.Response(500) if request.url.path.endswith(broken["id"]) else None
        for _ in range(23 * 6):
            await built.run_cycle(600)
        assert list(await built.pending_runs()) == [broken["id"]]
        for _ in range(2 * 6):
            await built.run_cycle(600)
        assert await built.pending_runs() == {}
        assert built.metric_value("zofbot_poll_given_up_total") == 1


async def test_an_outage_of_days_has_no_run_given_up() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        await built.receive_webhook(built.finish_run()["id"], "evt_1")
        built.zof.spoil = lambda request: httpx.Response(500)
        for _ in range(48):
            with pytest.raises(ZofUnavailable):
                await built.run_cycle(3600)
        assert len(await built.pending_runs()) == 1
        built.zof.spoil = answer_well
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys()


async def test_a_zof_that_returns_nothing_is_unavailable_between_scans_too() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        await built.receive_webhook(built.finish_run()["id"], "evt_1")
        built.zof.spoil = lambda request: httpx.Response(500)
        for feeds in (False, True):
            built.clock.at += 60
            with pytest.raises(ZofUnavailable):
                await built.poller.poll_once(feeds=feeds)
