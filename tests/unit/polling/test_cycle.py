"""A listing that the key may not read any more: the other ones go on, and nothing is lost once it is read again."""

from __future__ import annotations

import httpx
import pytest

from tests.support.poller_bench import poller_bench

NO = httpx.Response(403, json={"error": {"code": "forbidden", "message": "no"}})


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("refused", ["/v1/results", "/v1/runs"])
@pytest.mark.parametrize("reply", [NO, httpx.Response(200, text="<html>")], ids=["refused", "unreadable"])
async def test_what_other_feeds_find_does_not_wait_for_a_feed_that_was_read_before_and_is_refused_now(
    newest_first: bool, refused: str, reply: httpx.Response
) -> None:
    async with poller_bench(page=3) as built:
        built.world.zof.newest_first = newest_first
        for _ in range(4):
            built.finish_run(bad=1)
            built.clock.advance(60)
        await built.poll_until_settled()
        built.zof.spoil = lambda request: reply if request.url.path == refused else None
        built.finish_run(bad=1)
        await built.run_cycle()
        built.clock.advance(60)
        await built.run_cycle()
        assert await built.committed_keys() == built.expected_keys()
        built.zof.spoil = lambda request: None
        built.finish_run(bad=1)
        await built.poll_until_settled()
        assert await built.committed_keys() == built.expected_keys()
