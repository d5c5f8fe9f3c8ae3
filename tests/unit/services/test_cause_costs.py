"""What causes cost a channel: failures, and how long their alerts were open in the period."""

from __future__ import annotations

from typing import Any

import pytest

from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.payload_parts import CaseSummary, CauseSummary, RunSummary
from zofbot.services.cause_costs import compute_costs, find_cost
from zofbot.services.failures import Failure
from zofbot.triage import TriageRecord, TriageState

NOW = 1_800_000_000.0
HOUR = 3600.0
DNS, CART = "s1-00000000000000aa", "s1-00000000000000bb"


def example(signature: str) -> CaseSummary:
    return CaseSummary(id="res_1", title="a", why=f"text of {signature}", signature=signature)


def make_failure(number: int, body: Any, state: TriageState = TriageState.OPEN, since: float = NOW) -> Failure:
    return Failure(f"case:res_{number}:failed:C1", "C1", body, TriageRecord(state=state, since=since))


def case_alert(signature: str, opened: float, count: int = 1, project: str = "checkout") -> CaseAlertPayload:
    run = RunSummary(id="run_1", project=project, project_id=f"proj_{project}")
    return CaseAlertPayload(run=run, case=example(signature), first=opened, last=opened, opened=opened, count=count)


def run_alert(opened: float, **counts: int) -> RunAlertPayload:
    causes = tuple(CauseSummary(signature=DNS if name == "dns" else CART, count=count, example=example(DNS))
                   for name, count in counts.items())  # fmt: skip
    return RunAlertPayload(run=RunSummary(id="run_1", project="search"), causes=causes, opened=opened, last=opened)


def test_causes_are_added_up_over_alerts_and_those_with_most_failures_come_first() -> None:
    failures = [
        make_failure(1, case_alert(DNS, NOW - 2 * HOUR, count=3)),
        make_failure(2, run_alert(NOW - HOUR, dns=4, cart=5)),
        make_failure(3, case_alert(CART, NOW - 9 * HOUR), TriageState.RESOLVED, NOW - 8 * HOUR),
        make_failure(4, case_alert("", NOW - HOUR)),
    ]
    dns, cart = compute_costs(failures, NOW - 24 * HOUR, NOW)
    assert (dns.signature, dns.failures, dns.seconds, dns.open_count) == (DNS, 7, 3 * HOUR, 2)
    assert (cart.signature, cart.failures, cart.seconds, cart.open_count) == (CART, 6, 2 * HOUR, 1)
    assert dns.projects == ("checkout", "search")
    assert dns.projects_by_key == {"proj_checkout": "checkout", "search": "search"}
    assert [alert.key for alert in dns.alerts] == ["case:res_2:failed:C1", "case:res_1:failed:C1"]


def test_only_the_time_within_the_period_counts() -> None:
    long_ago = make_failure(1, case_alert(DNS, NOW - 50 * HOUR), TriageState.RECOVERED, NOW - 30 * HOUR)
    still = make_failure(2, case_alert(CART, NOW - 50 * HOUR))
    [cost] = compute_costs([long_ago, still], NOW - 24 * HOUR, NOW)
    assert (cost.signature, cost.seconds) == (CART, 24 * HOUR)


@pytest.mark.parametrize(("typed", "found"), [(DNS, DNS), ("s1-00000000000000b", CART), ("aa", DNS), ("s1-", None),
                                              ("zz", None), ("", None)])  # fmt: skip
def test_a_cause_is_found_by_a_unique_part_of_its_id(typed: str, found: str | None) -> None:
    costs = compute_costs([make_failure(1, run_alert(NOW, dns=1, cart=1))], NOW - HOUR, NOW)
    cost = find_cost(costs, typed)
    assert (cost.signature if cost else None) == found
