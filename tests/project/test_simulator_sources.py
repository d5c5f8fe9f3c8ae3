"""The README's account of the pretend world: each rule and each fault has its source, or says that it is believed."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text()

SOURCE = re.compile(
    r"\]\(https://"  # a page or an issue, linked
    r"|\b[\w./@-]+ \d+\b"  # an issue by its repository and number
    r"|\bbelieved\b"
    r"|\bthe page of `"
    r"|\bthe errors on the methods' pages\b"
)


def table_rows(first: str, second: str) -> list[tuple[str, str]]:
    table = README.split(f"| {first} | {second} |\n|---|---|\n", 1)[1].split("\n\n", 1)[0]
    return [tuple(line.strip("| ").rsplit(" | ", 1)) for line in table.splitlines()]  # type: ignore[misc]  # two cells


@pytest.mark.parametrize(
    ("rule", "source"),
    [*table_rows("rule", "source"), *table_rows("what", "where it comes from")],
    ids=lambda cell: cell[:40],
)
def test_every_rule_of_the_pretend_slack_has_a_source_or_is_believed(rule: str, source: str) -> None:
    assert SOURCE.search(source), f"{rule}: {source}"
