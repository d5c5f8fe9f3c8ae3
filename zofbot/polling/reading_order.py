"""The order in which pending runs are read: by time, and what failed first if the request budget is short."""

from __future__ import annotations

from collections.abc import Iterable

from zofbot.alerting.holds import is_critical
from zofbot.polling.cursor import FAILURE_FEED_NAMES
from zofbot.store.pending_runs import PendingRun

_BAD_OUTCOMES = frozenset(name.rpartition(" ")[2] for name in FAILURE_FEED_NAMES)

MAX_FAILURES = 3
"""Failures to return a run in a row after which it is read last; one or two are soon over."""

CRITICAL_FAILURE, FAILURE, OTHER = range(3)
"""Urgencies, the highest first."""


def sort_pending(due: Iterable[PendingRun], affordable: int) -> list[PendingRun]:
    """Sort runs oldest first; those that Zof has repeatedly failed to return come last, and so do results of such.

    If there are more than are affordable now, failures come before what may have passed, critical ones first. What
    passed in the same project and environment before a failure is read before it, as the failure may be a relapse.
    That holds for listed runs only: a webhook of a run names no project.
    """
    by_time = sorted(due, key=lambda pending: (_is_put_last(pending), _time_of(pending), pending.hash_field))
    if len(by_time) <= affordable:
        return by_time
    last_failures: dict[tuple[tuple[str, ...], str], float] = {}
    for pending in by_time:
        if _may_have_failed(pending) and pending.projects:
            scope = _scope_of(pending)
            last_failures[scope] = max(last_failures.get(scope, 0.0), _time_of(pending))

    def urgency_of(pending: PendingRun) -> int:
        if not _may_have_failed(pending) and _time_of(pending) > last_failures.get(_scope_of(pending), 0.0):
            return OTHER
        return CRITICAL_FAILURE if is_critical(pending.environment) else FAILURE

    return sorted(by_time, key=lambda pending: (_is_put_last(pending), urgency_of(pending)))


def _is_put_last(pending: PendingRun) -> bool:
    return pending.alone or pending.failures >= MAX_FAILURES


def _time_of(pending: PendingRun) -> float:
    return pending.happened or pending.since


def _scope_of(pending: PendingRun) -> tuple[tuple[str, ...], str]:
    return pending.projects[:1], pending.environment  # without the project's name, which some listings may lack


def _may_have_failed(pending: PendingRun) -> bool:
    """Whether a listing or a webhook says that it failed; so do all notices."""
    shown = {field.split(":")[1] for field in pending.seen}
    return pending.kind == "notice" or pending.why == "run.failed" or not shown.isdisjoint(_BAD_OUTCOMES)
