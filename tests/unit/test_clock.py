"""Limits on waiting: who is late is given up, but not for the time in which we stood still ourselves."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.virtual_time import run_now_and_then, stand_still, test_clock
from zofbot.clock import timeout


async def test_what_comes_in_time_is_had() -> None:
    async with timeout(5):
        assert await asyncio.sleep(0.01, "came") == "came"


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 0.05])
async def test_what_does_not_come_is_given_up(seconds: float) -> None:
    with pytest.raises(TimeoutError):
        async with timeout(seconds):
            await asyncio.Event().wait()


async def test_an_answer_that_came_while_the_process_stood_still_counts() -> None:
    ours, theirs = await _pair()
    try:
        async with timeout(0.2):
            theirs[1].write(b"in time\n")
            stand_still(0.6)
            assert await ours[0].readline() == b"in time\n"
            await asyncio.sleep(0.1)
    finally:
        for writer in (ours[1], theirs[1]):
            writer.close()
            await writer.wait_closed()


async def test_after_a_standstill_it_is_given_up_all_the_same() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        await _stand_still_and_wait()
    assert loop.time() - began == pytest.approx(0.8), "another 0.2 s after it"


async def _stand_still_and_wait() -> None:
    async with timeout(0.2):
        stand_still(0.6)
        await asyncio.Event().wait()


async def test_a_wait_in_steps_is_longer_for_a_process_that_often_gets_no_cpu() -> None:
    async with timeout(1.0, steps=10):
        await run_now_and_then(1.35)
    with pytest.raises(TimeoutError):
        async with timeout(1.0, steps=10):
            await run_now_and_then(1.8)
    with pytest.raises(TimeoutError):
        async with timeout(1.0):
            await run_now_and_then(1.35)


async def test_a_wait_in_steps_is_as_long_as_any_other_where_nothing_is_late() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        async with timeout(1.0, steps=10):
            await asyncio.Event().wait()
    assert loop.time() - began == pytest.approx(1.0)


async def test_a_clock_that_is_advanced_ends_the_sleeps_that_are_over_by_then() -> None:
    clock = test_clock()
    naps = [asyncio.create_task(clock.sleep(seconds)) for seconds in (60, 90)]
    await asyncio.sleep(0)
    clock.advance(60)
    done, _ = await asyncio.wait(naps, timeout=1)
    assert done == {naps[0]}
    await naps[1]


async def test_a_cancellation_and_an_error_of_the_body_stay_what_they_are() -> None:
    async def waits() -> None:
        async with timeout(30):
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(KeyError):
        async with timeout(30):
            raise KeyError("of the body")


async def _pair() -> tuple[tuple[asyncio.StreamReader, asyncio.StreamWriter], ...]:
    one, other = socket.socketpair()
    return await asyncio.open_connection(sock=one), await asyncio.open_connection(sock=other)
