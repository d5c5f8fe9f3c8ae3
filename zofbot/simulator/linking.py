"""Finds what Slack would link, or draw as an emoji, although nobody wrote a link: foreign text that was let through.

Slack itself would take such a message and show a stranger's address as a link on a trusted card; the pretend one
refuses it, so that a forgotten ``verbatim`` fails a test.

Sources: https://docs.slack.dev/messaging/formatting-message-text/#automatic-parsing for text objects (``verbatim``),
the top-level text (``parse``, ``link_names``) and attachments; the method page of ``chat.update`` for its default,
``client``; "Parsing modes" in slackhq/slack-api-docs, page_formatting.md, for ``www.`` without a scheme; pull request
444 of wee-slack/wee-slack for bare domains and e-mail addresses; issue 103 of soxtoby/SlackNet for ``emoji: false``.
Believed: any word of letters counts as a top-level domain; addresses are linked in code as well; ``client`` links
names; a ``response_url`` and ``chat.unfurl`` heed no ``parse``; ``verbatim`` leaves names of emoji alive, code does
not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from zofbot.simulator.shape import complaint

_FORM = re.compile(r"<[^<>]*>")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_ADDRESS = re.compile(
    r"""[a-z][a-z0-9+.-]*://[^\s<>\u200b]+ | mailto:[^\s<>\u200b]+ | www\.\w[^\s<>\u200b]*
    | [\w.+-]+@\w[\w.-]* | (?:[\w-]+[.。．｡])+[^\W\d_]{2,}""",
    re.VERBOSE | re.IGNORECASE,
)
_NAMED = re.compile(r"[@#]\w[\w.-]*")
_EMOJI = re.compile(r"(?<!:):(?=((?![\d+'_-]*:)[\w+'-]{1,100}|100|1234|[+-]1):(?!:))")
_IN_ATTACHMENTS = ("text", "pretext", "fallback", "title", "footer", "author_name", "value")


class Parsing(NamedTuple):
    """What Slack looks for in the top-level text: ``addresses``, and ``names`` of channels and people."""

    addresses: bool = True
    names: bool = False


BY_DEFAULT = Parsing()
"""What is looked for where nobody can say otherwise."""


def parsing(given: dict[str, Any], default: str = "") -> Parsing:
    """What a method was asked for by ``parse`` and ``link_names``; ``default`` is the method's own ``parse``."""
    mode = given.get("parse") or default
    names = given.get("link_names") in (True, 1, "1", "true") or mode in ("full", "client")
    return Parsing(addresses=mode != "none", names=names)


def links(text: str, look_for: Parsing) -> list[str]:
    """What Slack links by itself in a text; its own ``<…>`` forms are links already."""
    plain = _FORM.sub("\u200b", text)
    found = [match[0] for match in _ADDRESS.finditer(plain)] if look_for.addresses else []
    return found + ([match[0] for match in _NAMED.finditer(plain)] if look_for.names else [])


def emoji(text: str) -> list[str]:
    """The names that Slack draws as emoji."""
    return [match[1] for match in _EMOJI.finditer(_CODE.sub("\u200b", _FORM.sub("\u200b", text)))]


def automatic(payload: dict[str, Any], look_for: Parsing) -> list[str]:
    """What Slack makes of a message or view by itself, one sentence each."""
    return list(_top(payload, look_for)) + list(_objects(payload, ""))


def _top(payload: dict[str, Any], look_for: Parsing) -> Iterator[str]:
    if isinstance(payload.get("text"), str):
        yield from _formatted(payload["text"], "/text", look_for)
    attachments = payload.get("attachments")
    for index, attachment in enumerate(attachments if isinstance(attachments, list) else []):
        for part in (attachment, *attachment.get("fields", [])):
            for name in _IN_ATTACHMENTS:
                if isinstance(part.get(name), str):
                    yield from _formatted(part[name], f"/attachments/{index}/{name}", look_for)


def _objects(node: Any, where: str) -> Iterator[str]:
    """The same for every text object below ``node``."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _objects(item, f"{where}/{index}")
    elif isinstance(node, dict):
        said, kind = node.get("text"), node.get("type")
        if kind in ("mrkdwn", "markdown") and isinstance(said, str):
            quiet = kind == "mrkdwn" and node.get("verbatim") is True
            yield from _formatted(said, f"{where}/text", Parsing(not quiet, not quiet))
        if kind == "plain_text" and node.get("emoji") is not False and isinstance(said, str):
            yield from _drawn(said, f"{where}/text")
        for name, inner in node.items():
            yield from _objects(inner, f"{where}/{name}")


def _formatted(said: str, where: str, look_for: Parsing) -> Iterator[str]:
    for found in links(said, look_for):
        yield complaint(where, f"would link {found!r} by itself")
    yield from _drawn(said, where)


def _drawn(said: str, where: str) -> Iterator[str]:
    for name in emoji(said):
        yield complaint(where, f"would draw {name!r} as an emoji")
