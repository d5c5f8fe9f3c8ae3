"""Why a subscription would have posted nothing."""

from __future__ import annotations

import pytest

from zofbot.domain.model import Outcome, Result, Run
from zofbot.slack.views.preview import exclusion_text
from zofbot.subscriptions import RunFinding, parse_filters
from zofbot.subscriptions.excluding_filter import KnownNames, find_excluding_filter

KNOWN = KnownNames(
    (("proj_1", "checkout"), ("proj_2", "QA West"), ("proj_3", "search")), ("production", "staging"), True
)


def failed_finding(title: str = "Cart total", env: str = "staging", outcome: Outcome = Outcome.FAILED) -> RunFinding:
    run = Run(id=f"run_{title}", outcome=outcome, project_id="proj_1", project_name="checkout", environment=env)
    return RunFinding.from_results(run, [Result(id=f"res_{title}", outcome=outcome, title=title)], otherwise=1)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (
            "project:chekout",
            "No project named `chekout`; did you mean `checkout`? `project:` excluded the only failed run",
        ),
        ("project:qa-west", 'No project named `qa-west`; did you mean `"QA West"`?'),
        (
            "project:proj_2",
            '`project:` excluded the only failed run. Known: `"QA West"`, `checkout`, ',
        ),
        ("env:prodution", "No recent run in environment `prodution`; did you mean `production`?"),
        ("env:production", "`env:` excluded the only failed run"),
        ("project:check* env:qa", "No recent run in environment `qa`. Known: `production`, `staging`."),
        ('case:"card total"', 'No recent failure named `"card total"`; did you mean `"Cart total"`?'),
        ("on:error", "`on:` excluded the only failed run"),
    ],
)
def test_the_filter_that_excluded_everything_is_named_with_what_was_meant(typed: str, says: str) -> None:
    silence = find_excluding_filter(parse_filters(typed), [failed_finding()], KNOWN)
    assert silence is not None
    assert says in exclusion_text(silence)


def test_a_name_that_there_is_not_is_said_though_nothing_failed() -> None:
    silence = find_excluding_filter(parse_filters("project:serch"), [], KNOWN)
    assert silence is not None
    assert exclusion_text(silence) == "No project named `serch`; did you mean `search`?"
    assert find_excluding_filter(parse_filters("project:search"), [], KNOWN) is None


def test_without_a_list_of_projects_recent_runs_say_what_there_is() -> None:
    silence = find_excluding_filter(parse_filters("project:chekout"), [failed_finding()], KnownNames())
    assert silence is not None
    assert "No recent run of project `chekout`; did you mean `checkout`?" in exclusion_text(silence)


def test_what_matches_and_is_only_held_back_is_not_explained() -> None:
    assert find_excluding_filter(parse_filters("after:3/1h"), [failed_finding()], KNOWN) is None
