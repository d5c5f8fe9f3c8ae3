"""Summary of runs and results over a period for one channel's digest; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from zofbot.domain.errors import ZofError
from zofbot.domain.model import Outcome, Result, Run
from zofbot.notifications.digest_payload import CaseCount, DigestPayload, TrendPoint
from zofbot.notifications.payload_parts import clean_text
from zofbot.polling.cursor import ListingName
from zofbot.polling.time_window import ListedT
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.digest_schedule import (
    DigestSetting,
    digest_key,
    format_schedule,
    latest_occurrence,
    period_bounds,
    period_label,
)
from zofbot.subscriptions.events import case_key
from zofbot.subscriptions.patterns import matches_patterns
from zofbot.triage.shift_report import ShiftReport

MAX_NAMED_CASES = 5
"""Maximum cases listed in each section."""


@dataclass(frozen=True)
class DueDigest:
    """A channel's due digest: its key, and the boundaries of the parts of its period (Unix seconds)."""

    regular: DigestSetting
    key: str
    edges: tuple[float, ...]

    @property
    def starts_at(self) -> float:
        return self.edges[0]

    @property
    def ends_at(self) -> float:
        return self.edges[-1]


@dataclass(frozen=True)
class DigestData:
    """Data read from Zof; ``back`` is since when it is complete (Unix seconds) if not, ``trouble`` the error."""

    runs: Iterable[Run] = ()
    results: Iterable[Result] = ()
    back: float | None = None
    trouble: str = ""
    request_id: str = ""

    @classmethod
    def from_listings(
        cls,
        runs: Collection[Run],
        results: Collection[Result],
        now: float,
        *,
        cut: Collection[ListingName],
        trouble: ZofError | None,
    ) -> DigestData:
        """Build from listings read up to ``now`` (Unix seconds); of those in ``cut`` there was more to read."""
        reached = []
        for noun in cut:
            items = runs if noun == "runs" else results
            times = [item.latest_time.timestamp() for item in items if item.latest_time]
            reached.append(min(times, default=now))
        back = max(reached, default=None)
        sentence, error_request_id = (trouble.sentence, trouble.request_id or "") if trouble else ("", "")
        return cls(runs, results, back, sentence, error_request_id)


def due_digests(settings: Iterable[DigestSetting], done: Mapping[str, str], now: float) -> list[DueDigest]:
    """Return the digests due at ``now``: only the latest per channel, and none from before it was configured.

    ``done`` maps each channel to the key of its last digest.
    """
    found = []
    for setting in settings:
        day, at = latest_occurrence(setting.rhythm, now)
        name = digest_key(setting.rhythm, day, setting.channel)
        if at > setting.since and done.get(setting.channel) != name:
            found.append(DueDigest(setting, name, period_bounds(setting.rhythm, day)))
    return found


def build_digest(
    due: DueDigest, read: DigestData, shift: ShiftReport, subscriptions: Sequence[Subscription]
) -> DigestPayload:
    """Summarize what happened after ``due.starts_at`` up to ``due.ends_at``; each run is in exactly one digest.

    With ``subscriptions``, only runs that match their project and environment count. The input order does not matter.
    """
    runs, results = _latest_states(read.runs), _latest_states(read.results)
    run_locations = {run.id: _locate_item(run) for run in runs}
    counted_runs = [
        run for run in runs if _is_within(run, due) and _matches_location(run_locations[run.id], subscriptions)
    ]
    locations = {result.id: _locate_item(result, run_locations.get(result.run_id or "")) for result in results}
    counted_results = [
        result
        for result in results
        if _is_within(result, due) and _matches_location(locations[result.id], subscriptions)
    ]
    outcomes = Counter(item.outcome for item in counted_runs)
    passed, failed, error = (outcomes[kind] for kind in (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR))
    cases = _results_by_case(counted_results, locations)
    opened = [*shift.open, *shift.snoozed]
    rhythm = due.regular.rhythm
    return DigestPayload(
        every=rhythm.every, rhythm=format_schedule(rhythm), zone=rhythm.zone, since=due.starts_at, until=due.ends_at,
        runs=len(counted_runs), passed=passed, failed=failed, error=error,
        other=len(counted_runs) - passed - failed - error,
        results=len(counted_results), bad=sum(item.outcome.is_bad for item in counted_results),
        trend=_trend_points(due, counted_runs),
        failing=_failing_cases(cases), slowest=_slowest_cases(cases), flaky=_flaky_cases(cases),
        open=len(opened), oldest=min((item.began for item in opened), default=None), snoozed=len(shift.snoozed),
        answered=shift.answered, ended=shift.ended, narrowed=bool(subscriptions), back=read.back,
        trouble=clean_text(read.trouble, 300), request_id=read.request_id,
    )  # fmt: skip


def _latest_states(items: Iterable[ListedT]) -> list[ListedT]:
    """Return each item once, ordered by time, in its latest state if it changed while being listed."""
    latest: dict[str, ListedT] = {}
    for item in items:
        latest[item.id] = max(latest.get(item.id, item), item, key=_state_order)
    return sorted(latest.values(), key=lambda item: (_item_time(item), item.id))


def _state_order(item: Run | Result) -> tuple[bool, float, str]:
    return item.outcome.is_final, _item_time(item), item.model_dump_json()


def _item_time(item: Run | Result) -> float:
    return item.latest_time.timestamp() if item.latest_time else 0.0


def _is_within(item: Run | Result, due: DueDigest) -> bool:
    return due.starts_at < _item_time(item) <= due.ends_at


class _RunLocation(NamedTuple):
    """Where a run ran: the project's id and name, the one to display, and the environment."""

    names: tuple[str, ...] = ()
    project: str = ""
    environment: str = ""


def _locate_item(item: Run | Result, run: _RunLocation | None = None) -> _RunLocation:
    """Return where an item ran; a result falls back to its run's location."""
    run = run or _RunLocation()
    names = tuple(name for name in (item.project_id, item.project_name) if name)
    return _RunLocation(names or run.names, item.project or run.project, item.environment or run.environment)


def _matches_location(place: _RunLocation, subscriptions: Sequence[Subscription]) -> bool:
    environments = (place.environment,) if place.environment else ()
    return not subscriptions or any(
        matches_patterns(subscription.project, place.names) and matches_patterns(subscription.env, environments)
        for subscription in subscriptions
    )


def _trend_points(due: DueDigest, runs: Sequence[Run]) -> tuple[TrendPoint, ...]:
    points = []
    for begin, end in pairwise(due.edges):
        over = [run.outcome for run in runs if begin < _item_time(run) <= end]
        passed = over.count(Outcome.PASSED)
        points.append(
            TrendPoint(
                label=period_label(due.regular.rhythm, begin),
                passed=passed,
                ended=passed + sum(item.is_bad for item in over),
            )
        )
    return tuple(points)


ResultsByCase = Mapping[tuple[str, str, str], Sequence[Result]]
"""Results by (project, environment, case), ordered by time."""


def _results_by_case(results: Iterable[Result], where: Mapping[str, _RunLocation]) -> ResultsByCase:
    found: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for result in results:
        if result.outcome.is_final:
            found[where[result.id].project, where[result.id].environment, case_key(result)].append(result)
    return found


def _failing_cases(cases: ResultsByCase) -> tuple[CaseCount, ...]:
    """Return the cases with the most failed or errored results."""
    counted = {case: sum(result.outcome.is_bad for result in results) for case, results in cases.items()}
    return _top_cases(cases, counted, lambda case: {"times": counted[case], "of": len(cases[case])})


def _slowest_cases(cases: ResultsByCase) -> tuple[CaseCount, ...]:
    """Return the slowest cases by median duration, which a single outlier does not change."""
    spans = {case: [result.duration for result in results if result.duration] for case, results in cases.items()}
    middle = {case: median(found) for case, found in spans.items() if found}
    return _top_cases(cases, middle, lambda case: {"seconds": middle[case]})


def _flaky_cases(cases: ResultsByCase) -> tuple[CaseCount, ...]:
    """Return the cases that failed and then passed in the next run. A repair looks the same."""
    turned = {case: sum(_is_flake(*pair) for pair in pairwise(results)) for case, results in cases.items()}
    return _top_cases(cases, turned, lambda case: {"times": turned[case]})


def _is_flake(result: Result, following: Result) -> bool:
    turned = (result.outcome, following.outcome) == (Outcome.FAILED, Outcome.PASSED)
    return turned and (result.run_id != following.run_id or result.run_id is None)


def _top_cases(
    cases: ResultsByCase,
    by: Mapping[tuple[str, str, str], float],
    more: Callable[[tuple[str, str, str]], dict[str, float]],
) -> tuple[CaseCount, ...]:
    """Return the first few cases with a positive number, highest first."""
    order = sorted((case for case, number in by.items() if number > 0), key=lambda case: (-by[case], case))
    return tuple(_case_entry(case, cases[case], more(case)) for case in order[:MAX_NAMED_CASES])


def _case_entry(case: tuple[str, str, str], results: Sequence[Result], more: dict[str, float]) -> CaseCount:
    project, environment, name = case
    title = next((result.title for result in reversed(results) if result.title), name)
    where = ", ".join(filter(None, (clean_text(project, 50), clean_text(environment, 50))))
    return CaseCount.model_validate({"title": clean_text(title, 100), "where": where, **more})
