"""Distinguish words written by people from generated strings."""

from __future__ import annotations

import re

STATE_WORDS = frozenset(
    [
        "required", "missing", "invalid", "incorrect", "wrong", "expired", "empty", "blank", "none", "null", "nil",
        "true", "false", "undefined", "optional", "yes", "no", "ok", "rejected", "accepted", "changed", "updated",
        "reset", "visible", "hidden", "string", "bearer", "basic", "digest", "token",
    ]
)  # fmt: skip
"""Values after a secret's name that are no secrets."""

MAX_JUDGED_CHARACTERS = 128
"""Characters of a value that are examined, so that many names in one long run do not cost quadratic time."""

_WORD_PATTERN = re.compile(r"([A-Z]?[a-z]+(?:[A-Z][a-z]{2,})*|[A-Z]+)\d{0,3}|\d{1,4}")
_PART_PATTERN = re.compile(r"[^\W_]+")


def reads_as_words(text: str, *, digits: bool = True) -> bool:
    """Whether text consists of words, however joined, with short numbers unless ``digits`` is false."""
    parts = _PART_PATTERN.findall(text[:MAX_JUDGED_CHARACTERS])
    found = [(part.isalpha() and not part.isascii()) or _WORD_PATTERN.fullmatch(part) for part in parts]
    return bool(parts) and all(found) and (digits or not any(letter.isdigit() for letter in text))


def is_prose(value: str) -> bool:
    """Whether text may be part of a sentence: only letters and punctuation."""
    return reads_as_words(value, digits=False) and not re.search(r"[a-z][A-Z]|[^\w\s.,!?…'’/-]", value)
