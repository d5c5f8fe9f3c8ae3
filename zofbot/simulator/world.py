"""The pretend world as plain data: a clock that can be moved, a Slack workspace, and a Zof organization."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from zofbot.clock import MovableClock
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.zof.state import Organization


class World:
    """Everything the simulator knows; it does no input or output.

    ``clock`` is the bot's as well, and ``seed`` makes every generated id repeatable. ``version`` rises with every
    change that somebody could see.
    """

    def __init__(self, clock: MovableClock, seed: int = 1) -> None:
        self.clock = clock
        self.version = 0
        self._watchers: dict[object, Callable[[], None]] = {}
        random = Random(seed)  # noqa: S311 - made-up ids, not secrets
        self.slack = Workspace(self.unix_time, random, self.notify_watchers)
        self.zof = Organization(self.unix_time, random, self.notify_watchers)

    def unix_time(self) -> float:
        """Unix seconds in the pretend world."""
        return self.clock.time()

    def advance(self, seconds: float) -> None:
        """Move the clock forward. Raises ``ValueError`` for a step back: time stamps have to rise."""
        self.clock.advance(seconds)
        self.notify_watchers()

    def notify_watchers(self) -> None:
        """Raise the version and tell who watches."""
        self.version += 1
        for tell in list(self._watchers.values()):
            tell()

    def add_watcher(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call ``tell`` after every change; returns what ends that."""
        key = object()
        self._watchers[key] = tell
        return lambda: self._watchers.pop(key, None) and None
