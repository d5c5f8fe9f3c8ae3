"""When a pending run is read again, and when that is given up."""

from __future__ import annotations

from dataclasses import replace

from zofbot.domain.errors import ZofError, ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.model import Outcome, Run
from zofbot.observability.events.polling import ReadGivenUp
from zofbot.polling.checkpoint import PollCheckpoint
from zofbot.polling.context import PollContext
from zofbot.polling.cursor import result_id
from zofbot.polling.run_reader import MAX_WATCH_SECONDS, MIN_REFUSALS, announced_event
from zofbot.store.pending_runs import MAX_RECHECK_SECONDS, PendingRun
from zofbot.subscriptions import PlatformEvent, RunFinding
from zofbot.subscriptions.events import PLATFORM_EVENT_TYPES

UNKNOWN_RUN_SECONDS = 600.0
"""Seconds for which a run that Zof does not know is requested again: a webhook may arrive before it is readable.

So is a run without a result that a listing shows; after that, the result is read by itself.
"""

MIN_RECHECK_SECONDS = 15.0
"""Seconds until a run is read again at least: half the time since its first read or failure, within bounds."""


class RereadSchedule:
    """Schedules another read of pending runs that were not read, or not in full."""

    def __init__(self, context: PollContext, checkpoint: PollCheckpoint) -> None:
        self._context = context
        self._checkpoint = checkpoint

    def schedule_read(self, pending: PendingRun, since: float) -> None:
        """Read a run again, the later the longer it has been pending: ``since`` that time (Unix seconds)."""
        now = self._context.unix_time()
        delay = min(max(MIN_RECHECK_SECONDS, (now - since) / 2), MAX_RECHECK_SECONDS)
        self._checkpoint.add_pending(replace(pending, due=now + delay))

    def retry_failed(self, pending: PendingRun, error: ZofUnavailable) -> RunFinding | PlatformEvent | None:
        """Read again what Zof failed to return, or give up if its listings have worked for a day since.

        In an outage, nothing is given up. Return what is known of a failure that is given up.
        """
        pending = pending.with_failure(self._context.unix_time())
        if self._checkpoint.last_scan - pending.failed >= MAX_WATCH_SECONDS and pending.failures >= MIN_REFUSALS:
            return self._give_up(pending, error)
        self.schedule_read(pending, pending.failed)
        return None

    def retry_refused(
        self, pending: PendingRun, error: ZofRejected | ZofUnreadable
    ) -> RunFinding | PlatformEvent | None:
        """Read again what Zof refused to return, or give up. Return what is known of a failure that is given up."""
        pending = pending.with_refusal(self._context.unix_time())
        if self._is_hopeless(pending, UNKNOWN_RUN_SECONDS if error.status == 404 else MAX_WATCH_SECONDS):
            return self._give_up(pending, error)
        self.schedule_read(pending, pending.refused)
        return None

    def retry_incomplete(self, pending: PendingRun) -> None:
        """Read a run again that lacks results, or read each of those in ``pending.seen`` by itself."""
        pending = pending.with_refusal(self._context.unix_time())
        if not self._is_hopeless(pending, UNKNOWN_RUN_SECONDS):
            self.schedule_read(pending, pending.refused)
            return
        for key in pending.seen:
            self._checkpoint.add_pending(_read_alone(replace(pending.with_answer(), run_was_read=True), key))

    def _is_hopeless(self, pending: PendingRun, limit: float) -> bool:
        """Whether a run was refused for ``limit`` seconds and often enough."""
        return self._context.unix_time() - pending.refused >= limit and pending.refusals >= MIN_REFUSALS

    def _give_up(self, pending: PendingRun, error: ZofError) -> RunFinding | PlatformEvent | None:
        """Have listed failures read without their run, or return what a listing or webhook said of a failure.

        Return None if results are read instead, if nothing said that it failed, or for a result whose run was read.
        """
        self._checkpoint.remove_pending(pending)
        alone = [] if pending.alone else [key for key in pending.seen if result_id(key)]
        for key in alone:
            self._checkpoint.add_pending(_read_alone(pending, key))
        self._checkpoint.mark_handled([key for key in pending.seen if key not in alone], pending.since)
        if alone and pending.kind == "result":
            return None  # its run may be what cannot be read
        self._context.events.emit(
            ReadGivenUp(pending.kind, pending.subject, pending.why, error.sentence, error.request_id)
        )
        if pending.why in PLATFORM_EVENT_TYPES:  # a notice whose type only a later version knows is not understood
            return announced_event(pending)
        return None if alone or pending.run_was_read else _announced_failure(pending, error)


def _read_alone(pending: PendingRun, key: str) -> PendingRun:
    """Return the pending result with that key, to be read at once without its run.

    The time for which the run was waited for counts: the result is not waited for as long again.
    """
    noun, outcome, subject = key.split(":", 2)
    return replace(pending, kind="result", subject=subject, why=f"{noun} {outcome}", due=0.0, seen=(key,), alone=True)


def _announced_failure(pending: PendingRun, error: ZofError) -> RunFinding | None:
    """Return the finding of a failure of which only its listing or webhook is known; None if that names no failure.

    A webhook may be a sample, for which Zof has no run.
    """
    said = {key.split(":")[1] for key in pending.seen}
    if pending.why == "run.failed" and error.status != 404:
        said.add(Outcome.FAILED)
    outcome = next((outcome for outcome in (Outcome.FAILED, Outcome.ERROR) if outcome in said), None)
    if outcome is None:
        return None
    run = Run(id=pending.subject, outcome=outcome, **pending.place)
    return replace(RunFinding.from_results(run, (), otherwise=pending.happened or pending.since), is_unlisted=True)
