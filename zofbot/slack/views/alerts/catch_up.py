"""Catch-up message after quiet hours or a mute: what failed meanwhile, what is open and what has recovered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.catch_up_payload import CatchUpLine, CatchUpPayload
from zofbot.slack.views.blocks import Message, context_block, header_block, section_block, take_fitting
from zofbot.slack.views.components import format_moment, paragraph_blocks
from zofbot.triage import TriageState

FIRST_OPEN_ROWS = 10
"""Open failures that are listed before all others if there is not room for everything."""

GROUPS = {
    "Still open": (TriageState.OPEN, TriageState.ACKNOWLEDGED, TriageState.SNOOZED),
    "Recovered": (TriageState.RECOVERED,),
    "Resolved": (TriageState.RESOLVED,),
}
"""Headings and the triage states listed under each."""

_MORE_NOTES = {
    "Still open": f"`{SLASH_COMMAND} triage` lists them",
    "Recovered": f"`{SLASH_COMMAND} causes` shows their causes",
    "Resolved": f"`{SLASH_COMMAND} causes` shows their causes",
}
"""Where the failures of a group are that are not listed."""

_SIGNS = {
    TriageState.OPEN: "❌",
    TriageState.ACKNOWLEDGED: "👀",
    TriageState.SNOOZED: "💤",
    TriageState.RECOVERED: "✅",
    TriageState.RESOLVED: "☑️",
}


def catch_up_message(body: CatchUpPayload) -> Message:
    """Render the failures held back, grouped by their current states."""
    groups = {
        title: [failure for failure in body.failures if failure.state in states] for title, states in GROUPS.items()
    }
    counts = ", ".join(f"{len(found)} {title.lower()}" for title, found in groups.items() if found)
    over = "Mute ended" if body.muted else "Quiet hours ended"
    sentence = f"{over}: {count_noun(len(body.failures), 'failure')} ({counts})"
    rows = _fitting_rows(groups)
    lists = [
        block
        for title, found in groups.items()
        if found
        for block in paragraph_blocks([f"*{title}*", *rows[title], _more_line(title, len(found) - len(rows[title]))])
    ]
    follows = (
        "Open failures are posted below, unless they already were." if groups["Still open"] else "Nothing is open."
    )
    return Message(
        sentence,
        [
            header_block(f"{'🔔' if body.muted else '🌅'} {sentence}"),
            *([section_block(f"Muted: {text.inline_code(body.muted, 500)}")] if body.muted else []),
            *lists,
            context_block(f"Held back{format_moment(body.since, ' since ')}. {follows}"),
        ],
    )


def _fitting_rows(groups: Mapping[str, Sequence[CatchUpLine]]) -> dict[str, list[str]]:
    """Return the rows of each group that fit into one message.

    An open failure has a message of its own, too; the others are shown nowhere else, so most open ones come last.
    """
    opened, *closed = groups.values()
    order = [*opened[:FIRST_OPEN_ROWS], *chain.from_iterable(closed), *opened[FIRST_OPEN_ROWS:]]
    shown = list(zip(order, take_fitting(map(_line, order)), strict=False))
    return {title: [row for failure, row in shown if failure.state in states] for title, states in GROUPS.items()}


def _more_line(title: str, more: int) -> str:
    return f"and {more} more; {_MORE_NOTES[title]}" if more else ""


def _line(one: CatchUpLine) -> str:
    where = f" · {text.escape_line(one.where, 160)}" if one.where else ""
    state = {
        TriageState.ACKNOWLEDGED: f", acknowledged by {text.escape_line(one.owner, 80)}"
        if one.owner
        else ", acknowledged",
        TriageState.SNOOZED: ", snoozed",
        TriageState.RECOVERED: f", recovered after {text.describe_duration(max(one.since - one.at, 1))}"
        if one.since
        else "",
    }.get(one.state, "")
    failed = format_moment(one.at, "failed ")
    return f"{_SIGNS[one.state]} *{text.escape_line(one.title, 150)}*{where} · {failed}{state}"
