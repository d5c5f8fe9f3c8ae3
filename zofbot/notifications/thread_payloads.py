"""Payloads of replies in an alert's thread."""

from __future__ import annotations

from typing import Literal

from zofbot.notifications.past_causes import Resolution as Resolution  # noqa: PLC0414  (exported for mypy)
from zofbot.notifications.payload_parts import CaseSummary, PayloadModel, RunSummary
from zofbot.triage import Action, TriageRecord, TriageState


class ThreadReplyPayload(PayloadModel):
    """A reply in an alert's thread."""

    broadcast: bool = False
    """Whether the reply is also posted to the channel."""
    mention: tuple[str, ...] = ()


class ResultPayload(ThreadReplyPayload):
    """A reply for one failed result, in the thread of its run or case."""

    card: Literal["result"] = "result"
    case: CaseSummary
    run_id: str = ""
    again: bool = False
    """Whether the alert had recovered before."""
    others: int = 0
    """Number of other relapsed cases of the run that are not broadcast."""


class CauseReplyPayload(ThreadReplyPayload):
    """A reply for the ``count`` failures of a run that have the cause of ``case``.

    ``unlisted`` of them are not among ``titles``. ``again``: the alert had recovered before. Where the thread is about
    several projects, ``project`` and ``environment`` say where the run was.
    """

    card: Literal["cause"] = "cause"
    case: CaseSummary
    run_id: str = ""
    count: int
    titles: tuple[str, ...] = ()
    unlisted: int = 0
    again: bool = False
    project: str = ""
    environment: str = ""


class MoreFailuresPayload(ThreadReplyPayload):
    """A reply for failures without their own reply: ``count`` in all, ``unlisted`` of them not among ``titles``."""

    card: Literal["rest"] = "rest"
    run: RunSummary
    titles: tuple[str, ...] = ()
    count: int
    unlisted: int = 0


class FailingAgainPayload(ThreadReplyPayload):
    """A reply for a run without known results that failed again after a recovery."""

    card: Literal["again"] = "again"
    run: RunSummary


class FlappingPayload(ThreadReplyPayload):
    """A reply for an alert that relapsed so many ``times`` in quick succession; ``run`` was the latest."""

    card: Literal["flapping"] = "flapping"
    title: str = ""
    run: RunSummary
    times: int


class RecoveryPayload(ThreadReplyPayload):
    """A reply for a recovery in ``run``, so many seconds ``after`` the latest failure.

    ``cases`` are the titles of passed cases that somebody had re-run.
    """

    card: Literal["recovered"] = "recovered"
    title: str = ""
    run: RunSummary
    after: float = 0.0
    cases: tuple[str, ...] = ()


class ReminderPayload(PayloadModel):
    """A scheduled reply, which is dropped when due if it is obsolete.

    ``sort`` is its kind; ``turn`` and ``at`` (Unix seconds) identify the opening, acknowledgement or snooze.
    """

    card: Literal["timer"] = "timer"
    sort: Literal["escalate", "ask", "wake", "lapse"]
    turn: int = 0
    at: float
    step: int = 0
    mention: tuple[str, ...] = ()

    def is_still_wanted(self, present: TriageRecord) -> bool:
        """Whether it still applies, given the failure's record when it is due."""
        if self.turn != present.turn:
            return False
        match self.sort:
            case "escalate":
                return present.state is TriageState.OPEN and present.opened == self.at and self.step >= present.steps
            case "ask":
                return present.state is TriageState.ACKNOWLEDGED and present.asks == self.at
            case _:  # a snooze counts as ended at the latest failure while it is not known which one ended it
                return present.did == self.sort and present.opened >= self.at and not present.by.id


class ActionPayload(PayloadModel):
    """What somebody did about a failure: a reply in its thread, or a direct message to the assignee.

    People are given by name; ``until`` and ``undone_at`` are in Unix seconds. ``state`` is that after the action, or
    after ``undone_by`` undid it.
    """

    card: Literal["act"] = "act"
    act: Action
    who: str
    owner: str = ""
    state: TriageState = TriageState.OPEN
    until: float | None = None
    more: int = 0
    hid: int = 0
    """How often it failed during a snooze that this action ended."""
    reason: str = ""
    note: str = ""
    mention: tuple[str, ...] = ()
    title: str = ""
    channel: str = ""
    run_id: str = ""
    undone_by: str = ""
    undone_at: float = 0.0


class RerunResultPayload(PayloadModel):
    """A reply for the end of a re-run started from a failure's thread; ``bad`` of its cases failed again.

    ``failed``, ``passed`` and ``absent`` are titles of cases; ``absent`` ones were to be run and have no outcome.
    """

    card: Literal["rerun"] = "rerun"
    run: RunSummary
    bad: int = 0
    failed: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
