"""Results listed without their run, or read without it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.polling.cycle import MAX_CONCURRENT_READS
from zofbot.simulator.zof.state import ZofRecord
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import parse_filters

EACH_FILTER = pytest.mark.parametrize("filters", ["project:proj_x", "project:shop", "env:staging"])


async def _subscribe(built: PollerBench, filters: str) -> None:
    wish = parse_filters(f"group:case {filters}").model_copy(
        update={"id": "s1", "channel": CHANNEL, "created": built.clock.at}
    )
    await built.store.hset("{test}:" + SUBSCRIPTIONS_HASH, wish.id, wish.model_dump_json(by_alias=True))
    built.poller = built.start_poller(decide=decide_batch)
    await built.poll_until_settled()


def _finish_run(built: PollerBench) -> tuple[ZofRecord, list[ZofRecord]]:
    """Add a run with two failures; its results name neither project nor environment, as documented."""
    run = built.finish_run(bad=2)
    run["project_name"] = "Shop"
    results = built.world.zof.results_of_run(run["id"])
    for result in results:
        del result["project_id"], result["environment"]
    return run, results


def _lack_in_run(built: PollerBench, missing: ZofRecord) -> None:
    """Have the run's reply and the listing of its results lack one of them."""
    of_run = False

    def note_query(request: httpx.Request) -> None:
        nonlocal of_run
        of_run = "run_id" in request.url.params

    def leave_out(path: str, body: Any) -> Any:
        if path.startswith("/runs/"):
            shown = [result for result in body["results"] if result["id"] != missing["id"]]
            return {**body, "results": shown, "summary": {"failed": len(shown)}}
        if of_run:
            return {**body, "data": [result for result in body["data"] if result["id"] != missing["id"]]}
        return body

    built.zof.spoil, built.zof.change = note_query, leave_out


@EACH_FILTER
@pytest.mark.parametrize("webhook", [True, False])
async def test_a_result_that_its_run_lacks_is_matched_by_the_place_of_that_run(filters: str, webhook: bool) -> None:
    async with poller_bench() as built:
        await _subscribe(built, filters)
        run, (first, second) = _finish_run(built)
        _lack_in_run(built, second)
        if webhook:
            await built.receive_webhook(run["id"], "evt_1")
            await built.poller.poll_once(feeds=False)
        await built.poll_until_settled()
        assert await built.committed_keys() == {f"case:{it['id']}:failed:{CHANNEL}" for it in (first, second)}


@EACH_FILTER
async def test_a_result_whose_run_cannot_be_read_is_matched_by_the_place_that_is_listed(filters: str) -> None:
    async with poller_bench() as built:
        await _subscribe(built, filters)
        run, results = _finish_run(built)
        built.zof.spoil = lambda request: httpx.Response(404) if request.url.path == f"/v1/runs/{run['id']}" else None
        await built.poll_until_settled()
        assert {f"case:{it['id']}:failed:{CHANNEL}" for it in results} <= await built.committed_keys()
        assert await built.pending_runs() == {}


async def test_an_environment_that_a_listing_named_is_kept_if_a_later_one_names_the_project_alone() -> None:
    async with poller_bench() as built:
        await _subscribe(built, "env:staging")
        run, results = _finish_run(built)
        for result in results:
            result["project_id"] = run["project_id"]
        built.zof.spoil = lambda request: httpx.Response(404) if request.url.path == f"/v1/runs/{run['id']}" else None
        await built.poll_until_settled()
        assert {f"case:{it['id']}:failed:{CHANNEL}" for it in results} <= await built.committed_keys()


async def test_the_place_that_a_result_names_counts_more_than_that_of_its_run() -> None:
    async with poller_bench() as built:
        await _subscribe(built, "project:proj_y env:qa")
        run, (result, _) = _finish_run(built)
        result |= {"project_id": "proj_y", "environment": "qa"}
        built.zof.spoil = lambda request: httpx.Response(404) if request.url.path == f"/v1/runs/{run['id']}" else None
        await built.poll_until_settled()
        assert f"case:{result['id']}:failed:{CHANNEL}" in await built.committed_keys()


@pytest.mark.parametrize("webhook", [True, False])
async def test_a_run_is_read_a_few_times_only_whose_many_failures_are_listed_without_it(webhook: bool) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=60)
        built.zof.change = _without_run_ids
        if webhook:
            await built.receive_webhook(run["id"], "evt_1")
        asked = len(built.zof.asked)
        await built.run_cycle()
        assert await built.committed_keys() == built.expected_keys()
        assert await built.pending_runs() == {}
        reads = [path for path in built.zof.asked[asked:] if path.startswith(("/runs/", "/results/"))]
        assert len(reads) <= 1 + 2 * MAX_CONCURRENT_READS


async def test_a_result_that_was_listed_without_its_run_and_read_with_it_is_not_read_after_a_restart() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        built.finish_run(bad=60)
        built.zof.change = _without_run_ids
        await built.run_cycle()
        await built.kill_poller()
        asked = len(built.zof.asked)
        await built.run_cycle()
        assert not [path for path in built.zof.asked[asked:] if path.startswith(("/runs/", "/results/"))]


def _without_run_ids(path: str, body: Any) -> Any:
    if path != "/results":
        return body
    return {**body, "data": [{name: it[name] for name in it if name != "run_id"} for it in body["data"]]}
