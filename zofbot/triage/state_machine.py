"""The triage states of a failure and the actions that change them: a transition table, and how it is applied.

A failure's state has two parts with separate writers: the rules write what Zof's runs show (``RunFacts``), people's
actions write the ``TriageRecord``. ``effective_record`` combines them for a given time. So a recovery, a relapse, the
end of a snooze and the lapse of an acknowledgement are computed, not written, and cannot race with a click: a record
names the ``turn`` (a count of recoveries and relapses) that it was made in, and a later turn overrides it.
"""

from __future__ import annotations

from enum import StrEnum


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
