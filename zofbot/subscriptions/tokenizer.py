"""Split typed text into words and lists, at spaces and commas that are not inside quotes.

A quote opens only at the start of a value, so that one inside a name (``5" tablet``) is part of the name; a backslash
makes the next character part of the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import BadInput

_EXAMPLE = f'{SLASH_COMMAND} subscribe case:"cart total*"'
_BEFORE_VALUES = ":,>"
"""Characters before a value: after a filter's name, another value, or the arrow of an escalation."""

LITERAL_DASH = "\\-"
"""Starts a pattern for a name with a leading dash; a dash alone excludes."""


class _Character(NamedTuple):
    """A character as typed, and what it adds to a value (``kept``); ``plain``: neither quoted nor escaped."""

    typed: str
    kept: str
    plain: bool


def split_words(text: str) -> list[str]:
    """Split at spaces and line breaks that are not inside quotes."""
    return _split_unquoted(text, str.isspace)


def split_list(text: str) -> list[str]:
    """Split at commas that are not inside quotes."""
    return _split_unquoted(text, lambda character: character == ",")


def unquote_value(value: str) -> str:
    """Remove quotes and backslashes from a value; only the backslash before a leading dash stays."""
    return "".join(character.kept for character in _scan_characters(value, _BEFORE_VALUES))


def _split_unquoted(text: str, at: Callable[[str], bool], before: str = _BEFORE_VALUES) -> list[str]:
    """Split at characters for which ``at`` is true, outside of quotes; quotes and backslashes are kept."""
    parts: list[list[str]] = [[]]
    for character in _scan_characters(text, before, at):
        if character.plain and at(character.typed):
            parts.append([])
        else:
            parts[-1].append(character.typed)
    return ["".join(part) for part in parts if part]


def _scan_characters(text: str, before: str, at: Callable[[str], bool] = str.isspace) -> Iterator[_Character]:
    """Yield the characters of a text. Raises BadInput for a quote that is not closed."""
    quoted = escaped = False
    begins, first = True, True
    for character in text:
        if escaped:
            escaped = False
            dash = character == "-"
            yield _Character(character, LITERAL_DASH if dash and first else character, plain=False)
            begins, first = begins and dash, False
        elif character == "\\":
            escaped = True
            yield _Character(character, "", plain=False)
        elif character == '"' and (quoted or begins):
            quoted, begins = not quoted, False
            yield _Character(character, "", plain=False)
        else:
            yield _Character(character, character, plain=not quoted)
            begins = character in before or at(character) or (begins and (character == "-" or character.isspace()))
            first = False
    if quoted:
        raise BadInput(
            "A quote isn't closed.",
            'Close it; `\\"` is a quote inside.',
            example=_EXAMPLE,
            verb="subscribe",
        )


def quote_list(values: Iterable[str]) -> str:
    """Join values so that ``split_list`` and ``unquote_value`` read them back, with quotes only if needed."""
    return ",".join(map(_quote_value, values))


def _quote_value(value: str) -> str:
    if value.startswith(LITERAL_DASH):
        return LITERAL_DASH + _wrap_in_quotes(value.removeprefix(LITERAL_DASH))
    return _wrap_in_quotes(value) if re.search(r'[\s,"\\]', value) else value


def _wrap_in_quotes(value: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def parse_form_list(text: str) -> list[str]:
    """Parse a list in a form's field: separated by commas or line breaks; spaces are part of a value."""
    parts = _split_unquoted(text, _ends_entry, before=",")
    stripped = (part.strip() for part in parts)
    return ["".join(each.kept for each in _scan_characters(part, ",", _ends_entry)) for part in stripped if part]


def _ends_entry(character: str) -> bool:
    return character in ",\r\n"


def format_form_list(values: Iterable[str]) -> str:
    """Join values for a form's field, so that ``parse_form_list`` reads them back."""
    return ", ".join(map(_format_form_value, values))


def _format_form_value(value: str) -> str:
    plain = value == value.strip() and not re.search(r'[,\r\n"\\]', value)
    return value if plain else _quote_value(value)
