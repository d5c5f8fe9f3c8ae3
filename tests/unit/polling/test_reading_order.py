"""Which runs are read first when webhooks announce more than the request budget allows."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.polling.reading_order import sort_pending
from zofbot.simulator.zof.state import ZofRecord
from zofbot.store.pending_runs import PendingRun


def without_results(path: str, body: Any) -> Any:
    return {name: value for name, value in body.items() if name != "results"} if path.startswith("/runs/") else body


def first_ten_results(path: str, body: Any) -> Any:
    return {**body, "results": body["results"][:10]} if path.startswith("/runs/") else body


async def announce_passes(built: PollerBench, count: int, passed: int = 2) -> None:
    for number in range(count):
        run = built.finish_run("passed", bad=0, passed=passed)
        await built.receive_webhook(run["id"], f"evt_{number}", "run.completed")


def is_told(run: ZofRecord, keys: set[str]) -> bool:
    return f"run:{run['id']}:failed:{CHANNEL}" in keys


@pytest.mark.parametrize("apart", [False, True], ids=["results embedded", "results listed apart"])
@pytest.mark.parametrize("announced", ["", "run.completed", "run.failed"])
async def test_a_failure_does_not_wait_for_the_webhooks_of_passing_runs(apart: bool, announced: str) -> None:
    async with poller_bench() as built:
        if apart:
            built.zof.change = without_results
        await built.poll_until_settled()
        await announce_passes(built, 100)
        failed = built.finish_run(environment="production")
        if announced:
            await built.receive_webhook(failed["id"], "evt_failed", announced)
        await built.run_cycle()
        assert is_told(failed, await built.committed_keys())
        await built.poll_until_settled()
        assert await built.pending_runs() == {}


async def test_a_failure_does_not_wait_for_passing_runs_that_come_with_a_part_of_their_results() -> None:
    async with poller_bench(page=10) as built:
        built.zof.change = first_ten_results
        await built.poll_until_settled()
        await announce_passes(built, 20, passed=100)
        failed = built.finish_run(environment="production")
        for _ in range(2):
            await built.run_cycle()
        assert is_told(failed, await built.committed_keys())
        await built.poll_until_settled()
        assert await built.pending_runs() == {}


async def test_a_critical_failure_does_not_wait_for_other_failures() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        for _ in range(60):
            built.finish_run()
        failed = built.finish_run(environment="production")
        await built.run_cycle()
        assert is_told(failed, await built.committed_keys())
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys()


FAILED = PendingRun("run", "run_1", "runs failed", 9.0, 3.0, seen=("runs:failed:run_1",), projects=("p",))
PASSED = PendingRun("run", "run_2", "runs", 9.0, 2.0, seen=("runs:passed:run_2",), projects=("p",))
ELSEWHERE = PendingRun("run", "run_3", "runs", 9.0, 1.0, seen=("runs:passed:run_3",), projects=("q",))
HINTED = PendingRun("run", "run_4", "run.completed", 1.0)


def test_a_failure_is_put_behind_passing_runs_once_zof_has_repeatedly_failed_to_return_it() -> None:
    failed = PendingRun("run", "run_5", "run.failed", 5.0)
    for failures in (1, 2):
        failed = failed.with_failure(30.0)
        assert (failed.failed, failed.failures) == (30.0, failures)
        assert sort_pending([HINTED, ELSEWHERE, failed], 1) == [failed, ELSEWHERE, HINTED]
    failed = failed.with_failure(60.0)
    assert sort_pending([HINTED, ELSEWHERE, failed], 1) == [ELSEWHERE, HINTED, failed]


def test_what_passed_before_a_failure_in_the_same_place_is_read_before_it() -> None:
    for runs in permutations((FAILED, PASSED, ELSEWHERE, HINTED)):
        assert sort_pending(runs, 3) == [PASSED, FAILED, ELSEWHERE, HINTED]
        assert sort_pending(runs, 4) == [ELSEWHERE, HINTED, PASSED, FAILED]
