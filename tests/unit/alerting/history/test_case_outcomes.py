"""New, known and flaky failures in the rules: which subscriptions get them, and whom they mention."""

from __future__ import annotations

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
from zofbot.alerting.history.case_outcomes import MAX_CASES, first_failing_time
from zofbot.alerting.rules import DecisionReason
from zofbot.alerting.state import history_hash, scope_key
from zofbot.domain.model import Outcome
from zofbot.notifications.alert_payloads import CaseAlertPayload
from zofbot.notifications.notification import NotificationKind
from zofbot.subscriptions.case_history import CasePast, CaseStanding


def play_runs(house: RuleBench, *outcomes: str) -> None:
    """A run every two hours in which these cases fail; case ``a`` passes in the others."""
    for number, cases in enumerate(outcomes):
        at = NOON + 2 * number * HOUR_SECONDS
        finding = failed_finding(str(number), at, *cases) if cases else passed_finding(str(number), at, "a", "b")
        house.process_findings(finding)


def reasons_of(house: RuleBench, number: int, *cases: str) -> list[DecisionReason]:
    return house.decision_reasons(failed_finding(str(number), NOON + number * HOUR_SECONDS, *cases))


@pytest.mark.parametrize(
    ("filters", "told"),
    [("on:new", [True, False, True]), ("-on:known", [True, False, True]), ("on:known", [False, True, False]),
     ("on:flaky", [False, False, False]), ("", [True, True, True])],
)  # fmt: skip
def test_a_subscription_gets_the_failures_that_it_selects_by_history(filters: str, told: list[bool]) -> None:
    house = RuleBench(make_subscription(filters))
    answers = [reasons_of(house, number, case)[0] for number, case in enumerate(("a", "a", "b"))]
    assert [answer is DecisionReason.NOTIFIED for answer in answers] == told


def test_a_flaky_failure_mentions_only_whoever_selects_flaky_ones() -> None:
    asked = make_subscription("on:flaky mention:<@U0BEN> group:case", "C2", 2)
    house = RuleBench(make_subscription("mention:<@U0ANA> escalate:5m-><@U0ANA> group:case"), asked)
    play_runs(house, "a", "", "a", "", "a")
    roots = [item for item in house.notifications_of(NotificationKind.ROOT) if item.key.startswith("case:res_4_a")]
    assert {item.channel: item.body.get("mention", []) for item in roots} == {"C1": [], "C2": ["U0BEN"]}
    assert not [
        item
        for item in house.notifications.values()
        if item.root == roots[0].key and item.body.get("sort") == "escalate"
    ]


def test_a_quarantined_failure_is_reported_and_mentions_nobody() -> None:
    house = RuleBench(make_subscription("mention:<@U0ANA> escalate:5m-><@U0ANA>"))
    marked = make_result("a", case="a", quarantined=True)
    house.process_findings(make_finding("1", NOON, marked))
    [root] = house.notifications_of(NotificationKind.ROOT)
    assert (root.body.get("mention"), root.body["quarantined"]) == (None, 1)
    assert not [item for item in house.notifications.values() if item.body.get("sort") == "escalate"]
    house.process_findings(make_finding("2", NOON + HOUR_SECONDS, marked, make_result("b", case="b")))
    assert house.notifications_of(NotificationKind.ROOT)[-1].body["mention"] == ["U0ANA"]


def test_a_case_that_passed_in_a_retry_is_followed() -> None:
    house = RuleBench(make_subscription("group:case"))
    for number in range(3):
        tries = [make_result(f"{number}_{word}", word, "a", attempt=index) for index, word in
                 enumerate((Outcome.FAILED, Outcome.PASSED), 1)]  # fmt: skip
        house.process_findings(make_finding(str(number), NOON + number * HOUR_SECONDS, *tries, outcome=Outcome.PASSED))
    house.process_findings(failed_finding("9", NOON + 9 * HOUR_SECONDS, "a"))
    body = house.latest_body("case:res_9_a:failed:C1")
    assert isinstance(body, CaseAlertPayload)
    assert body.case.past
    assert (body.case.past.standing, body.case.past.retried) == (CaseStanding.FLAKY, 3)


def test_deciding_again_says_the_same_of_the_past() -> None:
    house = RuleBench(make_subscription("group:case"))
    play_runs(house, "a", "", "a", "a")
    again = failed_finding("2", NOON + 4 * HOUR_SECONDS, "a")
    before = house.memory
    assert house.process_findings(again) == []
    assert house.memory.hashes[history_hash(scope_key(again))] == before.hashes[history_hash(scope_key(again))]


def test_the_cases_that_ran_longest_ago_are_forgotten_when_there_are_too_many() -> None:
    house = RuleBench()
    cases = [f"{number:04}" for number in range(MAX_CASES + 1)]
    finding = failed_finding("0", NOON, *cases[:-1])
    house.process_findings(finding, failed_finding("1", NOON + 1, cases[-1]))
    stored = house.memory.hashes[history_hash(scope_key(finding))]
    assert len(stored) == MAX_CASES
    assert any(text == "f1780315201:run_1" for text in stored.values())
    assert first_failing_time(house.memory, scope_key(finding)) == NOON


def test_a_pass_of_a_run_of_the_same_title_is_the_pass_of_its_cases() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(make_finding("0", NOON, outcome=Outcome.PASSED), failed_finding("1", NOON + 60, "a"))
    body = house.latest_body("case:res_1_a:failed:C1")
    assert isinstance(body, CaseAlertPayload)
    assert body.case.past == CasePast(passed_run="run_0", passed_at=NOON, since=NOON + 60, seen=2)
