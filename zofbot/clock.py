"""The one clock: everything that asks for the time or waits for a while does so here, and nowhere else.

The wall clock (Unix seconds) and the event loop's clock (monotonic seconds) are read through one object, made where the
process starts and passed to whatever needs it. So the demo can move the time and tests can run on a virtual one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

MAX_TIMER_DELAY_SECONDS = 0.1
"""How late a timer may fire in a process that runs; one that is later was held up."""


class Clock:
    """The time of the machine and of the event loop."""

    def time(self) -> float:
        """Unix seconds. They may jump: machines are suspended, and clocks are set."""
        return time.time()

    def now(self) -> datetime:
        """The same as a moment in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def monotonic(self) -> float:
        """Seconds of the event loop, which never jump; they stand still while the machine is suspended."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait for a while, at least for one turn of the event loop."""
        await asyncio.sleep(seconds)


class MovableClock(Clock):
    """A clock that can be moved forward, for the simulator; ``base`` gives the Unix seconds that it starts from."""

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self._base = base
        self._offset = 0.0
        self._sleeping: set[tuple[float, asyncio.Event]] = set()

    @property
    def offset_seconds(self) -> float:
        """Seconds by which it was moved in all."""
        return self._offset

    def time(self) -> float:
        """Unix seconds, with all that it was moved by."""
        return self._base() + self._offset

    def advance(self, seconds: float) -> None:
        """Move it forward, and wake who sleeps until then. Raises ValueError for a step back.

        As on a machine that was suspended, the event loop's clock does not move, so no call that is under way is late.
        """
        if not seconds >= 0:
            raise ValueError("The clock only moves forward.")
        self._offset += seconds
        now = self.time()
        for due, wake in self._sleeping:
            if due <= now:
                wake.set()

    async def sleep(self, seconds: float) -> None:
        """Wait for a while, or until the clock is moved past its end."""
        wake = asyncio.Event()
        sleeper = (self.time() + seconds, wake)
        self._sleeping.add(sleeper)
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
        except TimeoutError:
            pass
        finally:
            self._sleeping.discard(sleeper)


@asynccontextmanager
async def timeout(seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Limit a wait for others, like ``asyncio.timeout``, but give back what a standstill of this process took.

    It goes by the event loop alone, whatever the wall clock shows. After a standstill, as of a container that is
    throttled or a machine that is moved, the alarm is due before the answer is read that has been lying in the socket:
    nobody was late but this process. Raises TimeoutError.
    """
    loop = asyncio.get_running_loop()
    alarm: asyncio.TimerHandle | None = None

    def set_alarm(due: float) -> None:
        nonlocal alarm
        alarm = loop.call_at(due, fire_alarm, due)

    def fire_alarm(due: float) -> None:
        late = loop.time() - due
        if late < MAX_TIMER_DELAY_SECONDS:
            limit.reschedule(due)
        else:
            set_alarm(loop.time() + min(late, seconds))

    async with asyncio.timeout(None) as limit:
        set_alarm(loop.time() + seconds)
        try:
            yield limit
        finally:
            if alarm is not None:
                alarm.cancel()
