"""Results that Zof lists a moment after their run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.polling.poller import SUBSCRIPTIONS
from zofbot.subscriptions import parse_filters

ONE_CASE = "C0CASE"


async def _subscribe(built: PollerBench, filters: str, channel: str) -> None:
    wish = parse_filters(filters).model_copy(update={"id": channel, "channel": channel, "created": built.clock.at})
    await built.store.hset("{test}:" + SUBSCRIPTIONS, wish.id, wish.model_dump_json(by_alias=True))


def _list_late(built: PollerBench, name: str) -> None:
    """Have runs come without results, and listings without the result of that name."""

    def leave_out(path: str, body: Any) -> Any:
        if path.startswith("/runs/"):
            return {key: value for key, value in body.items() if key != "results"}
        if path == "/results":
            return {**body, "data": [item for item in body["data"] if item["name"] != name]}
        return body

    built.zof.change = leave_out


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
        [late] = [item["id"] for item in built.world.zof.results_of_run(run["id"]) if item["name"] == "Case 1"]
        told = [key for key in await built.committed_keys() if key.endswith(ONE_CASE)]
        assert told == [f"case:{late}:failed:{ONE_CASE}"]


async def test_results_beyond_those_read_of_a_run_do_not_have_it_read_again() -> None:
    async with poller_bench(page=3, requests=60) as built:
        _list_late(built, "")
        await built.poll_until_settled()
        run = built.finish_run(bad=60)
        await built.poll_until_settled()
        assert built.zof.asked.count(f"/runs/{run['id']}") == 1
