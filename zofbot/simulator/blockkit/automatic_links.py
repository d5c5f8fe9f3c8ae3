"""Find text that Slack would turn into links or emoji by itself, because outside text was not escaped.

Slack itself would accept such a message and show an outside address as a link on a trusted card; the simulated one
refuses it, so that a forgotten ``verbatim`` fails a test.

Sources: https://docs.slack.dev/messaging/formatting-message-text/#automatic-parsing for text objects (``verbatim``),
the top-level text (``parse``, ``link_names``) and attachments; the method page of ``chat.update`` for its default,
``client``; "Parsing modes" in slackhq/slack-api-docs, page_formatting.md, for ``www.`` without a scheme; pull request
444 of wee-slack/wee-slack for bare domains and e-mail addresses; issue 103 of soxtoby/SlackNet for ``emoji: false``.
Believed: any word of letters counts as a top-level domain; addresses are linked in code as well; ``client`` links
names; a ``response_url`` and ``chat.unfurl`` ignore ``parse``; ``verbatim`` does not prevent emoji names, code does.
not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from zofbot.simulator.blockkit.rules import format_problem

_MARKUP = re.compile(r"<[^<>]*>")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_ADDRESS = re.compile(
    r"""[a-z][a-z0-9+.-]*://[^\s<>\u200b]+ | mailto:[^\s<>\u200b]+ | www\.\w[^\s<>\u200b]*
    | [\w.+-]+@\w[\w.-]* | (?:[\w-]+[.。．｡])+[^\W\d_]{2,}""",
    re.VERBOSE | re.IGNORECASE,
)
_NAME = re.compile(r"[@#]\w[\w.-]*")
_EMOJI = re.compile(r"(?<!:):(?=((?![\d+'_-]*:)[\w+'-]{1,100}|100|1234|[+-]1):(?!:))")
_ATTACHMENT_FIELDS = ("text", "pretext", "fallback", "title", "footer", "author_name", "value")


class LinkParsing(NamedTuple):
    """What Slack links in the top-level text: ``addresses``, and ``names`` of channels and people."""

    addresses: bool = True
    names: bool = False


DEFAULT_PARSING = LinkParsing()
"""Parsing where there is no parameter for it."""


def parsing_options(given: dict[str, Any], default: str = "") -> LinkParsing:
    """Return the parsing requested by ``parse`` and ``link_names``; ``default`` is the method's default ``parse``."""
    mode = given.get("parse") or default
    names = given.get("link_names") in (True, 1, "1", "true") or mode in ("full", "client")
    return LinkParsing(addresses=mode != "none", names=names)


def find_links(text: str, look_for: LinkParsing) -> list[str]:
    """Return what Slack would link in a text, apart from its own ``<…>`` forms."""
    plain = _MARKUP.sub("\u200b", text)
    found = [match[0] for match in _ADDRESS.finditer(plain)] if look_for.addresses else []
    return found + ([match[0] for match in _NAME.finditer(plain)] if look_for.names else [])


def find_emoji(text: str) -> list[str]:
    """Return the names that Slack shows as emoji."""
    return [match[1] for match in _EMOJI.finditer(_CODE.sub("\u200b", _MARKUP.sub("\u200b", text)))]


def find_automatic(payload: dict[str, Any], look_for: LinkParsing) -> list[str]:
    """Describe each automatic link or emoji in a message or view in a sentence."""
    return list(_check_message(payload, look_for)) + list(_check_objects(payload, ""))


def _check_message(payload: dict[str, Any], look_for: LinkParsing) -> Iterator[str]:
    if isinstance(payload.get("text"), str):
        yield from _check_formatted(payload["text"], "/text", look_for)
    attachments = payload.get("attachments")
    for index, attachment in enumerate(attachments if isinstance(attachments, list) else []):
        for part in (attachment, *attachment.get("fields", [])):
            for name in _ATTACHMENT_FIELDS:
                if isinstance(part.get(name), str):
                    yield from _check_formatted(part[name], f"/attachments/{index}/{name}", look_for)


def _check_objects(node: Any, where: str) -> Iterator[str]:
    """Check every text object below ``node``."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _check_objects(item, f"{where}/{index}")
    elif isinstance(node, dict):
        said, kind = node.get("text"), node.get("type")
        if kind in ("mrkdwn", "markdown") and isinstance(said, str):
            quiet = kind == "mrkdwn" and node.get("verbatim") is True
            yield from _check_formatted(said, f"{where}/text", LinkParsing(not quiet, not quiet))
        if kind == "plain_text" and node.get("emoji") is not False and isinstance(said, str):
            yield from _check_emoji(said, f"{where}/text")
        for name, inner in node.items():
            yield from _check_objects(inner, f"{where}/{name}")


def _check_formatted(said: str, where: str, look_for: LinkParsing) -> Iterator[str]:
    for found in find_links(said, look_for):
        yield format_problem(where, f"would link {found!r} by itself")
    yield from _check_emoji(said, where)


def _check_emoji(said: str, where: str) -> Iterator[str]:
    for name in find_emoji(said):
        yield format_problem(where, f"would draw {name!r} as an emoji")
