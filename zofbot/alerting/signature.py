"""The signature of a failure: equal for failures of the same cause, whatever their ids, times and data are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from zofbot.alerting.failure_text import FailureText, read_failure
from zofbot.alerting.normal_form import VARIABLE, normalize_line
from zofbot.alerting.stack_frames import Frame, Origin

VERSION = "s1"
"""Changes with the rules: signatures of different versions never compare."""

MAX_LINES = 6
"""Lines of a failure that count; what follows is most often a dump, and may be clipped."""


class Signature(NamedTuple):
    """A signature, such as ``s1-3f9a…``, and the normal form that it stands for, which explains it to people."""

    id: str
    normalized: str


def sign(text: str) -> Signature:
    """The signature of a failure text; it depends on nothing but the text, and never fails."""
    failure = read_failure(text)
    lines = _normal_lines(failure.lines)
    frame = _telling_frame(failure, "\n".join(lines))
    normalized = "\n".join([*lines, str(frame)] if frame else lines)
    digest = blake2b(normalized.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return Signature(f"{VERSION}-{digest}", normalized)


def group_by_signature(failures: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Group failures, each an id and its text, by signature; the same groups whatever their order.

    Groups are ordered by size, then by signature; the ids of a group are sorted, and each stands there once.
    """
    groups: dict[str, set[str]] = {}
    for identifier, text in failures:
        groups.setdefault(sign(text).id, set()).add(identifier)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return {signature: sorted(identifiers) for signature, identifiers in ordered}


_ONLY_VALUES = re.compile(r"(?:(?:- )?[A-Za-z]\w*(?: \w+)?[:=]\s*['\"]?<\*>['\"]?[\s|,;]*)+$|[\s\W]*(?:<\*>[\s\W]*)+$")


def _normal_lines(lines: list[str]) -> list[str]:
    """The lines that count, each once; those that hold values alone only where there is nothing else."""
    normal = dict.fromkeys(normalize_line(line).rstrip(" .:;,") for line in lines[: 2 * MAX_LINES])
    normal.pop("", None)
    telling = [line for line in normal if not _ONLY_VALUES.match(line)]
    return (telling or list(normal))[:MAX_LINES]


# The surroundings are to blame, not the code that happened to call: wherever it fails, it is one cause.
_SURROUNDINGS = re.compile(
    r"""
      \bE(?:CONN\w+|AI_\w+|NOTFOUND|TIMEDOUT|HOSTUNREACH|NETUNREACH|PIPE|MFILE|NOSPC|ADDRINUSE|ACCES|PROTO)\b
    | net::ERR_\w+ | \bERR_[A-Z_]{4,} | [Cc]onnection\ (?:was\ )?(?:refused|reset) | No\ route\ to\ host | [Nn]o\ such\ host
    | [Tt]oo\ many\ (?:clients|connections|open\ files) | remaining\ connection\ slots | [Cc]onnection\ pool | [Pp]ool\ (?:exhausted|timeout|limit) | [Cc]onnection\ is\ not\ available
    | No\ space\ left | out\ of\ memory | OutOfMemory | \bOOM | heap\ (?:space|out) | [Cc]ertificate | \bSSL | \bTLS | handshake
    | code\ =\ Unavailable | \bUNAVAILABLE\b | name\ resolution | [Uu]nknown[Hh]ost | browser\ has\ (?:been\ closed|disconnected)
    | <\*>\ /\w | \b(?:GET|POST|PUT|PATCH|DELETE|HEAD)\s | \burl:\s | [dD]eadlock | \bSQLSTATE | relation\ ' | column\ '
    | [Ll]ocator | [Ss]elector | getBy\w+ | no\ such\ element | never\ found | Unable\ to\ (?:find|locate)
    """,
    re.VERBOSE,
)
_NAMES = re.compile(r"'[^'<>]{2,}'|\b[a-z]+_[a-z_]+\b|\b[a-z]+[A-Z]\w+\b|\b\w+\.\w+\(|\b\w+\(\)|\b[1-5]\d\d\b")
_COMMON_WORDS = re.compile(r"expect\(received\)\.?\w*(?:\.\w+)?\((?:expected)?\)|toBe\w*|toEqual|Assert\.\w+\(\)|assertEqual|(?:\w+\.)+\w*(?:Error|Exception)\b")


def _telling_frame(failure: FailureText, message: str) -> Frame | None:
    """The frame that belongs to the cause: the innermost one of the product; of a test only if nothing else tells."""
    frame = next((frame for frame in failure.frames if frame.origin is Origin.PRODUCT and (frame.function or frame.file)), None)
    if frame is not None:
        return None if _SURROUNDINGS.search(message) else frame
    if _NAMES.search(_COMMON_WORDS.sub("", message)) or _SURROUNDINGS.search(message):
        return None
    if len(_words(message)) > 12:
        return None
    return next((frame for frame in failure.frames if frame.origin is Origin.TEST), None)


def _words(message: str) -> list[str]:
    return [word for word in re.findall(r"[A-Za-z]{3,}", message.replace(VARIABLE, " "))]
