"""The simulated world as plain data: a movable clock, a Slack workspace, and a Zof organization."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from zofbot.clock import MovableClock
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.zof.state import Organization


class World:
    """All state of the simulator; does no input or output.

    The bot uses the same ``clock``; ``seed`` makes generated ids repeatable. ``version`` rises with every visible
    change.
    """

    def __init__(self, clock: MovableClock, seed: int = 1) -> None:
        self.clock = clock
        self.version = 0
        self._watchers: dict[object, Callable[[], None]] = {}
        random = Random(seed)  # noqa: S311 - made-up ids, not secrets
        self.slack = Workspace(self.unix_time, random, self.notify_watchers)
        self.zof = Organization(self.unix_time, random, self.notify_watchers)

    def unix_time(self) -> float:
        """Simulated time in Unix seconds."""
        return self.clock.time()

    def advance(self, seconds: float) -> None:
        """Move the clock forward. Raises ``ValueError`` for a negative step, because timestamps must rise."""
        self.clock.advance(seconds)
        self.notify_watchers()

    def notify_watchers(self) -> None:
        """Raise the version and call every watcher."""
        self.version += 1
        for tell in list(self._watchers.values()):
            tell()

    def add_watcher(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call ``tell`` after every change; returns a function that removes the watcher."""
        key = object()
        self._watchers[key] = tell
        return lambda: self._watchers.pop(key, None) and None
