"""When a pending run is read again, and when that is given up."""

from __future__ import annotations

from dataclasses import replace

from zofbot.domain.errors import ZofError, ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.model import Outcome, Run
from zofbot.observability.events.polling import ReadGivenUp
from zofbot.polling.checkpoint import PollCheckpoint
from zofbot.polling.context import PollContext
from zofbot.polling.cursor import result_id
from zofbot.polling.run_reader import MAX_WATCH_SECONDS, MIN_REFUSALS
from zofbot.store.pending_runs import PendingRun
from zofbot.subscriptions import RunFinding

UNKNOWN_RUN_SECONDS = 600.0
"""Seconds for which a run that Zof does not know is requested again: a webhook may arrive before it is readable.

So is a run without a result that a listing shows; after that, the result is read by itself.
"""

MIN_RECHECK_SECONDS, MAX_RECHECK_SECONDS = 15.0, 900.0
"""Seconds until a run is read again: half the time since its first read or failure, within these bounds."""


class RereadSchedule:
    """Schedules another read of pending runs that were not read, or not in full."""

    def __init__(self, context: PollContext, checkpoint: PollCheckpoint) -> None:
        self._context = context
        self._checkpoint = checkpoint

    def schedule_read(self, watch: PendingRun, since: float) -> None:
        """Read a run again, the later the longer it has been watched: ``since`` that time (Unix seconds)."""
        now = self._context.unix_time()
        delay = min(max(MIN_RECHECK_SECONDS, (now - since) / 2), MAX_RECHECK_SECONDS)
        self._checkpoint.add_pending(replace(watch, due=now + delay))

    def retry_failed(self, watch: PendingRun, error: ZofUnavailable) -> RunFinding | None:
        """Read again what Zof failed to return, or give up if its listings have worked for a day since.

        In an outage, nothing is given up. Return what is known of a failure that is given up.
        """
        watch = watch.with_failure(self._context.unix_time())
        if self._checkpoint.last_scan - watch.failed >= MAX_WATCH_SECONDS and watch.failures >= MIN_REFUSALS:
            return self._give_up(watch, error)
        self.schedule_read(watch, watch.failed)
        return None

    def retry_refused(self, watch: PendingRun, error: ZofRejected | ZofUnreadable) -> RunFinding | None:
        """Read again what Zof refused to return, or give up. Return what is known of a failure that is given up."""
        watch = watch.with_refusal(self._context.unix_time())
        if self._is_hopeless(watch, UNKNOWN_RUN_SECONDS if error.status == 404 else MAX_WATCH_SECONDS):
            return self._give_up(watch, error)
        self.schedule_read(watch, watch.refused)
        return None

    def retry_incomplete(self, watch: PendingRun, run_id: str) -> None:
        """Read a run again that lacks the results in ``watch.seen``, or read each of these by itself."""
        watch = watch.with_refusal(self._context.unix_time())
        if not self._is_hopeless(watch, UNKNOWN_RUN_SECONDS):
            self.schedule_read(watch, watch.refused)
            return
        for key in watch.seen:
            self._checkpoint.add_pending(_read_alone(replace(watch.with_answer(), run=run_id), key))

    def _is_hopeless(self, watch: PendingRun, limit: float) -> bool:
        """Whether a run was refused for ``limit`` seconds and often enough."""
        return self._context.unix_time() - watch.refused >= limit and watch.refusals >= MIN_REFUSALS

    def _give_up(self, watch: PendingRun, error: ZofError) -> RunFinding | None:
        """Give up a pending run: read each of its listed failures on its own, or return a finding.

        The finding has what the listing or webhook said. A run that was posted without this failure adds nothing.
        """
        self._checkpoint.remove_pending(watch)
        alone = [] if watch.alone else [key for key in watch.seen if result_id(key)]
        for key in alone:
            self._checkpoint.add_pending(_read_alone(watch, key))
        self._checkpoint.mark_handled([key for key in watch.seen if key not in alone], watch.since)
        if alone and watch.kind == "result":
            return None  # its run may be what cannot be read
        self._context.events.emit(ReadGivenUp(watch.kind, watch.subject, watch.why, error.sentence, error.request_id))
        return None if alone or watch.run else _announced_failure(watch, error)


def _read_alone(watch: PendingRun, key: str) -> PendingRun:
    """Return the pending result with that key, to be read at once without its run.

    The time for which the run was waited for counts: the result is not waited for as long again.
    """
    noun, outcome, subject = key.split(":", 2)
    return replace(watch, kind="result", subject=subject, why=f"{noun} {outcome}", due=0.0, seen=(key,), alone=True)


def _announced_failure(watch: PendingRun, error: ZofError) -> RunFinding | None:
    """Return the finding of a failure of which only its listing or webhook is known; None if that names no failure.

    A webhook may be a sample, for which Zof has no run.
    """
    said = {key.split(":")[1] for key in watch.seen}
    if watch.why == "run.failed" and error.status != 404:
        said.add(Outcome.FAILED)
    outcome = next((outcome for outcome in (Outcome.FAILED, Outcome.ERROR) if outcome in said), None)
    if outcome is None:
        return None
    project, environment = next(iter(watch.projects), None), watch.environment or None
    run = Run(id=watch.subject, outcome=outcome, project_id=project, environment=environment)
    return replace(RunFinding.from_results(run, (), otherwise=watch.happened or watch.since), is_unlisted=True)
