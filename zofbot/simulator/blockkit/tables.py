"""Validation of tables: https://docs.slack.dev/reference/block-kit/blocks/table-block .

That empty cells are refused is known from https://github.com/getnao/nao/issues/1143 . The page names no method but
``chat.postMessage``; that private messages may have tables is believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zofbot.simulator.blockkit.rich_text import RICH_TEXT
from zofbot.simulator.blockkit.rules import (
    ObjectRule,
    Rule,
    check_boolean,
    choice_rule,
    format_problem,
    list_rule,
    string_rule,
    typed_rule,
)

MAX_TABLE_CHARACTERS = 10_000
"""Maximum characters in all cells of a message."""


def _check_filled(value: Any, where: str) -> Iterator[str]:
    """Require something in each section of a cell."""
    for index, part in enumerate(value.get("elements") or ()):
        if isinstance(part, dict) and not part.get("elements"):
            yield format_problem(f"{where}/elements/{index}", "missing required field: element")


def _check_number(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        yield format_problem(where, "must be a number")


_CELL = typed_rule(
    {
        "raw_text": ObjectRule({"text": string_rule(3000)}),
        "raw_number": ObjectRule({"value": _check_number}, {"text": string_rule(3000)}),
        "rich_text": ObjectRule({"elements": list_rule(RICH_TEXT, 100)}, also=_check_filled),
    },
    "cell",
)
_SETTINGS = ObjectRule(may={"align": choice_rule("left", "center", "right"), "is_wrapped": check_boolean})


def _check_settings(value: Any, where: str) -> Iterator[str]:
    """One column's settings, or null to skip it."""
    if value is not None:
        yield from _SETTINGS(value, where)


TABLE_FIELDS: tuple[dict[str, Rule], dict[str, Rule]] = (
    {"rows": list_rule(list_rule(_CELL, 20), 100)},
    {"column_settings": list_rule(_check_settings, 20)},
)
"""Required and optional fields of a table."""


def count_characters(node: Any) -> int:
    """Count the characters of all texts in a table."""
    if isinstance(node, dict):
        own = node.get("text")
        return (len(own) if isinstance(own, str) else 0) + sum(map(count_characters, node.values()))
    return sum(map(count_characters, node)) if isinstance(node, list) else 0
