"""Which runs of the listing of all runs are read: recoveries, and failures that the other listings do not show."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import parse_filters

SAMPLE = ("id", "status")
"""The fields of a listed run in Zof's documentation (https://zof.ai/docs/api/pagination)."""


async def _apply_rules(built: PollerBench, filters: str = "group:case") -> None:
    wish = parse_filters(filters).model_copy(update={"id": "s1", "channel": CHANNEL, "created": built.clock.at})
    await built.store.hset("{test}:" + SUBSCRIPTIONS_HASH, wish.id, wish.model_dump_json(by_alias=True))
    built.poller = built.start_poller(decide=decide_batch)
    await built.poll_until_settled()


def _list_fields(built: PollerBench, *names: str) -> None:
    """Have Zof list runs with these fields only."""

    def leave_out(path: str, body: Any) -> Any:
        if path != "/runs":
            return body
        return {**body, "data": [{name: run[name] for name in names if name in run} for run in body["data"]]}

    built.zof.change = leave_out


async def _recoveries(built: PollerBench) -> set[str]:
    return {key for key in await built.committed_keys() if key.startswith("recovered:")}


TIMES = ("created_at", "started_at", "completed_at")


@pytest.mark.parametrize(
    "fields",
    [SAMPLE, (*SAMPLE, *TIMES, "project_id"), (*SAMPLE, *TIMES, "environment"),
     (*SAMPLE, *TIMES, "project_name", "environment")],
    ids=["sample", "no environment", "no project", "project by name"],
)  # fmt: skip
async def test_a_failure_recovers_though_the_listing_names_no_project_or_environment(fields: tuple[str, ...]) -> None:
    async with poller_bench() as built:
        _list_fields(built, *fields)
        await _apply_rules(built)
        built.finish_run(bad=1, project_name="Shop")
        await built.poll_until_settled()
        passed = built.finish_run("passed", bad=0, passed=1, project_name="Shop")
        await built.poll_until_settled()
        assert len(await _recoveries(built)) == 1
        assert built.zof.asked.count(f"/runs/{passed['id']}") == 1


async def test_a_run_that_is_listed_without_its_environment_ends_no_failure_elsewhere() -> None:
    async with poller_bench() as built:
        _list_fields(built, *SAMPLE, *TIMES)
        await _apply_rules(built)
        built.finish_run(bad=1)
        await built.poll_until_settled()
        passed = built.finish_run("passed", bad=0, passed=1, environment="production")
        await built.poll_until_settled()
        assert await _recoveries(built) == set()
        assert built.zof.asked.count(f"/runs/{passed['id']}") == 1


async def test_passed_runs_that_name_no_project_are_not_read_while_nothing_may_recover() -> None:
    async with poller_bench() as built:
        _list_fields(built, *SAMPLE, *TIMES)
        await _apply_rules(built)
        passed = [built.finish_run("passed", bad=0, passed=1, ago=60)]
        await built.poll_until_settled()
        built.finish_run(bad=1)
        await built.poll_until_settled()
        assert not {f"/runs/{run['id']}" for run in passed}.intersection(built.zof.asked)


@pytest.mark.parametrize("order", ["newest", "none"])
@pytest.mark.parametrize("status", ["FAILED", "Error"])
async def test_a_failed_run_is_found_at_once_though_zof_writes_its_status_in_capitals(status: str, order: str) -> None:
    async with poller_bench() as built:
        if order == "none":
            _list_fields(built, *SAMPLE)
        await built.poll_until_settled()
        run = built.finish_run(status, bad=0)
        await built.run_cycle()
        await built.run_cycle()
        assert await built.committed_keys() == {f"run:{run['id']}:{status.casefold()}:{CHANNEL}"}
        await built.poll_until_settled()
        assert built.zof.asked.count(f"/runs/{run['id']}") == 1


NO_RESULTS = {
    "403": httpx.Response(403),
    "none": httpx.Response(200, json={"data": [], "has_more": False, "next_cursor": None}),
}


def _hide_results(built: PollerBench, reply: httpx.Response) -> None:
    """Have Zof list results with that reply, and send none with a run."""
    built.zof.spoil = lambda request: reply if request.url.path == "/v1/results" else None
    built.zof.change = lambda path, body: (
        {name: value for name, value in body.items() if name != "results"} if path.startswith("/runs/") else body
    )


@pytest.mark.parametrize("reply", NO_RESULTS.values(), ids=NO_RESULTS)
@pytest.mark.parametrize("outcome", ["failed", "error"])
async def test_a_run_of_unknown_status_that_counts_failures_is_told_without_results(
    outcome: str, reply: httpx.Response
) -> None:
    async with poller_bench() as built:
        _hide_results(built, reply)
        await _apply_rules(built, "group:run")
        run = built.finish_run("completed", bad=0)
        run["summary"][outcome] = 2
        await built.poll_until_settled()
        assert await built.committed_keys() == {f"run:{run['id']}:{outcome}:{CHANNEL}"}


@pytest.mark.parametrize("fields", [{"summary": {"failed": 0}}, {"summary": {"failed": 2}, "completed_at": None}])
async def test_a_run_of_unknown_status_is_not_read_before_it_has_failures_and_has_ended(fields: dict[str, Any]) -> None:
    async with poller_bench() as built:
        _hide_results(built, NO_RESULTS["403"])
        await _apply_rules(built, "group:run")
        run = built.finish_run("executing", bad=0)
        run.update(fields)
        await built.poll_until_settled()
        assert f"/runs/{run['id']}" not in built.zof.asked


async def test_a_passed_run_that_counts_failures_is_told_though_no_results_can_be_listed() -> None:
    async with poller_bench() as built:
        _hide_results(built, NO_RESULTS["403"])
        await _apply_rules(built, "group:run on:passed-with-failures")
        run = built.finish_run("passed", bad=2)
        await built.poll_until_settled()
        assert [key.split(":")[1] for key in await built.committed_keys()] == [run["id"]]


async def test_a_passed_run_that_counts_failures_is_told_though_zof_writes_statuses_in_capitals() -> None:
    async with poller_bench() as built:
        await _apply_rules(built, "group:run on:passed-with-failures")
        run = built.finish_run("PASSED", bad=2)
        for item in built.world.zof.results_of_run(run["id"]):
            item["status"] = "FAILED"
        await built.poll_until_settled()
        assert run["id"] in {key.split(":")[1] for key in await built.committed_keys()}
        assert built.zof.asked.count(f"/runs/{run['id']}") == 1


async def test_a_passed_run_that_counts_failures_is_read_once_if_its_results_are_listed() -> None:
    async with poller_bench() as built:
        await _apply_rules(built, "group:run on:passed-with-failures")
        run = built.finish_run("passed", bad=2)
        await built.poll_until_settled()
        assert run["id"] in {key.split(":")[1] for key in await built.committed_keys()}
        assert built.zof.asked.count(f"/runs/{run['id']}") == 1


def _drop_times(built: PollerBench, *, in_replies: bool) -> None:
    """Have Zof list everything without times, and return it without them, too, if ``in_replies``."""

    def drop(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: drop(item) for name, item in value.items() if not name.endswith("_at")}
        return [drop(item) for item in value] if isinstance(value, list) else value

    built.zof.change = lambda path, body: drop(body) if in_replies or path.count("/") == 1 else body


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("fields", [{}, {"project_id": None}], ids=["project", "no project"])
async def test_a_run_without_times_that_was_listed_before_a_failure_is_no_recovery(
    fields: dict[str, Any], restarted: bool
) -> None:
    async with poller_bench() as built:
        _drop_times(built, in_replies=True)
        await _apply_rules(built)
        built.finish_run("passed", bad=0, passed=1, **fields)
        await built.poll_until_settled()
        if restarted:
            await built.kill_poller()
            built.poller = built.start_poller(decide=decide_batch)
        built.finish_run(bad=1, **fields)
        await built.poll_until_settled()
        assert len(await built.committed_keys()) == 1
        built.finish_run("passed", bad=0, passed=1, **fields)
        await built.poll_until_settled()
        assert len(await _recoveries(built)) == 1


async def test_runs_without_times_that_are_found_in_one_scan_are_no_recovery_of_each_other() -> None:
    async with poller_bench() as built:
        _drop_times(built, in_replies=True)
        await _apply_rules(built)
        built.finish_run("passed", bad=0, passed=1)
        built.finish_run(bad=1)
        await built.poll_until_settled()
        assert await _recoveries(built) == set()


async def test_a_failure_heard_of_late_recovers_by_a_run_that_was_listed_without_times_before_it() -> None:
    async with poller_bench() as built:
        _drop_times(built, in_replies=False)
        await _apply_rules(built)
        failed = built.finish_run(bad=1)
        hidden = built.world.zof.runs.pop(failed["id"])
        results, built.world.zof.results = built.world.zof.results, {}
        built.clock.at += 60
        passed = built.finish_run("passed", bad=0, passed=1)
        await built.poll_until_settled()
        assert f"/runs/{passed['id']}" not in built.zof.asked
        built.world.zof.runs[failed["id"]] = hidden
        built.world.zof.results |= results
        await built.receive_webhook(failed["id"], "evt_late")
        await built.poll_until_settled()
        assert len(await _recoveries(built)) == 1
