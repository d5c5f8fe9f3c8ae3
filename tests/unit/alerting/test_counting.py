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
from zofbot.alerting.rules import DecisionReason
from zofbot.domain.model import Outcome
from zofbot.notifications.alert_payloads import CaseAlertPayload
from zofbot.subscriptions import RunFinding, Threshold, parse_filters
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


def _run_that_passed_with_failures(name: str, at: float, case: str) -> RunFinding:
    return make_finding(name, at, make_result(f"{name}_{case}", case=case), outcome=Outcome.PASSED)


def test_a_run_that_passed_with_failures_ends_a_row_of_runs() -> None:
    house = RuleBench(make_subscription("after:2-in-a-row"))
    quarantined = make_finding("2", NOON + 60, make_result("2_a", case="a"), outcome=Outcome.PASSED)
    house.process_findings(failed_finding("1", NOON, "a"), quarantined, failed_finding("3", NOON + 120, "a"))
    assert not house.notifications


@pytest.mark.parametrize("group", ["run", "case"])
def test_runs_that_passed_with_failures_are_a_row_to_whom_asks_for_them(group: str) -> None:
    house = RuleBench(make_subscription(f"on:passed-with-failures after:3-in-a-row group:{group}"))
    runs = [_run_that_passed_with_failures(str(n), NOON + n * 60, "a") for n in range(3)]
    house.process_findings(*runs[:2], *runs[:2])
    assert not house.notifications
    assert house.process_findings(runs[2]) != []


@pytest.mark.parametrize(
    "between",
    [passed_finding("2", NOON + 60, "a"), make_finding("2", NOON + 60, make_result("b"), outcome=Outcome.PASSED)],
)
def test_a_run_that_passed_without_the_failures_asked_for_ends_a_row_of_them(between: RunFinding) -> None:
    house = RuleBench(make_subscription("on:passed-with-failures case:a after:2-in-a-row"))
    one, other = (_run_that_passed_with_failures(name, at, "a") for name, at in (("1", NOON), ("3", NOON + 120)))
    house.process_findings(one, between, other)
    assert not house.notifications


def test_what_is_read_later_of_a_run_below_the_threshold_is_told_to_whom_it_concerns() -> None:
    house = RuleBench(make_subscription("case:a after:3/1h group:case"), make_subscription("case:b", number=2))
    assert house.process_findings(failed_finding("1", NOON, "a")) == []
    assert house.process_findings(failed_finding("1", NOON, "a", "b"), now=NOON + 60) == [
        "run:run_1:failed:C1",
        "result:res_1_b:failed:C1",
    ]


@pytest.mark.parametrize("after", ["2/1h", "2-in-a-row"])
def test_the_second_failure_of_a_case_is_told_when_its_run_is_read_in_parts(after: str) -> None:
    house = RuleBench(make_subscription(f"group:case after:{after}"))
    house.process_findings(failed_finding("1", NOON, "b"), failed_finding("2", NOON + 60, "a"))
    assert house.process_findings(failed_finding("2", NOON + 60, "a", "b")) == ["case:res_2_b:failed:C1"]


@pytest.mark.parametrize("others", [(), ("b",)], ids=["nothing was told of it", "another case was"])
def test_a_run_that_an_alert_counts_from_the_start_is_not_counted_again(others: tuple[str, ...]) -> None:
    house = RuleBench(make_subscription("group:case after:2/1h"))
    house.process_findings(
        failed_finding("0", NOON - 60, *others),
        failed_finding("1", NOON, "a", *others),
        failed_finding("2", NOON + 60, "a"),
    )
    house.process_findings(failed_finding("1", NOON, "a", "c", *others), now=NOON + 90)
    shown = house.latest_body("case:res_2_a:failed:C1")
    assert isinstance(shown, CaseAlertPayload)
    assert (shown.count, shown.first, shown.last) == (2, NOON, NOON + 60)


def test_a_run_that_was_posted_stays_so_below_a_threshold_that_was_set_since() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("1", NOON, "a"))
    house.subscriptions = (make_subscription("after:2/1h"),)
    house.process_findings(failed_finding("1", NOON, "a", "b"))
    assert house.decision_reasons(failed_finding("1", NOON, "a", "b")) == [DecisionReason.KNOWN]


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
