"""Times as people type them: what they mean, on any day, in any zone, over changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zofbot.domain import durations
from zofbot.domain.errors import BadInput
from zofbot.triage.wake_times import MAX_SNOOZE_SECONDS, describe_time, parse_wake_time, snooze_choices

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name)
    for name in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")
]
WEDNESDAY = datetime(2026, 11, 18, 10, 30, tzinfo=BERLIN)

moments = st.floats(min_value=0, max_value=4e9)
zones = st.sampled_from(ZONES)


def read(words: str, now: datetime = WEDNESDAY) -> str:
    """The moment that words mean, on the clock of whoever typed them."""
    at = parse_wake_time(words, now.timestamp(), now.tzinfo or UTC)
    return datetime.fromtimestamp(at, now.tzinfo).strftime("%a %d %b %H:%M")


@pytest.mark.parametrize(
    ("words", "means"),
    [
        ("90m", "Wed 18 Nov 12:00"),
        ("2h", "Wed 18 Nov 12:30"),
        ("1h30m", "Wed 18 Nov 12:00"),
        ("1 h 30 min", "Wed 18 Nov 12:00"),
        ("1d", "Thu 19 Nov 10:30"),
        ("45 min", "Wed 18 Nov 11:15"),
        ("2 weeks", "Wed 02 Dec 10:30"),
        ("for 2 hours", "Wed 18 Nov 12:30"),
        ("in 15 minutes", "Wed 18 Nov 10:45"),
        ("14:00", "Wed 18 Nov 14:00"),
        ("9:00", "Thu 19 Nov 09:00"),
        ("10:30", "Thu 19 Nov 10:30"),
        ("2pm", "Wed 18 Nov 14:00"),
        ("12am", "Thu 19 Nov 00:00"),
        ("12:15 pm", "Wed 18 Nov 12:15"),
        ("today 18:00", "Wed 18 Nov 18:00"),
        ("tomorrow", "Thu 19 Nov 09:00"),
        ("Tomorrow 9:00", "Thu 19 Nov 09:00"),
        ("until tomorrow at 2pm", "Thu 19 Nov 14:00"),
        ("fri 14:00", "Fri 20 Nov 14:00"),
        ("  UNTIL   fri  14:00 ", "Fri 20 Nov 14:00"),
        ("friday 2pm", "Fri 20 Nov 14:00"),
        ("friday 2 pm", "Fri 20 Nov 14:00"),
        ("monday", "Mon 23 Nov 09:00"),
        ("tues", "Tue 24 Nov 09:00"),
        ("thursday", "Thu 19 Nov 09:00"),
        ("wed 14:00", "Wed 18 Nov 14:00"),
        ("wed 9:00", "Wed 25 Nov 09:00"),
        ("wednesday", "Wed 25 Nov 09:00"),
        ("next wed 14:00", "Wed 25 Nov 14:00"),
        ("saturday", "Sat 21 Nov 09:00"),
        ("2026-11-30", "Mon 30 Nov 09:00"),
        ("2026-11-30 14:00", "Mon 30 Nov 14:00"),
        ("until 2026-11-18 11:00", "Wed 18 Nov 11:00"),
    ],
)
def test_what_people_type_is_understood(words: str, means: str) -> None:
    assert read(words) == means


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "isn't a time"),
        ("until", "isn't a time"),
        ("later", "isn't a time"),
        ("14", "isn't a time"),
        ("fri 14", "isn't a time"),
        ("25:00", "isn't a time"),
        ("13pm", "isn't a time"),
        ("0pm", "isn't a time"),
        ("14:60", "isn't a time"),
        ("2026-02-30", "isn't a time"),
        ("30m 1h", "isn't a time"),
        ("1h 1h", "isn't a time"),
        ("-2h", "isn't a time"),
        ("٣h", "isn't a time"),
        ("9" * 50 + "h", "isn't a time"),
        ("0m", "passed"),
        ("today 9:00", "passed"),
        ("2026-11-18 10:30", "passed"),
        ("2026-11-17", "passed"),
        ("0001-01-01", "passed"),
        ("31d", "30 days"),
        ("999999w", "30 days"),
        ("2027-11-30", "30 days"),
        ("9999-12-31", "30 days"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_something_that_can(words: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        read(words)
    assert read(caught.value.example)


def test_thirty_days_are_not_too_far_off() -> None:
    assert parse_wake_time("30d", 0, UTC) == MAX_SNOOZE_SECONDS


def test_a_time_that_the_clock_leaves_out_is_as_much_later() -> None:
    evening = datetime(2027, 3, 27, 20, 0, tzinfo=BERLIN)
    assert read("2:30", evening) == "Sun 28 Mar 03:30"
    assert read("sunday 9:00", evening) == "Sun 28 Mar 09:00"


def test_of_a_time_that_the_clock_repeats_the_first_to_come_is_meant() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)
    evening = first - timedelta(hours=6)
    assert parse_wake_time("2:30", evening.timestamp(), BERLIN) == first.timestamp()
    assert parse_wake_time("2:30", first.timestamp() + 60, BERLIN) == first.timestamp() + 3600
    assert parse_wake_time("today 2:30", first.timestamp() + 3599, BERLIN) == first.timestamp() + 3600
    assert parse_wake_time("2:30", first.timestamp() + 3600, BERLIN) == first.timestamp() + 25 * 3600


def test_a_day_is_24_hours_and_tomorrow_is_by_the_clock() -> None:
    before = datetime(2026, 10, 24, 9, 0, tzinfo=BERLIN)
    assert read("1d", before) == "Sun 25 Oct 08:00"
    assert read("tomorrow 9:00", before) == "Sun 25 Oct 09:00"


PIECES = ["until", "next", "today", "tomorrow", "mon", "sunday", "2:30", "02:00", "14:00", "2pm", "1h", "30", "m", "at"]
heaps = st.lists(st.sampled_from(PIECES), max_size=5).map(" ".join)


@given(st.text(max_size=30) | heaps, moments, zones)
def test_anything_typed_is_a_time_to_come_or_refused(words: str, now: float, zone: ZoneInfo) -> None:
    try:
        at = parse_wake_time(words, now, zone)
    except BadInput as refused:
        at = parse_wake_time(refused.example, now, zone)
    assert now < at <= now + MAX_SNOOZE_SECONDS


@given(moments, zones, st.integers(0, 23), st.integers(0, 59))
def test_a_time_alone_is_within_a_day_and_shows_on_the_clock(
    now: float, zone: ZoneInfo, hour: int, minute: int
) -> None:
    typed = f"{hour}:{minute:02}"
    at = parse_wake_time(typed, now, zone)
    assert at - now <= 49 * 3600, "the day that Samoa left out is as long as two"
    shown = datetime.fromtimestamp(at, zone)
    exists = datetime.fromtimestamp(shown.replace(hour=hour, minute=minute).timestamp(), zone)
    assert (shown.hour, shown.minute) == (hour, minute) or (exists.hour, exists.minute) != (hour, minute)


@given(moments, zones, st.integers(60, MAX_SNOOZE_SECONDS))
def test_a_preview_can_be_typed_and_means_the_same(now: float, zone: ZoneInfo, ahead: int) -> None:
    at = (now + ahead) // 60 * 60
    shown = datetime.fromtimestamp(at, zone)
    assume(at > now and shown.replace(fold=1).utcoffset() == shown.replace(fold=0).utcoffset())
    words = describe_time(at, now, zone).partition(" (in ")[0]
    assert parse_wake_time(words, now, zone) == shown.replace(second=0, microsecond=0).timestamp()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("90m", "today 12:00 (in 1 h 30 min)"),
        ("tomorrow 0:30", "tomorrow 00:30 (in 14 h)"),
        ("fri 14:00", "Friday 14:00 (in 2 d 3 h)"),
        ("next wed", "2026-11-25 09:00 (in 6 d 22 h)"),
    ],
)
def test_a_preview_says_when_and_how_long(words: str, said: str) -> None:
    now = WEDNESDAY.timestamp()
    assert describe_time(parse_wake_time(words, now, BERLIN), now, BERLIN) == said


@given(moments, zones)
def test_every_choice_is_what_its_label_says(now: float, zone: ZoneInfo) -> None:
    offered = snooze_choices(now, zone)
    assert len({choice.label for choice in offered}) == len({choice.value for choice in offered}) == 5
    for label, value in offered:
        at = parse_wake_time(value, now, zone)
        assert parse_wake_time(label, now, zone) == at
        assert at <= now + 8 * 86400


def test_on_a_monday_the_next_one_is_offered() -> None:
    monday = datetime(2026, 11, 16, 8, 0, tzinfo=BERLIN)
    label, value = snooze_choices(monday.timestamp(), BERLIN)[-1]
    assert (label, read(value, monday)) == ("next Monday 09:00", "Mon 23 Nov 09:00")


@given(st.integers(0, 10**8))
def test_a_span_that_is_spelled_is_read_as_the_same(span: int) -> None:
    found = durations.try_parse_duration(durations.format_duration(span))
    assert found == span or (found is None and span >= 10**6), "six digits are enough"


def test_what_is_no_span_is_not_read_as_one() -> None:
    assert durations.try_parse_duration("soon") is None
    assert durations.try_parse_duration("") is None
