"""Background tasks: whoever waits for one gets a reply, and at a stop each has its time and is then canceled."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.virtual_time import test_clock
from zofbot.concurrency import BackgroundTasks
from zofbot.domain.errors import ZofbotError
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.health import BackgroundTaskCanceled, BackgroundTaskFailed
from zofbot.observability.trace_recorder import TraceRecorder, record_trace


@pytest.fixture
def emitted() -> list[object]:
    return []


@pytest.fixture
def tasks(emitted: list[object]) -> BackgroundTasks:
    events = EventEmitter()
    for kind in (BackgroundTaskCanceled, BackgroundTaskFailed):
        events.add_hook(kind, emitted.append)
    return BackgroundTasks(events)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_task_that_fails_is_told_as_an_event(tasks: BackgroundTasks, emitted: list[object]) -> None:
    async def fail() -> None:
        raise KeyError("unexpected")

    task = tasks.start(fail())
    await asyncio.sleep(1)
    assert emitted == [BackgroundTaskFailed(task.exception())]  # type: ignore[arg-type]


async def test_a_task_is_waited_for_up_to_a_limit(tasks: BackgroundTasks) -> None:
    began = now()
    assert await tasks.wait_until_done(tasks.start(asyncio.sleep(1)), 5)
    assert now() - began == pytest.approx(1)
    late = tasks.start(asyncio.sleep(10, "done"))
    assert not await tasks.wait_until_done(late, 5)
    assert now() - began == pytest.approx(6)
    assert await late == "done"


async def test_nobody_waits_for_a_task_any_longer_once_a_stop_is_announced(tasks: BackgroundTasks) -> None:
    began, late = now(), tasks.start(asyncio.sleep(10, "done"))
    asyncio.get_running_loop().call_later(1, tasks.announce_stop)
    assert not await tasks.wait_until_done(late, 5)
    assert not await tasks.wait_until_done(late, 5), "nor afterwards"
    assert now() - began == pytest.approx(1)
    assert await late == "done"


async def test_a_trace_stays_open_until_the_task_has_ended(tasks: BackgroundTasks) -> None:
    kept: list[TraceRecorder] = []
    with record_trace(kept.append, "command", test_clock()) as recorder:
        recorder.worth = True
        task = tasks.start(asyncio.sleep(1))
    assert kept == []
    await task
    await asyncio.sleep(0)
    assert kept == [recorder]


async def test_a_stop_waits_for_all_that_ends_in_time(tasks: BackgroundTasks, emitted: list[object]) -> None:
    began, task = now(), tasks.start(asyncio.sleep(2, "done"))
    await tasks.drain(5)
    assert now() - began == pytest.approx(2)
    assert (task.result(), emitted) == ("done", [])
    await tasks.drain(5)
    assert now() - began == pytest.approx(2), "with nothing left it does not wait"


async def test_a_stop_cancels_what_does_not_end_in_time(tasks: BackgroundTasks, emitted: list[object]) -> None:
    began, task = now(), tasks.start(asyncio.sleep(3600))
    await tasks.drain(5)
    assert now() - began == pytest.approx(5)
    assert task.cancelled()
    assert emitted == [BackgroundTaskCanceled()]


async def test_people_get_a_last_reply_before_a_stop_cancels_the_rest(
    tasks: BackgroundTasks, emitted: list[object]
) -> None:
    replies: list[float] = []

    async def answer() -> None:
        try:
            await tasks.run_until_stopped(asyncio.sleep(3600))
        except ZofbotError:
            await asyncio.sleep(1)
            replies.append(now() - began)

    began, task = now(), tasks.start(answer())
    await tasks.drain(5, 2)
    assert replies == [pytest.approx(4)]
    assert (task.cancelled(), emitted) == (False, [BackgroundTaskCanceled()])


async def test_what_begins_during_a_stop_ends_at_once(tasks: BackgroundTasks) -> None:
    await tasks.drain(0)
    with pytest.raises(ZofbotError, match="restarting"):
        await tasks.run_until_stopped(asyncio.sleep(3600))


async def test_an_own_time_limit_of_the_work_is_no_stop(tasks: BackgroundTasks, emitted: list[object]) -> None:
    async def give_up() -> None:
        raise TimeoutError("of the work")

    with pytest.raises(TimeoutError, match="of the work"):
        await tasks.run_until_stopped(give_up())
    assert await tasks.run_until_stopped(asyncio.sleep(1, "done")) == "done"
    assert emitted == []
