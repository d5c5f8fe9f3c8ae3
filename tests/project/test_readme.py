"""README and docs: README is short, tables are those of the code, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
from prometheus_client.metrics import MetricWrapperBase

from tests.support.pages import PAGES, anchors, broken_links, read_page, relative_links, table_rows, uneven_rows
from tests.support.paths import ROOT
from tests.support.virtual_time import SetClock
from zofbot.cli import app
from zofbot.clock import Clock
from zofbot.config.manifest import EMAIL_SCOPES, LINK_SCOPES, SCOPES
from zofbot.config.settings import Settings
from zofbot.domain.command_parser import parse_command
from zofbot.domain.commands import SLASH_COMMAND, VERBS
from zofbot.notifications.text import escape_mrkdwn
from zofbot.observability.metrics import Metrics
from zofbot.simulator.scenarios import SCENARIOS
from zofbot.simulator.seed import seed_world
from zofbot.simulator.slack.web_api import METHODS
from zofbot.simulator.world import World
from zofbot.triage import TRANSITIONS, Action, TriageState
from zofbot.triage.state_machine import AUTOMATIC_ACTIONS

MAX_README_WORDS = 900
README_SETTINGS = 5

TRANSLATED = re.compile(
    r"\b(told|stands?|mend(s|ed|ing)?|doors?|lobby|halls?|errands?|amiss|in vain|of itself|pretend|likewise|beneath)\b",
    re.I,
)
"""Words of earlier texts that read as translated."""

OPERATOR_FILES = ("Dockerfile", "Makefile", "Procfile", "docs/alerts.yml", *sorted(
    path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/deploy").rglob("*") if path.is_file()
))  # fmt: skip


def rows_by_first(page: str, *headings: str) -> dict[str, str]:
    """The table with these headings on a page: first cell (without code marks) to second cell."""
    return {row[0].strip("`"): row[1] for row in table_rows(read_page(page), *headings)}


def default_of(name: str) -> str | None:
    """A setting's default as a page writes it; None where the page says in words what happens."""
    default = Settings.model_fields[name.lower()].default
    if not isinstance(default, str | int) or default == "":
        return None
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_readme_is_short_and_has_one_picture() -> None:
    text = read_page("README.md")
    assert len(text.split()) <= MAX_README_WORDS
    assert text.count("![") == 1


def test_readme_shows_five_settings_with_their_defaults() -> None:
    table = rows_by_first("README.md", "name", "default", "meaning")
    assert len(table) == README_SETTINGS
    everything = rows_by_first("docs/settings.md", "name", "default", "meaning")
    for name, default in table.items():
        assert default.partition(":")[0] == everything[name].partition(":")[0], name


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_row_of_a_table_has_as_many_cells_as_its_heading(page: Path) -> None:
    assert uneven_rows(page.read_text()) == []


@pytest.mark.parametrize("name", [*(page.relative_to(ROOT).as_posix() for page in PAGES), *OPERATOR_FILES])
def test_pages_are_in_plain_english(name: str) -> None:
    text = re.sub(r"`[^`\n]*`", "", read_page(name))  # names of tests and code stay as they are
    assert [match[0] for match in TRANSLATED.finditer(text)] == []


def test_a_link_to_nothing_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`: three\n## One two three\n[a](#one-two-three) [b](#one-two-three-1) [c](#four)"
                    " [d](none.md) `[e](none.md)` [f](https://none.example/#x)")  # fmt: skip
    assert anchors(page.read_text()) == {"one-two-three", "one-two-three-1"}
    assert broken_links(page) == ["#four", "none.md"]


def test_every_page_and_picture_of_docs_can_be_reached() -> None:
    linked = {(page.parent / target.partition("#")[0]).resolve() for page in PAGES
              for target in relative_links(page.read_text())}  # fmt: skip
    kept = {path.resolve() for kind in ("*.md", "*.png") for path in (ROOT / "docs").glob(kind)}
    assert kept - linked == set()


def test_every_verb_is_listed_as_help_lists_it() -> None:
    expected = {f"{SLASH_COMMAND} {verb.usage}": verb.does for verb in VERBS.values()}
    assert rows_by_first("docs/commands.md", "typed", "answered") == expected
    assert escape_mrkdwn("`") == "`", "usages stand in code marks here and in Slack"


def test_every_setting_is_listed_with_its_default() -> None:
    table = rows_by_first("docs/settings.md", "name", "default", "meaning")
    assert set(table) == {name.upper() for name in Settings.model_fields}
    for name, shown in table.items():
        default = default_of(name)
        assert default is None or shown.strip("`") == default, name


def test_every_scope_is_listed_with_its_reason() -> None:
    assert rows_by_first("docs/settings.md", "scope", "for") == SCOPES | LINK_SCOPES | EMAIL_SCOPES


def test_every_command_is_listed() -> None:
    listed = {line.split()[1] for line in rows_by_first("docs/commands.md", "command", "what it does")}
    assert listed == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # a group has them


def test_every_metric_is_listed_with_its_help_text() -> None:
    described = [
        metric
        for kept in vars(Metrics(Clock())).values()
        if isinstance(kept, MetricWrapperBase)
        for metric in kept.describe()
    ]
    expected = {
        metric.name + ("_total" if metric.type == "counter" else ""): metric.documentation for metric in described
    }
    table = rows_by_first("docs/metrics.md", "metric", "meaning")
    assert {name: meaning[0].upper() + meaning[1:] for name, meaning in table.items()} == expected


def test_the_simulator_imitates_what_its_page_lists() -> None:
    expected = {name: method.imitates for name, method in METHODS.items()}
    assert rows_by_first("docs/simulator.md", "method", "covers") == expected


def test_what_the_demo_suggests_to_type_can_be_typed_there() -> None:
    world = World(SetClock())
    seed_world(world)
    for typed in rows_by_first("docs/simulator.md", "type", "to see"):
        for identifier in re.findall(r"\b(?:res|run)_\d+", typed):
            assert identifier in {**world.zof.results, **world.zof.runs}
        if "resutl" not in typed:
            assert parse_command(typed.removeprefix(SLASH_COMMAND))


@pytest.mark.parametrize("page", ["README.md", "docs/simulator.md"])
def test_pages_say_how_to_start_the_demo_on_another_port(page: str) -> None:
    assert "make demo ARGS='--port 0'" in read_page(page)
    assert "zofbot demo $(ARGS)" in read_page("Makefile")


def test_the_buttons_of_the_demo_are_called_what_its_page_calls_them() -> None:
    text = read_page("README.md") + read_page("docs/simulator.md")
    pressed = {" ".join(name.split()) for name in re.findall(r"[Pp]ress \*([^*]+)\*", text)} - {"Send a test alert"}
    assert len(pressed) >= 3
    assert pressed <= set(SCENARIOS.values())


def test_the_states_of_a_failure_are_those_of_the_code() -> None:
    listed = {
        state: ([word.strip() for word in people.split(",")], {word.strip() for word in automatic.split(",")})
        for state, people, automatic in table_rows(read_page("docs/triage.md"), "state", "actions", "automatic changes")
    }
    assert list(listed) == list(TriageState)
    for state, acts in TRANSITIONS.items():
        assert set(listed[state][0]) == set(acts) - AUTOMATIC_ACTIONS
        assert listed[state][1] == (set(acts) & AUTOMATIC_ACTIONS) | ({Action.WAKE} if Action.WAKE in acts else set())
