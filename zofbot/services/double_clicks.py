"""Recognize an action that repeats the last one: a double click, or a form submitted again."""

from __future__ import annotations

from zofbot.triage import (
    Action,
    ActionRequest,
    TriageRecord,
)

DOUBLE_CLICK_SECONDS = 10.0
"""Seconds within which the same action by the same person counts as a double click."""


def is_double_click(present: TriageRecord, request: ActionRequest) -> bool:
    """Return whether this repeats the last action: a double click, or a form submitted again."""
    same = present.did is request.act and present.by.id == request.who.id and present.by.id != ""
    return same and request.at - present.at < DOUBLE_CLICK_SECONDS and _is_same_input(present, request)


def _is_same_input(present: TriageRecord, request: ActionRequest) -> bool:
    """Return whether the input equals the current state."""
    match request.act:
        case Action.ASSIGN:
            return request.owner is not None and request.owner.id == present.owner.id
        case Action.SNOOZE:
            return (
                request.more == present.more
                and abs((request.until or 0.0) - (present.until or 0.0)) < DOUBLE_CLICK_SECONDS
            )
        case Action.RESOLVE:
            return (request.reason, request.note) == (present.reason, present.note)
        case _:
            return True
