"""Background tasks that outlive the request that started them, and cancellation that is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Any, TypeVar

import structlog

from zofbot.clock import timeout
from zofbot.domain.errors import ZofbotError
from zofbot.observability import trace_recorder
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.health import BackgroundTaskCanceled, BackgroundTaskFailed
from zofbot.observability.trace_recorder import TraceRecorder

log = structlog.get_logger()

T = TypeVar("T")

CANCEL_INTERVAL_SECONDS = 0.5
"""Seconds until a task that goes on is canceled again."""

_AT_ONCE = 0.0
"""A time of the event loop's clock that has passed."""


async def cancel_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended.

    Cancels repeatedly, because a library can swallow a cancellation: redis-py before Python 3.12 does when its reply
    arrives in the same iteration of the event loop.
    """
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await wait_for_tasks(pending, CANCEL_INTERVAL_SECONDS)


def is_cancel_requested() -> bool:
    """True if cancellation of this task was requested; checked in loops because redis-py can swallow it.

    Loops in a TaskGroup must check: the group cancels its tasks only once, however often it is cancelled itself.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class BackgroundTasks:
    """The background tasks of one process."""

    def __init__(self, events: EventEmitter) -> None:
        self._events = events
        self._tasks: set[asyncio.Task[Any]] = set()
        self._limits: set[asyncio.Timeout] = set()
        """The limits of the work that ``run_until_stopped`` runs."""
        self._is_stopping = False
        self._waits: set[asyncio.Future[None]] = set()
        """Futures that end ``wait_until_done``."""
        self._is_stop_announced = False

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` in its own task; the current trace stays open until it has ended."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        if recorder := trace_recorder.current_recorder():
            recorder.retain()
        task.add_done_callback(partial(self._on_task_done, recorder))
        return task

    async def wait_until_done(self, task: asyncio.Task[Any], seconds: float) -> bool:
        """Wait for a task, up to ``seconds`` and until the bot is asked to stop; returns whether it has ended."""
        stop = asyncio.get_running_loop().create_future()
        self._waits.add(stop)
        if self._is_stop_announced:
            stop.set_result(None)
        try:
            await wait_for_tasks({task, stop}, seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waits.discard(stop)
        return task.done()

    def announce_stop(self) -> None:
        """Let nobody wait any longer in ``wait_until_done``: the bot was asked to stop."""
        self._is_stop_announced = True
        for stop in self._waits:
            if not stop.done():
                stop.set_result(None)

    async def run_until_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work``, which somebody waits for. Raises ZofbotError once the bot stops and leaves it no more time."""
        limit = asyncio.Timeout(_AT_ONCE if self._is_stopping else None)
        try:
            async with limit:
                self._limits.add(limit)
                return await work
        except TimeoutError as error:
            if not limit.expired():
                raise
            self._events.emit(BackgroundTaskCanceled())
            raise ZofbotError("zofbot is restarting.", "Try again in a minute.") from error
        finally:
            self._limits.discard(limit)

    def _on_task_done(self, recorder: TraceRecorder | None, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._events.emit(BackgroundTaskCanceled())
        elif error := task.exception():
            self._events.emit(BackgroundTaskFailed(error))
        if recorder:
            recorder.release()

    async def drain(self, seconds: float, last_reply_seconds: float = 0.0) -> None:
        """Wait up to ``seconds`` for running tasks, then cancel the rest.

        Work in ``run_until_stopped`` ends ``last_reply_seconds`` earlier, so that people get an error reply.
        """
        await wait_for_tasks(self._tasks, seconds - last_reply_seconds)
        self._is_stopping = True
        for limit in self._limits:
            limit.reschedule(_AT_ONCE)
        await wait_for_tasks(self._tasks, last_reply_seconds)
        if unfinished := list(self._tasks):
            log.warning("background tasks canceled", count=len(unfinished))
            await cancel_tasks(*unfinished)


class ProcessTasks:
    """Tasks that run as long as the process. Once one fails, the process is to stop: a restart may fix it."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        """The names of those that failed."""
        self._on_failure: Callable[[], object] = lambda: None
        self._canceled: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` in its own task until ``cancel``."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._on_task_done)
        return task

    async def cancel(self, task: asyncio.Task[None]) -> None:
        """Cancel a task because the process stops, and wait until it has ended; an error from now on is no failure.

        ``Task.cancelling()`` would not tell: before Python 3.13 a TaskGroup leaves it set when a task of it has failed.
        """
        self._canceled.add(task)
        await cancel_tasks(task)

    def call_on_failure(self, on_failure: Callable[[], object]) -> None:
        """Call ``on_failure`` for each task that fails, and at once if one has failed."""
        self._on_failure = on_failure
        if self.failed:
            on_failure()

    def check_failures(self) -> None:
        """Raise ZofbotError if a task has failed."""
        if self.failed:
            raise ZofbotError(f"A task has failed: {', '.join(self.failed)}.", "The log has the traceback.")

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error and task in self._canceled:
            log.warning("task failed while it was canceled", task=task.get_name(), exc_info=error)
        elif error:
            self.failed.append(task.get_name())
            self._on_failure()
            log.error("task failed", task=task.get_name(), exc_info=error)


async def wait_for_tasks(
    tasks: Collection[asyncio.Future[Any]], seconds: float, *, return_when: str = asyncio.ALL_COMPLETED
) -> None:
    """Wait until the tasks have ended, for at most ``seconds``; those that have not go on.

    Not longer where the machine is slow, as ``timeout`` does: Slack and a supervisor do not wait either.
    """
    if tasks:
        await asyncio.wait(tasks, timeout=max(0.0, seconds), return_when=return_when)


async def wait_for_event(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, for at most ``seconds``."""
    try:
        async with timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
