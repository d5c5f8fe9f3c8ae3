"""Quiet hours: typed with days and zones, spelled back, and when they end."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from zofbot.domain.errors import BadInput
from zofbot.subscriptions import QuietHours, Subscription, format_filters, parse_filters, quiet_until

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT: dict[str, Any] = {"start": 1320, "end": 420}


def berlin(day: int, hour: int, minute: int = 0) -> float:
    """A moment of June 2026, which begins on a Monday."""
    return datetime(2026, 6, day, hour, minute, tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("typed", "quiet", "shown"),
    [
        ("22:00-07:00,sat,sun", QuietHours(**NIGHT, days=(5, 6), zone="Asia/Tokyo"), "22:00-07:00,sat,sun,Asia/Tokyo"),
        ("weekends", QuietHours(days=(5, 6), zone="Asia/Tokyo"), "sat,sun,Asia/Tokyo"),
        ("fri-mon,critical,UTC", QuietHours(days=(0, 4, 5, 6), critical=True), "mon,fri,sat,sun,critical,UTC"),
        ("Europe/Berlin,Saturday,22-7", QuietHours(**NIGHT, days=(5,), zone="Europe/Berlin"),
         "22:00-07:00,sat,Europe/Berlin"),
        ("22-7,UTC", QuietHours(**NIGHT), "22:00-07:00,UTC"),
    ],
)  # fmt: skip
def test_days_and_zone_are_read_in_any_order_and_the_zone_is_always_spelled(
    typed: str, quiet: QuietHours, shown: str
) -> None:
    read = parse_filters(f"quiet:{typed}", zone="Asia/Tokyo")
    assert read.quiet == quiet
    assert format_filters(read) == f"quiet:{shown}"
    assert parse_filters(format_filters(read), zone="America/New_York") == read


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("mon-sun", "All seven days"),
        ("weekdays,weekends", "All seven days"),
        ("critical", "isn't a time range"),
        ("22-7,12-13", "isn't a time range"),
        ("22-7,next monday", "Unknown time zone"),
    ],
)
def test_quiet_hours_that_mean_nothing_are_refused(typed: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parse_filters(f'quiet:"{typed}"' if " " in typed and "," not in typed else f"quiet:{typed.replace(' ', '')}")


@pytest.mark.parametrize(
    ("at", "end"),
    [
        (berlin(5, 21, 59), None),  # a Friday
        (berlin(5, 22), berlin(8, 7)),
        (berlin(6, 12), berlin(8, 7)),
        (berlin(7, 23), berlin(8, 7)),
        (berlin(8, 6, 59), berlin(8, 7)),
        (berlin(8, 12), None),
        (berlin(9, 23), berlin(10, 7)),
    ],
)
def test_nights_and_weekends_that_follow_one_another_end_together(at: float, end: float | None) -> None:
    quiet = parse_filters("quiet:22:00-07:00,sat,sun,Europe/Berlin")
    assert quiet_until(quiet, at) == (end or 0)


def test_whole_days_alone_end_at_midnight_of_their_zone() -> None:
    weekend = parse_filters("quiet:sat,sun,Europe/Berlin")
    assert quiet_until(weekend, berlin(6, 0)) == berlin(8, 0)
    assert quiet_until(weekend, berlin(5, 23, 59)) == 0


def test_a_day_on_which_the_clocks_change_is_quiet_to_its_end() -> None:
    change = datetime(2026, 10, 25, 1, tzinfo=BERLIN).timestamp()
    assert quiet_until(parse_filters("quiet:sun,Europe/Berlin"), change) == change + 24 * 3600


def test_hours_stored_before_days_were_known_load_and_all_days_do_come_to_an_end() -> None:
    old = Subscription.model_validate({"quiet": {"start": 1320, "end": 420}})
    assert old.quiet == QuietHours(**NIGHT, zone="UTC")
    always = Subscription(quiet=QuietHours(days=tuple(range(7))))
    assert berlin(1, 0) < quiet_until(always, berlin(1, 0)) <= berlin(1, 0) + 8 * 86400
