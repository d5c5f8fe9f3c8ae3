"""Recovery of an alert of whose run only some failures were read at first."""

from __future__ import annotations

import pytest

from tests.support.rules import (
    NOON,
    RuleBench,
    failed_finding,
    make_finding,
    make_result,
    make_subscription,
    passed_finding,
)
from zofbot.domain.model import Outcome
from zofbot.subscriptions import RunFinding

SOME = failed_finding("1", NOON, "a", total=2)
ALL = failed_finding("1", NOON, "a", "b")


def passes_but_one(name: str, at: float, *cases: str) -> RunFinding:
    """Return a run in which these cases pass and another one fails."""
    passed = (make_result(f"{name}_{case}", Outcome.PASSED, case=case) for case in cases)
    return make_finding(name, at, make_result(f"{name}_other", case="other"), *passed)


PASSED = passes_but_one("2", NOON + 60, "a", "b")


@pytest.mark.parametrize("filters", ["", "case:a", "group:cause"])
@pytest.mark.parametrize(
    "findings",
    [(SOME, ALL, PASSED), (SOME, PASSED, ALL), (PASSED, SOME, ALL), (SOME, SOME, ALL, ALL, PASSED)],
    ids=["all-then-passed", "passed-then-all", "passed-first", "repeated"],
)
def test_an_alert_recovers_by_its_cases_once_all_failures_of_its_run_are_read(
    filters: str, findings: tuple[RunFinding, ...]
) -> None:
    house, complete = RuleBench(make_subscription(filters)), RuleBench(make_subscription(filters))
    house.process_findings(*findings, now=NOON + 90)
    complete.process_findings(ALL, PASSED, now=NOON + 90)
    assert house.recovery_replies() == complete.recovery_replies() != set()


def test_an_alert_does_not_recover_by_its_cases_while_failures_of_its_run_are_unread() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(SOME, SOME, PASSED)
    assert not house.recovery_replies()


def test_failures_of_a_relapse_stay_unread_when_the_first_run_is_read_again() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(ALL, PASSED, failed_finding("3", NOON + 120, "a", total=2), ALL)
    house.process_findings(passes_but_one("4", NOON + 180, "a"))
    assert len(house.recovery_replies()) == 1
    house.process_findings(failed_finding("3", NOON + 120, "a", "b"), passes_but_one("5", NOON + 240, "a", "b"))
    assert len(house.recovery_replies()) == 2


@pytest.mark.parametrize(("filters", "failures"), [("group:cause broadcast:recovered", 1), ("group:case", 25)])
def test_a_storm_or_cause_reports_its_recovery_though_the_clock_of_zof_is_ahead(filters: str, failures: int) -> None:
    house, ahead = RuleBench(make_subscription(filters)), 5.0
    cases = [f"case_{number}" for number in range(failures)]
    failed = (make_result(case, case=case, failure="Timeout") for case in cases)
    house.process_findings(make_finding("1", NOON + ahead, *failed), now=NOON)
    house.process_findings(passed_finding("2", NOON + 60 + ahead, *cases), now=NOON + 60)
    [reply] = [note for note in house.notifications.values() if note.key.startswith("recovered:")]
    assert (reply.happened, reply.body["after"]) == (NOON + 60, 60.0)
    assert reply.body.get("broadcast", False) is ("broadcast" in filters)
