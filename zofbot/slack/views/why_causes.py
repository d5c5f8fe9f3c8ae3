"""The causes of a run's failures: the text that those of one cause have in common, and their cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.slack.views.blocks import Block, Message, context_block, preformatted_block, section_block
from zofbot.slack.views.components import paragraph_blocks

MAX_CAUSES_EXPLAINED = 5
"""Causes whose text is shown."""

MAX_NORMALIZED_CHARACTERS = 600
"""Characters of a normalized text that are shown."""

MAX_TITLES_CHARACTERS = 400
"""Characters of the titles of a cause's cases that are shown."""

PLACEHOLDER = "<*>"
"""Stands in a normalized text for what differs between failures (``VARIABLE`` of ``alerting.failure_signature``)."""

PLACEHOLDER_NOTE = f"{text.inline_code(PLACEHOLDER)}: a part that may differ, such as an ID, a number or a time."


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
    """Return the card with the causes of the run's failures, above its last line."""
    if not causes:
        return card
    shown = causes[:MAX_CAUSES_EXPLAINED]
    blocks = [block for cause in shown if cause.failures > 1 for block in _shared_cause_blocks(cause)]
    blocks += paragraph_blocks(_single_cause_line(cause) for cause in shown if cause.failures == 1)
    left = len(causes) - len(shown)
    notes = [
        f"and {count_noun(left, 'more cause')}" if left > 0 else "",
        PLACEHOLDER_NOTE if any(PLACEHOLDER in cause.normalized for cause in shown) else "",
    ]
    small = [context_block(*filter(None, notes))] if any(notes) else []
    return replace(card, blocks=[*card.blocks[:-1], *blocks, *small, card.blocks[-1]])


def _shared_cause_blocks(cause: CauseExplanation) -> list[Block]:
    """Return a cause of several failures: how many, their common text, and their titles."""
    titles = text.escape_line(", ".join(cause.titles), MAX_TITLES_CHARACTERS)
    more = f" and {cause.unlisted} more" if cause.unlisted else ""
    normalized = text.clean_literal(cause.normalized, MAX_NORMALIZED_CHARACTERS)
    return [
        section_block(f"*{cause.failures} failures with the same cause*, {text.inline_code(cause.signature)}"),
        preformatted_block(normalized or " "),
        context_block(f"{titles}{more}"),
    ]


def _single_cause_line(cause: CauseExplanation) -> str:
    """Return a cause of one failure in a line: its title, the first line of its text, and the cause."""
    title = text.escape_line(", ".join(cause.titles), 80)
    why = text.inline_code(cause.normalized.partition("\n")[0], 120)
    return " · ".join(filter(None, (f"*{title}*", why, f"cause {text.inline_code(cause.signature)}")))
