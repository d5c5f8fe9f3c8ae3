"""Why a Redis that answers refuses what it is asked: its memory, its disk, its role, or the permissions of the user."""

from __future__ import annotations

import re
from dataclasses import dataclass

from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError

_ACL_FIX = "Give the user what `ACL SETUSER` in docs/operate.md gives."

_CAUSE_BY_WORD: dict[str, tuple[str, str]] = {
    "OOM": (
        "Redis has reached its memory limit (maxmemory) and refuses to write.",
        "Raise maxmemory, or move what else is kept there.",
    ),
    "MISCONF": ("Redis could not save to its disk and refuses to write.", "Look at its disk and its log."),
    "READONLY": ("Redis is a replica and refuses to write.", "Point REDIS_URL to the primary."),
    "NOREPLICAS": (
        "Redis refuses to write while too few replicas follow (min-replicas-to-write).",
        "Look why they do not follow it.",
    ),
    "NOPERM": ("Redis does not let zofbot's user do this.", _ACL_FIX),
}
"""By the first word of Redis' error, what it means and what mends it (https://redis.io/docs/latest/develop/reference/protocol-spec)."""

_WORD_BY_CLASS = {OutOfMemoryError: "OOM", ReadOnlyError: "READONLY", NoPermissionError: "NOPERM"}
_WORD_PATTERN = re.compile(rf"\b({'|'.join(_CAUSE_BY_WORD)})\b")


@dataclass(frozen=True)
class WriteRefusal:
    """``word`` is Redis' own; ``what`` and ``mend`` are for an operator and quote nothing that Redis was asked."""

    word: str
    what: str
    mend: str


def find_refusal(error: BaseException | None) -> WriteRefusal | None:
    """What ``error``, or what caused it, says of Redis' refusal; None where Redis refused nothing."""
    while error is not None:
        if word := _refusal_word(error):
            what, mend = _CAUSE_BY_WORD[word]
            return WriteRefusal(word, _describe_permission(str(error)) or what, mend)
        error = error.__cause__
    return None


def _refusal_word(error: BaseException) -> str:
    for kind, word in _WORD_BY_CLASS.items():  # the client takes the word off these
        if isinstance(error, kind):
            return word
    text = str(error)
    if found := _WORD_PATTERN.search(text):
        return found[1]
    return "NOPERM" if "no permissions" in text.lower() else ""  # inside of a script


def _describe_permission(text: str) -> str:
    if command := re.search(r"permissions to run the '([\w|-]{1,40})' command", text):
        return f"Redis does not let zofbot's user run {command[1].upper()}."
    if "permissions to access" in text.lower():
        return "Redis does not let zofbot's user reach the keys of ZOFBOT_NAMESPACE."
    return ""
