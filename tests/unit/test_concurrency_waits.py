"""Waits for tasks and events that end in time, and cancellation that comes through."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.virtual_time import stand_still
from zofbot.concurrency import cancel_tasks, wait_for_event, wait_for_tasks


def now() -> float:
    return asyncio.get_running_loop().time()


async def swallow_cancellations(times: int) -> str:
    """Sleep until canceled once more than ``times``, as a call of redis-py does whose reply has just arrived."""
    for _ in range(times):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
    await asyncio.sleep(3600)
    return "never canceled"


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_a_task_is_canceled_until_it_has_ended(times: int) -> None:
    task = asyncio.create_task(swallow_cancellations(times))
    await asyncio.sleep(0)
    began = now()
    await cancel_tasks(task)
    assert task.cancelled()
    assert now() - began == pytest.approx(0.5 * times)


async def test_a_task_that_has_ended_is_left_as_it_is() -> None:
    done = asyncio.create_task(asyncio.sleep(0, "done"))
    await done
    await cancel_tasks(done)
    await cancel_tasks()
    assert done.result() == "done"


async def test_a_task_that_fails_while_it_is_canceled_keeps_its_error() -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise KeyError("unexpected")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await cancel_tasks(task)
    assert isinstance(task.exception(), KeyError)


async def test_tasks_are_waited_for_until_all_or_the_first_of_them_have_ended() -> None:
    began = now()
    tasks = [asyncio.create_task(asyncio.sleep(seconds)) for seconds in (1, 2)]
    await wait_for_tasks(tasks, 5, return_when=asyncio.FIRST_COMPLETED)
    assert now() - began == pytest.approx(1)
    await wait_for_tasks(tasks, 5)
    assert now() - began == pytest.approx(2)
    await wait_for_tasks([], 5)
    assert now() - began == pytest.approx(2)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 3.0])
async def test_tasks_that_are_late_go_on(seconds: float) -> None:
    began, late = now(), asyncio.create_task(asyncio.sleep(10, "done"))
    await wait_for_tasks({late}, seconds)
    assert now() - began == pytest.approx(max(seconds, 0))
    assert await late == "done"


async def test_a_slow_process_waits_no_longer_for_tasks() -> None:
    began, late = now(), asyncio.create_task(asyncio.sleep(60))

    def hold_up() -> None:
        stand_still(0.35)
        asyncio.get_running_loop().call_later(0.05, hold_up)

    hold_up()
    await wait_for_tasks({late}, 2.2)
    assert now() - began < 2.2 + 2 * 0.4
    await cancel_tasks(late)


async def test_a_wait_for_tasks_that_is_canceled_leaves_them_running() -> None:
    task = asyncio.create_task(asyncio.sleep(10, "done"))
    waiting = asyncio.create_task(wait_for_tasks({task}, 5))
    await asyncio.sleep(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await task == "done"


@pytest.mark.parametrize(("after", "waited"), [(2, 2), (9, 5)])
async def test_an_event_is_waited_for_up_to_a_limit(after: float, waited: float) -> None:
    began, event = now(), asyncio.Event()
    asyncio.get_running_loop().call_later(after, event.set)
    await wait_for_event(event, 5)
    assert now() - began == pytest.approx(waited)
    assert event.is_set() == (after == waited)


async def test_an_event_that_is_set_is_not_waited_for() -> None:
    began, event = now(), asyncio.Event()
    event.set()
    await wait_for_event(event, 5)
    assert now() == began


async def test_a_wait_for_an_event_can_be_canceled() -> None:
    waiting = asyncio.create_task(wait_for_event(asyncio.Event(), 5))
    await asyncio.sleep(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
