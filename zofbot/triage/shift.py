"""How a shift went: what is left of it, what was done in it and by whom, and how fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from zofbot.triage.life import Act, State, Triage


@dataclass(frozen=True)
class Story:
    """A failure: ``began`` is when its channel was told (Unix seconds), ``present`` how it stands."""

    key: str
    title: str
    began: float
    present: Triage


@dataclass(frozen=True)
class Deed:
    """One act on one failure at Unix seconds, by a person with the id ``user``; ``name`` is what they were called."""

    key: str
    act: str
    name: str
    at: float
    user: str = ""

    @property
    def who(self) -> str:
        """Tells one person from another, whatever they are called."""
        return self.user or self.name


@dataclass(frozen=True)
class Shift:
    """``answered`` and ``ended`` are median seconds until somebody acknowledged, and until it was over."""

    since: float
    open: tuple[Story, ...] = ()
    snoozed: tuple[Story, ...] = ()
    resolved: tuple[Story, ...] = ()
    recovered: tuple[Story, ...] = ()
    deeds: tuple[tuple[str, int], ...] = ()
    """How many acts each person did, by what they were called last, the busiest first."""
    answered: float | None = None
    ended: float | None = None


def shift(stories: Iterable[Story], deeds: Sequence[Deed], since: float) -> Shift:
    """Sum up what happened ``since`` (Unix seconds); what was open before and still is belongs to it, too."""
    known = sorted(stories, key=lambda one: (one.began, one.key))
    done = [one for one in deeds if one.at >= since]
    closed = [one for one in known if one.present.state.closed and one.present.since >= since]
    return Shift(
        since,
        open=_in(known, State.OPEN, State.ACKNOWLEDGED),
        snoozed=_in(known, State.SNOOZED),
        resolved=_in(closed, State.RESOLVED),
        recovered=_in(closed, State.RECOVERED),
        deeds=_worked(done),
        answered=_median(_answered(known, done)),
        ended=_median(one.present.since - one.began for one in closed),
    )


def _worked(deeds: Iterable[Deed]) -> tuple[tuple[str, int], ...]:
    """How many acts each person did; two people of one name stay two."""
    done = sorted(deeds, key=lambda deed: deed.at)
    names = {deed.who: deed.name for deed in done}
    counted = Counter(deed.who for deed in done)
    return tuple(
        sorted(((names[who], number) for who, number in counted.items()), key=lambda pair: (-pair[1], pair[0]))
    )


def _in(stories: Iterable[Story], *states: State) -> tuple[Story, ...]:
    return tuple(one for one in stories if one.present.state in states)


def _answered(stories: Iterable[Story], deeds: Iterable[Deed]) -> list[float]:
    """Seconds until each failure was acknowledged for the first time since it was told, as far as that was lately."""
    began = {one.key: one.began for one in stories}
    first: dict[str, float] = {}
    for deed in sorted(deeds, key=lambda one: one.at):
        if deed.act == Act.ACKNOWLEDGE and deed.at >= began.get(deed.key, float("inf")):
            first.setdefault(deed.key, deed.at - began[deed.key])
    return list(first.values())


def _median(seconds: Iterable[float]) -> float | None:
    found = [one for one in seconds if one >= 0]
    return median(found) if found else None
