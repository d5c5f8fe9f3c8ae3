"""Signatures of failures: equal for the same cause, whatever ids, times and data the text contains."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from zofbot.alerting.failure_signature.failure_text import FailureText, read_failure
from zofbot.alerting.failure_signature.normal_form import forget_lines, normalize_line
from zofbot.alerting.failure_signature.stack_frames import Frame, Origin, forget_frames
from zofbot.alerting.failure_signature.variable_parts import VARIABLE

VERSION = "s2"
"""Prefix of each signature; it changes with the rules, as signatures of different versions cannot be compared."""

MAX_LINES = 6
"""Lines of a failure that are used; what follows is usually a dump, and may be truncated."""

MAX_WORDS_BEFORE_TESTS_TELL = 12
"""A message with more words is specific enough without the test's name."""


class Signature(NamedTuple):
    """A signature, such as ``s2-3f9a…``, and the normalized text behind it, which shows why failures are grouped."""

    id: str
    normalized: str


def make_signature(text: str) -> Signature:
    """Compute the signature of a failure text. It depends only on the text, and accepts any text."""
    failure = read_failure(text)
    lines = _normal_lines(failure.lines)
    frame = _telling_frame(failure, "\n".join(lines)) if failure.frames else None
    normalized = "\n".join([*lines, str(frame)] if frame else lines)
    digest = blake2b(normalized.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return Signature(f"{VERSION}-{digest}", normalized)


def forget_texts() -> None:
    """Clear the caches of lines and frames, so that tests can measure an uncached call."""
    forget_lines()
    forget_frames()


def group_by_signature(failures: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Group failures, each an id and its text, by signature, whatever their order.

    Groups are sorted by size, largest first, then by signature; a group's ids are sorted and unique.
    """
    groups: dict[str, set[str]] = {}
    for identifier, text in failures:
        groups.setdefault(make_signature(text).id, set()).add(identifier)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return {signature: sorted(identifiers) for signature, identifiers in ordered}


_LABELLED_VALUES = re.compile(r"(?:(?:- )?[A-Za-z]\w*+(?: \w++)?[:=]\s*['\"]?<\*>['\"]?[\s|,;]*)+$")
_WORD_CHARACTER = re.compile(r"\w")


def _holds_only_values(line: str) -> bool:
    """Whether a normalized line has only labels left, such as ``Expected: <*>``."""
    return _LABELLED_VALUES.match(line) is not None or not _WORD_CHARACTER.search(line.replace(VARIABLE, ""))


def _normal_lines(lines: list[str]) -> list[str]:
    """Return the unique normalized lines to use; those with only values are used if there are no others."""
    normal = dict.fromkeys(normalize_line(line).rstrip(" .:;,") for line in lines[: 2 * MAX_LINES])
    normal.pop("", None)
    telling = [line for line in normal if not _holds_only_values(line)]
    return (telling or list(normal))[:MAX_LINES]


_NOT_THE_CALLER = (
    "econn", "eai_", "enotfound", "etimedout", "ehostunreach", "enetunreach", "epipe", "emfile", "enospc",
    "eaddrinuse", "eacces", "err_", "connection refused", "connection reset", "connection was re",
    "connection is not available", "no route to host", "no such host", "too many clients", "too many connections",
    "too many open files", "remaining connection slots", "connection pool", "pool exhausted", "pool timeout",
    "pool limit", "no space left", "out of memory", "outofmemory", "oom", "heap space", "heap out", "certificate",
    "ssl", "tls", "handshake", "code = unavailable", ": unavailable", ".unavailable", "name resolution",
    "unknownhost", "browser has", "deadlock found", "deadlock detected", "deadlock victim", "sqlstate", "relation '",
    "column '", "<*> /", "get /", "post /", "put /", "patch /", "delete /", "head /", "url: ", "get <", "post <",
    "put <", "patch <", "delete <", "head <", "locator", "selector", "getby", "by.", "no such element", "never found",
    "unable to find", "unable to locate",
)  # fmt: skip
"""Signs that the calling code is not the cause: such failures have the same cause wherever they occur."""

_NAMES = re.compile(r"'[^'<>]{2,}'|\b[a-z]+_[a-z_]+\b|\b[a-z]+[A-Z]\w+\b|\b\w+\.\w+\(|\b\w+\(\)|\b[1-5]\d\d\b")
_NAMES_NOTHING = re.compile(
    r"expect\((?:jest\.fn\(\)|\w*)\)(?:\.\w+){1,3}(?:\([^()]*\))?|toBe\w*|toEqual|Assert\.\w+\(\)|assertEqual"
    r"|\b[\w.]{1,200}(?:Error|Exception)\b"
)
_WORD = re.compile(r"[A-Za-z]{3,}")


def _telling_frame(failure: FailureText, message: str) -> Frame | None:
    """Return the frame of the cause: the product's innermost, or a test's if the message names nothing specific."""
    lower = message.lower()
    if any(sign in lower for sign in _NOT_THE_CALLER):
        return None
    product = next((frame for frame in failure.frames if frame.origin is Origin.PRODUCT and any(frame[:2])), None)
    if product is not None:
        return product
    if _NAMES.search(_NAMES_NOTHING.sub("", message)) or len(_WORD.findall(message)) > MAX_WORDS_BEFORE_TESTS_TELL:
        return None
    return next((frame for frame in failure.frames if frame.origin is Origin.TEST), None)
