"""Results that Zof lists a moment after their run."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.polling.run_reader import MIN_REFUSALS
from zofbot.simulator.zof.state import format_time
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import parse_filters

ONE_CASE = "C0CASE"


async def _subscribe(built: PollerBench, filters: str, channel: str) -> None:
    wish = parse_filters(filters).model_copy(update={"id": channel, "channel": channel, "created": built.clock.at})
    await built.store.hset("{test}:" + SUBSCRIPTIONS_HASH, wish.id, wish.model_dump_json(by_alias=True))


def _list_late(built: PollerBench, name: str) -> None:
    """Have runs come without results, and listings without the result of that name."""

    def leave_out(path: str, body: Any) -> Any:
        if path.startswith("/runs/"):
            return {key: value for key, value in body.items() if key != "results"}
        if path == "/results":
            return {**body, "data": [item for item in body["data"] if item["name"] != name]}
        return body

    built.zof.change = leave_out


def _lack_in_run(built: PollerBench, name: str) -> None:
    """Have runs come without results, and the listing of a run's results without the one of that name."""
    of_run = False

    def note_query(request: httpx.Request) -> None:
        nonlocal of_run
        of_run = "run_id" in request.url.params

    def leave_out(path: str, body: Any) -> Any:
        if path.startswith("/runs/"):
            return {key: value for key, value in body.items() if key != "results"}
        if of_run:
            return {**body, "data": [item for item in body["data"] if item["name"] != name]}
        return body

    built.zof.spoil, built.zof.change = note_query, leave_out


def _result_id(built: PollerBench, run_id: str, name: str) -> str:
    [found] = [item["id"] for item in built.world.zof.results_of_run(run_id) if item["name"] == name]
    return str(found)


@pytest.mark.parametrize("group", ["run", "case", "cause"])
async def test_a_result_that_is_listed_after_its_run_was_read_is_told(group: str) -> None:
    async with poller_bench() as built:
        built.poller = built.start_poller(decide=decide_batch)
        await _subscribe(built, f"group:{group}", CHANNEL)
        await _subscribe(built, "case:*1 group:case", ONE_CASE)
        await built.poll_until_settled()
        run = built.finish_run(bad=2)
        _list_late(built, "Case 1")
        await built.receive_webhook(run["id"], "evt_1")
        told = (await built.poller.poll_once(feeds=False)).committed
        assert not [key for key in told if key.endswith(ONE_CASE)]
        _list_late(built, "")
        await built.poll_until_settled()
        late = _result_id(built, run["id"], "Case 1")
        told = [key for key in await built.committed_keys() if key.endswith(ONE_CASE)]
        assert told == [f"case:{late}:failed:{ONE_CASE}"]


async def test_results_beyond_those_read_of_a_run_do_not_have_it_read_again() -> None:
    async with poller_bench(page=3, requests=60) as built:
        _list_late(built, "")
        await built.poll_until_settled()
        run = built.finish_run(bad=60)
        await built.poll_until_settled()
        assert built.zof.asked.count(f"/runs/{run['id']}") == 1


@pytest.mark.parametrize("webhook", [True, False])
@pytest.mark.parametrize("group", ["run", "case", "cause"])
async def test_a_result_that_its_run_lacks_when_it_is_read_again_is_told_later(group: str, webhook: bool) -> None:
    async with poller_bench() as built:
        built.poller = built.start_poller(decide=decide_batch)
        await _subscribe(built, f"group:{group}", CHANNEL)
        await _subscribe(built, "case:*1 group:case", ONE_CASE)
        await built.poll_until_settled()
        run = built.finish_run(bad=2)
        _lack_in_run(built, "Case 1")
        if webhook:
            await built.receive_webhook(run["id"], "evt_1")
            await built.poller.poll_once(feeds=False)
        for _ in range(3):
            await built.run_cycle()
        told = await built.committed_keys()
        assert [key for key in told if key.endswith(CHANNEL)]
        assert not [key for key in told if key.endswith(ONE_CASE)]
        await built.kill_poller()
        built.poller = built.start_poller(decide=decide_batch)
        _lack_in_run(built, "")
        await built.poll_until_settled()
        told = {key for key in await built.committed_keys() if key.endswith(ONE_CASE)}
        assert told == {f"case:{_result_id(built, run['id'], 'Case 1')}:failed:{ONE_CASE}"}
        assert built.metric_value("zofbot_poll_given_up_total") == 0


async def test_a_result_that_its_run_never_has_is_read_by_itself() -> None:
    async with poller_bench() as built:
        built.poller = built.start_poller(decide=decide_batch)
        await _subscribe(built, "group:case", CHANNEL)
        await built.poll_until_settled()
        run = built.finish_run(bad=2)
        _lack_in_run(built, "Case 1")
        await built.poll_until_settled()
        results = [item["id"] for item in built.world.zof.results_of_run(run["id"])]
        assert {f"case:{result}:failed:{CHANNEL}" for result in results} <= await built.committed_keys()
        assert built.metric_value("zofbot_poll_given_up_total") == 0


async def test_a_result_that_its_run_never_has_and_that_cannot_be_read_is_given_up() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=2)
        _lack_in_run(built, "Case 1")
        late = _result_id(built, run["id"], "Case 1")
        note_query = built.zof.spoil

        def refuse_result(request: httpx.Request) -> httpx.Response | None:
            note_query(request)
            return httpx.Response(404) if request.url.path.endswith(late) else None

        built.zof.spoil = refuse_result
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys() - {f"result:{late}:failed:{CHANNEL}"}
        assert built.metric_value("zofbot_poll_given_up_total") == 1
        reads = built.zof.asked.count(f"/runs/{run['id']}")
        assert MIN_REFUSALS <= reads < 15
        for _ in range(90):  # an audit among them
            await built.run_cycle()
        assert built.zof.asked.count(f"/runs/{run['id']}") == reads


@pytest.mark.parametrize("group", ["run", "case", "cause"])
async def test_results_read_by_themselves_in_two_steps_are_all_told(group: str) -> None:
    async with poller_bench() as built:
        built.poller = built.start_poller(decide=decide_batch)
        await _subscribe(built, f"group:{group}", CHANNEL)
        await built.poll_until_settled()
        _refuse_results_of_runs(built)
        run = built.finish_run(bad=2)
        await built.poll_until_settled()
        at = format_time(built.clock.at)
        late = built.world.zof.add_result(run["id"], status="failed", name="Late", created_at=at, completed_at=at)
        await built.poll_until_settled()
        records = await built.outbox.get_records(sorted(await built.committed_keys()))
        assert [record for record in records if late["name"] in str(record.body)]
        assert await built.pending_runs() == {}


def _refuse_results_of_runs(built: PollerBench) -> None:
    """Have runs come without results, and Zof refuse to list those of a run."""
    _list_late(built, "")
    built.zof.spoil = lambda request: httpx.Response(403) if "run_id" in request.url.params else None


async def test_many_results_that_their_run_never_has_are_told_within_the_quota() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        _refuse_results_of_runs(built)
        run = built.finish_run(bad=150)
        spent = 0
        while len(await built.pending_runs()) != 0 or not spent:
            before = len(built.zof.asked)
            await built.run_cycle()
            spent = max(spent, len(built.zof.asked) - before)
        assert spent <= 30
        told = {f"run:{item['id']}:failed:{CHANNEL}" for item in built.world.zof.results_of_run(run["id"])}
        assert told <= await built.committed_keys()


async def test_a_failed_result_of_a_run_that_counts_none_is_read_if_it_is_listed() -> None:
    async with poller_bench(page=3) as built:
        await built.poll_until_settled()
        run = built.finish_run("error", bad=1, passed=2)
        when = dict.fromkeys(("created_at", "completed_at"), run["completed_at"])
        for number in range(9):
            built.world.zof.add_result(run["id"], status="failed" if number == 0 else "passed", name="Extra", **when)
        built.world.zof.finish_run(run["id"], "error")
        run["summary"]["failed"] = 0
        _lack_in_run(built, "")
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys()


async def _recover_by_run_with_late_passes(built: PollerBench, status: str, webhook: bool) -> tuple[str, list[str]]:
    """Fail a case, and add a run in which it passes, whose results are not listed yet; the counts are.

    Return the id of that run, and those of its passed results.
    """
    built.poller = built.start_poller(decide=decide_batch)
    await _subscribe(built, "group:case", CHANNEL)
    await built.poll_until_settled()
    built.finish_run(bad=1)
    await built.poll_until_settled()
    run = built.finish_run(status, bad=0, passed=20)
    late = [str(item["id"]) for item in built.world.zof.results_of_run(run["id"])]
    if status == "failed":
        built.world.zof.add_result(run["id"], status="failed", name="Other", completed_at=run["completed_at"])
        run["summary"]["failed"] = 1
    if webhook:
        await built.receive_webhook(run["id"], "evt_1", "run.completed")
    return run["id"], late


def _leave_out(built: PollerBench, late: list[str]) -> None:
    """Have runs come without results, and listings without those."""

    def leave_out(path: str, body: Any) -> Any:
        if path.startswith("/runs/"):
            return {key: value for key, value in body.items() if key != "results"}
        if path == "/results":
            return {**body, "data": [item for item in body["data"] if item["id"] not in late]}
        return body

    built.zof.change = leave_out


@pytest.mark.parametrize("webhook", [True, False])
@pytest.mark.parametrize("status", ["passed", "failed"])
@pytest.mark.parametrize("listed", [0, 12])
async def test_a_case_recovers_though_its_pass_is_listed_after_its_run_was_read(
    listed: int, status: str, webhook: bool
) -> None:
    async with poller_bench() as built:
        run, late = await _recover_by_run_with_late_passes(built, status, webhook)
        _leave_out(built, late[: 20 - listed])
        for _ in range(3):
            await built.run_cycle()
        assert not [key for key in await built.committed_keys() if key.startswith("recovered:")]
        assert list(await built.pending_runs()) == [run]
        _leave_out(built, [])
        await built.poll_until_settled()
        assert len([key for key in await built.committed_keys() if key.startswith("recovered:")]) == 1
        assert await built.pending_runs() == {}


@pytest.mark.parametrize("status", ["passed", "failed"])
async def test_passes_that_are_counted_and_never_listed_are_waited_for_ten_minutes(status: str) -> None:
    async with poller_bench() as built:
        run, late = await _recover_by_run_with_late_passes(built, status, webhook=True)
        _leave_out(built, late[:8])
        for _ in range(9):
            await built.run_cycle()
        assert list(await built.pending_runs()) == [run]
        await built.poll_until_settled()
        reads = built.zof.asked.count(f"/runs/{run}")
        assert MIN_REFUSALS <= reads < 15
        for _ in range(90):  # an audit among them
            await built.run_cycle()
        assert built.zof.asked.count(f"/runs/{run}") == reads
        assert built.metric_value("zofbot_poll_given_up_total") == 0
