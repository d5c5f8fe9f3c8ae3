"""Convert the values of Zof's fields; each function returns None for a value of another kind."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

MAX_CURSOR_CHARACTERS = 2048
_MAX_TEXT_CHARACTERS = 20_000  # more than is ever shown, few enough to redact quickly
_MAX_ID_CHARACTERS = 256
_REPLACEMENT_CHARACTER = "\ufffd"  # replaces bytes that were not UTF-8
_MIN_DATETIME, _MAX_DATETIME = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_UNIX_TIME_PATTERN = re.compile(r"[0-9]{9,17}(?:\.[0-9]{0,9})?")


def value_at(data: object, path: tuple[str, ...]) -> object:
    """Return the value at a path of names in nested objects; None if there is none."""
    for step in path:
        if not isinstance(data, dict):
            return None
        data = data.get(step)
    return data


def as_text(value: object) -> str | None:
    """Return non-blank text, with lone surrogates replaced, which JSON allows and UTF-8 does not."""
    if not isinstance(value, str):
        return None
    text = value[:_MAX_TEXT_CHARACTERS].strip()
    return (text if text.isascii() else text.encode("utf-8", "replace").decode()) or None


def as_identifier(value: object) -> str | None:
    """Return an id: text, or an integer as text."""
    result = str(value) if isinstance(value, int) and not isinstance(value, bool) else as_text(value)
    return result if result and len(result) <= _MAX_ID_CHARACTERS and _REPLACEMENT_CHARACTER not in result else None


def as_number(value: object) -> float | None:
    """Return a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) and result >= 0 else None


def as_count(value: object) -> int | None:
    """Return an integer from 0 to 1,000,000,000."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**9 else None


def as_datetime(value: object) -> datetime | None:
    """Return a time in UTC: ISO 8601 (naive means UTC), Unix seconds, or milliseconds above 10^12.

    Times outside this century count as missing: several languages write "never" as a year long past.
    """
    try:
        result = _parse_datetime(value)
    except (ValueError, OverflowError, OSError):
        return None
    return result if result is not None and _MIN_DATETIME <= result < _MAX_DATETIME else None


def _parse_datetime(value: object) -> datetime | None:
    if isinstance(value, str):
        value = value.strip()[:64]
        if not _UNIX_TIME_PATTERN.fullmatch(value):
            result = datetime.fromisoformat(value.upper())
            return result.replace(tzinfo=UTC) if result.tzinfo is None else result.astimezone(UTC)
        value = float(value)
    if (seconds := as_number(value)) is None:
        return None
    return datetime.fromtimestamp(seconds / 1000 if seconds > 1e12 else seconds, UTC)


def as_cursor(value: object) -> str | None:
    """Return a cursor exactly as Zof wrote it, because it is opaque; None if it is malformed or too long.

    Zof documents text (https://zof.ai/docs/api/pagination); an integer is taken as text.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if (
        not isinstance(value, str)
        or len(value) > MAX_CURSOR_CHARACTERS
        or _REPLACEMENT_CHARACTER in value
        or as_text(value) != value.strip()
    ):
        return None
    return value


def as_flag(value: object) -> bool | None:
    """Return a boolean."""
    return value if isinstance(value, bool) else None


def as_text_list(value: object) -> list[str] | None:
    """Return the texts in a list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None
