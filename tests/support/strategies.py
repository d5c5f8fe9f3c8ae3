"""Hypothesis strategies for zofbot's types."""

from __future__ import annotations

from hypothesis import strategies as st

from zofbot.domain.text import clean_name
from zofbot.subscriptions import Broadcast, EventType, Grouping, Layout, QuietHours, Subscription, Threshold
from zofbot.triage import EscalationStep

SHOWN_NAMES = st.text(min_size=1, max_size=20).filter(lambda name: clean_name(name).strip("-\\ "))
PATTERNS = st.lists(SHOWN_NAMES, max_size=4).map(tuple)


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])


DAYS = st.sets(st.integers(0, 6), max_size=6).map(lambda days: tuple(sorted(days)))


QUIET_HOURS = st.builds(
    QuietHours, start=st.integers(0, 1439), end=st.integers(0, 1439), days=DAYS, critical=st.booleans(), zone=ZONES
)


IDS = st.lists(st.from_regex(r"[UWS][A-Z0-9]{1,10}", fullmatch=True), min_size=1, max_size=3, unique=True).map(tuple)


def _people_first(mention: tuple[str, ...]) -> tuple[str, ...]:
    """Order them as a form does, which has a field for people and one for user groups."""
    return tuple(sorted(mention, key=lambda each: each.startswith("S")))


STEPS = st.dictionaries(st.integers(1, 7 * 86400), IDS, max_size=3).map(
    lambda steps: tuple(EscalationStep(after=after, mention=_people_first(steps[after])) for after in sorted(steps))
)


SUBSCRIPTIONS = st.builds(
    Subscription,
    project=PATTERNS,
    env=PATTERNS,
    case=PATTERNS,
    on=st.lists(st.sampled_from(EventType), min_size=1, unique=True).map(tuple),
    group=st.sampled_from(Grouping),
    layout=st.sampled_from(Layout),
    broadcast=st.lists(st.sampled_from(Broadcast), unique=True).map(tuple),
    after=st.none()
    | st.builds(Threshold, count=st.integers(2, 100), window=st.integers(1, 7 * 86400))
    | st.builds(Threshold, count=st.integers(2, 100), in_a_row=st.just(True)),
    mention=st.lists(st.from_regex(r"[UWS][A-Z0-9]{1,10}", fullmatch=True), max_size=3, unique=True).map(tuple),
    quiet=st.none() | QUIET_HOURS.filter(lambda quiet: quiet.start != quiet.end),
    escalate=STEPS,
    reack=st.just(0) | st.integers(60, 30 * 86400),
)
