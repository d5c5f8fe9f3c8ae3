"""The kinds of value a field of Zof's may hold; each gives None for anything but what it is named after."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

MAX_CURSOR_CHARACTERS = 2048
_MAX_TEXT_CHARACTERS = 20_000  # characters; far above what any reader shows, far below what would slow redaction down
_MAX_ID_CHARACTERS = 256
_REPLACEMENT_CHARACTER = "\ufffd"  # stands where bytes were no UTF-8: what was meant is not known
_MIN_DATETIME, _MAX_DATETIME = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_UNIX_TIME_PATTERN = re.compile(r"[0-9]{9,17}(?:\.[0-9]{0,9})?")


def value_at(thing: object, path: tuple[str, ...]) -> object:
    """What stands in an object under a name, or in the objects inside it under several; None where nothing does."""
    for step in path:
        if not isinstance(thing, dict):
            return None
        thing = thing.get(step)
    return thing


def as_text(value: object) -> str | None:
    """Text that is not blank, without the half characters JSON can smuggle in and nothing else can carry."""
    if not isinstance(value, str):
        return None
    return value[:_MAX_TEXT_CHARACTERS].strip().encode("utf-8", "replace").decode() or None


def as_identifier(value: object) -> str | None:
    """An id: text, or a whole number."""
    known = str(value) if isinstance(value, int) and not isinstance(value, bool) else as_text(value)
    return known if known and len(known) <= _MAX_ID_CHARACTERS and _REPLACEMENT_CHARACTER not in known else None


def as_number(value: object) -> float | None:
    """A number that is finite and not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        known = float(value)
    except OverflowError:
        return None
    return known if math.isfinite(known) and known >= 0 else None


def as_count(value: object) -> int | None:
    """A whole number from nought to a milliard."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**9 else None


def as_datetime(value: object) -> datetime | None:
    """A time in UTC: ISO 8601 (naive means UTC), or Unix seconds, or milliseconds above 10^12.

    What lies outside this century is missing: several languages write "never" as a year long past.
    """
    try:
        known = _parse_datetime(value)
    except (ValueError, OverflowError, OSError):
        return None
    return known if known is not None and _MIN_DATETIME <= known < _MAX_DATETIME else None


def _parse_datetime(value: object) -> datetime | None:
    if isinstance(value, str):
        value = value.strip()[:64]
        if not _UNIX_TIME_PATTERN.fullmatch(value):
            known = datetime.fromisoformat(value.upper())
            return known.replace(tzinfo=UTC) if known.tzinfo is None else known.astimezone(UTC)
        value = float(value)
    if (seconds := as_number(value)) is None:
        return None
    return datetime.fromtimestamp(seconds / 1000 if seconds > 1e12 else seconds, UTC)


def as_cursor(value: object) -> str | None:
    """A cursor as Zof wrote it: it is opaque, so nothing of it is mended or cut."""
    if (
        not isinstance(value, str)
        or len(value) > MAX_CURSOR_CHARACTERS
        or _REPLACEMENT_CHARACTER in value
        or as_text(value) != value.strip()
    ):
        return None
    return value
