"""How many requests the pretend servers allow: so many a minute, or one a second with a short burst."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class MinuteQuota:
    """A quota that starts afresh with every minute of the clock."""

    limit: int
    used: int = 0
    window: int = 0

    def try_spend(self, now: float) -> bool:
        """Spend one request; false when none is left in this minute."""
        window = int(now // 60)
        if window != self.window:
            self.window, self.used = window, 0
        self.used += 1
        return self.used <= self.limit

    @property
    def remaining_requests(self) -> int:
        """What is left of this minute's requests."""
        return max(0, self.limit - self.used)

    @property
    def resets_at(self) -> int:
        """Unix time at which the quota starts afresh."""
        return (self.window + 1) * 60

    def seconds_until_reset(self, now: float) -> int:
        """Whole seconds until the quota starts afresh, one at least."""
        return max(1, math.ceil(self.resets_at - now))


@dataclass
class BurstLimit:
    """One thing a second on average, ``burst`` at once (the generic cell rate algorithm)."""

    burst: int = 3
    due: float = 0.0

    def try_spend(self, now: float) -> bool:
        """Go ahead, or not yet; a refused attempt costs nothing."""
        due = max(self.due, now)
        if due - now > self.burst - 1:
            return False
        self.due = due + 1
        return True
