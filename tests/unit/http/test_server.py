"""The HTTP server's own task."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tests.support.bot import wait_until
from zofbot.clock import Clock
from zofbot.concurrency import ProcessTasks
from zofbot.http.limits import IdleConnectionReaper
from zofbot.http.server import serve_app


class BrokenClock(Clock):
    """A clock whose sleeps fail."""

    async def sleep(self, seconds: float) -> None:
        raise OverflowError(seconds)


async def test_a_failure_of_the_check_for_idle_connections_is_one_of_the_process() -> None:
    tasks, stop = ProcessTasks(), asyncio.Event()
    tasks.call_on_failure(stop.set)
    async with serve_app(web.Application(), "127.0.0.1", 0, tasks, IdleConnectionReaper(BrokenClock())):
        await wait_until(stop.is_set)
    assert tasks.failed == ["idle connections"]
