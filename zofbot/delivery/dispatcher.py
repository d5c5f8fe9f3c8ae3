"""The dispatcher: sends notifications from the outbox to Slack."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from zofbot.clock import Clock
from zofbot.concurrency import cancel_tasks, wait_for_event, wait_for_tasks
from zofbot.delivery import outcome_labels
from zofbot.delivery.attempt import NotificationSender, PrepareClaim, RenderMessage
from zofbot.delivery.backoff import retry_delay
from zofbot.delivery.monitor import OnParked, OnRemoved, OutboxMonitor, no_recipient
from zofbot.delivery.notifier import Notifier
from zofbot.delivery.settlement import ResultSettler
from zofbot.domain.errors import StoreUnavailable
from zofbot.notifications.notification import Claim
from zofbot.observability import trace_recorder
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.delivery import (
    DeliveryAttempt,
    DeliveryCrashed,
    DeliveryStarted,
    NotificationDropped,
)
from zofbot.slack.history import HISTORY_LAG_SECONDS
from zofbot.store.attempt_results import AttemptResult, Refused, Sent, Snoozed, Unknown
from zofbot.store.keyspace import MAX_STORE_RETRY_SECONDS
from zofbot.store.outbox import LEASE_SECONDS, ClaimBatch, ClockReading, Outbox, claim_nothing, read_clocks

log = structlog.get_logger()

MAX_CONCURRENT_SENDS = 16
"""Concurrent calls to Slack."""

MAX_BATCH_SIZE = 100
"""Notifications claimed at once."""

MAX_START_DELAY_SECONDS = 1.0
"""Seconds after a claim within which its attempt must start, else it is returned: claims obey the channel's rate limit.
"""

POLL_SECONDS = 0.5
"""Seconds between checks for notifications committed by other processes."""


class Dispatcher:
    """One delivery worker; any number may share an outbox.

    ``random`` returns numbers from 0 to 1, ``lease`` is in seconds.
    """

    def __init__(  # noqa: PLR0913  (the parts it joins)
        self,
        outbox: Outbox,
        notifier: Notifier,
        render: RenderMessage,
        events: EventEmitter,
        clock: Clock,
        *,
        random: Callable[[], float],
        on_parked: OnParked = no_recipient,
        on_removed: OnRemoved = no_recipient,
        lease: float = LEASE_SECONDS,
        prepare: PrepareClaim | None = None,
    ) -> None:
        self._outbox = outbox
        self._delivery = NotificationSender(notifier, render, events, clock, random=random, prepare=prepare)
        self._deadline = notifier.deadline
        self._events = events
        self._clock = clock
        self._random = random
        self._monitor = OutboxMonitor(outbox, events, on_parked, on_removed, clock)
        self._settler = ResultSettler(outbox, events, random=random, on_trouble=self._monitor.trouble.set)
        self._lease = lease
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_SENDS)
        events.emit(DeliveryStarted(tuple(outcome_labels.known_causes())))
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_progress: set[str] = set()
        self._more = False
        self._stopping = False

    async def run(self) -> None:
        """Deliver until ``stop()``; survives outages of Redis and Slack."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._settler.run())
                group.create_task(self._monitor.run())
                await self._claim_loop(group)
                await self._drain_sends()
                self._settler.stop()
                self._monitor.stop()
        finally:
            await self._settler.settle_remaining()

    def stop(self) -> None:
        """Stop claiming. Sends in progress may finish, and ``run()`` ends within the deadline of one call."""
        self._stopping = True
        self._outbox.news.set()

    async def deliver_batch(self) -> int:
        """Claim, deliver and settle one batch; returns the number claimed. Raises StoreUnavailable."""
        batch = await self._claim_batch()
        async with asyncio.TaskGroup() as group:
            self._start_attempts(group, batch)
        await self._settler.settle_results()
        return len(batch) + len(batch.unreadable)

    async def _claim_loop(self, group: asyncio.TaskGroup) -> None:
        self._outbox.claim_terms = self._claim_terms
        try:
            await self._claim_until_stopped(group)
        finally:
            self._outbox.claim_terms = claim_nothing
        while self._outbox.claimed:  # these are returned
            self._start_attempts(group, self._outbox.claimed.pop(0))

    def _claim_terms(self) -> tuple[int, float]:
        """Return how many notifications a commit of this process claims for it, and for how many seconds."""
        is_free = len(self._tasks) < MAX_CONCURRENT_SENDS and not self._outbox.claimed and not self._stopping
        return (MAX_BATCH_SIZE, self._lease) if is_free else claim_nothing()

    async def _claim_until_stopped(self, group: asyncio.TaskGroup) -> None:
        failures = 0
        while not self._stopping:
            self._outbox.news.clear()
            wait = POLL_SECONDS
            try:
                if self._outbox.claimed or len(self._tasks) < MAX_CONCURRENT_SENDS:
                    batch = await self._claim_batch()
                    self._start_attempts(group, batch)
                    wait = self._idle_seconds(batch)
                else:
                    self._more = True
                failures = 0
            except StoreUnavailable as error:
                failures += 1
                wait = min(MAX_STORE_RETRY_SECONDS, retry_delay(failures, self._random()))
                log.warning("outbox unavailable", error=error.sentence, again_in=round(wait, 2))
            await wait_for_event(self._outbox.news, wait)

    async def _claim_batch(self) -> ClaimBatch:
        """Take the batch that a commit of this process has claimed, or claim one."""
        claimed = self._outbox.claimed
        batch = claimed.pop(0) if claimed else await self._outbox.claim(MAX_BATCH_SIZE, self._lease)
        for key, kind, channel, reason in batch.dropped:
            cause = outcome_labels.classify_cause("dropped", reason)
            self._events.emit(NotificationDropped(key, kind, channel, reason, cause))
        self._more = len(batch) + len(batch.unreadable) >= MAX_BATCH_SIZE
        return batch

    def _start_attempts(self, group: asyncio.TaskGroup, batch: ClaimBatch) -> None:
        for result in batch.unreadable:
            self._settler.add_result(result)
        for claim in batch:
            task = group.create_task(self._deliver_claim(claim, batch.claimed_at))
            self._tasks.add(task)
            task.add_done_callback(self._on_attempt_done)

    def _idle_seconds(self, batch: ClaimBatch) -> float:
        """Return the seconds until the next claim. If more is due, each finished attempt triggers a claim, too."""
        if self._more or batch.next_due is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.0, batch.next_due - self._clock.time()))

    def _on_attempt_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._settler.settle_soon(idle=not self._tasks)
        if self._more and len(self._tasks) < MAX_CONCURRENT_SENDS:
            self._outbox.news.set()

    async def _deliver_claim(self, claim: Claim, claimed_at: ClockReading) -> None:
        """Make one attempt when a send slot is free, and queue its result for settling.

        None is made while an earlier one is in progress because the clock was set forward or the machine was suspended:
        the message is claimed again when the lease ends, and then Slack's history shows what that attempt has posted.
        """
        notification = claim.notification
        async with self._slots:
            if notification.key in self._in_progress:
                log.info("earlier attempt in progress", key=notification.key, attempt=claim.attempt)
                return
            started = self._clock.monotonic()
            with trace_recorder.record_trace(
                self._events.emit,
                "delivery",
                self._clock,
                notification.key,
                what=notification.kind.value,
                channel=notification.channel,
            ):
                try:
                    result = await self._attempt_claim(claim, claimed_at)
                except Exception as error:
                    self._events.emit(DeliveryCrashed(notification.key, error))
                    delay = HISTORY_LAG_SECONDS + retry_delay(claim.tries + 1, self._random())
                    result = Unknown.for_claim(claim, f"crashed: {type(error).__name__}", delay)
                self._emit_attempt(claim, result, self._clock.monotonic() - started)
        self._settler.add_result(result)

    async def _attempt_claim(self, claim: Claim, claimed_at: ClockReading) -> AttemptResult:
        key, call_seconds = claim.notification.key, self._deadline + HISTORY_LAG_SECONDS
        if self._stopping or self._elapsed_since(claimed_at) > MAX_START_DELAY_SECONDS:
            return Snoozed.for_claim(claim, 0.0)
        self._in_progress.add(key)
        try:
            return await self._delivery.attempt_delivery(
                claim, lambda: self._elapsed_since(claimed_at) + call_seconds < self._lease
            )
        finally:
            self._in_progress.remove(key)

    def _elapsed_since(self, claimed_at: ClockReading) -> float:
        """Return the longer of two measurements, in seconds.

        The monotonic clock is never set back; the wall clock advances while the machine is suspended.
        """
        return max(now - then for now, then in zip(read_clocks(self._clock), claimed_at, strict=True))

    def _emit_attempt(self, claim: Claim, result: AttemptResult, seconds: float) -> None:
        notification, outcome = claim.notification, result.outcome
        if isinstance(result, Refused) and result.parks:
            outcome = "parked"
        reason = getattr(result, "reason", "")
        since_commit = since_happened = None
        if isinstance(result, Sent):
            now, earliest = self._clock.time(), notification.not_before
            since_commit, since_happened = (
                now - max(claim.committed, earliest),
                now - max(notification.happened, earliest),
            )
        self._events.emit(DeliveryAttempt(
            notification.key, notification.kind.value, notification.channel, claim.attempt, outcome, reason,
            outcome_labels.classify_cause(outcome, reason), seconds, since_commit, since_happened,
        ))  # fmt: skip

    async def _drain_sends(self) -> None:
        """Let sends in progress finish. The rest stay claimed, to be searched for after their lease expires."""
        await wait_for_tasks(self._tasks, self._deadline)
        if left := list(self._tasks):
            log.warning("sends unfinished at stop", count=len(left))
            await cancel_tasks(*left)
