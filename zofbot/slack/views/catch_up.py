"""Catch-up message after quiet hours or a mute: what failed meanwhile, what is open and what has recovered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from zofbot.notifications import text
from zofbot.slack.views.blocks import Message, context_block, header_block, section_block
from zofbot.slack.views.components import count_noun, format_moment, paragraph_blocks
from zofbot.triage import TriageState

CARD = "catchup"

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


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Line(_Frozen):
    """One failure: its time (``at``), and its state and owner ``since`` (Unix seconds)."""

    title: str
    where: str = ""
    at: float
    state: TriageState = TriageState.OPEN
    since: float = 0.0
    owner: str = ""


class CatchUpBody(_Frozen):
    """Payload of the message: nothing was posted ``since`` (Unix seconds).

    ``muted`` has the mute's filters, empty for quiet hours. ``failures`` are filled in when the message is sent.
    """

    card: Literal["catchup"] = "catchup"
    since: float = 0.0
    muted: str = ""
    failures: tuple[Line, ...] = ()


def stored(body: CatchUpBody) -> dict[str, Any]:
    """Return the payload as JSON, without default values."""
    return {"card": CARD, **body.model_dump(mode="json", exclude_defaults=True)}


def drawn(kept: Mapping[str, Any]) -> Message | None:
    """Render a catch-up payload; None for any other payload."""
    if kept.get("card") != CARD:
        return None
    body = CatchUpBody.model_validate(kept)
    groups = {
        title: [failure for failure in body.failures if failure.state in states] for title, states in GROUPS.items()
    }
    counts = ", ".join(f"{len(found)} {title.lower()}" for title, found in groups.items() if found)
    over = "A mute is over" if body.muted else "Quiet hours are over"
    said = f"{over}: {count_noun(len(body.failures), 'failure')} ({counts})"
    lists = [block for title, found in groups.items() if found for block in paragraph_blocks(_listed(title, found))]
    follows = "Open failures follow, unless they were posted before." if groups["Still open"] else "Nothing is open."
    return Message(
        said,
        [
            header_block(f"{'🔔' if body.muted else '🌅'} {said}"),
            *([section_block(f"Muted: {text.inline_code(body.muted, 500)}")] if body.muted else []),
            *lists,
            context_block(f"Held back since {format_moment(body.since)}. {follows}"),
        ],
    )


def _listed(title: str, found: Sequence[Line]) -> list[str]:
    more = len(found) - MAX_ROWS
    return [f"*{title}*", *map(_line, found[:MAX_ROWS]), *([f"and {more} more"] if more > 0 else [])]


def _line(one: Line) -> str:
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
    return f"{_SIGNS[one.state]} *{text.escape_line(one.title, 150)}*{where} · failed {format_moment(one.at)}{state}"
