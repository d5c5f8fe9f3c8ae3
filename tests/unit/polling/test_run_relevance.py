"""Which runs of the listing of all runs are read: recoveries, and failures that the other listings do not show."""

from __future__ import annotations

from typing import Any

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
