"""Subscriptions: typed, spelled back, held against findings, and silent in quiet hours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import PATTERNS, QUIET_HOURS, SUBSCRIPTIONS
from zofbot.domain.errors import BadInput
from zofbot.domain.model import CaseCounts, Outcome, Result, Run
from zofbot.domain.text import read_input
from zofbot.subscriptions import (
    Broadcast,
    EventType,
    Grouping,
    Layout,
    PlatformEvent,
    QuietHours,
    RunFinding,
    Subscription,
    Threshold,
    format_filters,
    is_quiet,
    match_subscription,
    parse_filters,
    quiet_until,
)
from zofbot.subscriptions.patterns import matches_patterns


@given(SUBSCRIPTIONS)
def test_what_is_spelled_is_understood_as_the_same(subscription: Subscription) -> None:
    assert parse_filters(format_filters(subscription)) == subscription


@pytest.mark.parametrize("pattern", ["R&amp;D", "&&lt;", 'a"b', "a\\b", "a, b", "“x„", "-a b", "a:b", "\n"])
def test_odd_patterns_are_understood_as_they_are_spelled(pattern: str) -> None:
    wanted = Subscription(case=(f"x{pattern}", "y"))
    assert parse_filters(format_filters(wanted)) == wanted
    assert matches_patterns(wanted.case, [f"x{pattern}"])


@given(SUBSCRIPTIONS)
def test_a_subscription_survives_its_record(subscription: Subscription) -> None:
    named = subscription.model_copy(update={"id": "sub_1", "channel": "C1", "by": "U1", "created": 12.5})
    assert Subscription.model_validate_json(named.model_dump_json(by_alias=True)) == named


def test_a_record_of_a_later_version_loses_only_what_is_new() -> None:
    assert Subscription.model_validate({"channel": "C1", "schema": 1, "colour": "red"}).channel == "C1"


@given(st.text(max_size=80))
def test_whatever_is_typed_is_understood_or_refused_with_an_example_that_works(text: str) -> None:
    refused = None
    try:
        parse_filters(text)
    except BadInput as error:
        refused = error
    if refused:
        assert refused.example.startswith("/zof subscribe ")
        assert refused.next_step
        assert refused.verb == "subscribe"


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("", {}),
        ("project:checkout env:production", {"project": ("checkout",), "env": ("production",)}),
        ("PROJECT:checkout,-legacy* environment:prod", {"project": ("checkout", "-legacy*"), "env": ("prod",)}),
        ("project:a project:b", {"project": ("a", "b")}),
        ('case:"cart total*",login', {"case": ("cart total*", "login")}),
        ("case:“cart total*”", {"case": ("cart total*",)}),
        ('case:-"cart total"', {"case": ("-cart total",)}),
        ("project:R&amp;D", {"project": ("R&D",)}),
        ("on:error,Recovered group:case layout:flat", {
            "on": (EventType.ERROR, EventType.RECOVERED), "group": Grouping.CASE, "layout": Layout.FLAT}),
        ("broadcast:worse after:3/1h", {
            "broadcast": (Broadcast.RELAPSE, Broadcast.WORSE), "after": Threshold(count=3, window=3600)}),
        ("after:3/h", {"after": Threshold(count=3, window=3600)}),
        ("mention:<@U123|ana>,<!subteam^S9|@shop>", {"mention": ("U123", "S9")}),
        ("quiet:22:00-07:00", {"quiet": QuietHours(start=1320, end=420, zone="Asia/Tokyo")}),
        (
            "quiet:22-7,critical,Europe/Berlin",
            {"quiet": QuietHours(start=1320, end=420, critical=True, zone="Europe/Berlin")},
        ),
    ],
)  # fmt: skip
def test_filters_are_understood(typed: str, understood: dict[str, Any]) -> None:
    assert parse_filters(read_input(typed), zone="Asia/Tokyo") == Subscription(**understood)


@pytest.mark.parametrize(
    ("typed", "says", "example"),
    [
        ("projct:checkout", "Did you mean `project:`?", "project:checkout"),
        ("colour:red", "Filters are `project:`", "project:checkout"),
        ("checkout", "Did you mean `project:checkout`?", "project:checkout"),
        ("project: checkout", "Put one right after the colon", "project:checkout"),
        ('case:"cart', "A quote isn't closed", 'case:"cart total*"'),
        ('case:""', "is empty", 'case:"cart total*"'),
        ("env:-", "is empty", "env:production,-staging"),
        ("env:" + "x" * 201, "longer than 200", "env:production,-staging"),
        ("env:" + ",".join("abcdefghijklmnopqrstu"), "more than 20 values", "env:production,-staging"),
        ("on:faild", "Did you mean `on:failed`?", "on:failed"),
        ("on:zzz", "Use one of `failed` or", "on:failed,error,recovered"),
        ("group:cases", "Did you mean `group:case`?", "group:case"),
        ("group:run,case", "takes one value", "group:case"),
        ("after:1/1h", "2 to 100", "after:3/1h"),
        ("after:3/8d", "at most `7d`", "after:3/1h"),
        ("after:often", "needs a count and a time", "after:3/1h"),
        ("mention:@ana", "pick the person", "mention:@ana"),
        ("mention:@sphere", "pick the person", "mention:@ana"),
        ("mention:<!channel>", "can't mention a whole channel", "mention:@ana"),
        ("mention:@here", "can't mention a whole channel", "mention:@ana"),
        ("quiet:22:00", "isn't a time range", "quiet:22:00-07:00,critical"),
        ("quiet:25:00-07:00", "isn't a time range", "quiet:22:00-07:00,critical"),
        ("quiet:22:70-07:00", "isn't a time range", "quiet:22:00-07:00,critical"),
        ("quiet:07:00-07:00", "isn't a time range", "quiet:22:00-07:00,critical"),
        ("quiet:22:00-07:00,Mars/Base", "Unknown time zone", "quiet:22:00-07:00,critical"),
        ("quiet:22:00-07:00,Europe", "Unknown time zone", "quiet:22:00-07:00,critical"),
        ("escalate:15m", "needs a time and a person or group", "escalate:15m->@oncall,45m->@leads"),
        ("escalate:<@U1AA>", "needs a time and a person or group", "escalate:15m->@oncall,45m->@leads"),
        ("escalate:8d-><@U1AA>", "needs a time and a person or group", "escalate:15m->@oncall,45m->@leads"),
        (
            "escalate:" + ",".join(f"{n}m-><@U1AA>" for n in range(1, 7)),
            "more than 5 steps",
            "escalate:15m->@oncall,45m->@leads",
        ),
        ("escalate:5m->@ana", "zofbot doesn't know `@ana`", "mention:@ana"),
        ("reack:10s", "isn't a duration", "reack:4h"),
        ("reack:31d", "isn't a duration", "reack:4h"),
    ],
)
def test_a_mistake_is_named_and_gets_an_example(typed: str, says: str, example: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_filters(typed)
    assert says in f"{caught.value.sentence} {caught.value.next_step}"
    assert caught.value.example == f"/zof subscribe {example}"


def test_every_example_but_a_name_works_as_it_stands() -> None:
    for typed in (
        "project:checkout",
        "env:production,-staging",
        'case:"cart total*"',
        "quiet:22:00-07:00,critical,UTC",
    ):
        assert format_filters(parse_filters(typed)) == typed


def make_result(number: int = 1, outcome: Outcome = Outcome.FAILED, **more: Any) -> Result:
    return Result(id=f"res_{number}", outcome=outcome, **{"title": "Cart total", "case_id": "tc_1"} | more)


def make_finding(
    *results: Result, outcome: Outcome = Outcome.FAILED, happened: float = 1000.0, **more: Any
) -> RunFinding:
    place = {"project_id": "proj_1", "project_name": "Checkout", "environment": "staging"}
    return RunFinding.from_results(Run(id="run_1", outcome=outcome, **place | more), results, otherwise=happened)


@pytest.mark.parametrize(
    ("filters", "field", "why"),
    [
        ("", "", ""),
        ("project:checkout", "", ""),
        ("project:PROJ_1 env:STAG*", "", ""),
        ("project:shop", "project", "project is proj_1 / Checkout, wanted shop"),
        ("project:-check*", "project", "project is proj_1 / Checkout, wanted not check*"),
        ("env:production", "env", "env is staging, wanted production"),
        ("env:prod,stage,-x", "env", "env is staging, wanted prod or stage, not x"),
        ("case:cart*", "", ""),
        ("case:tc_1", "", ""),
        ("case:login*", "case", "case is Cart total, wanted login*"),
        ("on:error", "on", "its event is failed, wanted error"),
    ],
)
def test_a_verdict_says_which_filter_missed_and_why(filters: str, field: str, why: str) -> None:
    verdict = match_subscription(parse_filters(filters), make_finding(make_result()))
    assert (verdict.matched, verdict.field, verdict.reason_text) == (not field, field, why)


def test_only_the_results_that_are_meant_count() -> None:
    other = make_result(2, Outcome.ERROR, title="Login", case_id="tc_2")
    assert match_subscription(parse_filters("case:log*"), make_finding(make_result(), other)).results == (other,)
    assert match_subscription(parse_filters("on:error"), make_finding(make_result(), other)).results == (other,)
    assert len(match_subscription(parse_filters(""), make_finding(make_result(), other)).results) == 2


def test_a_failed_run_without_known_results_is_meant_itself() -> None:
    assert match_subscription(parse_filters(""), make_finding()).matched
    assert not match_subscription(parse_filters("on:error"), make_finding()).matched
    assert (
        match_subscription(parse_filters("case:cart*"), make_finding()).reason_text == "case is unknown, wanted cart*"
    )
    unread = make_finding(make_result(outcome=Outcome.ERROR), counts=CaseCounts(failed=7))
    assert match_subscription(parse_filters("on:failed"), unread).matched
    assert not match_subscription(parse_filters("on:failed"), make_finding(make_result(outcome=Outcome.ERROR))).matched


def test_a_run_that_passed_by_policy_counts_by_the_case_that_failed() -> None:
    finding = make_finding(make_result(), outcome=Outcome.PASSED)
    assert finding.outcome is Outcome.PASSED
    assert (
        match_subscription(parse_filters(""), finding).reason_text
        == "its event is passed-with-failures, wanted failed, error, recovered"
    )
    assert match_subscription(parse_filters("on:passed-with-failures"), finding).results == finding.failures
    assert match_subscription(parse_filters(""), make_finding(outcome=Outcome.PASSED)).reason_text == "nothing failed"


def test_what_happened_before_a_subscription_was_made_is_not_meant() -> None:
    late = parse_filters("").model_copy(update={"created": 2000.0})
    assert match_subscription(late, make_finding(make_result(), happened=1000.0)).field == "created"
    assert match_subscription(late, make_finding(make_result(), happened=1990.0)).matched, (
        "Zof's clock may be a little behind"
    )


def test_a_notice_goes_to_whom_asked_for_its_kind() -> None:
    notice = PlatformEvent(EventType.AGENT, "agent_1", 1000.0, projects=("checkout",))
    assert match_subscription(parse_filters("on:agent"), notice).matched
    assert match_subscription(parse_filters("on:agent project:check*"), notice).matched
    assert match_subscription(parse_filters("on:agent env:prod"), notice).reason_text == "env is unknown, wanted prod"
    assert (
        match_subscription(parse_filters(""), notice).reason_text
        == "its event is agent, wanted failed, error, recovered"
    )


@given(PATTERNS, st.text(max_size=10))
def test_an_exclusion_never_widens(patterns: tuple[str, ...], name: str) -> None:
    assert matches_patterns((*patterns, "-?*"), [name]) <= matches_patterns(patterns, [name])
    assert matches_patterns((), [name])
    assert not matches_patterns(("*", "-*"), [name])


@pytest.mark.parametrize(
    ("hour", "inside", "until"),
    [(21, False, None), (22, True, 7), (23, True, 7), (0, True, 7), (6, True, 7), (7, False, None), (12, False, None)],
)
def test_quiet_hours_reach_over_midnight(hour: int, inside: bool, until: int | None) -> None:
    berlin = parse_filters("quiet:22:00-07:00,Europe/Berlin")
    at = datetime(2026, 6, 1, hour, 30 if hour in (21, 23) else 0, tzinfo=ZoneInfo("Europe/Berlin"))
    assert is_quiet(berlin, at.timestamp()) is inside
    end = quiet_until(berlin, at.timestamp())
    assert (datetime.fromtimestamp(end, ZoneInfo("Europe/Berlin")).hour if end else None) == until


def test_quiet_hours_within_a_day_and_without_any() -> None:
    noon = datetime(2026, 6, 1, 12, 30, tzinfo=UTC).timestamp()
    assert quiet_until(parse_filters("quiet:12:00-13:00"), noon) == noon + 1800
    assert not is_quiet(parse_filters(""), noon)


def test_critical_passes_only_where_it_was_asked_to() -> None:
    noon = datetime(2026, 6, 1, 12, 30, tzinfo=UTC).timestamp()
    assert quiet_until(parse_filters("quiet:12:00-13:00,critical"), noon, critical=True) == 0
    assert quiet_until(parse_filters("quiet:12:00-13:00,critical"), noon, critical=False) > 0
    assert quiet_until(parse_filters("quiet:12:00-13:00"), noon, critical=True) > 0


@given(QUIET_HOURS, st.integers(1_700_000_000, 1_900_000_000))
def test_quiet_hours_end_in_the_future_and_within_a_day_or_those_that_are_quiet(quiet: QuietHours, at: int) -> None:
    until = quiet_until(Subscription(quiet=quiet), at)
    assert until == 0 or at < until <= at + 25 * 3600 + len(quiet.days) * 86400 + 3600 * 24


def test_quiet_hours_end_in_the_future_while_a_clock_change_repeats_an_hour() -> None:
    second = datetime(2026, 10, 25, 2, 50, tzinfo=ZoneInfo("Europe/Berlin"), fold=1).timestamp()
    assert second < quiet_until(parse_filters("quiet:01:00-02:55,Europe/Berlin"), second) < second + 86400


def test_a_zone_this_machine_does_not_know_counts_as_utc() -> None:
    noon = datetime(2026, 6, 1, 12, 30, tzinfo=UTC).timestamp()
    assert is_quiet(Subscription(quiet=QuietHours(start=720, end=780, zone="Gone/Away")), noon)


def test_a_result_listed_twice_is_one_and_a_case_that_passed_when_tried_again_did_not_fail() -> None:
    again = make_result(2, Outcome.PASSED)
    other = make_result(3, Outcome.PASSED, case_id="tc_9")
    finding = make_finding(make_result(), make_result(), again, other, counts=CaseCounts(failed=1))
    assert (finding.failures, finding.retried) == ((), (make_result(),))
    assert finding.passed == {"tc_1", "tc_9"}
    assert not finding.is_partial


def test_the_order_in_which_results_are_read_makes_no_difference() -> None:
    results = [make_result(n, case_id=f"tc_{n % 3}") for n in range(6)]
    assert make_finding(*results) == make_finding(*reversed(results))


@pytest.mark.parametrize(
    ("outcome", "ended", "over"),
    [
        (Outcome.FAILED, None, True), (Outcome.RUNNING, None, False), (Outcome.QUEUED, None, False),
        (Outcome.UNKNOWN, None, False), (Outcome.UNKNOWN, datetime(2026, 6, 1, tzinfo=UTC), True),
    ],
)  # fmt: skip
def test_a_run_of_an_unknown_word_is_over_when_it_has_an_end(
    outcome: Outcome, ended: datetime | None, over: bool
) -> None:
    assert make_finding(outcome=outcome, ended=ended).has_ended is over
