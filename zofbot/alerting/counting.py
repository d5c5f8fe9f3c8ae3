"""Count failures for ``after:`` thresholds: within a time window, or in a row until one passes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from zofbot.alerting.passes import known_passes
from zofbot.alerting.run_series import normalize_title
from zofbot.alerting.state import DecisionBuilder, RuleState, scope_key, short_hash, threshold_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.domain.json_encoding import encode_json
from zofbot.domain.model import Outcome
from zofbot.subscriptions import MatchResult, RunFinding, Subscription, Threshold

MAX_COUNTED_FIELDS = 500
"""Entries per subscription above which entries too old to count are deleted."""


class Count(NamedTuple):
    """The number of failing runs counted, when the first happened (Unix seconds), and their ids, oldest first."""

    failures: int
    first: float
    runs: tuple[str, ...] = ()


def count_run(draft: DecisionBuilder, finding: RunFinding, subscription: Subscription, after: Threshold) -> Count:
    """Count a failing run. A row is counted per run title, because several schedules may share one environment."""
    field = _run_row_field(finding) if after.in_a_row else scope_key(finding)
    named = normalize_title(finding.run.title)
    ends = (
        each.at
        for each in known_passes(draft, scope_key(finding))
        if each.whole and normalize_title(each.title) == named
    )
    return _update_count(draft, finding, subscription, field, ends)


def count_case(
    draft: DecisionBuilder, finding: RunFinding, subscription: Subscription, after: Threshold, case: str
) -> Count:
    """Count a failing case. Counting the same run again changes nothing."""
    place = scope_key(finding)
    field = _case_row_field(finding, case) if after.in_a_row else short_hash(finding.project, finding.environment, case)
    ends = (each.at for each in known_passes(draft, place) if case in each.cases)
    return _update_count(draft, finding, subscription, field, ends)


def end_rows(draft: DecisionBuilder, finding: RunFinding, answers: Iterable[tuple[Subscription, MatchResult]]) -> None:
    """End the rows of failures of all that passed in a run; a run that passed with failures counts where it matches."""
    cases = [_case_row_field(finding, case) for case in sorted(finding.passed)]
    runs = [_run_row_field(finding)] if finding.run.outcome is Outcome.PASSED else []
    for subscription, verdict in answers:
        name = threshold_hash(subscription)
        if subscription.after is None or not subscription.after.in_a_row or not (counted := draft.read_hash(name)):
            continue
        fields = cases if verdict.matched else [*cases, *runs]
        for field in [field for field in fields if field in counted]:
            later = [(run, at) for run, at in _parse_count(counted[field]) if at > finding.happened]
            _save_count(draft, name, field, later)


def first_row_time(
    memory: RuleState, subscriptions: Iterable[Subscription], place: str, after: float = 0.0
) -> float | None:
    """Return when the first failure after ``after`` that counts in a row in a scope happened; None without any.

    Unix seconds.
    """
    names = {threshold_hash(each) for each in subscriptions if each.after and each.after.in_a_row}
    fields = (item for name in names for item in memory.hashes.get(name, {}).items())
    times = (at for field, value in fields if field.startswith(f"{place}:") for _, at in _parse_count(value))
    return min((at for at in times if at > after), default=None)


def _update_count(
    draft: DecisionBuilder, finding: RunFinding, subscription: Subscription, field: str, ends: Iterable[float]
) -> Count:
    after, name, at = subscription.after, threshold_hash(subscription), finding.happened
    assert after
    known = {**dict(_parse_count(draft.read_hash(name).get(field, "[]"))), finding.run.id: at}
    seen: list[tuple[str, float]] = sorted(known.items(), key=lambda item: (item[1], item[0]))
    _save_count(draft, name, field, seen[-2 * after.count :])
    _prune_counts(draft, name, after)
    if not after.in_a_row:
        counted = [(run, each) for run, each in seen if abs(each - at) < after.window]
    else:
        counted = _failures_in_row(seen, at, list(ends))
    return Count(len(counted), counted[0][1], tuple(run for run, _ in counted))


def _parse_count(stored: str) -> list[tuple[str, float]]:
    """Parse the counted runs and their times; empty if they cannot be read."""
    return parse_stored(
        "count", stored, lambda text: [(str(run), float(at)) for run, at in json.loads(text)], list[tuple[str, float]]()
    )


def _failures_in_row(seen: Iterable[tuple[str, float]], at: float, ends: Sequence[float]) -> list[tuple[str, float]]:
    """Return the failures in the same row as ``at``: those with no passing run in between."""
    last = max((end for end in ends if end <= at), default=-math.inf)
    following = min((end for end in ends if end > at), default=math.inf)
    return [(run, each) for run, each in seen if last < each < following or each == at]


def _save_count(draft: DecisionBuilder, name: str, field: str, counted: Sequence[tuple[str, float]]) -> None:
    if counted:
        draft.set_field(name, field, encode_json(counted))
    else:
        draft.delete_fields(name, [field])


def _prune_counts(draft: DecisionBuilder, name: str, after: Threshold) -> None:
    """Delete entries too old to count, once there are many."""
    fields = draft.read_hash(name)
    if len(fields) <= MAX_COUNTED_FIELDS:
        return
    latest = {field: max((at for _, at in _parse_count(value)), default=0.0) for field, value in fields.items()}
    aged = draft.now - 2 * after.window
    draft.delete_fields(name, [field for field, at in latest.items() if at < aged])


def _run_row_field(finding: RunFinding) -> str:
    return f"{scope_key(finding)}:{short_hash('run', normalize_title(finding.run.title))}"


def _case_row_field(finding: RunFinding, case: str) -> str:
    return f"{scope_key(finding)}:{short_hash('case', case)}"
