"""How a shift went: what is left of it, what was done in it and by whom, and how fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from zofbot.triage.state_machine import Action, TriageRecord, TriageState


@dataclass(frozen=True)
class FailureSummary:
    """A failure: ``began`` is when its channel was told (Unix seconds), ``present`` how it stands."""

    key: str
    title: str
    began: float
    present: TriageRecord


@dataclass(frozen=True)
class ActionRecord:
    """One act on one failure at Unix seconds, by a person with the id ``user``; ``name`` is what they were called."""

    key: str
    act: str
    name: str
    at: float
    user: str = ""

    @property
    def actor_key(self) -> str:
        """Tells one person from another, whatever they are called."""
        return self.user or self.name


@dataclass(frozen=True)
class ShiftReport:
    """``answered`` and ``ended`` are median seconds until somebody acknowledged, and until it was over."""

    since: float
    open: tuple[FailureSummary, ...] = ()
    snoozed: tuple[FailureSummary, ...] = ()
    resolved: tuple[FailureSummary, ...] = ()
    recovered: tuple[FailureSummary, ...] = ()
    deeds: tuple[tuple[str, int], ...] = ()
    """How many acts each person did, by what they were called last, the busiest first."""
    answered: float | None = None
    ended: float | None = None


def build_shift_report(stories: Iterable[FailureSummary], deeds: Sequence[ActionRecord], since: float) -> ShiftReport:
    """Sum up what happened ``since`` (Unix seconds); what was open before and still is belongs to it, too."""
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
    """How many acts each person did; two people of one name stay two."""
    done = sorted(deeds, key=lambda deed: deed.at)
    names = {deed.actor_key: deed.name for deed in done}
    counted = Counter(deed.actor_key for deed in done)
    return tuple(
        sorted(((names[who], number) for who, number in counted.items()), key=lambda pair: (-pair[1], pair[0]))
    )


def _in_states(stories: Iterable[FailureSummary], *states: TriageState) -> tuple[FailureSummary, ...]:
    return tuple(story for story in stories if story.present.state in states)


def _acknowledge_times(stories: Iterable[FailureSummary], deeds: Iterable[ActionRecord]) -> list[float]:
    """Seconds until each failure was acknowledged for the first time since it was told, as far as that was lately."""
    began = {story.key: story.began for story in stories}
    first: dict[str, float] = {}
    for deed in sorted(deeds, key=lambda deed: deed.at):
        if deed.act == Action.ACKNOWLEDGE and deed.at >= began.get(deed.key, float("inf")):
            first.setdefault(deed.key, deed.at - began[deed.key])
    return list(first.values())


def _median_seconds(seconds: Iterable[float]) -> float | None:
    found = [second for second in seconds if second >= 0]
    return median(found) if found else None
