"""The words that texts for people avoid, and the texts in the source code where they would be read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

OLD_WORDS = re.compile(
    r"\b(told|tells|stands?|mend(s|ed|ing)?|doors?|lobby|halls?|errands?|amiss|in vain|(of|by) itself|pretend|likewise"
    r"|beneath|hears?|heard of|parted|anew|somebody|woken?|woke|wakes|awake|asked for it|never was|refuses|after all"
    r"|compulsory|troubles?|(un)?foreseen|as far as|any more|drawn|out of reach)\b",
    re.IGNORECASE,
)
"""Words of earlier texts that read as translated, and words for which others are used now (someone, reject, fix)."""

EXCEPTIONS = {
    "zofbot/delivery/outcome_labels.py": ("cannot be drawn",),
    "zofbot/services/canary_diagnosis.py": ("cannot be drawn",),
}
"""Texts that may keep such a word, by file: reasons that earlier versions stored."""


def user_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each literal with a space that is no docstring, script, pattern or log field."""
    tree = ast.parse(path.read_text())
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.Call) and _is_called_on(node.func, "re"):
            skipped |= {id(part) for part in ast.walk(node)}
        if isinstance(node, ast.Call) and _is_called_on(node.func, "log"):
            fields = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
            skipped |= {id(part) for field in fields for part in ast.walk(field)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            text = node.value
            if " " in text.strip() and "redis.call" not in text and "(?:" not in text:
                yield node.lineno, re.sub(r"`[^`]*`", "", text)


def _is_called_on(func: ast.expr, name: str) -> bool:
    """Whether it is a call of a method of ``log`` or ``re``: patterns read what people type."""
    return isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == name
