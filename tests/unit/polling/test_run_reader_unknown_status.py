"""Runs of which Zof's reply does not say that they ended, or when."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.support.poller_bench import CHANNEL, PollerBench, log_lines, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.simulator.zof.state import ZofRecord, format_time
from zofbot.store.pending_runs import PendingRun
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import RunFinding, parse_filters

BARE: dict[str, Any] = {}
COUNTED = {"status": "completed", "finished_at": "2026-06-01T08:00:00Z", "summary": {"failed": 2}}
EACH_HINT = pytest.mark.parametrize("hint", ["run.completed", "run.failed"])


def _reply_with(built: PollerBench, run: ZofRecord, fields: dict[str, Any]) -> None:
    """Have Zof return only these fields of a run, and not list it."""

    def leave_out(path: str, body: Any) -> Any:
        if path == f"/runs/{run['id']}":
            return {"id": run["id"], **fields}
        return {**body, "data": []} if path == "/runs" else body

    built.zof.change = leave_out


def _no_results(built: PollerBench) -> None:
    """Have Zof list no results."""
    change = built.zof.change
    built.zof.change = lambda path, body: {**body, "data": []} if path == "/results" else change(path, body)


def _result_keys(built: PollerBench, run: ZofRecord) -> set[str]:
    bad = [item for item in built.world.zof.results_of_run(run["id"]) if item["status"] == "failed"]
    return {f"result:{item['id']}:failed:{CHANNEL}" for item in bad}


async def _told(built: PollerBench) -> set[str]:
    return {key for key in await built.committed_keys() if key.startswith("result:")}


@pytest.mark.parametrize(
    "fields", [BARE, {"status": "completed"}, {"status": "done"}, {"status": "completed", "results": []}]
)
async def test_listed_failures_of_a_run_that_does_not_say_that_it_ended_are_told(fields: dict[str, Any]) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=2)
        _reply_with(built, run, fields)
        await built.run_cycle()
        assert await _told(built) == _result_keys(built, run)
        assert await built.pending_runs() == {}


@EACH_HINT
@pytest.mark.parametrize("fields", [BARE, {"status": "completed"}])
async def test_a_webhook_says_that_a_run_of_unknown_status_ended(fields: dict[str, Any], hint: str) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=2)
        _reply_with(built, run, fields)
        await built.receive_webhook(run["id"], "evt_1", hint)
        await built.poller.poll_once(feeds=False)
        assert await _told(built) == _result_keys(built, run)
        assert await built.pending_runs() == {}


async def test_a_failed_run_of_unknown_status_without_failures_is_told_by_its_webhook() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=0)
        _reply_with(built, run, BARE)
        await built.receive_webhook(run["id"], "evt_1")
        told = await built.poller.poll_once(feeds=False)
        assert told.committed == [f"run:{run['id']}:failed:{CHANNEL}"]


@EACH_HINT
async def test_failures_that_are_only_counted_are_told_after_a_webhook(hint: str) -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        run = built.finish_run(bad=2)
        _reply_with(built, run, COUNTED)
        _no_results(built)
        await built.receive_webhook(run["id"], "evt_1", hint)
        told = await built.poller.poll_once(feeds=False)
        assert told.committed == [f"run:{run['id']}:failed:{CHANNEL}"]


@pytest.mark.parametrize("active", ["queued", "running"])
async def test_a_run_of_unknown_status_with_a_result_in_progress_is_waited_for(active: str) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=1)
        last = built.world.zof.add_result(run["id"], status=active)
        _reply_with(built, run, {"status": "executing"})
        for _ in range(5):
            await built.run_cycle()
        assert await _told(built) == set()
        last["status"] = "failed"
        await built.poll_until_settled()
        assert len(await _told(built)) == 2


@pytest.mark.parametrize("active", ["queued", "running"])
async def test_a_result_in_progress_is_waited_for_though_it_is_not_on_the_first_page(active: str) -> None:
    async with poller_bench(page=3) as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=1, passed=5)
        at = format_time(built.clock.at - 50)  # before the others, and so on the last page
        last = built.world.zof.add_result(run["id"], status=active, created_at=at)
        _put_first(built, last)
        _reply_with(built, run, {"status": "executing"})
        for _ in range(5):
            await built.run_cycle()
        assert await _told(built) == set()
        last["status"] = "passed"
        await built.poll_until_settled()
        assert await _told(built) == _result_keys(built, run)


def _put_first(built: PollerBench, result: ZofRecord) -> None:
    others = {name: item for name, item in built.world.zof.results.items() if item is not result}
    built.world.zof.results.clear()
    built.world.zof.results.update({result["id"]: result, **others})


@EACH_HINT
async def test_a_webhook_ends_a_run_of_unknown_status_without_a_search_for_results_in_progress(hint: str) -> None:
    async with poller_bench(page=3) as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=1, passed=5)
        _reply_with(built, run, {"status": "executing"})
        await built.receive_webhook(run["id"], "evt_1", hint)
        asked: list[str] = []
        built.zof.spoil = lambda request: asked.append(request.url.params.get("status", ""))
        await built.poller.poll_once(feeds=False)
        assert await _told(built) == _result_keys(built, run)
        assert not {"queued", "running"} & set(asked)


async def test_a_failed_run_without_an_end_time_is_not_called_endless_if_it_is_read_after_a_day() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=1)
        _reply_with(built, run, {"status": "failed", "created_at": run["created_at"]})
        hint = PendingRun("run", run["id"], "run.failed", built.clock.at - 25 * 3600)
        await built.hints.add_pending("evt_1", hint)
        with capture_logs() as lines:
            await built.poller.poll_once(feeds=False)
        assert f"run:{run['id']}:failed:{CHANNEL}" in await built.committed_keys()
        assert log_lines(lines, "run does not end") == []


@pytest.mark.parametrize("status", ["queued", "running"])
async def test_listed_failures_of_a_run_in_progress_wait_for_its_end_or_a_day(status: str) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=1)
        _reply_with(built, run, {"status": status})
        for _ in range(23 * 6):
            await built.run_cycle(600)
        assert await _told(built) == set()
        for _ in range(2 * 6):
            await built.run_cycle(600)
        assert await _told(built) == _result_keys(built, run)
        assert await built.pending_runs() == {}


async def test_a_run_of_unknown_status_that_never_ends_is_told_after_a_day() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=1)
        built.world.zof.add_result(run["id"], status="running")
        _reply_with(built, run, {"status": "executing"})
        for _ in range(25 * 6):
            await built.run_cycle(600)
        assert await _told(built) == _result_keys(built, run)
        assert await built.pending_runs() == {}


async def test_results_that_cannot_be_listed_do_not_end_a_run_of_unknown_status() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=2)
        fields = {"status": "executing"}
        _reply_with(built, run, fields)
        _refuse_results(built, httpx.Response(404))
        await built.outbox.commit(
            [], changes={"hints": {run["id"]: PendingRun("run", run["id"], "runs", built.clock.at).dump()}}
        )
        for _ in range(30):
            await built.run_cycle()
        assert list(await built.pending_runs()) == [run["id"]]
        fields["status"] = "failed"
        for _ in range(30):
            await built.run_cycle()
        assert f"run:{run['id']}:failed:{CHANNEL}" in await built.committed_keys()


def _refuse_results(built: PollerBench, reply: httpx.Response) -> None:
    built.zof.spoil = lambda request: reply if request.url.path == "/v1/results" else None


async def _apply_rules(built: PollerBench) -> None:
    wish = parse_filters("group:run").model_copy(update={"id": "s1", "channel": CHANNEL, "created": built.clock.at})
    await built.store.hset("{test}:" + SUBSCRIPTIONS_HASH, wish.id, wish.model_dump_json(by_alias=True))
    built.poller = built.start_poller(decide=decide_batch)
    await built.poll_until_settled()


def _long_run(built: PollerBench, since: float) -> ZofRecord:
    """Add a run that started so many seconds ago, whose one failure has just ended."""
    run = built.finish_run(bad=1)
    run |= {"created_at": format_time(built.clock.at - since), "started_at": format_time(built.clock.at - since)}
    return run


async def test_a_long_run_without_an_end_time_happened_when_its_last_result_did() -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        run = _long_run(built, 7200)
        _reply_with(built, run, {"status": "failed", "created_at": run["created_at"]})
        await built.run_cycle()
        assert f"run:{run['id']}:failed:{CHANNEL}" in await built.committed_keys()


@pytest.mark.parametrize(
    ("duration", "happened"), [(7_000_000, -200.0), (70_000_000, 0.0)], ids=["ended", "longer than possible"]
)
async def test_a_run_without_an_end_time_happened_at_its_start_and_duration(duration: int, happened: float) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = _long_run(built, 7200)
        fields = {"status": "failed", "started_at": run["started_at"], "duration_ms": duration, "results": []}
        _reply_with(built, run, fields)
        _no_results(built)
        await built.receive_webhook(run["id"], "evt_1")
        await built.poller.poll_once(feeds=False)
        [found] = built.rules.found
        assert isinstance(found, RunFinding)
        assert found.happened == pytest.approx(built.clock.at + happened, abs=1)


@pytest.mark.parametrize("hinted", [0.0, -7300.0], ids=["later", "earlier"])
async def test_a_run_without_an_end_time_happened_no_earlier_than_its_webhook(hinted: float) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = _long_run(built, 7200)
        _reply_with(built, run, {"status": "failed", "created_at": run["created_at"], "results": []})
        _no_results(built)
        hint = PendingRun("run", run["id"], "run.completed", built.clock.at, built.clock.at + hinted)
        await built.hints.add_pending("evt_1", hint)
        await built.poller.poll_once(feeds=False)
        [found] = built.rules.found
        assert isinstance(found, RunFinding)
        assert found.happened == pytest.approx(built.clock.at + max(hinted, -7200), abs=1)


async def test_the_end_time_of_a_run_counts_however_late_its_results_or_webhook_are() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(ago=600)
        hint = PendingRun("run", run["id"], "run.completed", built.clock.at, built.clock.at)
        await built.hints.add_pending("evt_1", hint)
        await built.poller.poll_once(feeds=False)
        [found] = built.rules.found
        assert isinstance(found, RunFinding)
        assert found.happened == pytest.approx(built.clock.at - 600, abs=1)


async def test_a_run_whose_time_moves_with_its_results_is_told_once() -> None:
    async with poller_bench() as built:
        await _apply_rules(built)
        run = _long_run(built, 7200)
        _reply_with(built, run, {"status": "failed", "created_at": run["created_at"]})
        await built.run_cycle()
        at = format_time(built.clock.at)
        built.world.zof.add_result(run["id"], status="failed", name="Late", created_at=at, completed_at=at)
        await built.run_cycle()
        await built.receive_webhook(run["id"], "evt_1")
        await built.run_cycle()
        roots = {key for key in await built.committed_keys() if key.startswith(("run:", "case:"))}
        assert roots == {f"run:{run['id']}:failed:{CHANNEL}"}
