"""The alert of a run of which more is read later, after it has failed again in another run."""

from __future__ import annotations

import pytest

from tests.support.rules import (
    NOON,
    RuleBench,
    failed_finding,
    make_subscription,
    passed_finding,
)
from zofbot.notifications.alert_payloads import AlertStatus, RunAlertPayload

ROOT = "run:run_1:failed:C1"


def shown(bench: RuleBench) -> RunAlertPayload:
    body = bench.latest_body(ROOT)
    assert isinstance(body, RunAlertPayload)
    return body


@pytest.fixture
def bench() -> RuleBench:
    """Rules after the first run's failure came back in the third."""
    made = RuleBench(make_subscription("escalate:15m-><@U1>"))
    made.process_findings(
        failed_finding("1", NOON, "a"), passed_finding("2", NOON + 60, "a"), failed_finding("3", NOON + 120, "a")
    )
    return made


def test_late_results_of_the_first_run_leave_the_message_about_the_latest(bench: RuleBench) -> None:
    before = shown(bench)
    assert (before.run.id, before.standing, before.turned, before.turner) == ("run_3", "again", NOON + 120, "run_3")
    bench.process_findings(failed_finding("1", NOON, "a", "b"), now=NOON + 180)
    assert shown(bench) == before
    assert "result:res_1_b:failed:C1" in bench.notifications, "its thread has them"
    bench.process_findings(passed_finding("4", NOON + 240, "a"))
    assert shown(bench).standing is AlertStatus.AGAIN, "the other case has not passed"
    bench.process_findings(passed_finding("5", NOON + 300, "b"))
    assert shown(bench).standing is AlertStatus.RECOVERED


def test_more_results_of_the_run_in_which_it_failed_again_leave_it_failing_again(bench: RuleBench) -> None:
    bench.process_findings(failed_finding("3", NOON + 120, "a", "b"), now=NOON + 180)
    body = shown(bench)
    assert (body.bad, body.standing, body.turned, body.turner) == (2, "again", NOON + 120, "run_3")


def test_a_run_that_ended_before_its_latest_result_shows_what_was_read_since() -> None:
    bench = RuleBench(make_subscription())
    bench.process_findings(failed_finding("1", NOON + 60, "a"), failed_finding("1", NOON, "a", "b"), now=NOON + 90)
    assert (shown(bench).bad, shown(bench).standing) == (2, "open")


def test_more_results_of_the_run_in_which_it_failed_again_have_to_pass_though_the_first_had_them_too() -> None:
    bench = RuleBench(make_subscription())
    bench.process_findings(failed_finding("1", NOON, "a", "b"), passed_finding("2", NOON + 60, "a", "b"))
    bench.process_findings(failed_finding("3", NOON + 120, "a"), failed_finding("3", NOON + 120, "a", "b"))
    bench.process_findings(passed_finding("4", NOON + 180, "a"))
    assert shown(bench).standing is AlertStatus.AGAIN
    bench.process_findings(passed_finding("5", NOON + 240, "b"))
    assert shown(bench).standing is AlertStatus.RECOVERED
