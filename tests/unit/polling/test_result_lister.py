"""Which results of a run are listed if they are on several pages."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.polling.result_lister import MAX_RESULT_PAGES
from zofbot.simulator.zof.state import ZofRecord, format_time
from zofbot.subscriptions import RunFinding

CAPITALS = {"FAILED": "failed", "timed_out": "error", "errored": "error", "blocked": "error"}
"""Status words that Zof does not list under their outcome, and their outcomes."""


def _finish_run(built: PollerBench, *words: str, passed: int = 8, **fields: Any) -> ZofRecord:
    """Add a failed run with results of these statuses, and passed ones that are listed between the last two."""
    run = built.finish_run(bad=0)
    when = {name: format_time(built.clock.at) for name in ("created_at", "completed_at")}
    for number, word in enumerate((words[-1], *["passed"] * passed, *words[:-1])):  # the newest is listed first
        built.world.zof.add_result(run["id"], status=word, name=f"Case {number}", **when)
    built.world.zof.finish_run(run["id"], "failed")
    outcomes = [CAPITALS.get(word, word) for word in words]
    run["summary"] |= {outcome: outcomes.count(outcome) for outcome in ("failed", "error")}
    run.update(fields)
    return run


def _list_separately(built: PollerBench) -> list[str | None]:
    """Have runs come without results, and results be listed by run only. Return the statuses asked for."""
    asked: list[str | None] = []

    def note_page(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/v1/results" and "run_id" not in request.url.params:
            return httpx.Response(403)
        if "run_id" in request.url.params:
            asked.append(request.url.params.get("status"))
        return None

    built.zof.spoil = note_page
    built.zof.change = lambda path, body: (
        {name: value for name, value in body.items() if name != "results"} if path.startswith("/runs/") else body
    )
    return asked


def _failed_results(built: PollerBench, run: ZofRecord) -> set[str]:
    bad = [item for item in built.world.zof.results_of_run(run["id"]) if item["status"] != "passed"]
    return {f"result:{item['id']}:{CAPITALS.get(item['status'], item['status'])}:{CHANNEL}" for item in bad}


async def _told_results(built: PollerBench) -> set[str]:
    return {key for key in await built.committed_keys() if key.startswith("result:")}


@pytest.mark.parametrize("word", CAPITALS)
@pytest.mark.parametrize("first", ["same", "failed", "error"])
async def test_a_failure_with_another_status_word_is_found_behind_the_first_page(first: str, word: str) -> None:
    async with poller_bench(page=3) as built:
        await built.poll_until_settled()
        _list_separately(built)
        run = _finish_run(built, word if first == "same" else first, word)
        await built.receive_webhook(run["id"], "evt_1")
        await built.poller.poll_once(feeds=False)
        assert await _told_results(built) == _failed_results(built, run)


@pytest.mark.parametrize("word", CAPITALS)
@pytest.mark.parametrize("counted", [{"total": 10, "passed": 8}, {}])
async def test_a_failure_with_another_status_word_is_found_though_its_run_counts_no_failures(
    counted: dict[str, int], word: str
) -> None:
    async with poller_bench(page=3) as built:
        await built.poll_until_settled()
        _list_separately(built)
        run = _finish_run(built, "passed", word, summary=counted)
        await built.receive_webhook(run["id"], "evt_1")
        await built.poller.poll_once(feeds=False)
        assert await _told_results(built) == _failed_results(built, run)


async def test_pages_are_read_once_each_and_so_many_at_most() -> None:
    async with poller_bench(page=3) as built:
        await built.poll_until_settled()
        asked = _list_separately(built)
        run = _finish_run(built, "failed", "timed_out", passed=40)
        await built.receive_webhook(run["id"], "evt_1")
        await built.poller.poll_once(feeds=False)
        assert asked == [None, "failed", "error", *[None] * (MAX_RESULT_PAGES - 1)]
        [found] = built.rules.found
        assert isinstance(found, RunFinding)
        assert found.is_truncated
        assert (len(found.failures), found.total) == (1, 2)


async def test_a_run_whose_failures_were_all_found_by_status_is_not_read_on() -> None:
    async with poller_bench(page=3) as built:
        await built.poll_until_settled()
        asked = _list_separately(built)
        run = _finish_run(built, "failed", "error")
        await built.receive_webhook(run["id"], "evt_1")
        await built.poller.poll_once(feeds=False)
        assert asked == [None, "failed", "error"]
        assert await _told_results(built) == _failed_results(built, run)
