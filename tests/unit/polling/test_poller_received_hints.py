"""A hint that a poller hears of is read without renewing the lease first, and several hints at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.poller_bench import PollerBench, poller_bench
from zofbot.store.outbox import LeaseLost
from zofbot.store.pending_runs import PENDING_RUNS_HASH


@pytest.fixture
async def bench() -> AsyncIterator[PollerBench]:
    async with poller_bench() as built:
        await built.poller.poll_once()
        await built.hints.wait_for_hint(0)  # it listens from now on
        yield built


async def hear(bench: PollerBench, run_id: str, event: str) -> None:
    """Store a hint, and let the poller hear of it."""
    assert await bench.receive_webhook(run_id, event)
    assert await bench.hints.wait_for_hint(10)


async def test_a_hint_that_was_heard_costs_one_round_trip_less(bench: PollerBench) -> None:
    run = bench.finish_run()
    await hear(bench, run["id"], "evt_1")
    before = bench.store.trips
    await bench.poller.poll_once(feeds=False)
    assert bench.store.trips - before == 2  # what the rules remember, and the commit
    assert await bench.committed_keys() == bench.expected_keys()
    assert not await bench.pending_runs()


async def test_a_lease_that_was_renewed_long_ago_is_renewed_before_a_hint_is_read(bench: PollerBench) -> None:
    run = bench.finish_run()
    await hear(bench, run["id"], "evt_1")
    await asyncio.sleep(31)  # a third of the lease
    before = bench.store.trips
    await bench.poller.poll_once(feeds=False)
    assert bench.store.trips - before == 3
    assert await bench.committed_keys() == bench.expected_keys()


async def test_a_hint_heard_after_its_run_was_read_causes_no_further_read(bench: PollerBench) -> None:
    run = bench.finish_run()
    await bench.receive_webhook(run["id"], "evt_1")
    await bench.poller.poll_once(feeds=False)
    assert await bench.hints.wait_for_hint(10)
    asked = len(bench.zof.asked)
    await bench.poller.poll_once(feeds=False)
    assert len(bench.zof.asked) == asked


async def test_a_hint_of_an_earlier_version_names_no_run_and_is_read_with_the_others(bench: PollerBench) -> None:
    run = bench.finish_run()
    await bench.store.publish("{test}:heard", run["id"])  # first, for a real server may deliver the other one later
    await bench.receive_webhook(run["id"], "evt_1")
    assert await bench.hints.wait_for_hint(10)
    assert bench.hints.take_received() is None
    await bench.poller.poll_once(feeds=False)
    assert await bench.committed_keys() == bench.expected_keys()


async def test_a_poller_that_lost_its_lease_unnoticed_commits_no_hint(bench: PollerBench) -> None:
    run = bench.finish_run()
    await hear(bench, run["id"], "evt_1")
    await bench.store.delete("{test}:lease:poller")
    other = bench.start_poller()
    await bench.store.incr("{test}:fence:poller")
    with pytest.raises(LeaseLost):
        await bench.poller.poll_once(feeds=False)
    assert run["id"] in (await bench.outbox.read_hashes(PENDING_RUNS_HASH))[PENDING_RUNS_HASH]
    await other.poll_once(feeds=False)
    assert await bench.committed_keys() == bench.expected_keys()


async def test_four_runs_are_read_at_the_same_time_and_one_that_fails_stops_no_other(bench: PollerBench) -> None:
    runs = [bench.finish_run() for _ in range(6)]
    for number, run in enumerate(runs):
        await bench.receive_webhook(run["id"], f"evt_{number}")
    reading: list[int] = []
    open_reads = 0

    async def wait_and_count(request: httpx.Request) -> httpx.Response | None:
        nonlocal open_reads
        open_reads += 1
        reading.append(open_reads)
        await asyncio.sleep(0.01)
        open_reads -= 1
        return httpx.Response(404) if request.url.path.endswith(runs[1]["id"]) else None

    bench.zof.spoil = wait_and_count
    await bench.poller.poll_once(feeds=False)
    assert max(reading) == 4
    assert set(await bench.pending_runs()) == {runs[1]["id"]}


@pytest.mark.parametrize("interval", [300.0, 3600.0])
async def test_many_hints_at_once_do_not_wait_for_the_next_scan_of_the_feeds(interval: float) -> None:
    async with poller_bench(interval=interval) as built:
        await built.run_cycle()
        for number in range(30):
            run = built.finish_run(bad=1)
            await built.receive_webhook(run["id"], f"evt_{number}")
        for _ in range(4):
            before = len(built.zof.asked)
            await asyncio.sleep(60)
            await built.poller.poll_once(feeds=False)
            assert len(built.zof.asked) - before <= 20
        assert await built.committed_keys() == built.expected_keys()


async def test_hints_between_the_usual_scans_are_read_within_one_budget() -> None:
    async with poller_bench() as built:
        await built.run_cycle()
        for number in range(30):
            await built.receive_webhook(built.finish_run(bad=1)["id"], f"evt_{number}")
        before = len(built.zof.asked)
        for _ in range(5):
            await asyncio.sleep(20)
            await built.poller.poll_once(feeds=False)
        assert len(built.zof.asked) - before <= 15


@pytest.mark.parametrize("interval", [61.0, 90.0, 130.0])
async def test_the_budget_is_not_renewed_shortly_before_the_next_scan_of_the_feeds(interval: float) -> None:
    async with poller_bench(interval=interval) as built:
        await built.run_cycle()
        for number in range(60):
            await built.receive_webhook(built.finish_run(bad=1)["id"], f"evt_{number}")
        before = len(built.zof.asked)
        for _ in range(10):
            await asyncio.sleep(interval * 0.11)  # the scan follows after eleven tenths of an interval at the latest
            await built.poller.poll_once(feeds=False)
        assert len(built.zof.asked) - before <= 20 * 1.1 * interval / 60
