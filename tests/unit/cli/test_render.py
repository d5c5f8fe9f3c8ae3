"""A result in the terminal: what its title says is not repeated below."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from zofbot.cli.causes import print_costs
from zofbot.cli.render import cause_table, result_panel
from zofbot.domain.model import Result
from zofbot.notifications.alert_payloads import CaseAlertPayload
from zofbot.notifications.payload_parts import CaseSummary, RunSummary
from zofbot.services.cause_costs import CauseCost
from zofbot.services.failures import Failure
from zofbot.slack.links import ZofLinks
from zofbot.triage import TriageRecord, TriageState


def show_result(result: Result) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(result_panel(result, ZofLinks()))
    return console.export_text()


def show_table(*costs: CauseCost) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(cause_table(costs))
    return console.export_text()


def test_project_and_environment_are_named_once() -> None:
    shown = show_result(Result(id="res_1", title="cart", project_name="checkout", environment="staging"))
    assert shown.count("checkout") == shown.count("staging") == 1


def test_a_place_that_is_too_long_for_the_title_is_named_below() -> None:
    assert f"environment  {'p' * 70}" in show_result(Result(id="res_1", project_name="p" * 70, environment="staging"))


def test_a_cause_is_listed_with_what_it_cost_and_how_many_alerts_are_open() -> None:
    run = RunSummary(id="run_1", project="checkout")
    case = CaseSummary(id="res_1", why="refused \x1b[31m[b]twice[/b]\nat line 3", signature="s1-aa")
    body = CaseAlertPayload(run=run, case=case, first=1, last=1)
    records = TriageRecord(), TriageRecord(state=TriageState.RESOLVED)
    alerts = tuple(Failure(f"case:{number}", "C1", body, record) for number, record in enumerate(records))
    shown = show_table(CauseCost("s1-aa", case, 5, 7200, alerts), CauseCost("s1-bb", case, 1, 0, alerts[1:]))
    first, second = [line.split("│")[1:-1] for line in shown.splitlines() if line.startswith("│")]
    assert [cell.strip() for cell in first] == ["5", "2 h", "2, 1 open", "s1-aa", "refused [b]twice[/b]", "checkout"]
    assert [cell.strip() for cell in second][:4] == ["1", "1 s", "1", "s1-bb"]


def test_a_time_without_known_causes_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_costs([], as_json=False)
    assert capsys.readouterr().out == "No failures with a known cause in that time.\n"


def test_causes_are_a_table_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_costs([CauseCost("s1-aa", CaseSummary(id="res_1", why="refused"), 5, 7200, ())], as_json=False)
    assert "│" in capsys.readouterr().out
