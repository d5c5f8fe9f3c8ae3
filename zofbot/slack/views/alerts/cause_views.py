"""Causes of a run's failures: on its card, and as replies that list the cases of each."""

from __future__ import annotations

from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.alert_payloads import RunAlertPayload
from zofbot.notifications.payload_parts import CauseSummary
from zofbot.notifications.thread_payloads import CauseReplyPayload
from zofbot.slack.views.blocks import Block, Message, context_block, section_block
from zofbot.slack.views.components import (
    case_buttons,
    case_row,
    failure_blocks,
    lookup_button,
    paragraph_blocks,
    with_mentions,
)
from zofbot.slack.views.extras import extra_blocks
from zofbot.slack.views.render_context import RenderContext

MAX_CAUSES_SHOWN = 5
"""Causes that have a row on the card of a run."""


def failure_rows(body: RunAlertPayload) -> list[Block]:
    """Return a run's failures: by cause if there are several, else the first ones."""
    if body.bad < 2 or not body.all_causes:
        return [*map(case_row, body.top), *_more_note(body.bad - len(body.top) if body.top else 0)]
    head = section_block(f"*{causes_text(body)}*")
    if body.all_causes == 1 and len(body.causes) == 1:
        return [head, *map(case_row, body.top), *_more_note(body.bad - len(body.top))]
    shown = body.causes[:MAX_CAUSES_SHOWN]
    return [head, *map(cause_row, shown), *_more_note(body.bad - sum(cause.count for cause in shown))]


def causes_text(body: RunAlertPayload) -> str:
    """Return how many failures have how many causes; empty for a single failure, or if no cause is known."""
    if body.bad < 2 or not body.all_causes:
        return ""
    known = f" among the {body.grouped} that zofbot has read" if body.grouped < body.bad else ""
    return f"{count_noun(body.bad, 'failure')}, {count_noun(body.all_causes, 'cause')}{known}"


def cause_row(cause: CauseSummary) -> Block:
    """Return a cause: how many failures it has, their text, and one of them with a *Details* button."""
    if cause.count == 1:
        return case_row(cause.example)
    details = lookup_button("View details", "zof_result", cause.example.id, "View one of these results")
    return section_block(cause_line(cause), details)


def cause_line(cause: CauseSummary) -> str:
    """Return a cause in two lines: how many failures it has, the first line of their text, and one of them."""
    why = text.escape_line(cause.example.why.strip().partition("\n")[0], 200)
    why = why or ("" if cause.signature else "without a failure text")
    title = text.escape_line(cause.example.title or cause.example.id, 150)
    return f"*{cause.count}×* {why}\nfor example *{title}*" if why else f"*{cause.count}×*, for example *{title}*"


def _more_note(more: int) -> list[Block]:
    return [context_block(f"and {count_noun(more, 'more failure')}")] if more > 0 else []


def cause_reply(body: CauseReplyPayload, context: RenderContext) -> Message:
    """Render the failures of a run that have the same cause: their text, and the titles of the cases."""
    sentence = f"{count_noun(body.count, 'case')} {'failing again ' if body.again else ''}with the same cause"
    where = " · ".join(filter(None, (text.escape_line(body.project, 85), text.escape_line(body.environment, 85))))
    sentence = f"{sentence}, {where}" if where else sentence
    why = text.escape_line(body.case.why.partition("\n")[0], 150)
    blocks = [
        section_block(f"{'🔁' if body.again else '❌'} *{sentence}*"),
        *failure_blocks(body.case),
        *extra_blocks(body.case.extras, context.links),
        *paragraph_blocks(f"• {text.escape_line(title, 150)}" for title in body.titles),
        *([context_block(f"and {body.unlisted} more; see the run in Zof.")] if body.unlisted else []),
        *case_buttons(body.case, body.run_id, context.links),
    ]
    return with_mentions(f"{sentence}: {why}" if why else sentence, blocks, "", [], body.mention)
