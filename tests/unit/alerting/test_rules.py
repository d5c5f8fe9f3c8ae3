"""The rules: what deserves a message, under which key, and that hearing of it twice or in any order changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from zofbot.alerting.reasons import SubscriptionDecision
from zofbot.alerting.rules import DecisionReason, decide_batch, decide_finding, idempotency_key
from zofbot.alerting.state import RuleState
from zofbot.domain.model import Outcome
from zofbot.notifications import alert_payloads, payloads, storm_payloads, thread_payloads
from zofbot.notifications.notification import Claim, NotificationKind
from zofbot.simulator.blockkit.blocks import find_problems
from zofbot.slack.views.renderer import render_notification
from zofbot.subscriptions import EventType, PlatformEvent, RunFinding, Subscription


def missed_filter(reason: SubscriptionDecision) -> str:
    """The name of the filter that did not match; empty if all matched."""
    return reason.verdict.field if reason.verdict else ""


def test_a_failed_run_is_a_root_with_a_reply_for_each_failure() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("1", NOON, "a", "b"))
    assert {item.key: (item.kind, item.root) for item in house.notifications.values()} == {
        "run:run_1:failed:C1": (NotificationKind.ROOT, ""),
        "result:res_1_a:failed:C1": (NotificationKind.REPLY, "run:run_1:failed:C1"),
        "result:res_1_b:failed:C1": (NotificationKind.REPLY, "run:run_1:failed:C1"),
    }
    root = house.notifications["run:run_1:failed:C1"]
    assert (root.channel, root.happened, root.not_before, root.critical) == ("C1", NOON, 0.0, False)


def test_a_thousand_failures_are_twelve_messages_and_all_are_counted() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("1", NOON, *(f"{n:04}" for n in range(1000))))
    assert len(house.notifications) == 12
    rest = payloads.load_payload(house.notifications["rest:run_1:failed:1000:C1"].body)
    assert isinstance(rest, thread_payloads.MoreFailuresPayload)
    assert rest.count == 990
    assert len(rest.titles) + rest.unlisted == 990
    shown = house.latest_body("run:run_1:failed:C1")
    assert isinstance(shown, alert_payloads.RunAlertPayload)
    assert (shown.bad, len(shown.top)) == (1000, 3)


def test_failures_that_nobody_read_are_counted_too() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("1", NOON, "a", total=50))
    rest = payloads.load_payload(house.notifications["rest:run_1:failed:50:C1"].body)
    assert isinstance(rest, thread_payloads.MoreFailuresPayload)
    assert (rest.count, rest.unlisted) == (49, 49)


def test_a_failed_run_of_which_no_case_is_known_is_a_root_alone() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(make_finding("1", NOON, outcome=Outcome.ERROR))
    assert list(house.notifications) == ["run:run_1:error:C1"]


def test_a_run_that_passed_by_policy_is_told_only_where_that_is_asked_for() -> None:
    house = RuleBench(make_subscription(), make_subscription("on:passed-with-failures", "C2", 2), default="C0")
    house.process_findings(make_finding("1", NOON, make_result("a"), outcome=Outcome.PASSED))
    assert set(house.notifications) == {"run:run_1:passed:C2", "result:res_a:failed:C2"}


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (Outcome.CANCELED, DecisionReason.CANCELED),
        (Outcome.SKIPPED, DecisionReason.CANCELED),
        (Outcome.QUEUED, DecisionReason.UNFINISHED),
        (Outcome.RUNNING, DecisionReason.UNFINISHED),
        (Outcome.PASSED, DecisionReason.MISMATCH),
    ],
)
def test_what_did_not_fail_never_alerts(outcome: Outcome, answer: DecisionReason) -> None:
    bad = (make_result("a"),) if outcome is not Outcome.PASSED else ()
    house = RuleBench(make_subscription(), default="C0")
    assert house.decision_reasons(make_finding("1", NOON, *bad, outcome=outcome)) == [answer]
    assert not house.notifications


def test_failed_and_error_are_told_under_their_own_category() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(make_finding("1", NOON, make_result("a", Outcome.ERROR), outcome=Outcome.ERROR))
    assert set(house.notifications) == {"run:run_1:error:C1", "result:res_a:error:C1"}


def test_production_is_critical_by_default() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("1", NOON, "a", environment="Production"))
    assert [item.critical for item in house.notifications.values()] == [True, True]


# Where it goes.


def test_a_failure_that_no_subscription_took_goes_to_the_default_channel() -> None:
    house = RuleBench(make_subscription("project:other"), default="C0")
    house.process_findings(failed_finding("1", NOON, "a"))
    assert {item.channel for item in house.notifications.values()} == {"C0"}


def test_only_the_failures_that_nobody_took_go_to_the_default_channel() -> None:
    house = RuleBench(make_subscription("case:a"), default="C0")
    house.process_findings(failed_finding("1", NOON, "a", "b"))
    assert {item.key for item in house.notifications_of(NotificationKind.REPLY)} == {
        "result:res_1_a:failed:C1",
        "result:res_1_b:failed:C0",
    }


@pytest.mark.parametrize("filters", ["after:3/1h", "quiet:11:00-13:00"])
def test_what_is_taken_and_not_told_yet_does_not_go_to_the_default_channel(filters: str) -> None:
    house = RuleBench(make_subscription(filters), default="C0")
    house.process_findings(failed_finding("1", NOON, "a"))
    assert "C0" not in {item.channel for item in house.notifications.values()}


def test_two_subscriptions_of_one_channel_are_told_once() -> None:
    house = RuleBench(
        make_subscription("case:a mention:<@U1>"), make_subscription("env:staging mention:<@U2>", number=2)
    )
    house.process_findings(failed_finding("1", NOON, "a", "b"))
    assert len(house.notifications) == 3
    assert house.latest_body("run:run_1:failed:C1").mention == ("U1", "U2")


def test_one_failure_is_never_told_twice_in_a_channel_whatever_the_groupings() -> None:
    house = RuleBench(make_subscription("case:a group:case"), make_subscription(number=2))
    house.process_findings(failed_finding("1", NOON, "a", "b"))
    assert set(house.notifications) == {"case:res_1_a:failed:C1", "run:run_1:failed:C1", "result:res_1_b:failed:C1"}


def test_every_subscription_gets_its_reason() -> None:
    house = RuleBench(
        make_subscription(),
        make_subscription("env:production", number=2),
        make_subscription("after:2/1h", "C3", number=3),
        make_subscription("quiet:11:00-13:00", "C4", number=4),
        make_subscription("", "C5", number=5, created=NOON + HOUR_SECONDS),
    )
    decision = house.decide_finding(failed_finding("1", NOON, "a"))
    reasons = {reason.subscription: reason for reason in decision.reasons}
    assert {name: reason.answer for name, reason in reasons.items()} == {
        "sub_1": DecisionReason.NOTIFIED,
        "sub_2": DecisionReason.MISMATCH,
        "sub_3": DecisionReason.BELOW_THRESHOLD,
        "sub_4": DecisionReason.HELD,
        "sub_5": DecisionReason.MISMATCH,
    }
    assert reasons["sub_2"].reason_text == "env is staging, wanted production"
    assert missed_filter(reasons["sub_2"]) == "env"
    assert reasons["sub_4"].until == NOON + HOUR_SECONDS
    assert missed_filter(reasons["sub_5"]) == "created"
    house.commit_decision(decision)
    assert house.decision_reasons(failed_finding("1", NOON, "a"))[2:] == [
        DecisionReason.KNOWN,
        DecisionReason.BELOW_THRESHOLD,
        DecisionReason.KNOWN,
    ]


# When it happened.


def test_what_failed_before_the_look_back_is_noted_and_never_told() -> None:
    house = RuleBench(make_subscription(), default="C0", lookback=HOUR_SECONDS)
    old = failed_finding("1", NOON - 2 * HOUR_SECONDS, "a")
    assert house.decision_reasons(old, NOON) == [DecisionReason.OLD]
    assert not house.notifications
    house.lookback = 24 * HOUR_SECONDS
    assert house.decision_reasons(old, NOON) == [DecisionReason.OLD], (
        "it was noted, so a longer look-back changes nothing"
    )
    assert not house.notifications


def test_five_thousand_old_failures_at_first_start_are_silent() -> None:
    house = RuleBench(make_subscription(), lookback=HOUR_SECONDS)
    house.process_findings(*(failed_finding(str(n), NOON - 2 * HOUR_SECONDS - n, "a") for n in range(5000)), now=NOON)
    assert not house.notifications


def test_what_was_told_stays_known_when_it_has_become_old() -> None:
    house = RuleBench(make_subscription(), lookback=HOUR_SECONDS)
    house.process_findings(failed_finding("1", NOON, "a"))
    assert house.decision_reasons(failed_finding("1", NOON, "a"), NOON + 2 * HOUR_SECONDS) == [DecisionReason.KNOWN]


def test_quiet_hours_hold_everything_but_what_is_critical() -> None:
    house = RuleBench(make_subscription("quiet:11:00-13:00,critical"))
    house.process_findings(failed_finding("1", NOON, "a"), failed_finding("2", NOON, "a", environment="production"))
    held = {item.root or item.key: item.not_before for item in house.notifications.values()}
    summary = f"catchup:{NOON + HOUR_SECONDS:.0f}:C1"
    assert held == {
        summary: NOON + HOUR_SECONDS,
        "run:run_1:failed:C1": NOON + HOUR_SECONDS,
        "run:run_2:failed:C1": 0.0,
    }


def test_a_channel_waits_only_as_long_as_all_who_asked_are_quiet() -> None:
    house = RuleBench(make_subscription("quiet:11:00-13:00"), make_subscription("quiet:11:00-12:30", number=2))
    house.process_findings(failed_finding("1", NOON, "a"))
    assert house.notifications["run:run_1:failed:C1"].not_before == NOON + HOUR_SECONDS / 2
    house.subscriptions += (make_subscription(number=3),)
    house.process_findings(failed_finding("2", NOON, "a"))
    assert house.notifications["run:run_2:failed:C1"].not_before == 0


def test_a_recovery_waits_for_the_morning_too() -> None:
    house = RuleBench(make_subscription("quiet:13:00-14:00"))
    house.process_findings(failed_finding("1", NOON, "a"), passed_finding("2", NOON + HOUR_SECONDS + 60, "a"))
    assert house.notifications["recovered:run_1:failed:C1"].not_before == NOON + 2 * HOUR_SECONDS


def test_after_tells_only_from_the_nth_failure_within_the_window() -> None:
    house = RuleBench(make_subscription("after:3/1h"))
    answers = [house.decision_reasons(failed_finding(str(n), NOON + n * 60, "a"))[0] for n in range(4)]
    assert answers == [
        DecisionReason.BELOW_THRESHOLD,
        DecisionReason.BELOW_THRESHOLD,
        DecisionReason.NOTIFIED,
        DecisionReason.NOTIFIED,
    ]
    assert {item.key for item in house.notifications_of(NotificationKind.ROOT)} == {
        "run:run_2:failed:C1",
        "run:run_3:failed:C1",
    }


def test_after_forgets_what_left_the_window() -> None:
    house = RuleBench(make_subscription("after:2/1h"))
    assert house.decision_reasons(failed_finding("1", NOON, "a")) == [DecisionReason.BELOW_THRESHOLD]
    assert house.decision_reasons(failed_finding("2", NOON + HOUR_SECONDS, "a")) == [DecisionReason.BELOW_THRESHOLD]
    assert house.decision_reasons(failed_finding("3", NOON + HOUR_SECONDS + 1, "a")) == [DecisionReason.NOTIFIED]


def test_after_lets_go_of_what_cannot_matter_any_more_once_it_is_much() -> None:
    house = RuleBench(make_subscription("after:2/1h"))
    for n in range(501):
        assert house.decision_reasons(failed_finding(str(n), NOON, "a", environment=f"env{n}")) == [
            DecisionReason.BELOW_THRESHOLD
        ]
    assert len(house.memory.hashes["after:sub_1"]) == 501, "all of it may count yet"
    assert house.decision_reasons(failed_finding("again", NOON + 60, "a", environment="env7")) == [
        DecisionReason.NOTIFIED
    ]
    assert house.decision_reasons(failed_finding("late", NOON + 3 * HOUR_SECONDS, "a", environment="env8")) == [
        DecisionReason.BELOW_THRESHOLD
    ]
    assert len(house.memory.hashes["after:sub_1"]) == 1
    assert house.decision_reasons(failed_finding("later", NOON + 3 * HOUR_SECONDS + 60, "a", environment="env8")) == [
        DecisionReason.NOTIFIED
    ]


def test_after_counts_a_run_once_however_often_it_is_heard_of() -> None:
    house = RuleBench(make_subscription("after:2/1h"))
    assert [house.decision_reasons(failed_finding("1", NOON, "a"))[0] for _ in range(3)] == [
        DecisionReason.BELOW_THRESHOLD
    ] * 3


def test_after_counts_a_run_once_that_was_read_in_parts() -> None:
    house = RuleBench(make_subscription("after:3/1h"))
    house.process_findings(
        failed_finding("1", NOON, "a"),
        failed_finding("2", NOON + 1, "a"),
        failed_finding("3", NOON + HOUR_SECONDS / 2, "a"),
    )
    house.process_findings(failed_finding("3", NOON + HOUR_SECONDS / 2, "a", "b"))
    assert house.decision_reasons(failed_finding("4", NOON + HOUR_SECONDS + 60, "a")) == [
        DecisionReason.BELOW_THRESHOLD
    ]


def test_after_counts_each_case_by_itself_where_cases_are_grouped() -> None:
    house = RuleBench(make_subscription("after:2/1h group:case"))
    house.process_findings(
        failed_finding("1", NOON, "a"), failed_finding("2", NOON + 60, "a", "b"), failed_finding("3", NOON + 120, "b")
    )
    assert {item.key for item in house.notifications.values()} == {"case:res_2_a:failed:C1", "case:res_3_b:failed:C1"}


def test_after_counts_no_further_than_project_and_environment() -> None:
    house = RuleBench(make_subscription("after:2/1h"))
    assert house.decision_reasons(failed_finding("1", NOON, "a")) == [DecisionReason.BELOW_THRESHOLD]
    assert house.decision_reasons(failed_finding("2", NOON, "a", environment="production")) == [
        DecisionReason.BELOW_THRESHOLD
    ]


# Grouping by case.


def test_a_case_has_one_root_whose_count_rises() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(*(failed_finding(str(n), NOON + n * 60, "a") for n in range(3)))
    assert [item.key for item in house.notifications_of(NotificationKind.ROOT)] == ["case:res_0_a:failed:C1"]
    assert [item.key for item in house.notifications_of(NotificationKind.REPLY)] == [
        "result:res_1_a:failed:C1",
        "result:res_2_a:failed:C1",
    ]
    assert [item.key for item in house.notifications_of(NotificationKind.EDIT)] == ["case-edit:res_0_a:failed:C1"]
    shown = house.latest_body("case:res_0_a:failed:C1")
    assert isinstance(shown, alert_payloads.CaseAlertPayload)
    assert (shown.count, shown.first, shown.last, shown.run.id) == (3, NOON, NOON + 120, "run_2")


def test_the_same_case_of_another_project_or_environment_is_another_case() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(
        failed_finding("1", NOON, "a"),
        failed_finding("2", NOON, "a", environment="dev"),
        failed_finding("3", NOON, "a", project_id="p2"),
    )
    assert len(house.notifications_of(NotificationKind.ROOT)) == 3


def test_a_case_that_failed_twice_in_one_run_counts_once_and_says_so() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(make_finding("1", NOON, make_result("x", case="a"), make_result("y", case="a")))
    assert set(house.notifications) == {"case:res_y:failed:C1"}
    shown = house.latest_body("case:res_y:failed:C1")
    assert isinstance(shown, alert_payloads.CaseAlertPayload)
    assert (shown.count, shown.case.attempts) == (1, 2)


def test_an_earlier_failure_heard_of_late_joins_its_case() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(failed_finding("2", NOON + 60, "a"), failed_finding("1", NOON, "a"), now=NOON + 90)
    shown = house.latest_body("case:res_2_a:failed:C1")
    assert isinstance(shown, alert_payloads.CaseAlertPayload)
    assert (shown.count, shown.first, shown.last, shown.case.id) == (2, NOON, NOON + 60, "res_2_a")


def test_a_flat_layout_has_no_replies() -> None:
    house = RuleBench(make_subscription("layout:flat"), make_subscription("layout:flat group:case", "C2", number=2))
    house.process_findings(
        failed_finding("1", NOON, "a", "b"),
        failed_finding("2", NOON + 60, "a"),
        passed_finding("3", NOON + 120, "a", "b"),
    )
    assert not house.notifications_of(NotificationKind.REPLY)
    assert house.latest_body("run:run_1:failed:C1").standing is alert_payloads.AlertStatus.RECOVERED
    assert house.latest_body("case:res_1_a:failed:C2").standing is alert_payloads.AlertStatus.RECOVERED


# Recovery and flapping.


@pytest.mark.parametrize(("group", "root"), [("run", "run:run_1:failed:C1"), ("case", "case:res_1_a:failed:C1")])
def test_a_later_pass_edits_the_root_and_replies(group: str, root: str) -> None:
    house = RuleBench(make_subscription(f"group:{group}"))
    house.process_findings(failed_finding("1", NOON, "a"))
    assert house.decision_reasons(passed_finding("2", NOON + 60, "a")) == [DecisionReason.RECOVERED]
    assert house.latest_body(root).standing is alert_payloads.AlertStatus.RECOVERED
    assert house.latest_body(root).turner == "run_2"
    [reply] = [item for item in house.notifications.values() if item.key.startswith("recovered:")]
    assert (reply.kind, reply.root, reply.happened) == (NotificationKind.REPLY, root, NOON + 60)
    body = payloads.load_payload(reply.body)
    assert isinstance(body, thread_payloads.RecoveryPayload)
    assert body.after == 60


def test_a_run_recovers_when_the_last_of_its_cases_has_passed() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("1", NOON, "a", "b"), passed_finding("2", NOON + 60, "a"))
    assert house.latest_body("run:run_1:failed:C1").standing is alert_payloads.AlertStatus.OPEN
    house.process_findings(passed_finding("3", NOON + 120, "b"))
    assert house.latest_body("run:run_1:failed:C1").standing is alert_payloads.AlertStatus.RECOVERED


@pytest.mark.parametrize(
    "other",
    [
        passed_finding("2", NOON - 60, "a"),
        passed_finding("2", NOON + 60, "b"),
        passed_finding("2", NOON + 60),
        passed_finding("2", NOON + 60, "a", environment="dev"),
        passed_finding("2", NOON + 60, "a", project_id="proj_2"),
        make_finding("2", NOON + 60, make_result("x", Outcome.SKIPPED, case="a"), outcome=Outcome.PASSED),
        make_finding("2", NOON + 60, make_result("x", Outcome.PASSED, case="a"), outcome=Outcome.CANCELED),
    ],
    ids=["earlier", "other case", "unknown cases", "other environment", "other project", "skipped", "canceled"],
)
def test_nothing_recovers_that_is_not_known_to_have_passed_later_in_the_same_place(other: RunFinding) -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("1", NOON, "a"), other)
    assert house.latest_body("run:run_1:failed:C1").standing is alert_payloads.AlertStatus.OPEN
    assert not house.notifications_of(NotificationKind.EDIT)


def test_a_run_without_known_cases_recovers_with_a_whole_run_of_its_title() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(make_finding("1", NOON), passed_finding("2", NOON + 60, title="Smoke"))
    assert not house.notifications_of(NotificationKind.EDIT)
    house.process_findings(passed_finding("3", NOON + 120))
    assert house.latest_body("run:run_1:failed:C1").standing is alert_payloads.AlertStatus.RECOVERED


def test_a_run_that_was_not_read_to_its_end_does_not_recover_by_the_cases_that_were() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("1", NOON, "a", total=50), passed_finding("2", NOON + 60, "a", title="Smoke"))
    assert not house.notifications_of(NotificationKind.EDIT)


def test_a_case_recovers_whatever_else_of_its_run_was_not_read() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(failed_finding("1", NOON, "a", total=50), passed_finding("2", NOON + 60, "a", title="Smoke"))
    assert house.latest_body("case:res_1_a:failed:C1").standing is alert_payloads.AlertStatus.RECOVERED


def test_who_does_not_ask_for_recoveries_gets_none() -> None:
    house = RuleBench(make_subscription("on:failed"))
    house.process_findings(failed_finding("1", NOON, "a"), passed_finding("2", NOON + 60, "a"))
    assert not house.notifications_of(NotificationKind.EDIT)


def test_a_channel_that_ended_its_subscription_hears_no_more() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("1", NOON, "a"))
    house.subscriptions = (make_subscription("project:other", number=2),)
    house.process_findings(passed_finding("2", NOON + 60, "a"))
    assert not house.notifications_of(NotificationKind.EDIT)


def test_the_default_channel_hears_of_recoveries() -> None:
    house = RuleBench(default="C0")
    house.process_findings(failed_finding("1", NOON, "a"), passed_finding("2", NOON + 60, "a"))
    assert "recovered:run_1:failed:C0" in house.notifications


def test_a_pass_heard_of_before_the_failure_recovers_it_at_once() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(passed_finding("2", NOON + 60, "a"), failed_finding("1", NOON, "a"), now=NOON + 90)
    assert house.latest_body("run:run_1:failed:C1").standing is alert_payloads.AlertStatus.RECOVERED
    assert "recovered:run_1:failed:C1" in house.notifications


@pytest.mark.parametrize(("group", "root"), [("run", "run:run_1:failed:C1"), ("case", "case:res_1_a:failed:C1")])
def test_failing_again_within_an_hour_goes_on_in_the_same_thread(group: str, root: str) -> None:
    house = RuleBench(make_subscription(f"group:{group}"))
    house.process_findings(
        failed_finding("1", NOON, "a"), passed_finding("2", NOON + 60, "a"), failed_finding("3", NOON + 120, "a")
    )
    assert [item.key for item in house.notifications_of(NotificationKind.ROOT)] == [root]
    assert house.latest_body(root).standing is alert_payloads.AlertStatus.AGAIN
    assert house.notifications["result:res_3_a:failed:C1"].root == root
    house.process_findings(passed_finding("4", NOON + 180, "a"))
    assert house.latest_body(root).standing is alert_payloads.AlertStatus.RECOVERED
    assert len([name for name in house.notifications if name.startswith("recovered:")]) == 2
    assert len(house.notifications_of(NotificationKind.EDIT)) == 1


@pytest.mark.parametrize("recovers", [False, True])
def test_another_result_of_a_case_that_was_told_leaves_the_card_as_it_stands(recovers: bool) -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("1", NOON, "a"))
    if recovers:
        house.process_findings(passed_finding("2", NOON + 60, "a"))
    house.process_findings(make_finding("1", NOON, make_result("1_a", case="a"), make_result("1_again", case="a")))
    shown = house.latest_body("run:run_1:failed:C1")
    assert shown.standing is (alert_payloads.AlertStatus.RECOVERED if recovers else alert_payloads.AlertStatus.OPEN)
    assert isinstance(shown, alert_payloads.RunAlertPayload)
    assert shown.bad == 1
    assert "result:res_1_again:failed:C1" not in house.notifications
    assert len(house.notifications_of(NotificationKind.ROOT)) == 1


@pytest.mark.parametrize("group", ["run", "case"])
def test_failing_again_after_an_hour_is_a_new_story(group: str) -> None:
    house = RuleBench(make_subscription(f"group:{group}"))
    house.process_findings(
        failed_finding("1", NOON, "a"),
        passed_finding("2", NOON + 60, "a"),
        failed_finding("3", NOON + 61 + HOUR_SECONDS, "a"),
    )
    assert len(house.notifications_of(NotificationKind.ROOT)) == 2


def test_a_new_failure_beside_a_recovered_one_is_a_new_story() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(
        failed_finding("1", NOON, "a"), passed_finding("2", NOON + 60, "a"), failed_finding("3", NOON + 120, "a", "b")
    )
    assert len(house.notifications_of(NotificationKind.ROOT)) == 2


def test_a_run_without_cases_that_fails_again_says_so_in_the_thread() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(make_finding("1", NOON), passed_finding("2", NOON + 60), make_finding("3", NOON + 120))
    assert house.notifications["again:run_3:failed:C1"].root == "run:run_1:failed:C1"


@pytest.mark.parametrize(("filters", "seen"), [("", [False, True]), ("broadcast:never", [False, False])])
def test_the_channel_sees_the_reply_when_a_failure_is_back_unless_it_asked_not_to(
    filters: str, seen: list[bool]
) -> None:
    house = RuleBench(make_subscription(f"group:case {filters}"))
    house.process_findings(
        *(failed_finding(str(n), NOON + n * 60, "a") for n in range(2)), passed_finding("2", NOON + 180, "a")
    )
    house.process_findings(failed_finding("3", NOON + 240, "a"))
    replies = [payloads.load_payload(item.body) for item in house.notifications_of(NotificationKind.REPLY)]
    assert [reply.broadcast for reply in replies if isinstance(reply, thread_payloads.ResultPayload)] == seen


def test_the_channel_sees_one_reply_of_a_run_that_fails_again() -> None:
    house = RuleBench(make_subscription("broadcast:worse"))
    house.process_findings(
        failed_finding("1", NOON, "a", "b"),
        passed_finding("2", NOON + 60, "a", "b"),
        failed_finding("3", NOON + 120, "a", "b"),
    )
    seen = {
        item.key: item.body.get("broadcast", False)
        for item in house.notifications_of(NotificationKind.REPLY)
        if "res_3" in item.key
    }
    assert seen == {"result:res_3_a:failed:C1": True, "result:res_3_b:failed:C1": False}


def test_a_failure_after_long_quiet_counts_as_worse() -> None:
    house = RuleBench(make_subscription("group:case broadcast:worse"))
    house.process_findings(
        failed_finding("1", NOON, "a"),
        failed_finding("2", NOON + HOUR_SECONDS, "a"),
        failed_finding("3", NOON + 8 * HOUR_SECONDS, "a"),
    )
    assert [item.body.get("broadcast", False) for item in house.notifications_of(NotificationKind.REPLY)] == [
        False,
        True,
    ]


def test_flat_and_loud_gets_one_reply_when_things_got_worse() -> None:
    house = RuleBench(make_subscription("layout:flat broadcast:worse"))
    house.process_findings(
        failed_finding("1", NOON, "a", "b"),
        passed_finding("2", NOON + 60, "a", "b"),
        failed_finding("3", NOON + 120, "a", "b"),
    )
    assert [item.key for item in house.notifications_of(NotificationKind.REPLY)] == ["result:res_3_a:failed:C1"]
    assert house.notifications_of(NotificationKind.REPLY)[0].body["broadcast"] is True


def test_what_was_read_later_of_a_run_is_added_to_it() -> None:
    house = RuleBench(make_subscription(), make_subscription("group:case", "C2", number=2))
    house.process_findings(failed_finding("1", NOON, "a"))
    new = house.process_findings(failed_finding("1", NOON, "a", "b"))
    assert set(new) == {"result:res_1_b:failed:C1", "run-edit:run_1:failed:C1", "case:res_1_b:failed:C2",
                        "case-edit:res_1_a:failed:C2"}  # fmt: skip
    root, case = house.latest_body("run:run_1:failed:C1"), house.latest_body("case:res_1_a:failed:C2")
    assert isinstance(root, alert_payloads.RunAlertPayload)
    assert isinstance(case, alert_payloads.CaseAlertPayload)
    assert (root.bad, case.count) == (2, 1)


def test_a_run_that_was_decided_on_is_not_posted_for_a_subscription_made_after_that() -> None:
    house = RuleBench(default="C0")
    house.process_findings(replace(make_finding("1", NOON), is_unlisted=True), now=NOON + 5)
    house.subscriptions = (make_subscription("", "C2", created=NOON + 20),)
    decision = house.decide_finding(failed_finding("1", NOON, "a"), now=NOON + 30)
    [later, _] = decision.reasons
    assert (later.answer, missed_filter(later)) == (DecisionReason.MISMATCH, "created")
    assert {item.channel for item in decision.notifications} == {"C0"}, "the failure that was read late is added there"


def test_a_failure_read_late_is_posted_where_it_was_subscribed_before_the_run_was_decided_on() -> None:
    house = RuleBench(make_subscription("case:b", "C2", created=NOON + 4), default="C0")
    house.process_findings(failed_finding("1", NOON, "a"), now=NOON + 5)
    house.process_findings(failed_finding("1", NOON, "a", "c"), now=NOON + 20)
    assert "run:run_1:failed:C2" in house.process_findings(failed_finding("1", NOON, "a", "b", "c"), now=NOON + 30)


def test_what_fails_later_in_a_run_is_posted_for_a_subscription_made_before_that() -> None:
    house = RuleBench(make_subscription("case:a", "C1"))
    house.process_findings(failed_finding("1", NOON, "a"), now=NOON + 5)
    house.subscriptions += (make_subscription("case:b", "C2", number=2, created=NOON + 1800),)
    posted = house.process_findings(failed_finding("1", NOON + 3600, "a", "b"), now=NOON + 3605)
    assert "run:run_1:failed:C2" in posted


def test_a_failure_read_late_is_added_in_a_channel_that_knows_its_run_for_a_later_subscription_too() -> None:
    house = RuleBench(make_subscription("case:a"))
    house.process_findings(failed_finding("1", NOON, "a"), now=NOON + 5)
    house.subscriptions += (make_subscription("", number=2, created=NOON + 20),)
    assert "result:res_1_b:failed:C1" in house.process_findings(failed_finding("1", NOON, "a", "b"), now=NOON + 30)


# Storms.


def storm_of(house: RuleBench) -> storm_payloads.StormPayload:
    """What the summary says once all of its edits are made."""
    last = [item for item in house.notifications.values() if item.body.get("card") == "storm"][-1]
    body = payloads.load_payload(last.body)
    assert isinstance(body, storm_payloads.StormPayload)
    return body


def test_a_hundred_failing_runs_at_once_are_twenty_roots_and_one_summary_that_counts_the_rest() -> None:
    house = RuleBench(make_subscription("mention:<@U1>"))
    answers = [
        house.decision_reasons(failed_finding(str(n), NOON, "a", environment=f"env{n % 2}"), NOON)[0]
        for n in range(100)
    ]
    assert answers == [DecisionReason.NOTIFIED] * 20 + [DecisionReason.STORM] * 80
    roots = [item.key for item in house.notifications_of(NotificationKind.ROOT)]
    assert len(roots) == 21
    assert roots[-1] == "storm:run_20:failed:C1"
    summary = storm_of(house)
    assert (summary.alerts, summary.failures, summary.members, summary.open) == (80, 80, 100, 100)
    assert set(summary.places) == {("proj_1", "env0", 40), ("proj_1", "env1", 40)}


def test_hearing_of_a_storm_twice_counts_it_once() -> None:
    house = RuleBench(make_subscription())
    findings = [failed_finding(str(n), NOON, "a") for n in range(40)]
    house.process_findings(*findings, *findings, *reversed(findings), now=NOON)
    assert storm_of(house).alerts == 20


def test_the_summary_is_edited_every_ten_seconds_at_most_and_closed_when_it_is_calm() -> None:
    house, edits, closings = RuleBench(make_subscription()), set(), []
    times = [NOON + number / 2 for number in range(300)]
    for at in [*times, NOON + HOUR_SECONDS]:
        waiting = [item for item in house.notifications.values() if item.key.startswith("storm-close")]
        for item in (item for item in waiting if item.not_before <= at):
            over = "Storm over" in render_notification(Claim(item, 1, item.happened), item.not_before).text
            closings.append((house.notifications.pop(item.key).not_before, over))
        decision = house.decide_finding(failed_finding(str(at), at, "a"))
        edits |= {
            notification.not_before
            for notification in decision.notifications
            if notification.key.startswith("storm-edit")
        } - {NOON + HOUR_SECONDS}
        house.commit_decision(decision)
    assert min(later - earlier for earlier, later in itertools.pairwise(sorted(edits))) >= 10
    assert closings == [(at, at >= times[-1] + 60) for at, _ in closings], "one in between shows that it rages on"
    assert closings[-1][0] <= times[-1] + 120
    assert len(closings) == 4


def test_single_roots_return_with_the_calm_and_the_summary_says_that_it_is_over() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(*(failed_finding(str(n), NOON, "a") for n in range(30)))
    assert house.decision_reasons(failed_finding("later", NOON + 61, "a")) == [DecisionReason.NOTIFIED]
    assert "run:run_later:failed:C1" in house.notifications
    assert payloads.load_payload(house.notifications["storm-edit:run_20:failed:C1"].body).model_dump()["closed"] is True
    house.process_findings(*(failed_finding(f"x{n}", NOON + 300, "a") for n in range(30)))
    assert len([item for item in house.notifications_of(NotificationKind.ROOT) if item.key.startswith("storm:")]) == 2


def test_a_storm_of_one_channel_is_none_of_another() -> None:
    house = RuleBench(make_subscription(), make_subscription("env:dev", "C2", number=2))
    house.process_findings(
        *(failed_finding(str(n), NOON, "a") for n in range(30)), failed_finding("x", NOON, "a", environment="dev")
    )
    assert "run:run_x:failed:C2" in house.notifications
    assert "run:run_x:failed:C1" not in house.notifications


def test_many_failing_cases_of_one_run_are_a_storm_of_their_own() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(failed_finding("1", NOON, *(f"{n:03}" for n in range(100))))
    assert [item.key for item in house.notifications_of(NotificationKind.ROOT)] == ["storm:res_1_000:failed:C1"]
    assert (storm_of(house).failures, storm_of(house).run.id) == (100, "run_1")


def test_what_quiet_hours_held_comes_as_a_storm_when_they_end_at_once() -> None:
    house = RuleBench(make_subscription("quiet:11:00-13:00,critical"))
    house.process_findings(*(failed_finding(str(n), NOON + n * 60, "a") for n in range(30)))
    summary = house.notifications["storm:run_20:failed:C1"]
    assert summary.not_before == NOON + HOUR_SECONDS
    assert all(item.not_before >= NOON + HOUR_SECONDS for item in house.notifications.values())
    house.process_findings(failed_finding("now", NOON + 1801, "a", environment="production"))
    assert house.notifications["run:run_now:failed:C1"].not_before == 0
    house.process_findings(failed_finding("later", NOON + 3 * HOUR_SECONDS, "a"))
    lanes = [field for field in house.memory.hashes["storms:C1"] if field.startswith("lane:")]
    assert {lane.rpartition("@")[2] for lane in lanes} == {"0"}


def test_a_storm_over_hundreds_of_places_counts_them_all() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(*(failed_finding(str(n), NOON, "a", environment=f"env{n}") for n in range(320)), now=NOON)
    summary = storm_of(house)
    assert summary.failures == summary.elsewhere + sum(count for *_, count in summary.places) == 300
    [storm] = [kept for field, kept in house.memory.hashes["storms:C1"].items() if field.startswith("storm:")]
    assert storm.count('"env') == 200


def test_slow_failures_are_no_storm() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(*(failed_finding(str(n), NOON + n * 3, "a") for n in range(100)))
    assert len(house.notifications_of(NotificationKind.ROOT)) == 100


# Notices.


def test_a_notice_is_told_once_to_whom_asked_and_again_another_day() -> None:
    house = RuleBench(make_subscription("on:agent"), make_subscription("", "C2", number=2), default="C0")
    notice = PlatformEvent(EventType.AGENT, "agent_7", NOON, "no heartbeat")
    assert sorted(house.decision_reasons(notice)) == [DecisionReason.MISMATCH, DecisionReason.NOTIFIED]
    assert sorted(house.decision_reasons(notice)) == [DecisionReason.KNOWN, DecisionReason.MISMATCH]
    assert list(house.notifications) == [f"notice:agent_7:agent:{NOON:.0f}:C1"]
    house.process_findings(PlatformEvent(EventType.AGENT, "agent_7", NOON + 86400))
    assert len(house.notifications) == 2


def test_more_notices_than_a_channel_can_read_are_in_the_summary() -> None:
    house = RuleBench(make_subscription("on:agent mention:<@U1>"))
    answers = [
        house.decision_reasons(PlatformEvent(EventType.AGENT, f"agent_{n:02}", NOON, projects=("p",)))[0]
        for n in range(30)
    ]
    assert answers == [DecisionReason.NOTIFIED] * 20 + [DecisionReason.STORM] * 10
    assert len([key for key in house.notifications if key.startswith("notice:")]) == 20
    summary = storm_of(house)
    assert (summary.alerts, summary.members, summary.unmentioned) == (10, 0, 28)
    assert sum("U1" in str(item.body.get("mention")) for item in house.notifications_of(NotificationKind.ROOT)) == 2
    assert house.decision_reasons(PlatformEvent(EventType.AGENT, "agent_29", NOON)) == [DecisionReason.STORM]
    assert storm_of(house).alerts == 10, "hearing of it again counts it once"


def test_an_old_notice_is_not_told() -> None:
    house = RuleBench(make_subscription("on:agent"), lookback=HOUR_SECONDS)
    assert house.decision_reasons(PlatformEvent(EventType.AGENT, "agent_7", NOON), NOON + 2 * HOUR_SECONDS) == [
        DecisionReason.OLD
    ]


# Keys and repetition.


def test_a_key_shows_what_it_is_about() -> None:
    assert idempotency_key("run", "run_1", "failed", "C1") == "run:run_1:failed:C1"
    assert idempotency_key("run", "a:b", "failed", "C1") == "run:a%3Ab:failed:C1"
    assert idempotency_key("recovered", "run_1", "failed", "C1", turn=2) == "recovered:run_1:failed:2:C1"


@given(
    st.lists(st.tuples(st.sampled_from(["run", "rest"]), st.text("%:a1", min_size=1), st.integers(0, 3)), unique=True)
)
def test_no_two_things_share_a_key(things: list[tuple[str, str, int]]) -> None:
    assert len({idempotency_key(kind, name, "failed", "C1", turn=turn) for kind, name, turn in things}) == len(things)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_whatever_zof_names_its_things_the_bodies_are_drawn(name: str, case: str) -> None:
    house = RuleBench(make_subscription("mention:<@U1>"), make_subscription("group:case", "C2", number=2))
    house.process_findings(
        failed_finding(name, NOON, case),
        passed_finding(f"{name}x", NOON + 60, case),
        failed_finding(f"{name}y", NOON + 120, case),
    )
    for item in house.notifications.values():
        assert not find_problems(
            render_notification(Claim(item, 1, item.happened), item.happened).message_fields(), "message"
        )


WISHES = st.sampled_from(["", "group:case", "layout:flat", "after:2/1h", "case:a,b", "on:failed", "broadcast:worse"])
SUBSCRIPTIONS = st.lists(st.tuples(WISHES, st.sampled_from(["C1", "C2"])), max_size=3).map(
    lambda wishes: tuple(make_subscription(wish, channel, number) for number, (wish, channel) in enumerate(wishes, 1))
)
CASES = st.sets(st.sampled_from("abc"))


def build_history(steps: Sequence[tuple[set[str], set[str], int]], pause: float) -> list[RunFinding]:
    """Runs one after the other: what failed, what passed, and where."""
    return [
        make_finding(
            str(n), NOON + n * pause,
            *(make_result(f"{n}_{case}", case=case) for case in sorted(bad)),
            *(make_result(f"{n}_{case}", Outcome.PASSED, case=case) for case in sorted(good - bad)),
            outcome=Outcome.FAILED if bad else Outcome.PASSED, environment=f"env{place}",
        )
        for n, (bad, good, place) in enumerate(steps)
    ]  # fmt: skip


STEPS = st.lists(st.tuples(CASES, CASES, st.integers(0, 1)), max_size=8)


def rule_state(house: RuleBench) -> dict[str, Any]:
    """Everything a channel shows in the end."""
    return {name: (item.kind, item.channel, item.root, item.body) for name, item in house.notifications.items()}


def replay_all(house: RuleBench, findings: Iterable[RunFinding]) -> RuleBench:
    made = RuleBench(*house.subscriptions, default=house.default)
    made.process_findings(*findings)
    return made


@given(SUBSCRIPTIONS, STEPS, st.sampled_from([60.0, 1800.0, 2 * HOUR_SECONDS]), st.data())
def test_hearing_of_things_again_changes_nothing(
    subscriptions: tuple[Subscription, ...],
    steps: list[tuple[set[str], set[str], int]],
    pause: float,
    data: st.DataObject,
) -> None:
    findings = build_history(steps, pause)
    house = RuleBench(*subscriptions, default="C0")
    for index, finding in enumerate(findings):
        house.process_findings(finding)
        again = data.draw(st.lists(st.sampled_from(findings[: index + 1]), max_size=3))
        house.process_findings(*again, now=finding.happened)
    assert rule_state(house) == rule_state(replay_all(house, findings))


def test_a_pass_that_is_read_again_after_it_was_forgotten_changes_nothing() -> None:
    findings = build_history([(set(), {"a"}, 0), *[(set(), set(), 0)] * 5, ({"a"}, set(), 0), ({"a"}, set(), 0)], 7200)
    house = RuleBench(default="C0")
    house.process_findings(*findings[:-1])
    house.process_findings(findings[0], now=findings[-2].happened)
    house.process_findings(findings[-1])
    assert rule_state(house) == rule_state(replay_all(house, findings))


def test_a_failure_that_is_read_again_does_not_look_for_passes_again() -> None:
    passes: list[tuple[set[str], set[str], int]] = [(set(), set(), 0)] * 4
    findings = build_history([*passes[:2], ({"a"}, set(), 0), *passes, ({"a"}, set(), 0)], 7200)
    house = RuleBench(default="C0")
    house.process_findings(*findings[:-1])
    house.process_findings(findings[2], now=findings[-2].happened)
    house.process_findings(findings[-1])
    assert rule_state(house) == rule_state(replay_all(house, findings))


@given(SUBSCRIPTIONS, STEPS, st.sampled_from([60.0, 2 * HOUR_SECONDS]))
def test_two_pollers_at_once_come_to_the_same_keys(
    subscriptions: tuple[Subscription, ...], steps: list[tuple[set[str], set[str], int]], pause: float
) -> None:
    house = RuleBench(*subscriptions, default="C0")
    findings = build_history(steps, pause)
    for finding in findings:
        one, other = house.decide_finding(finding), house.decide_finding(finding)
        assert one == other
        house.commit_decision(one)
        assert not house.commit_decision(other)
    assert rule_state(house) == rule_state(replay_all(house, findings))


@given(
    STEPS,
    st.sampled_from(
        [
            (),
            (make_subscription(),),
            (make_subscription("case:a,b"), make_subscription("", "C2", 2), make_subscription("layout:flat", "C3", 3)),
        ]
    ),
    st.data(),
)
def test_any_order_and_repetition_ends_as_a_perfect_source(
    steps: list[tuple[set[str], set[str], int]], subscriptions: tuple[Subscription, ...], data: st.DataObject
) -> None:
    """For roots by run, as long as nothing flaps: what is posted already cannot move to another thread any more."""
    failures = build_history([(bad, set(), place) for bad, _, place in steps], 60)
    end = NOON + len(failures) * 60
    passes = [
        passed_finding(f"p{n}", end + n, *sorted(good), environment=f"env{where}")
        for n, (_, good, where) in enumerate(steps)
    ]
    findings = failures + passes
    heard = data.draw(
        st.permutations(
            findings + data.draw(st.lists(st.sampled_from(findings), max_size=5) if findings else st.just([]))
        )
    )
    house = RuleBench(*subscriptions, default="C0")
    house.process_findings(*heard, now=end + 100)
    ideal = replay_all(house, findings)
    assert house.root_keys() == ideal.root_keys()
    assert house.recovery_replies() == ideal.recovery_replies()
    for root in ideal.notifications_of(NotificationKind.ROOT):
        assert standing_of_body(house.latest_body(root.key)) == standing_of_body(ideal.latest_body(root.key))


def standing_of_body(
    body: alert_payloads.RunAlertPayload | alert_payloads.CaseAlertPayload,
) -> tuple[alert_payloads.AlertStatus, float | None, str, int]:
    return body.standing, body.turned, body.turner, body.turn


def test_a_run_heard_of_late_puts_right_by_which_one_it_recovered() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(
        failed_finding("1", NOON, "a", "b"), passed_finding("3", NOON + 300, "a", "b"), now=NOON + 300
    )
    assert (
        house.process_findings(passed_finding("2", NOON + 60, "a"), now=NOON + 301) == []
    )  # of the other case nothing new is known
    assert house.process_findings(passed_finding("4", NOON + 120, "b"), now=NOON + 302) == [
        "recovered-edit:run_1:failed:C1"
    ]
    assert standing_of_body(house.latest_body("run:run_1:failed:C1")) == (
        alert_payloads.AlertStatus.RECOVERED,
        NOON + 120,
        "run_4",
        1,
    )
    assert house.recovery_replies() == {("recovered:run_1:failed:C1", "Nightly (proj_1, staging)", 120, "run_4")}
    assert house.notifications["recovered-edit:run_1:failed:C1"].root == "recovered:run_1:failed:C1"


def test_cases_that_pass_in_several_runs_recover_with_the_last_of_them_in_any_order() -> None:
    for order in itertools.permutations(
        (passed_finding("2", NOON + 60, "a"), passed_finding("3", NOON + 90, "b", "a"))
    ):
        house = RuleBench(make_subscription())
        house.process_findings(failed_finding("1", NOON, "a", "b"), *order, now=NOON + 300)
        assert standing_of_body(house.latest_body("run:run_1:failed:C1")) == (
            alert_payloads.AlertStatus.RECOVERED,
            NOON + 90,
            "run_3",
            1,
        )


def test_a_run_heard_of_late_that_passed_before_a_relapse_changes_nothing() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(
        failed_finding("1", NOON, "a"),
        passed_finding("2", NOON + 300, "a"),
        failed_finding("3", NOON + 400, "a"),
        now=NOON + 400,
    )
    before = rule_state(house)
    house.process_findings(passed_finding("4", NOON + 60, "a"), now=NOON + 401)
    assert rule_state(house) == before


def test_a_flat_layout_has_no_reply_to_put_right() -> None:
    house = RuleBench(make_subscription("layout:flat"))
    house.process_findings(failed_finding("1", NOON, "a"), passed_finding("3", NOON + 300, "a"), now=NOON + 300)
    assert house.process_findings(passed_finding("2", NOON + 60, "a"), now=NOON + 301) == []
    assert standing_of_body(house.latest_body("run:run_1:failed:C1")) == (
        alert_payloads.AlertStatus.RECOVERED,
        NOON + 60,
        "run_2",
        1,
    )


def test_a_relapse_needs_only_what_failed_again_to_pass() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(
        failed_finding("1", NOON, "a", "b"),
        passed_finding("2", NOON + 60, "a", "b"),
        failed_finding("3", NOON + 120, "a"),
        now=NOON + 120,
    )
    house.process_findings(passed_finding("4", NOON + 180, "a"), now=NOON + 180)
    assert standing_of_body(house.latest_body("run:run_1:failed:C1")) == (
        alert_payloads.AlertStatus.RECOVERED,
        NOON + 180,
        "run_4",
        3,
    )


@given(st.permutations(range(6)))
def test_a_run_of_which_not_all_was_read_recovers_by_the_first_whole_one_of_its_title_in_any_order(
    order: list[int],
) -> None:
    failure = failed_finding("0", NOON, "a", "b", total=5)
    passes = [
        passed_finding("1", NOON + 60, "a"),
        passed_finding("2", NOON + 120, "a", "b", title="Other"),
        passed_finding("3", NOON + 180),
        passed_finding("4", NOON + 240, "a", "b"),
        passed_finding("5", NOON + 300, "a", "b"),
    ]
    heard = [[failure, *passes][number] for number in order]
    house, ideal = RuleBench(make_subscription()), RuleBench(make_subscription())
    house.process_findings(*heard, now=NOON + 400)
    ideal.process_findings(failure, *passes)
    assert (
        house.recovery_replies()
        == ideal.recovery_replies()
        == {("recovered:run_0:failed:C1", "Nightly (proj_1, staging)", 180, "run_3")}
    )


@given(st.permutations(range(5)), st.lists(st.integers(0, 4), max_size=4))
def test_failures_of_a_case_in_any_order_are_one_root_and_the_same_count(order: list[int], again: list[int]) -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(*(failed_finding(str(n), NOON + n * 60, "a") for n in [*order, *again]), now=NOON + 300)
    [root] = house.notifications_of(NotificationKind.ROOT)
    shown = house.latest_body(root.key)
    assert isinstance(shown, alert_payloads.CaseAlertPayload)
    assert (shown.count, shown.first, shown.last, shown.run.id) == (5, NOON, NOON + 240, "run_4")
    assert len(house.notifications_of(NotificationKind.REPLY)) == 4


@given(SUBSCRIPTIONS, STEPS)
def test_a_page_decided_at_once_is_the_same_as_one_by_one(
    subscriptions: tuple[Subscription, ...], steps: list[tuple[set[str], set[str], int]]
) -> None:
    findings = build_history(steps, 60)
    now = NOON + HOUR_SECONDS
    at_once, singly = RuleBench(*subscriptions, default="C0"), RuleBench(*subscriptions, default="C0")
    at_once.commit_decision(
        decide_batch(
            reversed(findings), subscriptions, at_once.memory, now, lookback=24 * HOUR_SECONDS, default_channel="C0"
        )
    )
    singly.process_findings(*findings, now=now)
    assert rule_state(at_once) == rule_state(singly)
    assert at_once.memory.hashes == singly.memory.hashes


@pytest.mark.parametrize("group", ["run", "case"])
def test_all_alerts_of_a_night_of_failures_recover(group: str) -> None:
    house, count = RuleBench(make_subscription(f"group:{group}")), 100
    for n in range(count):
        house.process_findings(failed_finding(f"{n:03}", NOON + n * 300, "a" if group == "run" else f"case{n}"))
    cases = ["a"] if group == "run" else [f"case{n}" for n in range(count)]
    house.process_findings(passed_finding("p", NOON + count * 300, *cases))
    roots = [item.key for item in house.notifications_of(NotificationKind.ROOT)]
    assert len(roots) == count
    assert {house.latest_body(root).standing for root in roots} == {alert_payloads.AlertStatus.RECOVERED}


def test_what_recovered_is_let_go_of_before_what_is_open() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("open", NOON, "a"))
    for n in range(220):
        at = NOON + 60 + n * 60
        house.process_findings(failed_finding(str(n), at, f"case{n}"), passed_finding(f"p{n}", at + 1, f"case{n}"))
    house.process_findings(passed_finding("late", NOON + 5 * HOUR_SECONDS, "a"))
    assert house.latest_body("run:run_open:failed:C1").standing is alert_payloads.AlertStatus.RECOVERED


# What is remembered stays small.


def test_what_is_remembered_is_bounded() -> None:
    house = RuleBench(make_subscription(), make_subscription("group:case after:2/1h", "C2", number=2))
    for n in range(300):
        house.process_findings(
            failed_finding(str(n), NOON + n * 60, f"case{n}"), passed_finding(f"p{n}", NOON + n * 60 + 1, "other")
        )
    sizes = {name: len(fields) for name, fields in house.memory.hashes.items()}
    assert max(sizes[name] for name in sizes if name.startswith("open:C1")) == 200
    assert max(sizes[name] for name in sizes if name.startswith("passed:")) <= 20
    assert sizes["storms:C1"] == 2


def test_what_recovered_is_let_go_of_after_some_hours() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(
        failed_finding("1", NOON, "a"),
        passed_finding("2", NOON + 60, "a"),
        failed_finding("3", NOON + 7 * HOUR_SECONDS, "b"),
    )
    [name] = [name for name in house.memory.hashes if name.startswith("open:")]
    assert set(house.memory.hashes[name]) == {"case:b"}


def test_what_was_told_longer_ago_than_keys_live_is_forgotten() -> None:
    house, finding = RuleBench(default="C0"), failed_finding("1", NOON + 31 * 24 * HOUR_SECONDS, "a")
    name = RuleState.hash_names(finding, ())[0]
    aged = {f"run_old{n}": f"{NOON:.0f} C0=t1" for n in range(70)}
    house.memory = RuleState({name: {**aged, "run_new": f"{NOON + 2 * 24 * HOUR_SECONDS:.0f} C0=t1"}})
    house.process_findings(finding)
    assert set(house.memory.hashes[name]) == {"run_1", "run_new"}


def test_a_decision_reads_nothing_but_what_it_named() -> None:
    finding = failed_finding("1", NOON, "a")
    names = RuleState.hash_names(finding, [make_subscription("after:2/1h")], "C0")
    decision = decide_finding(
        finding, [make_subscription("after:2/1h")], RuleState(), NOON, lookback=HOUR_SECONDS, default_channel="C0"
    )
    assert set(decision.changes) <= set(names)
    assert decision.changes


def test_of_a_thousand_channels_only_those_are_read_that_it_may_concern() -> None:
    others = [make_subscription("project:proj_other after:2/1h", f"C{n}", n) for n in range(1000)]
    names = RuleState.hash_names(
        failed_finding("1", NOON, "a"), [*others, make_subscription("project:proj_1", "CMINE", 1000)], "", ()
    )
    assert {name.split(":")[1] for name in names if name.startswith(("open:", "storms:"))} == {"CMINE"}
    assert not [name for name in names if name.startswith("after:")]
    assert (
        len([name for name in RuleState.hash_names(failed_finding("1", NOON, "a"), others) if name.startswith("open:")])
        == 1000
    )


def test_a_channel_that_asks_for_something_else_by_now_still_sees_the_recovery() -> None:
    house = RuleBench(make_subscription("project:proj_1"))
    house.process_findings(failed_finding("1", NOON, "a"))
    house.subscriptions = (make_subscription("project:proj_other"),)
    assert house.process_findings(passed_finding("2", NOON + 60, "a")) == [
        "run-edit:run_1:failed:C1",
        "recovered:run_1:failed:C1",
    ]
