"""Shift report: what is open, what was done by whom, and how fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from zofbot.triage.state_machine import Action, TriageRecord, TriageState


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


def build_shift_report(stories: Iterable[FailureSummary], deeds: Sequence[ActionRecord], since: float) -> ShiftReport:
    """Build the report since a time in Unix seconds; failures that were open before and still are count too."""
    known = sorted(stories, key=lambda story: (story.began, story.key))
    done = [deed for deed in deeds if deed.at >= since]
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


def _count_actions(deeds: Iterable[ActionRecord]) -> tuple[tuple[str, int], ...]:
    """Count each person's actions; two people with the same name are counted separately."""
    done = sorted(deeds, key=lambda deed: deed.at)
    names = {deed.actor_key: deed.name for deed in done}
    counted = Counter(deed.actor_key for deed in done)
    return tuple(
        sorted(((names[who], number) for who, number in counted.items()), key=lambda pair: (-pair[1], pair[0]))
    )


def _in_states(stories: Iterable[FailureSummary], *states: TriageState) -> tuple[FailureSummary, ...]:
    return tuple(story for story in stories if story.present.state in states)


def _acknowledge_times(stories: Iterable[FailureSummary], deeds: Iterable[ActionRecord]) -> list[float]:
    """Return the seconds from each failure's notification to its first acknowledgement among ``deeds``."""
    began = {story.key: story.began for story in stories}
    first: dict[str, float] = {}
    for deed in sorted(deeds, key=lambda deed: deed.at):
        if deed.act == Action.ACKNOWLEDGE and deed.at >= began.get(deed.key, float("inf")):
            first.setdefault(deed.key, deed.at - began[deed.key])
    return list(first.values())


def _median_seconds(seconds: Iterable[float]) -> float | None:
    found = [second for second in seconds if second >= 0]
    return median(found) if found else None
