"""A run that passed when it was first read, and failed when it was read again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rules import NOON, RuleBench, make_finding, make_result, make_subscription
from zofbot.alerting.passes import known_passes
from zofbot.alerting.state import DecisionBuilder, scope_key
from zofbot.domain.model import Outcome
from zofbot.notifications import payloads
from zofbot.notifications.alert_payloads import AlertStatus
from zofbot.notifications.notification import NotificationKind
from zofbot.subscriptions import RunFinding

TEXT = "TimeoutError: page.click: Timeout 30000ms exceeded"
GROUPS = pytest.mark.parametrize("group", ["run", "case", "cause"])


def run(name: str, at: float, cases: str, **more: Any) -> RunFinding:
    """Return a run in which the cases in capitals passed, and the others failed."""
    results = [
        make_result(f"{name}_{case}", Outcome.PASSED, case=case.lower())
        if case.isupper()
        else make_result(f"{name}_{case}", case=case, failure=TEXT)
        for case in cases.split()
    ]
    return make_finding(name, at, *results, outcome=Outcome.PASSED if cases.isupper() else Outcome.FAILED, **more)


def standing(bench: RuleBench) -> AlertStatus:
    """Return the status of the only message in the channel."""
    [root] = bench.notifications_of(NotificationKind.ROOT)
    body = payloads.load_payload_json(bench.memory.hashes[f"failure:{root.key}"]["body"])
    assert isinstance(body, payloads.FailurePayload)
    return body.standing


def heard(bench: RuleBench) -> list[str]:
    """Return what the replies that the channel also sees are."""
    replies = [note for note in bench.notifications_of(NotificationKind.REPLY) if note.body.get("broadcast")]
    return [note.key.partition(":")[0] for note in replies]


@GROUPS
@pytest.mark.parametrize("moved", [0, -1, 1], ids=["at the same time", "earlier", "later"])
def test_a_run_that_is_read_as_failed_after_it_had_passed_is_a_relapse(group: str, moved: float) -> None:
    bench = RuleBench(make_subscription(f"group:{group} escalate:15m-><@U1>"))
    bench.process_findings(run("1", NOON, "a"), run("2", NOON + 60, "A"))
    assert standing(bench) is AlertStatus.RECOVERED
    before = set(bench.notifications)
    bench.process_findings(run("2", NOON + 60 + moved, "a"), now=NOON + 90)
    assert standing(bench) is AlertStatus.AGAIN
    assert heard(bench) == ["again" if group == "cause" else "result"]
    assert [key for key in bench.notifications if key.startswith("escalate:") and key not in before]
    bench.process_findings(run("2", NOON + 60 + moved, "a"), now=NOON + 90)
    assert len(heard(bench)) == 1
    bench.process_findings(run("3", NOON + 120, "A"))
    assert standing(bench) is AlertStatus.RECOVERED


@GROUPS
def test_it_recovers_by_a_later_run_that_passed(group: str) -> None:
    bench = RuleBench(make_subscription(f"group:{group}"))
    bench.process_findings(run("1", NOON, "a"), run("2", NOON + 60, "A"), run("3", NOON + 120, "A"))
    bench.process_findings(run("2", NOON + 60, "a"), now=NOON + 150)
    assert standing(bench) is AlertStatus.RECOVERED
    assert ("recovered", "run_3") in {(key.partition(":")[0], by) for key, _, _, by in bench.recovery_replies()}


def test_an_alert_does_not_recover_by_what_passed_in_such_a_run() -> None:
    bench = RuleBench(make_subscription("case:a,b"))
    bench.process_findings(run("1", NOON, "a b"), run("2", NOON + 60, "A c"), run("2", NOON + 60, "a c"))
    bench.process_findings(run("3", NOON + 120, "B c"))
    assert bench.recovery_replies() == set()


@pytest.mark.parametrize("first", ["A", "A B"])
def test_what_such_a_run_passed_is_not_remembered(first: str) -> None:
    bench = RuleBench(make_subscription())
    failed = run("2", NOON + 60, "a" if first == "A" else "a B")
    bench.process_findings(run("2", NOON + 60, first), failed)
    known = known_passes(DecisionBuilder(bench.memory, NOON + 60), scope_key(failed))
    assert [(each.cases, each.whole) for each in known] == ([] if first == "A" else [(frozenset("b"), False)])
    bench.process_findings(run("1", NOON, "a"), now=NOON + 90)
    assert bench.recovery_replies() == set()
