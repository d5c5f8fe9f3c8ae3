"""Parse typed times, such as the end of a snooze, and describe a future time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from zofbot.domain import durations
from zofbot.domain.errors import BadInput

MAX_SNOOZE_SECONDS = 30 * 86400
"""Longest snooze in seconds."""

DEFAULT_TIME = time(9)
"""Time of day for a day typed without a time."""

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_LEAD = re.compile(r"(?:until|till|for|in|at|on) ")
_CLOCK = re.compile(r"(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2}))? ?(?P<half>am|pm)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WEEKDAY = re.compile(r"(?:next )?(mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?")


class SnoozeChoice(NamedTuple):
    """A choice in a menu; ``parse_wake_time`` parses its ``value``."""

    label: str
    value: str


def snooze_choices(now: float, zone: tzinfo) -> list[SnoozeChoice]:
    """Return the choices for a snooze at ``now`` (Unix seconds); on a Monday in ``zone`` the last is "next Monday"."""
    monday = "next Monday 09:00" if datetime.fromtimestamp(now, zone).weekday() == 0 else "Monday 09:00"
    return [
        SnoozeChoice("15 min", "15m"),
        SnoozeChoice("1 h", "1h"),
        SnoozeChoice("4 h", "4h"),
        SnoozeChoice("tomorrow 09:00", "tomorrow 09:00"),
        SnoozeChoice(monday, "next monday 09:00"),
    ]


def parse_wake_time(words: str, now: float, zone: tzinfo) -> float:
    """Parse a future time typed at ``now`` (Unix seconds) in ``zone``, and return it in Unix seconds.

    A duration (``90m``, ``1d`` is 24 hours), a time, a day, or a day and a time: ``fri 14:00``, ``tomorrow``,
    ``2026-11-30 9am``. A weekday is today if the time is still ahead; ``next monday`` never is. A time skipped by a
    clock change is later by the skipped time; of a repeated one, the first that is still ahead is used. Raises BadInput
    for a past time, one more than thirty days ahead, or any other text.
    """
    typed = " ".join(words[:100].lower().split())
    typed = _LEAD.sub("", typed, count=1) if _LEAD.match(typed) else typed
    span = durations.try_parse_duration(typed)
    coming = [now + span] if span is not None else list(_possible_times(typed, now, zone))
    at = next((moment for moment in coming if moment > now), None)
    if at is None:
        raise _time_error("That time has passed." if coming else "That isn't a time.")
    if at - now > MAX_SNOOZE_SECONDS:
        raise _time_error(f"That's too far away: at most {MAX_SNOOZE_SECONDS // 86400} days.")
    return at


def describe_time(at: float, now: float, zone: tzinfo) -> str:
    """Describe a future time in ``zone``: ``tomorrow 09:00 (in 14 h)``. The part before the bracket can be typed."""
    then, here = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
    return (
        f"{_describe_day(then.date(), here.date())} {then:%H:%M} (in {durations.describe_duration(max(at - now, 1))})"
    )


def _describe_day(day: date, today: date) -> str:
    ahead = (day - today).days
    if ahead in (0, 1):
        return "tomorrow" if ahead else "today"
    return DAY_NAMES[day.weekday()] if 1 < ahead < 7 else day.isoformat()


def _possible_times(typed: str, now: float, zone: tzinfo) -> Iterator[float]:
    """Yield each time (Unix seconds) that the text may mean; the first future one is the right one."""
    found = _split_day_and_time(typed)
    if found is None:
        return
    named, clock = found
    for day in _possible_days(named, datetime.fromtimestamp(now, zone).date()):
        # Both folds are equal, except in an hour that a clock change repeats. In a skipped hour the second is earlier,
        # so it is never the first future time (PEP 495).
        yield from (datetime.combine(day, clock.replace(fold=fold), zone).timestamp() for fold in (0, 1))


def _split_day_and_time(typed: str) -> tuple[str, time] | None:
    """Return the text of the day, empty if only a time was typed, and the time; None if there is neither."""
    clock = parse_time_of_day(typed)
    if clock:
        return "", clock
    if _is_day(typed):
        return typed, DEFAULT_TIME
    for space in (found.start() for found in re.finditer(" ", typed)):
        day, clock = typed[:space], parse_time_of_day(typed[space + 1 :].removeprefix("at "))
        if clock and _is_day(day):
            return day, clock
    return None


def parse_time_of_day(typed: str) -> time | None:
    """Parse a time of day, ``9:30`` or ``9am``; return None for anything else."""
    found = _CLOCK.fullmatch(typed)
    if not found or not (found["minute"] or found["half"]):
        return None  # a bare number is ambiguous: a time, a day or minutes
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if found["half"]:
        hour = hour % 12 + (12 if found["half"] == "pm" else 0) if 1 <= hour <= 12 else 24
    return time(hour, minute) if hour < 24 and minute < 60 else None


def parse_weekday(typed: str) -> int | None:
    """Parse a day of the week, ``mon`` or ``Monday``, as 0 for Monday; return None for anything else."""
    found = _WEEKDAY.fullmatch(typed.lower())
    return next((number for number, name in enumerate(DAY_NAMES) if found and name.lower().startswith(found[1])), None)


def _is_day(typed: str) -> bool:
    return bool(typed in ("today", "tomorrow") or _WEEKDAY.fullmatch(typed) or _parse_date(typed))


def _parse_date(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed) if _DATE.fullmatch(typed) else None
    except ValueError:  # such as the 30th of February
        return None


def _possible_days(named: str, today: date) -> list[date]:
    """Return the days that the text may mean, in order."""
    tomorrow = today + timedelta(days=1)
    if known := _parse_date(named):
        return [known]
    wanted = parse_weekday(named)
    if wanted is not None:
        soonest = tomorrow if named.startswith("next ") else today
        first = soonest + timedelta(days=(wanted - soonest.weekday()) % 7)
        return [first, first + timedelta(days=7)]
    return {"": [today, tomorrow], "today": [today], "tomorrow": [tomorrow]}[named]


def _time_error(sentence: str) -> BadInput:
    return BadInput(sentence, "Use `90m`, `fri 14:00` or `tomorrow`.", example="90m")


def parse_start_time(words: str, now: float, zone: tzinfo) -> float:
    """Parse a past time: a duration before ``now`` (``8h``), or the last time it was ``22:00``. Unix seconds.

    Raises BadInput for anything else, and for a duration above thirty days.
    """
    typed = " ".join(words[:100].lower().split()).removeprefix("since ").removeprefix("at ").removeprefix("last ")
    span, clock = durations.try_parse_duration(typed), parse_time_of_day(typed)
    if span is not None and 0 < span <= MAX_SNOOZE_SECONDS:
        return now - span
    if clock:
        today = datetime.fromtimestamp(now, zone).date()
        past = (datetime.combine(day, clock, zone).timestamp() for day in (today, today - timedelta(days=1)))
        return next((at for at in past if at < now), now - 86400)
    raise BadInput("Unknown start time.", "Use a duration or a time: `8h`, `22:00`.", example="/zof handover 8h")
