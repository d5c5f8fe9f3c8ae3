"""What a subscription would have posted, as the rules count it and the views say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class PreviewResult:
    """Number of top-level ``messages``, ``worst`` of them on one ``day``, and of their thread ``replies``.

    ``partial``: not all data could be read. ``unlisted``: it includes events that Zof sends but does not list.
    """

    messages: int = 0
    worst: int = 0
    day: date | None = None
    replies: int = 0
    partial: bool = False
    unlisted: bool = False
    silence: str = ""
    """Why it would have posted nothing (mrkdwn)."""
