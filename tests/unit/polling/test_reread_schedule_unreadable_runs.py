"""Failures that Zof lists, and whose run it never returns."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.polling.poller import SUBSCRIPTIONS
from zofbot.simulator.zof.state import ZofRecord
from zofbot.subscriptions import parse_filters

EACH_REFUSAL = pytest.mark.parametrize(
    "reply",
    [httpx.Response(404), httpx.Response(403), httpx.Response(500), httpx.Response(200, html="<html>")],
    ids=["404", "403", "500", "html"],
)


async def _apply_rules(built: PollerBench) -> None:
    wish = parse_filters("group:run").model_copy(update={"id": "s1", "channel": CHANNEL, "created": built.clock.at})
    await built.store.hset("{test}:" + SUBSCRIPTIONS, wish.id, wish.model_dump_json(by_alias=True))
    built.poller = built.start_poller(decide=decide_batch)
    await built.poll_until_settled()


def _refuse(built: PollerBench, reply: httpx.Response, *subjects: str) -> None:
    built.zof.spoil = lambda request: reply if request.url.path.removeprefix("/v1") in subjects else None


def _list_no(built: PollerBench, listing: str, *, runs_named: bool = True) -> None:
    """Have Zof list nothing there, and results without their runs unless ``runs_named``."""

    def change(path: str, body: Any) -> Any:
        if path == listing:
            return {**body, "data": []}
        if path == "/results" and not runs_named:
            return {**body, "data": [{k: v for k, v in item.items() if k != "run_id"} for item in body["data"]]}
        return body

    built.zof.change = change


async def _poll_for_a_day(built: PollerBench) -> None:
    for _ in range(26 * 6):
        await built.run_cycle(600)


def _bad_results(built: PollerBench, run: ZofRecord) -> list[str]:
    return [item["id"] for item in built.world.zof.results_of_run(run["id"])]


@EACH_REFUSAL
@pytest.mark.parametrize("runs_named", [True, False])
async def test_listed_results_are_told_though_their_run_cannot_be_read(reply: httpx.Response, runs_named: bool) -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        run = built.finish_run(bad=2)
        _refuse(built, reply, f"/runs/{run['id']}")
        _list_no(built, "/runs", runs_named=runs_named)
        await _poll_for_a_day(built)
        told = {f"run:{result}:failed:{CHANNEL}" for result in _bad_results(built, run)}
        assert told <= await built.committed_keys()
        assert await built.pending_runs() == {}


@EACH_REFUSAL
async def test_a_listed_run_that_cannot_be_read_is_told_by_what_its_listing_said(reply: httpx.Response) -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        run = built.finish_run(bad=2)
        _refuse(built, reply, f"/runs/{run['id']}")
        _list_no(built, "/results")
        await _poll_for_a_day(built)
        [record] = await built.outbox.get_records([f"run:{run['id']}:failed:{CHANNEL}"])
        assert record.body["run"]["project"] == "proj_x"
        assert record.body["run"]["environment"] == "staging"
        assert await built.committed_keys() == {f"run:{run['id']}:failed:{CHANNEL}"}
        assert built.metric_value("zofbot_poll_given_up_total") == 1


async def test_a_listed_result_that_cannot_be_read_either_is_told_by_what_its_listing_said() -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        run = built.finish_run("passed", bad=1)
        [result] = _bad_results(built, run)
        _refuse(built, httpx.Response(403), f"/runs/{run['id']}", f"/results/{result}")
        for _ in range(50 * 6):
            await built.run_cycle(600)
        assert await built.committed_keys() == {f"run:{result}:failed:{CHANNEL}"}
        assert await built.pending_runs() == {}


@pytest.mark.parametrize(("status", "told"), [(403, True), (404, False)])
async def test_a_run_of_which_only_a_webhook_says_that_it_failed_is_told_unless_zof_has_none(
    status: int, told: bool
) -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        _refuse(built, httpx.Response(status), "/runs/run_sample")
        await built.receive_webhook("run_sample", "evt_1")
        await _poll_for_a_day(built)
        assert await built.committed_keys() == ({f"run:run_sample:failed:{CHANNEL}"} if told else set())
