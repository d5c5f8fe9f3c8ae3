"""Patterns and the words they are typed with: only ``*`` and ``?`` are special, and every name can be typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zofbot.domain.errors import BadInput
from zofbot.domain.model import Outcome, Result, Run
from zofbot.domain.text import MAX_INPUT_CHARACTERS, clean_name, escape_markup, fold_name, read_input
from zofbot.listeners.run_filters import parse_run_filters
from zofbot.subscriptions import Subscription, format_filters, match_subscription, parse_filters
from zofbot.subscriptions.events import RunFinding
from zofbot.subscriptions.patterns import matches_patterns, to_literal_pattern
from zofbot.subscriptions.tokenizer import format_form_list, parse_form_list, quote_list

NAMES = st.text(
    alphabet=st.sampled_from('ab"\\-*?[]!,:<>&; |@#`“’é\u00a0\u200b>') | st.characters(), min_size=1, max_size=15
)
SHOWN = NAMES.filter(lambda name: clean_name(name).strip("-\\ ") and not clean_name(name).startswith("\\"))


@pytest.mark.parametrize(
    ("pattern", "name", "same"),
    [
        ("test_login[chrome-en]", "test_login[chrome-en]", True),
        ("test_login[chrome-en]", "test_loginc", False),
        ("[!a]", "b", False),
        ("test_*[chrome-*]", "test_login[chrome-en]", True),
        ("cart?total", "Cart Total", True),
        ("qa west", "QA\u00a0 West", True),
        ("café*", "CAFE\u0301 menu", True),
        ("it's 'done'", "It’s `done`", True),
        ("\\-flaky", "-flaky", True),
        ("\\-flaky", "flaky", False),
        ("a.c", "abc", False),
    ],
)
def test_only_two_characters_are_special(pattern: str, name: str, same: bool) -> None:
    assert matches_patterns([pattern], [name]) is same


@given(SHOWN)
def test_every_name_can_be_typed(name: str) -> None:
    """In a subscription, a list of runs, a form, the file, and by copying what a code span shows of them."""
    pattern = Subscription(case=(to_literal_pattern(clean_name(name)),)).case[0]
    typed = quote_list([pattern])
    delivered = typed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    in_slack = parse_filters(read_input(f"case:{delivered}"))
    in_file = parse_filters(read_input(escape_markup(format_filters(in_slack))))
    assert in_file == in_slack
    assert matches_patterns(in_slack.case, [name])
    assert matches_patterns(parse_run_filters(read_input(f"project:{delivered}")).project, [name])
    assert matches_patterns(parse_form_list(format_form_list([pattern])), [name])


@given(SHOWN, st.lists(SHOWN, max_size=2))
def test_no_sentence_says_that_something_is_what_was_wanted(name: str, more: list[str]) -> None:
    patterns = tuple(to_literal_pattern(clean_name(each)) for each in [name, *more])
    for project in (patterns, (*patterns, "-proj_1"), ("-nothing", *patterns[1:])):
        finding = RunFinding.from_results(
            Run(id="r", outcome=Outcome.FAILED, project_id="proj_1", project_name=name), (), otherwise=1
        )
        verdict = match_subscription(Subscription(project=project), finding)
        if not verdict.matched:
            assert "wanted not" in verdict.reason_text or not any(
                matches_patterns([each], [name]) for each in project if each[0] != "-"
            )


def test_a_case_left_out_by_its_id_is_not_said_to_be_wanted_by_its_title() -> None:
    failed = Result(id="res_1", outcome=Outcome.FAILED, title="Login", case_id="tc_1")
    finding = RunFinding.from_results(Run(id="r", outcome=Outcome.FAILED), [failed], otherwise=1)
    assert (
        match_subscription(parse_filters("case:login,-tc_1"), finding).reason_text == "case is Login, wanted not tc_1"
    )


@pytest.mark.parametrize(
    ("typed", "pattern"),
    [
        ('case:5"-tablet', '5"-tablet'),
        ('case:"5\\" tablet"', '5" tablet'),
        ("case:\\-flaky", "\\-flaky"),
        ('case:-"cart total"', "-cart total"),
        ("case:<#C0QA|smoke>", "#smoke"),
        ("case:<@U0ANA|ana>", "@ana"),
        ("case:<mailto:qa@shop.example|qa@shop.example>", "qa@shop.example"),
        ("case:<http://shop.example.com|shop.example.com>", "shop.example.com"),
    ],
)
def test_what_slack_and_keyboards_make_of_names_is_undone(typed: str, pattern: str) -> None:
    assert parse_filters(read_input(typed)).case == (pattern,)


def test_names_that_are_equal_fold_alike_whatever_they_were_stored_as() -> None:
    assert Subscription(case=("“Cart”\u00a0total\u200b",)).case == ('"Cart" total',)
    assert fold_name("“Cart”\u00a0total") == fold_name('"cart" total')


def test_text_that_may_have_been_cut_off_is_refused() -> None:
    with pytest.raises(BadInput, match="12,000 characters"):
        parse_filters(read_input("project:" + "a," * MAX_INPUT_CHARACTERS))
