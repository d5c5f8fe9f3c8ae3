"""Apply what people do about a failure, and undo it."""

from __future__ import annotations

from typing import Any

from zofbot.triage.automatic_changes import CLEARED_FIELDS, count_hidden_failures
from zofbot.triage.escalation_policy import REACK_ANSWER_SECONDS, EscalationPolicy
from zofbot.triage.record import MAX_KEPT_REQUESTS, Actor, RunFacts, TriageModel, TriageRecord
from zofbot.triage.state_machine import AUTOMATIC_ACTIONS, TRANSITIONS, Action, TriageState

UNDO_SECONDS = 60.0
"""Seconds for which an action can be undone."""


class IllegalAction(Exception):
    """``TRANSITIONS`` does not allow the action; ``present`` is the failure's current record."""

    def __init__(self, act: Action, present: TriageRecord) -> None:
        super().__init__(f"{act} while {present.state}")
        self.act = act
        self.present = present


class ActionRequest(TriageModel):
    """An action that somebody requests. ``owner`` is the assignee; ``at`` is Unix seconds.

    A snooze ends at ``until`` (Unix seconds), after ``more`` further failures, or, with neither, at a recovery.
    """

    act: Action
    who: Actor
    at: float
    request: str = ""
    owner: Actor | None = None
    until: float | None = None
    more: int = 0
    reason: str = ""
    note: str = ""


def apply_action(
    present: TriageRecord, request: ActionRequest, facts: RunFacts, policy: EscalationPolicy
) -> TriageRecord:
    """Apply an action to the current record (see ``effective_record``).

    Raises IllegalAction, also if the person already owns an acknowledged failure, or no escalation step is left.
    """
    if request.act is Action.UNDO:
        return undo_action(present, request)
    state = TRANSITIONS[present.state].get(request.act)
    already_owned = (
        request.act is Action.ACKNOWLEDGE
        and present.state is TriageState.ACKNOWLEDGED
        and present.owner.id == request.who.id
    )
    no_step_left = request.act is Action.ESCALATE and present.steps >= len(policy.escalate)
    if state is None or request.act in AUTOMATIC_ACTIONS or already_owned or no_step_left:
        raise IllegalAction(request.act, present)
    moved: dict[str, Any] = {"state": state}
    if state is not present.state or request.act in _RESTARTING_ACTIONS:
        moved |= CLEARED_FIELDS | {"since": request.at, "mover": request.who}
    if state is TriageState.OPEN and present.state is not TriageState.OPEN:
        moved |= {"opened": request.at, "steps": 0}
    moved |= _action_fields(present, request, facts, policy)
    moved["before"] = present.model_copy(update={"before": None, "requests": ()})
    return _with_action(present, request).model_copy(update=moved)


_RESTARTING_ACTIONS = frozenset({Action.ACKNOWLEDGE, Action.CONFIRM, Action.SNOOZE})
"""Actions that restart their state if the failure is already in it."""


def _with_action(present: TriageRecord, request: ActionRequest) -> TriageRecord:
    """Return the record with one more action."""
    requests = (*present.requests, request.request)[-MAX_KEPT_REQUESTS:] if request.request else present.requests
    done = {"rev": present.rev + 1, "did": request.act, "by": request.who, "at": request.at, "requests": requests}
    return present.model_copy(update=done)


def _action_fields(
    present: TriageRecord, request: ActionRequest, facts: RunFacts, policy: EscalationPolicy
) -> dict[str, Any]:
    """Return the fields that an action changes besides the state."""
    match request.act:
        case Action.ACKNOWLEDGE | Action.CONFIRM:
            asks = request.at + policy.reack
            return {"owner": request.who} | (
                {"asks": asks, "until": asks + REACK_ANSWER_SECONDS} if policy.reack else {}
            )
        case Action.UNACKNOWLEDGE:
            return {"owner": Actor()}
        case Action.ASSIGN:
            return {"owner": request.owner or request.who}
        case Action.SNOOZE:
            return {"until": request.until, "more": request.more, "counted": facts.failures}
        case Action.WAKE:
            return {"hid": count_hidden_failures(present, facts)}
        case Action.ESCALATE:
            return {"steps": present.steps + 1}
        case Action.RESOLVE:
            return {"reason": request.reason, "note": request.note}
        case _:
            return {}


def undo_action(present: TriageRecord, request: ActionRequest) -> TriageRecord:
    """Restore the record before the last action. Raises IllegalAction if that is too old or was not a person's."""
    before = present.before
    if before is None or not present.by.id or request.at - present.at > UNDO_SECONDS:
        raise IllegalAction(Action.UNDO, present)
    done = _with_action(present, request)
    history = {name: getattr(done, name) for name in ("rev", "turn", "did", "by", "at", "requests")}
    return before.model_copy(update=history)
