"""The store: claims, shares and the shared quota on a double with Lua, then the real server and its crashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import fakeredis
import pytest
import redis.asyncio as redis

from tests.support.reply_loss import lossy_proxy
from tests.support.virtual_time import test_clock
from zofbot.clock import Clock
from zofbot.domain.errors import StoreUnavailable
from zofbot.domain.model import Quota
from zofbot.store import (
    CHANGE_TTL_SECONDS,
    MAX_POSTING_SECONDS,
    REQUEST_CLAIM_SECONDS,
    SHARE_TTL_SECONDS,
    SharedCard,
    Store,
    open_store,
)
from zofbot.store.keyspace import Keyspace

NOW = 1_800_000_000.0
ANA = SharedCard("U0ANA", "ana", NOW)
BEN = SharedCard("U0BEN", "ben", NOW + 1)


@pytest.fixture
async def client() -> AsyncIterator[redis.Redis]:
    async with fakeredis.FakeAsyncRedis() as client:
        yield client


@pytest.fixture
def store(client: redis.Redis) -> Store:
    return Store(Keyspace(client, "test"))


async def test_a_request_is_claimed_once(store: Store, client: redis.Redis) -> None:
    assert await store.claim_request("Ev1")
    assert not await store.claim_request("Ev1")
    assert await store.claim_request("Ev2")
    assert 0 < await client.ttl("{test}:claim:Ev1") <= REQUEST_CLAIM_SECONDS


async def test_of_many_at_once_one_gets_the_claim(store: Store) -> None:
    assert sum(await asyncio.gather(*(store.claim_request("Ev1") for _ in range(50)))) == 1


async def test_changes_are_numbered_together_and_kept_by_what_changed(store: Store, client: redis.Redis) -> None:
    assert await store.read_change_number("C0QA") == await store.read_change_number("") == ""
    numbers = []
    for changed in ("C0QA", "U0ANA", "C0QA"):
        await store.note_change(changed)
        numbers.append(await store.read_change_number(changed))
    assert await store.read_change_number("") == await store.read_change_number("C0QA") == numbers[2]
    assert await store.read_change_number("U0ANA") == numbers[1]
    assert await store.read_change_number("C0OTHER") == ""
    assert int(numbers[0]) < int(numbers[1]) < int(numbers[2])
    for name in ("C0QA", ""):
        assert 0 < await client.ttl(f"{{test}}:changed:{name}") <= CHANGE_TTL_SECONDS


async def test_the_first_to_share_may_post_and_the_second_hears_who_is(store: Store) -> None:
    assert await store.begin_share("k", ANA) == (True, None)
    assert await store.begin_share("k", BEN) == (False, ANA)


async def test_a_share_that_stands_is_answered_with_where(store: Store, client: redis.Redis) -> None:
    await store.begin_share("k", ANA)
    done = SharedCard("U0ANA", "ana", NOW + 2, done=True, link="https://x.example/p1")
    await store.end_share("k", done)
    assert await store.begin_share("k", SharedCard("U0BEN", "ben", NOW + 3600)) == (False, done)
    assert 0 < await client.ttl("{test}:share:k") <= SHARE_TTL_SECONDS


async def test_a_share_given_up_can_be_tried_again(store: Store) -> None:
    await store.begin_share("k", ANA)
    await store.cancel_share("k")
    assert await store.begin_share("k", BEN) == (True, None)


async def test_a_share_whose_process_died_is_taken_over_by_one_who_knows_of_it(store: Store) -> None:
    await store.begin_share("k", ANA)
    late = SharedCard("U0BEN", "ben", NOW + MAX_POSTING_SECONDS)
    assert await store.begin_share("k", late) == (True, ANA)
    _, standing = await store.begin_share("k", SharedCard("U0CHI", "chi", NOW + MAX_POSTING_SECONDS + 1))
    assert standing == replace(late, since=ANA.at)
    _, standing = await store.begin_share("k", SharedCard("U0CHI", "chi", NOW + 3 * MAX_POSTING_SECONDS))
    assert standing is not None
    assert standing.maybe_since == ANA.at


@pytest.mark.parametrize("earlier", [None, ANA])
async def test_a_share_whose_reply_was_lost_is_not_taken_for_that_of_somebody_else(
    store_url: str, earlier: SharedCard | None
) -> None:
    async with lossy_proxy(store_url) as loss, open_store(loss.url, "test", test_clock()) as store:
        await store.client.flushall()
        await store.begin_share("other", ANA)  # loads the script
        if earlier:
            await store.begin_share("k", earlier)
        loss.content = b"U0CHI"
        is_claimed, known = await store.begin_share("k", SharedCard("U0CHI", "chi", NOW + 2 * MAX_POSTING_SECONDS))
        assert loss.count == 1
        assert is_claimed
        assert (known and known.maybe_since) == (earlier and earlier.at)
        assert (await store.begin_share("k", SharedCard("U0BEN", "ben", NOW + 2 * MAX_POSTING_SECONDS)))[0] is False


async def test_what_one_process_learns_of_the_quota_another_reads(client: redis.Redis) -> None:
    now = Clock().now()  # the server drops it by the machine's clock
    quota = Quota(limit=100, remaining=3, reset=now.replace(microsecond=0) + timedelta(hours=1))
    await Store(Keyspace(client, "test")).write_quota(quota)
    assert await Store(Keyspace(client, "test")).read_quota() == quota
    assert await Store(Keyspace(client, "other")).read_quota() is None
    assert 0 < await client.ttl("{test}:quota") <= 3601


async def test_redis_out_of_reach_is_one_kind_of_error(tmp_path: Path) -> None:
    async with open_store(f"unix://{tmp_path}/nobody.sock", "test", test_clock()) as store:
        for call in (store.ping(), store.claim_request("x"), store.begin_share("k", ANA), store.read_quota()):
            with pytest.raises(StoreUnavailable):
                await call
