"""Words and lists as people type them: split at spaces and commas, but not inside quotes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from zofbot.errors import BadInput
from zofbot.verbs import COMMAND

_EXAMPLE = f'{COMMAND} subscribe case:"cart total*"'
_CLOSES = {'"': '"', "“": "”", "„": "“"}
"""Quotes that open, and what closes each; keyboards and Slack's own composer make curly ones."""


def words(text: str) -> list[str]:
    """Split at spaces and line breaks that are not inside quotes."""
    return _split(text, str.isspace)


def _split(text: str, at: Callable[[str], bool]) -> list[str]:
    """Split where ``at`` says so outside of quotes; quotes and backslashes stay for ``bare`` to take away."""
    parts, closing, escaped = [""], "", False
    for character in text:
        if not closing and not escaped and at(character):
            parts.append("")
            continue
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif closing:
            closing = "" if character in (closing, '"') else closing
        else:
            closing = _CLOSES.get(character, "")
        parts[-1] += character
    if closing:
        raise BadInput("A quote is opened and not closed.", "Close it.", example=_EXAMPLE, verb="subscribe")
    return [part for part in parts if part]


def bare(value: str) -> str:
    """The value without its quotes, its backslashes, and Slack's escapes (the only three there are)."""
    return re.sub(r"&(amp|lt|gt);", lambda found: {"amp": "&", "lt": "<", "gt": ">"}[found[1]], _unquoted(value))


def _unquoted(value: str) -> str:
    return re.sub(r'\\(.)|["“”„]', lambda found: found[1] or "", value, flags=re.DOTALL)


def listed(text: str) -> list[str]:
    """Split at commas that are not inside quotes."""
    return _split(text, lambda character: character == ",")


def quoted(values: Iterable[str]) -> str:
    """A list that ``listed`` and ``bare`` read back, with quotes only where they are needed."""
    return ",".join(map(_quote, values))


def _quote(value: str) -> str:
    safe = re.sub(r"&(?=(?:amp|lt|gt);)", "&amp;", value)  # bare would take it for Slack's own escape
    return _in_quotes(safe) if re.search(r'[\s,"“”„\\]', safe) else safe


def _in_quotes(value: str) -> str:
    return '"' + re.sub(r'(["“”„\\])', r"\\\1", value) + '"'


def entered(text: str) -> list[str]:
    """Read a list as it stands in a field of a form: parted by commas or line breaks, spaces being part of a value.

    Slack escapes nothing there.
    """
    parts = _split(text, lambda character: character in ",\r\n")
    return [_unquoted(part.strip()) for part in parts if part.strip()]


def shown(values: Iterable[str]) -> str:
    """A list for a field of a form, which ``entered`` reads back."""
    return ", ".join(map(_show, values))


def _show(value: str) -> str:
    plain = value == value.strip() and not re.search(r'[,\r\n"“”„\\]', value)
    return value if plain else _in_quotes(value)
