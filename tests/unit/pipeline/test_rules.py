"""The rules: what deserves a message, under which key, and that hearing of it twice or in any order changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.rules import HOUR, NOON, RuleBench, failed, passed, result, run, sub
from zofbot.model import Outcome
from zofbot.notification import Claimed, Kind
from zofbot.pipeline.memory import Memory
from zofbot.pipeline.rules import Answer, decide, decide_all, key
from zofbot.routing import Finding, Notice, On, Subscription
from zofbot.simulator.blocks import problems
from zofbot.slack import bodies
from zofbot.slack.alerts import render


def test_a_failed_run_is_a_root_with_a_reply_for_each_failure() -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a", "b"))
    assert {one.key: (one.kind, one.root) for one in house.told.values()} == {
        "run:run_1:failed:C1": (Kind.ROOT, ""),
        "result:res_1_a:failed:C1": (Kind.REPLY, "run:run_1:failed:C1"),
        "result:res_1_b:failed:C1": (Kind.REPLY, "run:run_1:failed:C1"),
    }
    root = house.told["run:run_1:failed:C1"]
    assert (root.channel, root.happened, root.not_before, root.critical) == ("C1", NOON, 0.0, False)


def test_a_thousand_failures_are_twelve_messages_and_all_are_counted() -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, *(f"{n:04}" for n in range(1000))))
    assert len(house.told) == 12
    rest = bodies.read(house.told["rest:run_1:failed:1000:C1"].body)
    assert isinstance(rest, bodies.RestBody)
    assert rest.count == 990
    assert len(rest.titles) + rest.unlisted == 990
    shown = house.shown("run:run_1:failed:C1")
    assert isinstance(shown, bodies.RunBody)
    assert (shown.bad, len(shown.top)) == (1000, 3)


def test_failures_that_nobody_read_are_counted_too() -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a", total=50))
    rest = bodies.read(house.told["rest:run_1:failed:50:C1"].body)
    assert isinstance(rest, bodies.RestBody)
    assert (rest.count, rest.unlisted) == (49, 49)


def test_a_failed_run_of_which_no_case_is_known_is_a_root_alone() -> None:
    house = RuleBench(sub())
    house.hear(run("1", NOON, outcome=Outcome.ERROR))
    assert list(house.told) == ["run:run_1:error:C1"]


def test_a_run_that_passed_by_policy_is_told_only_where_that_is_asked_for() -> None:
    house = RuleBench(sub(), sub("on:passed-with-failures", "C2", 2), default="C0")
    house.hear(run("1", NOON, result("a"), outcome=Outcome.PASSED))
    assert set(house.told) == {"run:run_1:passed:C2", "result:res_a:failed:C2"}


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (Outcome.CANCELED, Answer.CANCELED), (Outcome.SKIPPED, Answer.CANCELED), (Outcome.QUEUED, Answer.UNFINISHED),
        (Outcome.RUNNING, Answer.UNFINISHED), (Outcome.PASSED, Answer.MISSED),
    ],
)  # fmt: skip
def test_what_did_not_fail_never_alerts(outcome: Outcome, answer: Answer) -> None:
    bad = (result("a"),) if outcome is not Outcome.PASSED else ()
    house = RuleBench(sub(), default="C0")
    assert house.answer(run("1", NOON, *bad, outcome=outcome)) == [answer]
    assert not house.told


def test_failed_and_error_are_told_under_their_own_category() -> None:
    house = RuleBench(sub())
    house.hear(run("1", NOON, result("a", Outcome.ERROR), outcome=Outcome.ERROR))
    assert set(house.told) == {"run:run_1:error:C1", "result:res_a:error:C1"}


def test_production_is_critical_by_default() -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a", environment="Production"))
    assert all(one.critical for one in house.told.values())


# Where it goes.


def test_a_failure_that_no_subscription_took_goes_to_the_default_channel() -> None:
    house = RuleBench(sub("project:other"), default="C0")
    house.hear(failed("1", NOON, "a"))
    assert {one.channel for one in house.told.values()} == {"C0"}


def test_only_the_failures_that_nobody_took_go_to_the_default_channel() -> None:
    house = RuleBench(sub("case:a"), default="C0")
    house.hear(failed("1", NOON, "a", "b"))
    assert {one.key for one in house.of(Kind.REPLY)} == {"result:res_1_a:failed:C1", "result:res_1_b:failed:C0"}


@pytest.mark.parametrize("filters", ["after:3/1h", "quiet:11:00-13:00"])
def test_what_is_taken_and_not_told_yet_does_not_go_to_the_default_channel(filters: str) -> None:
    house = RuleBench(sub(filters), default="C0")
    house.hear(failed("1", NOON, "a"))
    assert "C0" not in {one.channel for one in house.told.values()}


def test_two_subscriptions_of_one_channel_are_told_once() -> None:
    house = RuleBench(sub("case:a mention:<@U1>"), sub("env:staging mention:<@U2>", number=2))
    house.hear(failed("1", NOON, "a", "b"))
    assert len(house.told) == 3
    assert house.shown("run:run_1:failed:C1").mention == ("U1", "U2")


def test_one_failure_is_never_told_twice_in_a_channel_whatever_the_groupings() -> None:
    house = RuleBench(sub("case:a group:case"), sub(number=2))
    house.hear(failed("1", NOON, "a", "b"))
    assert set(house.told) == {"case:res_1_a:failed:C1", "run:run_1:failed:C1", "result:res_1_b:failed:C1"}


def test_every_subscription_gets_its_reason() -> None:
    house = RuleBench(
        sub(), sub("env:production", number=2), sub("after:2/1h", "C3", number=3),
        sub("quiet:11:00-13:00", "C4", number=4), sub("", "C5", number=5, created=NOON + HOUR),
    )  # fmt: skip
    decision = house.decide(failed("1", NOON, "a"))
    reasons = {reason.subscription: reason for reason in decision.reasons}
    assert {name: reason.answer for name, reason in reasons.items()} == {
        "sub_1": Answer.TOLD, "sub_2": Answer.MISSED, "sub_3": Answer.BELOW, "sub_4": Answer.HELD,
        "sub_5": Answer.MISSED,
    }  # fmt: skip
    assert reasons["sub_2"].why == "env is staging, wanted production"
    assert reasons["sub_2"].field == "env"
    assert reasons["sub_4"].until == NOON + HOUR
    assert reasons["sub_5"].field == "created"
    house.commit(decision)
    assert house.answer(failed("1", NOON, "a"))[2:] == [Answer.KNOWN, Answer.BELOW, Answer.KNOWN]


# When it happened.


def test_what_failed_before_the_look_back_is_noted_and_never_told() -> None:
    house = RuleBench(sub(), default="C0", lookback=HOUR)
    old = failed("1", NOON - 2 * HOUR, "a")
    assert house.answer(old, NOON) == [Answer.OLD]
    assert not house.told
    house.lookback = 24 * HOUR
    assert house.answer(old, NOON) == [Answer.OLD], "it was noted, so a longer look-back changes nothing"
    assert not house.told


def test_five_thousand_old_failures_at_first_start_are_silent() -> None:
    house = RuleBench(sub(), lookback=HOUR)
    house.hear(*(failed(str(n), NOON - 2 * HOUR - n, "a") for n in range(5000)), now=NOON)
    assert not house.told


def test_what_was_told_stays_known_when_it_has_become_old() -> None:
    house = RuleBench(sub(), lookback=HOUR)
    house.hear(failed("1", NOON, "a"))
    assert house.answer(failed("1", NOON, "a"), NOON + 2 * HOUR) == [Answer.KNOWN]


def test_quiet_hours_hold_everything_but_what_is_critical() -> None:
    house = RuleBench(sub("quiet:11:00-13:00,critical"))
    house.hear(failed("1", NOON, "a"), failed("2", NOON, "a", environment="production"))
    held = {one.root or one.key: one.not_before for one in house.told.values()}
    assert held == {"run:run_1:failed:C1": NOON + HOUR, "run:run_2:failed:C1": 0.0}


def test_a_channel_waits_only_as_long_as_all_who_asked_are_quiet() -> None:
    house = RuleBench(sub("quiet:11:00-13:00"), sub("quiet:11:00-12:30", number=2))
    house.hear(failed("1", NOON, "a"))
    assert house.told["run:run_1:failed:C1"].not_before == NOON + HOUR / 2
    house.subscriptions += (sub(number=3),)
    house.hear(failed("2", NOON, "a"))
    assert house.told["run:run_2:failed:C1"].not_before == 0


def test_a_recovery_waits_for_the_morning_too() -> None:
    house = RuleBench(sub("quiet:13:00-14:00"))
    house.hear(failed("1", NOON, "a"), passed("2", NOON + HOUR + 60, "a"))
    assert house.told["recovered:run_1:failed:C1"].not_before == NOON + 2 * HOUR


def test_after_tells_only_from_the_nth_failure_within_the_window() -> None:
    house = RuleBench(sub("after:3/1h"))
    answers = [house.answer(failed(str(n), NOON + n * 60, "a"))[0] for n in range(4)]
    assert answers == [Answer.BELOW, Answer.BELOW, Answer.TOLD, Answer.TOLD]
    assert {one.key for one in house.of(Kind.ROOT)} == {"run:run_2:failed:C1", "run:run_3:failed:C1"}


def test_after_forgets_what_left_the_window() -> None:
    house = RuleBench(sub("after:2/1h"))
    assert house.answer(failed("1", NOON, "a")) == [Answer.BELOW]
    assert house.answer(failed("2", NOON + HOUR, "a")) == [Answer.BELOW]
    assert house.answer(failed("3", NOON + HOUR + 1, "a")) == [Answer.TOLD]


def test_after_lets_go_of_what_cannot_matter_any_more_once_it_is_much() -> None:
    house = RuleBench(sub("after:2/1h"))
    for n in range(501):
        assert house.answer(failed(str(n), NOON, "a", environment=f"env{n}")) == [Answer.BELOW]
    assert len(house.memory.hashes["after:sub_1"]) == 501, "all of it may count yet"
    assert house.answer(failed("again", NOON + 60, "a", environment="env7")) == [Answer.TOLD]
    assert house.answer(failed("late", NOON + 3 * HOUR, "a", environment="env8")) == [Answer.BELOW]
    assert len(house.memory.hashes["after:sub_1"]) == 1
    assert house.answer(failed("later", NOON + 3 * HOUR + 60, "a", environment="env8")) == [Answer.TOLD]


def test_after_counts_a_run_once_however_often_it_is_heard_of() -> None:
    house = RuleBench(sub("after:2/1h"))
    assert [house.answer(failed("1", NOON, "a"))[0] for _ in range(3)] == [Answer.BELOW] * 3


def test_after_counts_a_run_once_that_was_read_in_parts() -> None:
    house = RuleBench(sub("after:3/1h"))
    house.hear(failed("1", NOON, "a"), failed("2", NOON + 1, "a"), failed("3", NOON + HOUR / 2, "a"))
    house.hear(failed("3", NOON + HOUR / 2, "a", "b"))
    assert house.answer(failed("4", NOON + HOUR + 60, "a")) == [Answer.BELOW]


def test_after_counts_each_case_by_itself_where_cases_are_grouped() -> None:
    house = RuleBench(sub("after:2/1h group:case"))
    house.hear(failed("1", NOON, "a"), failed("2", NOON + 60, "a", "b"), failed("3", NOON + 120, "b"))
    assert {one.key for one in house.told.values()} == {"case:res_2_a:failed:C1", "case:res_3_b:failed:C1"}


def test_after_counts_no_further_than_project_and_environment() -> None:
    house = RuleBench(sub("after:2/1h"))
    assert house.answer(failed("1", NOON, "a")) == [Answer.BELOW]
    assert house.answer(failed("2", NOON, "a", environment="production")) == [Answer.BELOW]


# Grouping by case.


def test_a_case_has_one_root_whose_count_rises() -> None:
    house = RuleBench(sub("group:case"))
    house.hear(*(failed(str(n), NOON + n * 60, "a") for n in range(3)))
    assert [one.key for one in house.of(Kind.ROOT)] == ["case:res_0_a:failed:C1"]
    assert [one.key for one in house.of(Kind.REPLY)] == ["result:res_1_a:failed:C1", "result:res_2_a:failed:C1"]
    assert [one.key for one in house.of(Kind.EDIT)] == ["case-edit:res_0_a:failed:C1"]
    shown = house.shown("case:res_0_a:failed:C1")
    assert isinstance(shown, bodies.CaseBody)
    assert (shown.count, shown.first, shown.last, shown.run.id) == (3, NOON, NOON + 120, "run_2")


def test_the_same_case_of_another_project_or_environment_is_another_case() -> None:
    house = RuleBench(sub("group:case"))
    house.hear(
        failed("1", NOON, "a"), failed("2", NOON, "a", environment="dev"), failed("3", NOON, "a", project_id="p2")
    )
    assert len(house.of(Kind.ROOT)) == 3


def test_a_case_that_failed_twice_in_one_run_counts_once_and_says_so() -> None:
    house = RuleBench(sub("group:case"))
    house.hear(run("1", NOON, result("x", case="a"), result("y", case="a")))
    assert set(house.told) == {"case:res_y:failed:C1"}
    shown = house.shown("case:res_y:failed:C1")
    assert isinstance(shown, bodies.CaseBody)
    assert (shown.count, shown.case.attempts) == (1, 2)


def test_an_earlier_failure_heard_of_late_joins_its_case() -> None:
    house = RuleBench(sub("group:case"))
    house.hear(failed("2", NOON + 60, "a"), failed("1", NOON, "a"), now=NOON + 90)
    shown = house.shown("case:res_2_a:failed:C1")
    assert isinstance(shown, bodies.CaseBody)
    assert (shown.count, shown.first, shown.last, shown.case.id) == (2, NOON, NOON + 60, "res_2_a")


def test_a_flat_layout_has_no_replies() -> None:
    house = RuleBench(sub("layout:flat"), sub("layout:flat group:case", "C2", number=2))
    house.hear(failed("1", NOON, "a", "b"), failed("2", NOON + 60, "a"), passed("3", NOON + 120, "a", "b"))
    assert not house.of(Kind.REPLY)
    assert house.shown("run:run_1:failed:C1").standing is bodies.Standing.RECOVERED
    assert house.shown("case:res_1_a:failed:C2").standing is bodies.Standing.RECOVERED


# Recovery and flapping.


@pytest.mark.parametrize(("group", "root"), [("run", "run:run_1:failed:C1"), ("case", "case:res_1_a:failed:C1")])
def test_a_later_pass_edits_the_root_and_replies(group: str, root: str) -> None:
    house = RuleBench(sub(f"group:{group}"))
    house.hear(failed("1", NOON, "a"))
    assert house.answer(passed("2", NOON + 60, "a")) == [Answer.RECOVERED]
    assert house.shown(root).standing is bodies.Standing.RECOVERED
    assert house.shown(root).turner == "run_2"
    [reply] = [one for one in house.told.values() if one.key.startswith("recovered:")]
    assert (reply.kind, reply.root, reply.happened) == (Kind.REPLY, root, NOON + 60)
    body = bodies.read(reply.body)
    assert isinstance(body, bodies.RecoveredBody)
    assert body.after == 60


def test_a_run_recovers_when_the_last_of_its_cases_has_passed() -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a", "b"), passed("2", NOON + 60, "a"))
    assert house.shown("run:run_1:failed:C1").standing is bodies.Standing.OPEN
    house.hear(passed("3", NOON + 120, "b"))
    assert house.shown("run:run_1:failed:C1").standing is bodies.Standing.RECOVERED


@pytest.mark.parametrize(
    "other",
    [
        passed("2", NOON - 60, "a"), passed("2", NOON + 60, "b"), passed("2", NOON + 60),
        passed("2", NOON + 60, "a", environment="dev"), passed("2", NOON + 60, "a", project_id="proj_2"),
        run("2", NOON + 60, result("x", Outcome.SKIPPED, case="a"), outcome=Outcome.PASSED),
        run("2", NOON + 60, result("x", Outcome.PASSED, case="a"), outcome=Outcome.CANCELED),
    ],
    ids=["earlier", "other case", "unknown cases", "other environment", "other project", "skipped", "canceled"],
)  # fmt: skip
def test_nothing_recovers_that_is_not_known_to_have_passed_later_in_the_same_place(other: Finding) -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a"), other)
    assert house.shown("run:run_1:failed:C1").standing is bodies.Standing.OPEN
    assert not house.of(Kind.EDIT)


def test_a_run_without_known_cases_recovers_with_a_whole_run_of_its_title() -> None:
    house = RuleBench(sub())
    house.hear(run("1", NOON), passed("2", NOON + 60, title="Smoke"))
    assert not house.of(Kind.EDIT)
    house.hear(passed("3", NOON + 120))
    assert house.shown("run:run_1:failed:C1").standing is bodies.Standing.RECOVERED


def test_a_run_that_was_not_read_to_its_end_does_not_recover_by_the_cases_that_were() -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a", total=50), passed("2", NOON + 60, "a", title="Smoke"))
    assert not house.of(Kind.EDIT)


def test_a_case_recovers_whatever_else_of_its_run_was_not_read() -> None:
    house = RuleBench(sub("group:case"))
    house.hear(failed("1", NOON, "a", total=50), passed("2", NOON + 60, "a", title="Smoke"))
    assert house.shown("case:res_1_a:failed:C1").standing is bodies.Standing.RECOVERED


def test_who_does_not_ask_for_recoveries_gets_none() -> None:
    house = RuleBench(sub("on:failed"))
    house.hear(failed("1", NOON, "a"), passed("2", NOON + 60, "a"))
    assert not house.of(Kind.EDIT)


def test_a_channel_that_ended_its_subscription_hears_no_more() -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a"))
    house.subscriptions = (sub("project:other", number=2),)
    house.hear(passed("2", NOON + 60, "a"))
    assert not house.of(Kind.EDIT)


def test_the_default_channel_hears_of_recoveries() -> None:
    house = RuleBench(default="C0")
    house.hear(failed("1", NOON, "a"), passed("2", NOON + 60, "a"))
    assert "recovered:run_1:failed:C0" in house.told


def test_a_pass_heard_of_before_the_failure_recovers_it_at_once() -> None:
    house = RuleBench(sub())
    house.hear(passed("2", NOON + 60, "a"), failed("1", NOON, "a"), now=NOON + 90)
    assert house.shown("run:run_1:failed:C1").standing is bodies.Standing.RECOVERED
    assert "recovered:run_1:failed:C1" in house.told


@pytest.mark.parametrize(("group", "root"), [("run", "run:run_1:failed:C1"), ("case", "case:res_1_a:failed:C1")])
def test_failing_again_within_an_hour_goes_on_in_the_same_thread(group: str, root: str) -> None:
    house = RuleBench(sub(f"group:{group}"))
    house.hear(failed("1", NOON, "a"), passed("2", NOON + 60, "a"), failed("3", NOON + 120, "a"))
    assert [one.key for one in house.of(Kind.ROOT)] == [root]
    assert house.shown(root).standing is bodies.Standing.AGAIN
    assert house.told["result:res_3_a:failed:C1"].root == root
    house.hear(passed("4", NOON + 180, "a"))
    assert house.shown(root).standing is bodies.Standing.RECOVERED
    assert len([name for name in house.told if name.startswith("recovered:")]) == 2
    assert len(house.of(Kind.EDIT)) == 1


@pytest.mark.parametrize("recovers", [False, True])
def test_another_result_of_a_case_that_was_told_leaves_the_card_as_it_stands(recovers: bool) -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a"))
    if recovers:
        house.hear(passed("2", NOON + 60, "a"))
    house.hear(run("1", NOON, result("1_a", case="a"), result("1_again", case="a")))
    shown = house.shown("run:run_1:failed:C1")
    assert shown.standing is (bodies.Standing.RECOVERED if recovers else bodies.Standing.OPEN)
    assert isinstance(shown, bodies.RunBody)
    assert shown.bad == 1
    assert "result:res_1_again:failed:C1" not in house.told
    assert len(house.of(Kind.ROOT)) == 1


@pytest.mark.parametrize("group", ["run", "case"])
def test_failing_again_after_an_hour_is_a_new_story(group: str) -> None:
    house = RuleBench(sub(f"group:{group}"))
    house.hear(failed("1", NOON, "a"), passed("2", NOON + 60, "a"), failed("3", NOON + 61 + HOUR, "a"))
    assert len(house.of(Kind.ROOT)) == 2


def test_a_new_failure_beside_a_recovered_one_is_a_new_story() -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a"), passed("2", NOON + 60, "a"), failed("3", NOON + 120, "a", "b"))
    assert len(house.of(Kind.ROOT)) == 2


def test_a_run_without_cases_that_fails_again_says_so_in_the_thread() -> None:
    house = RuleBench(sub())
    house.hear(run("1", NOON), passed("2", NOON + 60), run("3", NOON + 120))
    assert house.told["again:run_3:failed:C1"].root == "run:run_1:failed:C1"


@pytest.mark.parametrize(("filters", "seen"), [("", [False, True]), ("broadcast:never", [False, False])])
def test_the_channel_sees_the_reply_when_a_failure_is_back_unless_it_asked_not_to(
    filters: str, seen: list[bool]
) -> None:
    house = RuleBench(sub(f"group:case {filters}"))
    house.hear(*(failed(str(n), NOON + n * 60, "a") for n in range(2)), passed("2", NOON + 180, "a"))
    house.hear(failed("3", NOON + 240, "a"))
    replies = [bodies.read(one.body) for one in house.of(Kind.REPLY)]
    assert [one.broadcast for one in replies if isinstance(one, bodies.ResultBody)] == seen


def test_the_channel_sees_one_reply_of_a_run_that_fails_again() -> None:
    house = RuleBench(sub("broadcast:worse"))
    house.hear(failed("1", NOON, "a", "b"), passed("2", NOON + 60, "a", "b"), failed("3", NOON + 120, "a", "b"))
    seen = {one.key: one.body.get("broadcast", False) for one in house.of(Kind.REPLY) if "res_3" in one.key}
    assert seen == {"result:res_3_a:failed:C1": True, "result:res_3_b:failed:C1": False}


def test_a_failure_after_long_quiet_counts_as_worse() -> None:
    house = RuleBench(sub("group:case broadcast:worse"))
    house.hear(failed("1", NOON, "a"), failed("2", NOON + HOUR, "a"), failed("3", NOON + 8 * HOUR, "a"))
    assert [one.body.get("broadcast", False) for one in house.of(Kind.REPLY)] == [False, True]


def test_flat_and_loud_gets_one_reply_when_things_got_worse() -> None:
    house = RuleBench(sub("layout:flat broadcast:worse"))
    house.hear(failed("1", NOON, "a", "b"), passed("2", NOON + 60, "a", "b"), failed("3", NOON + 120, "a", "b"))
    assert [one.key for one in house.of(Kind.REPLY)] == ["result:res_3_a:failed:C1"]
    assert house.of(Kind.REPLY)[0].body["broadcast"] is True


def test_what_was_read_later_of_a_run_is_added_to_it() -> None:
    house = RuleBench(sub(), sub("group:case", "C2", number=2))
    house.hear(failed("1", NOON, "a"))
    new = house.hear(failed("1", NOON, "a", "b"))
    assert set(new) == {"result:res_1_b:failed:C1", "run-edit:run_1:failed:C1", "case:res_1_b:failed:C2",
                        "case-edit:res_1_a:failed:C2"}  # fmt: skip
    root, case = house.shown("run:run_1:failed:C1"), house.shown("case:res_1_a:failed:C2")
    assert isinstance(root, bodies.RunBody)
    assert isinstance(case, bodies.CaseBody)
    assert (root.bad, case.count) == (2, 1)


# Storms.


def storm_of(house: RuleBench) -> bodies.StormBody:
    """What the summary says once all of its edits are made."""
    last = [one for one in house.told.values() if one.body.get("card") == "storm"][-1]
    body = bodies.read(last.body)
    assert isinstance(body, bodies.StormBody)
    return body


def test_a_hundred_failing_runs_at_once_are_twenty_roots_and_one_summary_that_counts_the_rest() -> None:
    house = RuleBench(sub("mention:<@U1>"))
    answers = [house.answer(failed(str(n), NOON, "a", environment=f"env{n % 2}"), NOON)[0] for n in range(100)]
    assert answers == [Answer.TOLD] * 20 + [Answer.STORM] * 80
    roots = [one.key for one in house.of(Kind.ROOT)]
    assert len(roots) == 21
    assert roots[-1] == "storm:run_20:failed:C1"
    summary = storm_of(house)
    assert (summary.alerts, summary.failures, summary.members, summary.open) == (80, 80, 100, 100)
    assert set(summary.places) == {("proj_1", "env0", 40), ("proj_1", "env1", 40)}


def test_hearing_of_a_storm_twice_counts_it_once() -> None:
    house = RuleBench(sub())
    findings = [failed(str(n), NOON, "a") for n in range(40)]
    house.hear(*findings, *findings, *reversed(findings), now=NOON)
    assert storm_of(house).alerts == 20


def test_the_summary_is_edited_every_ten_seconds_at_most_and_closed_when_it_is_calm() -> None:
    house, edits, closings = RuleBench(sub()), set(), []
    times = [NOON + number / 2 for number in range(300)]
    for at in [*times, NOON + HOUR]:
        waiting = [one for one in house.told.values() if one.key.startswith("storm-close")]
        for one in (one for one in waiting if one.not_before <= at):
            over = "is over" in render(Claimed(one, 1, one.happened), one.not_before).text
            closings.append((house.told.pop(one.key).not_before, over))
        decision = house.decide(failed(str(at), at, "a"))
        edits |= {one.not_before for one in decision.notifications if one.key.startswith("storm-edit")} - {NOON + HOUR}
        house.commit(decision)
    assert min(later - earlier for earlier, later in itertools.pairwise(sorted(edits))) >= 10
    assert closings == [(at, at >= times[-1] + 60) for at, _ in closings], "one in between shows that it rages on"
    assert closings[-1][0] <= times[-1] + 120
    assert len(closings) == 4


def test_single_roots_return_with_the_calm_and_the_summary_says_that_it_is_over() -> None:
    house = RuleBench(sub())
    house.hear(*(failed(str(n), NOON, "a") for n in range(30)))
    assert house.answer(failed("later", NOON + 61, "a")) == [Answer.TOLD]
    assert "run:run_later:failed:C1" in house.told
    assert bodies.read(house.told["storm-edit:run_20:failed:C1"].body).model_dump()["closed"] is True
    house.hear(*(failed(f"x{n}", NOON + 300, "a") for n in range(30)))
    assert len([one for one in house.of(Kind.ROOT) if one.key.startswith("storm:")]) == 2


def test_a_storm_of_one_channel_is_none_of_another() -> None:
    house = RuleBench(sub(), sub("env:dev", "C2", number=2))
    house.hear(*(failed(str(n), NOON, "a") for n in range(30)), failed("x", NOON, "a", environment="dev"))
    assert "run:run_x:failed:C2" in house.told
    assert "run:run_x:failed:C1" not in house.told


def test_many_failing_cases_of_one_run_are_a_storm_of_their_own() -> None:
    house = RuleBench(sub("group:case"))
    house.hear(failed("1", NOON, *(f"{n:03}" for n in range(100))))
    assert [one.key for one in house.of(Kind.ROOT)] == ["storm:res_1_000:failed:C1"]
    assert (storm_of(house).failures, storm_of(house).run.id) == (100, "run_1")


def test_what_quiet_hours_held_comes_as_a_storm_when_they_end_at_once() -> None:
    house = RuleBench(sub("quiet:11:00-13:00,critical"))
    house.hear(*(failed(str(n), NOON + n * 60, "a") for n in range(30)))
    summary = house.told["storm:run_20:failed:C1"]
    assert summary.not_before == NOON + HOUR
    assert all(one.not_before >= NOON + HOUR for one in house.told.values())
    house.hear(failed("now", NOON + 1801, "a", environment="production"))
    assert house.told["run:run_now:failed:C1"].not_before == 0
    house.hear(failed("later", NOON + 3 * HOUR, "a"))
    lanes = [field for field in house.memory.hashes["storms:C1"] if field.startswith("lane:")]
    assert all(lane.endswith("@0") for lane in lanes)


def test_a_storm_over_hundreds_of_places_counts_them_all() -> None:
    house = RuleBench(sub())
    house.hear(*(failed(str(n), NOON, "a", environment=f"env{n}") for n in range(320)), now=NOON)
    summary = storm_of(house)
    assert summary.failures == summary.elsewhere + sum(count for *_, count in summary.places) == 300
    [storm] = [kept for field, kept in house.memory.hashes["storms:C1"].items() if field.startswith("storm:")]
    assert storm.count('"env') == 200


def test_slow_failures_are_no_storm() -> None:
    house = RuleBench(sub())
    house.hear(*(failed(str(n), NOON + n * 3, "a") for n in range(100)))
    assert len(house.of(Kind.ROOT)) == 100


# Notices.


def test_a_notice_is_told_once_to_whom_asked_and_again_another_day() -> None:
    house = RuleBench(sub("on:agent"), sub("", "C2", number=2), default="C0")
    notice = Notice(On.AGENT, "agent_7", NOON, "no heartbeat")
    assert sorted(house.answer(notice)) == [Answer.MISSED, Answer.TOLD]
    assert sorted(house.answer(notice)) == [Answer.KNOWN, Answer.MISSED]
    assert list(house.told) == [f"notice:agent_7:agent:{NOON:.0f}:C1"]
    house.hear(Notice(On.AGENT, "agent_7", NOON + 86400))
    assert len(house.told) == 2


def test_more_notices_than_a_channel_can_read_are_in_the_summary() -> None:
    house = RuleBench(sub("on:agent mention:<@U1>"))
    answers = [house.answer(Notice(On.AGENT, f"agent_{n:02}", NOON, projects=("p",)))[0] for n in range(30)]
    assert answers == [Answer.TOLD] * 20 + [Answer.STORM] * 10
    assert len([key for key in house.told if key.startswith("notice:")]) == 20
    summary = storm_of(house)
    assert (summary.alerts, summary.members, summary.unmentioned) == (10, 0, 28)
    assert sum("U1" in str(one.body.get("mention")) for one in house.of(Kind.ROOT)) == 2
    assert house.answer(Notice(On.AGENT, "agent_29", NOON)) == [Answer.STORM]
    assert storm_of(house).alerts == 10, "hearing of it again counts it once"


def test_an_old_notice_is_not_told() -> None:
    house = RuleBench(sub("on:agent"), lookback=HOUR)
    assert house.answer(Notice(On.AGENT, "agent_7", NOON), NOON + 2 * HOUR) == [Answer.OLD]


# Keys and repetition.


def test_a_key_shows_what_it_is_about() -> None:
    assert key("run", "run_1", "failed", "C1") == "run:run_1:failed:C1"
    assert key("run", "a:b", "failed", "C1") == "run:a%3Ab:failed:C1"
    assert key("recovered", "run_1", "failed", "C1", turn=2) == "recovered:run_1:failed:2:C1"


@given(
    st.lists(st.tuples(st.sampled_from(["run", "rest"]), st.text("%:a1", min_size=1), st.integers(0, 3)), unique=True)
)
def test_no_two_things_share_a_key(things: list[tuple[str, str, int]]) -> None:
    assert len({key(kind, name, "failed", "C1", turn=turn) for kind, name, turn in things}) == len(things)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_whatever_zof_names_its_things_the_bodies_are_drawn(name: str, case: str) -> None:
    house = RuleBench(sub("mention:<@U1>"), sub("group:case", "C2", number=2))
    house.hear(failed(name, NOON, case), passed(f"{name}x", NOON + 60, case), failed(f"{name}y", NOON + 120, case))
    for one in house.told.values():
        assert not problems(render(Claimed(one, 1, one.happened), one.happened).payload(), "message")


WISHES = st.sampled_from(["", "group:case", "layout:flat", "after:2/1h", "case:a,b", "on:failed", "broadcast:worse"])
SUBSCRIPTIONS = st.lists(st.tuples(WISHES, st.sampled_from(["C1", "C2"])), max_size=3).map(
    lambda wishes: tuple(sub(wish, channel, number) for number, (wish, channel) in enumerate(wishes, 1))
)
CASES = st.sets(st.sampled_from("abc"))


def history(steps: Sequence[tuple[set[str], set[str], int]], pause: float) -> list[Finding]:
    """Runs one after the other: what failed, what passed, and where."""
    return [
        run(
            str(n), NOON + n * pause,
            *(result(f"{n}_{case}", case=case) for case in sorted(bad)),
            *(result(f"{n}_{case}", Outcome.PASSED, case=case) for case in sorted(good - bad)),
            outcome=Outcome.FAILED if bad else Outcome.PASSED, environment=f"env{place}",
        )
        for n, (bad, good, place) in enumerate(steps)
    ]  # fmt: skip


STEPS = st.lists(st.tuples(CASES, CASES, st.integers(0, 1)), max_size=8)


def state(house: RuleBench) -> dict[str, Any]:
    """Everything a channel shows in the end."""
    return {name: (one.kind, one.channel, one.root, one.body) for name, one in house.told.items()}


def perfect(house: RuleBench, findings: Iterable[Finding]) -> RuleBench:
    made = RuleBench(*house.subscriptions, default=house.default)
    made.hear(*findings)
    return made


@given(SUBSCRIPTIONS, STEPS, st.sampled_from([60.0, 1800.0, 2 * HOUR]), st.data())
def test_hearing_of_things_again_changes_nothing(
    subscriptions: tuple[Subscription, ...],
    steps: list[tuple[set[str], set[str], int]],
    pause: float,
    data: st.DataObject,
) -> None:
    findings = history(steps, pause)
    house = RuleBench(*subscriptions, default="C0")
    for index, finding in enumerate(findings):
        house.hear(finding)
        again = data.draw(st.lists(st.sampled_from(findings[: index + 1]), max_size=3))
        house.hear(*again, now=finding.happened)
    assert state(house) == state(perfect(house, findings))


@given(SUBSCRIPTIONS, STEPS, st.sampled_from([60.0, 2 * HOUR]))
def test_two_pollers_at_once_come_to_the_same_keys(
    subscriptions: tuple[Subscription, ...], steps: list[tuple[set[str], set[str], int]], pause: float
) -> None:
    house = RuleBench(*subscriptions, default="C0")
    findings = history(steps, pause)
    for finding in findings:
        one, other = house.decide(finding), house.decide(finding)
        assert one == other
        house.commit(one)
        assert not house.commit(other)
    assert state(house) == state(perfect(house, findings))


@given(
    STEPS, st.sampled_from([(), (sub(),), (sub("case:a,b"), sub("", "C2", 2), sub("layout:flat", "C3", 3))]), st.data()
)
def test_any_order_and_repetition_ends_as_a_perfect_source(
    steps: list[tuple[set[str], set[str], int]], subscriptions: tuple[Subscription, ...], data: st.DataObject
) -> None:
    """For roots by run, as long as nothing flaps: what is posted already cannot move to another thread any more."""
    failures = history([(bad, set(), place) for bad, _, place in steps], 60)
    end = NOON + len(failures) * 60
    passes = [
        passed(f"p{n}", end + n, *sorted(good), environment=f"env{where}") for n, (_, good, where) in enumerate(steps)
    ]
    findings = failures + passes
    heard = data.draw(
        st.permutations(
            findings + data.draw(st.lists(st.sampled_from(findings), max_size=5) if findings else st.just([]))
        )
    )
    house = RuleBench(*subscriptions, default="C0")
    house.hear(*heard, now=end + 100)
    ideal = perfect(house, findings)
    assert house.messages() == ideal.messages()
    assert house.recoveries() == ideal.recoveries()
    for root in ideal.of(Kind.ROOT):
        assert turned(house.shown(root.key)) == turned(ideal.shown(root.key))


def turned(body: bodies.RunBody | bodies.CaseBody) -> tuple[bodies.Standing, float | None, str, int]:
    return body.standing, body.turned, body.turner, body.turn


def test_a_run_heard_of_late_puts_right_by_which_one_it_recovered() -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a", "b"), passed("3", NOON + 300, "a", "b"), now=NOON + 300)
    assert house.hear(passed("2", NOON + 60, "a"), now=NOON + 301) == []  # of the other case nothing new is known
    assert house.hear(passed("4", NOON + 120, "b"), now=NOON + 302) == ["recovered-edit:run_1:failed:C1"]
    assert turned(house.shown("run:run_1:failed:C1")) == (bodies.Standing.RECOVERED, NOON + 120, "run_4", 1)
    assert house.recoveries() == {("recovered:run_1:failed:C1", "Nightly", 120, "run_4")}
    assert house.told["recovered-edit:run_1:failed:C1"].root == "recovered:run_1:failed:C1"


def test_cases_that_pass_in_several_runs_recover_with_the_last_of_them_in_any_order() -> None:
    for order in itertools.permutations((passed("2", NOON + 60, "a"), passed("3", NOON + 90, "b", "a"))):
        house = RuleBench(sub())
        house.hear(failed("1", NOON, "a", "b"), *order, now=NOON + 300)
        assert turned(house.shown("run:run_1:failed:C1")) == (bodies.Standing.RECOVERED, NOON + 90, "run_3", 1)


def test_a_run_heard_of_late_that_passed_before_a_relapse_changes_nothing() -> None:
    house = RuleBench(sub())
    house.hear(failed("1", NOON, "a"), passed("2", NOON + 300, "a"), failed("3", NOON + 400, "a"), now=NOON + 400)
    before = state(house)
    house.hear(passed("4", NOON + 60, "a"), now=NOON + 401)
    assert state(house) == before


def test_a_flat_layout_has_no_reply_to_put_right() -> None:
    house = RuleBench(sub("layout:flat"))
    house.hear(failed("1", NOON, "a"), passed("3", NOON + 300, "a"), now=NOON + 300)
    assert house.hear(passed("2", NOON + 60, "a"), now=NOON + 301) == []
    assert turned(house.shown("run:run_1:failed:C1")) == (bodies.Standing.RECOVERED, NOON + 60, "run_2", 1)


def test_a_relapse_needs_only_what_failed_again_to_pass() -> None:
    house = RuleBench(sub())
    house.hear(
        failed("1", NOON, "a", "b"), passed("2", NOON + 60, "a", "b"), failed("3", NOON + 120, "a"), now=NOON + 120
    )
    house.hear(passed("4", NOON + 180, "a"), now=NOON + 180)
    assert turned(house.shown("run:run_1:failed:C1")) == (bodies.Standing.RECOVERED, NOON + 180, "run_4", 3)


@given(st.permutations(range(6)))
def test_a_run_of_which_not_all_was_read_recovers_by_the_first_whole_one_of_its_title_in_any_order(
    order: list[int],
) -> None:
    failure = failed("0", NOON, "a", "b", total=5)
    passes = [
        passed("1", NOON + 60, "a"), passed("2", NOON + 120, "a", "b", title="Other"), passed("3", NOON + 180),
        passed("4", NOON + 240, "a", "b"), passed("5", NOON + 300, "a", "b"),
    ]  # fmt: skip
    heard = [[failure, *passes][number] for number in order]
    house, ideal = RuleBench(sub()), RuleBench(sub())
    house.hear(*heard, now=NOON + 400)
    ideal.hear(failure, *passes)
    assert house.recoveries() == ideal.recoveries() == {("recovered:run_0:failed:C1", "Nightly", 180, "run_3")}


@given(st.permutations(range(5)), st.lists(st.integers(0, 4), max_size=4))
def test_failures_of_a_case_in_any_order_are_one_root_and_the_same_count(order: list[int], again: list[int]) -> None:
    house = RuleBench(sub("group:case"))
    house.hear(*(failed(str(n), NOON + n * 60, "a") for n in [*order, *again]), now=NOON + 300)
    [root] = house.of(Kind.ROOT)
    shown = house.shown(root.key)
    assert isinstance(shown, bodies.CaseBody)
    assert (shown.count, shown.first, shown.last, shown.run.id) == (5, NOON, NOON + 240, "run_4")
    assert len(house.of(Kind.REPLY)) == 4


@given(SUBSCRIPTIONS, STEPS)
def test_a_page_decided_at_once_is_the_same_as_one_by_one(
    subscriptions: tuple[Subscription, ...], steps: list[tuple[set[str], set[str], int]]
) -> None:
    findings = history(steps, 60)
    now = NOON + HOUR
    at_once, singly = RuleBench(*subscriptions, default="C0"), RuleBench(*subscriptions, default="C0")
    at_once.commit(
        decide_all(reversed(findings), subscriptions, at_once.memory, now, lookback=24 * HOUR, default_channel="C0")
    )
    singly.hear(*findings, now=now)
    assert state(at_once) == state(singly)
    assert at_once.memory.hashes == singly.memory.hashes


# What is remembered stays small.


def test_what_is_remembered_is_bounded() -> None:
    house = RuleBench(sub(), sub("group:case after:2/1h", "C2", number=2))
    for n in range(300):
        house.hear(failed(str(n), NOON + n * 60, f"case{n}"), passed(f"p{n}", NOON + n * 60 + 1, "other"))
    sizes = {name: len(fields) for name, fields in house.memory.hashes.items()}
    assert max(sizes[name] for name in sizes if name.startswith("open:C1")) == 20
    assert max(sizes[name] for name in sizes if name.startswith("passed:")) <= 20
    assert sizes["storms:C1"] == 2


def test_what_recovered_is_let_go_of_after_some_hours() -> None:
    house = RuleBench(sub("group:case"))
    house.hear(failed("1", NOON, "a"), passed("2", NOON + 60, "a"), failed("3", NOON + 7 * HOUR, "b"))
    [name] = [name for name in house.memory.hashes if name.startswith("open:")]
    assert set(house.memory.hashes[name]) == {"case:b"}


def test_what_was_told_longer_ago_than_keys_live_is_forgotten() -> None:
    house, finding = RuleBench(default="C0"), failed("1", NOON + 31 * 24 * HOUR, "a")
    name = Memory.names(finding, ())[0]
    aged = {f"run_old{n}": f"{NOON:.0f} C0=t1" for n in range(70)}
    house.memory = Memory({name: {**aged, "run_new": f"{NOON + 2 * 24 * HOUR:.0f} C0=t1"}})
    house.hear(finding)
    assert set(house.memory.hashes[name]) == {"run_1", "run_new"}


def test_a_decision_reads_nothing_but_what_it_named() -> None:
    finding = failed("1", NOON, "a")
    names = Memory.names(finding, [sub("after:2/1h")], "C0")
    decision = decide(finding, [sub("after:2/1h")], Memory(), NOON, lookback=HOUR, default_channel="C0")
    assert set(decision.changes) <= set(names)
    assert decision.changes


def test_of_a_thousand_channels_only_those_are_read_that_it_may_concern() -> None:
    others = [sub("project:proj_other after:2/1h", f"C{n}", n) for n in range(1000)]
    names = Memory.names(failed("1", NOON, "a"), [*others, sub("project:proj_1", "CMINE", 1000)], "", ())
    assert {name.split(":")[1] for name in names if name.startswith(("open:", "storms:"))} == {"CMINE"}
    assert not [name for name in names if name.startswith("after:")]
    assert len([name for name in Memory.names(failed("1", NOON, "a"), others) if name.startswith("open:")]) == 1000


def test_a_channel_that_asks_for_something_else_by_now_still_sees_the_recovery() -> None:
    house = RuleBench(sub("project:proj_1"))
    house.hear(failed("1", NOON, "a"))
    house.subscriptions = (sub("project:proj_other"),)
    assert house.hear(passed("2", NOON + 60, "a")) == ["run-edit:run_1:failed:C1", "recovered:run_1:failed:C1"]
