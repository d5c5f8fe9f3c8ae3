"""The word that the poller leaves with its lease: when it last read Zof well, and what kept it from doing so since.

It is left by the step in which the next turn takes the lease, so it costs nothing and comes a turn late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zofbot.domain.errors import ZofError

POLLER_LEASE = "poller"
"""What its lease is called."""


@dataclass(frozen=True)
class PollStatus:
    """``well`` and ``ill`` are Unix seconds, 0 for never; ``why`` is about ``ill``."""

    well: float = 0.0
    ill: float = 0.0
    why: str = ""
    request_id: str = ""


def success_note(at: float) -> dict[str, str]:
    """All was read."""
    return {"well": f"{at:.0f}", "ill": "0"}


def failure_note(at: float, error: ZofError) -> dict[str, str]:
    """Zof did not let itself be read."""
    return {"ill": f"{at:.0f}", "why": error.sentence, "request_id": error.request_id or ""}


def parse_status(word: Mapping[str, str]) -> PollStatus:
    """Understand a word; what a newer version added is left aside."""
    times = {name: float(word[name]) for name in ("well", "ill") if word.get(name, "").replace(".", "").isdecimal()}
    return PollStatus(**times, why=word.get("why", ""), request_id=word.get("request_id", ""))
