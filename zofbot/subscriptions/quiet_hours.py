"""Quiet hours: whether a time is within them, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from zofbot.subscriptions.model import QuietHours, Subscription

MAX_QUIET_SECONDS = 8 * 86400.0
"""Longest stretch of quiet hours: six whole days and the hours on both sides of them."""


def is_quiet(subscription: Subscription, at: float) -> bool:
    """Whether ``at`` (Unix seconds) is within the subscription's quiet hours, whose end is exclusive."""
    return quiet_until(subscription, at) > 0


def quiet_until(subscription: Subscription, at: float, *, critical: bool = False) -> float:
    """Return when the quiet hours around ``at`` end, both in Unix seconds; 0 outside of quiet hours.

    Adjacent hours and days are joined: with quiet weekends, Friday night ends on Monday morning. With ``critical``,
    quiet hours that let critical failures through count as none.
    """
    quiet = subscription.quiet
    if quiet is None or (critical and quiet.critical):
        return 0.0
    here, end = find_zone(quiet.zone) or UTC, at
    while end < at + MAX_QUIET_SECONDS - 86400 and (later := _quiet_end(quiet, datetime.fromtimestamp(end, here))):
        end = later
    return end if end > at else 0.0


def find_zone(name: str) -> tzinfo | None:
    """Return the named time zone, or None if this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a name that is a folder, such as "Europe"
        return UTC if name.upper() == "UTC" else None


def _quiet_end(quiet: QuietHours, here: datetime) -> float:
    """Return when the quiet day or hours around ``here`` end (Unix seconds); 0 outside of both."""
    if here.weekday() in quiet.days:
        return _to_unix_time(datetime.combine(here.date() + timedelta(days=1), time(), here.tzinfo), here)
    minute = here.hour * 60 + here.minute
    overnight = quiet.start > quiet.end
    inside = minute >= quiet.start or minute < quiet.end if overnight else quiet.start <= minute < quiet.end
    return _next_clock_time(here, quiet.end) if inside else 0.0


def _next_clock_time(here: datetime, minute: int) -> float:
    """Return the next time (Unix seconds) at which the local clock shows ``minute`` of the day."""
    end = here.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0, fold=0)
    if end.replace(tzinfo=None) <= here.replace(tzinfo=None):
        end += timedelta(days=1)
    return _to_unix_time(end, here)


def _to_unix_time(end: datetime, here: datetime) -> float:
    """Return ``end`` in Unix seconds; if a clock change repeats it, the first time later than ``here``."""
    return next((at for fold in (0, 1) if (at := end.replace(fold=fold).timestamp()) > here.timestamp()),
                here.timestamp() + 1)  # fmt: skip
