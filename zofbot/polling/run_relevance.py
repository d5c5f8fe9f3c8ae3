"""Which runs of the listing of all runs are read: those that add to what the failure feeds show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from zofbot.domain.model import Outcome, Run
from zofbot.polling.checkpoint import PollCheckpoint
from zofbot.polling.cursor import RESULT_FEEDS, Feed, has_plain_status
from zofbot.subscriptions import RunFinding

MAX_UNTIMED_SECONDS = 3600.0
"""Seconds that a listed run without an end time is believed to have taken at most. It may have passed after a failure
that it started before; its results tell, and reading them costs two requests."""


def is_relevant(run: Run, listed: float | None, checkpoint: PollCheckpoint, is_unread: Callable[[Feed], bool]) -> bool:
    """Whether a listed run may be a recovery, or have failures that no failure feed shows.

    ``listed``: when it was first listed (Unix seconds) if it has no time; it ended before that. ``is_unread``: whether
    a failure feed may not have been read in full, so that this listing takes its place.
    """
    if run.outcome.is_bad:
        return not has_plain_status(run) or is_unread(Feed("runs", run.outcome))
    counts_failures = run.counts.bad_count > 0
    if run.outcome is Outcome.PASSED:
        may_hide_results = not has_plain_status(run) or any(map(is_unread, RESULT_FEEDS))
        return _may_recover(run, listed, checkpoint) or (counts_failures and may_hide_results)
    return run.outcome is Outcome.UNKNOWN and run.ended is not None and counts_failures


def _may_recover(run: Run, listed: float | None, checkpoint: PollCheckpoint) -> bool:
    """Whether a passed run may end an open failure, in any scope if the listing does not name the run's.

    A documented sample of the listing has neither project nor environment (https://zof.ai/docs/api/pagination).
    """
    found = RunFinding.from_results(run, (), otherwise=listed or math.inf)
    if run.ended is None and listed is None:
        found = replace(found, happened=found.happened + MAX_UNTIMED_SECONDS)
    if run.project_id and run.environment:
        return checkpoint.may_recover(found)
    return checkpoint.has_open_scope_before(found.happened)
