"""``group:cause``: one message for a cause in a channel, over runs, projects and environments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rules import HOUR_SECONDS, NOON, RuleBench, wake_ups
from zofbot.alerting.alerts import parse_alerts
from zofbot.alerting.alerts_in_scope import cause_field
from zofbot.alerting.failure_signature import make_signature
from zofbot.alerting.state import MUTES, alerts_hash, failure_hash, scope_key, storms_hash, triage_hash
from zofbot.alerting.storms.storm_pruning import MAX_CAUSE_MESSAGES
from zofbot.alerting.storms.storm_record import Storm
from zofbot.domain.model import Outcome, Result, Run
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import AlertStatus, CaseAlertPayload, RunAlertPayload
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.services.cause_costs import compute_costs
from zofbot.services.failures import Failure
from zofbot.subscriptions import RunFinding, Subscription, parse_filters
from zofbot.subscriptions.mute import Mute
from zofbot.triage import Action, ActionRequest, Actor, TriageRecord, apply_action

TIMEOUT = "TimeoutError: page.click: Timeout 30000ms exceeded waiting for locator('#pay')"
REFUSED = "ConnectionError: connect ECONNREFUSED 10.0.0.7:5432"


DAY_SECONDS = 24 * HOUR_SECONDS


def subscription(filters: str = "group:cause") -> Subscription:
    return parse_filters(filters).model_copy(update={"id": "sub", "channel": "C1"})


def run(  # noqa: PLR0917  (the last ones are named)
    name: str,
    at: float,
    failing: Iterable[tuple[str, str | None]] = (),
    passing: Sequence[str] = (),
    project: str = "shop",
    environment: str = "staging",
) -> RunFinding:
    """A run with its failing cases and their texts, and its passing ones."""
    where: dict[str, Any] = {"project_id": project, "environment": environment}
    results = [
        Result(id=f"res_{name}_{case}", run_id=f"run_{name}", case_id=case, title=f"Case {case}", failure=text,
               outcome=Outcome.FAILED if text != "" else Outcome.PASSED, **where)
        for case, text in [*failing, *((case, "") for case in passing)]
    ]  # fmt: skip
    outcome = Outcome.FAILED if any(each.outcome is Outcome.FAILED for each in results) else Outcome.PASSED
    return RunFinding.from_results(
        Run(id=f"run_{name}", outcome=outcome, title="Nightly", **where), results, otherwise=at
    )


def roots(bench: RuleBench) -> list[str]:
    return [note.key for note in bench.notifications_of(NotificationKind.ROOT)]


def cause_messages(bench: RuleBench) -> list[Notification]:
    """Return the messages of causes, without the summaries that follow quiet hours."""
    return [note for note in bench.notifications_of(NotificationKind.ROOT) if note.key.startswith("storm:")]


def shown(bench: RuleBench, key: str) -> StormPayload:
    body = payloads.load_payload(json.loads(bench.memory.hashes[failure_hash(key)]["body"]))
    assert isinstance(body, StormPayload)
    return body


def failures_of(bench: RuleBench) -> list[Failure]:
    """Return the failures as triage lists them, without storms."""
    bodies = {
        name: payloads.load_payload(json.loads(fields["body"]))
        for name, fields in bench.memory.hashes.items()
        if name.startswith(failure_hash("")) and "body" in fields
    }
    return [
        Failure(name.removeprefix(failure_hash("")), "C1", body, TriageRecord(opened=NOON))
        for name, body in bodies.items()
        if isinstance(body, CaseAlertPayload | RunAlertPayload)
    ]


def cases_left(bench: RuleBench, place: RunFinding) -> set[str]:
    """Return the cases that are to pass before the one alert in the project and environment of a run recovers."""
    [alert] = parse_alerts(bench.memory.hashes[alerts_hash("C1", scope_key(place))]).values()
    return set(alert.left)


def act(bench: RuleBench, key: str, action: Action, at: float, **more: object) -> None:
    """Do what a person would do to a message."""
    request = ActionRequest.model_validate({"act": action, "who": Actor(id="U1", name="ana"), "at": at, **more})
    record = TriageRecord(opened=NOON)
    body = shown(bench, key)
    done = apply_action(record.model_copy(update={"turn": body.turn_count}), request, body.test_facts, body.policy)
    bench.memory = bench.memory.with_changes({triage_hash("C1"): {key: done.model_dump_json()}})


def test_a_run_with_two_causes_is_two_messages() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run("1", NOON, [(str(n), TIMEOUT if n % 3 else REFUSED) for n in range(30)]))
    timeout, refused = roots(bench)
    assert (timeout, refused) == ("storm:res_1_1:failed:C1", "storm:res_1_0:failed:C1")
    assert (shown(bench, timeout).failures, shown(bench, refused).failures) == (20, 10)
    assert shown(bench, timeout).by_cause
    assert (shown(bench, timeout).heading, shown(bench, timeout).title) == (TIMEOUT, "the cause of Case 1")


def test_one_cause_in_three_projects_is_one_message() -> None:
    bench = RuleBench(subscription())
    for number, project in enumerate(("shop", "search", "billing")):
        bench.process_findings(run(project, NOON + number, [("a", TIMEOUT), ("b", TIMEOUT)], project=project))
    [key] = roots(bench)
    body = shown(bench, key)
    assert (body.failures, body.members, body.open) == (6, 3, 3)
    assert sorted(body.places) == [("billing", "staging", 2), ("search", "staging", 2), ("shop", "staging", 2)]


def test_repeats_count_and_reading_a_run_again_does_not() -> None:
    bench = RuleBench(subscription())
    first = run("1", NOON, [("a", TIMEOUT)])
    bench.process_findings(first, first, run("2", NOON + 60, [("a", TIMEOUT), ("b", TIMEOUT)]))
    bench.process_findings(run("2", NOON + 60, [("a", TIMEOUT), ("b", TIMEOUT), ("c", TIMEOUT)]))
    [key] = roots(bench)
    assert (shown(bench, key).failures, shown(bench, key).members) == (4, 1)


def test_a_cause_recovers_when_all_its_cases_have_passed() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(
        run("1", NOON, [("a", TIMEOUT), ("b", TIMEOUT)]),
        run("2", NOON + 1, [("a", TIMEOUT)], project="search"),
        run("3", NOON + 60, passing=["a"]),
        run("4", NOON + 61, passing=["a"], project="search"),
    )
    [key] = roots(bench)
    assert (shown(bench, key).standing, shown(bench, key).open) == (AlertStatus.OPEN, 1)
    bench.process_findings(run("5", NOON + 90, [("c", REFUSED)], passing=["b"]))
    assert shown(bench, key).standing is AlertStatus.RECOVERED
    assert [reply[0] for reply in bench.recovery_replies()] == ["recovered:res_1_a:failed:C1"]


def test_a_case_that_passes_in_a_run_with_the_same_cause_need_not_pass_again() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(
        run("1", NOON, [("a", TIMEOUT), ("b", TIMEOUT)]),
        run("2", NOON + 60, [("a", TIMEOUT)], passing=["b"]),
        run("3", NOON + 120, passing=["a"]),
    )
    [key] = roots(bench)
    assert shown(bench, key).standing is AlertStatus.RECOVERED


def test_a_cause_that_is_soon_back_goes_on_in_its_message_and_a_late_one_gets_a_new_one() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(
        run("1", NOON, [("a", TIMEOUT)]), run("2", NOON + 60, passing=["a"]),
        run("3", NOON + 120, [("z", TIMEOUT)], project="search"),
    )  # fmt: skip
    [key] = roots(bench)
    assert (shown(bench, key).standing, shown(bench, key).open) == (AlertStatus.AGAIN, 1)
    assert any(note.key.startswith("again:") for note in bench.notifications_of(NotificationKind.REPLY))
    bench.process_findings(
        run("4", NOON + 180, passing=["z"], project="search"), run("5", NOON + 3 * HOUR_SECONDS, [("a", TIMEOUT)])
    )
    assert roots(bench) == [key, "storm:res_5_a:failed:C1"]


def test_what_somebody_resolved_comes_back_as_a_new_message_that_says_so() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run("1", NOON, [("a", TIMEOUT)]))
    [key] = roots(bench)
    act(bench, key, Action.RESOLVE, NOON + 30, reason="flaky", note="stale fixture")
    bench.process_findings(run("2", NOON + 60, [("b", TIMEOUT)], project="search"))
    _, again = roots(bench)
    resolved = shown(bench, again).resolved
    assert resolved is not None
    assert (resolved.by, resolved.note) == ("ana", "stale fixture")
    bench.process_findings(run("3", NOON + 90, [("c", TIMEOUT)]))
    assert len(roots(bench)) == 2


def test_what_is_snoozed_until_it_stops_stays_quiet_and_counts() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run("1", NOON, [("a", TIMEOUT)]))
    [key] = roots(bench)
    act(bench, key, Action.SNOOZE, NOON + 30)
    bench.process_findings(
        run("2", NOON + 60, [("b", TIMEOUT)], project="search"), run("3", NOON + 90, [("a", TIMEOUT)])
    )
    assert roots(bench) == [key]
    assert not bench.notifications_of(NotificationKind.REPLY)[0].key.startswith("wake:")
    assert shown(bench, key).failures == 3


def test_a_cause_whose_message_waits_for_a_mute_is_told_where_nothing_is_muted() -> None:
    bench = RuleBench(subscription("group:cause escalate:15m-><@U2>"))
    mute = Mute(id="m1", channel="C1", until=NOON + 24 * HOUR_SECONDS, project=("shop",))
    bench.memory = bench.memory.with_changes({MUTES: {"m1": mute.model_dump_json()}})
    bench.process_findings(run("1", NOON, [("a", TIMEOUT)]), run("2", NOON + 60, [("a", TIMEOUT)]))
    [held] = cause_messages(bench)
    assert held.not_before == mute.until
    bench.process_findings(run("3", NOON + 90, [("b", TIMEOUT)], project="search"))
    bench.process_findings(run("4", NOON + 120, [("b", TIMEOUT)], project="billing"))
    [_, told] = cause_messages(bench)
    assert (told.key, told.not_before) == ("storm:res_3_b:failed:C1", 0)
    assert sorted(place[0] for place in shown(bench, told.key).places) == ["billing", "search"]
    escalations = [note for note in bench.notifications.values() if note.body.get("sort") == "escalate"]
    due = {(note.root, note.not_before - NOON) for note in escalations}
    assert due == {(held.key, mute.until - NOON + 900), (told.key, 990)}
    bench.process_findings(run("5", mute.until + 60, [("a", TIMEOUT)]))
    assert len(cause_messages(bench)) == 2, "it is said in the message that everybody sees"


def test_a_cause_that_is_posted_after_all_waits_for_the_mute_of_then() -> None:
    bench = RuleBench(subscription())
    mutes = [
        Mute(id=f"m{hours}", channel="C1", until=NOON + hours * HOUR_SECONDS, project=("shop",)) for hours in (1, 20)
    ]
    bench.memory = bench.memory.with_changes({MUTES: {"m1": mutes[0].model_dump_json()}})
    bench.process_findings(run("1", NOON, [("a", TIMEOUT)]), run("2", NOON + 0.5 * HOUR_SECONDS, passing=["a"]))
    bench.memory = bench.memory.with_changes({MUTES: {"m20": mutes[1].model_dump_json()}})
    decision = bench.decide_finding(run("3", NOON + 1.2 * HOUR_SECONDS, [("a", TIMEOUT)]))
    [again] = [note for note in decision.notifications if note.key == "storm:res_1_a:failed:C1"]
    assert again.not_before == mutes[1].until
    bench.commit_decision(decision)
    stored = bench.memory.hashes[storms_hash("C1")][f"storm:{again.key}"]
    assert Storm.model_validate_json(stored).held == mutes[1].until
    bench.process_findings(run("4", NOON + 1.3 * HOUR_SECONDS, [("b", TIMEOUT)], project="search"))
    assert [note.key for note in cause_messages(bench)] == [again.key, "storm:res_4_b:failed:C1"]


def test_a_critical_failure_of_a_cause_whose_message_waits_for_quiet_hours_is_told() -> None:
    bench = RuleBench(subscription("group:cause quiet:12:00-19:00,critical,UTC"))
    bench.process_findings(run("1", NOON, [("a", TIMEOUT)]), run("2", NOON + 60, [("a", TIMEOUT)], project="search"))
    assert [note.not_before - NOON for note in cause_messages(bench)] == [7 * HOUR_SECONDS]
    bench.process_findings(run("3", NOON + 90, [("a", TIMEOUT)], environment="production"))
    [_, told] = cause_messages(bench)
    assert (told.not_before, told.critical) == (0, True)


def test_a_message_becomes_critical_with_its_first_critical_failure() -> None:
    bench = RuleBench(subscription("group:cause"))
    bench.process_findings(run("1", NOON, [("a", TIMEOUT)]))
    [key] = roots(bench)
    assert not shown(bench, key).critical
    bench.process_findings(run("2", NOON + 60, [("a", TIMEOUT)], environment="production"))
    bench.process_findings(run("3", NOON + 120, [("a", TIMEOUT)]))
    assert shown(bench, key).critical


def test_without_threads_the_message_alone_says_everything() -> None:
    bench = RuleBench(subscription("group:cause layout:flat broadcast:never"))
    for number in range(3):
        failing = run(f"f{number}", NOON + number * 200, [("a", TIMEOUT), ("b", TIMEOUT)])
        elsewhere = run(f"e{number}", NOON + number * 200 + 1, [("a", TIMEOUT)], project="search")
        passing = run(f"p{number}", NOON + number * 200 + 100, passing=["a", "b"])
        healed = run(f"h{number}", NOON + number * 200 + 101, passing=["a"], project="search")
        bench.process_findings(failing, elsewhere, passing, healed)
    [key] = roots(bench)
    assert shown(bench, key).standing is AlertStatus.RECOVERED
    assert bench.notifications_of(NotificationKind.REPLY) == []


def test_a_cause_that_comes_and_goes_stops_to_fill_its_thread() -> None:
    bench = RuleBench(subscription())
    for number in range(6):
        bench.process_findings(run(f"f{number}", NOON + number * 200, [("a", TIMEOUT)]))
        bench.process_findings(run(f"p{number}", NOON + number * 200 + 100, passing=["a"]))
    assert len(roots(bench)) == 1
    assert len(bench.notifications_of(NotificationKind.REPLY)) == 4


def test_failures_without_a_text_are_told_with_their_run() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run("1", NOON, [("a", None), ("b", None), ("c", TIMEOUT)]))
    assert sorted(roots(bench)) == ["run:run_1:failed:C1", "storm:res_1_c:failed:C1"]


def as_other_version(bench: RuleBench, text: str = TIMEOUT) -> None:
    """Change the stored signatures of a text as if a version with other rules had made them."""
    own, other = make_signature(text).id, "s0-0000000000000000"
    hashes = {
        name: {field.replace(own, other): value.replace(own, other) for field, value in fields.items()}
        for name, fields in bench.memory.hashes.items()
    }
    bench.memory = type(bench.memory)(hashes)


def test_another_version_of_signatures_starts_no_new_message() -> None:
    for project, case in (("shop", "a"), ("search", "b")):
        bench = RuleBench(subscription())
        bench.process_findings(run("1", NOON, [("a", TIMEOUT)]))
        as_other_version(bench)
        bench.process_findings(run("2", NOON + 60, [(case, TIMEOUT)], project=project))
        [key] = roots(bench)
        assert shown(bench, key).failures == 2
        assert len(shown(bench, key).causes) == 1


def test_a_case_whose_signature_another_version_made_stays_in_its_message() -> None:
    # The rules changed so much that not even the example has the cause any more.
    bench = RuleBench(subscription())
    bench.process_findings(run("1", NOON, [("a", REFUSED)]))
    as_other_version(bench, REFUSED)
    bench.process_findings(run("2", NOON + 60, [("a", TIMEOUT)]), run("3", NOON + 120, [("b", TIMEOUT)]))
    [key] = roots(bench)
    assert shown(bench, key).failures == 3


WORDS = [
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima", "mike",
    "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey",
]  # fmt: skip


def run_with_many_causes(name: str, at: float) -> RunFinding:
    return run(name, at, [(word, f"AssertionError: the {word} button is missing") for word in WORDS])


def test_many_causes_at_once_are_one_storm_that_names_them_and_recovers_with_them() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run_with_many_causes("1", NOON))
    [key] = roots(bench)
    body = shown(bench, key)
    assert (body.by_cause, body.members, len(body.causes), body.uncaused) == (False, 23, 10, 13)
    assert body.sole_cause is None
    bench.process_findings(run("2", NOON + 600, passing=WORDS[1:]))
    assert (shown(bench, key).standing, shown(bench, key).open) == (AlertStatus.OPEN, 1)
    bench.process_findings(run("3", NOON + 660, passing=WORDS))
    assert (shown(bench, key).standing, shown(bench, key).open) == (AlertStatus.RECOVERED, 0)
    assert [reply[0] for reply in bench.recovery_replies()] == ["recovered:res_1_alpha:failed:C1"]


@pytest.mark.parametrize("seconds", [30, 600])
def test_causes_of_a_storm_that_fail_again_count_in_it_and_recover_once(seconds: int) -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run_with_many_causes("1", NOON), run_with_many_causes("2", NOON + seconds))
    [key] = roots(bench)
    body = shown(bench, key)
    assert (body.failures, body.members, body.repeats, body.open) == (46, 23, 23, 23)
    assert (body.last, body.alerts) == (NOON, 23), "it has not gone on"
    bench.process_findings(run("3", NOON + 1200, passing=WORDS))
    assert shown(bench, key).open == 0
    assert len(bench.recovery_replies()) == 1


def test_a_cause_of_a_storm_that_recovered_long_ago_gets_a_message_of_its_own() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run_with_many_causes("1", NOON), run("2", NOON + 600, passing=WORDS[1:]))
    bench.process_findings(run("3", NOON + 3 * HOUR_SECONDS, [("z", "AssertionError: the bravo button is missing")]))
    storm, own = roots(bench)
    assert (shown(bench, storm).open, own) == (1, "storm:res_3_z:failed:C1")


def test_a_cause_that_was_resolved_with_its_storm_gets_a_new_message_that_says_by_whom() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run_with_many_causes("1", NOON))
    [storm] = roots(bench)
    act(bench, storm, Action.RESOLVE, NOON + 30, reason="flaky", note="stale fixture")
    bench.process_findings(run("2", NOON + 600, [("z", "AssertionError: the bravo button is missing")]))
    _, own = roots(bench)
    resolved = shown(bench, own).resolved
    assert resolved is not None
    assert (resolved.by, resolved.note) == ("ana", "stale fixture")


def test_an_alert_of_a_storm_that_an_earlier_version_stored_is_counted_on_and_recovers() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run_with_many_causes("1", NOON))
    [key] = roots(bench)
    [(name, fields)] = [item for item in bench.memory.hashes.items() if item[0].startswith("open:")]
    *lost, kept = fields
    bench.memory = bench.memory.with_changes({name: {**dict.fromkeys(fields), cause_field(key): fields[kept]}})
    bench.process_findings(run_with_many_causes("2", NOON + 600))
    assert (shown(bench, key).members, shown(bench, key).repeats) == (23, 1)
    assert set(bench.memory.hashes[name]).isdisjoint([kept])
    bench.process_findings(run("3", NOON + 1200, passing=WORDS))
    assert shown(bench, key).open == len(lost)


def test_a_storm_with_one_cause_says_so_and_is_that_causes_message() -> None:
    bench = RuleBench(subscription("group:case project:shop"), subscription("group:cause project:search"))
    bench.process_findings(run("1", NOON, [(str(n), TIMEOUT) for n in range(30)]))
    [key] = roots(bench)
    cause = shown(bench, key).sole_cause
    assert cause is not None
    assert (cause.count, shown(bench, key).failures) == (30, 30)
    bench.process_findings(run("2", NOON + 600, [("a", TIMEOUT)], project="search"))
    assert roots(bench) == [key]
    assert (shown(bench, key).failures, shown(bench, key).members) == (31, 31)
    assert (shown(bench, key).last, shown(bench, key).alerts) == (NOON, 31)
    bench.process_findings(run("3", NOON + 900, [("b", REFUSED)], project="search"))
    assert len(roots(bench)) == 2


def test_of_many_causes_those_seen_longest_ago_are_let_go_of() -> None:
    bench = RuleBench(subscription())
    letters = [f"{first}{second}ary" for first in "abcdefghijklmno" for second in "abcdefghijklmn"]
    for number, word in enumerate(letters):
        bench.process_findings(run(word, NOON + number * 60, [("a", f"AssertionError: the {word} button is missing")]))
    fields = bench.memory.hashes[storms_hash("C1")]
    kept, pointers = ([name for name in fields if name.startswith(kind)] for kind in ("storm:", "cause:"))
    assert len(roots(bench)) == len(letters) > MAX_CAUSE_MESSAGES
    assert len(kept) == len(pointers) == MAX_CAUSE_MESSAGES + 1


def seen_once_in_a_preview_and_daily_in_staging(days: int) -> RuleBench:
    bench = RuleBench(subscription())
    bench.process_findings(run("pr", NOON, [("a", TIMEOUT)], environment="pr-1"))
    bench.process_findings(*(run(f"{day}", NOON + day * DAY_SECONDS, [("a", TIMEOUT)]) for day in range(1, days)))
    return bench


def test_a_place_that_was_not_read_for_two_weeks_keeps_no_message_open() -> None:
    bench = seen_once_in_a_preview_and_daily_in_staging(14)
    [key] = roots(bench)
    bench.process_findings(run("early", NOON + 13.5 * DAY_SECONDS, passing=["a"]))
    assert (shown(bench, key).open, shown(bench, key).members) == (1, 2)
    bench = seen_once_in_a_preview_and_daily_in_staging(16)
    bench.process_findings(run("pass", NOON + 16 * DAY_SECONDS, passing=["a"]))
    assert (shown(bench, key).standing, shown(bench, key).open) == (AlertStatus.RECOVERED, 0)
    assert [reply[3] for reply in bench.recovery_replies()] == ["run_pass"]
    bench.process_findings(run("pr_2", NOON + 16 * DAY_SECONDS + 60, passing=["b"], environment="pr-1"))
    assert (shown(bench, key).open, shown(bench, key).members) == (0, 1)


def test_an_alert_that_is_dropped_after_two_weeks_keeps_no_message_open() -> None:
    bench = seen_once_in_a_preview_and_daily_in_staging(14)
    [key] = roots(bench)
    bench.process_findings(run("pass", NOON + 13.5 * DAY_SECONDS, passing=["a"]))
    bench.process_findings(run("pr_2", NOON + 15 * DAY_SECONDS, passing=["b"], environment="pr-1"))
    assert (shown(bench, key).standing, shown(bench, key).open) == (AlertStatus.RECOVERED, 0)
    bench.process_findings(run("pr_3", NOON + 15 * DAY_SECONDS + 60, [("a", TIMEOUT)], environment="pr-1"))
    assert roots(bench) == [key]
    assert (shown(bench, key).standing, shown(bench, key).open) == (AlertStatus.AGAIN, 1)


def test_a_message_does_not_recover_because_its_only_alert_is_dropped() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run("1", NOON, [("a", TIMEOUT)]), run("2", NOON + 15 * DAY_SECONDS, passing=["b"]))
    [key] = roots(bench)
    assert shown(bench, key).standing is AlertStatus.OPEN


@pytest.mark.parametrize("group", ["run", "case", "cause"])
def test_the_failures_of_a_cause_are_counted_alike_by_every_grouping(group: str) -> None:
    bench = RuleBench(subscription(f"group:{group}"))
    cases = [str(number) for number in range(15)]
    first = run("1", NOON, [(case, TIMEOUT) for case in cases[:14]])
    bench.process_findings(first, run("1", NOON, [(case, TIMEOUT) for case in cases]))
    bench.process_findings(run("2", NOON + 60, [(case, TIMEOUT) for case in cases]))
    [cost] = compute_costs(failures_of(bench), NOON, NOON + 60)
    assert cost.failures == 30


def test_the_failures_of_each_place_of_a_cause_add_up_to_those_of_its_message() -> None:
    bench = RuleBench(subscription("group:cause after:2/1h"))
    failing = [("a", TIMEOUT), ("b", TIMEOUT)]
    bench.process_findings(
        *(run(f"{n}", NOON + n, failing[: 1 + n % 2], environment=("staging", "qa")[n % 2]) for n in range(6))
    )
    [key] = roots(bench)
    [cost] = compute_costs(failures_of(bench), NOON, NOON + 60)
    assert cost.failures == shown(bench, key).failures


def test_a_message_that_another_place_reopens_is_dated_no_later_than_now() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run("1", NOON, [("a", TIMEOUT)]), run("2", NOON + 60, passing=["a"]))
    bench.process_findings(run("3", NOON + 125, [("a", TIMEOUT)], project="search"), now=NOON + 120)
    [key] = roots(bench)
    assert (shown(bench, key).standing, shown(bench, key).turned) == (AlertStatus.AGAIN, NOON + 120)


RUNS = [
    run("1", NOON, [("a", TIMEOUT), ("b", REFUSED)]),
    run("2", NOON + 20, [("a", TIMEOUT)], passing=["b"]),
    run("3", NOON + 40, [("a", TIMEOUT)], project="search"),
    run("4", NOON + 60, passing=["a"]),
    run("5", NOON + 80, passing=["a"], project="search"),
    run("6", NOON, [("a", TIMEOUT)], project="billing"),
    run("7", NOON + 30, [("a", TIMEOUT), ("c", TIMEOUT)], project="billing"),
    run("8", NOON + 60, [("b", TIMEOUT)], passing=["a"], project="billing"),
]


@settings(max_examples=25)
@given(st.permutations(RUNS), st.lists(st.sampled_from(RUNS), max_size=3))
def test_any_order_and_repetition_counts_each_failure_once(order: list[RunFinding], repeated: list[RunFinding]) -> None:
    bench = RuleBench(subscription())
    bench.process_findings(*order, *repeated, now=NOON + 100)
    counts = {shown(bench, key).failures: shown(bench, key).open for key in roots(bench)}
    assert counts == {1: 0, 7: 1}
    assert cases_left(bench, RUNS[-1]) == {"b", "c"}
    bench.process_findings(run("9", NOON + 90, passing=["b"], project="billing"), now=NOON + 100)
    assert cases_left(bench, RUNS[-1]) == {"b", "c"}
    bench.process_findings(run("10", NOON + 95, passing=["c"], project="billing"), now=NOON + 100)
    assert all(shown(bench, key).standing is AlertStatus.RECOVERED for key in roots(bench))


def test_a_case_that_passed_in_between_is_not_put_back_by_a_failure_that_is_read_late() -> None:
    for late in (RUNS[6], run("7", NOON + 30, [("a", TIMEOUT), ("c", TIMEOUT)], passing=["b"], project="billing")):
        bench = RuleBench(subscription())
        bench.process_findings(RUNS[5], RUNS[7], late, now=NOON + 100)
        assert cases_left(bench, late) == {"b", "c"}


def test_an_earlier_version_reads_a_cause_as_a_storm() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run("1", NOON, [("a", TIMEOUT)]))
    stored = subscription().model_dump_json(by_alias=True)
    assert json.loads(stored)["group"] == "case"
    assert Subscription.model_validate_json(stored) == subscription()
    alerts = [json.loads(value) for name, fields in bench.memory.hashes.items() if name.startswith("open:")
              for value in fields.values()]  # fmt: skip
    assert [alert["group"] for alert in alerts] == ["case"]
    assert any(field.startswith("storm:") for field in bench.memory.hashes[storms_hash("C1")])


def test_whoever_snoozed_a_cause_until_it_fails_twice_more_is_told_when_it_does() -> None:
    bench = RuleBench(subscription())
    bench.process_findings(run("1", NOON, [("a", TIMEOUT)]))
    [key] = roots(bench)
    act(bench, key, Action.SNOOZE, NOON + 10, more=2)
    bench.process_findings(run("2", NOON + 60, [("a", TIMEOUT)]))
    assert wake_ups(bench) == []
    bench.process_findings(run("3", NOON + 120, [("b", TIMEOUT)], project="search"))
    assert wake_ups(bench) == [(key, ["U1"], NOON + 120)]
    bench.process_findings(run("4", NOON + 180, [("a", TIMEOUT)]))
    assert len(wake_ups(bench)) == 1
