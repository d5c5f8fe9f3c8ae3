"""A store that fails when what Zof returned is committed: Zof is asked no more often, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.support.poller_bench import PollerBench, poller_bench
from zofbot.domain.errors import StoreUnavailable
from zofbot.store.keyspace import MAX_STORE_RETRY_SECONDS, Keyspace
from zofbot.store.outbox import Outbox

REQUESTS = 20


class FullOutbox(Outbox):
    """An outbox whose store answers, but takes nothing while it ``is_full``."""

    is_full = True

    async def commit(self, *args: Any, **options: Any) -> list[str]:
        if self.is_full:
            raise StoreUnavailable("OOM command not allowed when used memory > 'maxmemory'.")
        return await super().commit(*args, **options)


@asynccontextmanager
async def polling_into_full_store(bench: PollerBench, times: list[float], **options: Any) -> AsyncIterator[FullOutbox]:
    """Poll into an outbox that is full, and collect in ``times`` when Zof is asked."""

    def note_time(request: httpx.Request) -> None:
        times.append(asyncio.get_running_loop().time())

    bench.zof.spoil = note_time
    bench.outbox = outbox = FullOutbox(Keyspace(bench.store, "test"), bench.clock)
    polling = asyncio.create_task(bench.start_poller(**options).run())
    try:
        yield outbox
    finally:
        polling.cancel()
        await asyncio.wait({polling})


def most_in_a_minute(times: list[float]) -> int:
    """Return how often Zof was asked in any minute."""
    return max(sum(at <= other < at + 60 for other in times) for at in times)


@pytest.mark.parametrize("interval", [60.0, 600.0])
@pytest.mark.parametrize("runs", [0, 1, 30])
async def test_zof_is_asked_no_more_often_while_nothing_can_be_committed(interval: float, runs: int) -> None:
    async with poller_bench(requests=REQUESTS) as built:
        times: list[float] = []
        async with polling_into_full_store(built, times, interval=interval) as outbox:
            for _ in range(runs):
                built.finish_run()
            await asyncio.sleep(300)
            assert most_in_a_minute(times) <= REQUESTS
            outbox.is_full = False
            await asyncio.sleep(60 if runs < 30 else 600)
        assert await built.committed_keys() == built.expected_keys()


async def test_what_was_found_when_the_store_failed_is_told_as_soon_as_it_is_back() -> None:
    async with poller_bench(requests=REQUESTS) as built:
        await built.poll_until_settled()
        await built.store.delete("{test}:lease:poller")
        times: list[float] = []
        async with polling_into_full_store(built, times, interval=600.0) as outbox:
            built.finish_run()
            await asyncio.sleep(1)
            asked = len(times)
            built.store.connected = False
            await asyncio.sleep(120)
            assert len(times) == asked, "a store that does not answer is asked before Zof"
            built.store.connected, outbox.is_full = True, False
            await asyncio.sleep(MAX_STORE_RETRY_SECONDS + 1)
        assert await built.committed_keys() == built.expected_keys()


@pytest.mark.parametrize("runs", [0, 40])
@pytest.mark.parametrize(("away", "back"), [(50, 70), (50, 108)])
async def test_a_scan_that_was_due_while_the_store_was_away_is_made_once_when_it_is_back(
    runs: int, away: int, back: int
) -> None:
    """Also if the requests of the interval were used up before, as by a backlog."""
    async with poller_bench(requests=REQUESTS) as built:
        times: list[float] = []
        async with polling_into_full_store(built, times, interval=60.0) as outbox:
            outbox.is_full = False
            began = asyncio.get_running_loop().time()
            for _ in range(runs):
                built.finish_run()
            await asyncio.sleep(away)
            built.store.connected = False
            await asyncio.sleep(back - away)
            built.store.connected = True
            await asyncio.sleep(MAX_STORE_RETRY_SECONDS + 1)
            assert [at for at in times if at >= began + back], "the next scan does not wait for an interval"
            await asyncio.sleep(30)
            assert len([at for at in times if at >= began + back]) <= REQUESTS
