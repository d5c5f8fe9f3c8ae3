"""The poller's lease while it works."""

from __future__ import annotations

import asyncio

import fakeredis
import pytest

from tests.support.virtual_time import test_clock
from zofbot.observability.emitter import EventEmitter
from zofbot.polling.lease_keeper import LeaseKeeper
from zofbot.store.keyspace import Keyspace
from zofbot.store.leases import HeldLease, Lease, LeaseNote


class BrokenLease(Lease):
    """A lease that cannot be renewed, by an error that the store never raises."""

    async def hold(self, *hashes: str, note: LeaseNote | None = None) -> HeldLease | None:
        raise KeyError("unexpected")


async def test_an_unexpected_error_while_the_lease_is_renewed_is_one_of_the_cycle() -> None:
    clock = test_clock()
    lease = BrokenLease(Keyspace(fakeredis.FakeAsyncRedis(), "a"), "poller", 60.0, clock)
    with pytest.raises(KeyError, match="unexpected"):
        async with LeaseKeeper(lease, EventEmitter(), clock).keep_renewed():
            await asyncio.sleep(60)
