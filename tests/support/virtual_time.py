"""An event loop with virtual time: its clock stops while there is work, and jumps to the next timer when all wait.

Bot, simulator and test share one loop. When all of them wait, and nothing outside the process is pending
(a reply of Redis, a thread), the clock jumps to the next timer. So an hour of reminders takes no time, a
busy machine makes nothing late, and no test depends on the machine's speed.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio.connection import AbstractConnection

from zofbot.clock import MovableClock
from zofbot.store.redis_server.lean_connection import LeanConnection

EPOCH_SECONDS = float(os.environ.get("ZOFBOT_TEST_EPOCH", "0"))
"""Unix seconds at which every test begins, to reproduce a failure that printed them; 0: now."""

EPOCH_STEP_SECONDS = 10.0
"""Tests begin at a multiple of it, so that most have the same sample world; less than the tolerated clock skew."""

START_SECONDS = 10_000.0
"""Initial value of the loop's clock; not 0, so that no code relies on that."""

GRACE_SHARE, GRACE_SECONDS = 0.005, 0.005
"""Real seconds that the kernel and a server's subscribers have to hand over what was sent: a share of the time that is
jumped over, and the most for one jump."""

STUCK_SECONDS = 60
"""Real seconds without any event or timer after which a test fails, because it is stuck."""


class _Selector(selectors.DefaultSelector):
    """A selector that moves the loop's clock instead of waiting, if nothing outside is pending."""

    loop: VirtualLoop
    _grace = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self.loop.waits_outside:
            return self._wait_for_outside()
        self._grace += min(timeout * GRACE_SHARE, GRACE_SECONDS)
        if self._grace >= 0.001:  # epoll waits for whole milliseconds
            ready = super().select(self._grace)
            self._grace = 0.0
        if not ready:
            self.loop.advance_time(timeout)
        return ready

    def _wait_for_outside(self) -> Any:
        """Wait second by second, so that one in which the machine was suspended counts like any other."""
        for _ in range(STUCK_SECONDS):
            if ready := super().select(1.0):
                return ready
        raise RuntimeError(f"nothing happened for {STUCK_SECONDS} s, and nothing is due")


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop; counts pending replies of other processes and threads."""

    latest_epoch = EPOCH_SECONDS

    def __init__(self) -> None:
        self.epoch = VirtualLoop.latest_epoch = EPOCH_SECONDS or time.time() // EPOCH_STEP_SECONDS * EPOCH_STEP_SECONDS
        self.outside = 0
        self.redis_replies = 0
        self.redis_answers = True
        self._now = START_SECONDS
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    @property
    def waits_outside(self) -> bool:
        """True if a reply from outside is pending, so that time must not pass."""
        return self.outside > 0 or (self.redis_answers and self.redis_replies > 0)

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def advance_time(self, seconds: float) -> None:
        """Move the clock forward; called by a test, this simulates a suspended process."""
        self._now += seconds

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Stop the clock while the thread works."""
        future = super().run_in_executor(executor, func, *args)
        self.outside += 1

        def on_thread_end(_: object) -> None:
            self.outside -= 1

        future.add_done_callback(on_thread_end)
        return future

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        """Let no time pass until the threads have ended: Python 3.12 and later wait for them with a time limit."""
        self.outside += 1
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self.outside -= 1

    async def subprocess_exec(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """Stop the clock until the process has ended; it may use servers of this process meanwhile."""
        transport, protocol = await super().subprocess_exec(protocol_factory, *args, **options)
        exited: Callable[[], None] = protocol.process_exited

        def on_process_end() -> None:
            self.outside -= 1
            exited()

        self.outside += 1
        protocol.process_exited = on_process_end
        return transport, protocol


def stand_still(seconds: float) -> None:
    """Advance the time while the process does nothing, as when it is suspended."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.advance_time(seconds)


async def run_now_and_then(seconds: float) -> None:
    """Run for a moment every 0.15 s, for so long in total, as on a busy machine."""
    for _ in range(round(seconds / 0.15)):
        stand_still(0.14)
        await asyncio.sleep(0.01)


def test_clock() -> MovableClock:
    """Make a test's movable clock, based on the virtual loop's clock, else on the machine's."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        return MovableClock()
    return MovableClock(lambda: loop.epoch + loop.time() - START_SECONDS)


test_clock.__test__ = False  # type: ignore[attr-defined]  # not a test


def machine_clock() -> MovableClock:
    """Make a test's clock that begins at the machine's time, for tests in which Redis or a process tells its own."""
    clock = test_clock()
    clock.advance(max(0.0, time.time() - clock.time()))
    return clock


class SetClock(MovableClock):
    """A clock that a test sets; ``at`` is in Unix seconds, independent of the loop's clock."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        super().__init__(lambda: self._set)
        self._set = at

    @property
    def at(self) -> float:
        return self.time()

    @at.setter
    def at(self, at: float) -> None:
        self._set = at - self._offset


@contextmanager
def silent_redis() -> Iterator[None]:
    """Let virtual time pass although replies of Redis are pending, because the test suspended Redis."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.redis_answers = False
    try:
        yield
    finally:
        loop.redis_answers = True


class ReplyFromOutside:
    """Stops virtual time while a test itself waits for a reply of another process."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop, self._expected = loop, False

    def expect(self) -> None:
        self._loop.outside += not self._expected
        self._expected = True

    def receive(self) -> None:
        self._loop.outside -= self._expected
        self._expected = False


class StoppedClock(SetClock):
    """A set clock with a set monotonic time, for code without an event loop."""

    def monotonic(self) -> float:
        return self.at


def count_redis_replies() -> None:
    """Stop virtual loops while a Redis server reads a command, which can be larger than a socket's buffer, or answers.

    Not for messages of a subscription, which may never come.
    """
    _stop_time_during(AbstractConnection, "read_response", unless="push_request")
    for connection in (AbstractConnection, LeanConnection):
        _stop_time_during(connection, "send_packed_command", connects=True)


def _stop_time_during(connection: type, name: str, *, unless: str = "", connects: bool = False) -> None:
    """Count a method of connections as a pending reply while it runs, except with the option ``unless``.

    ``connects``: it may open the connection, which is done before and not counted, because it pauses between attempts.
    """
    method = getattr(connection, name)

    async def run_counted(self: AbstractConnection, *args: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop) or options.get(unless):
            return await method(self, *args, **options)
        if connects and not self.is_connected:
            await self.connect_check_health(check_health=False)
        loop.redis_replies += 1
        try:
            return await method(self, *args, **options)
        finally:
            loop.redis_replies -= 1

    setattr(connection, name, run_counted)
