"""The triage states of a failure and the actions that change them: a transition table, and how it is applied.

A failure's state has two parts with separate writers: the rules write what Zof's runs show (``RunFacts``), people's
actions write the ``TriageRecord``. ``effective_record`` combines them for a given time. So a recovery, a relapse, the
end of a snooze and the lapse of an acknowledgement are computed, not written, and cannot race with a click: a record
names the ``turn`` (a count of recoveries and relapses) that it was made in, and a later turn overrides it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from zofbot.triage.policy import REACK_ANSWER_SECONDS, EscalationPolicy

UNDO_SECONDS = 60.0
"""Seconds for which an action can be undone."""

MAX_KEPT_REQUESTS = 5
"""Slack requests kept in a record, to recognize one that Slack repeats."""


class TriageState(StrEnum):
    """The triage state of a failure."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"
    RECOVERED = "recovered"

    @property
    def is_closed(self) -> bool:
        """Whether nothing is left to do."""
        return self in (TriageState.RESOLVED, TriageState.RECOVERED)


class Action(StrEnum):
    """What changes a failure's state; the same word is used in logs, metrics, the audit and threads."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    CONFIRM = "confirm"
    """The owner is still on it."""
    ASSIGN = "assign"
    SNOOZE = "snooze"
    WAKE = "wake"
    ESCALATE = "escalate"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    RECOVER = "recover"
    """A later run passed."""
    RELAPSE = "relapse"
    """It failed again."""
    LAPSE = "lapse"
    """The owner did not answer "still on it?"."""
    UNDO = "undo"
    """Restore the state before the last action."""


TRANSITIONS: dict[TriageState, dict[Action, TriageState]] = {
    TriageState.OPEN: {
        Action.ACKNOWLEDGE: TriageState.ACKNOWLEDGED,
        Action.ASSIGN: TriageState.OPEN,
        Action.SNOOZE: TriageState.SNOOZED,
        Action.ESCALATE: TriageState.OPEN,
        Action.RESOLVE: TriageState.RESOLVED,
        Action.RECOVER: TriageState.RECOVERED,
        Action.RELAPSE: TriageState.OPEN,
    },
    TriageState.ACKNOWLEDGED: {
        Action.ACKNOWLEDGE: TriageState.ACKNOWLEDGED,
        Action.UNACKNOWLEDGE: TriageState.OPEN,
        Action.CONFIRM: TriageState.ACKNOWLEDGED,
        Action.ASSIGN: TriageState.ACKNOWLEDGED,
        Action.SNOOZE: TriageState.SNOOZED,
        Action.ESCALATE: TriageState.ACKNOWLEDGED,
        Action.RESOLVE: TriageState.RESOLVED,
        Action.RECOVER: TriageState.RECOVERED,
        Action.RELAPSE: TriageState.OPEN,
        Action.LAPSE: TriageState.OPEN,
    },
    TriageState.SNOOZED: {
        Action.ACKNOWLEDGE: TriageState.ACKNOWLEDGED,
        Action.ASSIGN: TriageState.SNOOZED,
        Action.SNOOZE: TriageState.SNOOZED,
        Action.WAKE: TriageState.OPEN,
        Action.RESOLVE: TriageState.RESOLVED,
        Action.RECOVER: TriageState.RECOVERED,
        Action.RELAPSE: TriageState.OPEN,
    },
    TriageState.RESOLVED: {
        Action.REOPEN: TriageState.OPEN,
        Action.RECOVER: TriageState.RESOLVED,
        Action.RELAPSE: TriageState.OPEN,
    },
    TriageState.RECOVERED: {
        Action.RESOLVE: TriageState.RESOLVED,
        Action.REOPEN: TriageState.OPEN,
        Action.RECOVER: TriageState.RECOVERED,
        Action.RELAPSE: TriageState.OPEN,
    },
}
"""State and action to the next state; other combinations are not allowed. *Undo* is possible in any state."""

AUTOMATIC_ACTIONS = frozenset({Action.RECOVER, Action.RELAPSE, Action.LAPSE})
"""Actions that people cannot do. ``Action.WAKE`` is done by people and when a snooze ends."""

HUMAN_ACTIONS = tuple(act for act in Action if act not in AUTOMATIC_ACTIONS)
"""Actions that people can do."""


class _TriageModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Actor(_TriageModel):
    """A person, by Slack id and name; without an id, zofbot itself."""

    id: str = ""
    name: str = ""


class RunFacts(_TriageModel):
    """What Zof's runs show about a failure. ``turn`` counts recoveries and relapses; times are Unix seconds."""

    turn: int = 0
    recovered: bool = False
    turned: float = 0.0
    """When it last recovered or relapsed."""
    opened: float = 0.0
    """When its channel was first notified of it, or of its relapse."""
    last: float = 0.0
    """When it last failed."""
    failures: int = 1


class TriageRecord(_TriageModel):
    """What people did about a failure. Times are Unix seconds.

    ``rev`` counts actions; ``turn`` is ``RunFacts.turn`` at the last one. ``by`` did the last action, ``mover`` the one
    that led to this state. ``since`` is when the state began, ``opened`` when it last became open: escalations count
    from there. ``until`` is when a snooze or acknowledgement ends, ``more`` after how many further failures a snooze
    does. ``counted`` is how often it had failed when snoozed, 0 if unknown; ``hid`` is how often it failed during the
    snooze, set when that ends. ``asks`` is when "still on it?" is asked. ``steps`` are the escalation steps taken by
    people.
    """

    rev: int = 0
    turn: int = 0
    state: TriageState = TriageState.OPEN
    since: float = 0.0
    opened: float = 0.0
    owner: Actor = Actor()
    by: Actor = Actor()
    mover: Actor = Actor()
    did: Action | None = None
    at: float = 0.0
    reason: str = ""
    note: str = ""
    until: float | None = None
    asks: float | None = None
    more: int = 0
    counted: int = 0
    hid: int = 0
    steps: int = 0
    requests: tuple[str, ...] = ()
    before: TriageRecord | None = None
    """What *undo* restores."""

    @property
    def moved_by(self) -> Actor:
        """Who brought it into its state; in old records without ``mover``, who acted last."""
        return self.mover if self.mover.id else self.by

    @property
    def card_version(self) -> str:
        """The version stored in a card's buttons, to detect an outdated card."""
        return f"{self.turn}.{self.rev}"


class IllegalAction(Exception):
    """``TRANSITIONS`` does not allow the action; ``present`` is the failure's current record."""

    def __init__(self, act: Action, present: TriageRecord) -> None:
        super().__init__(f"{act} while {present.state}")
        self.act = act
        self.present = present


def effective_record(record: TriageRecord, facts: RunFacts, now: float) -> TriageRecord:
    """Return a failure's record at ``now`` (Unix seconds), updated by what has happened automatically since."""
    if record.turn != facts.turn:
        hid = _hidden_failures(record, facts) if facts.recovered else 0
        record = _apply_automatic(record, Action.RECOVER if facts.recovered else Action.RELAPSE, facts.turned, hid)
        opened = record.opened if facts.recovered else facts.opened
        record = record.model_copy(update={"turn": facts.turn, "opened": opened})
    if not record.opened:
        record = record.model_copy(update={"opened": facts.opened, "since": record.since or facts.opened})
    if record.state is TriageState.SNOOZED and record.more and facts.failures - record.counted >= record.more:
        return _apply_automatic(record, Action.WAKE, facts.last, _hidden_failures(record, facts))
    if record.state is TriageState.SNOOZED and record.until is not None and record.until <= now:
        return _apply_automatic(record, Action.WAKE, record.until, _hidden_failures(record, facts))
    if record.state is TriageState.ACKNOWLEDGED and record.until is not None and record.until <= now:
        return _apply_automatic(record, Action.LAPSE, record.until)
    if record.state is TriageState.RESOLVED and facts.last > record.since:
        return _apply_automatic(record, Action.RELAPSE, facts.last)
    return record


def merge_storm_record(own: TriageRecord, storm: TriageRecord) -> TriageRecord:
    """Return the record of one failure in a storm: its ``own`` or the storm's, whichever changed last.

    If either has recovered, or its own is resolved, ``own`` is used: what is done about the rest does not reopen it.
    """
    rev, requests = own.rev + storm.rev, (*storm.requests, *own.requests)[-2 * MAX_KEPT_REQUESTS :]
    if own.state.is_closed or storm.state is TriageState.RECOVERED or own.at > storm.at:
        return own.model_copy(update={"rev": rev})
    return storm.model_copy(update={"turn": own.turn, "rev": rev, "requests": requests})


def _hidden_failures(record: TriageRecord, facts: RunFacts) -> int:
    """Return how often it has failed since it was snoozed, 0 if unknown."""
    asleep = record.state is TriageState.SNOOZED and record.counted
    return max(0, facts.failures - record.counted) if asleep else 0


def _apply_automatic(record: TriageRecord, act: Action, at: float, hid: int = 0) -> TriageRecord:
    state = TRANSITIONS[record.state][act]
    if state is record.state and act is not Action.RELAPSE:
        return record
    fresh: dict[str, Any] = {"opened": at, "steps": 0} if state is TriageState.OPEN else {}
    owner = Actor() if act in (Action.RELAPSE, Action.LAPSE) else record.owner
    return record.model_copy(
        update={
            "state": state,
            "since": at,
            "did": act,
            "by": Actor(),
            "mover": Actor(),
            "at": at,
            "owner": owner,
            **_CLEARED_FIELDS,
            **fresh,
            "hid": hid,
        }
    )


_CLEARED_FIELDS: dict[str, Any] = {
    "reason": "",
    "note": "",
    "until": None,
    "asks": None,
    "more": 0,
    "counted": 0,
    "hid": 0,
}
"""Fields that are reset when the state changes."""


class ActionRequest(_TriageModel):
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
    no_step_left = request.act is Action.ESCALATE and next_step(present, policy, request.at) >= len(policy.escalate)
    if state is None or request.act in AUTOMATIC_ACTIONS or already_owned or no_step_left:
        raise IllegalAction(request.act, present)
    moved: dict[str, Any] = {"state": state}
    if state is not present.state or request.act in _RESTARTING_ACTIONS:
        moved |= _CLEARED_FIELDS | {"since": request.at, "mover": request.who}
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
            return {"hid": _hidden_failures(present, facts)}
        case Action.ESCALATE:
            return {"steps": min(next_step(present, policy, request.at) + 1, len(policy.escalate))}
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


def next_step(present: TriageRecord, policy: EscalationPolicy, now: float) -> int:
    """Return the index of the next escalation step, or the number of steps if none is left."""
    due = (
        index
        for index, step in enumerate(policy.escalate)
        if index >= present.steps and (present.opened + step.after > now or present.state is not TriageState.OPEN)
    )
    return next(due, len(policy.escalate))
