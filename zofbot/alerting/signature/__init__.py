"""Signatures of failures: equal where the cause is the same, whatever ids, times and data stand in the text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from zofbot.alerting.signature.failure_text import FailureText, read_failure
from zofbot.alerting.signature.normal_form import forget_lines, normalize_line
from zofbot.alerting.signature.stack_frames import Frame, Origin, forget_frames
from zofbot.alerting.signature.variable_parts import VARIABLE

VERSION = "s1"
"""Stands before each signature, and changes with the rules: signatures of different versions do not compare."""

MAX_LINES = 6
"""Lines of a failure that count; what follows is most often a dump, and may be cut off."""

MAX_WORDS_BEFORE_TESTS_TELL = 12
"""A message of more words says enough without the test that it came from."""


class Signature(NamedTuple):
    """A signature, such as ``s1-3f9a…``, and the normal form it stands for, which shows people why texts are joined."""

    id: str
    normalized: str


def make_signature(text: str) -> Signature:
    """Make the signature of a failure text, which depends on nothing but the text. No text is refused."""
    failure = read_failure(text)
    lines = _normal_lines(failure.lines)
    frame = _telling_frame(failure, "\n".join(lines)) if failure.frames else None
    normalized = "\n".join([*lines, str(frame)] if frame else lines)
    digest = blake2b(normalized.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return Signature(f"{VERSION}-{digest}", normalized)


def forget_texts() -> None:
    """Empty the memory of lines and frames, which speeds up what comes next, so that a test measures the first time."""
    forget_lines()
    forget_frames()


def group_by_signature(failures: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Group failures, each an id and its text, by signature; the order in which they come changes nothing.

    Groups are ordered by size, largest first, then by signature; a group's ids are sorted and named once each.
    """
    groups: dict[str, set[str]] = {}
    for identifier, text in failures:
        groups.setdefault(make_signature(text).id, set()).add(identifier)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return {signature: sorted(identifiers) for signature, identifiers in ordered}


_LABELLED_VALUES = re.compile(r"(?:(?:- )?[A-Za-z]\w*+(?: \w++)?[:=]\s*['\"]?<\*>['\"]?[\s|,;]*)+$")
_WORD_CHARACTER = re.compile(r"\w")


def _holds_only_values(line: str) -> bool:
    """Whether nothing is left of a line but labels, such as ``Expected: <*>``."""
    return _LABELLED_VALUES.match(line) is not None or not _WORD_CHARACTER.search(line.replace(VARIABLE, ""))


def _normal_lines(lines: list[str]) -> list[str]:
    """The lines that count, each once; those that hold values alone only where there is nothing else."""
    normal = dict.fromkeys(normalize_line(line).rstrip(" .:;,") for line in lines[: 2 * MAX_LINES])
    normal.pop("", None)
    telling = [line for line in normal if not _holds_only_values(line)]
    return (telling or list(normal))[:MAX_LINES]


_NOT_THE_CALLER = (
    "econn", "eai_", "enotfound", "etimedout", "ehostunreach", "enetunreach", "epipe", "emfile", "enospc", "eaddrinuse",
    "eacces", "err_", "connection refused", "connection reset", "connection was re", "connection is not available",
    "no route to host", "no such host", "too many clients", "too many connections", "too many open files",
    "remaining connection slots", "connection pool", "pool exhausted", "pool timeout", "pool limit", "no space left",
    "out of memory", "outofmemory", "oom", "heap space", "heap out", "certificate", "ssl", "tls", "handshake",
    "code = unavailable", ": unavailable", ".unavailable", "name resolution", "unknownhost", "browser has", "deadlock",
    "sqlstate", "relation '", "column '", "<*> /", "get /", "post /", "put /", "patch /", "delete /", "head /", "url: ",
    "get <", "post <", "put <", "patch <", "delete <", "head <", "locator", "selector", "getby", "by.",
    "no such element", "never found", "unable to find", "unable to locate",
)  # fmt: skip
"""Signs that what is to blame is not the code that happened to call: wherever it fails, it is one cause."""

_NAMES = re.compile(r"'[^'<>]{2,}'|\b[a-z]+_[a-z_]+\b|\b[a-z]+[A-Z]\w+\b|\b\w+\.\w+\(|\b\w+\(\)|\b[1-5]\d\d\b")
_NAMES_NOTHING = re.compile(
    r"expect\((?:jest\.fn\(\)|\w*)\)(?:\.\w+){1,3}(?:\([^()]*\))?|toBe\w*|toEqual|Assert\.\w+\(\)|assertEqual"
    r"|\b[\w.]{1,200}(?:Error|Exception)\b"
)
_WORD = re.compile(r"[A-Za-z]{3,}")


def _telling_frame(failure: FailureText, message: str) -> Frame | None:
    """The frame that belongs to the cause: the product's innermost; a test's only where the message names nothing."""
    lower = message.lower()
    if any(sign in lower for sign in _NOT_THE_CALLER):
        return None
    product = next((frame for frame in failure.frames if frame.origin is Origin.PRODUCT and any(frame[:2])), None)
    if product is not None:
        return product
    if _NAMES.search(_NAMES_NOTHING.sub("", message)) or len(_WORD.findall(message)) > MAX_WORDS_BEFORE_TESTS_TELL:
        return None
    return next((frame for frame in failure.frames if frame.origin is Origin.TEST), None)
