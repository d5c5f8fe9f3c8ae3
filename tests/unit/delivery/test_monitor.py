"""When a parked channel is retried."""

from __future__ import annotations

import fakeredis
import pytest

from tests.support.outbox_bench import OutboxBench, root
from zofbot.clock import MovableClock
from zofbot.delivery.monitor import PARKED_RETRY_SECONDS, OutboxMonitor, no_recipient
from zofbot.domain.errors import SlackDeferred
from zofbot.observability.emitter import EventEmitter
from zofbot.store.attempt_results import Refused


@pytest.mark.parametrize(
    ("step", "is_retried"),
    [
        (0, False),
        (PARKED_RETRY_SECONDS - 1, False),
        (PARKED_RETRY_SECONDS, True),
        (-5, False),
        (-60, True),
        (-86400, True),
    ],
)
async def test_a_parked_channel_is_retried_after_a_while_or_when_the_clock_was_set_back(
    step: float, is_retried: bool
) -> None:
    async with fakeredis.FakeAsyncRedis() as client:
        bench = OutboxBench(client)
        clock = MovableClock(lambda: bench.now)
        monitor = OutboxMonitor(bench.outbox, EventEmitter(), no_recipient, no_recipient, clock)
        await bench.commit_notifications(root("k"))
        await bench.settle(Refused.for_claim(await bench.one(), "is_archived", True))
        await monitor.check_parked()
        bench.now += step
        await monitor.check_parked()
        assert bool(await bench.outbox.parked_channels()) is not is_retried


async def test_a_parked_channel_of_which_nobody_can_be_notified_is_retried_all_the_same() -> None:
    async def fail(channel: str, reason: str) -> None:
        raise SlackDeferred("ratelimited", "")

    async with fakeredis.FakeAsyncRedis() as client:
        bench = OutboxBench(client)
        monitor = OutboxMonitor(bench.outbox, EventEmitter(), fail, no_recipient, MovableClock(lambda: bench.now))
        await bench.commit_notifications(root("k"))
        await bench.settle(Refused.for_claim(await bench.one(), "is_archived", True))
        await monitor.check_parked()
        [parked] = await bench.outbox.parked_channels()
        assert not parked.told
        bench.now += PARKED_RETRY_SECONDS
        await monitor.check_parked()
        assert not await bench.outbox.parked_channels()
