"""Patterns for names: ``*`` and ``?`` are wildcards, a leading ``-`` excludes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache

from zofbot.domain.text import fold_name
from zofbot.subscriptions.tokenizer import LITERAL_DASH


def matches_patterns(patterns: Sequence[str], names: Collection[str]) -> bool:
    """Whether any name is included (all are if no pattern includes) and none is excluded, compared by ``fold_name``."""
    wanted = including_patterns(patterns)
    return (not wanted or matches_any(wanted, names)) and not matches_any(excluding_patterns(patterns), names)


def including_patterns(patterns: Iterable[str]) -> list[str]:
    """Return the patterns that include."""
    return [pattern for pattern in patterns if not pattern.startswith("-")]


def excluding_patterns(patterns: Iterable[str]) -> list[str]:
    """Return the patterns that exclude, without their dash."""
    return [pattern[1:] for pattern in patterns if pattern.startswith("-")]


def matches_any(patterns: Iterable[str], names: Collection[str]) -> bool:
    """Whether any of the patterns matches any of the names."""
    return any(_compile_glob(pattern)(fold_name(name)) for pattern in patterns for name in names)


def is_glob(pattern: str) -> bool:
    """Whether the pattern has wildcards."""
    return "*" in pattern or "?" in pattern


def to_literal_pattern(name: str) -> str:
    """Return the pattern that includes a name, with a leading dash escaped because it would exclude."""
    return f"\\{name}" if name.startswith("-") else name


@lru_cache(4096)
def _compile_glob(pattern: str) -> Callable[[str], object]:
    literal_dash = pattern.startswith(LITERAL_DASH)
    name = fold_name(pattern[1:] if literal_dash else pattern)
    # fnmatch's expression does not backtrack over stars, so no pattern is slow; brackets are made literal.
    return re.compile(fnmatch.translate(name.replace("[", "[[]"))).match
