"""What is stored about the triage of a failure, and what runs show about it."""

from __future__ import annotations

from zofbot.domain.frozen_model import FrozenModel
from zofbot.triage.state_machine import Action, TriageState

MAX_KEPT_REQUESTS = 5
"""Slack requests kept in a record, to recognize one that Slack repeats."""


class TriageModel(FrozenModel):
    """What is stored as JSON; fields added by newer versions are ignored."""


class Actor(TriageModel):
    """A person, by Slack id and name; without an id, zofbot itself."""

    id: str = ""
    name: str = ""


class RunFacts(TriageModel):
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
    reopened: float = 0.0
    """When a failure last ended a snooze or a resolution by a person."""
    reopened_from: float | None = None
    """When that snooze or resolution had begun."""


class TriageRecord(TriageModel):
    """What people did about a failure. Times are Unix seconds.

    ``rev`` counts actions; ``turn`` is ``RunFacts.turn`` at the last one. ``by`` did the last action, ``mover`` the one
    that led to this state. ``since`` is when the state began, ``opened`` when it last became open: escalations count
    from there. ``until`` is when a snooze or acknowledgement ends, ``more`` after how many further failures a snooze
    does. ``counted`` is how often it had failed when snoozed, 0 if unknown; ``hid`` is how often it failed during the
    snooze, set when that ends. ``asks`` is when "still on it?" is asked. ``steps`` are the escalation steps taken
    when somebody last escalated, counting those that reminders took before.
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
    line: str = ""
    """Key of the thread reply that shows the last action; empty in old records."""
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
