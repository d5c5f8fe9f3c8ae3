"""A subscription that is made while the poller reads Zof counts for what is found in that turn."""

from __future__ import annotations

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, START_TIME, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import Subscription

WISH = Subscription(id="s1", channel=CHANNEL, by="U0ANA", created=START_TIME)


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/results", "/v1/runs/"])
async def test_what_failed_after_it_was_made_is_told(path: str) -> None:
    async with poller_bench() as built:
        built.poller = built.start_poller(decide=decide_batch)
        if path.endswith("/"):
            await built.poll_until_settled()
        run = built.finish_run() if path.endswith("/") else None

        async def subscribe(request: httpx.Request) -> None:
            nonlocal run
            if request.url.path.startswith(path) and not await built.store.hlen("{test}:" + SUBSCRIPTIONS_HASH):
                await built.store.hset("{test}:" + SUBSCRIPTIONS_HASH, "s1", WISH.model_dump_json(by_alias=True))
                run = run or built.finish_run()

        built.zof.spoil = subscribe
        await built.poll_until_settled()
        assert run
        assert f"run:{run['id']}:failed:{CHANNEL}" in await built.committed_keys()
