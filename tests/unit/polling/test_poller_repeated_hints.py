"""Hints about one object that arrive together: none replaces or deletes what another says."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, PollerBench, poller_bench
from zofbot.domain.model import utc_datetime
from zofbot.http.zof_endpoint import build_pending_run
from zofbot.simulator.zof.state import ZofRecord
from zofbot.store.pending_runs import PendingRun
from zofbot.subscriptions import PlatformEvent
from zofbot.zof.webhook_event import Facts, WebhookHint

GATE = "release.gate_blocked"


async def _receive_notice(built: PollerBench, event: str, said: str, seconds: float) -> None:
    """Receive a notice about one gate, from so many seconds ago."""
    at = utc_datetime(built.clock.at - seconds)
    hint = WebhookHint(event, GATE, at=at, object_id="gate_1", facts=Facts(reason=said))
    assert await built.hints.add_pending(event, build_pending_run(hint, "gate_1", built.clock.at))


def _said(built: PollerBench) -> list[str]:
    return [found.said for found in built.rules.found if isinstance(found, PlatformEvent)]


def _finish_run_without_details(built: PollerBench) -> ZofRecord:
    """Add a failed run with a new status word, and without counts and results."""
    run = built.finish_run(bad=0)
    run["status"] = "failed_gate"

    def leave_out(path: str, body: Any) -> Any:
        if path == f"/runs/{run['id']}":
            return {name: value for name, value in body.items() if name not in ("summary", "results")}
        return body

    built.zof.change = leave_out
    return run


async def test_two_notices_about_one_object_in_one_cycle_are_both_told() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        await _receive_notice(built, "evt_1", "first", 20)
        await _receive_notice(built, "evt_2", "second", 10)
        await built.run_cycle()
        assert _said(built) == ["first", "second"]
        assert await built.pending_runs() == {}


async def test_a_notice_is_told_that_arrives_before_the_last_one_about_its_object_is_committed() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        await _receive_notice(built, "evt_1", "first", 20)

        async def receive_second(request: httpx.Request) -> None:
            built.zof.spoil = lambda request: None
            await _receive_notice(built, "evt_2", "second", 10)

        built.zof.spoil = receive_second
        for _ in range(2):
            await built.run_cycle()
        assert _said(built) == ["first", "second"]
        assert await built.pending_runs() == {}


async def test_a_notice_stored_by_an_earlier_version_is_told_once_and_removed() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        old = PendingRun("notice", "gate_1", GATE, built.clock.at, built.clock.at, said="first")
        await built.store.hset("{test}:hints", f"{GATE}:gate_1", old.dump())
        for _ in range(3):
            await built.run_cycle()
        assert _said(built) == ["first"]
        assert await built.pending_runs() == {}


async def test_a_notice_stored_by_an_earlier_version_is_kept_until_it_is_told() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        old = PendingRun("notice", "gate_1", GATE, built.clock.at, built.clock.at, said="first", run="run_1")
        await built.store.hset("{test}:hints", f"{GATE}:gate_1", old.dump())
        built.zof.spoil = lambda request: httpx.Response(503) if request.url.path == "/v1/runs/run_1" else None
        await built.run_cycle()
        assert len(await built.pending_runs()) == 1
        await built.kill_poller()
        built.zof.spoil = lambda request: None
        for _ in range(3):
            await built.run_cycle()
        assert _said(built) == ["first"]
        assert await built.pending_runs() == {}


@pytest.mark.parametrize("kinds", [("run.failed", "run.completed"), ("run.completed", "run.failed")])
@pytest.mark.parametrize("heard", [True, False])
async def test_that_a_run_failed_is_known_whichever_of_its_webhooks_arrives_last(
    kinds: tuple[str, str], heard: bool
) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        if heard:
            await built.hints.wait_for_hint(0)
        run = _finish_run_without_details(built)
        for kind in kinds:
            assert await built.receive_webhook(run["id"], f"evt_{kind}", kind)
            if heard:
                assert await built.hints.wait_for_hint(10)
        await built.poller.poll_once(feeds=False)
        assert f"run:{run['id']}:failed:{CHANNEL}" in await built.committed_keys()
        assert await built.pending_runs() == {}


async def test_a_second_webhook_has_a_run_read_again_at_once_that_waits() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        built.zof.spoil = lambda request: httpx.Response(403) if request.url.path == "/v1/runs/run_1" else None
        await built.receive_webhook("run_1", "evt_1")
        for _ in range(3):
            await built.run_cycle()
        assert (await built.pending_runs())["run_1"].due > built.clock.at
        await built.receive_webhook("run_1", "evt_2", "run.completed")
        asked = len(built.zof.asked)
        await built.poller.poll_once(feeds=False)
        assert "/runs/run_1" in built.zof.asked[asked:]
        assert (await built.pending_runs())["run_1"].why == "run.failed"


async def _read_while_hint_arrives(built: PollerBench, run: ZofRecord, kind: str) -> None:
    """Poll; a webhook arrives while the run is read."""

    async def receive_webhook(request: httpx.Request) -> None:
        if request.url.path == f"/v1/runs/{run['id']}":
            built.zof.spoil = lambda request: None
            assert await built.receive_webhook(run["id"], "evt_late", kind)

    built.zof.spoil = receive_webhook
    await built.poller.poll_once(feeds=False)


@pytest.mark.parametrize("why", ["rerun", "runs", "run.completed"])
async def test_a_webhook_that_arrives_while_its_run_is_read_is_not_lost(why: str) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = _finish_run_without_details(built)
        watch = PendingRun("run", run["id"], why, built.clock.at)
        await built.outbox.commit([], changes={"hints": {run["id"]: watch.dump()}})
        await _read_while_hint_arrives(built, run, "run.failed")
        [pending] = (await built.pending_runs()).values()
        assert (pending.why, pending.due) == ("run.failed", 0.0)
        await built.poller.poll_once(feeds=False)
        assert f"run:{run['id']}:failed:{CHANNEL}" in await built.committed_keys()
        assert await built.pending_runs() == {}


async def test_a_second_webhook_of_a_run_whose_end_was_read_costs_no_further_request() -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run()
        await built.receive_webhook(run["id"], "evt_1", "run.completed")
        await _read_while_hint_arrives(built, run, "run.failed")
        assert await built.pending_runs() == {}
        assert await built.committed_keys() == built.expected_keys()


@pytest.mark.parametrize("heard", [True, False])
async def test_what_a_listing_said_of_a_run_is_kept_when_a_webhook_arrives(heard: bool) -> None:
    async with poller_bench() as built:
        await built.poll_until_settled()
        run = built.finish_run()
        refused = httpx.Response(403)
        built.zof.spoil = lambda request: refused if request.url.path == f"/v1/runs/{run['id']}" else None
        await built.run_cycle()
        [listed] = (await built.pending_runs()).values()
        if heard:
            await built.hints.wait_for_hint(0)
        await built.receive_webhook(run["id"], "evt_1", "run.completed")
        if heard:
            assert await built.hints.wait_for_hint(10)
        await built.poller.poll_once(feeds=False)
        await built.kill_poller()
        [pending] = (await built.pending_runs()).values()
        assert pending.why == "run.completed"
        assert (pending.seen, pending.projects) == (listed.seen, listed.projects)
        assert len(pending.seen) == 2
