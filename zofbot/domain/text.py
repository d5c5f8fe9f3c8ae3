"""Clean text that people type or paste, and compare names as they look on cards.

Slack delivers typed text as mrkdwn: ``& < >`` are escaped; links, people, user groups and channels are in angle
brackets (https://docs.slack.dev/messaging/formatting-message-text/). Form fields are delivered as typed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

MAX_INPUT_CHARACTERS = 12_000
"""Longest text accepted: more than any command needs, and than Slack's composer can send (believed)."""

_MARKUP_PATTERN = re.compile(r"<([^<>]*)>|&(amp|lt|gt);")
_LINK_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^|]*")
_MENTION_PATTERN = re.compile(r"(?:[@#]|!subteam\^)[A-Z0-9]+")
_LABEL_PATTERN = re.compile(r"@?[\w.-]+")
_SCHEME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://)?")
_ENTITY_PATTERN = re.compile(r"&(amp|lt|gt);")
_CHARACTER_BY_ENTITY = {"amp": "&", "lt": "<", "gt": ">"}

INVISIBLE_CHARACTERS = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)
"""Invisible characters, as ranges for a regular expression.

Control characters except those that end or separate lines, soft hyphens, zero-width characters, fillers, direction
marks, overrides and isolates (which can reorder text), tags, and lone surrogates. Joiners are not included because
some scripts need them. What else is removed depends on where the text goes.
"""

_INVISIBLE_PATTERN = re.compile(f"[{INVISIBLE_CHARACTERS}\u034f\u17b4\u17b5\u180b-\u180d\U000e0080-\U000e0fff]")
"""Also variation selectors, which are ignored when names are compared."""
_JOINER_PATTERN = re.compile("[\u200c\u200d]")
# Persian, Indic scripts and emoji need joiners between characters; ASCII never does.
_STRAY_JOINER_PATTERN = re.compile("(?<![^\x00-\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\x7f])")
_LINE_END_PATTERN = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACE_PATTERN = re.compile(r"[^\S\n]+")
_STRAIGHT_QUOTES = str.maketrans(dict.fromkeys("“”„‟", '"') | dict.fromkeys("‘’‚‛", "'"))


def read_input(text: str, *, markup: bool = True) -> str:
    """Clean typed text: one line of plain characters, or several if the author pressed Enter.

    With ``markup``, Slack's escapes and links are undone once; mentions stay, as ``<@U…>``, ``<!subteam^S…>`` and
    ``<#C…>``. Invisible characters are removed, quotes become straight, each run of spaces one space, and Unicode is
    NFC. Returns at most ``MAX_INPUT_CHARACTERS``, in time linear in the text.
    """
    plain = _MARKUP_PATTERN.sub(_without_markup, text) if markup else text
    plain = _tidy_text(_LINE_END_PATTERN.sub("\n", plain))
    lines = (_SPACE_PATTERN.sub(" ", line).strip() for line in plain.split("\n"))
    return "\n".join(lines).strip()[:MAX_INPUT_CHARACTERS]


def escape_markup(text: str) -> str:
    """Escape text so that ``read_input`` returns it unchanged; only what looks like Slack's markup is escaped."""
    escaped = _ENTITY_PATTERN.sub(lambda found: f"&amp;{found[1]};", text)
    return _MARKUP_PATTERN.sub(_escape_unless_literal, escaped)


def unescape_entities(text: str) -> str:
    """Undo Slack's escapes of ``&``, ``<`` and ``>``."""
    return _ENTITY_PATTERN.sub(lambda found: _CHARACTER_BY_ENTITY[found[1]], text)


def clean_name(text: str) -> str:
    """Clean a name: one line without invisible characters, with straight quotes and single spaces, in NFC."""
    return " ".join(_tidy_text(text).split())


def count_noun(number: int, noun: str) -> str:
    """Format a count with its noun: ``1 failure``, ``2 failures``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def join_first(parts: Sequence[str], most: int, separator: str) -> str:
    """Join the first ``most`` parts, and count the rest: ``a; b; and 2 more``."""
    more = len(parts) - most
    return separator.join([*parts[:most], *([f"and {more} more"] if more > 0 else [])])


def format_mention(identifier: str) -> str:
    """Return Slack's mention of a person or user group, which notifies them."""
    return f"<!subteam^{identifier}>" if identifier.startswith("S") else f"<@{identifier}>"


@lru_cache(8192)
def fold_name(text: str) -> str:
    """Normalize a name so that two names are equal if they look alike on a card, ignoring case.

    Cards show a backtick in code as an apostrophe, so the two are equal too.
    """
    visible = _JOINER_PATTERN.sub("", clean_name(text)).replace("`", "'")
    return unicodedata.normalize("NFC", visible.casefold())


def _tidy_text(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    visible = _SPACE_PATTERN.sub(" ", _INVISIBLE_PATTERN.sub("", text).translate(_STRAIGHT_QUOTES))
    composed = unicodedata.normalize("NFC", visible)
    return unicodedata.normalize("NFC", _STRAY_JOINER_PATTERN.sub("", composed))


def _without_markup(found: re.Match[str]) -> str:
    if found[2]:
        return _CHARACTER_BY_ENTITY[found[2]]
    target, _, label = found[1].partition("|")
    if _MENTION_PATTERN.fullmatch(target):
        return f"<{target}|{label}>" if _LABEL_PATTERN.fullmatch(label) else f"<{target}>"
    if _LINK_PATTERN.fullmatch(target):
        return unescape_entities(_typed_link(target, label))
    return unescape_entities(found[0])


def _typed_link(target: str, label: str) -> str:
    """Return the text behind a link that Slack made: the label if Slack only added a scheme, else the address."""
    scheme = _SCHEME_PATTERN.match(target)
    added = scheme and target[scheme.end() :].rstrip("/") == label.rstrip("/")
    return label if label and added else target


def _escape_unless_literal(found: re.Match[str]) -> str:
    """Keep an escape, and what ``read_input`` leaves unchanged; else escape the opening bracket."""
    return found[0] if found[2] or _without_markup(found) == found[0] else f"&lt;{found[1]}>"
