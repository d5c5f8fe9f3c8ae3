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
    unquoted = re.sub(r'\\(.)|["“”„]', lambda found: found[1] or "", value, flags=re.DOTALL)
    return re.sub(r"&(amp|lt|gt);", lambda found: {"amp": "&", "lt": "<", "gt": ">"}[found[1]], unquoted)


def listed(text: str) -> list[str]:
    """Split at commas that are not inside quotes."""
    return _split(text, lambda character: character == ",")


def quoted(values: Iterable[str]) -> str:
    """A list that ``listed`` and ``bare`` read back, with quotes only where they are needed."""
    return ",".join(map(_quote, values))


def _quote(value: str) -> str:
    safe = re.sub(r"&(?=(?:amp|lt|gt);)", "&amp;", value)  # bare would take it for Slack's own escape
    if not re.search(r'[\s,"“”„\\]', safe):
        return safe
    return '"' + re.sub(r'(["“”„\\])', r"\\\1", safe) + '"'
