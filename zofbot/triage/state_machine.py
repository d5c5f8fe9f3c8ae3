"""The states of a failure and the acts that lead from one to another: one table, and how it is applied.

Two hands write a failure's state and never meet. What Zof's runs show of it (``RunFacts``) is the rules' alone; what
people did (``TriageRecord``) is the people's. ``current`` puts the two together at a moment, so a recovery, a relapse,
the end of a snooze and the lapse of an acknowledgement need nobody to write them down and cannot race with a click: the
people's record names the turn of the course that it was made on, and a later turn goes before it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from zofbot.triage.policy import REACK_ANSWER_SECONDS, EscalationPolicy

UNDO_SECONDS = 60.0
"""Seconds for which an act can be undone."""

MAX_KEPT_REQUESTS = 5
"""Requests of Slack's that a record remembers, so that a repeated one is known."""


class TriageState(StrEnum):
    """How a failure stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"
    RECOVERED = "recovered"

    @property
    def is_closed(self) -> bool:
        """Whether nobody needs to do anything."""
        return self in (TriageState.RESOLVED, TriageState.RECOVERED)


class Action(StrEnum):
    """What moves a failure; the word is the same in code, log, metric, audit and thread."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    CONFIRM = "confirm"
    """Still on it."""
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
    """Nobody answered whether they are still on it."""
    UNDO = "undo"
    """Back to what was before the last act."""


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
"""What each act makes of each state; what is not here is not allowed. *Undo* leads back from anywhere."""

AUTOMATIC_ACTIONS = frozenset({Action.RECOVER, Action.RELAPSE, Action.LAPSE})
"""Acts that no person does; ``Act.WAKE`` is done by people and by the clock."""

HUMAN_ACTIONS = tuple(act for act in Action if act not in AUTOMATIC_ACTIONS)
"""Acts that people do."""


class _TriageModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Actor(_TriageModel):
    """A human, by Slack's id and as they are called; without an id, zofbot itself."""

    id: str = ""
    name: str = ""


class RunFacts(_TriageModel):
    """What Zof's runs show of a failure. ``turn`` counts recoveries and relapses; times are Unix seconds."""

    turn: int = 0
    recovered: bool = False
    turned: float = 0.0
    """When it last recovered or relapsed."""
    opened: float = 0.0
    """When people could first know of it, or of its relapse."""
    last: float = 0.0
    """When it last failed."""
    failures: int = 1


class TriageRecord(_TriageModel):
    """What people made of a failure. Times are Unix seconds.

    ``rev`` counts acts; ``turn`` is the turn of the course that the last one was made on. ``by`` did the last one,
    ``mover`` the one that led to this state. ``since`` is when the state began, ``opened`` when it was last
    nobody's: escalations count from there. ``until`` is when a snooze or an acknowledgement ends by itself, ``more``
    after how many further failures a snooze does. ``counted`` is how often it had failed when it was snoozed, 0 where
    that is not known; once that has ended, ``hid`` is how often it has failed since. ``asks`` is when an
    acknowledgement is asked about. ``steps`` of the escalation were taken by hand.
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
    """What *undo* goes back to."""

    @property
    def moved_by(self) -> Actor:
        """Who brought it into its state; in records from before that was kept, who acted last."""
        return self.mover if self.mover.id else self.by

    @property
    def card_version(self) -> str:
        """What a card carries, to tell whether it shows the present."""
        return f"{self.turn}.{self.rev}"


class IllegalAction(Exception):
    """The table does not allow it; ``present`` is how the failure stands instead."""

    def __init__(self, act: Action, present: TriageRecord) -> None:
        super().__init__(f"{act} while {present.state}")
        self.act = act
        self.present = present


def effective_record(record: TriageRecord, course: RunFacts, now: float) -> TriageRecord:
    """How a failure stands at ``now``: the people's record, moved on by what has happened of itself since."""
    if record.turn != course.turn:
        hid = _hidden_failures(record, course) if course.recovered else 0
        record = _apply_automatic(record, Action.RECOVER if course.recovered else Action.RELAPSE, course.turned, hid)
        opened = record.opened if course.recovered else course.opened
        record = record.model_copy(update={"turn": course.turn, "opened": opened})
    if not record.opened:
        record = record.model_copy(update={"opened": course.opened, "since": record.since or course.opened})
    if record.state is TriageState.SNOOZED and record.more and course.failures - record.counted >= record.more:
        return _apply_automatic(record, Action.WAKE, course.last, _hidden_failures(record, course))
    if record.state is TriageState.SNOOZED and record.until is not None and record.until <= now:
        return _apply_automatic(record, Action.WAKE, record.until, _hidden_failures(record, course))
    if record.state is TriageState.ACKNOWLEDGED and record.until is not None and record.until <= now:
        return _apply_automatic(record, Action.LAPSE, record.until)
    if record.state is TriageState.RESOLVED and course.last > record.since:
        return _apply_automatic(record, Action.RELAPSE, course.last)
    return record


def merge_storm_record(own: TriageRecord, storm: TriageRecord) -> TriageRecord:
    """The state of one failure of a storm: what was done last, about it alone (``own``) or about the whole storm.

    Whether it has recovered is its own.
    """
    rev, requests = own.rev + storm.rev, (*storm.requests, *own.requests)[-2 * MAX_KEPT_REQUESTS :]
    if TriageState.RECOVERED in (own.state, storm.state) or own.at > storm.at:
        return own.model_copy(update={"rev": rev})
    return storm.model_copy(update={"turn": own.turn, "rev": rev, "requests": requests})


def _hidden_failures(record: TriageRecord, course: RunFacts) -> int:
    """How often it has failed since it was snoozed, as far as that is known."""
    asleep = record.state is TriageState.SNOOZED and record.counted
    return max(0, course.failures - record.counted) if asleep else 0


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
"""What belongs to one state only."""


class ActionRequest(_TriageModel):
    """What somebody wants done. ``owner`` is whom it is assigned to.

    ``until`` (Unix seconds) and ``more`` failures say when a snooze ends; with neither it lasts until it passes.
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
    present: TriageRecord, wish: ActionRequest, course: RunFacts, policy: EscalationPolicy
) -> TriageRecord:
    """Move on from how it stands at present (see ``current``).

    Raises IllegalAction, also where it is one's own already, and where nobody is left to escalate to.
    """
    if wish.act is Action.UNDO:
        return undo_action(present, wish)
    state = TRANSITIONS[present.state].get(wish.act)
    again = (
        wish.act is Action.ACKNOWLEDGE and present.state is TriageState.ACKNOWLEDGED and present.owner.id == wish.who.id
    )
    called = wish.act is Action.ESCALATE and next_step(present, policy, wish.at) >= len(policy.escalate)
    if state is None or wish.act in AUTOMATIC_ACTIONS or again or called:
        raise IllegalAction(wish.act, present)
    moved: dict[str, Any] = {"state": state}
    if state is not present.state or wish.act in _RESTARTING_ACTIONS:
        moved |= _CLEARED_FIELDS | {"since": wish.at, "mover": wish.who}
    if state is TriageState.OPEN and present.state is not TriageState.OPEN:
        moved |= {"opened": wish.at, "steps": 0}
    moved |= _action_fields(present, wish, course, policy)
    moved["before"] = present.model_copy(update={"before": None, "requests": ()})
    return _with_action(present, wish).model_copy(update=moved)


_RESTARTING_ACTIONS = frozenset({Action.ACKNOWLEDGE, Action.CONFIRM, Action.SNOOZE})
"""Acts that begin their state anew where it is the same."""


def _with_action(present: TriageRecord, wish: ActionRequest) -> TriageRecord:
    """The record of one act more."""
    requests = (*present.requests, wish.request)[-MAX_KEPT_REQUESTS:] if wish.request else present.requests
    done = {"rev": present.rev + 1, "did": wish.act, "by": wish.who, "at": wish.at, "requests": requests}
    return present.model_copy(update=done)


def _action_fields(
    present: TriageRecord, wish: ActionRequest, course: RunFacts, policy: EscalationPolicy
) -> dict[str, Any]:
    """What single acts change besides the state."""
    match wish.act:
        case Action.ACKNOWLEDGE | Action.CONFIRM:
            asks = wish.at + policy.reack
            return {"owner": wish.who} | ({"asks": asks, "until": asks + REACK_ANSWER_SECONDS} if policy.reack else {})
        case Action.UNACKNOWLEDGE:
            return {"owner": Actor()}
        case Action.ASSIGN:
            return {"owner": wish.owner or wish.who}
        case Action.SNOOZE:
            return {"until": wish.until, "more": wish.more, "counted": course.failures}
        case Action.WAKE:
            return {"hid": _hidden_failures(present, course)}
        case Action.ESCALATE:
            return {"steps": min(next_step(present, policy, wish.at) + 1, len(policy.escalate))}
        case Action.RESOLVE:
            return {"reason": wish.reason, "note": wish.note}
        case _:
            return {}


def undo_action(present: TriageRecord, wish: ActionRequest) -> TriageRecord:
    """Go back to what was before the last act. Raises IllegalAction when that is too long ago or was not a person's."""
    before = present.before
    if before is None or not present.by.id or wish.at - present.at > UNDO_SECONDS:
        raise IllegalAction(Action.UNDO, present)
    done = _with_action(present, wish)
    kept = {name: getattr(done, name) for name in ("rev", "turn", "did", "by", "at", "requests")}
    return before.model_copy(update=kept)


def next_step(present: TriageRecord, policy: EscalationPolicy, now: float) -> int:
    """Which step of the escalation comes next; how many there are, when none is left."""
    due = (
        index
        for index, step in enumerate(policy.escalate)
        if index >= present.steps and (present.opened + step.after > now or present.state is not TriageState.OPEN)
    )
    return next(due, len(policy.escalate))
