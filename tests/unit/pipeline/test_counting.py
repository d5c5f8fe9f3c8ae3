"""What ``after:`` counts, in whatever order runs are heard of."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.support.rules import HOUR, NOON, RuleBench, failed, passed, result, run, sub
from zofbot.model import Outcome
from zofbot.routing import After, parse
from zofbot.routing.spelling import spelled


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_pass_ends_a_row_whenever_it_is_heard_of(order: tuple[int, ...]) -> None:
    house = RuleBench(sub("group:case after:3-in-a-row"))
    runs = [
        failed("1", NOON, "a"),
        failed("2", NOON + 60, "a"),
        passed("3", NOON + 120, "a"),
        failed("4", NOON + 180, "a"),
    ]
    told = [key for place in order for key in house.hear(runs[place], now=NOON + 200)]
    row = [place for place in order if place != 2]
    expected = order.index(2) == 3  # three failures were heard of before the pass between them was
    assert bool([key for key in told if key.startswith("case:")]) is expected, row


def test_a_row_may_take_longer_than_any_window() -> None:
    house = RuleBench(sub("group:case after:3-in-a-row"))
    week = 7 * 24 * HOUR
    assert house.hear(failed("1", NOON, "a"), failed("2", NOON + week, "a")) == []
    assert house.hear(failed("3", NOON + 2 * week, "a")) != []


def test_the_same_run_counts_once() -> None:
    house = RuleBench(sub("after:2-in-a-row"))
    assert house.hear(failed("1", NOON, "a"), failed("1", NOON, "a", "b")) == []


def test_a_run_that_passed_with_failures_ends_a_row_of_runs() -> None:
    house = RuleBench(sub("after:2-in-a-row"))
    quarantined = run("2", NOON + 60, result("2_a", case="a"), outcome=Outcome.PASSED)
    house.hear(failed("1", NOON, "a"), quarantined, failed("3", NOON + 120, "a"))
    assert not house.told


@pytest.mark.parametrize("typed", ["3-in-a-row", "3 in a row", '"3 in a row"', "3/row", "3-IN-A-ROW", "03-in-a-row"])
def test_it_is_typed_in_several_ways_and_shown_in_one(typed: str) -> None:
    found = parse(f"project:checkout after:{typed} group:case")
    assert found.after == After(count=3, in_a_row=True)
    assert spelled(found) == "project:checkout group:case after:3-in-a-row"


def test_the_words_stand_in_other_filters_as_they_are() -> None:
    assert parse('case:"lost 3 in a row and more"').case == ("lost 3 in a row and more",)


def test_an_earlier_version_keeps_to_the_window() -> None:
    stored = After(count=3, in_a_row=True).model_dump(exclude={"in_a_row"})
    assert After.model_validate(stored) == After(count=3, window=7 * 86400)
