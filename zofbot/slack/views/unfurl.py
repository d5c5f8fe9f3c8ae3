"""Link previews: a small card without buttons below somebody's link to a run or result."""

from __future__ import annotations

from typing import Any

from zofbot.domain.model import Result, Run
from zofbot.notifications import text
from zofbot.slack.views.blocks import Message, context_block, section_block
from zofbot.slack.views.outcomes import OUTCOME_STYLES, format_counts, format_one_line, outcome_word


def unfurl_card(thing: Result | Run) -> dict[str, Any]:
    """Render the card as an attachment for ``chat.unfurl``."""
    look, kind = OUTCOME_STYLES[thing.outcome], "Run" if isinstance(thing, Run) else "Result"
    facts = [
        text.escape_line(thing.project or "", 80),
        text.escape_line(thing.environment or "", 80),
        format_counts(thing) if isinstance(thing, Run) else "",
        text.describe_duration(thing.duration) if thing.duration is not None else "",
    ]
    lines = [
        f"{look.emoji} *{text.escape_line(f'{outcome_word(thing)}: {thing.title or thing.id}', 190)}*",
        " · ".join(fact for fact in facts if fact),
        text.escape_line(_failure_excerpt(thing), 200),
    ]
    body = [section_block("\n".join(filter(None, lines))), context_block(f"{kind} {text.inline_code(thing.id)}")]
    attachment: dict[str, Any] = Message(format_one_line(thing), [], look.color, body).message_fields()["attachments"][
        0
    ]
    return attachment


def _failure_excerpt(thing: Result | Run) -> str:
    """Return the first line of the failure text; for a run, of its first failed case that has one."""
    if isinstance(thing, Result):
        return _first_line(thing)
    sentence = (_first_line(result) for result in thing.results or () if result.outcome.is_bad)
    return next(filter(None, sentence), "")


def _first_line(result: Result) -> str:
    return (result.failure or "").strip().partition("\n")[0]
