"""The one place where text from outside becomes text for Slack: stripped, redacted, escaped, clipped, in that order."""

from __future__ import annotations

import re
from datetime import datetime

from zofbot.redact import redact
from zofbot.spans import duration as duration  # noqa: PLC0414  (so is it exported for mypy)

# Control characters but tab and newline; bidi overrides and isolates, which can make text read backwards; zero-width
# and tag characters, which can hide text or split a secret so that redaction misses it; lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
"""Colours and links that test runners print for terminals."""

_READ = 20_000
"""Characters looked at, so that a body of megabytes costs no more than what could be shown of it."""


_OPENS = re.compile(r"(?<!\w)([*_~`])(?=\S)")
_MENTIONS = re.compile(r"<(?=[!@#])")
_ENTITY = re.compile(r"&(amp|lt|gt);")


def _plain(text: str) -> str:
    text = text[:_READ]
    if not (text.isascii() and text.isprintable()):  # else there is nothing to take out, as with most names
        lines = _TERMINAL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
        text = _INVISIBLE.sub("", lines)
    return redact(text).strip()


def mrkdwn(text: str, limit: int = 3000) -> str:
    """Untrusted text for mrkdwn and for a message's ``text``; no mention or link in it works.

    Only ``& < >`` are escaped (https://docs.slack.dev/messaging/formatting-message-text/). At most ``limit`` characters
    come back, an ellipsis included, and no entity is cut in two.
    """
    escaped = _plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return clip(escaped, limit)


def literal(text: str, limit: int = 3000) -> str:
    """Untrusted text for ``plain_text`` objects and rich text, which Slack shows as it is.

    Slack reads no mention there; a word joiner behind ``<`` keeps it so in whatever copies the text onwards.
    """
    return clip(_MENTIONS.sub("<\u2060", _plain(text)), limit)


def line(text: str, limit: int = 150) -> str:
    """Untrusted text for one line of mrkdwn: line breaks become spaces, and marks that would open formatting do not.

    Slack has no escape for them. A mark inside a word (``snake_case``) opens nothing and stays as it is.
    """
    return clip(_OPENS.sub(_unopened, mrkdwn(" ".join(text.split()), limit)), limit)


def _unopened(found: re.Match[str]) -> str:
    return f"\u200b{found[1]}"


def code(text: str, limit: int = 200) -> str:
    """Untrusted text as inline code, which can be copied as it stands; empty text gives empty text."""
    inner = mrkdwn(" ".join(text.replace("`", "'").split()), limit - 2)
    return f"`{inner}`" if inner else ""


def clip(text: str, limit: int) -> str:
    """At most ``limit`` characters of escaped text, ending in an ellipsis where something was cut off."""
    if len(text) <= limit:
        return text
    cut = text[: max(limit - 1, 0)]
    entity = cut.rfind("&", max(len(cut) - 4, 0))
    if entity >= 0 and ";" not in cut[entity:] and _ENTITY.match(text[entity : entity + 5]):
        cut = cut[:entity]
    return (cut.rstrip() + "…")[:limit]


def moment(at: datetime, clock: str = "time_secs") -> str:
    """A time in the reader's own zone, ``clock`` in Slack's word: with its seconds, or ``time`` without.

    https://docs.slack.dev/messaging/formatting-message-text/#date-formatting
    """
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{{clock}}}|{utc(at)}>"


def utc(at: datetime) -> str:
    """A time for where Slack formats nothing."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
