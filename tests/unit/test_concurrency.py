"""Tasks that run as long as the process: a failure is noticed, also that of a task within one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.bot import wait_until
from zofbot.concurrency import ProcessTasks
from zofbot.domain.errors import ZofbotError


async def fail_later() -> None:
    await asyncio.sleep(1)
    raise KeyError("unexpected")


async def fail_in_group() -> None:
    """Before Python 3.13 a TaskGroup leaves its own task marked as cancelled when one that it waits for fails."""
    async with asyncio.TaskGroup() as group:
        group.create_task(fail_later())


async def fail_when_cancelled() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        raise KeyError("unexpected")


@pytest.mark.parametrize("work", [fail_later, fail_in_group])
async def test_a_task_that_fails_is_named_and_logged(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    tasks, stop = ProcessTasks(), asyncio.Event()
    tasks.call_on_failure(stop.set)
    with capture_logs() as logs:
        tasks.start("work", work())
        await wait_until(stop.is_set)
    assert [line["task"] for line in logs if line["event"] == "task failed"] == ["work"]
    with pytest.raises(ZofbotError, match="work"):
        tasks.check_failures()


async def test_an_error_while_a_task_is_canceled_is_no_failure() -> None:
    tasks = ProcessTasks()
    task = tasks.start("work", fail_when_cancelled())
    await asyncio.sleep(1)
    with capture_logs() as logs:
        await tasks.cancel(task)
    assert [line["event"] for line in logs] == ["task failed while it was canceled"]
    tasks.check_failures()
