"""Failures that come back, by the rules alone: once, again and again, and after a person resolved them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rules import HOUR, NOON, RuleBench, failed, passed, run, sub
from zofbot.notification import Kind
from zofbot.pipeline.memory import passed_in, scope
from zofbot.pipeline.roots import Root
from zofbot.slack import bodies
from zofbot.triage import Act, State, Triage, Who

MINUTE = 60.0
BEN = Who(id="U0BEN", name="ben")
FIRST = {"run": "run:run_0:failed:C1", "case": "case:res_0_a:failed:C1"}


def turns(house: RuleBench, *minutes: float) -> None:
    """Have the case fail at once, then pass and fail in turn, each so many minutes after the one before."""
    at = NOON
    for number, pause in enumerate((0.0, *minutes)):
        at += pause * MINUTE
        house.hear((passed if number % 2 else failed)(str(number), at, "a"))


def record(house: RuleBench, key: str, **fields: Any) -> None:
    """Keep what a person did about a failure."""
    house.memory = house.memory.changed({"triage:C1": {key: Triage(**fields).model_dump_json(exclude_defaults=True)}})


def resolve(house: RuleBench, key: str, at: float, *, turn: int = 0) -> None:
    record(house, key, rev=1, turn=turn, state=State.RESOLVED, since=at, opened=NOON, by=BEN, mover=BEN,
           did=Act.RESOLVE, at=at, reason="product", note="fixed in 1.2")  # fmt: skip


def broadcasts(house: RuleBench) -> list[str]:
    return [one.key.partition(":")[0] for one in house.of(Kind.REPLY) if one.body.get("broadcast")]


def lines(house: RuleBench) -> list[bodies.FlappingBody]:
    """The lines that say that something flaps, each with its last edit made."""
    names = [one.key for one in house.of(Kind.REPLY) if one.key.startswith("flapping:")]
    latest = [house.told.get(name.replace("flapping:", "flapping-edit:"), house.told[name]) for name in names]
    return [bodies.FlappingBody.model_validate(one.body) for one in latest]


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
    house = RuleBench(sub(f"group:{group}"))
    turns(house, *minutes)
    assert broadcasts(house) == heard
    assert [line.times for line in lines(house)] == times
    assert [one.key for one in house.of(Kind.ROOT)] == [FIRST[group]]


def test_what_flaps_has_no_replies_but_its_line() -> None:
    house = RuleBench(sub("group:case"))
    turns(house, 5, 5, 5, 5)
    before = [one.key for one in house.of(Kind.REPLY)]
    for number, at in enumerate((25, 30, 35, 40, 45)):
        house.hear((failed if number % 2 else passed)(f"more{number}", NOON + at * MINUTE, "a"))
    assert [one.key for one in house.of(Kind.REPLY)] == before
    assert house.shown(FIRST["case"]).standing is bodies.Standing.RECOVERED


def test_a_recovery_that_lasts_beyond_the_calm_is_told() -> None:
    house = RuleBench(sub("group:case"))
    turns(house, 5, 5, 5, 5, 70)
    assert [one.body["after"] for one in house.of(Kind.REPLY) if one.key.startswith("recovered")] == [300, 300, 4200]


def test_escalation_waits_until_what_flaps_has_calmed_down() -> None:
    house = RuleBench(sub("group:case escalate:15m-><@U1>,45m-><@U2>"))
    turns(house, 5, 5)
    relapsed = NOON + 10 * MINUTE
    assert {one.not_before - relapsed for one in house.told.values() if f":{relapsed * 1000:.0f}:" in one.key} == {
        900.0,
        2700.0,
    }
    turns_on = NOON + 20 * MINUTE
    house.hear(passed("p", NOON + 15 * MINUTE, "a"), failed("f", turns_on, "a"))
    promised = {one.not_before - turns_on for one in house.told.values() if f":{turns_on * 1000:.0f}:" in one.key}
    assert promised == {HOUR, HOUR + 1800.0}


@pytest.mark.parametrize("group", ["run", "case"])
def test_only_what_fails_after_it_was_resolved_is_a_fresh_message(group: str) -> None:
    house = RuleBench(sub(f"group:{group} mention:<@U1>"))
    house.hear(failed("0", NOON, "a"))
    resolve(house, FIRST[group], NOON + 600)
    house.hear(failed("early", NOON + 599, "a"), now=NOON + 900)
    early = [one.key for one in house.of(Kind.ROOT)][1:]
    assert [house.shown(key).resolved for key in early] == ([None] if group == "run" else [])
    for key in early:
        resolve(house, key, NOON + 600)
    house.hear(failed("late", NOON + 900, "a"))
    fresh = house.of(Kind.ROOT)[-1]
    assert "late" in fresh.key
    body = house.shown(fresh.key)
    assert body.resolved == bodies.Resolution(at=NOON + 600, by="ben", reason="product", note="fixed in 1.2")
    assert body.mention == ("U1",)


@pytest.mark.parametrize("group", ["run", "case"])
def test_that_it_was_resolved_is_known_for_two_weeks_also_when_it_passed_since(group: str) -> None:
    for days, known in ((13, True), (15, False)):
        house = RuleBench(sub(f"group:{group}"))
        house.hear(failed("0", NOON, "a"))
        resolve(house, FIRST[group], NOON + 60)
        house.hear(passed("1", NOON + 120, "a"), passed("2", NOON + 24 * HOUR, "b"))
        house.hear(failed("3", NOON + days * 24 * HOUR, "a"))
        assert (house.shown(house.of(Kind.ROOT)[-1].key).resolved is not None) == known


def test_a_run_with_other_failures_was_not_resolved_before() -> None:
    house = RuleBench(sub())
    house.hear(failed("0", NOON, "a"))
    resolve(house, FIRST["run"], NOON + 60)
    house.hear(failed("1", NOON + 120, "b"), failed("2", NOON + 180, "b", "a"), failed("3", NOON + 240, "a"))
    shown = [house.shown(one.key).resolved is not None for one in house.of(Kind.ROOT)]
    assert shown == [False, False, True, False]


def test_what_was_resolved_twice_is_told_twice() -> None:
    house = RuleBench(sub("group:case"))
    house.hear(failed("0", NOON, "a"))
    resolve(house, FIRST["case"], NOON + 60)
    house.hear(failed("1", NOON + 120, "a"))
    resolve(house, "case:res_1_a:failed:C1", NOON + 180)
    house.hear(failed("2", NOON + 240, "a"))
    assert [one.key for one in house.of(Kind.ROOT)][1:] == ["case:res_1_a:failed:C1", "case:res_2_a:failed:C1"]


def test_a_record_of_a_newer_version_counts_as_untouched() -> None:
    house = RuleBench(sub("group:case"))
    house.hear(failed("0", NOON, "a"))
    house.memory = house.memory.changed({"triage:C1": {FIRST["case"]: '{"state": "delegated"}'}})
    house.hear(failed("1", NOON + 120, "a"))
    assert len(house.of(Kind.ROOT)) == 1


@pytest.mark.parametrize(("until", "mentioned"), [(None, 1), (NOON + 900, 1), (NOON + 30, 0)])
def test_a_relapse_mentions_whoever_slept_over_the_recovery(until: float | None, mentioned: int) -> None:
    house = RuleBench(sub("group:case broadcast:never"))
    house.hear(failed("0", NOON, "a"))
    record(house, FIRST["case"], rev=1, state=State.SNOOZED, since=NOON + 10, opened=NOON, by=BEN, mover=BEN,
           did=Act.SNOOZE, at=NOON + 10, until=until)  # fmt: skip
    house.hear(passed("1", NOON + 60, "a"), failed("2", NOON + 120, "a"))
    house.hear(passed("3", NOON + 3000, "a"), failed("4", NOON + 3800, "a"))
    assert [one.body["mention"] for one in house.of(Kind.REPLY) if "mention" in one.body] == [["U0BEN"]] * mentioned


@pytest.mark.parametrize(("title", "heals"), [("Nightly", True), ("", False)])
def test_a_passing_run_that_an_earlier_version_kept_counts_as_whole_where_it_has_a_title(
    title: str, heals: bool
) -> None:
    house, failure = RuleBench(sub()), run("0", NOON)
    kept = f'{{"at": {NOON + 60}, "title": "{title}", "cases": []}}'
    house.memory = house.memory.changed({passed_in(scope(failure)): {"run_old": kept}})
    house.hear(failure, now=NOON + 90)
    assert (house.shown("run:run_0:failed:C1").standing is bodies.Standing.RECOVERED) == heals


def test_a_run_without_title_recovers_by_any_whole_run_and_one_with_a_title_only_by_its_own() -> None:
    house = RuleBench(sub())
    house.hear(run("0", NOON, title=""), run("1", NOON, title="Smoke"), passed("2", NOON + 60, title=""))
    assert house.shown("run:run_0:failed:C1").standing is bodies.Standing.RECOVERED
    assert house.shown("run:run_1:failed:C1").standing is bodies.Standing.OPEN


@settings(max_examples=30)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=8))
def test_single_turns_are_told_unless_two_relapses_were_within_an_hour(minutes: list[int]) -> None:
    root = Root(key="case:1:failed:C1", group="case", id="1", category="failed", first=0, last=0, body={})  # type: ignore[arg-type]
    times = list(itertools.accumulate(minutes))
    for before, at in itertools.pairwise([-1000, *times]):
        root = root.relapse(at * MINUTE)
        assert root.flapping(at * MINUTE) == (at - before <= 60)
        assert not root.flapping(at * MINUTE + HOUR + 1)
        assert root.recovered is None
