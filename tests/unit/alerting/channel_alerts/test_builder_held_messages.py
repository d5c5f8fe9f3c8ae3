"""A failure that nothing holds, of which an alert waits for quiet hours or a mute."""

from __future__ import annotations

import pytest

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
from zofbot.alerting.alerts import parse_alerts
from zofbot.alerting.state import MUTES, alerts_hash, failure_hash, scope_key
from zofbot.domain.model import Outcome, Result
from zofbot.notifications.alert_payloads import CaseAlertPayload
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.subscriptions import RunFinding
from zofbot.subscriptions.mute import Mute

QUIET, CALLS = "quiet:11:00-19:00,UTC", "on:error mention:<@U1> escalate:15m-><@U2>"


def error(name: str, at: float, case: str = "a") -> RunFinding:
    return make_finding(name, at, make_result(f"{name}_{case}", Outcome.ERROR, case=case), outcome=Outcome.ERROR)


def quiet_bench(group: str) -> RuleBench:
    """Return rules with a subscription to failures with quiet hours, and one to errors without."""
    return RuleBench(make_subscription(f"group:{group} {QUIET}"), make_subscription(f"group:{group} {CALLS}", number=2))


def posted(bench: RuleBench) -> list[Notification]:
    """Return the messages that wait for nothing."""
    return [note for note in bench.notifications_of(NotificationKind.ROOT) if not note.not_before]


def test_an_error_of_a_case_whose_alert_waits_is_posted_at_once_and_only_once() -> None:
    bench = quiet_bench("case")
    bench.process_findings(failed_finding("1", NOON, "a"), error("2", NOON + 60))
    [own] = posted(bench)
    assert (own.key, own.body["mention"]) == ("case:res_2_a:error:C1", ["U1"])
    body = CaseAlertPayload.model_validate_json(bench.memory.hashes[failure_hash("case:res_1_a:failed:C1")]["body"])
    assert body.is_withdrawn
    bench.process_findings(failed_finding("3", NOON + 120, "a"), error("4", NOON + 180))
    assert posted(bench) == [own], "it goes on there"
    bench.process_findings(passed_finding("5", NOON + 240, "a"))
    assert [reply[3] for reply in bench.recovery_replies()] == ["run_5"]


@pytest.mark.parametrize("group", ["run", "case"])
def test_an_error_after_a_recovery_that_was_never_posted_is_posted_at_once(group: str) -> None:
    bench = quiet_bench(group)
    bench.process_findings(failed_finding("1", NOON, "a"), passed_finding("2", NOON + 60, "a"), error("3", NOON + 120))
    [own] = posted(bench)
    assert own.body["mention"] == ["U1"]
    fields = bench.memory.hashes[alerts_hash("C1", scope_key(error("3", NOON)))]
    before = [alert for alert in parse_alerts(fields).values() if alert.key != own.key]
    assert all(alert.body["unposted"] and alert.recovered for alert in before)


def test_an_error_of_a_case_in_a_storm_that_waits_is_posted_at_once_and_the_storm_recovers_without_it() -> None:
    bench, cases = quiet_bench("case"), [f"c{number:02}" for number in range(25)]
    bench.process_findings(failed_finding("1", NOON, *cases), error("2", NOON + 120, "c03"))
    [own] = posted(bench)
    assert own.key == "case:res_2_c03:error:C1"
    bench.process_findings(passed_finding("3", NOON + 240, *cases))
    storms = [fields["body"] for name, fields in bench.memory.hashes.items() if name.startswith("failure:storm:")]
    assert ['"standing":"recovered"' in storm for storm in storms] == [True]


def test_an_alert_waits_as_before_where_a_failure_that_waits_for_nothing_is_not_for_all_its_subscriptions() -> None:
    quiet = make_subscription(f"group:case on:failed {QUIET} mention:<@U3>")
    bench = RuleBench(quiet, make_subscription("group:case on:error", number=2))
    bench.process_findings(failed_finding("1", NOON, "a"), error("2", NOON + 60))
    [alert] = [note for note in bench.notifications_of(NotificationKind.ROOT) if note.key.startswith("case:")]
    assert (alert.key, alert.body["mention"]) == ("case:res_1_a:failed:C1", ["U3"])
    assert not bench.latest_body(alert.key).is_withdrawn


def test_an_older_run_that_is_read_late_does_not_replace_an_alert_that_waits() -> None:
    bench = quiet_bench("case")
    bench.process_findings(failed_finding("2", NOON + 120, "a"), passed_finding("p", NOON + 60, "a"))
    bench.process_findings(error("1", NOON), now=NOON + 180)
    assert posted(bench) == []
    assert bench.recovery_replies() == set()


def test_a_storm_that_gathers_in_quiet_hours_recovers_without_an_alert_that_another_has_replaced() -> None:
    bench, cases = quiet_bench("case"), [f"c{number:02}" for number in range(25)]
    bench.process_findings(
        failed_finding("1", NOON, "a"), error("2", NOON + 60), failed_finding("3", NOON + 90, *cases)
    )
    bench.process_findings(passed_finding("4", NOON + 240, "a", *cases))
    [storm] = [fields["body"] for name, fields in bench.memory.hashes.items() if name.startswith("failure:storm:")]
    assert '"standing":"recovered"' in storm


def in_browser(name: str, browser: str) -> Result:
    return Result(id=f"res_{name}", outcome=Outcome.FAILED, case_id="tc_login", title=f"login[{browser}]")


def test_a_mute_of_one_title_of_a_case_does_not_hide_another() -> None:
    bench = RuleBench(make_subscription("group:case"))
    mute = Mute(id="m", channel="C1", until=NOON + 240 * HOUR_SECONDS, case=("login[chrome]",), created=NOON)
    bench.memory = bench.memory.with_changes({MUTES: {"m": mute.model_dump_json()}})
    bench.process_findings(make_finding("1", NOON, in_browser("1", "chrome")))
    bench.process_findings(make_finding("2", NOON + 600, in_browser("2", "firefox")))
    assert [note.key for note in posted(bench)] == ["case:res_2:failed:C1"]


def test_an_alert_goes_on_while_further_failures_wait_as_it_does_or_after_it_was_posted() -> None:
    bench = quiet_bench("case")
    bench.process_findings(failed_finding("1", NOON, "a"), failed_finding("2", NOON + 60, "a"))
    bench.process_findings(failed_finding("3", NOON + 8 * HOUR_SECONDS, "a"), error("4", NOON + 9 * HOUR_SECONDS))
    roots = [note.key for note in bench.notifications_of(NotificationKind.ROOT) if note.key.startswith("case:")]
    assert roots == ["case:res_1_a:failed:C1"]
