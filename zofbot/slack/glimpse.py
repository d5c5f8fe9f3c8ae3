"""A run or a result as a small card beneath somebody's link to it, with nothing to press."""

from __future__ import annotations

from typing import Any

from zofbot.model import Result, Run
from zofbot.slack import text
from zofbot.slack.cards import LOOKS, in_one_line, numbers, word
from zofbot.slack.message import Message, context, section


def glimpse(thing: Result | Run) -> dict[str, Any]:
    """The card as one attachment, which ``chat.unfurl`` takes for a link."""
    look, kind = LOOKS[thing.outcome], "Run" if isinstance(thing, Run) else "Result"
    facts = [
        text.line(thing.project or "", 80),
        text.line(thing.environment or "", 80),
        numbers(thing) if isinstance(thing, Run) else "",
        text.duration(thing.duration) if thing.duration is not None else "",
    ]
    lines = [
        f"{look.emoji} *{text.line(f'{word(thing)}: {thing.title or thing.id}', 190)}*",
        " · ".join(fact for fact in facts if fact),
        text.line(_why(thing), 200),
    ]
    body = [section("\n".join(filter(None, lines))), context(f"{kind} {text.code(thing.id)}")]
    attachment: dict[str, Any] = Message(in_one_line(thing), [], look.colour, body).payload()["attachments"][0]
    return attachment


def _why(thing: Result | Run) -> str:
    """The first line of what failed; of a run, of the first case that says one."""
    if isinstance(thing, Result):
        return _first_line(thing)
    said = (_first_line(result) for result in thing.results or () if result.outcome.bad)
    return next(filter(None, said), "")


def _first_line(result: Result) -> str:
    return (result.failure or "").strip().partition("\n")[0]
