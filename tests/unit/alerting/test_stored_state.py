"""State of the rules that cannot be read: a decision is made all the same, as for a store without it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from structlog.testing import capture_logs

from tests.support.rules import NOON, RuleBench, failed_finding, make_subscription, passed_finding
from zofbot.alerting.state import RuleState
from zofbot.alerting.stored_state import parse_stored
from zofbot.alerting.storms.storm_lanes import MAX_ALERTS_PER_MINUTE

LATER = (
    failed_finding("0", NOON, "case_0"),
    failed_finding("new", NOON + 300, "case_1", "case_2"),
    failed_finding("newer", NOON + 310, "case_1", "case_2"),
    passed_finding("end", NOON + 400, "case_1", "case_3"),
)


def stored_state(filters: str) -> tuple[RuleBench, Mapping[str, Mapping[str, str]]]:
    """Return rules, and their state after a storm, a recovery and a relapse."""
    bench = RuleBench(make_subscription(filters, mention=("U0ANA",)))
    for number in range(MAX_ALERTS_PER_MINUTE + 2):
        bench.process_findings(failed_finding(f"{number}", NOON + number, f"case_{number}"))
    bench.process_findings(passed_finding("passed", NOON + 100, "case_1"))
    bench.process_findings(failed_finding("again", NOON + 200, "case_1"))
    return bench, bench.memory.hashes


@pytest.mark.parametrize("damaged", ["no JSON", "[]", '{"at": 1}', '[{"key": 1}]', "[" * 9_999], ids=range(5))
@pytest.mark.parametrize(
    "filters", ["", "group:case", "after:2/1h", "group:case after:2-in-a-row", "quiet:11:00-13:00,critical"]
)
def test_a_decision_is_made_though_a_field_cannot_be_read(filters: str, damaged: str) -> None:
    bench, intact = stored_state(filters)
    fields = [(name, field) for name, stored in intact.items() for field in stored]
    samples = {(name.partition(":")[0], field.partition(":")[0]): (name, field) for name, field in fields}
    for name, field in samples.values():
        bench.memory = RuleState({**intact, name: {**intact[name], field: damaged}})
        with capture_logs():
            assert all(bench.decision_reasons(finding, NOON + 400) for finding in LATER)


def test_what_cannot_be_read_is_logged_with_what_to_do() -> None:
    with capture_logs() as logs:
        assert parse_stored("count", "no number", int, 0) == 0
    [line] = logs
    assert (line["event"], line["kind"], line["stored"]) == ("unreadable state", "count", "no number")
    assert line["fix"]
