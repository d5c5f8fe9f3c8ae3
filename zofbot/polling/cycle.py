"""One poll cycle: read pending runs, scan the listings, decide on what was found, and commit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from zofbot.alerting import rules
from zofbot.alerting.state import scope_key
from zofbot.domain.errors import ZofRejected, ZofUnavailable, ZofUnreadable
from zofbot.domain.model import Outcome
from zofbot.observability.events.polling import FindingRead
from zofbot.polling.checkpoint import PollCheckpoint
from zofbot.polling.context import CycleStats, PollContext
from zofbot.polling.cursor import FEEDS, item_key, result_id
from zofbot.polling.finding_decider import FindingDecider
from zofbot.polling.reread_schedule import RereadSchedule
from zofbot.polling.scanner import FeedScanner
from zofbot.polling.subscription_cache import SubscriptionCache
from zofbot.store.leases import Fence
from zofbot.store.outbox import CommitConflict
from zofbot.store.pending_runs import PENDING_RUNS_HASH, PendingRun
from zofbot.subscriptions import PlatformEvent, RunFinding
from zofbot.zof.webhook_event import PLATFORM_EVENT_TYPES, RUN_END_TYPES

log = structlog.get_logger()

WEBHOOK_TYPES = RUN_END_TYPES | PLATFORM_EVENT_TYPES
"""Events that make a run or notice pending; others are listed, or started by zofbot."""

MAX_CONCURRENT_READS = 4
"""Runs read from Zof at the same time; its client has more connections, for what people look up meanwhile."""

REQUESTS_PER_RUN = 2
"""Requests that a run usually costs at most: one for the run, one for a page of its results."""

COMMIT_INTERVAL_SECONDS = 0.1
"""Seconds for which findings are collected before a commit."""


class PollCycle:
    """One poll cycle under the lease; commits are protected by ``fence``."""

    def __init__(
        self, context: PollContext, checkpoint: PollCheckpoint, subscriptions: SubscriptionCache, fence: Fence
    ) -> None:
        self.stats = CycleStats(has_lease=True)
        self._context = context
        self._checkpoint = checkpoint
        self._decider = FindingDecider(context, checkpoint, subscriptions)
        self._fence = fence
        self._rereads = RereadSchedule(context, checkpoint)
        self._findings: list[RunFinding | PlatformEvent] = []
        self._committed = context.unix_time()
        self._outage: ZofUnavailable | None = None
        """The first failure to return a run that had not failed before."""
        self._defect: Exception | None = None
        """The first error in reading a run that is none of Zof's, but a defect here."""

    async def run(self, *, feeds: bool) -> CycleStats:
        """Read due runs and, with ``feeds``, scan the listings. Raises ZofUnavailable after committing its findings.

        So it does with an unexpected error in reading a run: that run is read again later, and the others now.
        A run that Zof fails to return is no outage if Zof returns listings or other runs, or if that run has failed
        before: after the first time, the listings are tried.
        """
        self._checkpoint.correct_times(self._context.unix_time())
        try:
            # with many pending runs, half of the budget is for the listings and for failures that they show first
            await self._read_due(spare=max(len(FEEDS), self._context.reader.budget // 2) if feeds else 0)
            if feeds:
                await FeedScanner(self._context, self._checkpoint, self.stats).scan_feeds()
                await self._read_due()
            elif self._outage and not self.stats.read:
                raise self._outage
        except ZofUnavailable:
            await self._commit_findings()
            raise
        await self._commit_findings()
        if self._defect:
            raise self._defect
        return self.stats

    async def _read_due(self, spare: int = 0) -> None:
        """Read due runs until Zof fails to return one. Raises ZofUnavailable if the quota is spent."""
        affordable = (self._context.reader.remaining - spare) // REQUESTS_PER_RUN
        due = self._checkpoint.due_runs(self._context.unix_time(), affordable)
        while due and (remaining := self._context.reader.remaining - spare) > 0:
            count = max(1, min(remaining // REQUESTS_PER_RUN, MAX_CONCURRENT_READS))
            if not await self._read_pending(due[:count]):
                return
            due = due[count:]
            if self._context.unix_time() - self._committed >= COMMIT_INTERVAL_SECONDS:
                await self._commit_findings()

    async def _read_pending(self, pending_runs: Sequence[PendingRun]) -> bool:
        """Read pending runs at the same time, and process them in order. Return whether Zof has failed on none.

        Raises ZofUnavailable after that if the quota is spent.
        """
        pending_runs = [pending for pending in pending_runs if not self._remove_if_handled(pending)]
        has_failed = False
        spent: ZofUnavailable | None = None
        now = self._context.unix_time()
        read = await self._context.reader.read_pending(pending_runs, self._checkpoint.may_recover, now)
        for pending, found in zip(pending_runs, read, strict=True):
            match found:
                case ZofUnavailable() if found.is_quota_spent:
                    spent = spent or found
                case ZofUnavailable():
                    has_failed = True
                    if not pending.failures:
                        self._outage = self._outage or found
                    self._add_given_up(self._rereads.retry_failed(pending, found))
                case ZofRejected() | ZofUnreadable():
                    self._add_given_up(self._rereads.retry_refused(pending, found))
                case Exception():
                    self._defect = self._defect or found
                    unread = ZofUnreadable(f"zofbot failed to read Zof's reply ({type(found).__name__}).")
                    self._add_given_up(self._rereads.retry_refused(pending, unread))
                case _:
                    self._process_read(pending, found)
        if spent:
            raise spent
        return not has_failed

    def _remove_if_handled(self, pending: PendingRun) -> bool:
        """Remove a result that was listed without its run, and has been read with that run since."""
        if pending.kind != "result" or not pending.seen or not all(map(self._checkpoint.is_handled, pending.seen)):
            return False
        self._checkpoint.remove_pending(pending)
        return True

    def _process_read(self, pending: PendingRun, found: RunFinding | PlatformEvent) -> None:
        self.stats.read += 1
        if isinstance(found, PlatformEvent):
            self._finish_pending(pending, found, ())
        elif found.has_ended and found.run.outcome is Outcome.PASSED and self._may_recover_after_commit(found):
            self._rereads.schedule_read(pending.with_answer(), self._context.unix_time())
        elif found.has_ended:
            self._finish_run(pending, found)
        else:
            self._rereads.schedule_read(pending.with_answer(), pending.since)

    def _add_given_up(self, found: RunFinding | PlatformEvent | None) -> None:
        if found is not None:
            self._findings.append(found)

    def _may_recover_after_commit(self, found: RunFinding) -> bool:
        """Whether a run was read without its passed results, but a failure in its scope waits to be committed."""
        if found.has_all_passes:
            return False
        runs = (item for item in self._findings if isinstance(item, RunFinding))
        failed = (item for item in runs if item.failures or item.outcome.is_bad)
        end = found.happened if found.run.ended or found.is_over else math.inf  # else it happened at its start
        return any(scope_key(item) == scope_key(found) and item.happened < end for item in failed)

    def _finish_run(self, pending: PendingRun, found: RunFinding) -> None:
        """Process a run that has ended; it stays pending for results that a listing shows, or that may be recoveries.

        A passed run read without its passes, which only a webhook has announced, is not marked as handled: its listing
        has it read again if an earlier failure is found. A failed one is read again if such a failure waits to be
        committed.
        """
        is_new = not self._checkpoint.is_handled(item_key(found.run))  # so it is read again for its passes only once
        may_recover = is_new and found.run.outcome.is_bad and self._may_recover_after_commit(found)
        if found.is_overdue:
            log.warning("run does not end", run=pending.subject, status=found.run.status, failures=found.total)
        late = tuple(key for key in pending.seen if result_id(key) in found.missing)
        read = replace(pending, seen=tuple(key for key in pending.seen if key not in late))
        own = () if found.run.outcome is Outcome.PASSED and not found.has_all_passes else (item_key(found.run),)
        self._finish_pending(read, found, [*own, *_bad_result_keys(found)])
        if found.is_truncated:
            self._checkpoint.mark_truncated(found.run.id, found.happened)
        if late or found.is_unlisted or found.lacks_passes:
            self._rereads.retry_incomplete(replace(pending.with_place(found.run), seen=late))
        elif may_recover:
            self._rereads.schedule_read(replace(pending.with_answer(), seen=()), self._context.unix_time())

    def _finish_pending(self, pending: PendingRun, found: RunFinding | PlatformEvent, fields: Iterable[str]) -> None:
        self._findings.append(found)
        source = "webhook" if pending.why in WEBHOOK_TYPES else "poll"
        self._context.events.emit(FindingRead(source, self._context.unix_time() - found.happened))
        self._checkpoint.mark_handled((*pending.seen, *fields), found.happened)
        # a webhook says that a run ended or failed, which its status may not
        is_final = isinstance(found, RunFinding) and found.run.outcome is not Outcome.UNKNOWN
        self._checkpoint.remove_pending(pending, is_final=is_final)

    async def _commit_findings(self) -> None:
        """Decide on what was found and commit it in one step; repeat if a mute or a pending run changed meanwhile."""
        self._committed = self._context.unix_time()
        findings, self._findings = self._findings, []
        while True:
            try:
                await self._commit_decision(findings)
                return
            except CommitConflict:
                fields = sorted(self._checkpoint.expected_pending)
                stored = await self._context.outbox.read_fields(*((PENDING_RUNS_HASH, field) for field in fields))
                self._checkpoint.merge_arrived(dict(zip(fields, stored, strict=True)))
                log.info("a mute or a pending run changed, deciding again", findings=len(findings))

    async def _commit_decision(self, findings: Sequence[RunFinding | PlatformEvent]) -> None:
        """Commit one decision, unless there is nothing to store. Raises CommitConflict."""
        decision = await self._decider.decide_findings(findings) if findings else rules.Decision()
        changes = self._checkpoint.collect_changes()
        if decision.notifications or decision.changes or changes:
            self.stats.committed += await self._context.outbox.commit(
                decision.notifications, changes={**decision.changes, **changes}, fence=self._fence,
                expect={**decision.expected, PENDING_RUNS_HASH: self._checkpoint.expected_pending},
            )  # fmt: skip
            self._checkpoint.clear_changes()


def _bad_result_keys(found: RunFinding) -> Iterable[str]:
    """Return the keys of a run's failures, including retried ones, which the listings show too."""
    return map(item_key, (*found.failures, *found.retried))
