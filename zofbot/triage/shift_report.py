"""Shift report: what is open, what was done by whom, and how fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from zofbot.triage.record import TriageRecord
from zofbot.triage.state_machine import Action, TriageState


@dataclass(frozen=True)
class FailureSummary:
    """A failure: ``began`` is when its channel was notified (Unix seconds), ``present`` its triage record."""

    key: str
    title: str
    began: float
    present: TriageRecord


@dataclass(frozen=True)
class ActionRecord:
    """An action on a failure ``at`` (Unix seconds); ``user`` is the person's id, ``name`` their name at the time."""

    key: str
    act: str
    name: str
    at: float
    user: str = ""

    @property
    def actor_key(self) -> str:
        """Identifies a person: their id, or their name in records without one."""
        return self.user or self.name


@dataclass(frozen=True)
class ShiftReport:
    """What happened ``since`` (Unix seconds); ``answered``, ``ended``: median seconds to acknowledge and to close."""

    since: float
    open: tuple[FailureSummary, ...] = ()
    snoozed: tuple[FailureSummary, ...] = ()
    resolved: tuple[FailureSummary, ...] = ()
    recovered: tuple[FailureSummary, ...] = ()
    deeds: tuple[tuple[str, int], ...] = ()
    """Actions per person, most active first, under each person's latest name."""
    answered: float | None = None
    ended: float | None = None


def build_shift_report(
    failures: Iterable[FailureSummary], actions: Sequence[ActionRecord], since: float
) -> ShiftReport:
    """Build the report since a time in Unix seconds; failures that were open before and still are count too."""
    known = sorted(failures, key=lambda failure: (failure.began, failure.key))
    done = [action for action in actions if action.at >= since]
    closed = [item for item in known if item.present.state.is_closed and item.present.since >= since]
    return ShiftReport(
        since,
        open=_in_states(known, TriageState.OPEN, TriageState.ACKNOWLEDGED),
        snoozed=_in_states(known, TriageState.SNOOZED),
        resolved=_in_states(closed, TriageState.RESOLVED),
        recovered=_in_states(closed, TriageState.RECOVERED),
        deeds=_count_actions(done),
        answered=_median_seconds(_acknowledge_times(known, done)),
        ended=_median_seconds(item.present.since - item.began for item in closed),
    )


def _count_actions(actions: Iterable[ActionRecord]) -> tuple[tuple[str, int], ...]:
    """Count each person's actions; two people with the same name are counted separately."""
    done = sorted(actions, key=lambda action: action.at)
    names = {action.actor_key: action.name for action in done}
    counted = Counter(action.actor_key for action in done)
    return tuple(
        sorted(((names[who], number) for who, number in counted.items()), key=lambda pair: (-pair[1], pair[0]))
    )


def _in_states(failures: Iterable[FailureSummary], *states: TriageState) -> tuple[FailureSummary, ...]:
    return tuple(failure for failure in failures if failure.present.state in states)


def _acknowledge_times(failures: Iterable[FailureSummary], actions: Iterable[ActionRecord]) -> list[float]:
    """Return the seconds from each failure's notification to its first acknowledgement among ``actions``."""
    began = {failure.key: failure.began for failure in failures}
    first: dict[str, float] = {}
    for action in sorted(actions, key=lambda action: action.at):
        if action.act == Action.ACKNOWLEDGE and action.at >= began.get(action.key, float("inf")):
            first.setdefault(action.key, action.at - began[action.key])
    return list(first.values())


def _median_seconds(seconds: Iterable[float]) -> float | None:
    found = [second for second in seconds if second >= 0]
    return median(found) if found else None
