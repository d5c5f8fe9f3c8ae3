"""Rate limits of the simulated servers: per minute, or one per second with a short burst."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class MinuteQuota:
    """A quota that resets with every minute of the clock."""

    limit: int
    used: int = 0
    window: int = 0

    def try_spend(self, now: float) -> bool:
        """Spend one request; False if none is left in this minute."""
        window = int(now // 60)
        if window != self.window:
            self.window, self.used = window, 0
        self.used += 1
        return self.used <= self.limit

    @property
    def remaining_requests(self) -> int:
        """Return the requests left in this minute."""
        return max(0, self.limit - self.used)

    @property
    def resets_at(self) -> int:
        """Return the Unix time of the next reset."""
        return (self.window + 1) * 60

    def seconds_until_reset(self, now: float) -> int:
        """Return the whole seconds until the next reset, at least one."""
        return max(1, math.ceil(self.resets_at - now))


@dataclass
class BurstLimit:
    """One per second on average, ``burst`` at once (generic cell rate algorithm)."""

    burst: int = 3
    due: float = 0.0

    def try_spend(self, now: float) -> bool:
        """Return whether one more is allowed now; a refused attempt costs nothing."""
        due = max(self.due, now)
        if due - now > self.burst - 1:
            return False
        self.due = due + 1
        return True
