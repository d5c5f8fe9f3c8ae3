"""Patterns that names are compared with: ``*`` and ``?`` stand for other characters, ``-`` in front excludes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache

from zofbot.domain.text import fold_name
from zofbot.subscriptions.tokenizer import LITERAL_DASH


def matches_patterns(patterns: Sequence[str], names: Collection[str]) -> bool:
    """Whether any name is included (all are when no pattern includes) and none is excluded, by ``fold_name``."""
    wanted = including_patterns(patterns)
    return (not wanted or matches_any(wanted, names)) and not matches_any(excluding_patterns(patterns), names)


def including_patterns(patterns: Iterable[str]) -> list[str]:
    """The patterns that include."""
    return [pattern for pattern in patterns if not pattern.startswith("-")]


def excluding_patterns(patterns: Iterable[str]) -> list[str]:
    """The patterns that exclude, without their dash."""
    return [pattern[1:] for pattern in patterns if pattern.startswith("-")]


def matches_any(patterns: Iterable[str], names: Collection[str]) -> bool:
    """Whether any of the patterns is any of the names."""
    return any(_compile_glob(pattern)(fold_name(name)) for pattern in patterns for name in names)


def is_glob(pattern: str) -> bool:
    """Whether it may stand for several names."""
    return "*" in pattern or "?" in pattern


def to_literal_pattern(name: str) -> str:
    """The pattern that includes a name: one that begins with a dash would exclude."""
    return f"\\{name}" if name.startswith("-") else name


@lru_cache(4096)
def _compile_glob(pattern: str) -> Callable[[str], object]:
    literal_dash = pattern.startswith(LITERAL_DASH)
    name = fold_name(pattern[1:] if literal_dash else pattern)
    # fnmatch's own expression never tries one star twice, so no pattern takes long; its brackets are made literal.
    return re.compile(fnmatch.translate(name.replace("[", "[[]"))).match
