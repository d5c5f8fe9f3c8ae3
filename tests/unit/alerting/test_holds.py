"""What holds a failure back, and a decision that rests on a mute."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.poller_bench import PlainDecision, poller_bench
from tests.support.rules import HOUR_SECONDS, NOON, RuleBench, failed_finding, make_subscription, passed_finding
from zofbot.alerting.catch_up_entries import ENTRY_RETENTION_SECONDS, parse_entry, reschedule_entries
from zofbot.alerting.holds import compute_hold, due_time, matches_failure
from zofbot.alerting.reasons import DecisionReason
from zofbot.alerting.rules import decide_batch
from zofbot.alerting.state import MUTES, DecisionBuilder, RuleState, catch_up_hash, held_hash
from zofbot.notifications.notification import NotificationKind
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.subscriptions import EventType, PlatformEvent, RunFinding
from zofbot.subscriptions.mute import Mute


def mute(name: str = "m1", until: float = NOON + HOUR_SECONDS, **more: Any) -> Mute:
    usual: dict[str, Any] = {"id": name, "channel": "C1", "until": until, "env": ("staging",), "by_name": "Ana"}
    return Mute(**usual | more)


def muted(bench: RuleBench, *mutes: Mute) -> RuleBench:
    records = {each.id: each.model_dump_json(exclude_defaults=True) for each in mutes}
    bench.memory = bench.memory.with_changes({MUTES: records})
    return bench


def test_all_mutes_have_to_be_over_and_then_one_subscription_out_of_its_quiet_hours() -> None:
    night = make_subscription("quiet:13:00-14:00,UTC")
    assert compute_hold(NOON, [night], [], critical=False).until == 0
    assert (
        compute_hold(NOON, [night], [mute(until=NOON + 1.5 * HOUR_SECONDS)], critical=False).until
        == NOON + 2 * HOUR_SECONDS
    )
    assert (
        compute_hold(NOON, [night, make_subscription("", number=2)], [mute()], critical=True).until
        == NOON + HOUR_SECONDS
    )


def test_what_waits_is_due_when_the_mutes_that_are_left_are_over() -> None:
    kept = json.dumps({"mutes": ["m1", "m2"], "takers": ["s1"], "after": 900})
    later = {"m2": mute("m2", NOON + 3 * HOUR_SECONDS)}
    assert due_time(kept, NOON, later, {}) == NOON + 3 * HOUR_SECONDS + 900
    assert due_time(kept, NOON, {}, {}) == NOON + 900
    assert due_time(kept, NOON, {}, {"s1": make_subscription("quiet:11:00-13:00,UTC")}) == NOON + HOUR_SECONDS + 900


@pytest.mark.parametrize(
    ("filters", "storm", "matches"),
    [
        ({"env": ("staging",)}, {"places": (("Shop", "staging", 6),)}, True),
        ({"env": ("staging",)}, {"places": (("Shop", "staging", 6), ("Cart", "qa", 1))}, False),
        ({"env": ("staging",)}, {"places": (("Shop", "staging", 6),), "members": 26}, False),
        ({"env": ("staging",)}, {"places": (("Shop", "staging", 6),), "elsewhere": 1}, False),
        ({"env": ("-qa",)}, {}, False),
        ({"env": (), "project": ("shop",)}, {"places": (("Shop", "staging", 6),)}, True),
        ({"env": (), "project": ("-proj_1",)}, {"places": (("Shop", "staging", 6),)}, False),
    ],
)
def test_a_mute_matches_a_storm_only_if_it_surely_matches_every_place(
    filters: dict[str, Any], storm: dict[str, Any], matches: bool
) -> None:
    """A storm counts no places of the alerts from before it, and has no ids of projects."""
    body = StormPayload(**{"since": NOON, "last": NOON, "alerts": 6, "failures": 6, "members": 6} | storm)
    assert matches_failure(mute(**filters), body) is matches


def test_a_decision_that_rests_on_a_mute_counts_only_while_that_is_as_it_was() -> None:
    bench = muted(RuleBench(make_subscription("group:case escalate:15m-><@U1>")), mute(), mute("m2", env=("other",)))
    decision = bench.decide_finding(failed_finding("1", NOON, "a"))
    assert set(decision.expected) == {MUTES}
    assert set(decision.expected[MUTES]) == {"m1"}
    assert [reason.answer for reason in decision.reasons] == [DecisionReason.MUTED]
    assert decision.reasons[0].reason_text == "matched, but Ana muted env:staging until"
    held = decision.changes[held_hash("m1")]
    assert set(held) == {notification.key for notification in decision.notifications}
    assert sorted(json.loads(value or "").get("after", 0) for value in held.values()) == [0, 0, 900]


def test_a_decision_that_rests_on_what_waits_counts_only_while_that_waits() -> None:
    bench = muted(RuleBench(make_subscription("group:case")), mute())
    bench.process_findings(failed_finding("1", NOON, "a"))
    recovery = bench.decide_finding(passed_finding("2", NOON + 60, "a"))
    name, entries = catch_up_hash("C1"), bench.memory.hashes[catch_up_hash("C1")]
    assert recovery.expected[name] == entries
    assert len(entries) == 1


def test_a_batch_expects_what_is_stored_and_not_what_it_changes_itself() -> None:
    bench = muted(RuleBench(make_subscription("group:case")), mute())
    bench.process_findings(failed_finding("1", NOON, "a"))
    name, before = catch_up_hash("C1"), dict(bench.memory.hashes[catch_up_hash("C1")])
    findings = [failed_finding("2", NOON + 60, "a", "b"), failed_finding("3", NOON + 120, "a", "b")]
    batch = decide_batch(findings, bench.subscriptions, bench.memory, NOON + 120, lookback=HOUR_SECONDS)
    assert len(batch.changes[name]) == 2
    assert batch.expected[name] == before


def test_nothing_rests_on_mutes_that_mean_nothing_of_it_or_are_over() -> None:
    bench = muted(
        RuleBench(make_subscription("")), mute(channel="C2"), mute("m2", env=("other",)), mute("m3", NOON - 1)
    )
    decision = bench.decide_finding(failed_finding("1", NOON, "a"))
    assert decision.expected == {}
    assert [reason.answer for reason in decision.reasons] == [DecisionReason.NOTIFIED]


def test_notices_are_muted_too_and_are_not_failures_to_sum_up() -> None:
    bench = muted(RuleBench(make_subscription("on:gate")), mute(env=(), project=("checkout",)))
    notice = PlatformEvent(event=EventType.GATE, id="gate_1", happened=NOON, projects=("checkout",))
    [told] = bench.decide_finding(notice).notifications
    assert (told.key.partition(":")[0], told.not_before) == ("notice", NOON + HOUR_SECONDS)


def test_what_was_summed_up_long_ago_is_forgotten_once_there_is_much_of_it() -> None:
    bench = RuleBench(make_subscription("group:case quiet:11:00-13:00,UTC"))
    old = json.dumps({"key": "catchup:1:C1", "at": 1.0, "until": NOON - ENTRY_RETENTION_SECONDS - 1})
    bench.memory = bench.memory.with_changes(
        {catch_up_hash("C1"): {f"case:{number}:failed:C1": old for number in range(64)}}
    )
    bench.process_findings(failed_finding("1", NOON, "a"))
    assert len(bench.memory.hashes[catch_up_hash("C1")]) == 1


def test_what_recovers_before_it_is_posted_tells_nothing_in_a_thread() -> None:
    bench = RuleBench(make_subscription("group:case quiet:11:00-13:00,UTC"))
    bench.process_findings(failed_finding("1", NOON, "a"))
    fresh = bench.process_findings(passed_finding("2", NOON + 60, "a"))
    assert fresh == []


@pytest.mark.parametrize("is_muted", [False, True])
def test_an_entry_of_an_earlier_version_waits_as_long_as_its_mute_does(is_muted: bool) -> None:
    bench = muted(RuleBench(make_subscription("group:case")), mute())
    bench.process_findings(failed_finding("1", NOON, "a"))
    [alert] = bench.notifications_of(NotificationKind.ROOT)[1:]
    entry = {"key": "catchup:m1:C1", "at": NOON, "until": NOON + HOUR_SECONDS, "mutes": ["m1"], "unposted": True}
    ended = {} if is_muted else {MUTES: {"m1": None}}  # without another ``until``
    bench.memory = bench.memory.with_changes({catch_up_hash("C1"): {alert.key: json.dumps(entry)}, **ended})
    bench.process_findings(passed_finding("2", NOON + 60, "a"))
    assert len(bench.recovery_replies()) == (0 if is_muted else 1)


def test_an_entry_of_an_earlier_version_has_its_due_time_once_a_mute_is_changed() -> None:
    entry = {"key": "catchup:m1:C1", "at": NOON, "until": NOON + HOUR_SECONDS, "mutes": ["m1"], "unposted": True}
    stored = {"case:a": json.dumps(entry), "case:b": json.dumps(entry | {"key": "catchup:m2:C1"})}
    for due in (NOON + HOUR_SECONDS, NOON + 2 * HOUR_SECONDS):
        [(root, changed)] = reschedule_entries(stored, {"case:a": due}).items()
        read = parse_entry(changed)
        assert read is not None
        assert root == "case:a"
        assert read.is_waiting(DecisionBuilder(RuleState(), due - 1)), "though there is no mute now"
        assert not read.is_waiting(DecisionBuilder(RuleState(), due))


@pytest.mark.parametrize("times", [1, 3])
async def test_a_turn_decides_anew_where_a_mute_has_changed(times: int) -> None:
    async with poller_bench() as built:
        refused = iter(range(times))

        def decide(findings: Iterable[RunFinding | PlatformEvent], *rest: Any, **settings: Any) -> PlainDecision:
            decided = built.rules(findings, *rest, **settings)
            changed = bool(decided.notifications) and next(refused, None) is not None
            return PlainDecision(decided.notifications, expected={MUTES: {"m1": "as it was"}} if changed else {})

        built.poller = built.start_poller(decide)
        run = built.finish_run(ago=60)
        await built.poll_until_settled()
        assert f"run:{run['id']}:failed:C0QA" in await built.committed_keys()
        assert next(refused, None) is None
