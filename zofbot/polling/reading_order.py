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
    by_time = sorted(due, key=lambda watch: (_is_put_last(watch), _time_of(watch), watch.hash_field))
    if len(by_time) <= affordable:
        return by_time
    last_failures: dict[tuple[tuple[str, ...], str], float] = {}
    for watch in by_time:
        if _may_have_failed(watch) and watch.projects:
            scope = _scope_of(watch)
            last_failures[scope] = max(last_failures.get(scope, 0.0), _time_of(watch))

    def urgency_of(watch: PendingRun) -> int:
        if not _may_have_failed(watch) and _time_of(watch) > last_failures.get(_scope_of(watch), 0.0):
            return OTHER
        return CRITICAL_FAILURE if is_critical(watch.environment) else FAILURE

    return sorted(by_time, key=lambda watch: (_is_put_last(watch), urgency_of(watch)))


def _is_put_last(watch: PendingRun) -> bool:
    return watch.alone or watch.failures >= MAX_FAILURES


def _time_of(watch: PendingRun) -> float:
    return watch.happened or watch.since


def _scope_of(watch: PendingRun) -> tuple[tuple[str, ...], str]:
    return watch.projects[:1], watch.environment  # without the project's name, which some listings may lack


def _may_have_failed(watch: PendingRun) -> bool:
    """Whether a listing or a webhook says that it failed; so do all notices."""
    shown = {field.split(":")[1] for field in watch.seen}
    return watch.kind == "notice" or watch.why == "run.failed" or not shown.isdisjoint(_BAD_OUTCOMES)
