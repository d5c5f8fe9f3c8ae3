"""Quiet hours: whether a moment lies in them, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from zofbot.routing.subscription import Quiet, Subscription


def in_quiet(subscription: Subscription, at: float) -> bool:
    """Whether ``at`` (Unix seconds) lies in the subscription's quiet hours; their last minute is not part of them."""
    return quiet_until(subscription, at) > 0


def quiet_until(subscription: Subscription, at: float, *, critical: bool = False) -> float:
    """When the quiet hours around ``at`` end, both in Unix seconds; 0 when there is nothing to wait for."""
    quiet = subscription.quiet
    if quiet is None or (critical and quiet.critical):
        return 0.0
    here = datetime.fromtimestamp(at, zone(quiet.zone) or UTC)
    return _next(here, quiet.end) if _inside(quiet, here.hour * 60 + here.minute) else 0.0


def zone(name: str) -> tzinfo | None:
    """The named time zone, ``None`` where this machine knows none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a name that is a folder, such as "Europe"
        return UTC if name.upper() == "UTC" else None


def _inside(quiet: Quiet, minute: int) -> bool:
    if quiet.start <= quiet.end:
        return quiet.start <= minute < quiet.end
    return minute >= quiet.start or minute < quiet.end


def _next(here: datetime, minute: int) -> float:
    """The next time the clock on the wall shows ``minute``."""
    end = here.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0, fold=0)
    if end.replace(tzinfo=None) <= here.replace(tzinfo=None):
        end += timedelta(days=1)
    return max(end.timestamp(), here.timestamp() + 1)  # the hour that a clock change repeats must not end in the past
