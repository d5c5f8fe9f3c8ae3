"""What of a run's results is read when Zof embeds only some of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.poller_bench import CHANNEL, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.polling.poller import SUBSCRIPTIONS
from zofbot.subscriptions import parse_filters


def first_result_only(path: str, body: Any) -> Any:
    return {**body, "results": body["results"][:1]} if path.startswith("/runs/") else body


@pytest.mark.parametrize("group", ["run", "case", "cause"])
async def test_a_case_recovers_though_its_pass_is_not_embedded_in_the_passed_run(group: str) -> None:
    async with poller_bench() as built:
        wish = parse_filters(f"group:{group}").model_copy(
            update={"id": "s1", "channel": CHANNEL, "created": built.clock.at}
        )
        await built.store.hset("{test}:" + SUBSCRIPTIONS, wish.id, wish.model_dump_json(by_alias=True))
        built.poller = built.start_poller(decide=decide_batch)
        built.zof.change = first_result_only
        await built.poll_until_settled()
        built.finish_run(bad=3)
        await built.poll_until_settled()
        built.finish_run("passed", bad=0, passed=20)
        await built.poll_until_settled()
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
