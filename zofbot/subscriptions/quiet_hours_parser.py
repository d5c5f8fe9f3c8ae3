"""Parse and format quiet hours as typed: ``22:00-07:00,sat,sun,critical``."""

from __future__ import annotations

import re

from zofbot.subscriptions.filter_errors import clip_input, filter_error
from zofbot.subscriptions.filter_values import AuthorContext
from zofbot.subscriptions.model import QuietHours
from zofbot.subscriptions.quiet_hours import find_zone
from zofbot.subscriptions.tokenizer import unquote_value
from zofbot.triage.wake_times import DAY_NAMES, parse_weekday

_GROUPED_DAYS = {"weekdays": "mon-fri", "weekends": "sat-sun", "weekend": "sat-sun"}
_QUIET = re.compile(r"(\d{1,2}):?(\d{2})? ?[-–—] ?(\d{1,2}):?(\d{2})?")


def parse_quiet_hours(values: list[str], author: AuthorContext) -> QuietHours:
    """Parse hours, days of the week, ``critical`` and a time zone, in any order; each but days at most once."""
    unquoted = [unquote_value(value) for value in values]
    hours = [found for value in unquoted if (found := _QUIET.fullmatch(value))]
    days = [day for value in unquoted for day in _parse_weekdays(value)]
    rest = [value for value in unquoted if not _QUIET.fullmatch(value) and not _parse_weekdays(value)]
    zones = [value for value in rest if value.lower() != "critical"]
    start, end = (
        (_minute_of_day(hours[0][1], hours[0][2]), _minute_of_day(hours[0][3], hours[0][4])) if hours else (0, 0)
    )
    if len(hours) > 1 or len(zones) > 1 or max(start, end) >= 1440 or (start == end if hours else not days):
        raise filter_error(
            "quiet",
            f"`{clip_input(','.join(values))}` isn't a time range.",
            "`quiet:22:00-07:00` holds alerts overnight; add `,sat,sun` for whole weekends, `,critical` to let "
            "critical ones through.",
        )
    if len(set(days)) == len(DAY_NAMES):
        raise filter_error("quiet", "All seven days are quiet.", "Remove a day, or the subscription.")
    chosen = (zones or [author.zone])[0]
    if find_zone(chosen) is None:
        raise filter_error("quiet", f"Unknown time zone `{clip_input(chosen)}`.", "Use a name such as `Europe/Berlin`.")
    return QuietHours(start=start, end=end, days=tuple(sorted(set(days))), critical=len(rest) > len(zones), zone=chosen)


def _parse_weekdays(typed: str) -> list[int]:
    """Parse days of the week (0 for Monday): ``sat``, ``mon-fri``, ``weekends``; return none for anything else."""
    first, dash, last = (part.strip() for part in _GROUPED_DAYS.get(typed.lower(), typed).partition("-"))
    start, end = parse_weekday(first), parse_weekday(last) if dash else parse_weekday(first)
    if start is None or end is None or typed.lower().startswith("next "):
        return []
    return [(start + ahead) % 7 for ahead in range((end - start) % 7 + 1)]


def _minute_of_day(hours: str, minutes: str | None) -> int:
    """Return minutes after midnight, or 1440 or more for an invalid time."""
    return int(hours) * 60 + int(minutes or 0) if int(minutes or 0) < 60 else 1440


def format_clock(minute: int) -> str:
    """Format a minute of the day: ``07:00``."""
    return f"{minute // 60:02}:{minute % 60:02}"


def format_quiet_hours(quiet: QuietHours) -> str:
    """Return quiet hours as typed: hours and days, ``critical`` if set, and always the zone."""
    return ",".join([format_hours(quiet), *(["critical"] if quiet.critical else []), quiet.zone])


def format_hours(quiet: QuietHours) -> str:
    """Return only hours and days: ``22:00-07:00,sat,sun``."""
    hours = [f"{format_clock(quiet.start)}-{format_clock(quiet.end)}"] if quiet.start != quiet.end else []
    return ",".join([*hours, *(DAY_NAMES[day][:3].lower() for day in quiet.days)])
