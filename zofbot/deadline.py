"""A limit on a wait for others, in which the time that this process itself stood still does not count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STOOD = 0.1
"""Seconds by which an alarm may ring late in a process that runs; one that is later was held up."""


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Like ``asyncio.timeout``, but whoever is waited for gets back what a standstill took.

    After one, as of a throttled container or a machine that is moved, an alarm is due before the answer is read that
    has been lying in the socket: nobody was late but us. Raises TimeoutError.
    """
    loop = asyncio.get_running_loop()
    alarm: asyncio.TimerHandle | None = None

    def set_alarm(due: float) -> None:
        nonlocal alarm
        alarm = loop.call_at(due, ring, due)

    def ring(due: float) -> None:
        stood = loop.time() - due
        if stood < STOOD:
            limit.reschedule(due)
        else:
            set_alarm(loop.time() + min(stood, seconds))

    async with asyncio.timeout(None) as limit:
        set_alarm(loop.time() + seconds)
        try:
            yield
        finally:
            if alarm is not None:
                alarm.cancel()
