"""Causes of a run's failures: on its card, and as replies that list the cases of each."""

from __future__ import annotations

from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.alert_payloads import RunAlertPayload
from zofbot.notifications.payload_parts import CauseSummary
from zofbot.notifications.thread_payloads import CauseReplyPayload
from zofbot.slack.views.blocks import Message, context_block, section_block
from zofbot.slack.views.components import (
    case_buttons,
    case_line,
    failure_blocks,
    first_line,
    paragraph_blocks,
    with_mentions,
)
from zofbot.slack.views.extras import extra_blocks
from zofbot.slack.views.render_context import RenderContext

MAX_ROWS_SHOWN = 3
"""Failures or causes that have a line on a card."""


def failure_lines(body: RunAlertPayload) -> list[str]:
    """Return a run's failures, each in a line: by cause if there are several causes, else the first failures."""
    if body.bad < 2 or not body.all_causes or (body.all_causes == 1 and len(body.causes) == 1):
        cases = body.top[:MAX_ROWS_SHOWN]
        return [*map(case_line, cases), _more_line(body.bad - len(cases) if cases else 0)]
    causes = body.causes[:MAX_ROWS_SHOWN]
    lines = (case_line(cause.example) if cause.count == 1 else cause_line(cause) for cause in causes)
    return [*lines, _more_line(body.bad - sum(cause.count for cause in causes))]


def causes_text(body: RunAlertPayload) -> str:
    """Return how many causes the failures have; empty for a single failure, or if no cause is known."""
    if body.bad < 2 or not body.all_causes:
        return ""
    known = f" among the {body.grouped} that zofbot has read" if body.grouped < body.bad else ""
    return f"{count_noun(body.all_causes, 'cause')}{known}"


def cause_line(cause: CauseSummary) -> str:
    """Return a cause in one line: how many failures it has, the first line of their text, and one of them."""
    why = first_line(cause.example.why) or ("" if cause.signature else "without a failure text")
    title = text.escape_line(cause.example.title or cause.example.id, 60)
    return f"*{cause.count}×* {why} · for example *{title}*" if why else f"*{cause.count}×*, for example *{title}*"


def _more_line(more: int) -> str:
    return f"and {count_noun(more, 'more failure')}" if more > 0 else ""


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
