"""What causes cost a channel: failures, and how long their alerts were open in the period."""

from __future__ import annotations

from typing import Any

import pytest

from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.digest_payload import CaseCount, DigestPayload
from zofbot.notifications.payload_parts import CaseSummary, CauseSummary, RunSummary
from zofbot.services.cause_costs import compute_costs, find_cost
from zofbot.services.digest_causes import add_causes
from zofbot.services.failures import Failure
from zofbot.slack.views.digest_message import digest_message
from zofbot.subscriptions.case_history import CasePast, CaseStanding
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


def test_a_digest_counts_by_cause_and_by_new_known_and_flaky() -> None:
    past = CasePast(standing=CaseStanding.FLAKY)
    flaky = case_alert(DNS, NOW - HOUR)
    flaky = flaky.model_copy(update={"case": flaky.case.model_copy(update={"past": past})})
    several = run_alert(NOW - 2 * HOUR, dns=2).model_copy(update={"standings": {"new": 1, "known": 1}})
    old = run_alert(NOW - 90 * HOUR, cart=2).model_copy(update={"standings": {"new": 2}})
    failures = [
        make_failure(1, flaky),
        make_failure(2, several),
        make_failure(3, old, TriageState.RESOLVED, NOW - 80 * HOUR),
        make_failure(4, case_alert("", NOW - HOUR)),
    ]
    body = add_causes(DigestPayload(since=NOW - 24 * HOUR, until=NOW), failures, "C1")
    assert body.standings == {"flaky": 1, "new": 1, "known": 1}
    assert body.causes == (
        CaseCount(title="a", why=f"text of {DNS}", where="checkout, search", times=3, seconds=3 * HOUR),
    )
    assert f"• text of {DNS} (checkout, search) · 3 failures" in str(digest_message(body).blocks)
    assert "1 new · ⏳ 1 still failing · 🎲 1 flaky" in str(digest_message(body).blocks)
    assert add_causes(DigestPayload(since=NOW - 24 * HOUR, until=NOW), failures, "C2").causes == ()


@pytest.mark.parametrize(("typed", "found"), [(DNS, DNS), ("s1-00000000000000b", CART), ("aa", DNS), ("s1-", None),
                                              ("zz", None), ("", None)])  # fmt: skip
def test_a_cause_is_found_by_a_unique_part_of_its_id(typed: str, found: str | None) -> None:
    costs = compute_costs([make_failure(1, run_alert(NOW, dns=1, cart=1))], NOW - HOUR, NOW)
    cost = find_cost(costs, typed)
    assert (cost.signature if cost else None) == found
