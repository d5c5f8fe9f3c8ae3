"""The schedule of a channel's digest, daily or weekly at a local time, and when it is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal, NamedTuple

from pydantic import Field

from zofbot.domain.errors import BadInput
from zofbot.domain.frozen_model import FrozenModel
from zofbot.subscriptions.quiet_hours import find_zone
from zofbot.triage.wake_times import DAY_NAMES, DEFAULT_TIME, parse_time_of_day, parse_weekday

TREND_PARTS = {"daily": 8, "weekly": 7}
"""Number of parts into which the period of a digest is divided for its trend."""


class DigestSchedule(FrozenModel):
    """When a digest is due: ``day`` is 0 for Monday (weekly only), ``minute`` of the day; ``zone`` is an IANA name."""

    every: Literal["daily", "weekly"]
    day: int = Field(default=0, ge=0, le=6)
    minute: int = Field(ge=0, lt=1440)
    zone: str = "UTC"


class DigestSetting(FrozenModel):
    """A channel's digest: its schedule, who set it up and when (Unix seconds)."""

    channel: str
    rhythm: DigestSchedule
    by: str = ""
    by_name: str = ""
    since: float = 0.0


class Occurrence(NamedTuple):
    """A time at which a digest is due: the local day, and Unix seconds."""

    day: date
    at: float


def parse_schedule(words: str, zone: str) -> DigestSchedule:
    """Parse a schedule as typed: ``daily``, ``daily 9am``, ``weekly mon 09:00``. Raises BadInput."""
    typed = words[:100].lower().split()
    every, rest = (typed[0], [word for word in typed[1:] if word not in ("at", "on")]) if typed else ("", [])
    if every == "daily" and len(rest) <= 2:
        at = _parse_minute(" ".join(rest))
        return DigestSchedule(every="daily", minute=at, zone=zone)
    if every == "weekly" and rest and (day := parse_weekday(rest[0])) is not None:
        return DigestSchedule(every="weekly", day=day, minute=_parse_minute(" ".join(rest[1:])), zone=zone)
    raise BadInput(
        "Unknown schedule.",
        "Use `daily 09:00`, `weekly mon 09:00` or `off`.",
        example="/zof digest weekly mon 09:00" if every == "weekly" else "/zof digest daily 09:00",
    )


def _parse_minute(typed: str) -> int:
    at = parse_time_of_day(typed) if typed else DEFAULT_TIME
    if at is None:
        raise BadInput("That isn't a time.", "Use `09:00` or `9am`.", example="/zof digest daily 09:00")
    return at.hour * 60 + at.minute


def format_schedule(schedule: DigestSchedule) -> str:
    """Return a schedule as it can be typed: ``weekly mon 09:00``."""
    day = f" {DAY_NAMES[schedule.day][:3].lower()}" if schedule.every == "weekly" else ""
    return f"{schedule.every}{day} {schedule.minute // 60:02d}:{schedule.minute % 60:02d}"


def latest_occurrence(schedule: DigestSchedule, now: float) -> Occurrence:
    """Return when the digest was last due at ``now`` (Unix seconds). Earlier missed digests are not posted."""
    here = datetime.fromtimestamp(now, _schedule_zone(schedule)).date()
    days = (here - timedelta(days=back) for back in range(-1, 9))
    return next(item for item in _occurrences_on(schedule, days) if item.at <= now)


def next_occurrence(schedule: DigestSchedule, now: float) -> Occurrence:
    """Return when the digest is due next after ``now`` (Unix seconds)."""
    here = datetime.fromtimestamp(now, _schedule_zone(schedule)).date()
    days = (here + timedelta(days=ahead) for ahead in range(-1, 9))
    return next(item for item in _occurrences_on(schedule, days) if item.at > now)


def _occurrences_on(schedule: DigestSchedule, days: Iterable[date]) -> Iterator[Occurrence]:
    wanted = range(7) if schedule.every == "daily" else (schedule.day,)
    return (Occurrence(day, _occurrence_time(schedule, day)) for day in days if day.weekday() in wanted)


def digest_key(schedule: DigestSchedule, day: date, channel: str) -> str:
    """Return the idempotency key of a day's digest."""
    return f"digest:{schedule.every}:{day.isoformat()}:{channel}"


def period_bounds(schedule: DigestSchedule, day: date) -> tuple[float, ...]:
    """Return the bounds (Unix seconds, oldest first) of the parts of the period that the digest of ``day`` covers."""
    if schedule.every == "weekly":
        return tuple(_occurrence_time(schedule, day - timedelta(days=back)) for back in range(7, -1, -1))
    begin, end = _occurrence_time(schedule, day - timedelta(days=1)), _occurrence_time(schedule, day)
    parts = TREND_PARTS["daily"]
    return (*(begin + (end - begin) * part / parts for part in range(parts)), end)


def period_bounds_until(schedule: DigestSchedule, now: float) -> tuple[float, ...]:
    """Return the same bounds for a digest that would be due ``now`` (Unix seconds)."""
    here = datetime.fromtimestamp(now, _schedule_zone(schedule))
    moved = schedule.model_copy(update={"minute": here.hour * 60 + here.minute})
    return (*period_bounds(moved, here.date())[:-1], now)


def period_label(schedule: DigestSchedule, at: float) -> str:
    """Return the label of the part that begins at ``at`` (Unix seconds): its day, or its time."""
    here = datetime.fromtimestamp(at, _schedule_zone(schedule))
    return f"{DAY_NAMES[here.weekday()][:3]} {here.day}" if schedule.every == "weekly" else f"{here:%H:%M}"


def _occurrence_time(schedule: DigestSchedule, day: date) -> float:
    """Return the schedule's time on a day in Unix seconds.

    If a clock change skips it, it is later by the skipped time; if one repeats it, the first is used (PEP 495).
    """
    at = time(schedule.minute // 60, schedule.minute % 60)
    return datetime.combine(day, at, _schedule_zone(schedule)).timestamp()


def iana_name(known: tzinfo) -> str:
    """Return the IANA name of a zone; UTC for a fixed offset without one."""
    return str(getattr(known, "key", "UTC"))


def _schedule_zone(schedule: DigestSchedule) -> tzinfo:
    return find_zone(schedule.zone) or UTC
