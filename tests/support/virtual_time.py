"""An event loop on which waiting takes no time: its clock stands still while anything is going on, then jumps.

Bot, simulator and test live on one loop. As soon as all of them wait, and nothing outside of the process is waited for
(a reply of Redis, a thread), the loop's clock moves to the next timer. So an hour of reminders passes in a moment, a
busy or a stopped machine makes nothing late, and no test depends on how fast it runs.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio.connection import AbstractConnection

from zofbot.clock import MovableClock

EPOCH = float(os.environ.get("ZOFBOT_TEST_EPOCH", "0")) or time.time()
"""Unix seconds at which every test begins; a failing test prints it, to be set when the failure is reproduced."""

START_SECONDS = 10_000.0
"""What the loop's clock shows at first: as a machine's own, nothing that a test could take for its zero."""

GRACE_SHARE, GRACE_SECONDS = 0.02, 0.005
"""Real seconds that the kernel has to hand over what one socket of this process wrote to another: a share of each jump
and the most."""

STUCK_SECONDS = float(os.environ.get("STUCK", "60"))
"""Real seconds without any event or timer after which a test is given up: nothing will ever happen."""


class _Selector(selectors.DefaultSelector):
    """Waits for sockets, and moves the loop's clock instead where nobody outside is waited for."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self.loop.waits_outside:
            ready = super().select(STUCK_SECONDS)
            if not ready:
                raise RuntimeError(f"nothing happened for {STUCK_SECONDS:.0f} s, and nothing is due")
            return ready
        ready = super().select(min(timeout * GRACE_SHARE, GRACE_SECONDS))
        if not ready:
            self.loop.jump(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; it counts what is waited for from other processes and threads."""

    def __init__(self) -> None:
        self.outside = 0
        self.redis_replies = 0
        self.redis_answers = True
        self._now = START_SECONDS
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    @property
    def waits_outside(self) -> bool:
        """Whether somebody other than this loop has to act before time may pass."""
        return self.outside > 0 or (self.redis_answers and self.redis_replies > 0)

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Let no time pass while the thread works."""
        future = super().run_in_executor(executor, func, *args)
        self.outside += 1

        def ended(_: object) -> None:
            self.outside -= 1

        future.add_done_callback(ended)
        return future


def test_clock() -> MovableClock:
    """Make the clock of a test: on a virtual loop it goes by the loop's, else by the machine's; it can be moved, too."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        return MovableClock()
    return MovableClock(lambda: EPOCH + loop.time() - START_SECONDS)


test_clock.__test__ = False  # type: ignore[attr-defined]  # pytest is not to collect it


class SetClock(MovableClock):
    """A clock that shows what a test sets, ``at`` in Unix seconds, whatever the loop's shows."""

    def __init__(self, at: float = EPOCH) -> None:
        super().__init__(lambda: self.at)
        self.at = at

    def advance(self, seconds: float) -> None:
        self.at += seconds
        super().advance(0)


@contextmanager
def other_process() -> Iterator[None]:
    """Let no virtual time pass while another process is waited for; it may talk to servers of this one meanwhile."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        yield
        return
    loop.outside += 1
    try:
        yield
    finally:
        loop.outside -= 1


@contextmanager
def silent_redis() -> Iterator[None]:
    """Let virtual time pass although replies of Redis are waited for: the test has seen to it that none come."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.redis_answers = False
    try:
        yield
    finally:
        loop.redis_answers = True


def count_redis_replies() -> None:
    """Have virtual loops stand still while a reply of a Redis server is on its way.

    Not for messages of a subscription: nobody knows whether one will come.
    """
    read = AbstractConnection.read_response

    async def counted(self: AbstractConnection, *args: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop) or options.get("push_request"):
            return await read(self, *args, **options)
        loop.redis_replies += 1
        try:
            return await read(self, *args, **options)
        finally:
            loop.redis_replies -= 1

    AbstractConnection.read_response = counted  # type: ignore[method-assign]
