"""A clock that was ahead and is corrected: what happens afterwards is read and told as always."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import structlog

from tests.support.poller_bench import CHANNEL, START_TIME, PollerBench, log_lines, poller_bench
from zofbot.alerting.rules import decide_batch
from zofbot.polling.cursor import FEEDS
from zofbot.polling.feed_audits import AUDIT_INTERVAL_SECONDS

HOUR = 3600.0


@pytest.fixture
async def ahead() -> AsyncIterator[PollerBench]:
    """Return a bench whose first cycle was eight hours ahead; its clock is right now."""
    async with poller_bench(default_channel=CHANNEL) as built:
        built.poller = built.start_poller(decide=decide_batch)
        await built.run_cycle(8 * HOUR)
        built.clock.at = START_TIME
        yield built


async def roots_of(built: PollerBench) -> list[str]:
    """Return the keys of the alerts, without those of what is posted later in their threads."""
    return sorted(key for key in await built.committed_keys() if key.startswith(("run:", "case:")))


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("hinted", [False, True])
async def test_a_failure_is_told_once_though_the_first_cycle_was_hours_ahead(
    ahead: PollerBench, hinted: bool, restarts: bool
) -> None:
    if restarts:
        await ahead.store.delete("{test}:lease:poller")
        ahead.poller = ahead.start_poller(decide=decide_batch)
    run = ahead.finish_run()
    with structlog.testing.capture_logs() as lines:
        if hinted:
            await ahead.receive_webhook(run["id"], "evt_1")
            await ahead.poller.poll_once(feeds=False)
        else:
            await ahead.run_cycle()
        assert len(await roots_of(ahead)) == 1
        for _ in range(3):
            await ahead.run_cycle()
    assert len(await roots_of(ahead)) == 1
    [line] = log_lines(lines, "look-back start was in the future")
    assert line["log_level"] == "error"
    assert line["fix"]


async def test_a_failure_before_the_look_back_is_not_told_after_the_clock_was_corrected(ahead: PollerBench) -> None:
    ahead.finish_run(ago=2 * HOUR)
    await ahead.poll_until_settled()
    assert not await ahead.committed_keys()


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_run_that_waits_to_be_read_again_is_read_soon_after_the_clock_is_set_back(restarts: bool) -> None:
    async with poller_bench() as built:
        await built.run_cycle()
        run = built.world.zof.start_run({"project_id": "proj_x"})
        await built.receive_webhook(run["id"], "evt_1", "run.completed")
        await built.poller.poll_once(feeds=False)
        built.clock.at -= 2 * HOUR
        built.world.zof.finish_run(run["id"], "failed")
        if restarts:
            await built.kill_poller()
        for _ in range(15):
            built.clock.at += 60
            await built.poller.poll_once(feeds=False)
        assert f"run:{run['id']}:failed:{CHANNEL}" in await built.committed_keys()


async def test_audits_go_on_after_the_clock_is_set_back() -> None:
    async with poller_bench() as built:
        await built.run_cycle()
        await built.run_cycle(2 * AUDIT_INTERVAL_SECONDS)
        built.clock.at -= 8 * HOUR
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                await built.run_cycle(AUDIT_INTERVAL_SECONDS)
        assert {line["feed"] for line in log_lines(lines, "feed audited")} == {feed.name for feed in FEEDS}
