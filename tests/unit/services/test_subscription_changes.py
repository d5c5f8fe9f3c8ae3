"""Changes of subscriptions are committed as they were decided, or not at all."""

from __future__ import annotations

import pytest
import redis.asyncio as redis

from tests.support.reply_loss import lossy_proxy
from tests.support.subscriptions import remove_subscription, store_subscription
from zofbot.alerting.state import threshold_hash
from zofbot.clock import MovableClock
from zofbot.services.subscription_changes import commit_changes
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import CommitConflict, Outbox
from zofbot.store.redis_server.connect import connect_redis
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH, SUBSCRIPTIONS_VERSION_HASH, Subscriptions
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.diff import SubscriptionChange

BEFORE = Subscription(id="s1", channel="C0QA", project=("checkout",))
AFTER = BEFORE.model_copy(update={"project": ("search",)})
OTHER = Subscription(id="s2", channel="C0QA", project=("billing",))


@pytest.fixture
def keyspace(store: redis.Redis) -> Keyspace:
    return Keyspace(store, "test")


@pytest.fixture
def outbox(keyspace: Keyspace, clock: MovableClock) -> Outbox:
    return Outbox(keyspace, clock)


async def test_what_was_removed_meanwhile_does_not_come_back(keyspace: Keyspace, outbox: Outbox) -> None:
    await store_subscription(keyspace, BEFORE)
    stored = await Subscriptions(keyspace).read()
    await remove_subscription(keyspace, BEFORE.id)
    with pytest.raises(CommitConflict):
        await commit_changes(outbox, stored, [SubscriptionChange(BEFORE, AFTER)])
    assert await Subscriptions(keyspace).list_all() == []


async def test_a_change_of_another_subscription_is_a_conflict_too(keyspace: Keyspace, outbox: Outbox) -> None:
    stored = await Subscriptions(keyspace).read()
    await store_subscription(keyspace, OTHER)
    with pytest.raises(CommitConflict):  # it may be the same one, or the last that the channel may have
        await commit_changes(outbox, stored, [SubscriptionChange(None, BEFORE)])
    await commit_changes(outbox, await Subscriptions(keyspace).read(), [SubscriptionChange(None, BEFORE)])
    assert await Subscriptions(keyspace).list_all() == [BEFORE, OTHER]


async def test_a_change_by_an_earlier_version_is_a_conflict(keyspace: Keyspace, outbox: Outbox) -> None:
    await store_subscription(keyspace, BEFORE)
    stored = await Subscriptions(keyspace).read()
    name = keyspace.key(SUBSCRIPTIONS_HASH)
    await keyspace.client.hset(name, BEFORE.id, AFTER.model_dump_json(by_alias=True))
    with pytest.raises(CommitConflict):
        await commit_changes(outbox, stored, [SubscriptionChange(BEFORE, None)])
    assert await Subscriptions(keyspace).list_all() == [AFTER]


async def test_the_counters_of_what_ends_are_deleted(keyspace: Keyspace, outbox: Outbox) -> None:
    await store_subscription(keyspace, BEFORE)
    await store_subscription(keyspace, OTHER)
    counters = {threshold_hash(item): {"key": "1"} for item in (BEFORE, OTHER)}
    await outbox.commit([], changes=counters)
    changes = [SubscriptionChange(BEFORE, AFTER), SubscriptionChange(OTHER, None)]
    await commit_changes(outbox, await Subscriptions(keyspace).read(), changes)
    assert await outbox.read_hashes(*counters) == {**counters, threshold_hash(OTHER): {}}


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (SubscriptionChange(None, OTHER), [BEFORE, OTHER]),
        (SubscriptionChange(BEFORE, AFTER), [AFTER]),
        (SubscriptionChange(BEFORE, None), []),
    ],
    ids=["added", "changed", "removed"],
)
async def test_a_change_whose_reply_was_lost_is_no_conflict_with_itself(
    store_url: str, clock: MovableClock, change: SubscriptionChange, left: list[Subscription]
) -> None:
    async with lossy_proxy(store_url) as loss, connect_redis(loss.url, "test", clock) as client:
        await client.flushall()
        keyspace = Keyspace(client, "test")
        await store_subscription(keyspace, BEFORE)
        stored = await Subscriptions(keyspace).read()
        loss.content = SUBSCRIPTIONS_VERSION_HASH.encode()
        await commit_changes(Outbox(keyspace, clock), stored, [change])
        assert loss.count == 1
        assert await Subscriptions(keyspace).list_all() == left
