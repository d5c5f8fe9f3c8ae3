"""A run that Zof can never return: everything else is told."""

from __future__ import annotations

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, answer_well, poller_bench
from zofbot.domain.errors import ZofUnavailable

each_failure = pytest.mark.parametrize(
    "reply", [httpx.Response(500), httpx.Response(503, headers={"Retry-After": "30"})], ids=["fault", "come back"]
)


@each_failure
async def test_a_run_that_zof_fails_to_return_keeps_no_other_from_being_found(reply: httpx.Response) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        broken = built.finish_run()
        built.zof.spoil = lambda request: reply if request.url.path.endswith(broken["id"]) else None
        for _ in range(3):
            await built.run_cycle()
        new = built.finish_run()
        await built.run_cycle()
        assert f"run:{new['id']}:failed:{CHANNEL}" in await built.committed_keys()
        assert list(await built.pending_runs()) == [broken["id"]]
        built.zof.spoil = answer_well
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys()


async def test_a_zof_that_returns_nothing_is_unavailable_between_scans_too() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        await built.receive_webhook(built.finish_run()["id"], "evt_1")
        built.zof.spoil = lambda request: httpx.Response(500)
        for feeds in (False, True):
            built.clock.at += 60
            with pytest.raises(ZofUnavailable):
                await built.poller.poll_once(feeds=feeds)
