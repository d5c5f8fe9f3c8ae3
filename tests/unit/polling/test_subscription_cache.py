"""The poller reads all subscriptions only when one may have changed."""

from __future__ import annotations

import httpx
import pytest

from tests.support.poller_bench import CHANNEL, START_TIME, PollerBench, poller_bench
from tests.support.subscriptions import remove_subscription, store_subscription
from zofbot.alerting.rules import decide_batch
from zofbot.polling.subscription_cache import SubscriptionCache
from zofbot.store.keyspace import Keyspace
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH, SUBSCRIPTIONS_VERSION_HASH, version_change
from zofbot.subscriptions import Subscription

WISH = Subscription(id="s1", channel=CHANNEL, by="U0ANA", created=START_TIME)
RECORD = WISH.model_dump_json(by_alias=True)


async def alerts_after_hint(built: PollerBench, event: str) -> list[str]:
    """Return what is committed for a new failed run that a webhook names."""
    run = built.finish_run()
    await built.receive_webhook(run["id"], event)
    return (await built.poller.poll_once(feeds=False)).committed


def test_the_version_is_read_alone_until_it_changes() -> None:
    cache, first, second = SubscriptionCache(), version_change(), version_change()
    assert cache.hashes() == (SUBSCRIPTIONS_VERSION_HASH, SUBSCRIPTIONS_HASH), (
        "the version first: it may only be too old"
    )
    assert cache.update({**first, SUBSCRIPTIONS_HASH: {"s1": RECORD}})
    assert cache.hashes() == (SUBSCRIPTIONS_VERSION_HASH,)
    assert not cache.update(first)
    assert cache.update(second)
    assert SUBSCRIPTIONS_HASH in cache.hashes()
    assert not cache.update({**second, SUBSCRIPTIONS_HASH: {"s1": RECORD}}), "changed and changed back"
    assert cache.all == [WISH]
    assert SUBSCRIPTIONS_HASH not in cache.hashes()


def test_everything_is_read_while_no_version_is_known() -> None:
    cache = SubscriptionCache()
    cache.update({SUBSCRIPTIONS_VERSION_HASH: {}, SUBSCRIPTIONS_HASH: {"s1": RECORD}})
    assert SUBSCRIPTIONS_HASH in cache.hashes()


@pytest.mark.parametrize("verb", ["add", "replace", "remove"])
async def test_a_change_during_a_cycle_counts_for_its_decision(verb: str) -> None:
    async with poller_bench() as built:
        keyspace = Keyspace(built.store, "test")
        built.poller = built.start_poller(decide=decide_batch)
        await store_subscription(keyspace, WISH.model_copy(update={"id": "s0", "channel": "C0OTHER"}))
        if verb != "add":
            await store_subscription(keyspace, WISH)
        await built.run_cycle()

        async def change(request: httpx.Request) -> None:
            match verb:
                case "add":
                    await store_subscription(keyspace, WISH)
                case "replace":
                    await store_subscription(keyspace, WISH.model_copy(update={"env": ("production",)}))
                case _:
                    await remove_subscription(keyspace, WISH.id)

        built.zof.spoil = change
        committed = await alerts_after_hint(built, "evt_1")
        assert any(key.endswith(CHANNEL) for key in committed) == (verb == "add")
        assert any(key.endswith("C0OTHER") for key in committed)


async def test_a_change_by_an_earlier_version_counts_from_the_next_interval() -> None:
    async with poller_bench() as built:
        built.poller = built.start_poller(decide=decide_batch)
        await store_subscription(Keyspace(built.store, "test"), WISH)
        await built.run_cycle()
        await built.store.hdel("{test}:" + SUBSCRIPTIONS_HASH, WISH.id)
        assert await alerts_after_hint(built, "evt_1"), "the hash is not read again"
        await built.run_cycle()
        assert not await alerts_after_hint(built, "evt_2")
