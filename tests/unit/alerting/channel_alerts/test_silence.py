"""When an alert that began with flaky or quarantined failures mentions people after all."""

from __future__ import annotations

import pytest

from tests.support.escalations import MINUTE, act, latest_message, reply_mentions, sent_escalations
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
from zofbot.subscriptions import RunFinding
from zofbot.triage import Action

FILTERS = "mention:<@U0ANA> escalate:15m-><@U1>"
TEXT = "ConnectionError: no route to host db"


def flaky_bench(filters: str) -> tuple[RuleBench, list[RunFinding]]:
    """Return the rules after a case was posted as flaky, at noon, and its next five failures, an hour apart."""
    bench = RuleBench(make_subscription(f"group:case {filters}"))
    for number, hours in enumerate((-8, -6, -4, -2, 0)):
        made = passed_finding if number % 2 else failed_finding
        bench.process_findings(made(str(number), NOON + hours * HOUR_SECONDS, "a"))
    return bench, [failed_finding(f"x{hours}", NOON + hours * HOUR_SECONDS, "a") for hours in range(1, 6)]


def cause(name: str, at: float, *, quarantined: bool = False, environment: str = "staging") -> RunFinding:
    result = make_result(name, case="a", failure=TEXT, quarantined=quarantined)
    return make_finding(name, at, result, environment=environment)


def test_a_case_that_is_no_longer_flaky_mentions_people_once_and_is_escalated_from_there() -> None:
    bench, further = flaky_bench(FILTERS)
    key = latest_message(bench)
    assert sent_escalations(bench, key, *further, until=400) == [2 * 60 + 15]
    assert reply_mentions(bench, key) == [("result:res_x2_a:failed:C1", ["U0ANA"])]
    assert bench.latest_body(key).mention == ("U0ANA",)


def test_without_threads_it_is_one_reply_that_mentions_them() -> None:
    bench, further = flaky_bench(f"{FILTERS} layout:flat")
    bench.process_findings(*further)
    assert reply_mentions(bench, latest_message(bench)) == [("result:res_x2_a:failed:C1", ["U0ANA"])]


def test_whoever_is_working_on_it_is_left_in_peace() -> None:
    bench, further = flaky_bench(FILTERS)
    key = latest_message(bench)
    act(bench, key, Action.ACKNOWLEDGE, NOON + MINUTE)
    bench.process_findings(*further[:3])
    assert reply_mentions(bench, key) == []
    act(bench, key, Action.UNACKNOWLEDGE, NOON + 3.5 * HOUR_SECONDS)
    assert sent_escalations(bench, key, *further[3:], until=400) == [4 * 60 + 15]
    assert reply_mentions(bench, key) == [("result:res_x4_a:failed:C1", ["U0ANA"])]


def test_one_who_selects_flaky_failures_does_not_keep_the_others_from_being_mentioned() -> None:
    asked = make_subscription("on:flaky mention:<@U0BEN> group:case", number=2)
    bench, _ = flaky_bench(FILTERS)
    bench.subscriptions = (*bench.subscriptions, asked)
    bench.process_findings(passed_finding("p", NOON + MINUTE, "a"))
    again = [failed_finding(f"y{n}", NOON + (2 + n) * HOUR_SECONDS, "a") for n in range(4)]
    bench.process_findings(*again)
    key = latest_message(bench)
    assert key == "case:res_y0_a:failed:C1"
    assert bench.latest_body(key).mention == ("U0BEN", "U0ANA")
    assert [whom for _, whom in reply_mentions(bench, key)] == [["U0ANA"]]


def test_a_run_of_a_quarantined_failure_mentions_people_if_more_of_it_fails() -> None:
    bench = RuleBench(make_subscription(FILTERS))
    marked = make_result("a", case="a", quarantined=True, failure=TEXT)
    bench.process_findings(make_finding("1", NOON, marked))
    key = latest_message(bench)
    more = make_finding("1", NOON, marked, make_result("b", case="b", failure="AssertionError: 1 != 2"))
    bench.process_findings(more, now=NOON + 5 * MINUTE)
    assert reply_mentions(bench, key) == [("result:res_b:failed:C1", ["U0ANA"])]
    assert sent_escalations(bench, key, until=60) == [5 + 15]


@pytest.mark.parametrize("environment", ["staging", "qa"])
def test_a_cause_that_began_in_quarantine_mentions_people_once_it_fails_outside_of_it(environment: str) -> None:
    bench = RuleBench(make_subscription(f"group:cause {FILTERS}"))
    bench.process_findings(cause("q", NOON, quarantined=True), cause("q2", NOON + MINUTE, quarantined=True))
    key = latest_message(bench)
    assert (reply_mentions(bench, key), sent_escalations(bench, key, until=30)) == ([], [])
    runs = [cause(f"r{at}", NOON + at * MINUTE, environment=environment) for at in (40, 50, 60)]
    assert sent_escalations(bench, key, *runs, until=120) == [40 + 15]
    assert reply_mentions(bench, key) == [("result:res_r40:failed:C1", ["U0ANA"])]


def test_a_cause_that_recovered_in_quarantine_and_fails_outside_of_it_mentions_people() -> None:
    bench = RuleBench(make_subscription(f"group:cause {FILTERS}"))
    bench.process_findings(cause("q", NOON, quarantined=True), passed_finding("p", NOON + MINUTE, "a"))
    key = latest_message(bench)
    assert sent_escalations(bench, key, cause("r", NOON + 5 * MINUTE), until=60) == [5 + 15]
    assert reply_mentions(bench, key) == [("result:res_r:failed:C1", ["U0ANA"])]
