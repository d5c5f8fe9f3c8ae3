"""An alert that goes on with failures of a subscription for which it was not made."""

from __future__ import annotations

import pytest

from tests.support.escalations import MINUTE, act, latest_message, reply_mentions, sent_escalations
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
from zofbot.triage import Action

CALLS = "mention:<@U1> escalate:15m-><@U2>"
CASE = "case:res_1_a:failed:C1"


def later(filters: str) -> tuple[RuleBench, list[RunFinding]]:
    """Return the rules after a case failed and its subscription was replaced, and its next failures."""
    bench = RuleBench(make_subscription("group:case"))
    bench.process_findings(failed_finding("1", NOON, "a"))
    bench.subscriptions = (make_subscription(f"group:case {filters}", number=2, created=NOON + 1),)
    return bench, [failed_finding(f"x{minutes}", NOON + minutes * MINUTE, "a") for minutes in (10, 20)]


def test_the_recovery_is_reported_to_the_subscription_that_replaces_the_first() -> None:
    bench, further = later("")
    bench.process_findings(*further, passed_finding("2", NOON + 30 * MINUTE, "a"))
    assert [reply[3] for reply in bench.recovery_replies()] == ["run_2"]
    assert bench.latest_body(CASE).is_recovered
    assert bench.latest_body(CASE).takers == ("sub_1", "sub_2")


def test_a_storm_whose_subscription_was_replaced_reports_its_recovery() -> None:
    bench, cases = RuleBench(make_subscription("group:case")), [f"c{number:02}" for number in range(25)]
    bench.process_findings(failed_finding("1", NOON, *cases))
    bench.subscriptions = (make_subscription("group:case", number=2, created=NOON + 1),)
    bench.process_findings(failed_finding("2", NOON + MINUTE, *cases), passed_finding("3", NOON + 2 * MINUTE, *cases))
    assert [reply[3] for reply in bench.recovery_replies()] == ["run_3"]


@pytest.mark.parametrize("layout", ["thread", "flat"])
def test_its_people_are_mentioned_once_and_escalation_counts_from_there(layout: str) -> None:
    bench, further = later(f"{CALLS} layout:{layout}")
    assert sent_escalations(bench, CASE, *further, until=60) == [10 + 15]
    assert reply_mentions(bench, CASE) == [("result:res_x10_a:failed:C1", ["U1"])]


def test_one_with_the_same_mentions_and_escalation_repeats_neither() -> None:
    bench, further = later(CALLS)
    bench.process_findings(*further)
    bench.subscriptions = (make_subscription(f"group:case {CALLS}", number=3, created=NOON + 21 * MINUTE),)
    assert sent_escalations(bench, CASE, failed_finding("y", NOON + 22 * MINUTE, "a"), until=60) == [25]
    assert len(reply_mentions(bench, CASE)) == 1


def test_whoever_is_working_on_it_is_left_in_peace() -> None:
    bench, further = later(CALLS)
    act(bench, CASE, Action.ACKNOWLEDGE, NOON + MINUTE)
    bench.process_findings(further[0])
    assert reply_mentions(bench, CASE) == []
    act(bench, CASE, Action.UNACKNOWLEDGE, NOON + 15 * MINUTE)
    assert sent_escalations(bench, CASE, further[1], until=60) == [20 + 15]
    assert reply_mentions(bench, CASE) == [("result:res_x20_a:failed:C1", ["U1"])]


def test_a_subscription_to_errors_joins_once_the_case_errors() -> None:
    bench = RuleBench(make_subscription("group:case"), make_subscription(f"group:case on:error {CALLS}", number=2))
    bench.process_findings(failed_finding("1", NOON, "a"))
    error = make_finding("2", NOON + MINUTE, make_result("2", Outcome.ERROR, case="a"), outcome=Outcome.ERROR)
    assert sent_escalations(bench, CASE, error, until=30) == [1 + 15]
    assert reply_mentions(bench, CASE) == [("result:res_2:error:C1", ["U1"])]


def test_a_run_of_which_failures_of_another_subscription_are_read_later_takes_up_its_escalation() -> None:
    bench = RuleBench(make_subscription("case:a"), make_subscription(f"case:b {CALLS}", number=2))
    bench.process_findings(failed_finding("1", NOON, "a", total=2))
    bench.process_findings(failed_finding("1", NOON, "a", "b"), now=NOON + 5 * MINUTE)
    key = latest_message(bench)
    assert sent_escalations(bench, key, until=60) == [5 + 15]
    assert reply_mentions(bench, key) == [("result:res_1_b:failed:C1", ["U1"])]
    bench.subscriptions = bench.subscriptions[1:]
    bench.process_findings(passed_finding("2", NOON + 90 * MINUTE, "a", "b"))
    assert bench.latest_body(key).is_recovered


TEXT, CAUSE = "ConnectionError: no route to host db", "storm:res_s:failed:C1"


def fail(name: str, at: float, environment: str = "staging") -> RunFinding:
    return make_finding(name, at, make_result(name, case="a", failure=TEXT), environment=environment)


def cause_bench(filters: str) -> RuleBench:
    """Return the rules after a cause failed in staging; a second subscription hears of it elsewhere."""
    both = (make_subscription("env:staging group:cause"), make_subscription(f"env:qa group:cause {filters}", number=2))
    bench = RuleBench(*both)
    bench.process_findings(fail("s", NOON))
    return bench


@pytest.mark.parametrize("layout", ["thread", "flat"])
def test_a_cause_that_is_seen_where_another_subscription_escalates_is_escalated_from_then_on(layout: str) -> None:
    bench = cause_bench(f"{CALLS} layout:{layout}")
    further = [
        fail("q", NOON + 10 * MINUTE, "qa"),
        fail("q2", NOON + 20 * MINUTE, "qa"),
        fail("s2", NOON + 21 * MINUTE),
    ]
    assert sent_escalations(bench, CAUSE, *further, until=60) == [10 + 15]
    assert reply_mentions(bench, CAUSE) == [("result:res_q:failed:C1", ["U1"])]


def test_who_is_mentioned_in_a_new_place_is_mentioned_though_others_work_on_the_cause() -> None:
    bench = cause_bench(CALLS)
    act(bench, CAUSE, Action.ACKNOWLEDGE, NOON + MINUTE)
    assert sent_escalations(bench, CAUSE, fail("q", NOON + 10 * MINUTE, "qa"), until=40) == []
    assert reply_mentions(bench, CAUSE) == [("result:res_q:failed:C1", ["U1"])]
    act(bench, CAUSE, Action.UNACKNOWLEDGE, NOON + 45 * MINUTE)
    assert sent_escalations(bench, CAUSE, fail("q2", NOON + 50 * MINUTE, "qa"), until=90) == [50 + 15]
    assert len(reply_mentions(bench, CAUSE)) == 1


def test_a_cause_whose_subscription_is_replaced_takes_up_the_new_one() -> None:
    bench = cause_bench("")
    bench.subscriptions = (make_subscription(f"group:cause {CALLS}", number=3, created=NOON + 1),)
    assert sent_escalations(bench, CAUSE, fail("s2", NOON + 10 * MINUTE), until=40) == [10 + 15]
    assert reply_mentions(bench, CAUSE) == [("result:res_s2:failed:C1", ["U1"])]
    bench.process_findings(passed_finding("p", NOON + 60 * MINUTE, "a"))
    assert [reply[3] for reply in bench.recovery_replies()] == ["run_p"]
