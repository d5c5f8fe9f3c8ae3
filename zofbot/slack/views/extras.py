"""Extra fields on cards: in one line of a card; in threads as fields, with images as blocks of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zofbot.domain.extra_fields import FieldType
from zofbot.notifications import text
from zofbot.notifications.extra_summaries import ExtraSummary
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.blocks import Block, context_block, field_blocks, image_block

MAX_IMAGES = 3
COMMIT_CHARACTERS = 12
_IN_CODE = ("commit", "branch")
_TITLES = {"author_email": "Author"}
_AS_LINKS = (FieldType.LINK, FieldType.IMAGE)


def _extra_field_pairs(extras: Iterable[ExtraSummary]) -> list[tuple[str, str]]:
    """Return texts and people as field pairs."""
    return [(_title_of(extra), _format_values(extra)) for extra in extras if extra.type not in _AS_LINKS]


def extra_line(extras: Sequence[ExtraSummary], links: ZofLinks) -> list[Block]:
    """Return all extra fields in one line of small print for a card; images are links here, too."""
    facts = " · ".join(f"{label} {value}" for label, value in _extra_field_pairs(extras))
    parts = [part for part in (facts, *_format_links(extras, links)) if part]
    return [context_block(*parts)] if parts else []


def _format_links(extras: Iterable[ExtraSummary], links: ZofLinks) -> list[str]:
    """Return the links to allowed hosts as one text, images among them."""
    shown = [
        f"<{url.replace('&', '&amp;')}|{_title_of(extra)}>"
        for extra in extras
        if extra.type in _AS_LINKS
        for url in filter(None, map(links.allowed_url, extra.values[:MAX_IMAGES]))
    ]
    return ["🔗 " + " · ".join(shown)] if shown else []


def extra_blocks(extras: Sequence[ExtraSummary], links: ZofLinks) -> list[Block]:
    """Return all extra fields for a reply in a thread, with the images themselves."""
    others = [extra for extra in extras if extra.type != FieldType.IMAGE]
    return [
        *field_blocks(_extra_field_pairs(extras)),
        *image_blocks(extras, links),
        *map(context_block, _format_links(others, links)),
    ]


def image_blocks(extras: Iterable[ExtraSummary], links: ZofLinks) -> list[Block]:
    """Return the images on allowed hosts, for threads."""
    images = [
        image_block(url, _title_of(extra))
        for extra in extras
        if extra.type == FieldType.IMAGE
        for url in filter(None, map(links.allowed_url, extra.values))
    ]
    return images[:MAX_IMAGES]


def _title_of(extra: ExtraSummary) -> str:
    return text.escape_line(_TITLES.get(extra.label) or extra.label.replace("_", " ").capitalize(), 40)


def _format_values(extra: ExtraSummary) -> str:
    if extra.label == "commit":
        return ", ".join(text.inline_code(value[:COMMIT_CHARACTERS]) for value in extra.values)
    if extra.label in _IN_CODE:
        return ", ".join(map(text.inline_code, extra.values))
    return text.escape_line(", ".join(extra.values), 600)
