"""Which reminders are scheduled for a failure's state, and which are wanted when due if it goes on failing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.escalations import MINUTE, act, latest_message, record_of, sent_escalations
from tests.support.rules import (
    NOON,
    RuleBench,
    failed_finding,
    make_finding,
    make_result,
    make_subscription,
    passed_finding,
)
from tests.support.triage import NOW, POLICY, action_request, record_in_state
from zofbot.alerting.escalation_reminders import schedule_reminders
from zofbot.subscriptions import RunFinding
from zofbot.triage import Action, RunFacts, TriageRecord, TriageState, apply_action

STEP = "escalate:15m-><@U1>"
ROOT, CHANNEL = "case:1:C1", "C1"
OPEN = TriageRecord(opened=NOW)


def reminders(record: TriageRecord, *, notified_at: float = 0.0) -> list[tuple[str, int, tuple[str, ...], float]]:
    """Return each reminder's kind, step, mentions, and the seconds from ``NOW`` until it is due."""
    found = schedule_reminders(ROOT, CHANNEL, record, POLICY, notified_at=notified_at)
    return [
        (note.body["sort"], note.body.get("step", 0), tuple(note.body.get("mention", ())), note.not_before - NOW)
        for note in found
        if note.body
    ]


def test_each_step_mentions_its_own_people_at_its_own_time() -> None:
    assert reminders(OPEN) == [("escalate", 0, ("S0AA",), 900), ("escalate", 1, ("U0LEAD",), 2700)]


def test_steps_count_from_the_message_where_the_channel_heard_of_the_failure_later() -> None:
    assert [due for *_, due in reminders(OPEN, notified_at=NOW + 3600)] == [3600 + 900, 3600 + 2700]


def test_a_step_that_a_person_took_is_not_scheduled_again_until_the_failure_opens_anew() -> None:
    facts = RunFacts()
    escalated = apply_action(OPEN, action_request(Action.ESCALATE, NOW + 60), facts, POLICY)
    assert [step for _, step, *_ in reminders(escalated)] == [1]
    resolved = apply_action(escalated, action_request(Action.RESOLVE, NOW + 70), facts, POLICY)
    assert reminders(resolved) == []
    reopened = apply_action(resolved, action_request(Action.REOPEN, NOW + 80), facts, POLICY)
    assert [(step, due) for _, step, _, due in reminders(reopened)] == [(0, 980), (1, 2780)]


def test_the_end_of_a_snooze_is_announced_to_whoever_snoozed_and_escalation_begins_there() -> None:
    snooze = action_request(Action.SNOOZE, until=NOW + 3600)
    asleep = apply_action(record_in_state(TriageState.OPEN), snooze, RunFacts(), POLICY)
    assert reminders(asleep) == [
        ("wake", 0, ("U0ANA",), 3600),
        ("escalate", 0, ("S0AA",), 3600 + 900),
        ("escalate", 1, ("U0LEAD",), 3600 + 2700),
    ]


def test_scheduling_twice_schedules_the_same() -> None:
    keys = [[note.key for note in schedule_reminders(ROOT, CHANNEL, OPEN, POLICY)] for _ in range(2)]
    assert keys[0] == keys[1]
    assert len({*keys[0]}) == 2


def failing_case(number: int, at: float) -> RunFinding:
    text = "TimeoutError: page.click: Timeout 30000ms exceeded waiting for locator('#pay')"
    return make_finding(f"r{number}", at, make_result(f"r{number}", case="a", failure=text))


def failing_member(number: int, at: float) -> RunFinding:
    return failed_finding(f"again{number}", at, f"{number % 30}")


@pytest.mark.parametrize(
    ("group", "begun", "further"),
    [
        ("case", [failing_case(0, NOON)], failing_case),
        ("cause", [failing_case(0, NOON)], failing_case),
        ("case", [failed_finding(f"x{n}", NOON + n / 100, str(n)) for n in range(30)], failing_member),
    ],
    ids=["case", "cause", "storm"],
)
def test_a_snooze_ends_at_the_failure_that_it_was_to_last_for_however_many_follow(
    group: str, begun: list[RunFinding], further: Callable[[int, float], RunFinding]
) -> None:
    bench = RuleBench(make_subscription(f"group:{group} {STEP}"))
    bench.process_findings(*begun)
    key = latest_message(bench)
    act(bench, key, Action.SNOOZE, NOON + MINUTE, more=2)
    runs = [further(number, NOON + 10 * number * MINUTE) for number in range(1, 20)]
    assert sent_escalations(bench, key, *runs, until=200) == [20 + 15]
    assert record_of(bench, key, NOON + 200 * MINUTE).opened == NOON + 20 * MINUTE


def test_a_second_snooze_ends_at_a_failure_of_its_own() -> None:
    bench = RuleBench(make_subscription(f"group:case {STEP}"))
    bench.process_findings(failing_case(0, NOON))
    key = latest_message(bench)
    for snoozed in (1, 31):
        act(bench, key, Action.SNOOZE, NOON + snoozed * MINUTE, more=1)
        ended = NOON + (snoozed + 9) * MINUTE
        runs = [failing_case(snoozed + number, ended + number * MINUTE) for number in range(5)]
        bench.process_findings(*runs)
        assert record_of(bench, key, ended + 10 * MINUTE).opened == ended


def test_a_storm_that_somebody_resolved_is_open_from_the_first_alert_that_joins_it() -> None:
    bench = RuleBench(make_subscription(f"group:case {STEP}"))
    bench.process_findings(*(failed_finding(f"x{n}", NOON + n / 100, str(n)) for n in range(30)))
    key = latest_message(bench)
    act(bench, key, Action.RESOLVE, NOON + 1)
    runs = [failed_finding(f"y{n}", NOON + 2 + n, f"y{n}") for n in range(40)]
    bench.process_findings(*runs)
    assert record_of(bench, key, NOON + MINUTE).opened == NOON + 2
    assert 15 <= sent_escalations(bench, key, until=60)[0] <= 16


def test_an_alert_that_more_failures_of_its_run_reopen_is_escalated() -> None:
    bench = RuleBench(make_subscription(STEP))
    bench.process_findings(failed_finding("1", NOON, "a"))
    key = latest_message(bench)
    bench.process_findings(passed_finding("2", NOON + 10 * MINUTE, "a"))
    reopened = NOON + 12 * MINUTE
    bench.process_findings(failed_finding("1", NOON, "a", "b"), now=reopened)
    assert record_of(bench, key, reopened).since == reopened
    assert sent_escalations(bench, key, until=60) == [12 + 15]
