"""Failed runs whose results Zof does not list."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, answer_well, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import parse_filters

EACH_REPLY = pytest.mark.parametrize(
    "reply",
    [httpx.Response(403), httpx.Response(404), httpx.Response(500), httpx.Response(200, html="<html>")],
    ids=["403", "404", "500", "html"],
)


async def _start(built: PollerBench, reply: httpx.Response, filters: str = "group:run") -> None:
    """Apply the rules for one subscription, and have Zof list no results, and send none with a run."""
    wish = parse_filters(filters).model_copy(update={"id": "s1", "channel": CHANNEL, "created": built.clock.at})
    await built.store.hset("{test}:" + SUBSCRIPTIONS_HASH, wish.id, wish.model_dump_json(by_alias=True))
    built.poller = built.start_poller(decide=decide_batch)
    await built.poll_until_settled()
    built.zof.change = _without_results
    built.zof.spoil = lambda request: reply if request.url.path == "/v1/results" else None


def _without_results(path: str, body: Any) -> Any:
    return {name: value for name, value in body.items() if name != "results"} if path.startswith("/runs/") else body


@EACH_REPLY
@pytest.mark.parametrize("webhook", [True, False])
async def test_a_failed_run_is_told_though_its_results_cannot_be_listed(reply: httpx.Response, webhook: bool) -> None:
    async with poller_bench() as built:
        await _start(built, reply)
        run = built.finish_run(bad=2)
        if webhook:
            await built.receive_webhook(run["id"], "evt_1")
        for _ in range(3):
            await built.run_cycle()
        assert await built.committed_keys() == {f"run:{run['id']}:failed:{CHANNEL}"}


@EACH_REPLY
@pytest.mark.parametrize("minutes", [3, 60])
async def test_results_that_are_listed_later_are_added(reply: httpx.Response, minutes: int) -> None:
    async with poller_bench() as built:
        await _start(built, reply, "group:case")
        run = built.finish_run(bad=2)
        await built.receive_webhook(run["id"], "evt_1")
        for _ in range(minutes):
            await built.run_cycle()
        built.zof.spoil = answer_well
        await built.poll_until_settled()
        cases = {f"case:{item['id']}:failed:{CHANNEL}" for item in built.world.zof.results_of_run(run["id"])}
        assert cases <= await built.committed_keys()
        assert await built.pending_runs() == {}


@EACH_REPLY
async def test_a_failure_to_list_results_once_is_waited_for(reply: httpx.Response) -> None:
    async with poller_bench() as built:
        await _start(built, reply, "group:case")
        run = built.finish_run(bad=2)
        await built.receive_webhook(run["id"], "evt_1")
        asked = 0

        def fail_once(request: httpx.Request) -> httpx.Response | None:
            nonlocal asked
            if request.url.path == "/v1/results" and "run_id" in request.url.params:
                asked += 1
                return reply if asked <= (4 if reply.status_code == 500 else 1) else None  # the client retries thrice
            return None

        built.zof.spoil = fail_once
        for _ in range(3):
            await built.run_cycle()
        cases = {f"case:{item['id']}:failed:{CHANNEL}" for item in built.world.zof.results_of_run(run["id"])}
        assert await built.committed_keys() == cases


async def test_a_run_without_results_is_not_read_for_ever() -> None:
    async with poller_bench() as built:
        await _start(built, httpx.Response(403))
        run = built.finish_run(bad=2)
        for _ in range(30):
            await built.run_cycle()
        reads = built.zof.asked.count(f"/runs/{run['id']}")
        assert reads < 15
        for _ in range(90):  # an audit among them
            await built.run_cycle()
        assert built.zof.asked.count(f"/runs/{run['id']}") == reads
        assert await built.pending_runs() == {}


async def test_cases_that_passed_in_a_run_recover_once_its_results_are_listed() -> None:
    async with poller_bench() as built:
        await _start(built, httpx.Response(403), "group:case")
        built.zof.spoil = answer_well
        built.finish_run(bad=1)
        await built.poll_until_settled()
        [failed] = await built.committed_keys()
        built.zof.spoil = lambda request: httpx.Response(403) if "run_id" in request.url.params else None
        run = built.finish_run(bad=0, passed=1)
        await built.receive_webhook(run["id"], "evt_1")
        await built.run_cycle()
        built.zof.spoil = answer_well
        await built.poll_until_settled()
        assert f"recovered:{failed.partition(':')[2]}" in await built.committed_keys()


async def test_a_spent_quota_is_no_reason_to_tell_a_run_without_its_results() -> None:
    async with poller_bench() as built:
        await _start(built, httpx.Response(429, headers={"Retry-After": "60"}))
        run = built.finish_run(bad=2)
        await built.receive_webhook(run["id"], "evt_1")
        for _ in range(3):
            with pytest.raises(Exception, match="rate-limiting"):
                await built.run_cycle()
        assert await built.committed_keys() == set()
