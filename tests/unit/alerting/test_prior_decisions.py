"""What was decided about a run before: read again, it is decided on anew only for other failures."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.rules import (
    HOUR_SECONDS,
    NOON,
    RuleBench,
    make_finding,
    make_result,
    make_subscription,
)
from zofbot.alerting.prior_decisions import MAX_KNOWN_CASES
from zofbot.alerting.rules import DecisionReason
from zofbot.alerting.state import decisions_hash
from zofbot.domain.model import Outcome
from zofbot.subscriptions import RunFinding


def _attempts(*failed: str, passed: str = "", before: Sequence[str] = ()) -> RunFinding:
    """A finding of run 1 in which some cases failed, those in ``before`` in an earlier attempt."""
    results = [
        *(make_result(f"1_{case}", case=case) for case in failed),
        *(make_result(f"1_{case}", case=case, attempt=1) for case in before),
        *(make_result(f"2_{case}", Outcome.PASSED, case=case, attempt=2) for case in passed),
    ]
    return make_finding("1", NOON, *results)


@pytest.mark.parametrize("listed", [True, False], ids=["retried", "replaced"])
@pytest.mark.parametrize("group", ["run", "case", "cause"])
def test_another_failure_in_place_of_one_that_passed_in_a_retry_is_posted(group: str, listed: bool) -> None:
    house = RuleBench(make_subscription(f"group:{group}"))
    house.process_findings(_attempts("a"))
    later = _attempts("b", passed="a", before=["a"] if listed else ())
    assert house.process_findings(later, now=NOON + 60)
    assert house.process_findings(later, now=NOON + 120) == []
    assert house.decision_reasons(later) == [DecisionReason.KNOWN]


def test_a_retry_that_passes_is_no_other_failure() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(_attempts("a", "b"))
    assert house.decision_reasons(_attempts("b", passed="a", before=["a"])) == [DecisionReason.KNOWN]


def test_a_case_that_fails_after_a_retry_passed_is_posted() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(_attempts("b", passed="a", before=["a"]))
    last = make_result("3_a", case="a", attempt=3)
    found = make_finding("1", NOON, *_attempts("b").failures, *_attempts(passed="a", before=["a"]).retried, last)
    assert "case:res_3_a:failed:C1" in house.process_findings(found)


def test_each_case_that_fails_in_another_attempt_than_before_is_posted_once() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(_attempts("b", passed="a", before=["a"]))
    swapped = make_finding(
        "1", NOON, make_result("3_a", case="a", attempt=3), *_attempts(passed="b", before=["b"]).retried
    )
    assert "case:res_3_a:failed:C1" in house.process_findings(swapped)
    for again in (swapped, _attempts("b", passed="a", before=["a"])):
        assert house.decision_reasons(again) == [DecisionReason.KNOWN]


@pytest.mark.parametrize("group", ["run", "case", "cause"])
def test_fewer_failures_than_before_change_nothing(group: str) -> None:
    house = RuleBench(make_subscription(f"group:{group}"))
    house.process_findings(_attempts("a", "b", "c"))
    for later in (_attempts("a", "b"), _attempts("b", passed="a", before=["a"]), _attempts("c", passed="a")):
        decision = house.decide_finding(later, now=NOON + 60)
        assert not decision.notifications
        assert house.decision_reasons(later) == [DecisionReason.KNOWN]


@pytest.mark.parametrize("group", ["run", "case", "cause"])
def test_a_retry_that_the_channel_did_not_ask_for_does_not_revive_a_recovered_alert(group: str) -> None:
    house = RuleBench(make_subscription(f"group:{group} case:foo*"))
    house.process_findings(_attempts("foo1", "bar1"))
    house.process_findings(
        make_finding("2", NOON + 60, make_result("2_foo1", Outcome.PASSED, case="foo1"), outcome=Outcome.PASSED)
    )
    for now in (NOON + 120, NOON + 8 * HOUR_SECONDS):
        decision = house.decide_finding(_attempts("foo1", passed="bar1", before=["bar1"]), now=now)
        assert not decision.notifications


def test_a_decision_can_be_read_by_an_earlier_version() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(_attempts("a", "b"))
    [stored] = house.memory.hashes[decisions_hash("run_1")].values()
    _, *words = stored.split()
    earlier = {channel: (what[0], int(what[1:])) for channel, _, what in (word.partition("=") for word in words)}
    assert earlier["C1"] == ("t", 2)


def test_digests_beside_which_an_earlier_version_stored_more_failures_are_out_of_date() -> None:
    house = RuleBench(make_subscription("group:run"))
    house.process_findings(_attempts("a", "b"))
    name = decisions_hash("run_1")
    [stored] = house.memory.hashes[name].values()
    house.memory = house.memory.with_changes({name: {"run_1": stored.replace("C1=t2", "C1=t3")}})
    assert house.decision_reasons(_attempts("a", "b", "c")) == [DecisionReason.KNOWN]


def test_of_many_failures_only_the_number_is_remembered() -> None:
    house = RuleBench(make_subscription("group:run"))
    many = [f"c{number}" for number in range(MAX_KNOWN_CASES + 1)]
    house.process_findings(_attempts(*many))
    assert house.decision_reasons(_attempts("other", *many[1:])) == [DecisionReason.KNOWN]
    assert house.decision_reasons(_attempts("other", *many)) == [DecisionReason.NOTIFIED]
    [stored] = house.memory.hashes[decisions_hash("run_1")].values()
    assert len(stored) < 30


def test_a_run_whose_results_cannot_be_read_again_is_not_posted_as_a_whole() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(_attempts("a"))
    assert house.process_findings(make_finding("1", NOON, total=1)) == []
