"""Catch-up message after quiet hours or a mute: what failed meanwhile, what is open and what has recovered."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.catch_up_payload import CatchUpLine, CatchUpPayload
from zofbot.slack.views.blocks import Message, context_block, header_block, section_block
from zofbot.slack.views.components import format_moment, paragraph_blocks
from zofbot.triage import TriageState

MAX_ROWS = 30
"""Maximum failures listed per group."""

GROUPS = {
    "Still open": (TriageState.OPEN, TriageState.ACKNOWLEDGED, TriageState.SNOOZED),
    "Recovered": (TriageState.RECOVERED,),
    "Resolved": (TriageState.RESOLVED,),
}
"""Headings and the triage states listed under each."""

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
    lists = [block for title, found in groups.items() if found for block in paragraph_blocks(_listed(title, found))]
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


def _listed(title: str, found: Sequence[CatchUpLine]) -> list[str]:
    more = len(found) - MAX_ROWS
    return [f"*{title}*", *map(_line, found[:MAX_ROWS]), *([f"and {more} more"] if more > 0 else [])]


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
