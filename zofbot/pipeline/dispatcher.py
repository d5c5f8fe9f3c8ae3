"""The dispatcher: takes notifications out of the outbox and into Slack. The only writer of channel messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from zofbot import tracing
from zofbot.clock import Clock, timeout
from zofbot.errands import cancelled, end
from zofbot.errors import StoreUnavailable
from zofbot.metrics import Metrics
from zofbot.notification import Claimed
from zofbot.pipeline import causes
from zofbot.pipeline.delivery import Delivery, Notifier, Render, Veil, backoff
from zofbot.pipeline.lookout import Lookout, OnParked, OnRemoved, nobody
from zofbot.slack.verdict import MENDS
from zofbot.store.outbox import LEASE, Batch, Outbox
from zofbot.store.settlement import Refused, Sent, Settlement, Snoozed, Unknown
from zofbot.tracing import Keep, forget

log = structlog.get_logger()

AT_ONCE = 16
"""Calls to Slack at the same time."""

BATCH = 100
"""Notifications claimed in one step."""

ENOUGH, LINGER = BATCH, 0.1
"""Settlements that are written down at once, or after so many seconds if fewer come together."""

PROMPT = 1.0
"""Seconds after its claim within which a message is begun, or put back: its channel's pace was reckoned for then."""

POLL = 0.5
"""Seconds until another look for what other processes committed."""

LONGEST_ABSENCE = 5.0
"""Seconds between two tries to reach a store that is gone, at most."""

Moment = tuple[float, float]
"""The loop's clock and the bot's."""

_BAD = frozenset({"deferred", "unknown", "refused", "parked", "halted", "gone", "adopted"})
"""How an attempt ends of which a trace is kept; one that is adopted had gone wrong before."""


class Dispatcher:
    """One worker; any number may share an outbox. ``random`` gives numbers from 0 to 1, ``lease`` is in seconds.

    ``keep`` takes the traces of attempts that went wrong.
    """

    def __init__(  # noqa: PLR0913  (the parts it joins)
        self,
        outbox: Outbox,
        notifier: Notifier,
        render: Render,
        metrics: Metrics,
        clock: Clock,
        *,
        random: Callable[[], float],
        on_parked: OnParked = nobody,
        on_removed: OnRemoved = nobody,
        lease: float = LEASE,
        veil: Veil | None = None,
        keep: Keep = forget,
    ) -> None:
        self._outbox = outbox
        self._keep = keep
        self._delivery = Delivery(notifier, render, metrics, clock, random=random, veil=veil)
        self._deadline = notifier.deadline
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self._lookout = Lookout(outbox, metrics, on_parked, on_removed, clock)
        self._lease = lease
        self._slots = asyncio.Semaphore(AT_ONCE)
        for known in causes.known():
            metrics.notifications.labels(*known)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[Settlement] = []
        self._some, self._enough = asyncio.Event(), asyncio.Event()
        self._more = False
        self._stopping = self._drained = False

    async def run(self) -> None:
        """Deliver until ``stop()``, whatever Redis and Slack do meanwhile."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._settling())
                group.create_task(self._lookout.watch())
                await self._claiming(group)
                await self._drain()
                self._end()
        finally:
            await self._settle_last()

    def stop(self) -> None:
        """Claim nothing more; what is being sent may finish, and ``run()`` ends within a call's deadline."""
        self._stopping = True
        self._outbox.news.set()

    async def turn(self) -> int:
        """Claim once, deliver that, settle it; returns how many were claimed. Raises StoreUnavailable."""
        begun, batch = await self._claim()
        async with asyncio.TaskGroup() as group:
            self._start(group, batch, begun)
        await self._settle()
        return len(batch)

    async def _claiming(self, group: asyncio.TaskGroup) -> None:
        failures = 0
        while not self._stopping:
            self._outbox.news.clear()
            wait = POLL
            try:
                if len(self._tasks) < AT_ONCE:
                    begun, batch = await self._claim()
                    self._start(group, batch, begun)
                    wait = self._rest(batch)
                else:
                    self._more = True
                failures = 0
            except StoreUnavailable as error:
                failures += 1
                wait = min(LONGEST_ABSENCE, backoff(failures, self._random()))
                log.warning("outbox out of reach", error=error.sentence, again_in=round(wait, 2))
            await _either(self._outbox.news, wait)

    async def _claim(self) -> tuple[Moment, Batch]:
        """Claim; returns since when the leases run."""
        begun = self._moment()
        batch = await self._outbox.claim(BATCH, self._lease)
        for key, kind, channel, reason in batch.dropped:
            self._metrics.notifications.labels(kind, "dropped", causes.cause("dropped", reason)).inc()
            log.info("dropped", key=key, kind=kind, channel=channel, reason=reason)
        self._more = len(batch) >= BATCH
        return begun, batch

    def _start(self, group: asyncio.TaskGroup, batch: Batch, begun: Moment) -> None:
        for claim in batch:
            task = group.create_task(self._deliver(claim, begun))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _rest(self, batch: Batch) -> float:
        """Seconds until asking again is worth it; where there is more, whoever finishes asks for it."""
        if self._more or batch.next_due is None:
            return POLL
        return min(POLL, max(0.0, batch.next_due - self._clock.time()))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks or len(self._ended) >= ENOUGH:
            self._enough.set()
        if self._more and len(self._tasks) < AT_ONCE:
            self._outbox.news.set()

    async def _deliver(self, claim: Claimed, begun: Moment) -> None:
        """Make one attempt, when it is its turn, and keep how it ended."""
        note = claim.notification
        async with self._slots:
            started = self._clock.monotonic()
            with tracing.traced(
                self._keep, "delivery", self._clock, note.key, what=note.kind.value, channel=note.channel
            ):
                try:
                    ended = await self._attempt(claim, begun)
                except Exception as error:
                    log.exception("delivery crashed", key=note.key)
                    tracing.fault(error)
                    ended = Unknown.of(
                        claim, f"crashed: {type(error).__name__}", 1 + backoff(claim.attempt, self._random())
                    )
                self._note(claim, ended, self._clock.monotonic() - started)
        self._ended.append(ended)
        self._some.set()

    async def _attempt(self, claim: Claimed, begun: Moment) -> Settlement:
        if self._stopping or self._since(begun) > PROMPT:
            return Snoozed.of(claim, 0.0)
        return await self._delivery.attempt(claim, lambda: self._since(begun) + self._deadline < self._lease)

    def _moment(self) -> Moment:
        return self._clock.monotonic(), self._clock.time()

    def _since(self, begun: Moment) -> float:
        """Seconds at most: nobody sets the loop's clock back, and the other goes on while the machine is suspended."""
        return max(now - then for now, then in zip(self._moment(), begun, strict=True))

    def _note(self, claim: Claimed, ended: Settlement, seconds: float) -> None:
        """One line and one count for each attempt."""
        notification, outcome = claim.notification, type(ended).__name__.lower()
        if isinstance(ended, Refused) and ended.parks:
            outcome = "parked"
        reason = getattr(ended, "reason", "")
        self._metrics.notifications.labels(notification.kind.value, outcome, causes.cause(outcome, reason)).inc()
        if isinstance(ended, Sent):
            now = self._clock.time()
            for name, since in (("commit", claim.committed), ("happened", notification.happened)):
                waited = now - max(since, notification.not_before)
                self._metrics.delivery_seconds.labels(name).observe(max(0.0, waited))
        tracing.step("outbox", f"attempt {claim.attempt}", outcome, bad=outcome in _BAD, reason=reason)
        log.info(
            "delivery", key=notification.key, kind=notification.kind.value, channel=notification.channel,
            attempt=claim.attempt, outcome=outcome, reason=reason, ms=round(seconds * 1000, 1),
        )  # fmt: skip

    async def _settling(self) -> None:
        failures = 0
        while not self._drained and not cancelled():
            await self._some.wait()
            self._some.clear()
            await _either(self._enough, LINGER)
            self._enough.clear()
            try:
                await self._settle()
                failures = 0
            except StoreUnavailable as error:  # they are kept, and settling late or twice does no harm
                failures += 1
                log.warning("settlements wait for the store", count=len(self._ended), error=error.sentence)
                self._some.set()
                await _either(self._enough, min(LONGEST_ABSENCE, backoff(failures, self._random())))

    async def _settle(self) -> None:
        while batch := self._ended[:BATCH]:
            states = await self._outbox.settle(batch)
            del self._ended[: len(batch)]
            for ended, state in zip(batch, states, strict=True):
                self._heed(ended, state)

    def _heed(self, ended: Settlement, state: str) -> None:
        reason = getattr(ended, "reason", "")
        if state == "dead":
            self._metrics.dead_letters.inc()
            log.error("dead letter", key=ended.key, reason=reason)
        elif state == "lost":
            self._metrics.lost.inc()
            log.warning("settled too late", key=ended.key, attempt=ended.attempt)
        elif state == "paused":
            log.error("outbox paused", reason=reason, mend=MENDS.get(reason, ("", ""))[1])
        if state in ("parked", "paused", "removed"):
            self._lookout.trouble.set()

    async def _drain(self) -> None:
        """Let running sends finish; what does not is left as claimed, to be looked for when its lease ends."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._deadline)
        if left := list(self._tasks):
            log.warning("sends left to their lease", count=len(left))
            await end(*left)

    def _end(self) -> None:
        """Have the other loops come to their end; canceling would do only while they wait for nothing of Redis'."""
        self._drained = True
        self._some.set()
        self._enough.set()
        self._lookout.stop()

    async def _settle_last(self) -> None:
        try:
            await self._settle()
        except StoreUnavailable as error:
            log.warning("settlements left to their lease", count=len(self._ended), error=error.sentence)


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, or so long."""
    try:
        async with timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
