"""The filters of ``/zof runs``."""

from __future__ import annotations

import pytest

from zofbot.domain.errors import BadInput
from zofbot.domain.model import Outcome, Run
from zofbot.listeners.run_filters import STATUS_WORDS, RunFilters, parse_run_filters


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", RunFilters()),
        ("status:failed,error", RunFilters(status=("failed", "error"))),
        ("status:failed status:Errored", RunFilters(status=("failed", "error"))),
        ("status:-passed,-cancelled", RunFilters(status=("-passed", "-canceled"))),
        ('env:"QA West" project:checkout*,-legacy', RunFilters(project=("checkout*", "-legacy"), env=("QA West",))),
        ("environment:prod", RunFilters(env=("prod",))),
    ],
)
def test_filters_are_lists_globs_and_exclusions(typed: str, meant: RunFilters) -> None:
    assert parse_run_filters(typed) == meant
    assert parse_run_filters(str(meant)) == meant


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("status:faild", "Did you mean `status:failed`? Use one of `passed`"),
        ("status:zzz", "Use one of " + ", ".join(f"`{each}`" for each in STATUS_WORDS)),
        ("status:zz*", "Use one of `passed`"),
        ("stauts:failed", "Did you mean `status:…`?"),
        ("case:login", "Filters are `status:`, `project:` and `env:`."),
        ("failed", "Filters are `status:`"),
        ("status:", "Put one right after the colon"),
        ("env:-", "Put one right after the colon"),
        ('env:"QA', "Close it"),
        ("env:" + ",".join("abcdefghijklmnopqrstuvwxyz"), "Use a glob such as `shop*`."),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(typed: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_run_filters(typed)
    assert says in refused.value.next_step


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("", [None]),
        ("status:failed", [Outcome.FAILED]),
        ("status:failed,error", [Outcome.FAILED, Outcome.ERROR]),
        ("status:fail*", [Outcome.FAILED]),
        ("status:-passed", [None]),
    ],
)
def test_zof_is_asked_for_one_status_at_a_time(typed: str, asked: list[Outcome | None]) -> None:
    assert parse_run_filters(typed).statuses_to_list() == asked


def test_a_run_fits_by_any_name_of_its_project() -> None:
    run = Run(id="r", outcome=Outcome.FAILED, project_id="proj_1", project_name="Checkout", environment="QA\u00a0West")
    assert parse_run_filters('project:check* env:"qa west" status:-passed').matches_run(run)
    assert not parse_run_filters("project:check*,-proj_1").matches_run(run)
    assert not parse_run_filters("env:-qa*").matches_run(run)
