"""Normalize a line of a failure: replace what varies between occurrences, keep names and codes."""

from __future__ import annotations

import re
from functools import lru_cache

from zofbot.alerting.failure_signature.numbers import take_out_numbers
from zofbot.alerting.failure_signature.quoted import QuotedKind, is_capitalized, judge_quoted
from zofbot.alerting.failure_signature.variable_parts import VARIABLE, take_out_places, take_out_times
from zofbot.domain.redaction import MASK, redact

MAX_LINE_CHARACTERS = 400
"""Characters of a line that are normalized, which bounds the cost of each pattern."""

_NAMES_A_SECRET = (
    "pass",
    "pwd",
    "secret",
    "key",
    "token",
    "session",
    "cookie",
    "bearer",
    "basic",
    "digest",
    "eyJ",
    "xox",
    "xapp",
    "://",
)
_MASK_SIGNS = ("***", "███", "•••", "redacted", "filtered", "masked", "hidden")
_MASKED = re.compile(
    r"(?<!\*)\*{3,}(?!\*)|█{3,}|•{3,}|\[(?:redacted|filtered|masked|hidden)\]|<(?:redacted|filtered|masked|hidden)>",
    re.IGNORECASE,
)
"""What other tools print in place of a secret."""

_LONG_WORD = re.compile(r"[\w-]{16}")
_DIGITS = frozenset("0123456789")
_PLAIN = re.compile(r"(?:[A-Za-z_ ,;:!?()-]|\.(?=\s|$))*$")
_QUOTED = re.compile(
    r"""'(?<![\w\\]')([^'\n]{0,300})'(?![A-Za-z])|"([^"\n]{0,300})"|`([^`\n]{0,300})`|“([^”\n]{0,300})”|‘([^’\n]{0,300})’|«([^»\n]{0,300})»"""
)
_COMPARED_STATE = re.compile(r"""['"<](?:[A-Z][a-z]+ed|Active|Open|New|Draft|Done)['">]""")
_ANGLED = re.compile(
    r"((?:expected|but was|was|actual|got|is|not|to be):?\s?(?:not )?(?:equal to )?:?)<([^<>\n]{0,200})>", re.IGNORECASE
)
_JOINED = re.compile(r"<\*>(?:[A-Z]{0,2}[-#$€£+~_./:\\]?<\*>)+")
_ARRAY = re.compile(r"array: \[.*")
_SIGNED = re.compile(r"[#$€£+~-]<\*>")
_LIST = re.compile(r"([\"'`]?<\*>[\"'`]?)(?:(?:\s*[,;|&x×/–-]\s*|\s+(?:(?:and|to|of|x|×)\s+)?)[\"'`]?<\*>[\"'`]?)+")
_PLURAL = re.compile(
    r"(<\*> (?:[a-z]+ )?(?!(?:was|has|does|its|always)\b)[a-z]{2,}?)"
    r"(?:\(e?s\)|(?<=ch)es|(?<=sh)es|(?<=ss)es|(?<=x)es|(?<![isu])s|(ies))\b"
)


def normalize_line(line: str) -> str:
    """Normalize a line; runs of spaces become one space.

    Secrets that ``redact`` would mask are replaced too, so that a text and its redacted form are equal.
    """
    return _normalize_cached(" ".join(line.split()))


def forget_lines() -> None:
    """Clear the cache of lines."""
    _normalize_cached.cache_clear()


@lru_cache(maxsize=2048)
def _normalize_cached(line: str) -> str:
    line = _redact_secrets(line)[:MAX_LINE_CHARACTERS]
    if not _may_vary(line):
        return line
    has_digits = not _DIGITS.isdisjoint(line)
    if has_digits:
        line = take_out_times(line)
    line = _QUOTED.sub(_replace_quoted, take_out_places(line))
    if "array: [" in line:
        line = _ARRAY.sub(f"array: {VARIABLE}", line)
    if "<" in line:
        line = _ANGLED.sub(_replace_angled, line)
    if has_digits:
        line = take_out_numbers(line)
    return _collapse_repeats(line)


def _redact_secrets(line: str) -> str:
    """Redact a line, only if it may contain a secret, because redaction costs more than everything else."""
    lower = line.lower()
    if any(word in lower for word in _NAMES_A_SECRET) or _LONG_WORD.search(line):
        line = redact(line)
    if any(sign in lower for sign in _MASK_SIGNS):
        line = _MASKED.sub(VARIABLE, line)
    return line.replace(MASK, VARIABLE)


def _may_vary(line: str) -> bool:
    return _PLAIN.match(line) is None or "localhost" in line or "ENOTFOUND" in line


def _replace_quoted(found: re.Match[str]) -> str:
    content = next(group for group in found.groups() if group is not None)
    if content.strip() == VARIABLE:
        return VARIABLE
    before = found.string[max(0, found.start() - 80) : found.start()]
    kind = judge_quoted(content, before, found.string[found.end() : found.end() + 30])
    if kind is QuotedKind.DATA and not (is_capitalized(content) and _COMPARED_STATE.search(found.string)):
        return VARIABLE
    if kind is QuotedKind.TEXT and ("'" in content or '"' in content):
        content = _QUOTED.sub(_replace_quoted, content)
    return f"'{content}'"


def _replace_angled(found: re.Match[str]) -> str:
    content = found[2].replace("[", "").replace("]", "")
    if content == "*":
        return found[0]
    if content.isdigit():
        return f"{found[1].rstrip()} {content}"
    is_data = judge_quoted(content, f"{found[1]} ", "") is QuotedKind.DATA
    return f"{found[1].rstrip()} {VARIABLE if is_data else content}"


def _collapse_repeats(line: str) -> str:
    if VARIABLE not in line:
        return line
    line = line.replace(f"'{VARIABLE}'", VARIABLE)
    line = _SIGNED.sub(VARIABLE, _JOINED.sub(VARIABLE, line))
    line = _LIST.sub(VARIABLE, line)
    return _PLURAL.sub(_make_singular, line)


def _make_singular(found: re.Match[str]) -> str:
    return found[1] + ("y" if found[2] else "")
