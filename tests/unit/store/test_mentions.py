"""The limit of mentions ends by the present clock."""

from __future__ import annotations

from tests.support.outbox_bench import OutboxBench
from zofbot.clock import MovableClock
from zofbot.store.keyspace import Keyspace
from zofbot.store.mentions import Mentions

WINDOW_SECONDS = 60.0


async def test_a_mention_does_not_wait_by_a_clock_that_was_set_back(bench: OutboxBench) -> None:
    mentions = Mentions(Keyspace(bench.client, "test"), MovableClock(lambda: bench.now), most=1, window=WINDOW_SECONDS)
    assert await mentions.take("C1", ["U1"], "first") == 0
    assert await mentions.take("C1", ["U1"], "second") == WINDOW_SECONDS
    bench.now -= 3600
    assert await mentions.take("C1", ["U1"], "second") == 0
    assert await mentions.take("C1", ["U1"], "third") == WINDOW_SECONDS
