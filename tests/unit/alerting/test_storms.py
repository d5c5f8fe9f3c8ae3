"""What goes into a storm, what stands by itself beside one, and what is mentioned; pure."""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType

import pytest
from pydantic import BaseModel

from tests.support.rules import (
    HOUR_SECONDS,
    NOON,
    RuleBench,
    failed_finding,
    make_subscription,
    passed_finding,
    wake_ups,
)
from zofbot.alerting.alerts_in_scope import MAX_ALERTS_IN_STORMS
from zofbot.alerting.mention_limit import take_mentions
from zofbot.alerting.state import DecisionBuilder, RuleState, failure_hash, storms_hash, triage_hash
from zofbot.alerting.storms.storm_members import MEMBERS_PER_PAGE
from zofbot.alerting.storms.storm_pruning import MAX_MEMBERS
from zofbot.alerting.storms.storm_record import RECOVERED_RETENTION_SECONDS, Storm
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import AlertStatus, CaseAlertPayload
from zofbot.notifications.notification import NotificationKind
from zofbot.notifications.storm_payloads import StormMember, StormMembersPayload, StormPayload
from zofbot.triage import Action, ActionRequest, Actor, TriageRecord, apply_action

MENTION, OTHER = "mention:<@U1>", "mention:<@U2>"


def stored_storms(rules: RuleBench) -> list[Storm]:
    kept = rules.memory.hashes.get("storms:C1", {})
    return [Storm.model_validate_json(value) for field, value in kept.items() if field.startswith("storm:")]


def storm_of(rules: RuleBench) -> Storm:
    [storm] = stored_storms(rules)
    return storm


def count_mentions_of(rules: RuleBench) -> Counter[str]:
    return Counter(
        who for item in rules.notifications_of(NotificationKind.ROOT) for who in item.body.get("mention", ())
    )


def raise_alerts(
    rules: RuleBench, count: int, at: float = NOON, *, first: int = 0, environment: str = "staging"
) -> None:
    """So many runs fail within a few seconds, each with a case of its own."""
    for n in range(first, first + count):
        rules.process_findings(
            failed_finding(f"{environment}{n}", at + n / 100, f"{environment}{n}", environment=environment)
        )


def recover_alerts(rules: RuleBench, count: int, at: float, *, first: int = 0) -> None:
    """The cases of so many of them pass."""
    for n in range(first, first + count):
        rules.process_findings(passed_finding(f"p{at}{n}", at + n / 100, f"staging{n}"))


# --- what is counted together


def test_one_failure_of_another_mention_stands_by_itself_in_the_worst_storm() -> None:
    rules = RuleBench(make_subscription(f"{MENTION} env:staging"), make_subscription(f"{OTHER} env:qa", number=2))
    raise_alerts(rules, 60)
    raise_alerts(rules, 1, environment="qa")
    assert rules.notifications["run:run_qa0:failed:C1"].body["mention"] == ["U2"]
    assert len(stored_storms(rules)) == 1


def test_a_critical_failure_stands_by_itself_in_the_worst_storm() -> None:
    rules = RuleBench(make_subscription(MENTION))
    raise_alerts(rules, 60)
    raise_alerts(rules, 1, NOON + 1, environment="production")
    assert rules.notifications["run:run_production0:failed:C1"].critical
    raise_alerts(rules, 1, NOON + 62, first=1, environment="production")
    assert rules.notifications["run:run_production1:failed:C1"].body["mention"] == ["U1"]


def test_a_storm_beside_another_keeps_its_own_mention_and_escalation() -> None:
    rules = RuleBench(
        make_subscription("env:staging"), make_subscription(f"{OTHER} env:qa escalate:10m-><@U9>", number=2)
    )
    raise_alerts(rules, 40)
    raise_alerts(rules, 40, environment="qa")
    plain, called = sorted(stored_storms(rules), key=lambda storm: len(storm.policy.escalate))
    assert (plain.members, called.members) == (40, 40)
    assert [step.mention for step in called.policy.escalate] == [("U9",)]
    escalations = [
        item
        for item in rules.notifications.values()
        if item.key.startswith("escalate:") and item.root == called.storm_key
    ]
    assert {escalation.not_before for escalation in escalations if escalation.body["at"] == called.opened} == {
        called.opened + 600
    }


def test_two_sorts_that_are_too_many_together_are_two_storms() -> None:
    rules = RuleBench(make_subscription(f"{MENTION} env:staging"), make_subscription(f"{OTHER} env:qa", number=2))
    for n in range(15):
        raise_alerts(rules, 1, first=n)
        raise_alerts(rules, 1, first=n, environment="qa")
    assert len(rules.notifications_of(NotificationKind.ROOT)) == 20 + 2
    assert sorted(storm.members for storm in stored_storms(rules)) == [15, 15]


def test_critical_failures_stand_alone_up_to_what_a_channel_takes() -> None:
    rules = RuleBench(make_subscription(MENTION))
    for n in range(30):
        raise_alerts(rules, 1, first=n)
        raise_alerts(rules, 1, first=n, environment="production")
    alone = [item.key for item in rules.notifications_of(NotificationKind.ROOT) if item.key.startswith("run:")]
    assert (len(alone), sum("production" in name for name in alone)) == (30, 20)
    assert sorted((storm.critical, storm.members) for storm in stored_storms(rules)) == [(False, 30), (True, 30)]


def test_one_run_with_more_failing_cases_than_a_channel_takes_is_one_message_that_names_it() -> None:
    rules = RuleBench(make_subscription(f"group:case {MENTION}"))
    rules.process_findings(failed_finding("1", NOON, *(f"{n:02}" for n in range(30))))
    [root] = rules.notifications_of(NotificationKind.ROOT)
    body = payloads.load_payload_json(rules.memory.hashes[failure_hash(root.key)]["body"])
    assert isinstance(body, StormPayload)
    assert (body.run.title, body.members, body.open, body.mention) == ("Nightly", 30, 30, ("U1",))


def test_twenty_failing_cases_of_one_run_stand_alone() -> None:
    rules = RuleBench(make_subscription("group:case"))
    rules.process_findings(failed_finding("1", NOON, *(f"{n:02}" for n in range(20))))
    assert len(rules.notifications_of(NotificationKind.ROOT)) == 20
    assert not stored_storms(rules)


# --- what becomes of it


def test_each_member_is_listed_once() -> None:
    rules = RuleBench(make_subscription())
    raise_alerts(rules, 60)
    pages = [
        item
        for item in rules.notifications.values()
        if item.kind is NotificationKind.EDIT and item.body.get("card") == "members"
    ]
    listed = [member.title for page in pages for member in StormMembersPayload.model_validate(page.body).members]
    assert Counter(listed) == Counter({"Nightly": 60})
    keys = [member.key for page in pages for member in StormMembersPayload.model_validate(page.body).members]
    assert len(set(keys)) == 60
    assert {rules.memory.hashes[failure_hash(name)]["storm"] for name in keys} == {storm_of(rules).storm_key}


def test_a_member_without_a_message_of_its_own_is_never_edited_or_replied_to() -> None:
    rules = RuleBench(make_subscription("group:case broadcast:worse"))
    raise_alerts(rules, 60)
    recover_alerts(rules, 60, NOON + 60)
    raise_alerts(rules, 60, NOON + 120)
    roots = {item.key for item in rules.notifications_of(NotificationKind.ROOT)}
    assert {item.root for item in rules.notifications.values() if item.kind is NotificationKind.REPLY} <= roots
    pages = {item.key for item in rules.notifications_of(NotificationKind.REPLY)}
    assert {item.root for item in rules.notifications_of(NotificationKind.EDIT)} <= roots | pages


def test_a_storm_recovers_with_the_last_of_it_and_opens_again_with_the_first() -> None:
    rules = RuleBench(make_subscription())
    raise_alerts(rules, 60)
    recover_alerts(rules, 59, NOON + 60)
    assert (storm_of(rules).open_members, storm_of(rules).standing) == (1, "open")
    recover_alerts(rules, 1, NOON + 120, first=59)
    assert (storm_of(rules).open_members, storm_of(rules).standing, storm_of(rules).turn) == (0, "recovered", 1)
    assert f"recovered:{storm_of(rules).id}:failed:C1" in rules.notifications
    raise_alerts(rules, 1, NOON + 180, first=30)
    rules.process_findings(failed_finding("again", NOON + 180, "staging30"))
    assert (storm_of(rules).open_members, storm_of(rules).standing, storm_of(rules).turn) == (1, "again", 2)


@pytest.mark.parametrize("recovered_at", [NOON + 1, NOON + 20], ids=["in the same batch", "before the storm"])
def test_a_storm_takes_in_an_alert_as_it_stands(recovered_at: float) -> None:
    rules = RuleBench(make_subscription())
    decided = NOON + 30
    rules.process_findings(failed_finding("first", NOON, "first"), now=decided)
    rules.process_findings(passed_finding("passed", recovered_at, "first"), now=decided)
    raise_alerts(rules, 30, decided)
    assert (storm_of(rules).members, storm_of(rules).open_members) == (31, 30)
    recover_alerts(rules, 30, NOON + 60)
    assert (storm_of(rules).open_members, storm_of(rules).standing) == (0, "recovered")
    rules.process_findings(failed_finding("again", NOON + 120, "first"))
    assert (storm_of(rules).open_members, storm_of(rules).standing) == (1, "again")


def test_a_storm_of_more_alerts_than_are_kept_recovers_with_those_that_are() -> None:
    rules = RuleBench(make_subscription("group:case"))
    cases = [f"case{n}" for n in range(MAX_ALERTS_IN_STORMS + 100)]
    rules.process_findings(failed_finding("1", NOON, *cases))
    assert (storm_of(rules).members, storm_of(rules).open_members) == (len(cases), MAX_ALERTS_IN_STORMS)
    rules.process_findings(passed_finding("2", NOON + HOUR_SECONDS, *cases))
    assert (storm_of(rules).open_members, storm_of(rules).standing) == (0, "recovered")
    assert len(rules.recovery_replies()) == 1


def test_a_storm_schedules_one_set_of_escalations_while_nobody_has_acted_on_it() -> None:
    """Each waits for a second of the channel's pace, however many alerts the storm has."""
    rules = RuleBench(make_subscription("group:case escalate:15m-><@U1>,45m-><@U2>"))
    raise_alerts(rules, 60)
    storm = storm_of(rules)
    escalations = [note for note in rules.notifications.values() if note.body.get("sort") == "escalate"]
    assert len([note for note in escalations if note.root == storm.storm_key]) == 2
    snooze = ActionRequest(act=Action.SNOOZE, who=Actor(id="U1"), at=NOON + 100, more=1)
    asleep = apply_action(TriageRecord(opened=NOON), snooze, storm.summary_body().test_facts, storm.policy)
    rules.memory = rules.memory.with_changes({triage_hash("C1"): {storm.storm_key: asleep.model_dump_json()}})
    rules.process_findings(failed_finding("again", NOON + 200, "staging25"))
    escalations = [note for note in rules.notifications.values() if note.body.get("sort") == "escalate"]
    due = [note.not_before - NOON for note in escalations if note.root == storm.storm_key]
    assert due[2:] == [200 + 900, 200 + 2700], "it is open again from then on"


def test_a_storm_snoozed_for_two_failures_wakes_with_the_second_whose_snooze_it_was_is_told() -> None:
    rules = RuleBench(make_subscription("group:case"))
    raise_alerts(rules, 30)
    storm = storm_of(rules)
    facts = storm.summary_body().test_facts
    snooze = ActionRequest(act=Action.SNOOZE, who=Actor(id="U1"), at=NOON + 100, more=2)
    asleep = apply_action(TriageRecord(opened=NOON), snooze, facts, storm.policy).model_dump_json()
    rules.memory = rules.memory.with_changes({triage_hash("C1"): {storm.storm_key: asleep}})
    edit_of_the_first = "case-edit:res_staging0_staging0:failed:C1"
    rules.notifications.pop(edit_of_the_first)
    rules.process_findings(failed_finding("again", NOON + 200, "staging25"))
    assert wake_ups(rules) == []
    assert edit_of_the_first not in rules.notifications
    rules.process_findings(failed_finding("more", NOON + 300, "staging26"))
    assert wake_ups(rules) == [(storm.storm_key, ["U1"], NOON + 300)]
    assert edit_of_the_first in rules.notifications, "it showed the snooze"
    rules.process_findings(failed_finding("most", NOON + 400, "staging27"))
    assert len(wake_ups(rules)) == 1


def test_in_whatever_order_it_is_heard_of_twice_the_storm_is_the_same() -> None:
    findings = [failed_finding(str(n), NOON + n / 100, str(n)) for n in range(50)]
    healing = [passed_finding(f"p{n}", NOON + 60 + n, str(n)) for n in range(30)]
    once, twice = RuleBench(make_subscription(MENTION)), RuleBench(make_subscription(MENTION))
    once.process_findings(*findings, *healing)
    twice.process_findings(*findings, *findings, *healing, *findings, *healing)
    assert once.memory.hashes[storms_hash("C1")].keys() == twice.memory.hashes[storms_hash("C1")].keys()
    assert (
        (storm_of(once).members, storm_of(once).open_members)
        == (storm_of(twice).members, storm_of(twice).open_members)
        == (50, 20)
    )


def test_a_decision_that_was_lost_on_the_way_is_made_again_alike() -> None:
    rules = RuleBench(make_subscription(MENTION))
    findings = [failed_finding(str(n), NOON + n / 100, str(n)) for n in range(30)]
    for finding in [*findings, *(passed_finding(f"p{n}", NOON + 60 + n, str(n)) for n in range(30))]:
        lost, made = rules.decide_finding(finding), rules.decide_finding(finding)
        assert (lost.notifications, lost.changes) == (made.notifications, made.changes)
        new = rules.commit_decision(made)
        again = rules.decide_finding(finding)
        assert not [
            notification.key for notification in again.notifications if notification.key not in rules.notifications
        ], new


def test_what_is_over_for_hours_is_let_go_of_when_another_begins() -> None:
    rules = RuleBench(make_subscription())
    raise_alerts(rules, 30)
    recover_alerts(rules, 30, NOON + 60)
    raise_alerts(rules, 30, NOON + RECOVERED_RETENTION_SECONDS + HOUR_SECONDS, environment="qa")
    assert storm_of(rules).since > NOON + HOUR_SECONDS
    fields = Counter(field.partition(":")[0] for field in rules.memory.hashes["storms:C1"])
    assert fields == {"storm": 1, "page": 2, "in": 30, "lane": 2}


def test_the_pages_of_an_old_storm_are_not_all_parsed_for_each_of_its_members() -> None:
    many, day = 100, 86400.0
    rules = RuleBench(make_subscription("group:case"))
    cases = [str(n) for n in range(many)]
    for number, at in enumerate((NOON, NOON + 10 * day)):
        rules.process_findings(failed_finding(str(number), at, *cases))
    validate, parsed = BaseModel.model_validate.__func__.__code__, 0  # type: ignore[attr-defined]

    def count_member(frame: FrameType, event: str, _: object) -> None:
        nonlocal parsed
        parsed += event == "call" and frame.f_code is validate and frame.f_locals["cls"] is StormMember

    before = sys.getprofile()
    sys.setprofile(count_member)
    try:
        for n in cases:
            rules.process_findings(passed_finding(f"p{n}", NOON + 15 * day + int(n), n))
    finally:
        sys.setprofile(before)
    assert storm_of(rules).standing is AlertStatus.RECOVERED
    assert 0 < parsed < 2 * MEMBERS_PER_PAGE * many


def test_of_many_storms_the_oldest_are_let_go_of() -> None:
    rules = RuleBench(make_subscription("group:case"))
    for day, many in enumerate((30, MAX_MEMBERS, 30)):
        rules.process_findings(failed_finding(f"d{day}", NOON + day * 86400, *(f"{day}-{n}" for n in range(many))))
    fields = Counter(field.partition(":")[0] for field in rules.memory.hashes["storms:C1"])
    assert (fields["in"], fields["storm"]) == (MAX_MEMBERS + 30, 2)


def test_a_storm_recovers_without_a_member_that_was_resolved_by_itself_and_failed_again() -> None:
    rules = RuleBench(make_subscription("group:case"))
    raise_alerts(rules, 25)
    storm, key = storm_of(rules), "case:res_staging3_staging3:failed:C1"
    body = payloads.load_payload_json(rules.memory.hashes[failure_hash(key)]["body"])
    assert isinstance(body, CaseAlertPayload)
    assert key in storm.cards
    resolve = ActionRequest(act=Action.RESOLVE, who=Actor(id="U1"), at=NOON + 100)
    done = apply_action(TriageRecord(opened=NOON), resolve, body.test_facts, storm.policy)
    rules.memory = rules.memory.with_changes({triage_hash("C1"): {key: done.model_dump_json()}})
    rules.process_findings(failed_finding("again", NOON + 200, "staging3"))
    assert "case:res_again_staging3:failed:C1" in rules.notifications
    recover_alerts(rules, 25, NOON + 300)
    assert (storm_of(rules).open_members, storm_of(rules).standing) == (0, "recovered")
    assert f"recovered:{storm.id}:failed:C1" in rules.notifications


def bench_after_many_storms(group: str) -> RuleBench:
    """Return the rules after so many storms in other environments that the first one is no longer kept."""
    rules = RuleBench(make_subscription(f"group:{group} env:staging"), make_subscription("group:case env:e*", number=2))
    raise_alerts(rules, 30)
    for number in range(1, 8):
        cases = [f"{number}-{case}" for case in range(400)]
        rules.process_findings(failed_finding(f"n{number}", NOON + number * 120, *cases, environment=f"e{number}"))
    assert not any(
        "staging" in environments for storm in stored_storms(rules) for environments in storm.places.values()
    )
    return rules


@pytest.mark.parametrize("recovers", [False, True])
@pytest.mark.parametrize("group", ["run", "case"])
def test_what_fails_again_after_its_storm_was_let_go_of_is_a_new_alert(group: str, recovers: bool) -> None:
    rules = bench_after_many_storms(group)
    before = len(rules.notifications_of(NotificationKind.ROOT))
    if recovers:
        recover_alerts(rules, 30, NOON + HOUR_SECONDS)
    rules.process_findings(failed_finding("again", NOON + 1.5 * HOUR_SECONDS, "staging25"))
    assert len(rules.notifications_of(NotificationKind.ROOT)) == before + 1


def test_of_many_storms_one_that_has_recovered_is_let_go_of_before_one_that_is_open() -> None:
    rules = RuleBench(make_subscription("group:case"))
    cases = [[f"{number}-{case}" for case in range(MAX_MEMBERS // 2 + 1)] for number in range(2)]
    for number, failing in enumerate(cases):
        rules.process_findings(failed_finding(f"{number}", NOON + number * 120, *failing))
    rules.process_findings(passed_finding("p", NOON + 600, *cases[1]))
    rules.process_findings(failed_finding("2", NOON + 720, *(f"2-{case}" for case in range(30))))
    assert sorted(storm.id for storm in stored_storms(rules)) == ["res_0_0-0", "res_2_2-0"]


# --- mentions


def test_the_same_people_are_mentioned_twice_a_minute_at_most() -> None:
    rules = RuleBench(make_subscription(MENTION))
    for n in range(12):
        rules.process_findings(failed_finding(str(n), NOON + n * 10, "a"))
    said = [bool(item.body.get("mention")) for item in rules.notifications_of(NotificationKind.ROOT)]
    assert said == [True, True, False, False, False, False] * 2
    assert [item.body.get("unmentioned", 0) for item in rules.notifications_of(NotificationKind.ROOT)] == [
        0,
        0,
        1,
        1,
        1,
        1,
    ] * 2


def test_a_storm_of_any_size_mentions_twice_and_counts_what_is_left_unsaid() -> None:
    rules = RuleBench(make_subscription("mention:<@U1>,<@U2>"))
    raise_alerts(rules, 200)
    assert count_mentions_of(rules) == {"U1": 2, "U2": 2}
    assert storm_of(rules).unmentioned == 2 * 198


def test_whom_one_subscription_mentions_too_often_another_may_still_mention() -> None:
    draft = DecisionBuilder(RuleState(), NOON)
    for _ in range(2):
        assert take_mentions(draft, "C1", ("U1",), NOON) == ("U1",)
    assert take_mentions(draft, "C1", ("U1", "U2"), NOON) == ("U2",)
    assert take_mentions(draft, "C2", ("U1",), NOON) == ("U1",)
    assert take_mentions(draft, "C1", ("U1",), NOON + 60) == ("U1",)
