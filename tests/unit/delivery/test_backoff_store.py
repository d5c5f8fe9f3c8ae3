"""An unreachable store is asked again ever more rarely, and often again only after it answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import fakeredis

from tests.support.virtual_time import test_clock
from zofbot.concurrency import cancel_tasks
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.delivery.settlement import ResultSettler
from zofbot.domain.errors import StoreUnavailable
from zofbot.observability.emitter import EventEmitter
from zofbot.slack.views.blocks import Message
from zofbot.store.attempt_results import AttemptResult, Refused
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import LEASE_SECONDS, ClaimBatch, Outbox


class UnreachableOutbox(Outbox):
    """An outbox whose store answers only the calls numbered in ``answered``; records when it was called."""

    def __init__(self, *answered: int) -> None:
        super().__init__(Keyspace(fakeredis.FakeAsyncRedis(), "test"), test_clock())
        self.called_at: list[float] = []
        self._answered = answered

    async def claim(self, limit: int, lease: float = LEASE_SECONDS) -> ClaimBatch:
        self._record_call()
        return await super().claim(limit, lease)

    async def settle(self, settlements: Sequence[AttemptResult]) -> list[str]:
        self._record_call()
        return await super().settle(settlements)

    def _record_call(self) -> None:
        self.called_at.append(asyncio.get_running_loop().time())
        if len(self.called_at) not in self._answered:
            raise StoreUnavailable("The store is not responding.")

    def waits(self) -> list[float]:
        """Return the seconds between calls."""
        return [round(later - earlier, 1) for earlier, later in zip(self.called_at, self.called_at[1:], strict=False)]


def render_nothing(*_: object) -> Message:
    raise AssertionError("nothing was claimed")


async def test_claiming_waits_longer_after_each_failure_and_starts_anew_after_a_success() -> None:
    outbox = UnreachableOutbox(6)
    notifier: Any = SimpleNamespace(deadline=8.0)
    dispatcher = Dispatcher(outbox, notifier, render_nothing, EventEmitter(), test_clock(), random=lambda: 1.0)
    running = asyncio.create_task(dispatcher.run())
    await asyncio.sleep(22)
    await cancel_tasks(running)
    assert outbox.waits()[:8] == [1, 2, 4, 5, 5, 0.5, 1, 2]


async def test_settling_waits_longer_after_each_failure() -> None:
    outbox = UnreachableOutbox()
    settler = ResultSettler(outbox, EventEmitter(), random=lambda: 1.0, on_trouble=lambda: None)
    running = asyncio.create_task(settler.run())
    settler.add_result(Refused("key", 1, "no_text"))
    await asyncio.sleep(20)
    await cancel_tasks(running)
    assert outbox.waits()[:5] == [1.1, 2.1, 4.1, 5.1, 5.1], "a tenth of a second collects results for one batch"
