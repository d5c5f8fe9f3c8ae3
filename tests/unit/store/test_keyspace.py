"""Calls to Redis: how long they may take."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.virtual_time import run_now_and_then
from zofbot.domain.errors import StoreUnavailable
from zofbot.store.keyspace import MAX_REDIS_SECONDS, guard_redis_call


async def test_a_call_may_take_longer_while_this_process_gets_no_cpu() -> None:
    async with guard_redis_call():
        await run_now_and_then(1.35 * MAX_REDIS_SECONDS)


async def test_a_redis_that_is_silent_is_not_available() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(StoreUnavailable, match="isn't responding"):
        async with guard_redis_call():
            await asyncio.Event().wait()
    assert loop.time() - began == pytest.approx(MAX_REDIS_SECONDS)
