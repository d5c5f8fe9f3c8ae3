"""Read text that people type or paste, and compare names as they look on cards.

Slack delivers what is typed as mrkdwn: ``& < >`` are escaped; links, people, user groups and channels stand in angle
brackets (https://docs.slack.dev/messaging/formatting-message-text/). Fields of a form are delivered as they were typed.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAX_INPUT_CHARACTERS = 12_000
"""The longest text that is read: more than any command needs, and than Slack's composer lets people send (believed)."""

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
"""What no reader of a text sees, as ranges for a regular expression.

Control characters but those that end or part lines, soft hyphens, zero-width characters, fillers, marks, overrides and
isolates of direction, which can make text read backwards, tags, and lone surrogates. Joiners are not among them: they
spell words in some scripts. What else is dropped depends on where the text goes.
"""

_INVISIBLE_PATTERN = re.compile(f"[{INVISIBLE_CHARACTERS}\u034f\u17b4\u17b5\u180b-\u180d\U000e0080-\U000e0fff]")
"""With what chooses variants of letters: names are compared without."""
_JOINER_PATTERN = re.compile("[\u200c\u200d]")
# Persian, Indic scripts and emoji need joiners between their characters; nothing of ASCII does.
_STRAY_JOINER_PATTERN = re.compile("(?<![^\x00-\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\x7f])")
_LINE_END_PATTERN = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACE_PATTERN = re.compile(r"[^\S\n]+")
_STRAIGHT_QUOTES = str.maketrans(dict.fromkeys("“”„‟", '"') | dict.fromkeys("‘’‚‛", "'"))


def read_input(text: str, *, markup: bool = True) -> str:
    """Read text as its author meant it: one line of plain characters, or several where they pressed Enter.

    Slack's ``markup``, where there is any, is undone once: escapes and links. Mentions stay, as ``<@U…>``,
    ``<!subteam^S…>`` and ``<#C…>``. Invisible characters are dropped, quotes are straight, each run of spaces is one
    space, and Unicode is NFC. At most ``MAX_INPUT_CHARACTERS`` are returned. Takes time linear in the text.
    """
    plain = _MARKUP_PATTERN.sub(_without_markup, text) if markup else text
    plain = _tidy_text(_LINE_END_PATTERN.sub("\n", plain))
    lines = (_SPACE_PATTERN.sub(" ", line).strip() for line in plain.split("\n"))
    return "\n".join(lines).strip()[:MAX_INPUT_CHARACTERS]


def escape_markup(text: str) -> str:
    """The text such that ``read_input`` reads it as it is; only what looks like Slack's markup is escaped."""
    escaped = _ENTITY_PATTERN.sub(lambda found: f"&amp;{found[1]};", text)
    return _MARKUP_PATTERN.sub(_escape_unless_literal, escaped)


def clean_name(text: str) -> str:
    """A name in one line, without invisible characters, with straight quotes and single spaces, in NFC."""
    return " ".join(_tidy_text(text).split())


def format_mention(identifier: str) -> str:
    """The id of a person or user group as Slack's mention of it, which notifies."""
    return f"<!subteam^{identifier}>" if identifier.startswith("S") else f"<@{identifier}>"


@lru_cache(8192)
def fold_name(text: str) -> str:
    """The form in which two names are equal if a card shows them alike; upper and lower case are the same.

    Cards show a backtick as an apostrophe in code, hence they are the same as well.
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
        return _unescape_entities(_typed_link(target, label))
    return _unescape_entities(found[0])


def _typed_link(target: str, label: str) -> str:
    """What was typed that Slack made a link of: its label where only the scheme was added, else the address."""
    scheme = _SCHEME_PATTERN.match(target)
    added = scheme and target[scheme.end() :].rstrip("/") == label.rstrip("/")
    return label if label and added else target


def _unescape_entities(text: str) -> str:
    return _ENTITY_PATTERN.sub(lambda found: _CHARACTER_BY_ENTITY[found[1]], text)


def _escape_unless_literal(found: re.Match[str]) -> str:
    """Keep an escape, and what is read as it is; else escape the bracket that begins it."""
    return found[0] if found[2] or _without_markup(found) == found[0] else f"&lt;{found[1]}>"
