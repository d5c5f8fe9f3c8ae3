"""What people write is shown as they wrote it, in any script; what only hides or reorders text goes."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.proportion import is_in_proportion
from zofbot.domain.redaction import MASK
from zofbot.notifications import text


@pytest.mark.parametrize(
    "said",
    [
        "می\u200cخواهم کتاب\u200cها را ببینم",
        "فایل PDF\u200cها باز می\u200cشود",
        "क्\u200dष, र्\u200dय and क्\u200cष",
        "ശ്രീ\u200d, ന്\u200d",
        "ක්\u200dෂේ\u200dත්\u200dරය",
        "👩\u200d💻 🧑🏽\u200d🚀 🏳️\u200d🌈 👨\u200d👩\u200d👧 ❤️\u200d🔥 🙋\u200d♂️",
        "1\ufe0f\u20e3 ⚠️ ✅",
        "葛\U000e0100城市",
        "Đặt hàng, Zażółć gęślą jaźń, 注文を確認する, שלום",
    ],
)
@pytest.mark.parametrize("shown", [text.escape_mrkdwn, text.clean_literal, text.escape_line, text.sanitize_text])
def test_scripts_keep_what_they_are_spelt_with(said: str, shown: object) -> None:
    assert callable(shown)
    assert shown(said) == said


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("abc\u202edef\u202c", "abcdef"),
        ("\u2066a\u2069\u200fb\u200ec\u061cd", "abcd"),
        ("a\x85b\x9bc\x90d", "abcd"),
        ("\x9b31mred\x9b0m", "red"),
        ("\x9d8;;https://x.example\x9clink\x9d8;;\x9c", "link"),
        ("pass\u200cword, a\u200db", "password, ab"),
        ("می\u200c\u200c\u200cخواهم", "می\u200cخواهم"),
        ("a\ufe0fb\u034fc", "abc"),
        ("invisible\U000e0041tags\U000e007f", "invisibletags"),
    ],
)
def test_what_cannot_be_seen_goes(said: str, shown: str) -> None:
    assert text.clean_literal(said) == shown


_VISIBLE_FORMAT = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Signs that stand under or around numbers; Unicode counts them as format characters, but they are seen."""
INVISIBLE = [
    letter
    for letter in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(letter) in ("Cf", "Cc")
    and letter not in _VISIBLE_FORMAT + "\t\n\r\x9d"
    and not 0x13430 <= ord(letter) <= 0x1345F  # joins hieroglyphs, and is seen between others
] + list("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\ufe00\ufe0f\ud800\U000e0100\U000e01ef")


def test_no_invisible_character_hides_a_secret() -> None:
    for letter in INVISIBLE:
        assert text.clean_literal(f"pass\u200c\u200d{letter}\u200d{letter}word=hunter2") == f"password={MASK}", ascii(
            letter
        )
        said = text.escape_mrkdwn(f"pass{letter}word=hun{letter}ter2, ghp{letter}_a1B2{letter}" + "c3D4" * 8)
        assert said == f"password={MASK}, {MASK}", ascii(letter)


@given(st.lists(st.sampled_from(["\u200c", "\u200d", "\ufe0f", "م", "क", "👩", "a", " ", "\u202e"]), max_size=12))
def test_cleaning_twice_changes_nothing_more(parts: list[str]) -> None:
    once = text.sanitize_text("".join(parts))
    assert "\u202e" not in once
    assert text.sanitize_text(once) == once


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (":wave: works", ":\u200bwave: works"),
        ("a :+1: b :100:", "a :\u200b+1: b :\u200b100:"),
        (":a:b:", ":\u200ba:\u200bb:"),
        ("at 12:30:45", "at 12:30:45"),
        ("quiet:22:00-07:00", "quiet:22:00-07:00"),
        ("tests/cart.py::test_total::case", "tests/cart.py::test_total::case"),
        ("cart.spec.ts:42:7: expected", "cart.spec.ts:42:7: expected"),
    ],
)
def test_the_name_of_an_emoji_stays_words(said: str, shown: str) -> None:
    assert text.escape_mrkdwn(said) == shown
    assert text.escape_line(said) == shown


@given(st.text(alphabet="`:wave@.#/ \u200b<&", max_size=80))
@example(":wave: @here evil.example")
def test_code_can_be_copied_as_it_stands(anything: str) -> None:
    assert "\u200b" not in text.inline_code(anything)


BEGINNINGS = [":aaaa", ":", "::a", ":1", ":-", "\u200d", "a\ufe0f", "\ufe0f", "\x9b1", "\x9d", "\x1b]", "\u200c\ufe0f"]


@pytest.mark.parametrize("beginning", BEGINNINGS, ids=ascii)
def test_time_is_in_proportion_to_the_text(beginning: str) -> None:
    assert is_in_proportion(lambda said: text.break_links(text.sanitize_text(said)), beginning)
