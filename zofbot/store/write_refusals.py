"""Explain why Redis refuses a command: its memory, disk or role, or the user's permissions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError

_ACL_FIX = "Give the user the permissions of `ACL SETUSER` in docs/operate.md."

_CAUSE_BY_WORD: dict[str, tuple[str, str]] = {
    "OOM": (
        "Redis has reached its memory limit (maxmemory) and rejects writes.",
        "Raise maxmemory, or move other data elsewhere.",
    ),
    "MISCONF": ("Redis could not save to its disk and rejects writes.", "Check its disk and its log."),
    "READONLY": ("Redis is a replica and rejects writes.", "Point REDIS_URL to the primary."),
    "NOREPLICAS": (
        "Redis rejects writes because too few replicas are connected (min-replicas-to-write).",
        "Find out why they do not connect.",
    ),
    "NOPERM": ("Redis does not allow this for zofbot's user.", _ACL_FIX),
}
"""Cause and fix by the first word of Redis' error (https://redis.io/docs/latest/develop/reference/protocol-spec)."""

_WORD_BY_CLASS = {OutOfMemoryError: "OOM", ReadOnlyError: "READONLY", NoPermissionError: "NOPERM"}
_WORD_PATTERN = re.compile(rf"\b({'|'.join(_CAUSE_BY_WORD)})\b")


@dataclass(frozen=True)
class WriteRefusal:
    """First word of Redis' error, its cause (``what``) and its fix; contains no data from the command."""

    word: str
    what: str
    fix: str


def find_refusal(error: BaseException | None) -> WriteRefusal | None:
    """Find Redis' refusal in ``error`` or its causes; None if there is none."""
    while error is not None:
        if word := _refusal_word(error):
            what, fix = _CAUSE_BY_WORD[word]
            return WriteRefusal(word, _describe_permission(str(error)) or what, fix)
        error = error.__cause__
    return None


def _refusal_word(error: BaseException) -> str:
    for error_class, word in _WORD_BY_CLASS.items():  # redis-py strips the word from these
        if isinstance(error, error_class):
            return word
    text = str(error)
    if found := _WORD_PATTERN.search(text):
        return found[1]
    return "NOPERM" if "no permissions" in text.lower() else ""  # from inside a script


def _describe_permission(text: str) -> str:
    if command := re.search(r"permissions to run the '([\w|-]{1,40})' command", text):
        return f"Redis does not allow zofbot's user to run {command[1].upper()}."
    if "permissions to access" in text.lower():
        return "Redis does not allow zofbot's user to access the keys of ZOFBOT_NAMESPACE."
    return ""
