"""Find unescaped text that would notify people or disguise a link.

Slack itself would accept such a message and notify the channel; the simulated one refuses it, so that a missing escape
fails a test. https://docs.slack.dev/messaging/formatting-message-text/
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from zofbot.simulator.blockkit.rules import format_problem

_LABEL = r"(?:\|[^<>]*)?"
_ID_FORM = re.compile(rf"<(?:@|#|!subteam\^)(?P<id>[A-Z][A-Z0-9]+){_LABEL}>")
_ALLOWED_FORMS = re.compile(
    rf"<https?://[^<>|\s]+{_LABEL}>"
    rf"|<mailto:[^<>|\s]+{_LABEL}>"
    r"|<!date\^\d+\^[^<>|^]+(?:\^https?://[^<>|\s]+)?\|[^<>]+>"
)
_PARSED_FIELDS = ("text", "pretext", "fallback", "value")


def _find_texts(node: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield every text below ``node`` that Slack parses for mentions, with its JSON pointer."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _find_texts(item, f"{where}/{index}")
    elif isinstance(node, dict):
        if node.get("type") in ("mrkdwn", "markdown") and isinstance(node.get("text"), str):
            yield f"{where}/text", node["text"]
        if node.get("type") == "broadcast":
            yield where, "<!broadcast>"
        for name, inner in node.items():
            yield from _find_texts(inner, f"{where}/{name}")


def _has_stray_bracket(text: str, known: Collection[str]) -> bool:
    without = _ALLOWED_FORMS.sub("", text)
    without = _ID_FORM.sub(lambda found: "" if found["id"] in known else found[0], without)
    return "<" in without


def find_unescaped(payload: dict[str, Any], known: Collection[str]) -> list[str]:
    """Describe each ``<`` in a message or view that is not one of Slack's own forms.

    ``known`` holds the ids of existing users, channels and groups, which may be mentioned. ``<!channel>`` and the
    like are always refused, as is a rich text broadcast.
    """
    texts = [*_find_texts(payload, "")]
    texts += [("/text", payload["text"])] if isinstance(payload.get("text"), str) else []
    attachments = payload.get("attachments")
    for index, attachment in enumerate(attachments if isinstance(attachments, list) else []):
        for part in (attachment, *attachment.get("fields", [])):
            texts += [
                (f"/attachments/{index}/{name}", part[name])
                for name in _PARSED_FIELDS
                if isinstance(part.get(name), str)
            ]
    return [
        format_problem(where, "holds an unescaped < or mention")
        for where, text in texts
        if _has_stray_bracket(text, known)
    ]
