"""Change stored subscriptions as people do, but without a message or an audit record."""

from __future__ import annotations

from tests.support.virtual_time import test_clock
from zofbot.services.subscription_changes import commit_changes
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import Outbox
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.diff import SubscriptionChange


async def store_subscription(keyspace: Keyspace, after: Subscription) -> None:
    """Add a subscription, or replace the one with its id."""
    await _change_subscription(keyspace, after.id, after)


async def remove_subscription(keyspace: Keyspace, identifier: str) -> None:
    """Remove the subscription with this id, which must exist."""
    await _change_subscription(keyspace, identifier, None)


async def _change_subscription(keyspace: Keyspace, identifier: str, after: Subscription | None) -> None:
    stored = await Subscriptions(keyspace).read()
    before = next((item for item in stored.list_all() if item.id == identifier), None)
    assert before or after
    await commit_changes(Outbox(keyspace, test_clock()), stored, [SubscriptionChange(before, after)])
