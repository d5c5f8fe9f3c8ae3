"""Whether a failure of a known cause counts in a storm of that cause, or needs a message of its own."""

from __future__ import annotations

import pytest

from tests.support.rules import HOUR_SECONDS, NOON, RuleBench, make_finding, make_result, make_subscription
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.subscriptions import RunFinding

TEXT = "ConnectionError: connect ECONNREFUSED db"
CALLS = "mention:<@U1> escalate:15m-><@U2>"


def fail(name: str, at: float, text: str = TEXT, *, environment: str = "staging") -> RunFinding:
    return make_finding(name, at, make_result(name, failure=text), environment=environment)


def storm_bench(filters: str) -> RuleBench:
    """Return the rules after a cause has failed so often in staging that it is a storm; others hear by ``filters``."""
    bench = RuleBench(make_subscription("env:staging"), make_subscription(f"env:production,qa {filters}", number=2))
    bench.process_findings(*(fail(f"s{number}", NOON + number) for number in range(25)))
    return bench


def messages_of_causes(bench: RuleBench) -> list[Notification]:
    return [note for note in bench.notifications_of(NotificationKind.ROOT) if note.body.get("by_cause")]


@pytest.mark.parametrize(
    ("filters", "environment"), [(CALLS, "production"), ("", "production"), (CALLS, "qa"), ("mention:<@U1>", "qa")]
)
def test_a_storm_takes_in_no_failure_that_is_critical_or_mentions_or_escalates_to_others(
    filters: str, environment: str
) -> None:
    bench = storm_bench(f"group:cause {filters}")
    bench.process_findings(fail("p", NOON + 2 * HOUR_SECONDS, environment=environment))
    [own] = messages_of_causes(bench)
    assert (own.key, own.body.get("mention", [])) == ("storm:res_p:failed:C1", ["U1"] if filters else [])
    replies = [note for note in bench.notifications_of(NotificationKind.REPLY) if note.root == own.key]
    escalated = [note.not_before - NOON for note in replies if note.body.get("sort") == "escalate"]
    assert escalated == ([2 * HOUR_SECONDS + 900] if "escalate" in filters else [])
    bench.process_findings(fail("p2", NOON + 3 * HOUR_SECONDS, environment=environment))
    assert messages_of_causes(bench) == [own], "it goes on there"


def test_a_storm_takes_in_failures_of_its_sort() -> None:
    bench = storm_bench("group:cause")
    bench.process_findings(fail("q", NOON + 2 * HOUR_SECONDS, environment="qa"))
    assert messages_of_causes(bench) == []


def test_a_cause_goes_on_in_the_storm_of_its_sort_though_a_storm_of_another_is_of_that_cause_alone() -> None:
    bench = storm_bench(f"group:cause {CALLS}")
    texts = [TEXT, *(f"KeyError: '{letter * 5}'" for letter in "abcdefghijklmnopqrstuvwxyz")]
    results = [make_result(f"q{number}", failure=text) for number, text in enumerate(texts)]
    bench.process_findings(make_finding("q", NOON + HOUR_SECONDS, *results, environment="qa"))
    roots = bench.notifications_of(NotificationKind.ROOT)
    bench.process_findings(fail("again", NOON + 2 * HOUR_SECONDS, environment="qa"))
    assert bench.notifications_of(NotificationKind.ROOT) == roots
