"""A result in the terminal: what its title says is not repeated below."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from zofbot.cli.render import result_panel
from zofbot.domain.model import Result
from zofbot.slack.links import ZofLinks


def show_result(result: Result) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(result_panel(result, ZofLinks()))
    return console.export_text()


def test_project_and_environment_are_named_once() -> None:
    shown = show_result(Result(id="res_1", title="cart", project_name="checkout", environment="staging"))
    assert shown.count("checkout") == shown.count("staging") == 1


def test_a_place_that_is_too_long_for_the_title_is_named_below() -> None:
    assert f"environment  {'p' * 70}" in show_result(Result(id="res_1", project_name="p" * 70, environment="staging"))
