"""How the state of a failure is shown: color, and a line that says who works on it."""

from __future__ import annotations

from typing import NamedTuple

from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.slack.views.components import format_moment
from zofbot.triage import Action, Actor, TriageRecord, TriageState


class StateStyle(NamedTuple):
    """Appearance of a state: the color always comes with a word."""

    word: str
    emoji: str
    color: str


STATE_STYLES = {
    TriageState.ACKNOWLEDGED: StateStyle("Acknowledged", "👀", "#2a6fdb"),
    TriageState.SNOOZED: StateStyle("Snoozed", "💤", "#8b93a1"),
    TriageState.RESOLVED: StateStyle("Resolved", "☑️", "#1a8f5c"),
    TriageState.RECOVERED: StateStyle("Recovered", "✅", "#1a8f5c"),
}
"""Styles by state; an open failure has the style of its outcome."""

LAST_ACTION_WORDS = {
    Action.ACKNOWLEDGE: "acknowledged",
    Action.UNACKNOWLEDGE: "unacknowledged",
    Action.CONFIRM: "confirmed",
    Action.ASSIGN: "assigned",
    Action.SNOOZE: "snoozed",
    Action.WAKE: "unsnoozed",
    Action.ESCALATE: "escalated",
    Action.RESOLVE: "resolved",
    Action.REOPEN: "reopened",
    Action.RELAPSE: "failing again",
    Action.LAPSE: "acknowledgement expired",
    Action.UNDO: "undone",
    Action.RECOVER: "recovered",
}
"""The last action, of a person or automatic, as one of several facts in a line."""

RESOLUTION_REASONS = {
    "product": "Product bug",
    "test": "Test bug",
    "flaky": "Flaky",
    "environment": "Environment",
    "platform": "Zof or infrastructure",
    "other": "Other",
}
"""Reasons for resolving a failure: typed and stored word -> label."""


def status_line(present: TriageRecord) -> str:
    """Return the state, person and time; empty if nobody has acted on it."""
    status = _status_text(present)
    own = present.state is TriageState.ACKNOWLEDGED and present.owner.id == present.moved_by.id
    has = bool(present.owner.id) and not present.state.is_closed and not own
    parts = [part for part in (status, f"assigned to {person_name(present.owner.name)}" if has else "") if part]
    return " · ".join(parts)


def _status_text(present: TriageRecord) -> str:
    match present.state:
        case TriageState.OPEN:
            return _open_status(present)
        case TriageState.ACKNOWLEDGED:
            return f"👀 *Acknowledged* by {_person_and_time(present.moved_by, present.since)}"
        case TriageState.SNOOZED:
            return (
                f"💤 *Snoozed* by {person_name(present.moved_by.name)} {snooze_end_text(present.until, present.more)}"
            )
        case TriageState.RESOLVED:
            return _resolved_status(present)
        case _:
            return f"💤 {hidden_failures_text(present.hid)}" if present.hid else ""


def _open_status(present: TriageRecord) -> str:
    if present.did is Action.REOPEN:
        return f"↩️ *Reopened* by {_person_and_time(present.by, present.since)}"
    if present.did is Action.LAPSE:
        return f"⏰ *Open again*{format_moment(present.since, ' since ')}: no answer from the owner"
    if present.did is Action.WAKE:
        return " · ".join(
            filter(None, (f"⏰ *Snooze ended*{format_moment(present.since, ' ')}", hidden_failures_text(present.hid)))
        )
    if present.did is Action.UNACKNOWLEDGE:
        return f"✋ *Unacknowledged* by {_person_and_time(present.by, present.since)}"
    return ""


def _resolved_status(present: TriageRecord) -> str:
    reason = RESOLUTION_REASONS.get(present.reason, "")
    status = f"☑️ *Resolved* by {_person_and_time(present.moved_by, present.since)}" + (f": {reason}" if reason else "")
    return status + (f"\n> {text.escape_line(present.note, 500)}" if present.note else "")


def _person_and_time(actor: Actor, at: float) -> str:
    return f"{person_name(actor.name)}{format_moment(at, ', ')}"


def snooze_end_text(at: float | None, more: int) -> str:
    """Describe the end of a snooze: a time (Unix seconds), after ``more`` failures, or on recovery."""
    if at is not None:
        return format_moment(at, "until ")
    again = "once more" if more == 1 else f"{more} more times"
    return f"until it fails {again}" if more else "until it passes"


def hidden_failures_text(failures: int) -> str:
    """Describe the failures hidden by a snooze; empty if there were none."""
    return f"{count_noun(failures, 'failure')} since it was snoozed" if failures else ""


def person_name(person: str) -> str:
    """Return a person's name, escaped, without mentioning them."""
    return text.escape_line(person, 80) or "someone"
