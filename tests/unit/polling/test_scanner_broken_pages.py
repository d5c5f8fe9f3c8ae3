"""A page of a listing that Zof cannot return: what else is listed is told, in time and once."""

from __future__ import annotations

from collections.abc import Iterable

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, SpoilRequest, answer_well, poller_bench
from zofbot.domain.errors import ZofUnavailable
from zofbot.polling.feed_audits import AUDIT_INTERVAL_SECONDS
from zofbot.polling.scanner import MAX_PAGE_FAILURES
from zofbot.simulator.zof.state import ZofRecord, format_time

NO_JSON, FAULT = httpx.Response(200, text="<html>"), httpx.Response(500)
COME_BACK = httpx.Response(503, headers={"Retry-After": "60"})
each_reply = pytest.mark.parametrize("reply", [NO_JSON, FAULT], ids=["unreadable", "fault"])


def break_pages_with(built: PollerBench, run: ZofRecord, reply: httpx.Response) -> SpoilRequest:
    """Reply so to each page of failed runs that has this run."""

    async def spoil(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/v1/runs" or request.url.params.get("status") != "failed":
            return None
        built.zof.spoil = answer_well
        page = await built.zof.answer_request(request)
        built.zof.spoil = spoil
        return reply if run["id"] in {item["id"] for item in page.json()["data"]} else None

    return spoil


def spend_quota_before_all_runs(built: PollerBench) -> SpoilRequest:
    """Have the reply to the listing before that of all runs say that the quota is nearly spent."""

    async def spoil(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/v1/results" or request.url.params.get("status") != "error":
            return None
        built.zof.spoil = answer_well
        reply = await built.zof.answer_request(request)
        built.zof.spoil = spoil
        reply.headers.update({
            "X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{built.clock.at + 45:.0f}"
        })  # fmt: skip
        return reply

    return spoil


async def cursors_of(built: PollerBench, *names: str) -> list[str | None]:
    """Return the stored cursors of those feeds and audits."""
    stored = (await built.outbox.read_hashes("feeds"))["feeds"]
    return [stored.get(name) for name in names]


def keys_of(runs: Iterable[ZofRecord]) -> set[str]:
    return {f"run:{run['id']}:failed:{CHANNEL}" for run in runs}


@each_reply
async def test_what_is_listed_before_a_broken_page_is_told_and_what_is_new_too(reply: httpx.Response) -> None:
    async with poller_bench(page=5) as built:
        await built.poll_until_settled()
        runs = [built.finish_run(bad=0) for _ in range(12)]
        built.zof.spoil = break_pages_with(built, runs[4], reply)
        for _ in range(MAX_PAGE_FAILURES):
            await built.run_cycle()
        assert await built.committed_keys() >= keys_of(runs[-5:])
        await built.kill_poller()
        new = built.finish_run(bad=0)
        await built.run_cycle()
        assert await built.committed_keys() >= keys_of([new])


@each_reply
@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_what_is_behind_a_page_that_was_broken_for_days_is_told_once(reply: httpx.Response, order: str) -> None:
    async with poller_bench(page=5, requests=100) as built:
        built.world.zof.newest_first = order == "newest"
        await built.poll_until_settled()
        built.clock.at += 3 * 86400
        runs = [built.finish_run(bad=0, ago=3 * 86400 - 1000 - number) for number in range(12)]
        built.zof.spoil = break_pages_with(built, runs[7], reply)
        committed = []
        for _ in range(3 * 24):
            committed += (await built.run_cycle(3600)).committed
        built.zof.spoil = answer_well
        for _ in range(30):
            committed += (await built.run_cycle()).committed
        assert set(committed) == built.expected_keys() == keys_of(runs)
        assert len(committed) == len(set(committed))


@each_reply
async def test_failed_runs_that_only_the_listing_of_all_runs_can_show_are_told(reply: httpx.Response) -> None:
    async with poller_bench(page=5) as built:
        await built.poll_until_settled()
        runs = [built.finish_run(bad=0) for _ in range(12)]
        built.zof.spoil = break_pages_with(built, runs[4], reply)
        await built.run_cycle()
        built.clock.at += AUDIT_INTERVAL_SECONDS
        for _ in range(20):
            await built.run_cycle()
        assert await built.committed_keys() == built.expected_keys()


async def test_a_quota_that_is_spent_in_the_middle_of_a_scan_leaves_it_where_it_is() -> None:
    async with poller_bench(page=5, requests=14) as built:
        for _ in range(3):
            built.finish_run()
            built.clock.advance(5)
        await built.poll_until_settled()
        runs = [built.finish_run("broken", bad=0) for _ in range(25)]
        await built.run_cycle()
        built.zof.spoil = spend_quota_before_all_runs(built)
        before = await cursors_of(built, "runs", "audit of runs")
        for _ in range(MAX_PAGE_FAILURES + 1):
            with pytest.raises(ZofUnavailable):
                await built.run_cycle()
        assert await cursors_of(built, "runs", "audit of runs") == before
        built.zof.spoil = answer_well
        await built.poll_until_settled()
        assert await built.committed_keys() >= {f"run:{run['id']}:error:{CHANNEL}" for run in runs}


async def test_an_outage_in_the_middle_of_a_scan_leaves_it_where_it_is() -> None:
    async with poller_bench(page=5, requests=14) as built:
        await built.poll_until_settled()
        runs = [built.finish_run(bad=0) for _ in range(25)]
        await built.run_cycle()
        built.zof.spoil = lambda request: FAULT
        for _ in range(MAX_PAGE_FAILURES + 1):
            with pytest.raises(ZofUnavailable):
                await built.run_cycle()
        built.zof.spoil = answer_well
        await built.poll_until_settled()
        assert await built.committed_keys() == keys_of(runs)
        happened = [finding.happened for finding in built.rules.found]
        assert happened == sorted(happened)


async def settle_in_known_order(built: PollerBench) -> None:
    """Read so many failures that the order of the listings is known."""
    for _ in range(4):
        built.finish_run(bad=1)
        built.clock.advance(60)
    await built.poll_until_settled()


@pytest.mark.parametrize(("path", "reply"), [("/v1/runs", FAULT), ("/v1/results", FAULT), ("/v1/results", COME_BACK)])
async def test_a_listing_that_fails_keeps_no_other_from_being_read(path: str, reply: httpx.Response) -> None:
    async with poller_bench() as built:
        await settle_in_known_order(built)
        built.zof.spoil = lambda request: reply if request.url.path == path else None
        built.finish_run(bad=1)
        assert (await built.run_cycle()).refused
        assert await built.committed_keys() == built.expected_keys()


@pytest.mark.parametrize("reply", [FAULT, COME_BACK], ids=["fault", "come back"])
async def test_failures_that_were_listed_are_told_though_nothing_can_be_listed_any_more(reply: httpx.Response) -> None:
    async with poller_bench() as built:
        for _ in range(6):
            built.finish_run(bad=1)
            built.clock.advance(60)
        await built.poll_until_settled()
        for _ in range(30):  # more than one cycle reads
            built.finish_run(bad=1)
        await built.run_cycle()
        built.zof.spoil = lambda request: reply if request.url.path in ("/v1/runs", "/v1/results") else None
        for _ in range(6):
            with pytest.raises(ZofUnavailable):
                await built.run_cycle()
        assert await built.committed_keys() == built.expected_keys()


@pytest.mark.parametrize("reply", [FAULT, httpx.Response(403)], ids=["fault", "403"])
async def test_runs_that_cannot_be_listed_keep_no_result_from_being_found_by_an_audit(reply: httpx.Response) -> None:
    async with poller_bench(page=5) as built:
        await settle_in_known_order(built)
        when = dict.fromkeys(("created_at", "completed_at"), format_time(built.clock.at))
        slow = built.finish_run("passed", bad=0)
        result = built.world.zof.add_result(slow["id"], status="running", name="Slow", **when)
        for status in ("failed", "error") * 20:
            built.finish_run(status, bad=1)
            await built.run_cycle()
        await built.poll_until_settled()
        built.zof.spoil = lambda request: reply if request.url.path == "/v1/runs" else None
        result["status"] = "failed"
        built.clock.at += AUDIT_INTERVAL_SECONDS
        for _ in range(20):
            await built.run_cycle()
        assert f"result:{result['id']}:failed:{CHANNEL}" in await built.committed_keys()


async def test_runs_that_zof_always_lists_later_keep_no_result_from_being_read() -> None:
    async with poller_bench() as built:
        await settle_in_known_order(built)
        built.zof.spoil = lambda request: COME_BACK if request.url.path == "/v1/runs" else None
        for _ in range(2):
            with pytest.raises(ZofUnavailable):  # nothing was read yet, so that it may be an outage
                await built.run_cycle()
        for _ in range(2):
            built.finish_run(bad=1)
            await built.run_cycle()
            assert await built.committed_keys() == built.expected_keys()


async def test_a_zof_that_names_a_time_to_come_back_is_asked_no_more() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        built.zof.spoil = lambda request: httpx.Response(429, headers={"Retry-After": "120"}, json={})
        asked = len(built.zof.asked)
        with pytest.raises(ZofUnavailable):
            await built.run_cycle()
        assert len(built.zof.asked) == asked + 1
