"""The listing of all runs: what it finds that the others cannot, what it costs, and that the others do without it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, answer_well, poller_bench
from zofbot.domain.errors import ZofUnavailable
from zofbot.polling.feed_audits import AUDIT_INTERVAL_SECONDS
from zofbot.polling.scanner import MAX_UNLISTED_INTERVALS


def lists_all(request: httpx.Request) -> bool:
    return request.url.path == "/v1/runs" and "status" not in request.url.params


def is_last_of_all(request: httpx.Request, page: int) -> bool:
    """Whether the listing of all runs is asked for, if its pages are short, for a further page."""
    return lists_all(request) and (page == 100 or "starting_after" in request.url.params)


async def test_that_all_runs_cannot_be_listed_keeps_no_failure_back() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        built.zof.spoil = lambda request: httpx.Response(503) if lists_all(request) else None
        run = built.finish_run(bad=0)
        tick = await built.run_cycle()
        assert f"run:{run['id']}:failed:{CHANNEL}" in tick.committed
        assert not tick.refused


@pytest.mark.parametrize("page", [2, 100])
@pytest.mark.parametrize("minutes", [2, 60])
async def test_polling_counts_as_failed_if_all_runs_cannot_be_listed_for_long(minutes: int, page: int) -> None:
    async with poller_bench(page=page) as built:
        for _ in range(3):
            built.finish_run("passed", bad=0)
        polling = asyncio.create_task(built.poller.run())
        for minute in range(minutes + 5):
            if minute == 5:
                built.zof.spoil = lambda request: httpx.Response(503) if is_last_of_all(request, page) else None
            await asyncio.sleep(60)
            built.clock.at += 60
        silent = built.clock.at - built.metric_value("zofbot_poll_last_success_timestamp_seconds")
        polling.cancel()
        await asyncio.wait({polling})
        assert silent >= 60 * (minutes - MAX_UNLISTED_INTERVALS - 2) if minutes == 60 else silent <= 120


@pytest.mark.parametrize("page", [3, 100])
async def test_a_run_that_timed_out_after_hours_is_found_by_the_audit_at_the_latest(page: int) -> None:
    async with poller_bench(page=page) as built:
        await built.poll_until_settled()
        slow = built.world.zof.start_run({"project_id": "proj_x"})
        for _ in range(20):
            built.finish_run("passed", bad=0)
            await built.run_cycle(300)
        built.world.zof.finish_run(slow["id"], "timed_out")
        built.clock.at += AUDIT_INTERVAL_SECONDS
        for _ in range(20):
            await built.run_cycle()
        assert await built.committed_keys() == {f"run:{slow['id']}:error:{CHANNEL}"}


async def test_what_other_feeds_show_is_read_once() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=1)
        await built.poll_until_settled()
        assert built.zof.asked.count(f"/runs/{run['id']}") == 1


REFUSALS = {
    "400 that names nothing": httpx.Response(400),
    "400 with a path": httpx.Response(400, json={"error": {"message": "no", "param": "query.status"}}),
    "422": httpx.Response(422, json={"error": {"message": "no", "param": "status"}}),
    "500": httpx.Response(500),
    "503 with a time": httpx.Response(503, headers={"Retry-After": "60"}),
    "403": httpx.Response(403),
    "404": httpx.Response(404),
    "a page": httpx.Response(200, html="<html>"),
}


@pytest.mark.parametrize("reply", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("count", [1, 8])
async def test_a_failed_run_is_told_though_zof_lists_nothing_by_status(reply: httpx.Response, count: int) -> None:
    async with poller_bench() as built:
        built.zof.spoil = lambda request: reply if "status" in request.url.params else None
        for _ in range(5):  # the first failures may be those of an outage
            with suppress(ZofUnavailable):
                await built.run_cycle()
        runs = [built.finish_run(bad=0) for _ in range(count)]
        await built.run_cycle()
        assert await built.committed_keys() == built.expected_keys()
        built.zof.spoil = answer_well
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys()
        assert {built.zof.asked.count(f"/runs/{run['id']}") for run in runs} == {1}


async def test_a_failed_run_is_told_in_the_cycle_in_which_its_listing_fails_first() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        built.zof.spoil = lambda request: httpx.Response(500) if "status" in request.url.params else None
        run = built.finish_run(bad=0)
        assert (await built.run_cycle()).committed == [f"run:{run['id']}:failed:{CHANNEL}"]


@pytest.mark.parametrize("name", ["run:1001", "run.1001", "~", "a:b:c"])
async def test_a_run_whose_id_has_other_signs_is_told_once(name: str) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=1)
        [result] = built.world.zof.results_of_run(run["id"])
        del built.world.zof.runs[run["id"]]
        built.world.zof.runs[name] = run | {"id": name}
        result["run_id"] = name
        await built.run_cycle()
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys()
        assert built.zof.asked.count(f"/runs/{name}") == 1
        assert not await built.pending_runs()


async def test_an_old_store_reads_no_more_of_all_runs_than_the_look_back() -> None:
    async with poller_bench(page=10) as built:
        for number in range(30):
            built.finish_run("passed", bad=0, ago=86400 - 600 * number)
        await built.store.hset("{test}:feeds", mapping={"floor": f"{built.clock.at - 30 * 86400:.3f}"})
        asked = len(built.zof.asked)
        await built.run_cycle()
        assert len(built.zof.asked) - asked <= 6


@pytest.mark.parametrize("failures", [0, 8])
async def test_a_zof_that_ignores_the_status_asked_for_is_not_read_to_its_first_run(failures: int) -> None:
    async with poller_bench() as built:
        built.zof.ignored = {"status"}
        for number in range(failures):
            built.finish_run(bad=1, ago=3000 - 60 * number)
        for number in range(1200):
            built.finish_run("passed", bad=0, passed=1, ago=2500 - 2 * number)
        for _ in range(40):
            await built.run_cycle()
        asked = len(built.zof.asked)
        for _ in range(3):
            run = built.finish_run(bad=1)
            assert f"run:{run['id']}:failed:{CHANNEL}" in (await built.run_cycle()).committed
        assert len(built.zof.asked) - asked <= 3 * 11


@pytest.mark.parametrize("page", [1, 3])
async def test_short_pages_hold_back_no_failure_for_longer_than_the_scan_that_found_it(page: int) -> None:
    async with poller_bench(page=page) as built:
        for _ in range(30):
            built.finish_run("failed", bad=1)
            built.finish_run("error", bad=1)
            await built.run_cycle()
        for _ in range(20):
            await built.run_cycle()
        assert await built.committed_keys() == built.expected_keys()
        assert await built.pending_runs() == {}
