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
from zofbot.domain.model import Outcome, Result
from zofbot.notifications.notification import NotificationKind
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


def test_the_default_channel_hears_of_a_recovery_that_a_subscription_to_the_same_alert_does_not_ask_for() -> None:
    house = RuleBench(make_subscription("case:a on:failed,error", channel="C0"), default="C0")
    house.process_findings(failed_finding("1", NOON, "a", "z"), passed_finding("2", NOON + 60, "a", "z"))
    assert [reply[3] for reply in house.recovery_replies()] == ["run_2"]
    assert house.latest_body("run:run_1:failed:C0").is_recovered


def storm_of_two_subscriptions(grouping: str, first: str, second: str) -> RuleBench:
    """Return the rules after a storm, or a cause, of two subscriptions has recovered, last what the second is about."""
    both = (
        make_subscription(f"case:a* {grouping} {first}"),
        make_subscription(f"case:b* {grouping} {second}", number=2),
    )
    house, cases = RuleBench(*both), [f"{letter}{number}" for number in range(13) for letter in "ab"]
    for at, case in enumerate(cases):
        failed = make_result(case, case=case, failure="Timeout")
        house.process_findings(make_finding(f"f{case}", NOON + at, failed, environment=case[0]))
    for at, letter in enumerate("ab"):
        passed = [case for case in cases if case.startswith(letter)]
        house.process_findings(passed_finding(letter, NOON + 600 + at, *passed, environment=letter))
    return house


@pytest.mark.parametrize("grouping", ["", "group:cause"])
def test_a_storm_reports_its_recovery_though_the_last_alert_to_recover_asks_for_none(grouping: str) -> None:
    house = storm_of_two_subscriptions(grouping, "", "on:failed,error")
    [storm] = [note.key for note in house.notifications.values() if note.key.startswith("storm:")]
    assert [
        note.key for note in house.notifications.values() if note.key.startswith("recovered:") and note.root == storm
    ]
    none = storm_of_two_subscriptions(grouping, "on:failed,error", "on:failed,error")
    assert not none.recovery_replies()


def test_the_recovery_of_a_cause_is_broadcast_if_anybody_who_hears_of_it_asks_for_that() -> None:
    house = storm_of_two_subscriptions("group:cause", "broadcast:recovered", "")
    [reply] = [note for note in house.notifications.values() if note.key.startswith("recovered:")]
    assert reply.body.get("broadcast")


def unnamed(name: str, outcome: Outcome = Outcome.FAILED) -> Result:
    """Return a result that names its case neither by id nor by title."""
    return Result(id=f"res_{name}", outcome=outcome, failure="x" if outcome.is_bad else None)


def passing_run(name: str, at: float, *results: Result, title: str = "Nightly") -> RunFinding:
    return make_finding(name, at, *results, outcome=Outcome.PASSED, title=title)


@pytest.mark.parametrize("filters", ["", "group:case", "group:cause"])
def test_failures_that_do_not_name_their_case_recover_with_the_next_run_of_the_same_title(filters: str) -> None:
    house = RuleBench(make_subscription(filters))
    house.process_findings(make_finding("1", NOON, unnamed("1")))
    house.process_findings(passing_run("2", NOON + 60, unnamed("2", Outcome.PASSED), title="Smoke"))
    assert not house.recovery_replies()
    house.process_findings(passing_run("3", NOON + 120, unnamed("3", Outcome.PASSED)))
    assert [reply[3] for reply in house.recovery_replies()] == ["run_3"]


@pytest.mark.parametrize("filters", ["", "group:cause"])
def test_an_alert_with_such_a_failure_beside_others_does_not_recover_by_those_alone(filters: str) -> None:
    house = RuleBench(make_subscription(filters))
    both = make_finding("1", NOON, unnamed("1"), make_result("a", case="a", failure="x"))
    house.process_findings(both, both, passes_but_one("2", NOON + 60, "a"))
    assert not house.recovery_replies()
    house.process_findings(passed_finding("3", NOON + 120, "a"))
    assert [reply[3] for reply in house.recovery_replies()] == ["run_3"]


def test_such_a_failure_that_is_soon_back_goes_on_in_its_message() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(make_finding("1", NOON, unnamed("1")), passing_run("2", NOON + 60))
    house.process_findings(make_finding("3", NOON + 120, unnamed("3")))
    assert [note.key for note in house.notifications_of(NotificationKind.ROOT)] == ["run:run_1:failed:C1"]
    assert house.latest_body("run:run_1:failed:C1").standing == "again"
