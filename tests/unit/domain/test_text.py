"""What people type and paste, read as they meant it; and names compared as cards show them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zofbot.domain.text import MAX_INPUT_CHARACTERS, clean_name, escape_markup, fold_name, read_input
from zofbot.notifications import text as slack_text
from zofbot.triage.thread_commands import parse_thread_command

PIECES = st.sampled_from([
    "<", ">", "|", "&", "&amp;", "&lt;", "<@U1>", "<@U1|ana>", "<#C1|qa>", "<http://a.example|a.example>", "<!here>",
    "“", "’", "\u00a0", "\u200b", "\u200c", "\u2060", "\r\n", "\n", " ", "  ", "e", "\u0301", "\u212a", "🇩🇪", "می", "x",
])  # fmt: skip
ANY = st.lists(PIECES | st.characters(), max_size=30).map("".join)


@pytest.mark.parametrize(
    ("delivered", "meant"),
    [
        ("project:<http://shop.example.com|shop.example.com>", "project:shop.example.com"),
        ("<https://app.zof.ai/runs/run_1>", "https://app.zof.ai/runs/run_1"),
        ("<https://app.zof.ai/runs/run_1|the nightly run>", "https://app.zof.ai/runs/run_1"),
        ("<http://shop.example.com/|shop.example.com>", "shop.example.com"),
        ("<http://a.example/?a=1&amp;b=2|a.example/?a=1&amp;b=2>", "a.example/?a=1&b=2"),
        ("<mailto:qa@shop.example|qa@shop.example>", "qa@shop.example"),
        ("<tel:+49301234|+49301234>", "+49301234"),
        ("mention:<@U0ANA|ana>,<!subteam^S9|@oncall>", "mention:<@U0ANA|ana>,<!subteam^S9|@oncall>"),
        ("<@U0ANA|Ana “A” Kovač, QA>", "<@U0ANA>"),
        ("<#C0QA|qa-alerts> <#C0QA|>", "<#C0QA|qa-alerts> <#C0QA>"),
        ("<!channel>", "<!channel>"),
        ("escalate:15m-&gt;<@U1>", "escalate:15m-><@U1>"),
        ("a &amp;lt; b", "a &lt; b"),
        ("case:“cart total” it’s", 'case:"cart total" it\'s'),
        ("\u00a0env:QA\u00a0 \u2009West\t ", "env:QA West"),
        ("\u200bres_1\u2060\ufeff", "res_1"),
        ("cafe\u0301", "café"),
        ("one\r\n  two\u2028three", "one\ntwo\nthree"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("res\u200d_1", "res_1"),
    ],
)
def test_what_slack_delivers_is_read_as_it_was_meant(delivered: str, meant: str) -> None:
    assert read_input(delivered) == meant


def test_what_slack_does_not_escape_is_read_without_undoing_anything() -> None:
    assert read_input(" R&amp;D, <http://a|b>,\u00a0“x” ", markup=False) == 'R&amp;D, <http://a|b>, "x"'


@given(ANY)
def test_reading_leaves_nothing_that_another_reading_would_tidy(typed: str) -> None:
    once = read_input(typed)
    assert read_input(once, markup=False) == once
    assert unicodedata.is_normalized("NFC", once)
    assert "  " not in once


@given(ANY)
def test_escaped_text_is_read_as_it_is(typed: str) -> None:
    plain = read_input(typed, markup=False)
    assert read_input(escape_markup(plain)) == plain


@given(ANY)
def test_names_are_cleaned_and_folded_once(name: str) -> None:
    assert clean_name(clean_name(name)) == clean_name(name)
    assert fold_name(clean_name(name)) == fold_name(name)
    assert fold_name(fold_name(name)) == fold_name(name)


@pytest.mark.parametrize(
    ("listed", "typed"),
    [
        ("QA  West", "qa west"), ("QA\u00a0West", "QA West"), ("Cafe\u0301", "café"), ("STRASSE", "straße"),
        ("It’s `done`", "it's 'done'"), ("pay\u200bments", "payments"), ("“Cart”", '"cart"'), ("a\nb", "A B"),
    ],
)  # fmt: skip
def test_names_that_cards_show_alike_are_equal(listed: str, typed: str) -> None:
    assert fold_name(listed) == fold_name(typed)


@given(st.text(max_size=60) | ANY)
def test_code_spans_hold_nothing_invisible_that_copying_would_take_along(name: str) -> None:
    shown = slack_text.inline_code(name)
    assert not set(shown) & set("\u200b\u200e\u200f\u2060\ufeff")


def test_a_bracket_that_opens_inside_another_begins_anew() -> None:
    """So no part of the text is looked at for two brackets, and reading takes time linear in it."""
    assert read_input("<http://a.example|<@U2|ana> <@U1|<#C2|qa>") == "<http://a.example|<@U2|ana> <@U1|<#C2|qa>"
    assert parse_thread_command("<@UBOT|<@UBOT> assign <@U1|<@U2>", "UBOT").person_id == "U2"


@pytest.mark.parametrize("piece", ["<@U1|", "<", "<@U1>", "&amp;", "&", "\u200c", "“", "a\u0301", " \u00a0", "\n"])
def test_reading_ends_with_long_text_cut(piece: str) -> None:
    assert len(read_input(piece * 40_000)) <= MAX_INPUT_CHARACTERS
