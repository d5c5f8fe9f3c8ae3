"""Listings whose cursors run in a circle, or never end: what fails meanwhile is told nevertheless."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import httpx
import pytest
import structlog

from tests.support.poller_bench import PollerBench, answer_well, log_lines, poller_bench
from zofbot.polling.cursor import FEEDS, MAX_SCAN_PAGES, FeedCursor


def run_in_circle(built: PollerBench, length: int, size: int) -> None:
    """Have each listing's cursors run in a circle of so many pages, of ``size`` items, after the first page."""

    async def answer_in_circle(request: httpx.Request) -> httpx.Response | None:
        if request.url.path not in ("/v1/runs", "/v1/results") or "run_id" in request.url.params:
            return None
        built.zof.spoil, built.zof.ignored = answer_well, {"starting_after"}
        body = (await built.zof.answer_request(request)).json()
        built.zof.spoil = answer_in_circle
        place = int(request.url.params.get("starting_after", "0"))
        items = body["data"][place * size : (place + 1) * size]
        return httpx.Response(200, json={"data": items, "has_more": True, "next_cursor": str(place % length + 1)})

    built.zof.spoil = answer_in_circle


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("length", [1, 2, 3, 7])
async def test_a_failure_is_told_though_the_cursors_run_in_a_circle(length: int, size: int) -> None:
    async with poller_bench() as built:
        run_in_circle(built, length, size)
        for _ in range(3):
            built.finish_run(bad=0)
        with structlog.testing.capture_logs() as lines:
            for _ in range(20):
                await built.run_cycle()
            assert {line["fault"] for line in log_lines(lines, "zof cursor")} == {"repeated"}
        run = built.finish_run(bad=0)
        for _ in range(2 * length + 2):
            await built.run_cycle()
        assert {key.split(":")[1] for key in await built.committed_keys()} >= {run["id"]}


async def test_a_failure_is_told_though_a_listing_has_always_a_further_page() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        numbers = itertools.count()

        def list_nothing_more(request: httpx.Request) -> httpx.Response | None:
            further = {"data": [], "has_more": True, "next_cursor": f"more_{next(numbers)}"}
            return httpx.Response(200, json=further) if "starting_after" in request.url.params else None

        def go_on(path: str, body: Any) -> Any:
            return {**body, "has_more": True, "next_cursor": "more"} if path in ("/runs", "/results") else body

        built.zof.spoil, built.zof.change = list_nothing_more, go_on
        await built.run_cycle()
        for name, stored in (await built.outbox.read_hashes("feeds"))["feeds"].items():
            if name != "floor":  # as after reading for hours
                cursor = replace(FeedCursor.load(stored), pages=MAX_SCAN_PAGES - 2)
                await built.store.hset("{test}:feeds", name, cursor.dump())
        await built.kill_poller()
        run = built.finish_run(bad=0)
        with structlog.testing.capture_logs() as lines:
            for _ in range(2):
                await built.run_cycle()
        assert run["id"] in {key.split(":")[1] for key in await built.committed_keys()}
        assert {line["feed"] for line in log_lines(lines, "scan ended after too many pages")} == {
            feed.name for feed in FEEDS
        }
        assert "back" in (await built.outbox.read_hashes("feeds"))["feeds"]["audit of runs failed"]
