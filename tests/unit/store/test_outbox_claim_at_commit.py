"""A commit claims what is due in the same step, if its process has a dispatcher that is free."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import fakeredis
import pytest
import redis.asyncio as redis

from zofbot.clock import MovableClock
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.store.keyspace import Keyspace
from zofbot.store.leases import Fence
from zofbot.store.outbox import LeaseLost, Outbox

NOW = 1_800_000_000.0


def root(key: str, not_before: float = 0.0) -> Notification:
    return Notification(
        key=key, kind=NotificationKind.ROOT, channel="C1", happened=NOW, not_before=not_before, body={"of": key}
    )


@pytest.fixture
async def client() -> AsyncIterator[redis.Redis]:
    async with fakeredis.FakeAsyncRedis() as made:
        yield made


@pytest.fixture
def outbox(client: redis.Redis) -> Outbox:
    made = Outbox(Keyspace(client, "test"), MovableClock(lambda: NOW))
    made.claim_terms = lambda: (10, 20.0)
    return made


async def test_what_is_due_is_claimed_with_the_commit_and_not_again(outbox: Outbox) -> None:
    assert await outbox.commit([root("a"), root("b", NOW + 60)]) == ["a", "b"]
    [batch] = outbox.claimed
    assert [claim.notification.key for claim in batch] == ["a"]
    assert batch.claimed_at[1] == NOW
    assert batch.next_due == NOW + 20  # the end of the lease
    assert not await outbox.claim(10)


async def test_a_record_that_cannot_be_read_does_not_fail_the_commit_that_claims_it(
    outbox: Outbox, client: redis.Redis
) -> None:
    outbox.claim_terms = lambda: (0, 0.0)
    await outbox.commit([root("a")])
    await client.hset("{test}:note:a", "body", "no JSON")
    outbox.claim_terms = lambda: (10, 20.0)
    assert await outbox.commit([root("b")]) == ["b"]
    [batch] = outbox.claimed
    assert [claim.notification.key for claim in batch] == ["b"]
    assert [result.key for result in batch.unreadable] == ["a"]


async def test_the_lease_counts_from_before_the_commit() -> None:
    times = itertools.count(NOW)
    async with fakeredis.FakeAsyncRedis() as client:
        outbox = Outbox(Keyspace(client, "test"), MovableClock(lambda: next(times)))
        outbox.claim_terms = lambda: (10, 20.0)
        await outbox.commit([root("a")])
        [batch] = outbox.claimed
        assert batch.next_due is not None
        assert batch.claimed_at[1] <= batch.next_due - 20


async def test_without_a_free_dispatcher_a_commit_claims_nothing(outbox: Outbox) -> None:
    outbox.claim_terms = lambda: (0, 0.0)
    await outbox.commit([root("a")])
    assert not outbox.claimed
    assert len(await outbox.claim(10)) == 1


async def test_a_commit_that_is_refused_claims_nothing(outbox: Outbox) -> None:
    await outbox.commit([], changes={"some": {"field": "1"}})
    with pytest.raises(LeaseLost):
        await outbox.commit([root("a")], fence=Fence("{test}:fence:poller", 7))
    assert not outbox.claimed
