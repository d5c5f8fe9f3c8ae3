"""What made failures of a run join: the text that those of one cause have in common, and their cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.slack.views.blocks import Block, Message, context_block, preformatted_block, section_block

MAX_CAUSES_EXPLAINED = 5
"""Causes whose text is shown."""

MAX_NORMALIZED_CHARACTERS = 600
"""Characters of a normalized text that are shown."""

MAX_TITLES_CHARACTERS = 400
"""Characters of the titles of a cause's cases that are shown."""


class CauseExplanation(NamedTuple):
    """A cause: its signature, the normalized text of its failures, and the titles of their cases.

    It has so many ``failures``, ``unlisted`` of them not among ``titles``.
    """

    signature: str
    normalized: str
    titles: tuple[str, ...] = ()
    failures: int = 1
    unlisted: int = 0


def with_causes(card: Message, causes: Sequence[CauseExplanation]) -> Message:
    """Return the card with what made the failures join, above its last line."""
    if not causes:
        return card
    blocks = [block for cause in causes[:MAX_CAUSES_EXPLAINED] for block in _cause_blocks(cause)]
    left = len(causes) - MAX_CAUSES_EXPLAINED
    more = [context_block(f"and {count_noun(left, 'more cause')}")] if left > 0 else []
    return replace(card, blocks=[*card.blocks[:-1], *blocks, *more, card.blocks[-1]])


def _cause_blocks(cause: CauseExplanation) -> list[Block]:
    """Return a cause in two or three blocks."""
    name = text.inline_code(cause.signature)
    titles = text.escape_line(", ".join(cause.titles), MAX_TITLES_CHARACTERS)
    more = f" and {cause.unlisted} more" if cause.unlisted else ""
    head = (
        f"*{cause.failures} failures joined* as cause {name}. Their texts have this in common:"
        if cause.failures > 1
        else f"*1 failure* has cause {name}, and no other failure of this run joined it. This counts of its text:"
    )
    normalized = text.clean_literal(cause.normalized, MAX_NORMALIZED_CHARACTERS)
    return [section_block(head), preformatted_block(normalized or " "), context_block(f"{titles}{more}")]
