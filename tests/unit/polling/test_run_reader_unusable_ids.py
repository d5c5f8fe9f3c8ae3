"""Ids that Zof lists or returns, and under which it cannot be asked for anything."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.simulator.zof.state import ZofRecord
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import parse_filters

UNUSABLE_ID = "results/1"


def _list_unusable_result(built: PollerBench, *, is_in_run: bool) -> None:
    """Have Zof list each result under an unusable id, those of a run only if it ``is_in_run``."""
    of_run = False

    def note_query(request: httpx.Request) -> None:
        nonlocal of_run
        of_run = "run_id" in request.url.params

    def change(path: str, body: Any) -> Any:
        if path.startswith("/runs/"):
            return {key: value for key, value in body.items() if key != "results"}
        if path == "/results":
            kept = body["data"] if is_in_run or not of_run else []
            return {**body, "data": [{**item, "id": UNUSABLE_ID} for item in kept]}
        return body

    built.zof.spoil, built.zof.change = note_query, change


async def _is_told(built: PollerBench, run: ZofRecord) -> bool:
    return f"run:{run['id']}:failed:{CHANNEL}" in await built.committed_keys()


async def test_a_result_that_cannot_be_asked_for_and_that_its_run_lacks_keeps_nothing_from_being_read() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=1)
        _list_unusable_result(built, is_in_run=False)
        await built.poll_until_settled()
        later = built.finish_run(bad=0)
        await built.run_cycle()
        assert await _is_told(built, run)
        assert await _is_told(built, later)
        assert built.metric_value("zofbot_poll_given_up_total") == 1
        assert await built.pending_runs() == {}


async def test_a_result_that_cannot_be_asked_for_is_told_by_its_listing_if_its_run_is_gone() -> None:
    async with poller_bench() as built:
        wish = parse_filters("group:run").model_copy(update={"id": "s1", "channel": CHANNEL, "created": 0.0})
        await built.store.hset("{test}:" + SUBSCRIPTIONS_HASH, wish.id, wish.model_dump_json(by_alias=True))
        built.poller = built.start_poller(decide=decide_batch)
        await built.poll_until_settled()
        run = built.finish_run("passed", bad=1)
        _list_unusable_result(built, is_in_run=True)
        del built.world.zof.runs[run["id"]]
        await built.poll_until_settled()
        assert f"run:results%2F1:failed:{CHANNEL}" in await built.committed_keys()
        assert await built.pending_runs() == {}


@pytest.mark.parametrize("returned", ["gid://zof/Run/1", "é" * 40])
async def test_a_run_that_zof_returns_with_an_unusable_id_is_told_under_the_id_it_was_asked_for(returned: str) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run(bad=2)

        def change(path: str, body: Any) -> Any:
            if path != f"/runs/{run['id']}":
                return body
            return {key: value for key, value in body.items() if key not in ("results", "summary")} | {"id": returned}

        built.zof.change = change
        await built.run_cycle()
        assert await built.committed_keys() == built.expected_keys()
