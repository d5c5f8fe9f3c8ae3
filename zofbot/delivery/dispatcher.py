"""The dispatcher: takes notifications out of the outbox and into Slack. The only writer of channel messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from zofbot.clock import Clock, timeout
from zofbot.concurrency import cancel_tasks, is_cancel_requested
from zofbot.delivery import outcomes
from zofbot.delivery.attempt import NotificationSender, Notifier, PrepareClaim, RenderMessage, retry_delay
from zofbot.delivery.monitor import OnParked, OnRemoved, OutboxMonitor, no_recipient
from zofbot.domain.errors import StoreUnavailable
from zofbot.notifications.notification import Claim
from zofbot.observability import tracing
from zofbot.observability.metrics import Metrics
from zofbot.observability.tracing import KeepTrace, discard_trace
from zofbot.slack.errors import EXPLANATIONS
from zofbot.store.attempt_results import AttemptResult, Refused, Sent, Snoozed, Unknown
from zofbot.store.outbox import LEASE_SECONDS, ClaimBatch, Outbox

log = structlog.get_logger()

MAX_CONCURRENT_SENDS = 16
"""Calls to Slack at the same time."""

MAX_BATCH_SIZE = 100
"""Notifications claimed in one step."""

SETTLE_BATCH_SIZE, MAX_SETTLE_DELAY_SECONDS = MAX_BATCH_SIZE, 0.1
"""Settlements that are written down at once, or after so many seconds if fewer come together."""

MAX_START_DELAY_SECONDS = 1.0
"""Seconds after its claim within which a message is begun, or put back: its channel's pace was reckoned for then."""

POLL_SECONDS = 0.5
"""Seconds until another look for what other processes committed."""

MAX_STORE_RETRY_SECONDS = 5.0
"""Seconds between two tries to reach a store that is gone, at most."""

ClockReading = tuple[float, float]
"""The loop's clock and the bot's."""

_TRACED_OUTCOMES = frozenset({"deferred", "unknown", "refused", "parked", "halted", "gone", "adopted"})
"""How an attempt ends of which a trace is kept; one that is adopted had gone wrong before."""


class Dispatcher:
    """One worker; any number may share an outbox. ``random`` gives numbers from 0 to 1, ``lease`` is in seconds.

    ``keep`` takes the traces of attempts that went wrong.
    """

    def __init__(  # noqa: PLR0913  (the parts it joins)
        self,
        outbox: Outbox,
        notifier: Notifier,
        render: RenderMessage,
        metrics: Metrics,
        clock: Clock,
        *,
        random: Callable[[], float],
        on_parked: OnParked = no_recipient,
        on_removed: OnRemoved = no_recipient,
        lease: float = LEASE_SECONDS,
        veil: PrepareClaim | None = None,
        keep: KeepTrace = discard_trace,
    ) -> None:
        self._outbox = outbox
        self._keep = keep
        self._delivery = NotificationSender(notifier, render, metrics, clock, random=random, veil=veil)
        self._deadline = notifier.deadline
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self._lookout = OutboxMonitor(outbox, metrics, on_parked, on_removed, clock)
        self._lease = lease
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_SENDS)
        for known in outcomes.known_causes():
            metrics.notifications.labels(*known)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[AttemptResult] = []
        self._some, self._enough = asyncio.Event(), asyncio.Event()
        self._more = False
        self._stopping = self._drained = False

    async def run(self) -> None:
        """Deliver until ``stop()``, whatever Redis and Slack do meanwhile."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._settle_loop())
                group.create_task(self._lookout.run())
                await self._claim_loop(group)
                await self._drain_sends()
                self._stop_loops()
        finally:
            await self._settle_remaining()

    def stop(self) -> None:
        """Claim nothing more; what is being sent may finish, and ``run()`` ends within a call's deadline."""
        self._stopping = True
        self._outbox.news.set()

    async def deliver_batch(self) -> int:
        """Claim once, deliver that, settle it; returns how many were claimed. Raises StoreUnavailable."""
        begun, batch = await self._claim_batch()
        async with asyncio.TaskGroup() as group:
            self._start_attempts(group, batch, begun)
        await self._settle_results()
        return len(batch)

    async def _claim_loop(self, group: asyncio.TaskGroup) -> None:
        failures = 0
        while not self._stopping:
            self._outbox.news.clear()
            wait = POLL_SECONDS
            try:
                if len(self._tasks) < MAX_CONCURRENT_SENDS:
                    begun, batch = await self._claim_batch()
                    self._start_attempts(group, batch, begun)
                    wait = self._idle_seconds(batch)
                else:
                    self._more = True
                failures = 0
            except StoreUnavailable as error:
                failures += 1
                wait = min(MAX_STORE_RETRY_SECONDS, retry_delay(failures, self._random()))
                log.warning("outbox out of reach", error=error.sentence, again_in=round(wait, 2))
            await _wait_for_event(self._outbox.news, wait)

    async def _claim_batch(self) -> tuple[ClockReading, ClaimBatch]:
        """Claim; returns since when the leases run."""
        begun = self._read_clocks()
        batch = await self._outbox.claim(MAX_BATCH_SIZE, self._lease)
        for key, kind, channel, reason in batch.dropped:
            self._metrics.notifications.labels(kind, "dropped", outcomes.classify_cause("dropped", reason)).inc()
            log.info("dropped", key=key, kind=kind, channel=channel, reason=reason)
        self._more = len(batch) >= MAX_BATCH_SIZE
        return begun, batch

    def _start_attempts(self, group: asyncio.TaskGroup, batch: ClaimBatch, begun: ClockReading) -> None:
        for claim in batch:
            task = group.create_task(self._deliver_claim(claim, begun))
            self._tasks.add(task)
            task.add_done_callback(self._on_attempt_done)

    def _idle_seconds(self, batch: ClaimBatch) -> float:
        """Seconds until asking again is worth it; where there is more, whoever finishes asks for it."""
        if self._more or batch.next_due is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.0, batch.next_due - self._clock.time()))

    def _on_attempt_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks or len(self._ended) >= SETTLE_BATCH_SIZE:
            self._enough.set()
        if self._more and len(self._tasks) < MAX_CONCURRENT_SENDS:
            self._outbox.news.set()

    async def _deliver_claim(self, claim: Claim, begun: ClockReading) -> None:
        """Make one attempt, when it is its turn, and keep how it ended."""
        note = claim.notification
        async with self._slots:
            started = self._clock.monotonic()
            with tracing.record_trace(
                self._keep, "delivery", self._clock, note.key, what=note.kind.value, channel=note.channel
            ):
                try:
                    ended = await self._attempt_claim(claim, begun)
                except Exception as error:
                    log.exception("delivery crashed", key=note.key)
                    tracing.record_error(error)
                    ended = Unknown.for_claim(
                        claim, f"crashed: {type(error).__name__}", 1 + retry_delay(claim.attempt, self._random())
                    )
                self._record_attempt(claim, ended, self._clock.monotonic() - started)
        self._ended.append(ended)
        self._some.set()

    async def _attempt_claim(self, claim: Claim, begun: ClockReading) -> AttemptResult:
        if self._stopping or self._elapsed_since(begun) > MAX_START_DELAY_SECONDS:
            return Snoozed.for_claim(claim, 0.0)
        return await self._delivery.attempt_delivery(
            claim, lambda: self._elapsed_since(begun) + self._deadline < self._lease
        )

    def _read_clocks(self) -> ClockReading:
        return self._clock.monotonic(), self._clock.time()

    def _elapsed_since(self, begun: ClockReading) -> float:
        """Seconds at most: nobody sets the loop's clock back, and the other goes on while the machine is suspended."""
        return max(now - then for now, then in zip(self._read_clocks(), begun, strict=True))

    def _record_attempt(self, claim: Claim, ended: AttemptResult, seconds: float) -> None:
        """One line and one count for each attempt."""
        notification, outcome = claim.notification, type(ended).__name__.lower()
        if isinstance(ended, Refused) and ended.parks:
            outcome = "parked"
        reason = getattr(ended, "reason", "")
        self._metrics.notifications.labels(
            notification.kind.value, outcome, outcomes.classify_cause(outcome, reason)
        ).inc()
        if isinstance(ended, Sent):
            now = self._clock.time()
            for name, since in (("commit", claim.committed), ("happened", notification.happened)):
                waited = now - max(since, notification.not_before)
                self._metrics.delivery_seconds.labels(name).observe(max(0.0, waited))
        tracing.record_step(
            "outbox", f"attempt {claim.attempt}", outcome, bad=outcome in _TRACED_OUTCOMES, reason=reason
        )
        log.info(
            "delivery", key=notification.key, kind=notification.kind.value, channel=notification.channel,
            attempt=claim.attempt, outcome=outcome, reason=reason, ms=round(seconds * 1000, 1),
        )  # fmt: skip

    async def _settle_loop(self) -> None:
        failures = 0
        while not self._drained and not is_cancel_requested():
            await self._some.wait()
            self._some.clear()
            await _wait_for_event(self._enough, MAX_SETTLE_DELAY_SECONDS)
            self._enough.clear()
            try:
                await self._settle_results()
                failures = 0
            except StoreUnavailable as error:  # they are kept, and settling late or twice does no harm
                failures += 1
                log.warning("settlements wait for the store", count=len(self._ended), error=error.sentence)
                self._some.set()
                await _wait_for_event(self._enough, min(MAX_STORE_RETRY_SECONDS, retry_delay(failures, self._random())))

    async def _settle_results(self) -> None:
        while batch := self._ended[:MAX_BATCH_SIZE]:
            states = await self._outbox.settle(batch)
            del self._ended[: len(batch)]
            for ended, state in zip(batch, states, strict=True):
                self._report_state(ended, state)

    def _report_state(self, ended: AttemptResult, state: str) -> None:
        reason = getattr(ended, "reason", "")
        if state == "dead":
            self._metrics.dead_letters.inc()
            log.error("dead letter", key=ended.key, reason=reason)
        elif state == "lost":
            self._metrics.lost.inc()
            log.warning("settled too late", key=ended.key, attempt=ended.attempt)
        elif state == "paused":
            log.error("outbox paused", reason=reason, mend=EXPLANATIONS.get(reason, ("", ""))[1])
        if state in ("parked", "paused", "removed"):
            self._lookout.trouble.set()

    async def _drain_sends(self) -> None:
        """Let running sends finish; what does not is left as claimed, to be looked for when its lease ends."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._deadline)
        if left := list(self._tasks):
            log.warning("sends left to their lease", count=len(left))
            await cancel_tasks(*left)

    def _stop_loops(self) -> None:
        """Have the other loops come to their end; canceling would do only while they wait for nothing of Redis'."""
        self._drained = True
        self._some.set()
        self._enough.set()
        self._lookout.stop()

    async def _settle_remaining(self) -> None:
        try:
            await self._settle_results()
        except StoreUnavailable as error:
            log.warning("settlements left to their lease", count=len(self._ended), error=error.sentence)


async def _wait_for_event(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, or so long."""
    try:
        async with timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
