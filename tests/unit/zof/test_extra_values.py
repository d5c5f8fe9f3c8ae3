"""Extra fields in Zof's objects, wherever they are, and whatever stands there instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zofbot.domain.extra_fields import DEFAULT_EXTRA_FIELDS, KNOWN_FIELDS, common_extras, merge_extras, values_of
from zofbot.zof.extra_values import read_extra_values
from zofbot.zof.parsing import parse_result, parse_run


@pytest.mark.parametrize(
    ("data", "label", "values"),
    [
        ({"git": {"sha": "9f2c41d7"}}, "commit", ("9f2c41d7",)),
        ({"commit": {"sha": "9f2c41d7", "author": {"email": "ana@acme.example"}}}, "commit", ("9f2c41d7",)),
        ({"commit": {"sha": "9f2c41d7", "author": {"email": "ana@acme.example"}}}, "author_email",
         ("ana@acme.example",)),
        ({"tags": ["smoke", {"name": "cart"}, None, "smoke", 7]}, "tags", ("smoke", "cart", "7")),
        ({"screenshots": [{"url": "https://zof.ai/a.png"}]}, "screenshot", ("https://zof.ai/a.png",)),
        ({"expected": 3}, "expected", ("3",)),
        ({"actual": False}, "actual", ("false",)),
        ({"trace": "Traceback (most recent call last)"}, "trace", ()),
        ({"video": "http://zof.ai/v.webm"}, "video", ()),
        ({"author_email": "Ana B. <ana@acme.example>"}, "author_email", ()),
        ({"branch": {"deep": ["main"]}}, "branch", ()),
    ],
)  # fmt: skip
def test_values_are_found_under_usual_names(data: dict[str, object], label: str, values: tuple[str, ...]) -> None:
    assert values_of(read_extra_values(data, DEFAULT_EXTRA_FIELDS), label) == values


ROOTS = sorted(DEFAULT_EXTRA_FIELDS.roots)
JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
                        ["url", "name", "email", "sha", "author"]), inner), max_leaves=6)  # fmt: skip


@given(st.dictionaries(st.sampled_from(ROOTS), JSON, max_size=6))
def test_nothing_that_stands_there_hides_the_run(data: dict[str, object]) -> None:
    run = parse_run({"id": "run_1", "status": "failed", **data, "labels": ["x"], "tags": None})
    assert {extra.label for extra in run.extras} <= {field.label for field in KNOWN_FIELDS}
    assert all(extra.values and all(extra.values) for extra in run.extras)


def test_runs_and_results_have_them_each() -> None:
    run = parse_run({"id": "run_1", "branch": "main", "results": [{"id": "res_1", "branch": "dev", "step": "Pay"}]})
    (result,) = run.results or ()
    assert values_of(run.extras, "branch") == ("main",)
    assert values_of(merge_extras(run.extras, result.extras), "branch") == ("main",)
    assert values_of(merge_extras(run.extras, result.extras), "step") == ("Pay",)
    other = parse_result({"id": "res_2", "branch": "dev", "step": "Log in"})
    assert [extra.label for extra in common_extras([result.extras, other.extras])] == ["branch"]
