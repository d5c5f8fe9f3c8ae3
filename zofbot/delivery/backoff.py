"""The time between attempts: at Slack, and at a store that does not answer."""

from __future__ import annotations

MAX_BACKOFF_SECONDS = 60.0
"""Upper limit of the retry backoff, in seconds."""


def retry_delay(attempt: int, chance: float) -> float:
    """Return the seconds until the next attempt: full jitter below an exponentially growing limit."""
    return max(0.1, chance * min(MAX_BACKOFF_SECONDS, 2.0 ** min(attempt - 1, 10)))
