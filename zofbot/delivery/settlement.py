"""Settling: storing in batches how attempts ended, and emitting what became of their notifications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from zofbot.concurrency import is_cancel_requested, wait_for_event
from zofbot.delivery.backoff import retry_delay
from zofbot.domain.errors import StoreUnavailable
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.delivery import DeadLetter, OutboxPaused, SettlementLost
from zofbot.slack.errors import EXPLANATIONS
from zofbot.store.attempt_results import AttemptResult
from zofbot.store.keyspace import MAX_STORE_RETRY_SECONDS
from zofbot.store.outbox import Outbox

log = structlog.get_logger()

MAX_BATCH_SIZE, MAX_DELAY_SECONDS = 100, 0.1
"""Results are stored in batches of this size, or after this many seconds if there are fewer."""

TROUBLED_STATES = frozenset({"parked", "paused", "removed"})
"""States of a settled notification at which the outbox monitor looks at once."""


class ResultSettler:
    """Collects results and settles them; ``random`` returns numbers from 0 to 1.

    ``on_trouble`` is called when a channel, or all of Slack, refuses messages, or people delete them.
    """

    def __init__(
        self, outbox: Outbox, events: EventEmitter, *, random: Callable[[], float], on_trouble: Callable[[], None]
    ) -> None:
        self._outbox = outbox
        self._events = events
        self._random = random
        self._on_trouble = on_trouble
        self._ended: list[AttemptResult] = []
        self._some, self._enough = asyncio.Event(), asyncio.Event()
        self._stopping = False

    def add_result(self, result: AttemptResult) -> None:
        """Queue a result."""
        self._ended.append(result)
        self._some.set()

    def settle_soon(self, *, idle: bool) -> None:
        """Settle at once if there is a full batch, or if the dispatcher is ``idle``, so that none will follow."""
        if idle or len(self._ended) >= MAX_BATCH_SIZE:
            self._enough.set()

    def stop(self) -> None:
        """Ask ``run()`` to end. Cancelling is unsafe while a Redis reply is pending."""
        self._stopping = True
        self._some.set()
        self._enough.set()

    async def run(self) -> None:
        """Settle results until ``stop()``; they are kept while the store is unavailable."""
        failures = 0
        while not self._stopping and not is_cancel_requested():
            await self._some.wait()
            self._some.clear()
            await wait_for_event(self._enough, MAX_DELAY_SECONDS)
            self._enough.clear()
            try:
                await self.settle_results()
                failures = 0
            except StoreUnavailable as error:  # results are kept; settling late or twice is harmless
                failures += 1
                log.warning("settlements wait for the store", count=len(self._ended), error=error.sentence)
                self._some.set()
                await wait_for_event(self._enough, min(MAX_STORE_RETRY_SECONDS, retry_delay(failures, self._random())))

    async def settle_results(self) -> None:
        """Settle all queued results. Raises StoreUnavailable; they then stay queued."""
        while batch := self._ended[:MAX_BATCH_SIZE]:
            states = await self._outbox.settle(batch)
            del self._ended[: len(batch)]
            for result, state in zip(batch, states, strict=True):
                self._emit_state(result, state)

    async def settle_remaining(self) -> None:
        """Settle all queued results, or leave them to the end of their leases."""
        try:
            await self.settle_results()
        except StoreUnavailable as error:
            log.warning("settlements unfinished at stop", count=len(self._ended), error=error.sentence)

    def _emit_state(self, result: AttemptResult, state: str) -> None:
        reason = getattr(result, "reason", "")
        if state == "dead":
            self._events.emit(DeadLetter(result.key, reason))
        elif state == "lost":
            self._events.emit(SettlementLost(result.key, result.attempt))
        elif state == "paused":
            self._events.emit(OutboxPaused(reason, EXPLANATIONS.get(reason, ("", ""))[1]))
        if state in TROUBLED_STATES:
            self._on_trouble()
