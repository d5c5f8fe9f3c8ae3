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
    """When polling last succeeded and failed, Unix seconds, 0 for never; and the ``error`` of that failure."""

    succeeded_at: float = 0.0
    failed_at: float = 0.0
    error: str = ""
    request_id: str = ""


def success_note(at: float) -> dict[str, str]:
    """Return the lease note for a cycle that read everything."""
    return {"well": f"{at:.0f}", "ill": "0"}


def failure_note(at: float, error: ZofError) -> dict[str, str]:
    """Return the lease note for a cycle that could not read Zof."""
    return {"ill": f"{at:.0f}", "why": error.sentence, "request_id": error.request_id or ""}


def parse_status(note: Mapping[str, str]) -> PollStatus:
    """Parse a lease note; fields added by a newer version are ignored."""
    return PollStatus(
        succeeded_at=_parse_time(note.get("well", "")),
        failed_at=_parse_time(note.get("ill", "")),
        error=note.get("why", ""),
        request_id=note.get("request_id", ""),
    )


def _parse_time(text: str) -> float:
    """Parse a time in Unix seconds; 0 if it is missing or unreadable."""
    return float(text) if text.replace(".", "").isdecimal() else 0.0
