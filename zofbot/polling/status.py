"""Poller status kept beside the lease: last success, last error.

It is written when the next cycle takes the lease, so it needs no extra request and is one cycle late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zofbot.domain.errors import ZofError

POLLER_LEASE = "poller"
"""Name of the poller's lease."""


@dataclass(frozen=True)
class PollStatus:
    """When polling last succeeded (``well``) and failed (``ill``), Unix seconds, 0 for never; ``why`` it failed."""

    well: float = 0.0
    ill: float = 0.0
    why: str = ""
    request_id: str = ""


def success_note(at: float) -> dict[str, str]:
    """Return the lease note for a cycle that read everything."""
    return {"well": f"{at:.0f}", "ill": "0"}


def failure_note(at: float, error: ZofError) -> dict[str, str]:
    """Return the lease note for a cycle that could not read Zof."""
    return {"ill": f"{at:.0f}", "why": error.sentence, "request_id": error.request_id or ""}


def parse_status(note: Mapping[str, str]) -> PollStatus:
    """Parse a lease note; fields added by a newer version are ignored."""
    times = {name: float(note[name]) for name in ("well", "ill") if note.get(name, "").replace(".", "").isdecimal()}
    return PollStatus(**times, why=note.get("why", ""), request_id=note.get("request_id", ""))
