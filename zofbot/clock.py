"""The only source of time: all code reads the time and sleeps through a Clock that is passed in.

A Clock reads the wall clock (Unix seconds) and the event loop's clock (monotonic seconds). It is made once per process,
so that the demo can advance the time and tests can run on virtual time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType

MAX_TIMER_DELAY_SECONDS = 0.1
"""A timer that fires later than this shows that the process was suspended or throttled."""


class Clock:
    """The machine's wall clock and the event loop's clock."""

    def time(self) -> float:
        """Unix seconds; may jump when the machine was suspended or its clock is set."""
        return time.time()

    def now(self) -> datetime:
        """``time()`` as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def monotonic(self) -> float:
        """Seconds of the event loop's clock; never jumps, and stops while the machine is suspended."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Sleep, for at least one iteration of the event loop."""
        await asyncio.sleep(seconds)


class MovableClock(Clock):
    """A clock that can be moved forward, for the simulator; ``base`` returns the real time in Unix seconds."""

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self._base = base
        self._offset = 0.0
        self._sleeping: set[tuple[float, asyncio.Event]] = set()

    @property
    def offset_seconds(self) -> float:
        """Seconds it has been moved forward in total."""
        return self._offset

    def time(self) -> float:
        """Unix seconds, including ``offset_seconds``."""
        return self._base() + self._offset

    def advance(self, seconds: float) -> None:
        """Move forward and wake every sleep that is now over. Raises ValueError for a negative step.

        The event loop's clock does not move, as on a machine that was suspended, so no pending call times out.
        """
        if not seconds >= 0:
            raise ValueError("The clock only moves forward.")
        self._offset += seconds
        now = self.time()
        for due, wake in self._sleeping:
            if due <= now:
                wake.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep, or return early once the clock is moved past the end."""
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


class timeout:  # noqa: N801  (used like asyncio.timeout)
    """Limit a wait like ``asyncio.timeout``, but ignore time during which this process was suspended.

    Uses the event loop's clock only. After a suspension (a throttled container, a migrated machine) the timer is due
    before the reply already waiting in the socket is read; the wait is then extended. With more than one of ``steps``
    the wait is measured in as many equal parts, each from the moment at which the one before was seen to be over. So
    it is also extended for a process that often gets no CPU for a moment. Raises TimeoutError.
    """

    __slots__ = ("_alarm", "_limit", "_loop", "_step_seconds", "_steps")

    def __init__(self, seconds: float, *, steps: int = 1) -> None:
        self._step_seconds, self._steps = max(0.0, seconds) / steps, steps

    async def __aenter__(self) -> asyncio.Timeout:
        self._loop = asyncio.get_running_loop()
        self._limit = await asyncio.Timeout(None).__aenter__()
        self._set_alarm(self._loop.time() + self._step_seconds)
        return self._limit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._alarm.cancel()
        await self._limit.__aexit__(kind, error, traceback)

    def _set_alarm(self, due: float) -> None:
        self._alarm = self._loop.call_at(due, self._fire_alarm, due)

    def _fire_alarm(self, due: float) -> None:
        now = self._loop.time()
        late = now - due
        if late >= MAX_TIMER_DELAY_SECONDS:
            self._set_alarm(now + min(late, self._step_seconds))
            return
        self._steps -= 1
        if self._steps:
            self._set_alarm(now + self._step_seconds)
        else:
            self._limit.reschedule(due)
