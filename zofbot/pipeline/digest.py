"""A digest made out of runs and results: what they come to over a time, for one channel; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from zofbot.errors import ZofError
from zofbot.model import Outcome, Result, Run
from zofbot.pipeline.window import Seen
from zofbot.routing import Subscription
from zofbot.routing.finding import case_of
from zofbot.routing.patterns import fits
from zofbot.routing.rhythm import Regular, edges, key, label, latest, spelled
from zofbot.slack.bodies import said
from zofbot.slack.digests import Counted, DigestBody, Point
from zofbot.triage.shift import Shift

SHOWN = 5
"""Cases of each kind that are named."""


@dataclass(frozen=True)
class Due:
    """A channel's digest that is due: its key, and the bounds of the parts of its time (Unix seconds)."""

    regular: Regular
    key: str
    edges: tuple[float, ...]

    @property
    def since(self) -> float:
        return self.edges[0]

    @property
    def until(self) -> float:
        return self.edges[-1]


@dataclass(frozen=True)
class Read:
    """What was read of Zof's listings: how far ``back`` (Unix seconds) where it has more, and its ``trouble``."""

    runs: Iterable[Run] = ()
    results: Iterable[Result] = ()
    back: float | None = None
    trouble: str = ""
    request_id: str = ""

    @classmethod
    def of(
        cls, runs: Collection[Run], results: Collection[Result], now: float, *, cut: bool, trouble: ZofError | None
    ) -> Read:
        """What stands in listings that were read until ``now`` (Unix seconds); ``cut`` where they have more."""
        times = [one.when.timestamp() for one in (*runs, *results) if one.when]
        back = min(times, default=now) if cut else None
        said, asked = (trouble.sentence, trouble.request_id or "") if trouble else ("", "")
        return cls(runs, results, back, said, asked)


def due(regulars: Iterable[Regular], done: Mapping[str, str], now: float) -> list[Due]:
    """What is to be told at ``now``: of each channel the latest only, and nothing of before it was set.

    ``done`` has the key of the last one of each channel.
    """
    found = []
    for one in regulars:
        day, at = latest(one.rhythm, now)
        name = key(one.rhythm, day, one.channel)
        if at > one.since and done.get(one.channel) != name:
            found.append(Due(one, name, edges(one.rhythm, day)))
    return found


def digest(due: Due, read: Read, shift: Shift, subscriptions: Sequence[Subscription]) -> DigestBody:
    """Sum up what happened after ``due.since`` and until ``due.until``; each run is in one digest of a row.

    With ``subscriptions`` only what they mean by project and environment is counted. In which order it was read does
    not matter.
    """
    runs, results = _once(read.runs), _once(read.results)
    places = {one.id: _place(one) for one in runs}
    meant = [one for one in runs if _within(one, due) and _wanted(places[one.id], subscriptions)]
    where = {one.id: _place(one, places.get(one.run_id or "")) for one in results}
    counted = [one for one in results if _within(one, due) and _wanted(where[one.id], subscriptions)]
    outcomes = Counter(one.outcome for one in meant)
    passed, failed, error = (outcomes[kind] for kind in (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR))
    cases = _cases(counted, where)
    opened = [*shift.open, *shift.snoozed]
    rhythm = due.regular.rhythm
    return DigestBody(
        every=rhythm.every, rhythm=spelled(rhythm), zone=rhythm.zone, since=due.since, until=due.until,
        runs=len(meant), passed=passed, failed=failed, error=error, other=len(meant) - passed - failed - error,
        results=len(counted), bad=sum(one.outcome.bad for one in counted), trend=_trend(due, meant),
        failing=_failing(cases), slowest=_slowest(cases), flaky=_flaky(cases),
        open=len(opened), oldest=min((one.began for one in opened), default=None), snoozed=len(shift.snoozed),
        answered=shift.answered, ended=shift.ended, narrowed=bool(subscriptions), back=read.back,
        trouble=said(read.trouble, 300), request_id=read.request_id,
    )  # fmt: skip


def _once(items: Iterable[Seen]) -> list[Seen]:
    """Each id once, in the order of their times; of one that was listed while it changed, the later state."""
    latest: dict[str, Seen] = {}
    for one in items:
        latest[one.id] = max(latest.get(one.id, one), one, key=_state)
    return sorted(latest.values(), key=lambda one: (_at(one), one.id))


def _state(one: Run | Result) -> tuple[bool, float, str]:
    return one.outcome.final, _at(one), one.model_dump_json()


def _at(one: Run | Result) -> float:
    return one.when.timestamp() if one.when else 0.0


def _within(one: Run | Result, due: Due) -> bool:
    return due.since < _at(one) <= due.until


class _Place(NamedTuple):
    """Where something ran: every name of the project, the one that people know, and the environment."""

    names: tuple[str, ...] = ()
    project: str = ""
    environment: str = ""


def _place(one: Run | Result, run: _Place | None = None) -> _Place:
    """Where it ran; what a result does not say of that, its run may."""
    run = run or _Place()
    names = tuple(name for name in (one.project_id, one.project_name) if name)
    return _Place(names or run.names, one.project or run.project, one.environment or run.environment)


def _wanted(place: _Place, subscriptions: Sequence[Subscription]) -> bool:
    environments = (place.environment,) if place.environment else ()
    return not subscriptions or any(
        fits(one.project, place.names) and fits(one.env, environments) for one in subscriptions
    )


def _trend(due: Due, runs: Sequence[Run]) -> tuple[Point, ...]:
    points = []
    for begin, end in pairwise(due.edges):
        over = [one.outcome for one in runs if begin < _at(one) <= end]
        passed = over.count(Outcome.PASSED)
        points.append(
            Point(label=label(due.regular.rhythm, begin), passed=passed, ended=passed + sum(one.bad for one in over))
        )
    return tuple(points)


Cases = Mapping[tuple[str, str, str], Sequence[Result]]
"""The results of each case of a project in an environment, in the order in which they happened."""


def _cases(results: Iterable[Result], where: Mapping[str, _Place]) -> Cases:
    found: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for one in results:
        if one.outcome.final:
            found[where[one.id].project, where[one.id].environment, case_of(one)].append(one)
    return found


def _failing(cases: Cases) -> tuple[Counted, ...]:
    """Those with the most failed or errored results."""
    counted = {case: sum(one.outcome.bad for one in results) for case, results in cases.items()}
    return _first(cases, counted, lambda case: {"times": counted[case], "of": len(cases[case])})


def _slowest(cases: Cases) -> tuple[Counted, ...]:
    """Those that take longest, by the middle one of their results: a single slow one says little."""
    spans = {case: [one.duration for one in results if one.duration] for case, results in cases.items()}
    middle = {case: median(found) for case, found in spans.items() if found}
    return _first(cases, middle, lambda case: {"seconds": middle[case]})


def _flaky(cases: Cases) -> tuple[Counted, ...]:
    """Those that failed and in the next run passed, with no other outcome in between, which a repair may be as well."""
    turned = {case: sum(_turned(*pair) for pair in pairwise(results)) for case, results in cases.items()}
    return _first(cases, turned, lambda case: {"times": turned[case]})


def _turned(one: Result, following: Result) -> bool:
    turned = (one.outcome, following.outcome) == (Outcome.FAILED, Outcome.PASSED)
    return turned and (one.run_id != following.run_id or one.run_id is None)


def _first(
    cases: Cases, by: Mapping[tuple[str, str, str], float], more: Callable[[tuple[str, str, str]], dict[str, float]]
) -> tuple[Counted, ...]:
    """The first few by a number that is not nought."""
    order = sorted((case for case, number in by.items() if number > 0), key=lambda case: (-by[case], case))
    return tuple(_named(case, cases[case], more(case)) for case in order[:SHOWN])


def _named(case: tuple[str, str, str], results: Sequence[Result], more: dict[str, float]) -> Counted:
    project, environment, name = case
    title = next((one.title for one in reversed(results) if one.title), name)
    where = ", ".join(filter(None, (said(project, 50), said(environment, 50))))
    return Counted.model_validate({"title": said(title, 100), "where": where, **more})
