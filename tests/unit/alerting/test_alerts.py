"""Failures that come back, by the rules alone: once, again and again, and after a person resolved them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rules import (
    HOUR_SECONDS,
    NOON,
    RuleBench,
    failed_finding,
    make_finding,
    make_subscription,
    passed_finding,
)
from zofbot.alerting.alerts import Alert, PassingRun, parse_alert
from zofbot.alerting.state import alerts_hash, passes_hash, scope_key
from zofbot.notifications import alert_payloads, past_causes, thread_payloads
from zofbot.notifications.notification import NotificationKind
from zofbot.triage import Action, Actor, TriageRecord, TriageState

MINUTE = 60.0
BEN = Actor(id="U0BEN", name="ben")
FIRST = {"run": "run:run_0:failed:C1", "case": "case:res_0_a:failed:C1"}


def run_turns(house: RuleBench, *minutes: float) -> None:
    """Have the case fail at once, then pass and fail in turn, each so many minutes after the one before."""
    at = NOON
    for number, pause in enumerate((0.0, *minutes)):
        at += pause * MINUTE
        house.process_findings((passed_finding if number % 2 else failed_finding)(str(number), at, "a"))


def store_record(house: RuleBench, key: str, **fields: Any) -> None:
    """Keep what a person did about a failure."""
    house.memory = house.memory.with_changes(
        {"triage:C1": {key: TriageRecord(**fields).model_dump_json(exclude_defaults=True)}}
    )


def resolve_alert(house: RuleBench, key: str, at: float, *, turn: int = 0) -> None:
    store_record(house, key, rev=1, turn=turn, state=TriageState.RESOLVED, since=at, opened=NOON, by=BEN, mover=BEN,
           did=Action.RESOLVE, at=at, reason="product", note="fixed in 1.2")  # fmt: skip


def broadcast_keys(house: RuleBench) -> list[str]:
    return [
        item.key.partition(":")[0]
        for item in house.notifications_of(NotificationKind.REPLY)
        if item.body.get("broadcast")
    ]


def flapping_lines(house: RuleBench) -> list[thread_payloads.FlappingPayload]:
    """The lines that say that something flaps, each with its last edit made."""
    names = [item.key for item in house.notifications_of(NotificationKind.REPLY) if item.key.startswith("flapping:")]
    latest = [
        house.notifications.get(name.replace("flapping:", "flapping-edit:"), house.notifications[name])
        for name in names
    ]
    return [thread_payloads.FlappingPayload.model_validate(item.body) for item in latest]


@pytest.mark.parametrize("group", ["run", "case"])
@pytest.mark.parametrize(
    ("minutes", "heard", "times"),
    [
        ((5, 5), ["result"], []),
        ((5, 5, 5, 5), ["result", "flapping"], [2]),
        ((5, 5, 5, 5, 5, 5, 5, 5), ["result", "flapping"], [4]),
        ((5, 5, 30, 31), ["result", "result"], []),
        ((5, 5, 5, 5, 70, 5), ["result", "flapping", "result"], [2]),
        ((5, 5, 5, 5, 70, 5, 5, 5), ["result", "flapping", "result", "flapping"], [2, 2]),
        ((5, 5, 5, 50, 5, 50, 5, 50), ["result", "flapping"], [4]),
    ],
    ids=["back", "flaps", "flaps on", "slowly", "calm by failing", "flaps anew", "slow enough to stay"],
)
def test_the_channel_hears_of_a_relapse_and_of_flapping_once(
    group: str, minutes: tuple[float, ...], heard: list[str], times: list[int]
) -> None:
    house = RuleBench(make_subscription(f"group:{group}"))
    run_turns(house, *minutes)
    assert broadcast_keys(house) == heard
    assert [line.times for line in flapping_lines(house)] == times
    assert [item.key for item in house.notifications_of(NotificationKind.ROOT)] == [FIRST[group]]


def test_what_flaps_has_no_replies_but_its_line() -> None:
    house = RuleBench(make_subscription("group:case"))
    run_turns(house, 5, 5, 5, 5)
    before = [item.key for item in house.notifications_of(NotificationKind.REPLY)]
    for number, at in enumerate((25, 30, 35, 40, 45)):
        house.process_findings(
            (failed_finding if number % 2 else passed_finding)(f"more{number}", NOON + at * MINUTE, "a")
        )
    assert [item.key for item in house.notifications_of(NotificationKind.REPLY)] == before
    assert house.latest_body(FIRST["case"]).standing is alert_payloads.AlertStatus.RECOVERED


def test_a_recovery_that_lasts_beyond_the_calm_is_told() -> None:
    house = RuleBench(make_subscription("group:case"))
    run_turns(house, 5, 5, 5, 5, 70)
    assert [
        item.body["after"]
        for item in house.notifications_of(NotificationKind.REPLY)
        if item.key.startswith("recovered")
    ] == [300, 300, 4200]


def test_escalation_waits_until_what_flaps_has_calmed_down() -> None:
    house = RuleBench(make_subscription("group:case escalate:15m-><@U1>,45m-><@U2>"))
    run_turns(house, 5, 5)
    relapsed = NOON + 10 * MINUTE
    assert {
        item.not_before - relapsed for item in house.notifications.values() if f":{relapsed * 1000:.0f}:" in item.key
    } == {
        900.0,
        2700.0,
    }
    turns_on = NOON + 20 * MINUTE
    house.process_findings(passed_finding("p", NOON + 15 * MINUTE, "a"), failed_finding("f", turns_on, "a"))
    promised = {
        item.not_before - turns_on for item in house.notifications.values() if f":{turns_on * 1000:.0f}:" in item.key
    }
    assert promised == {HOUR_SECONDS, HOUR_SECONDS + 1800.0}


@pytest.mark.parametrize("group", ["run", "case"])
def test_only_what_fails_after_it_was_resolved_is_a_fresh_message(group: str) -> None:
    house = RuleBench(make_subscription(f"group:{group} mention:<@U1>"))
    house.process_findings(failed_finding("0", NOON, "a"))
    resolve_alert(house, FIRST[group], NOON + 600)
    house.process_findings(failed_finding("early", NOON + 599, "a"), now=NOON + 900)
    early = [item.key for item in house.notifications_of(NotificationKind.ROOT)][1:]
    assert [house.latest_body(key).resolved for key in early] == ([None] if group == "run" else [])
    for key in early:
        resolve_alert(house, key, NOON + 600)
    house.process_findings(failed_finding("late", NOON + 900, "a"))
    fresh = house.notifications_of(NotificationKind.ROOT)[-1]
    assert "late" in fresh.key
    body = house.latest_body(fresh.key)
    assert body.resolved == past_causes.Resolution(at=NOON + 600, by="ben", reason="product", note="fixed in 1.2")
    assert body.mention == ("U1",)


@pytest.mark.parametrize("group", ["run", "case"])
def test_that_it_was_resolved_is_known_for_two_weeks_also_when_it_passed_since(group: str) -> None:
    for days, known in ((13, True), (15, False)):
        house = RuleBench(make_subscription(f"group:{group}"))
        house.process_findings(failed_finding("0", NOON, "a"))
        resolve_alert(house, FIRST[group], NOON + 60)
        house.process_findings(passed_finding("1", NOON + 120, "a"), passed_finding("2", NOON + 24 * HOUR_SECONDS, "b"))
        house.process_findings(failed_finding("3", NOON + days * 24 * HOUR_SECONDS, "a"))
        assert (house.latest_body(house.notifications_of(NotificationKind.ROOT)[-1].key).resolved is not None) == known


def test_a_run_with_other_failures_was_not_resolved_before() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(failed_finding("0", NOON, "a"))
    resolve_alert(house, FIRST["run"], NOON + 60)
    house.process_findings(
        failed_finding("1", NOON + 120, "b"),
        failed_finding("2", NOON + 180, "b", "a"),
        failed_finding("3", NOON + 240, "a"),
    )
    shown = [house.latest_body(item.key).resolved is not None for item in house.notifications_of(NotificationKind.ROOT)]
    assert shown == [False, False, True, False]


def test_what_was_resolved_twice_is_told_twice() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(failed_finding("0", NOON, "a"))
    resolve_alert(house, FIRST["case"], NOON + 60)
    house.process_findings(failed_finding("1", NOON + 120, "a"))
    resolve_alert(house, "case:res_1_a:failed:C1", NOON + 180)
    house.process_findings(failed_finding("2", NOON + 240, "a"))
    assert [item.key for item in house.notifications_of(NotificationKind.ROOT)][1:] == [
        "case:res_1_a:failed:C1",
        "case:res_2_a:failed:C1",
    ]


def test_a_record_of_a_newer_version_counts_as_untouched() -> None:
    house = RuleBench(make_subscription("group:case"))
    house.process_findings(failed_finding("0", NOON, "a"))
    house.memory = house.memory.with_changes({"triage:C1": {FIRST["case"]: '{"state": "delegated"}'}})
    house.process_findings(failed_finding("1", NOON + 120, "a"))
    assert len(house.notifications_of(NotificationKind.ROOT)) == 1


@pytest.mark.parametrize(("until", "mentioned"), [(None, 1), (NOON + 900, 1), (NOON + 30, 0)])
def test_a_relapse_mentions_whoever_slept_over_the_recovery(until: float | None, mentioned: int) -> None:
    house = RuleBench(make_subscription("group:case broadcast:never"))
    house.process_findings(failed_finding("0", NOON, "a"))
    store_record(
        house,
        FIRST["case"],
        rev=1,
        state=TriageState.SNOOZED,
        since=NOON + 10,
        opened=NOON,
        by=BEN,
        mover=BEN,
        did=Action.SNOOZE,
        at=NOON + 10,
        until=until,
    )
    house.process_findings(passed_finding("1", NOON + 60, "a"), failed_finding("2", NOON + 120, "a"))
    house.process_findings(passed_finding("3", NOON + 3000, "a"), failed_finding("4", NOON + 3800, "a"))
    assert [
        item.body["mention"] for item in house.notifications_of(NotificationKind.REPLY) if "mention" in item.body
    ] == [["U0BEN"]] * mentioned


@pytest.mark.parametrize(("title", "heals"), [("Nightly", True), ("", False)])
def test_a_passing_run_that_an_earlier_version_kept_counts_as_whole_where_it_has_a_title(
    title: str, heals: bool
) -> None:
    house, failure = RuleBench(make_subscription()), make_finding("0", NOON)
    kept = f'{{"at": {NOON + 60}, "title": "{title}", "cases": []}}'
    house.memory = house.memory.with_changes({passes_hash(scope_key(failure)): {"run_old": kept}})
    house.process_findings(failure, now=NOON + 90)
    assert (house.latest_body("run:run_0:failed:C1").standing is alert_payloads.AlertStatus.RECOVERED) == heals


def test_passing_runs_are_stored_under_the_name_that_earlier_versions_read() -> None:
    house, failure = RuleBench(make_subscription()), failed_finding("0", NOON, "a", "b")
    house.process_findings(failure, passed_finding("1", NOON + 60, "a"))
    [stored] = house.memory.hashes[alerts_hash("C1", scope_key(failure))].values()
    fields = json.loads(stored)
    assert "passing_runs" not in fields
    assert [each["run"] for each in fields["heals"]] == ["run_1"]
    assert parse_alert(stored).passing_runs == (PassingRun(run="run_1", at=NOON + 60, cases=("a",), same=True),)


def test_a_run_without_title_recovers_by_any_whole_run_and_one_with_a_title_only_by_its_own() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(
        make_finding("0", NOON, title=""),
        make_finding("1", NOON, title="Smoke"),
        passed_finding("2", NOON + 60, title=""),
    )
    assert house.latest_body("run:run_0:failed:C1").standing is alert_payloads.AlertStatus.RECOVERED
    assert house.latest_body("run:run_1:failed:C1").standing is alert_payloads.AlertStatus.OPEN


@settings(max_examples=30)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=8))
def test_single_turns_are_told_unless_two_relapses_were_within_an_hour(minutes: list[int]) -> None:
    root = Alert(key="case:1:failed:C1", group="case", id="1", category="failed", first=0, last=0, body={})  # type: ignore[arg-type]
    times = list(itertools.accumulate(minutes))
    for before, at in itertools.pairwise([-1000, *times]):
        root = root.with_relapse(at * MINUTE, "run")
        assert root.is_flapping(at * MINUTE) == (at - before <= 60)
        assert not root.is_flapping(at * MINUTE + HOUR_SECONDS + 1)
        assert root.recovered is None
