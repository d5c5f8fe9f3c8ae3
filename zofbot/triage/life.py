"""The states of a failure and the acts that lead from one to another: one table, and how it is applied.

Two hands write a failure's state and never meet. What Zof's runs show of it (``Course``) is the rules' alone; what
people did (``Triage``) is the people's. ``current`` puts the two together at a moment, so a recovery, a relapse, the
end of a snooze and the lapse of an acknowledgement need nobody to write them down and cannot race with a click: the
people's record names the turn of the course that it was made on, and a later turn goes before it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from zofbot.triage.policy import ANSWER, Policy

UNDO = 60.0
"""Seconds for which an act can be undone."""

KEPT_REQUESTS = 5
"""Requests of Slack's that a record remembers, so that a repeated one is known."""


class State(StrEnum):
    """How a failure stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"
    RECOVERED = "recovered"

    @property
    def closed(self) -> bool:
        """Whether nobody needs to do anything."""
        return self in (State.RESOLVED, State.RECOVERED)


class Act(StrEnum):
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


TABLE: dict[State, dict[Act, State]] = {
    State.OPEN: {
        Act.ACKNOWLEDGE: State.ACKNOWLEDGED,
        Act.ASSIGN: State.OPEN,
        Act.SNOOZE: State.SNOOZED,
        Act.ESCALATE: State.OPEN,
        Act.RESOLVE: State.RESOLVED,
        Act.RECOVER: State.RECOVERED,
        Act.RELAPSE: State.OPEN,
    },
    State.ACKNOWLEDGED: {
        Act.ACKNOWLEDGE: State.ACKNOWLEDGED,
        Act.UNACKNOWLEDGE: State.OPEN,
        Act.CONFIRM: State.ACKNOWLEDGED,
        Act.ASSIGN: State.ACKNOWLEDGED,
        Act.SNOOZE: State.SNOOZED,
        Act.ESCALATE: State.ACKNOWLEDGED,
        Act.RESOLVE: State.RESOLVED,
        Act.RECOVER: State.RECOVERED,
        Act.RELAPSE: State.OPEN,
        Act.LAPSE: State.OPEN,
    },
    State.SNOOZED: {
        Act.ACKNOWLEDGE: State.ACKNOWLEDGED,
        Act.ASSIGN: State.SNOOZED,
        Act.SNOOZE: State.SNOOZED,
        Act.WAKE: State.OPEN,
        Act.RESOLVE: State.RESOLVED,
        Act.RECOVER: State.RECOVERED,
        Act.RELAPSE: State.OPEN,
    },
    State.RESOLVED: {
        Act.REOPEN: State.OPEN,
        Act.RECOVER: State.RESOLVED,
        Act.RELAPSE: State.OPEN,
    },
    State.RECOVERED: {
        Act.RESOLVE: State.RESOLVED,
        Act.REOPEN: State.OPEN,
        Act.RECOVER: State.RECOVERED,
        Act.RELAPSE: State.OPEN,
    },
}
"""What each act makes of each state; what is not here is not allowed. *Undo* leads back from anywhere."""

OF_ITSELF = frozenset({Act.RECOVER, Act.RELAPSE, Act.LAPSE})
"""Acts that no person does; ``Act.WAKE`` is done by people and by the clock."""

BY_PEOPLE = tuple(act for act in Act if act not in OF_ITSELF)
"""Acts that people do."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Who(_Frozen):
    """A human, by Slack's id and as they are called; without an id, zofbot itself."""

    id: str = ""
    name: str = ""


class Course(_Frozen):
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


class Triage(_Frozen):
    """What people made of a failure. Times are Unix seconds.

    ``rev`` counts acts; ``turn`` is the turn of the course that the last one was made on. ``by`` did the last one,
    ``mover`` the one that led to this state. ``since`` is when the state began, ``opened`` when it was last nobody's:
    escalations count from there. ``until`` is when a snooze or an acknowledgement ends by itself, ``more`` after how
    many further failures a snooze does. ``counted`` is how often it had failed when it was snoozed, 0 where that is not
    known; once that has ended, ``hid`` is how often it has failed since. ``asks`` is when an acknowledgement is asked
    about. ``steps`` of the escalation were taken by hand.
    """

    rev: int = 0
    turn: int = 0
    state: State = State.OPEN
    since: float = 0.0
    opened: float = 0.0
    owner: Who = Who()
    by: Who = Who()
    mover: Who = Who()
    did: Act | None = None
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
    before: Triage | None = None
    """What *undo* goes back to."""

    @property
    def put(self) -> Who:
        """Who brought it into its state; in records from before that was kept, who acted last."""
        return self.mover if self.mover.id else self.by

    @property
    def version(self) -> str:
        """What a card carries, to tell whether it shows the present."""
        return f"{self.turn}.{self.rev}"


class Illegal(Exception):
    """The table does not allow it; ``present`` is how the failure stands instead."""

    def __init__(self, act: Act, present: Triage) -> None:
        super().__init__(f"{act} while {present.state}")
        self.act = act
        self.present = present


def current(record: Triage, course: Course, now: float) -> Triage:
    """How a failure stands at ``now``: the people's record, moved on by what has happened of itself since."""
    if record.turn != course.turn:
        hid = _hidden(record, course) if course.recovered else 0
        record = _of_itself(record, Act.RECOVER if course.recovered else Act.RELAPSE, course.turned, hid)
        opened = record.opened if course.recovered else course.opened
        record = record.model_copy(update={"turn": course.turn, "opened": opened})
    if not record.opened:
        record = record.model_copy(update={"opened": course.opened, "since": record.since or course.opened})
    if record.state is State.SNOOZED and record.more and course.failures - record.counted >= record.more:
        return _of_itself(record, Act.WAKE, course.last, _hidden(record, course))
    if record.state is State.SNOOZED and record.until is not None and record.until <= now:
        return _of_itself(record, Act.WAKE, record.until, _hidden(record, course))
    if record.state is State.ACKNOWLEDGED and record.until is not None and record.until <= now:
        return _of_itself(record, Act.LAPSE, record.until)
    if record.state is State.RESOLVED and course.last > record.since:
        return _of_itself(record, Act.RELAPSE, course.last)
    return record


def stand_in_storm(own: Triage, storm: Triage) -> Triage:
    """How one failure of a storm stands: by what was done last, about it alone (``own``) or about the whole storm.

    Whether it has recovered is its own.
    """
    rev, requests = own.rev + storm.rev, (*storm.requests, *own.requests)[-2 * KEPT_REQUESTS :]
    if State.RECOVERED in (own.state, storm.state) or own.at > storm.at:
        return own.model_copy(update={"rev": rev})
    return storm.model_copy(update={"turn": own.turn, "rev": rev, "requests": requests})


def _hidden(record: Triage, course: Course) -> int:
    """How often it has failed since it was snoozed, as far as that is known."""
    asleep = record.state is State.SNOOZED and record.counted
    return max(0, course.failures - record.counted) if asleep else 0


def _of_itself(record: Triage, act: Act, at: float, hid: int = 0) -> Triage:
    state = TABLE[record.state][act]
    if state is record.state and act is not Act.RELAPSE:
        return record
    fresh: dict[str, Any] = {"opened": at, "steps": 0} if state is State.OPEN else {}
    owner = Who() if act in (Act.RELAPSE, Act.LAPSE) else record.owner
    return record.model_copy(
        update={
            "state": state,
            "since": at,
            "did": act,
            "by": Who(),
            "mover": Who(),
            "at": at,
            "owner": owner,
            **_CLEARED,
            **fresh,
            "hid": hid,
        }
    )


_CLEARED: dict[str, Any] = {"reason": "", "note": "", "until": None, "asks": None, "more": 0, "counted": 0, "hid": 0}
"""What belongs to one state only."""


class Wish(_Frozen):
    """What somebody wants done. ``owner`` is whom it is assigned to.

    ``until`` (Unix seconds) and ``more`` failures say when a snooze ends; with neither it lasts until it passes.
    """

    act: Act
    who: Who
    at: float
    request: str = ""
    owner: Who | None = None
    until: float | None = None
    more: int = 0
    reason: str = ""
    note: str = ""


def act(present: Triage, wish: Wish, course: Course, policy: Policy) -> Triage:
    """Move on from how it stands at present (see ``current``).

    Raises Illegal, also where it is one's own already, and where nobody is left to escalate to.
    """
    if wish.act is Act.UNDO:
        return undo(present, wish)
    state = TABLE[present.state].get(wish.act)
    again = wish.act is Act.ACKNOWLEDGE and present.state is State.ACKNOWLEDGED and present.owner.id == wish.who.id
    called = wish.act is Act.ESCALATE and next_step(present, policy, wish.at) >= len(policy.escalate)
    if state is None or wish.act in OF_ITSELF or again or called:
        raise Illegal(wish.act, present)
    moved: dict[str, Any] = {"state": state}
    if state is not present.state or wish.act in _ANEW:
        moved |= _CLEARED | {"since": wish.at, "mover": wish.who}
    if state is State.OPEN and present.state is not State.OPEN:
        moved |= {"opened": wish.at, "steps": 0}
    moved |= _particular(present, wish, course, policy)
    moved["before"] = present.model_copy(update={"before": None, "requests": ()})
    return _done(present, wish).model_copy(update=moved)


_ANEW = frozenset({Act.ACKNOWLEDGE, Act.CONFIRM, Act.SNOOZE})
"""Acts that begin their state anew where it is the same."""


def _done(present: Triage, wish: Wish) -> Triage:
    """The record of one act more."""
    requests = (*present.requests, wish.request)[-KEPT_REQUESTS:] if wish.request else present.requests
    done = {"rev": present.rev + 1, "did": wish.act, "by": wish.who, "at": wish.at, "requests": requests}
    return present.model_copy(update=done)


def _particular(present: Triage, wish: Wish, course: Course, policy: Policy) -> dict[str, Any]:
    """What single acts change besides the state."""
    match wish.act:
        case Act.ACKNOWLEDGE | Act.CONFIRM:
            asks = wish.at + policy.reack
            return {"owner": wish.who} | ({"asks": asks, "until": asks + ANSWER} if policy.reack else {})
        case Act.UNACKNOWLEDGE:
            return {"owner": Who()}
        case Act.ASSIGN:
            return {"owner": wish.owner or wish.who}
        case Act.SNOOZE:
            return {"until": wish.until, "more": wish.more, "counted": course.failures}
        case Act.WAKE:
            return {"hid": _hidden(present, course)}
        case Act.ESCALATE:
            return {"steps": min(next_step(present, policy, wish.at) + 1, len(policy.escalate))}
        case Act.RESOLVE:
            return {"reason": wish.reason, "note": wish.note}
        case _:
            return {}


def undo(present: Triage, wish: Wish) -> Triage:
    """Go back to what was before the last act. Raises Illegal when that is too long ago or was not a person's."""
    before = present.before
    if before is None or not present.by.id or wish.at - present.at > UNDO:
        raise Illegal(Act.UNDO, present)
    done = _done(present, wish)
    kept = {name: getattr(done, name) for name in ("rev", "turn", "did", "by", "at", "requests")}
    return before.model_copy(update=kept)


def next_step(present: Triage, policy: Policy, now: float) -> int:
    """Which step of the escalation comes next; how many there are, when none is left."""
    due = (
        index
        for index, step in enumerate(policy.escalate)
        if index >= present.steps and (present.opened + step.after > now or present.state is not State.OPEN)
    )
    return next(due, len(policy.escalate))
