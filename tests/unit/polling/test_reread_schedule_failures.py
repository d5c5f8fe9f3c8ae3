"""A run that Zof can never return: everything else is told."""

from __future__ import annotations

import asyncio
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


@pytest.mark.parametrize("interval", [60.0, 3600.0])
async def test_a_time_to_come_back_that_zof_names_for_one_run_stops_no_polling(interval: float) -> None:
    async with poller_bench(interval=interval) as built:
        polling = asyncio.create_task(built.poller.run())
        await asyncio.sleep(10)
        broken = built.finish_run()
        come_back = httpx.Response(503, headers={"Retry-After": "900"})
        built.zof.spoil = lambda request: come_back if request.url.path.endswith(broken["id"]) else None
        await built.receive_webhook(broken["id"], "evt_1")
        await asyncio.sleep(5)
        asked = list(built.zof.asked)
        other = built.finish_run()
        await asyncio.sleep(65)
        polling.cancel()
        await asyncio.wait({polling})
        assert f"/runs/{broken['id']}" in asked
        assert f"run:{other['id']}:failed:{CHANNEL}" in await built.committed_keys()


async def test_a_spent_quota_that_one_run_shows_stops_polling_until_the_time_that_zof_names() -> None:
    async with poller_bench() as built:
        polling = asyncio.create_task(built.poller.run())
        await asyncio.sleep(10)
        run = built.finish_run()
        spent = httpx.Response(429, headers={"Retry-After": "300"}, json={})
        built.zof.spoil = lambda request: spent if request.url.path.endswith(run["id"]) else None
        await built.receive_webhook(run["id"], "evt_1")
        await asyncio.sleep(5)
        asked = len(built.zof.asked)
        await asyncio.sleep(280)
        polling.cancel()
        await asyncio.wait({polling})
        assert built.zof.asked[-1] == f"/runs/{run['id']}"
        assert len(built.zof.asked) == asked
