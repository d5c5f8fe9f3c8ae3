"""The README and the changelog: what they say is what there is."""

from __future__ import annotations

import re

import pytest
import typer.main
from prometheus_client.metrics import MetricWrapperBase

from tests.support.paths import ROOT
from tests.support.virtual_time import SetClock
from zofbot.cli import app
from zofbot.config.manifest import LINK_SCOPES, SCOPES
from zofbot.config.settings import Settings
from zofbot.domain.commands import SLASH_COMMAND, VERBS, parse_command
from zofbot.notifications.text import escape_mrkdwn
from zofbot.observability.metrics import Metrics
from zofbot.simulator.seed import seed_world
from zofbot.simulator.slack.web_api import METHODS
from zofbot.simulator.world import World
from zofbot.triage import TRANSITIONS, Action, TriageState
from zofbot.triage.state_machine import AUTOMATIC_ACTIONS

README = (ROOT / "README.md").read_text()


def table_rows(first: str, second: str) -> dict[str, str]:
    """The table with these headings: first cell (without code marks) to second cell."""
    table = README.split(f"| {first} | {second} |", 1)[1].split("\n\n", 1)[0]
    cells = [line.split(" | ") for line in table.splitlines()[1:] if line.startswith(("| `", "| z"))]
    return {row[0].strip("| ").strip("`"): row[1].rstrip(" |") for row in cells}


def test_every_verb_stands_in_it_as_help_says_it() -> None:
    assert table_rows("typed", "answered") == {f"{SLASH_COMMAND} {verb.usage}": verb.does for verb in VERBS.values()}
    assert escape_mrkdwn("`") == "`", "usages stand in code marks here and in Slack"


def test_every_setting_stands_in_it_with_its_default() -> None:
    table = table_rows("name", "default")
    assert set(table) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        told = table[name.upper()].strip("`")
        if isinstance(field.default, str | int) and field.default != "":
            default = str(field.default)
            assert told == (default.lower() if isinstance(field.default, bool) else default), name


def test_every_scope_stands_in_it_with_its_reason() -> None:
    assert table_rows("scope", "for") == SCOPES | LINK_SCOPES


def test_every_command_stands_in_it() -> None:
    told = {line.split()[1] for line in table_rows("command", "what it does")}
    assert told == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # a group has them


def test_every_metric_stands_in_it() -> None:
    described = [
        metric for kept in vars(Metrics()).values() if isinstance(kept, MetricWrapperBase) for metric in kept.describe()
    ]
    names = {metric.name + ("_total" if metric.type == "counter" else "") for metric in described}
    assert set(table_rows("metric", "counts")) == names


def test_the_simulator_imitates_what_it_says() -> None:
    assert table_rows("method", "how well") == {name: method.imitates for name, method in METHODS.items()}


def test_what_the_demo_suggests_to_type_can_be_typed_there() -> None:
    world = World(SetClock())
    seed_world(world)
    for typed in table_rows("type", "and see"):
        for identifier in re.findall(r"\b(?:res|run)_\d+", typed):
            assert identifier in {**world.zof.results, **world.zof.runs}
        if "resutl" not in typed:
            assert parse_command(typed.removeprefix(SLASH_COMMAND))


@pytest.mark.parametrize("target", re.findall(r"\]\(((?!https?:)[^)#]+)\)", README))
def test_every_file_it_links_to_is_there(target: str) -> None:
    assert (ROOT / target).exists()


def test_every_heading_of_its_contents_is_there() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line[3:]).lower().replace(" ", "-") for line in README.splitlines() if line[:3] == "## "
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", README)) <= headings


def test_the_life_of_a_failure_is_the_one_that_the_code_has() -> None:
    table = README.split("| from | acts of people | of itself |", 1)[1].split("\n\n", 1)[0]
    told = {}
    for line in table.strip().splitlines()[1:]:
        state, people, clock = (cell.strip() for cell in line.strip("|").split("|"))
        told[state] = ([word.strip() for word in people.split(",")], {word.strip() for word in clock.split(",")})
    assert list(told) == list(TriageState)
    for state, acts in TRANSITIONS.items():
        assert set(told[state][0]) == set(acts) - AUTOMATIC_ACTIONS
        assert told[state][1] == (set(acts) & AUTOMATIC_ACTIONS) | ({Action.WAKE} if Action.WAKE in acts else set())
