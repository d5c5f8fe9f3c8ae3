"""Convert untrusted text into text for Slack: strip, redact, escape, clip, in that order; done only here."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from zofbot.domain.durations import describe_duration as describe_duration  # noqa: PLC0414  (exported for mypy)
from zofbot.domain.redaction import redact
from zofbot.domain.text import INVISIBLE_CHARACTERS

_INVISIBLE_PATTERN = re.compile(
    f"[{INVISIBLE_CHARACTERS}\x0b-\x0d\x1c-\x1f\x85\u2028\u2029\U0001bca0-\U0001bca3\U0001d173-\U0001d17a]"
)
"""Also line ends other than newlines, and shorthand and music controls; any of them could split a secret."""
# Scripts that need joiners (Arabic, Persian, those of India and South-East Asia), and composed emoji.
_JOINING_RANGES = (
    "\u0600-\u1cff\u2190-\u2bff\ua800-\uabff\ufb50-\ufdff\ufe0f\ufe70-\ufefc"
    "\U00010a00-\U00011fff\U0001e900-\U0001e95f\U0001f000-\U0001faff"
)
_JOINERS, _SELECTORS = "\u200c\u200d", "\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Joiners, and variation selectors for the character before; neither is visible by itself."""
_REPEATED_JOINERS = re.compile(f"(?<=[{_JOINERS}])[{_JOINERS}{_SELECTORS}]+|(?<=[{_SELECTORS}])[{_SELECTORS}]+")
_IDLE_SELECTOR = re.compile(f"(?<=[\x00-\x7f])[{_SELECTORS}](?!\u20e3)")
"""A selector after an ASCII character, which has no variants; before U+20E3 it makes a keycap emoji."""
_IDLE_JOINER = re.compile(f"(?<![{_JOINING_RANGES}])[{_JOINERS}](?![{_JOINING_RANGES}])")
"""A joiner without effect, such as between two Latin letters."""
_TERMINAL_CODES = re.compile(
    r"(?:\x1b\[[0-?]*|\x9b[0-?]+)[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\x9d]*(?:\x07|\x9c|\x1b\\?)"
)
"""Terminal escape codes for colors and links, as test runners print them."""

_MAX_CHARS_READ = 20_000
"""Characters processed, so that megabytes of text cost no more than what could be shown."""


_OPENING_MARKS = re.compile(r"(?<!\w)([*_~])(?=\S)")
_EMOJI_PATTERN = re.compile(r"(?<!:):(?=(?:(?![\d+'_-]*:)[\w+'-]{1,100}|100|1234|[+-]1):(?!:))")
"""Where an emoji name begins; not a time of day, or a part of ``tests/cart.py::test_total::case``."""
_MENTION_STARTS = re.compile(r"<(?=[!@#])")
_ENTITY_PATTERN = re.compile(r"&(amp|lt|gt);")
_FORM_OR_CODE = re.compile(r"<[^<>]*>|`((?:[^`<]|<[^<>]*>)*+)`")
_AUTOLINK_DOTS = re.compile(
    r"(?<=[\w-])[.。．｡](?=[^\W\d_])|(?<=www)\.(?=\w)|[@#](?=\w)|:(?=//)|(?<=mailto):", re.IGNORECASE
)
"""Characters that make text an address, a domain, or a channel or person name for Slack's automatic linking."""


MAX_CACHED_CHARACTERS, MAX_CACHED_TEXTS = 1_000, 1_000
"""Texts up to this length are cleaned once and remembered; how many of them."""


def sanitize_text(text: str) -> str:
    """Remove invisible characters, and those that hide or reorder text, and redact secrets.

    The same text is cleaned when it is stored and whenever it is rendered, since an older version may have stored it.
    """
    return _sanitize_short(text) if len(text) <= MAX_CACHED_CHARACTERS else _sanitize(text)


def _sanitize(text: str) -> str:
    if not (text.isascii() and text.isprintable()):  # else there is nothing to remove, as for most names
        text = _TERMINAL_CODES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
        text = _INVISIBLE_PATTERN.sub("", text)
        if not text.isascii():
            text = _IDLE_JOINER.sub("", _IDLE_SELECTOR.sub("", _REPEATED_JOINERS.sub("", text)))
    return redact(text)


_sanitize_short = lru_cache(MAX_CACHED_TEXTS)(_sanitize)


def redact_line(text: str, limit: int) -> str:
    """Return untrusted text in one line without secrets, for a part of a text that is escaped as a whole later."""
    return clip_text(" ".join(_sanitize_clipped(text).split()), limit)


def _sanitize_clipped(text: str) -> str:
    return sanitize_text(text[:_MAX_CHARS_READ]).strip()


def escape_mrkdwn(text: str, limit: int = 3000) -> str:
    """Convert untrusted text for mrkdwn and for a message's ``text``, so that no mention or link in it works.

    Only ``& < >`` are escaped (https://docs.slack.dev/messaging/formatting-message-text/); emoji names stay text.
    Returns at most ``limit`` characters, including an ellipsis, and never cuts an entity.
    """
    return clip_text(_EMOJI_PATTERN.sub(_append_zero_width, _escape_entities(text)), limit)


def _escape_entities(text: str) -> str:
    return _sanitize_clipped(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clean_literal(text: str, limit: int = 3000) -> str:
    """Convert untrusted text for ``plain_text`` objects and rich text, which Slack shows literally.

    Slack parses no mention there; a word joiner after ``<`` prevents one where the text is copied.
    """
    return clip_text(_MENTION_STARTS.sub("<\u2060", _sanitize_clipped(text)), limit)


def escape_line(text: str, limit: int = 150) -> str:
    """Convert untrusted text for one line of mrkdwn: line breaks become spaces, and formatting marks have no effect.

    Slack has no escape for them, so a zero-width space precedes each. A mark inside a word (``snake_case``) has no
    effect anyway and stays. A backtick becomes an apostrophe, as in inline code: it would open code that ends at the
    next one in the message.
    """
    line = " ".join(text.replace("`", "'").split())
    return clip_text(_OPENING_MARKS.sub(_neutralize_mark, escape_mrkdwn(line, limit)), limit)


def _neutralize_mark(found: re.Match[str]) -> str:
    return f"\u200b{found[1]}"


def inline_code(text: str, limit: int = 200) -> str:
    """Convert untrusted text to inline code, which can be copied unchanged; empty text stays empty."""
    inner = clip_text(_escape_entities(" ".join(text.replace("`", "'").split())), limit - 2)
    return f"`{inner}`" if inner else ""


def break_links(text: str) -> str:
    """Change escaped text so that Slack links nothing automatically; Slack's own ``<…>`` forms still work.

    For a message's ``text`` and ``fallback``, which have no ``verbatim``. Slack links addresses there, and on request
    names, unless ``parse`` is ``none`` (https://docs.slack.dev/messaging/formatting-message-text/#automatic-parsing);
    a ``response_url`` is believed to ignore ``parse``. A zero-width space prevents it everywhere. Inline code is meant
    to be copied and gets none; if it contains an address, it is changed and loses its code marks.
    """
    shown, done = [], 0
    for found in _FORM_OR_CODE.finditer(text):
        shown += [_AUTOLINK_DOTS.sub(_append_zero_width, text[done : found.start()]), found[0]]
        if found[1] and (parted := break_links(found[1])) != found[1]:
            # Kept apart from a neighbor, with which it could make an emoji.
            before, after = ("\u200b" if beside.strip() else "" for beside in _neighbors(text, found))
            shown[-1] = f"{before}{_EMOJI_PATTERN.sub(_append_zero_width, parted)}{after}"
        done = found.end()
    return "".join(shown) + _AUTOLINK_DOTS.sub(_append_zero_width, text[done:])


def _neighbors(text: str, found: re.Match[str]) -> tuple[str, str]:
    """Return the characters before and after a match; empty at the ends of the text."""
    return text[max(found.start() - 1, 0) : found.start()], text[found.end() : found.end() + 1]


def _append_zero_width(found: re.Match[str]) -> str:
    return f"{found[0]}\u200b"


def clip_text(text: str, limit: int) -> str:
    """Clip escaped text to at most ``limit`` characters, with an ellipsis if something was cut off."""
    if len(text) <= limit:
        return text
    cut = text[: max(limit - 1, 0)]
    entity = cut.rfind("&", max(len(cut) - 4, 0))
    if entity >= 0 and ";" not in cut[entity:] and _ENTITY_PATTERN.match(text[entity : entity + 5]):
        cut = cut[:entity]
    return (cut.rstrip() + "…")[:limit]


def format_local_time(at: datetime, before: str = "") -> str:
    """Format a time in the reader's own zone: ``Today at 1:46 PM``; after the words ``before`` it is ``today``.

    https://docs.slack.dev/messaging/formatting-message-text/#date-formatting
    """
    return f"<!date^{int(at.timestamp())}^{before}{{date_short_pretty}} at {{time}}|{before}{format_utc(at)}>"


def format_local_date(at: float) -> str:
    """Format Unix seconds as a date in the reader's own zone, such as ``Nov 3, 2026``."""
    return f"<!date^{int(at)}^{{date_short}}|{datetime.fromtimestamp(at, UTC):%Y-%m-%d}>"


def format_utc(at: datetime) -> str:
    """Format a time in UTC, for places where Slack does not format dates."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
