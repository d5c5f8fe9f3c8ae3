"""What of a run's results is read when Zof embeds only some of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, answer_well, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.simulator.zof.state import ZofRecord, format_time
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import parse_filters

FAILURES = {5: "TimeoutError: the cart did not open", 129: "KeyError: no such user"}


async def subscribe_and_poll(built: PollerBench, filters: str) -> None:
    """Have the poller apply the rules for one subscription, and read what is there."""
    wish = parse_filters(filters).model_copy(update={"id": "s1", "channel": CHANNEL, "created": built.clock.at})
    await built.store.hset("{test}:" + SUBSCRIPTIONS_HASH, wish.id, wish.model_dump_json(by_alias=True))
    built.poller = built.start_poller(decide=decide_batch)
    await built.poll_until_settled()


def finish_large_run(built: PollerBench, failed: int, status: str = "failed", cases: int = 130) -> ZofRecord:
    """Add a run of that many cases, of which one has failed."""
    run = built.finish_run(bad=0)
    when = {name: format_time(built.clock.at) for name in ("created_at", "completed_at")}
    for number in range(cases):
        outcome = "failed" if number == failed else "passed"
        fields = {"test_case_id": f"tc_{number}", "name": f"Case {number}", **when}
        if number == failed:
            fields["failure_summary"] = FAILURES.get(number, "KeyError")
        built.world.zof.add_result(run["id"], status=outcome, **fields)
    built.world.zof.finish_run(run["id"], status)
    return run


def no_results(path: str, body: Any) -> Any:
    return {name: value for name, value in body.items() if name != "results"} if path.startswith("/runs/") else body


def no_results_or_counts(path: str, body: Any) -> Any:
    dropped = ("results", "summary")
    return {name: value for name, value in body.items() if name not in dropped} if path.startswith("/runs/") else body


def first_result_only(path: str, body: Any) -> Any:
    return {**body, "results": body["results"][:1]} if path.startswith("/runs/") else body


def empty_results(path: str, body: Any) -> Any:
    return {**no_results_or_counts(path, body), "results": []} if path.startswith("/runs/") else body


def definitions_only(path: str, body: Any) -> Any:
    if not path.startswith("/runs/"):
        return body
    cases = [{"id": result["test_case_id"], "name": result["name"]} for result in body["results"]]
    return {**no_results_or_counts(path, body), "test_cases": cases}


def passes_only(path: str, body: Any) -> Any:
    if not path.startswith("/runs/"):
        return body
    passes = [result for result in body["results"] if result["status"] == "passed"]
    return {**no_results_or_counts(path, body), "results": passes}


@pytest.mark.parametrize("embedded", [no_results_or_counts, empty_results, definitions_only, passes_only])
@pytest.mark.parametrize("may_recover", [False, True])
async def test_the_failures_of_a_failed_run_that_names_and_counts_none_are_listed(
    embedded: Callable[[str, Any], Any], may_recover: bool
) -> None:
    async with poller_bench() as built:
        await subscribe_and_poll(built, "group:case")
        if may_recover:
            built.finish_run(bad=1)
            await built.poll_until_settled()
        built.zof.change = embedded
        run = built.finish_run(bad=2, passed=1)
        await built.receive_webhook(run["id"], "evt_1")
        told = (await built.poller.poll_once(feeds=False)).committed
        bad = [item["id"] for item in built.world.zof.results_of_run(run["id"]) if item["status"] == "failed"]
        assert {key.split(":")[1] for key in told} >= set(bad)


@pytest.mark.parametrize("embedded", [no_results_or_counts, empty_results])
async def test_a_failed_run_that_has_no_results_is_posted_at_once_and_not_read_again(
    embedded: Callable[[str, Any], Any],
) -> None:
    async with poller_bench() as built:
        built.zof.change = embedded
        await subscribe_and_poll(built, "group:run")
        run = built.finish_run(bad=0)
        await built.receive_webhook(run["id"], "evt_1")
        asked = len(built.zof.asked)
        await built.poller.poll_once(feeds=False)
        assert await built.committed_keys() == {f"run:{run['id']}:failed:{CHANNEL}"}
        assert await built.pending_runs() == {}
        await built.poll_until_settled()
        assert built.zof.asked[asked:].count(f"/runs/{run['id']}") == 1


@pytest.mark.parametrize("group", ["run", "case", "cause"])
async def test_a_case_recovers_though_its_pass_is_not_embedded_in_the_passed_run(group: str) -> None:
    async with poller_bench() as built:
        built.zof.change = first_result_only
        await subscribe_and_poll(built, f"group:{group}")
        built.finish_run(bad=3)
        await built.poll_until_settled()
        built.finish_run("passed", bad=0, passed=20)
        await built.poll_until_settled()
        recovered = [key for key in await built.committed_keys() if key.startswith("recovered:")]
        assert len(recovered) == (3 if group == "case" else 1)


@pytest.mark.parametrize("group", ["run", "case", "cause"])
async def test_a_case_recovers_by_a_passed_run_that_is_read_together_with_its_failure(group: str) -> None:
    async with poller_bench() as built:
        built.zof.change = first_result_only
        await subscribe_and_poll(built, f"group:{group}")
        for number, status in enumerate(("failed", "passed")):
            run = built.finish_run(status, bad=3 * (status == "failed"), passed=20 * (status == "passed"))
            await built.receive_webhook(run["id"], f"evt_{number}", "run.completed")
            built.clock.advance(10)
        await built.poll_until_settled()
        recovered = [key for key in await built.committed_keys() if key.startswith("recovered:")]
        assert len(recovered) == (3 if group == "case" else 1)


@pytest.mark.parametrize("group", ["run", "case", "cause"])
async def test_a_case_recovers_by_a_passed_run_that_was_read_before_its_failure(group: str) -> None:
    async with poller_bench() as built:
        built.zof.change = first_result_only
        await subscribe_and_poll(built, f"group:{group}")
        failed = built.finish_run(bad=3)
        built.zof.spoil = lambda request: httpx.Response(500) if request.url.path.endswith(failed["id"]) else None
        built.clock.advance(10)
        passed = built.finish_run("passed", bad=0, passed=20)
        for run in (failed, passed):
            await built.receive_webhook(run["id"], f"evt_{run['id']}", "run.completed")
        for _ in range(3):
            await built.run_cycle()
        built.zof.spoil = answer_well
        await built.poll_until_settled()
        for _ in range(3):
            await built.run_cycle()
        recovered = [key for key in await built.committed_keys() if key.startswith("recovered:")]
        assert len(recovered) == (3 if group == "case" else 1)


async def test_a_passed_run_that_came_with_all_results_is_one_request() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run("passed", bad=0, passed=20)
        await built.receive_webhook(run["id"], "evt_1", "run.completed")
        asked = len(built.zof.asked)
        await built.poller.poll_once(feeds=False)
        assert built.zof.asked[asked:] == [f"/runs/{run['id']}"]


@pytest.mark.parametrize("embedded", [no_results, first_result_only])
@pytest.mark.parametrize(("first", "later"), [(5, 129), (129, 5)])
@pytest.mark.parametrize("group", ["run", "case", "cause"])
async def test_a_case_recovers_in_a_large_run_in_which_another_fails(
    group: str, first: int, later: int, embedded: Callable[[str, Any], Any]
) -> None:
    async with poller_bench() as built:
        built.zof.change = embedded
        await subscribe_and_poll(built, f"group:{group}")
        finish_large_run(built, failed=first)
        await built.poll_until_settled()
        [root] = [key for key in await built.committed_keys() if not key.startswith("result:")]
        finish_large_run(built, failed=later)
        await built.poll_until_settled()
        assert f"recovered:{root.partition(':')[2]}" in await built.committed_keys()


async def test_a_row_of_failures_ends_in_a_large_run_in_which_another_case_fails() -> None:
    async with poller_bench() as built:
        built.zof.change = no_results
        await subscribe_and_poll(built, 'group:case case:"Case 5" after:2-in-a-row')
        for failed in (5, 129, 5):
            finish_large_run(built, failed)
            await built.poll_until_settled()
        assert not await built.committed_keys()


async def test_passes_of_a_failing_run_are_listed_only_where_they_may_be_recoveries() -> None:
    async with poller_bench() as built:
        built.zof.change = no_results
        await subscribe_and_poll(built, "group:case")
        requests = []
        for failed in (5, 129):
            run = finish_large_run(built, failed)
            await built.receive_webhook(run["id"], f"evt_{failed}")
            asked = len(built.zof.asked)
            await built.poller.poll_once(feeds=False)
            requests.append(len(built.zof.asked) - asked)
            built.clock.advance(60)
        run_and_first_page, failures, passes = 2, 1, 2
        assert requests == [run_and_first_page + failures, run_and_first_page + failures + passes]


def _without_ends(built: PollerBench) -> None:
    """Have Zof return and list runs without the times of their ends, and without results."""
    dropped = ("completed_at", "ended_at", "finished_at", "duration_ms", "updated_at", "results")

    def drop(path: str, body: Any) -> Any:
        if path == "/runs":
            return {**body, "data": [{k: v for k, v in run.items() if k not in dropped} for run in body["data"]]}
        return {k: v for k, v in body.items() if k not in dropped} if path.startswith("/runs/") else body

    built.zof.change = drop


@pytest.mark.parametrize("status", ["passed", "failed"])
@pytest.mark.parametrize("together", [False, True])
async def test_a_case_recovers_by_a_run_without_an_end_time_that_started_before_the_failure(
    status: str, together: bool
) -> None:
    async with poller_bench() as built:
        _without_ends(built)
        await subscribe_and_poll(built, "group:case case:*0")
        built.finish_run(bad=1)
        failed_at = built.clock.at
        if not together:
            await built.run_cycle()
        built.clock.advance(60)
        run = built.finish_run(status, bad=0, passed=150)
        run |= dict.fromkeys(("created_at", "started_at"), format_time(failed_at - 30))
        await built.poll_until_settled()
        recovered = [key for key in await built.committed_keys() if key.startswith("recovered:")]
        assert len(recovered) == 1


async def test_a_run_that_passed_before_the_failure_is_no_recovery_though_it_has_no_end_time() -> None:
    async with poller_bench() as built:
        _without_ends(built)
        await subscribe_and_poll(built, "group:case")
        built.finish_run("passed", bad=0, passed=1, ago=10)
        built.finish_run(bad=1)
        await built.poll_until_settled()
        assert not [key for key in await built.committed_keys() if key.startswith("recovered:")]


async def test_runs_without_an_end_time_that_passed_long_before_a_failure_are_not_read() -> None:
    async with poller_bench(lookback=86400.0) as built:
        _without_ends(built)
        await subscribe_and_poll(built, "group:case")
        old = [built.finish_run("passed", bad=0, passed=1, ago=3 * 3600) for _ in range(20)]
        await built.poll_until_settled()
        built.finish_run(bad=1)
        await built.poll_until_settled()
        assert not {f"/runs/{run['id']}" for run in old}.intersection(built.zof.asked)


@pytest.mark.parametrize("group", ["run", "case", "cause"])
async def test_a_case_recovers_in_a_large_failed_run_that_is_read_together_with_its_failure(group: str) -> None:
    async with poller_bench() as built:
        built.zof.change = no_results
        await subscribe_and_poll(built, f"group:{group}")
        for number, failed in enumerate((5, 129)):
            run = finish_large_run(built, failed)
            await built.receive_webhook(run["id"], f"evt_{number}")
            built.clock.advance(10)
        told = (await built.poller.poll_once(feeds=False)).committed
        assert len([key for key in told if not key.startswith("result:")]) == 2  # neither failure waits
        await built.poll_until_settled()
        recovered = [key for key in await built.committed_keys() if key.startswith("recovered:")]
        assert len(recovered) == 1


@pytest.mark.parametrize("timed", [True, False])
async def test_large_failed_runs_that_nobody_subscribes_are_read_twice_at_most(timed: bool) -> None:
    async with poller_bench(requests=100) as built:
        built.zof.change = no_results
        if not timed:
            _without_ends(built)
        await subscribe_and_poll(built, "project:proj_other")
        runs = []
        for number in range(3):
            runs.append(finish_large_run(built, 5))
            await built.receive_webhook(runs[-1]["id"], f"evt_{number}")
            built.clock.advance(10)
        await built.poll_until_settled()
        assert max(built.zof.asked.count(f"/runs/{run['id']}") for run in runs) == 2


@pytest.mark.parametrize(("embedded", "outcomes"), [(no_results, 1), (no_results_or_counts, 2)])
async def test_of_a_large_passed_run_only_the_failures_are_listed(
    embedded: Callable[[str, Any], Any], outcomes: int
) -> None:
    async with poller_bench() as built:
        built.zof.change = embedded
        await subscribe_and_poll(built, "group:case on:passed-with-failures")
        finish_large_run(built, 5, "passed", cases=900)
        pages: list[str | None] = []

        def count_page(request: httpx.Request) -> None:
            if "run_id" in request.url.params:
                pages.append(request.url.params.get("status"))

        built.zof.spoil = count_page
        await built.poll_until_settled()
        assert pages == [None, "failed", "error"][: 1 + outcomes]
        assert [key.partition(":")[0] for key in await built.committed_keys()] == ["case"]


@pytest.mark.parametrize("embedded", [no_results, no_results_or_counts])
@pytest.mark.parametrize("failed", [0, 1149])
@pytest.mark.parametrize("may_recover", [False, True])
async def test_a_failure_of_a_passed_run_is_posted_however_many_cases_are_listed_before_it(
    embedded: Callable[[str, Any], Any], failed: int, may_recover: bool
) -> None:
    async with poller_bench() as built:
        built.zof.change = embedded
        await subscribe_and_poll(
            built, f'group:case on:failed,recovered,passed-with-failures case:"Case {failed}","Case 500"'
        )
        if may_recover:
            finish_large_run(built, 500, cases=501)
            await built.poll_until_settled()
        before = await built.committed_keys()
        finish_large_run(built, failed, "passed", cases=1150)
        await built.poll_until_settled()
        kinds = sorted(key.partition(":")[0] for key in await built.committed_keys() - before)
        assert "case" in kinds
        assert ("recovered" in kinds) is may_recover


def total_only(path: str, body: Any) -> Any:
    """Runs count their cases, but not those that passed."""
    if not path.startswith("/runs/"):
        return body
    return {**body, "summary": {name: count for name, count in body["summary"].items() if name != "passed"}}


@pytest.mark.parametrize("skipped", [0, 5])
async def test_a_case_recovers_though_its_passed_run_counts_only_all_cases(skipped: int) -> None:
    async with poller_bench() as built:
        built.zof.change = lambda path, body: total_only(path, first_result_only(path, body))
        await subscribe_and_poll(built, "group:case")
        built.finish_run(bad=3)
        await built.poll_until_settled()
        run = built.finish_run("passed", bad=0, passed=20)
        run["summary"] |= {"total": 20 + skipped, "skipped": skipped}
        await built.poll_until_settled()
        assert len([key for key in await built.committed_keys() if key.startswith("recovered:")]) == 3
        assert built.zof.asked.count(f"/runs/{run['id']}") == 1


async def test_a_passed_run_that_counts_only_all_cases_and_came_with_them_is_one_request() -> None:
    async with poller_bench() as built:
        built.zof.change = total_only
        await subscribe_and_poll(built, "group:case")
        built.finish_run(bad=1, passed=2)
        await built.poll_until_settled()
        run = built.finish_run("passed", bad=0, passed=20)
        await built.receive_webhook(run["id"], "evt_1", "run.completed")
        asked = len(built.zof.asked)
        await built.poller.poll_once(feeds=False)
        assert built.zof.asked[asked:] == [f"/runs/{run['id']}"]
