"""docs/simulator.md: each rule and each fault has its source, or says that it is believed."""

from __future__ import annotations

import re

import pytest

from tests.support.pages import read_page, table_rows

SIMULATOR = read_page("docs/simulator.md")

SOURCE = re.compile(
    r"\]\(https://"  # a page or an issue, linked
    r"|\b[\w./@-]+ \d+\b"  # an issue by its repository and number
    r"|\bbelieved\b"
    r"|\bthe page of `"
    r"|\bthe errors on the methods' pages\b"
)


@pytest.mark.parametrize(
    ("rule", "source"),
    [*table_rows(SIMULATOR, "rule", "source"), *table_rows(SIMULATOR, "fault", "source")],
    ids=lambda cell: cell[:40],
)
def test_every_rule_of_the_pretend_slack_has_a_source_or_is_believed(rule: str, source: str) -> None:
    assert SOURCE.search(source), f"{rule}: {source}"
