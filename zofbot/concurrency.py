"""Work that goes on after Slack was answered: each task owned here, and waited for when the bot stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

import structlog

from zofbot.observability import tracing
from zofbot.observability.tracing import TraceRecorder

log = structlog.get_logger()

T = TypeVar("T")


async def cancel_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and wait until they have ended.

    A library below may lose a cancellation, such as the redis client before Python 3.12 when its answer comes in the
    same turn of the loop, and then the task goes on: so it is cancelled until it has ended.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.5)


def is_cancel_requested() -> bool:
    """Whether this task is to end; for loops, since a library below may have lost the cancellation.

    Loops that run in a TaskGroup have to ask: the group cancels them once, however often it is cancelled itself.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class BackgroundTasks:
    """The tasks of one process; a failure that nobody awaits is logged with its traceback."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` in a task of its own; the trace of what led to it lasts until it has ended."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        if made := tracing.current_recorder():
            made.retain()
        task.add_done_callback(partial(self._on_task_done, made))
        return task

    def _on_task_done(self, made: TraceRecorder | None, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            tracing.record_step("zofbot", "errand", "canceled: the bot was told to stop", bad=True)
        elif error := task.exception():
            log.error("errand failed", exc_info=error)
            tracing.record_error(error)
        if made:
            made.release()

    async def drain(self, patience: float) -> None:
        """Wait ``patience`` seconds for what is under way, then cancel what is left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        if left := list(self._tasks):
            log.warning("errands canceled", count=len(left))
            await cancel_tasks(*left)
