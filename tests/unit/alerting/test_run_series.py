"""Runs of one schedule whose titles differ in a number: a failed one without known cases recovers by the next."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rules import NOON, RuleBench, make_finding, make_subscription
from zofbot.domain.model import Outcome, utc_datetime
from zofbot.subscriptions import RunFinding


def passed(name: str, at: float, started: float = NOON + 10, **fields: Any) -> RunFinding:
    return make_finding(name, at, outcome=Outcome.PASSED, started=utc_datetime(started), **fields)


SERIES: tuple[dict[str, Any], ...] = (
    {"title": "Nightly #4141", "schedule_id": "sch_1"},
    {"title": "Nightly #4142", "schedule_id": "sch_1"},
)
DATES = {"title": "Smoke 2026-06-01", "schedule_id": "sch_1"}, {"title": "smoke 2026-06-02", "schedule_id": "sch_1"}
OTHERS = {
    "no schedule": ({"title": "shard 1"}, {"title": "shard 2"}),
    "one without a schedule": ({"title": "Nightly #4141", "schedule_id": "sch_1"}, {"title": "Nightly #4142"}),
    "another schedule": (SERIES[0], SERIES[1] | {"schedule_id": "sch_2"}),
    "another title": (SERIES[0], SERIES[1] | {"title": "Weekly #4142"}),
}


@pytest.mark.parametrize(("failed", "next_one"), [SERIES, DATES])
@pytest.mark.parametrize("passed_first", [False, True])
def test_a_run_recovers_by_the_next_of_its_schedule(
    failed: dict[str, Any], next_one: dict[str, Any], passed_first: bool
) -> None:
    house = RuleBench(make_subscription())
    findings = [make_finding("1", NOON, **failed), passed("2", NOON + 60, **next_one)]
    house.process_findings(*(reversed(findings) if passed_first else findings), now=NOON + 90)
    assert len(house.recovery_replies()) == 1


@pytest.mark.parametrize(("failed", "other"), OTHERS.values(), ids=OTHERS)
def test_a_run_does_not_recover_by_one_of_another_series(failed: dict[str, Any], other: dict[str, Any]) -> None:
    house = RuleBench(make_subscription())
    house.process_findings(make_finding("1", NOON, **failed), passed("2", NOON + 60, **other))
    assert not house.recovery_replies()


SHARDS: tuple[dict[str, Any], ...] = (
    {"title": "shard 1", "schedule_id": "sch_1"},
    {"title": "shard 2", "schedule_id": "sch_1"},
)


@pytest.mark.parametrize("passed_first", [False, True])
def test_a_shard_of_a_schedule_does_not_recover_by_another(passed_first: bool) -> None:
    house = RuleBench(make_subscription())
    findings = [make_finding("1", NOON, **SHARDS[0]), passed("2", NOON + 60, **SHARDS[1])]
    house.process_findings(*(reversed(findings) if passed_first else findings), now=NOON + 90)
    assert not house.recovery_replies()
    house.process_findings(passed("3", NOON + 120, **SHARDS[0]))
    assert len(house.recovery_replies()) == 1


def test_a_shard_of_a_schedule_that_fails_after_another_recovered_has_its_own_message() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(make_finding("1", NOON, **SHARDS[0]), passed("2", NOON + 60, **SHARDS[0]))
    house.process_findings(make_finding("3", NOON + 120, **SHARDS[1]))
    assert {"run:run_1:failed:C1", "run:run_3:failed:C1"} <= {*house.root_keys()}


@pytest.mark.parametrize("passed_first", [False, True])
def test_a_run_that_ran_beside_the_failed_one_is_not_the_next_one(passed_first: bool) -> None:
    house = RuleBench(make_subscription())
    findings = [make_finding("1", NOON, **SERIES[0]), passed("2", NOON + 60, NOON - 60, **SERIES[1])]
    house.process_findings(*(reversed(findings) if passed_first else findings), now=NOON + 90)
    assert not house.recovery_replies()


def test_a_relapse_of_the_schedule_continues_the_thread() -> None:
    house = RuleBench(make_subscription())
    house.process_findings(make_finding("1", NOON, **SERIES[0]), passed("2", NOON + 60, **SERIES[1]))
    house.process_findings(make_finding("3", NOON + 120, title="Nightly #4143", schedule_id="sch_1"))
    assert [key for key in house.root_keys() if key.startswith("run:")] == ["run:run_1:failed:C1"]
