"""Parse and format durations (``15m``, ``1h30m``, ``45 min``), and measure the offset between two clocks."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

SECONDS_BY_UNIT = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
"""Seconds in each unit, largest first."""

MAX_CLOCK_SKEW_SECONDS = 30.0
"""Seconds of offset tolerated: far more than a reply's travel time and the rounding of a ``Date`` header."""

_DURATION_PATTERN = re.compile(
    r"(?:([0-9]{1,7}) ?(?:w|wks?|weeks?) ?)?(?:([0-9]{1,7}) ?(?:d|days?) ?)?(?:([0-9]{1,7}) ?(?:h|hrs?|hours?) ?)?"
    r"(?:([0-9]{1,7}) ?(?:m|mins?|minutes?) ?)?(?:([0-9]{1,7}) ?(?:s|secs?|seconds?))?"
)


def try_parse_duration(typed: str) -> int | None:
    """Parse a duration as seconds, units from large to small, each at most once; return None if the text is none."""
    words = " ".join(typed.lower().split())
    found = _DURATION_PATTERN.fullmatch(words) if words else None
    if found is None:
        return None
    return sum(int(count or 0) * size for count, size in zip(found.groups(), SECONDS_BY_UNIT.values(), strict=True))


def format_duration(span: int) -> str:
    """Format seconds in the largest unit without remainder, for ``try_parse_duration``: ``15m``, ``90m``, ``1d``."""
    unit = next(unit for unit in ("d", "h", "m", "s") if span % SECONDS_BY_UNIT[unit] == 0)
    return f"{span // SECONDS_BY_UNIT[unit]}{unit}"


def describe_duration(seconds: float) -> str:
    """Format seconds for people: ``850 ms``, ``4.2 s``, ``1 min 42 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    ranks = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    size, unit, smaller, small = next(rank for rank in ranks if whole >= rank[0])
    rest = whole % size // smaller
    return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")


def clock_offset(date: str, now: float) -> float | None:
    """Return the seconds by which ``now`` (Unix) is ahead of a ``Date`` header; None if that cannot be parsed."""
    try:
        return now - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def to_milliseconds(seconds: float) -> int:
    """Convert seconds, as the code has them, to whole milliseconds, as Redis has them."""
    return round(seconds * 1000)
