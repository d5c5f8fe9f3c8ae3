"""Failures that Zof lists, and whose run it never returns."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.simulator.zof.state import ZofRecord
from zofbot.store.pending_runs import PendingRun
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import parse_filters

EACH_REFUSAL = pytest.mark.parametrize(
    "reply",
    [httpx.Response(404), httpx.Response(403), httpx.Response(500), httpx.Response(200, html="<html>")],
    ids=["404", "403", "500", "html"],
)


async def _apply_rules(built: PollerBench) -> None:
    wish = parse_filters("group:run").model_copy(update={"id": "s1", "channel": CHANNEL, "created": built.clock.at})
    await built.store.hset("{test}:" + SUBSCRIPTIONS_HASH, wish.id, wish.model_dump_json(by_alias=True))
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


async def test_a_listed_failure_that_a_webhook_announced_too_is_told_though_its_run_cannot_be_read() -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        run = built.finish_run(bad=2)
        _refuse(built, httpx.Response(403), f"/runs/{run['id']}")
        _list_no(built, "/results")
        await built.receive_webhook(run["id"], "evt_1", "run.completed")
        await _poll_for_a_day(built)
        assert await built.committed_keys() == {f"run:{run['id']}:failed:{CHANNEL}"}


async def test_a_run_is_told_of_which_an_earlier_version_stored_that_its_webhook_names_itself() -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        _refuse(built, httpx.Response(403), "/runs/run_old")
        hint = PendingRun("run", "run_old", "run.failed", built.clock.at, run="run_old")
        await built.hints.add_pending("evt_1", hint)
        await _poll_for_a_day(built)
        assert await built.committed_keys() == {f"run:run_old:failed:{CHANNEL}"}


async def test_a_result_stored_by_an_earlier_version_whose_run_was_posted_without_it_says_nothing_more() -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        await built.poll_until_settled()
        key, now = "results:failed:res_9", built.clock.at
        stored = PendingRun("result", "res_9", "results failed", now, now, run="run_9", seen=(key,), alone=True)
        await built.store.hset("{test}:hints", stored.hash_field, stored.dump())
        await _poll_for_a_day(built)
        assert await built.committed_keys() == set()
        assert await built.pending_runs() == {}


@pytest.mark.parametrize("runs_named", [True, False])
@pytest.mark.parametrize(("status", "minutes"), [(404, 10), (403, 24 * 60), (500, 24 * 60)])
async def test_a_listed_result_of_which_nothing_can_be_read_is_told_in_the_time_promised(
    status: int, minutes: int, runs_named: bool
) -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        run = built.finish_run(bad=1)
        [result] = _bad_results(built, run)
        _refuse(built, httpx.Response(status), f"/runs/{run['id']}", f"/results/{result}")
        _list_no(built, "/runs", runs_named=runs_named)
        begun = built.clock.at
        while not await built.committed_keys():
            await built.run_cycle(60 if minutes < 60 else 300)
        assert await built.committed_keys() == {f"run:{result}:failed:{CHANNEL}"}
        assert (built.clock.at - begun) / 60 < minutes + 20  # read again at most 15 minutes later
        assert built.metric_value("zofbot_poll_given_up_total") == 1 + runs_named  # the run, and the result


async def test_a_new_failure_does_not_wait_for_those_of_a_run_that_was_deleted() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        deleted = built.finish_run(bad=300)
        _refuse(built, httpx.Response(404), f"/runs/{deleted['id']}")
        _list_no(built, "/runs")
        while not any(watch.alone for watch in (await built.pending_runs()).values()):
            await built.run_cycle()
        _list_no(built, "")
        new = built.finish_run(project_id="proj_y")
        await built.run_cycle()
        assert f"run:{new['id']}:failed:{CHANNEL}" in await built.committed_keys()
        await built.poll_until_settled()
        assert {f"run:{result}:failed:{CHANNEL}" for result in _bad_results(built, deleted)} <= (
            await built.committed_keys()
        )


async def test_a_result_without_a_run_is_told_once_though_its_run_has_an_id_with_other_signs() -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        run = built.finish_run(bad=1)
        records = built.world.zof
        [result] = records.results_of_run(run["id"])
        records.runs["build.42"] = records.runs.pop(run["id"])
        records.runs["build.42"]["id"] = result["run_id"] = "build.42"
        _list_no(built, "", runs_named=False)
        await built.poll_until_settled()
        roots = {key for key in await built.committed_keys() if key.startswith("run:")}
        assert roots == {f"run:build.42:failed:{CHANNEL}"}


async def test_a_notice_whose_run_cannot_be_read_for_a_day_is_told_without_it() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run("passed", bad=0)
        _refuse(built, httpx.Response(500), f"/runs/{run['id']}")
        gate = PendingRun("notice", "gate_1", "release.gate_blocked", built.clock.at, run=run["id"])
        await built.hints.add_pending("evt_1", gate)
        await _poll_for_a_day(built)
        assert await built.committed_keys() == {f"notice:gate_1:gate:{CHANNEL}"}
        assert await built.pending_runs() == {}


@pytest.mark.parametrize("body", [{}, {"ok": True}, {"data": {}}])
@pytest.mark.parametrize("kind", ["run.completed", "run.failed", ""])
async def test_a_run_of_which_zof_returns_an_empty_object_for_a_while_is_told(body: Any, kind: str) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run("error", bad=1)
        _refuse(built, httpx.Response(200, json=body), f"/runs/{run['id']}")
        if kind:
            await built.receive_webhook(run["id"], "evt_1", kind)
        await built.run_cycle()
        _refuse(built, httpx.Response(404))
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys()
