"""What ``after:`` counts, in whatever order runs are heard of."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.support.rules import (
    HOUR_SECONDS,
    NOON,
    RuleBench,
    failed_finding,
    make_finding,
    make_result,
    make_subscription,
    passed_finding,
)
from zofbot.domain.model import Outcome
from zofbot.subscriptions import Threshold, parse_filters
from zofbot.subscriptions.filters import format_filters


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_pass_ends_a_row_whenever_it_is_heard_of(order: tuple[int, ...]) -> None:
    house = RuleBench(make_subscription("group:case after:3-in-a-row"))
    runs = [
        failed_finding("1", NOON, "a"),
        failed_finding("2", NOON + 60, "a"),
        passed_finding("3", NOON + 120, "a"),
        failed_finding("4", NOON + 180, "a"),
    ]
    told = [key for place in order for key in house.process_findings(runs[place], now=NOON + 200)]
    row = [place for place in order if place != 2]
    expected = order.index(2) == 3  # three failures were heard of before the pass between them was
    assert bool([key for key in told if key.startswith("case:")]) is expected, row


def test_a_row_may_take_longer_than_any_window() -> None:
    house = RuleBench(make_subscription("group:case after:3-in-a-row"))
    week = 7 * 24 * HOUR_SECONDS
    assert house.process_findings(failed_finding("1", NOON, "a"), failed_finding("2", NOON + week, "a")) == []
    assert house.process_findings(failed_finding("3", NOON + 2 * week, "a")) != []


def test_the_same_run_counts_once() -> None:
    house = RuleBench(make_subscription("after:2-in-a-row"))
    assert house.process_findings(failed_finding("1", NOON, "a"), failed_finding("1", NOON, "a", "b")) == []


def test_a_run_that_passed_with_failures_ends_a_row_of_runs() -> None:
    house = RuleBench(make_subscription("after:2-in-a-row"))
    quarantined = make_finding("2", NOON + 60, make_result("2_a", case="a"), outcome=Outcome.PASSED)
    house.process_findings(failed_finding("1", NOON, "a"), quarantined, failed_finding("3", NOON + 120, "a"))
    assert not house.notifications


@pytest.mark.parametrize("typed", ["3-in-a-row", "3 in a row", '"3 in a row"', "3/row", "3-IN-A-ROW", "03-in-a-row"])
def test_it_is_typed_in_several_ways_and_shown_in_one(typed: str) -> None:
    found = parse_filters(f"project:checkout after:{typed} group:case")
    assert found.after == Threshold(count=3, in_a_row=True)
    assert format_filters(found) == "project:checkout group:case after:3-in-a-row"


def test_the_words_stand_in_other_filters_as_they_are() -> None:
    assert parse_filters('case:"lost 3 in a row and more"').case == ("lost 3 in a row and more",)


def test_an_earlier_version_keeps_to_the_window() -> None:
    stored = Threshold(count=3, in_a_row=True).model_dump(exclude={"in_a_row"})
    assert Threshold.model_validate(stored) == Threshold(count=3, window=7 * 86400)
