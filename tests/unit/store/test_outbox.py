"""The outbox: each step on a double with Lua and on the real server, with a clock that tests set."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.limits import HANG_SECONDS
from tests.support.outbox_bench import HERE, NOW, OutboxBench, edit, reply, root
from tests.support.valkey_servers import shared_valkey
from zofbot.clock import MovableClock
from zofbot.delivery.failed_calls import UNWANTED_REASON
from zofbot.domain.errors import StoreUnavailable
from zofbot.notifications.notification import (
    NOTIFICATION_SCHEMA,
    Claim,
    Notification,
    NotificationKind,
    NotificationState,
    Receipt,
)
from zofbot.simulator.quota import BurstLimit
from zofbot.store.attempt_results import (
    Adopted,
    AttemptResult,
    Deferred,
    Dropped,
    Gone,
    Halted,
    Refused,
    Sent,
    Snoozed,
    Unknown,
)
from zofbot.store.channel_pace import EDIT_INTERVAL_SECONDS, MAX_BURST
from zofbot.store.keyspace import Keyspace
from zofbot.store.leases import Fence
from zofbot.store.outbox import LEASE_SECONDS, LeaseLost, Outbox
from zofbot.store.outbox_reader import MAX_WHOLE_FIELDS
from zofbot.store.outbox_scripts import BODY_TTL_SECONDS, KEY_TTL_SECONDS, MAX_ATTEMPT_AGE_SECONDS

# --- commit


async def test_a_key_is_new_once(bench: OutboxBench) -> None:
    assert await bench.commit_notifications(root("a"), root("b"), root("a")) == ["a", "b"]
    assert await bench.commit_notifications(root("b"), root("c")) == ["c"]
    assert await bench.claim_keys() == ["a", "b"]


async def test_a_key_stays_known_whatever_became_of_it(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("sent"), root("dead"), root("dropped", "C2"))
    sent, dead, dropped = await bench.claim_batch()
    sent, dead = (sent, dead) if sent.notification.key == "sent" else (dead, sent)
    await bench.settle(Sent.for_claim(sent, HERE), Refused.for_claim(dead, "no"), Dropped.for_claim(dropped, "why"))
    assert await bench.commit_notifications(root("sent"), root("dead"), root("dropped", "C2")) == []
    assert await bench.claim_keys(after=60) == []


async def test_what_comes_out_is_what_went_in(bench: OutboxBench) -> None:
    body = {
        "list": [],
        "map": {},
        "text": 'ä "q" \n',
        "number": 1795467000.123456,
        "none": None,
        "deep": [[{"a": [1]}]],
    }
    given = Notification(
        key="k", kind=NotificationKind.ROOT, channel="C1", body=body, happened=NOW - 0.123456, critical=True
    )
    await bench.commit_notifications(given)
    claim = await bench.one()
    assert claim.notification == given
    assert (claim.attempt, claim.committed, claim.maybe_since, claim.place) == (1, NOW, None, None)


async def test_changes_are_made_in_the_same_step_and_read_back(bench: OutboxBench) -> None:
    await bench.outbox.commit([], changes={"one": {"a": "1", "b": "2"}, "two": {"c": "3"}})
    await bench.outbox.commit([root("k")], changes={"one": {"a": None, "b": ""}, "two": {"c": "4"}})
    assert await bench.outbox.read_hashes("one", "two", "three") == {"one": {"b": ""}, "two": {"c": "4"}, "three": {}}


async def test_a_large_hash_is_left_out_if_that_is_asked_for(bench: OutboxBench) -> None:
    most = {f"f{number}": "1" for number in range(MAX_WHOLE_FIELDS)}
    await bench.outbox.commit([], changes={"fits": most, "large": {**most, "f": "2"}})
    assert await bench.outbox.read_hashes("fits", "large", unless_large=["fits", "large"]) == {"fits": most}
    assert await bench.outbox.read_hashes("fits", "large", unless_large=["fits"]) == {
        "fits": most,
        "large": {**most, "f": "2"},
    }


async def test_an_old_fence_lets_nothing_through(bench: OutboxBench) -> None:
    await bench.client.set("{test}:fence:poller", 8)
    fence = Fence("{test}:fence:poller", 7)
    with pytest.raises(LeaseLost):
        await bench.outbox.commit([root("k")], changes={"h": {"a": "1"}}, fence=fence)
    assert await bench.names() == {"{test}:fence:poller"}
    assert await bench.outbox.commit([root("k")], fence=Fence("{test}:fence:poller", 8)) == ["k"]


async def test_a_commit_is_news_for_the_same_process(bench: OutboxBench) -> None:
    await bench.outbox.commit([], changes={"h": {"a": "1"}})
    assert not bench.outbox.news.is_set()
    await bench.commit_notifications(root("k"))
    assert bench.outbox.news.is_set()


# --- claim: who, when, and in which order


async def test_what_is_claimed_is_nobody_elses(bench: OutboxBench) -> None:
    await bench.commit_notifications(*(root(f"k{n}", f"C{n}") for n in range(40)))
    batches = await asyncio.gather(*(bench.make_outbox().claim(7) for _ in range(10)))
    keys = [claim.notification.key for batch in batches for claim in batch]
    assert sorted(keys) == sorted(f"k{n}" for n in range(40))


async def test_a_channel_gets_a_short_burst_and_then_one_a_second(bench: OutboxBench) -> None:
    await bench.commit_notifications(*(root(f"k{n}") for n in range(6)))
    assert await bench.claim_keys() == ["k0", "k1"]
    assert await bench.claim_keys(after=0.999) == []
    assert await bench.claim_keys(after=0.001) == ["k2"]
    assert await bench.claim_keys(after=1) == ["k3"]
    assert await bench.claim_keys(after=6) == ["k4", "k5"]


async def test_all_workers_share_one_pace(bench: OutboxBench) -> None:
    await bench.commit_notifications(*(root(f"k{n}") for n in range(20)))
    claimed = 0
    for _ in range(10):
        batches = await asyncio.gather(*(bench.make_outbox().claim(100) for _ in range(4)))
        claimed += sum(len(batch) for batch in batches)
        bench.now += 1
    assert claimed == MAX_BURST + 9


async def test_channels_do_not_wait_for_each_other(bench: OutboxBench) -> None:
    await bench.commit_notifications(
        *(root(f"{channel}{n}", channel) for channel in ("C1", "C2", "C3") for n in range(3))
    )
    assert len(await bench.claim_keys()) == 3 * MAX_BURST


async def test_critical_roots_go_first_then_roots_then_replies_then_edits(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r"), reply("p", "r"), root("k"), root("urgent", critical=True))
    assert await bench.claim_keys(after=60) == ["urgent", "k", "e"]
    assert await bench.claim_keys(after=1) == ["p"]


async def test_nothing_is_sent_before_its_time(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("later", not_before=NOW + 1200))
    batch = await bench.claim_batch()
    assert (list(batch), batch.next_due) == ([], NOW + 1200)
    assert await bench.claim_keys(after=1199.9) == []
    assert await bench.claim_keys(after=0.1) == ["later"]


async def test_a_claim_says_when_the_next_one_is_due(bench: OutboxBench) -> None:
    assert (await bench.claim_batch()).next_due is None
    await bench.commit_notifications(*(root(f"k{n}") for n in range(3)))
    batch = await bench.claim_batch()
    assert batch.next_due == NOW + 1
    await bench.settle(*(Sent.for_claim(claim, HERE) for claim in batch))
    await bench.send(await bench.one(after=1))
    assert (await bench.claim_batch(after=1)).next_due is None


async def test_more_than_was_asked_for_is_due_at_once(bench: OutboxBench) -> None:
    await bench.commit_notifications(*(root(f"k{n}", f"C{n}") for n in range(5)))
    batch = await bench.claim_batch(3)
    assert len(batch) == 3
    assert batch.next_due is not None
    assert batch.next_due <= NOW
    assert len(await bench.claim_batch(3)) == 2


async def test_a_record_of_a_newer_version_is_left_to_its_workers(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("new", schema=NOTIFICATION_SCHEMA + 1), root("old"))
    assert await bench.claim_keys() == ["old"]
    assert await bench.state("new") is NotificationState.PENDING


async def test_an_index_that_names_what_is_gone_is_passed_over(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("gone"), root("there"))
    await bench.client.delete("{test}:note:gone")
    assert await bench.claim_keys() == ["there"]
    assert (await bench.outbox.read_stats()).pending == 0


# --- leases


async def test_what_a_dead_worker_held_is_claimed_again_as_maybe_sent(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    first = await bench.one(after=3)
    assert await bench.claim_keys(after=LEASE_SECONDS - 0.001) == []
    again = await bench.one(after=0.001)
    assert (again.attempt, again.maybe_since) == (2, first.committed + 3)
    third = await bench.one(after=LEASE_SECONDS)
    assert (third.attempt, third.maybe_since) == (3, first.committed + 3)


async def test_a_settlement_that_lost_its_lease_changes_nothing(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    slow = await bench.one()
    await bench.one(after=LEASE_SECONDS)
    for late in (
        Sent.for_claim(slow, HERE),
        Refused.for_claim(slow, "no"),
        Deferred.for_claim(slow, 9.0, True, "x"),
        Snoozed.for_claim(slow, 1.0),
    ):
        assert await bench.settle(late) == ["lost"]
    assert await bench.state("k") is NotificationState.SENDING


async def test_a_receipt_that_comes_late_but_before_anybody_else_counts(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    slow = await bench.one()
    bench.now += LEASE_SECONDS + 5
    await bench.send(slow)
    assert await bench.claim_keys(after=60) == []


# --- how attempts end


async def test_a_receipt_is_all_that_is_left_of_what_was_sent(bench: OutboxBench) -> None:
    await bench.commit_and_send("r", ts="7.5")
    await bench.commit_notifications(reply("p", "r"))
    await bench.send(await bench.one(after=5), "8.5")
    assert await bench.client.get("{test}:sent:p") == b"C1 8.5"
    assert KEY_TTL_SECONDS - HANG_SECONDS < await bench.client.ttl("{test}:sent:p") <= KEY_TTL_SECONDS
    assert not await bench.client.exists("{test}:note:p")
    assert BODY_TTL_SECONDS - HANG_SECONDS < await bench.client.ttl("{test}:note:r") <= BODY_TTL_SECONDS
    known = await bench.outbox.get_record("p")
    assert known is not None
    assert (known.state, known.receipt) == (NotificationState.SENT, Receipt("C1", "8.5"))


async def test_a_receipt_is_kept_even_when_the_store_forgot_the_rest(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    claim = await bench.one()
    await bench.client.flushall()
    await bench.send(claim)
    assert await bench.commit_notifications(root("k")) == []


async def test_deferred_waits_alone(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"), root("other"))
    [claim, other] = await bench.claim_batch()
    await bench.settle(Deferred.for_claim(claim, 2.5, False, "unreachable"), Sent.for_claim(other, HERE))
    await bench.commit_notifications(root("third"))
    assert await bench.claim_keys(after=1) == ["third"]
    again = await bench.one(after=1.5)
    assert (again.notification.key, again.attempt, again.maybe_since) == ("k", 2, None)


async def test_a_busy_slack_moves_the_whole_channel_by_fractions_too(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"), root("other"), root("elsewhere", "C2"))
    claims = await bench.claim_batch()
    busy = [claim for claim in claims if claim.notification.channel == "C1"]
    await bench.settle(*(Deferred.for_claim(claim, 30.25, True, "ratelimited") for claim in busy))
    await bench.send(next(claim for claim in claims if claim not in busy))
    await bench.commit_notifications(root("urgent", critical=True))
    assert await bench.claim_keys(after=30.249) == []
    assert await bench.claim_keys(after=0.001) == ["urgent"]
    assert await bench.claim_keys(after=1) == ["k"]
    assert await bench.claim_keys(after=1) == ["other"]


async def test_a_shorter_wait_does_not_shorten_a_longer_one(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"), root("other"))
    one, two = await bench.claim_batch()
    await bench.settle(Deferred.for_claim(one, 30.0, True, "x"), Deferred.for_claim(two, 1.0, True, "x"))
    assert await bench.claim_keys(after=29) == []


async def test_unknown_is_looked_at_again_and_remembers_since_when(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    claim = await bench.one()
    assert await bench.settle(Unknown.for_claim(claim, "TimeoutError", 3.0)) == ["sending"]
    assert (await bench.outbox.read_stats()).sending == 1
    assert await bench.claim_keys(after=2.9) == []
    again = await bench.one(after=0.1)
    assert (again.attempt, again.maybe_since) == (2, NOW)


async def test_what_may_be_there_stays_so_until_it_is_sent(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    await bench.settle(Unknown.for_claim(await bench.one(), "cut", 1.0))
    await bench.settle(Deferred.for_claim(await bench.one(after=5), 1.0, False, "unreachable"))
    await bench.settle(Snoozed.for_claim(await bench.one(after=5), 1.0))
    await bench.settle(Halted.for_claim(await bench.one(after=5), "invalid_auth"))
    await bench.settle(Refused.for_claim(await bench.one(after=5), "is_archived", True))
    await bench.outbox.unpark_channel("C1")
    await bench.settle(Refused.for_claim(await bench.one(after=5), "no"))
    assert await bench.outbox.retry("k")
    assert (await bench.one(after=5)).maybe_since == NOW


async def test_attempts_are_bounded_by_age_not_by_count(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"), root("u", "C2"))
    for _ in range(int(MAX_ATTEMPT_AGE_SECONDS / 1200)):
        for claim in await bench.claim_batch(after=1200):
            failed: AttemptResult = Deferred.for_claim(claim, 1.0, False, "unreachable")
            if claim.notification.key == "u":
                failed = Unknown.for_claim(claim, "cut", 1.0)
            await bench.settle(failed)
    assert {await bench.state("k"), await bench.state("u")} == {NotificationState.PENDING, NotificationState.SENDING}
    last = await bench.claim_batch(after=1300)
    assert {claim.attempt for claim in last} == {73}
    ends: list[AttemptResult] = [
        Deferred.for_claim(last[0], 1.0, True, "ratelimited"),
        Unknown.for_claim(last[1], "cut", 1.0),
    ]
    assert await bench.settle(*ends) == ["dead", "dead"]
    [dead, _] = await bench.outbox.list_records(NotificationState.DEAD)
    assert dead.reason.startswith("gave up after 24 h: ")


async def test_refused_is_dead_with_its_reason_until_somebody_retries_it(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    assert await bench.settle(Refused.for_claim(await bench.one(), "invalid_blocks")) == ["dead"]
    [dead] = await bench.outbox.list_records(NotificationState.DEAD)
    assert (dead.key, dead.reason, dead.attempts, dead.body) == ("k", "invalid_blocks", 1, {"of": "k"})
    assert 0 < await bench.client.ttl("{test}:note:k") <= KEY_TTL_SECONDS
    assert await bench.claim_keys(after=60) == []
    assert await bench.outbox.retry("k")
    assert await bench.client.ttl("{test}:note:k") == -1
    await bench.send(await bench.one())
    assert not await bench.outbox.retry("k")
    assert await bench.outbox.list_records(NotificationState.DEAD) == []


@pytest.mark.parametrize(
    "damage",
    [
        {"body": "no JSON"},
        {"body": "[]"},
        {"body": "[" * 100_000},
        {"body": b"\xff"},
        {"kind": "letter"},
        {"happened": "soon"},
        {"schema": "new"},
        {"attempt": "many", "not_before": "later"},
    ],
    ids=["text", "list", "deep", "bytes", "kind", "time", "schema", "numbers"],
)
async def test_a_record_that_cannot_be_read_is_dead_and_holds_up_no_other(
    bench: OutboxBench, damage: dict[str, Any]
) -> None:
    await bench.commit_notifications(root("b"), root("a"), root("c", "C2"))
    for name, value in damage.items():
        await bench.client.hset("{test}:note:b", name, value)
    batch = await bench.claim_batch()
    assert sorted(claim.notification.key for claim in batch) == ["a", "c"]
    await bench.outbox.settle([Sent.for_claim(claim, HERE) for claim in batch])
    assert await bench.outbox.settle(batch.unreadable) == ["dead"]
    [record] = await bench.outbox.list_records(NotificationState.DEAD)
    assert (record.key, record.channel, record.state) == ("b", "C1", NotificationState.DEAD)
    assert re.fullmatch(
        r"cannot be read: \w+Error; retry it with the version of zofbot that wrote it, or drop it", record.reason
    )
    assert not await bench.claim_batch(after=2 * LEASE_SECONDS + 60)
    assert (await bench.outbox.read_stats()).dead == 1


async def test_dead_letters_whose_records_have_expired_are_not_counted(bench: OutboxBench) -> None:
    for key, channel in (("a", "C1"), ("b", "C2")):
        await bench.commit_notifications(root(key, channel))
        await bench.settle(Refused.for_claim(await bench.one(), "no"))
        bench.now += KEY_TTL_SECONDS / 2
    await bench.client.delete("{test}:note:a")
    counted = (await bench.outbox.read_stats()).dead
    assert counted == len(await bench.outbox.list_records(NotificationState.DEAD)) == 1


@pytest.mark.parametrize("lost", ["channel", "root", "kind", "body", "happened"])
async def test_a_record_that_lacks_a_field_holds_up_no_other(bench: OutboxBench, lost: str) -> None:
    await bench.commit_notifications(root("b"), root("a"), root("c", "C2"))
    await bench.client.hdel("{test}:note:b", lost)
    batch = await bench.claim_batch()
    assert {claim.notification.key for claim in batch} >= {"a", "c"}
    sent = await bench.outbox.settle([Sent.for_claim(claim, HERE) for claim in batch])
    dead = await bench.outbox.settle(batch.unreadable)
    assert (sent, dead) == (["sent"] * len(batch), ["dead"] * len(batch.unreadable))
    assert not await bench.claim_batch(after=2 * LEASE_SECONDS + 60)


@pytest.mark.parametrize("lost", ["rank", "channel", "kind", "root", "started"])
@pytest.mark.parametrize("waits_for", ["time", "lease"])
async def test_a_record_that_lacks_a_field_is_queued_again_and_holds_up_no_other(
    bench: OutboxBench, waits_for: str, lost: str
) -> None:
    due = NOW + 60 if waits_for == "time" else 0.0
    await bench.commit_notifications(
        *(root(key, channel, not_before=due) for key, channel in (("b", "C1"), ("c", "C2")))
    )
    assert len(await bench.claim_batch()) == (2 if waits_for == "lease" else 0)
    await bench.client.hdel("{test}:note:b", lost)
    batch = await bench.claim_batch(after=60)
    assert {claim.notification.key for claim in batch} | {item.key for item in batch.unreadable} == {"b", "c"}
    assert [item.key for item in batch.unreadable] == (["b"] if lost in {"channel", "kind"} else [])


async def test_a_dead_record_that_lacks_its_channel_is_dropped_by_an_operator(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("b"))
    await bench.client.hdel("{test}:note:b", "channel")
    await bench.outbox.settle((await bench.claim_batch()).unreadable)
    assert await bench.outbox.drop("b")
    assert await bench.state("b") is NotificationState.DROPPED


@pytest.mark.parametrize("lost", ["critical", "schema", "happened", "body"])
@pytest.mark.parametrize("deleted", [True, False])
async def test_a_root_that_lacks_a_field_is_posted_again(bench: OutboxBench, lost: str, deleted: bool) -> None:
    """``deleted``: by people; otherwise its receipt has expired."""
    await bench.commit_and_send("r", ts="1.0")
    await bench.client.hdel("{test}:note:r", lost)
    if not deleted:
        await bench.client.delete("{test}:sent:r")
    await bench.commit_notifications(edit("e", "r"))
    if deleted:
        await bench.settle(Gone.for_claim(await bench.one(after=10), HERE, "message_not_found"))
    else:
        assert not await bench.claim_batch(after=10)
    again = await bench.one(after=10)
    assert (again.notification.kind, again.notification.body) == ("root", {"of": "e" if lost == "body" else "r"})
    await bench.send(again, "2.0")
    assert await bench.claim_keys(after=10) == ["e"]


async def test_a_dead_record_is_sent_by_a_version_that_can_read_it(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("a"))
    [body] = await bench.client.hmget("{test}:note:a", "body")
    await bench.client.hset("{test}:note:a", "body", "no JSON")
    await bench.outbox.settle((await bench.claim_batch()).unreadable)
    await bench.client.hset("{test}:note:a", "body", body)
    assert await bench.outbox.retry("a")
    assert await bench.claim_keys(after=60) == ["a"]


async def test_a_failure_that_cannot_be_read_does_not_hold_up_its_alert(bench: OutboxBench) -> None:
    await bench.outbox.commit([root("a")], changes={"failure:a": {"body": "no JSON"}})
    claim = await bench.one()
    assert claim.failure is None


async def test_a_record_that_cannot_be_read_says_nothing_about_slack_and_ends_no_pause(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("a"))
    await bench.outbox.settle([Halted.for_claim(await bench.one(), "invalid_auth")])
    await bench.commit_notifications(root("b"))
    await bench.client.hset("{test}:note:a", "body", "no JSON")
    batch = await bench.claim_batch(after=2)
    assert (list(batch), [result.key for result in batch.unreadable]) == ([], ["a"])
    await bench.outbox.settle(batch.unreadable)
    assert (await bench.outbox.read_stats()).paused == "invalid_auth"
    assert await bench.claim_keys() == ["b"], "tried at once in its place"


async def test_a_parked_channel_whose_entry_cannot_be_read_is_tried_again(bench: OutboxBench) -> None:
    await bench.client.hset("{test}:outbox:parked", mapping={"C1": "no entry", "C2": "0 1800000000000 is_archived"})
    first, second = sorted(await bench.outbox.parked_channels(), key=lambda parked: parked.channel)
    assert (first.since, first.told) == (0.0, True)
    assert (second.since, second.told, second.reason) == (NOW, False, "is_archived")


async def test_what_is_forgotten_leaves_nothing_unless_it_is_being_sent(bench: OutboxBench) -> None:
    await bench.commit_and_send("sent")
    for key, how in (("dead", Refused), ("dropped", Dropped)):
        await bench.commit_notifications(root(key))
        await bench.settle(how.for_claim(await bench.one(after=10), "no"))
    await bench.commit_notifications(root("runs"))
    claim = await bench.one(after=10)
    await bench.commit_notifications(root("later", not_before=NOW + 3600), root("waits", "C2"))
    keys = ("sent", "dead", "dropped", "runs", "later", "waits", "never")
    assert [await bench.outbox.erase_notification(key) for key in keys] == [True, True, True, False, True, True, True]
    assert [await bench.state(key) for key in keys] == [None, None, None, NotificationState.SENDING, None, None, None]
    assert [record.key for state in NotificationState for record in await bench.outbox.list_records(state)] == ["runs"]
    assert await bench.claim_keys(after=7200) == ["runs"], "nothing is sent after all, but what nobody settled"
    depth = await bench.outbox.read_stats()
    assert (depth.pending, depth.sending, depth.dead) == (0, 1, 0)
    assert claim.notification.key == "runs"


async def test_an_operator_can_drop_what_waits_or_is_dead(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("waits"), root("dead", "C2"), root("runs", "C3"))
    claims = {claim.notification.key: claim for claim in await bench.claim_batch()}
    await bench.settle(Deferred.for_claim(claims["waits"], 60.0, False, "x"), Refused.for_claim(claims["dead"], "no"))
    assert [await bench.outbox.drop(key) for key in ("waits", "dead", "runs", "never")] == [True, True, False, False]
    assert {record.key for record in await bench.outbox.list_records(NotificationState.DROPPED)} == {"waits", "dead"}
    assert await bench.claim_keys(after=LEASE_SECONDS * 5) == ["runs"]
    assert await bench.outbox.retry("waits")
    assert await bench.claim_keys() == ["waits"]


# --- threads


async def test_a_reply_waits_for_its_root_without_spending_an_attempt(bench: OutboxBench) -> None:
    await bench.commit_notifications(reply("p", "r"), root("r"))
    claim = await bench.one()
    assert claim.notification.key == "r"
    assert await bench.claim_keys(after=5) == []
    await bench.send(claim, "7.5")
    [child] = await bench.claim_batch(after=1)
    assert (child.notification.key, child.attempt, child.place) == ("p", 1, Receipt("C1", "7.5"))


async def commit_held_alerts(bench: OutboxBench, *keys: str) -> None:
    """Commit alerts and then the summary that lists them, all due in a minute."""
    due = bench.now + 60
    notes = [root(key, critical=True, not_before=due) for key in (*keys, "catchup")]
    await bench.outbox.commit(notes, changes={"catchup:C1": dict.fromkeys(keys, '{"key":"catchup","at":1.5}')})


async def test_held_alerts_wait_for_their_summary_without_spending_an_attempt_or_the_pace(bench: OutboxBench) -> None:
    await commit_held_alerts(bench, *(f"a{number}" for number in range(5)))
    await bench.commit_notifications(root("other", critical=True, not_before=bench.now + 60))
    summary, other = await bench.claim_batch(after=60)
    assert [summary.notification.key, other.notification.key] == ["catchup", "other"]
    assert await bench.claim_keys(after=2) == []
    await bench.send(summary)
    assert await bench.claim_keys(after=2) == ["a0", "a1"]
    third = await bench.one(after=1)
    assert (third.notification.key, third.attempt) == ("a2", 1)


async def test_held_alerts_do_not_wait_for_ever_for_a_summary_that_cannot_be_sent(bench: OutboxBench) -> None:
    await commit_held_alerts(bench, "a")
    bench.now += 60
    for _ in range(5):
        [summary] = await bench.claim_batch(after=1)
        assert summary.notification.key == "catchup"
        await bench.settle(Deferred.for_claim(summary, 30.0, False, "unreachable"))
        bench.now += 30
    assert "a" in await bench.claim_keys(after=1)


async def test_held_alerts_that_an_earlier_version_claimed_in_turn_let_their_summary_go_first(
    bench: OutboxBench,
) -> None:
    keys = [f"a{number}" for number in range(3)]
    await commit_held_alerts(bench, *keys)
    await bench.client.rename("{test}:catchup:C1", "unread")
    for wait in (60, 2, 2):
        claims = await bench.claim_batch(after=wait)
        assert "catchup" not in [claim.notification.key for claim in claims]
        await bench.settle(*(Snoozed.for_claim(claim, 1.0) for claim in claims))
    await bench.client.rename("unread", "{test}:catchup:C1")
    await bench.send(await bench.one(after=2))
    assert await bench.state("catchup") is NotificationState.SENT


async def test_children_of_a_root_that_died_are_dropped_with_the_reason(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("r"), reply("p", "r"), edit("e", "r"))
    claim = await bench.one()
    await bench.settle(Refused.for_claim(claim, "no"))
    batch = await bench.claim_batch(after=2)
    assert list(batch) == []
    assert sorted(batch.dropped) == [["e", "edit", "C1", "its root is dead"], ["p", "reply", "C1", "its root is dead"]]
    assert await bench.state("p") is NotificationState.DROPPED
    assert (await bench.outbox.read_stats()).pending == 0


@pytest.mark.parametrize("end", [NotificationState.DEAD, NotificationState.DROPPED])
async def test_a_root_that_is_retried_brings_its_children_with_it(bench: OutboxBench, end: NotificationState) -> None:
    await bench.commit_notifications(
        root("r"), reply("p", "r"), reply("q", "r"), root("other", "C2"), reply("o", "other", "C2")
    )
    claims = {claim.notification.key: claim for claim in await bench.claim_batch()}
    gone = (
        Refused.for_claim(claims["r"], "no") if end is NotificationState.DEAD else Dropped.for_claim(claims["r"], "why")
    )
    await bench.settle(gone, Refused.for_claim(claims["other"], "no"))
    assert len((await bench.claim_batch(after=2)).dropped) == 3
    assert await bench.outbox.retry("r")
    await bench.send(await bench.one(after=1), "7.5")
    assert await bench.claim_keys(after=5) == ["p", "q"]
    assert await bench.state("o") is NotificationState.DROPPED
    assert await bench.outbox.list_records(NotificationState.DROPPED) == [await bench.outbox.get_record("o")]


async def test_a_reposted_root_that_is_retried_brings_its_children_with_it(bench: OutboxBench) -> None:
    await bench.commit_and_send("r", ts="1.0")
    await bench.commit_notifications(reply("p", "r"), edit("e", "r"))
    claims = await bench.claim_batch(after=5)
    await bench.settle(*(Gone.for_claim(claim, HERE, "message_not_found") for claim in claims))
    await bench.settle(Refused.for_claim(await bench.one(after=5), "no"))
    assert sorted(key for key, *_ in (await bench.claim_batch(after=5)).dropped) == ["e", "p"]
    assert await bench.outbox.retry("r:2")
    await bench.send(await bench.one(after=5), "9.0")
    assert {(claim.notification.key, claim.place) for claim in await bench.claim_batch(after=5)} == {
        (key, Receipt("C1", "9.0")) for key in "pe"
    }


async def test_what_belongs_to_a_root_that_was_forgotten_makes_one_of_its_own(bench: OutboxBench) -> None:
    await bench.commit_notifications(reply("p", "long ago"), reply("q", "long ago"))
    fresh = await bench.one()
    assert (fresh.notification.key, fresh.notification.kind) == ("long ago:2", NotificationKind.ROOT)
    assert fresh.notification.body == {"of": "p"}
    await bench.send(fresh, "7.5")
    children = await bench.claim_batch(after=5)
    assert {(child.notification.key, child.place) for child in children} == {
        (key, Receipt("C1", "7.5")) for key in "pq"
    }


async def test_a_thread_is_remembered_as_long_as_something_happens_in_it(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.client.expire("{test}:sent:r", 60)
    await bench.commit_notifications(reply("p", "r"))
    await bench.send(await bench.one(after=5), "2.0")
    assert await bench.client.ttl("{test}:sent:r") > KEY_TTL_SECONDS - HANG_SECONDS


async def test_a_root_is_remembered_as_long_as_its_failure(bench: OutboxBench) -> None:
    async def assert_both_last(*receipts: str) -> None:
        kept = await bench.client.ttl("{test}:failure:r")
        assert kept > KEY_TTL_SECONDS
        assert all([await bench.client.ttl(f"{{test}}:sent:{name}") > kept - HANG_SECONDS for name in receipts])

    await bench.outbox.commit([root("r")], changes={"failure:r": {"body": "{}"}})
    await bench.send(await bench.one(), "1.0")
    await assert_both_last("r")
    await bench.client.expire("{test}:sent:r", 60)
    await bench.commit_notifications(reply("p", "r"))
    await bench.settle(Gone.for_claim(await bench.one(after=5), Receipt("C1", "1.0"), "thread_not_found"))
    await bench.send(await bench.one(after=5), "3.0")
    await bench.send(await bench.one(after=5), "4.0")
    await assert_both_last("r", "r:2")


async def test_a_root_that_people_deleted_is_posted_once_more(bench: OutboxBench) -> None:
    await bench.commit_and_send("r", ts="1.0")
    await bench.commit_notifications(reply("p", "r"), reply("q", "r"), edit("e", "r"))
    claims = await bench.claim_batch(after=5)
    assert await bench.settle(*(Gone.for_claim(claim, HERE, "thread_not_found") for claim in claims)) == ["pending"] * 3
    [fresh] = await bench.claim_batch(after=5)
    assert (fresh.notification.key, fresh.notification.kind, fresh.notification.body) == (
        "r:2",
        NotificationKind.ROOT,
        {"of": "r"},
    )
    await bench.send(fresh, "9.0")
    again = await bench.claim_batch(after=5)
    assert {item.notification.key for item in again} == {"p", "q", "e"}
    assert {item.place for item in again} == {Receipt("C1", "9.0")}
    known = await bench.outbox.get_record("r")
    assert known is not None
    assert known.replaced_by == "r:2"
    ended = await bench.settle(*(Gone.for_claim(item, Receipt("C1", "9.0"), "message_not_found") for item in again))
    assert ended == ["removed", "pending", "pending"]
    batch = await bench.claim_batch(after=5)
    assert list(batch) == []
    assert {reason for _, _, _, reason in batch.dropped} == {"its root is dropped"}
    assert await bench.outbox.removed_alerts() == {"r:2": "C1"}
    await bench.outbox.mark_removal_notified("r:2")
    assert await bench.outbox.removed_alerts() == {}


EDITED_REPLIES = ("recovered", "act", "again", "flapping", "result", "members")
"""Kinds of thread replies that are edited, as their keys begin."""


@pytest.mark.parametrize(
    ("kind", "edits_reply"), [*((kind, told) for kind in EDITED_REPLIES for told in (True, False)), ("any", True)]
)
async def test_a_reply_that_people_deleted_is_neither_edited_nor_posted_again(
    bench: OutboxBench, kind: str, edits_reply: bool
) -> None:
    """Edits that earlier versions stored do not say that they edit a reply."""
    key = f"{kind}:r"
    await bench.commit_and_send("r", ts="1.0")
    await bench.commit_notifications(reply(key, "r"))
    await bench.send(await bench.one(after=5), "2.0")
    await bench.commit_notifications(edit("e", key, edits_reply=edits_reply))
    claim = await bench.one(after=5)
    assert claim.place == Receipt("C1", "2.0")
    assert await bench.settle(Gone.for_claim(claim, Receipt("C1", "2.0"), "message_not_found")) == ["dropped"]
    await bench.client.delete(f"{{test}}:sent:{key}")  # as when it was long ago
    await bench.commit_notifications(edit("f", key, edits_reply=edits_reply))
    batch = await bench.claim_batch(after=5)
    assert (list(batch), batch.dropped) == ([], [["f", "edit", "C1", "its message is gone"]])


async def test_an_edit_that_an_earlier_version_stored_is_claimed(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r"))
    await bench.client.hdel("{test}:note:e", "edits_reply")
    assert (await bench.one(after=5)).notification == edit("e", "r")


async def test_a_claim_says_whether_a_reply_is_edited(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(reply("p", "r"))
    await bench.send(await bench.one(after=5), "2.0")
    await bench.commit_notifications(edit("e", "p", edits_reply=True))
    assert (await bench.one(after=5)).notification == edit("e", "p", edits_reply=True)


async def test_a_late_word_of_a_deleted_root_does_not_post_it_again(bench: OutboxBench) -> None:
    await bench.commit_and_send("r", ts="1.0")
    await bench.commit_notifications(reply("p", "r"), reply("q", "r"))
    one, two = await bench.claim_batch(after=5)
    await bench.settle(Gone.for_claim(one, HERE, "thread_not_found"))
    await bench.send(await bench.one(after=5), "9.0")
    await bench.settle(Gone.for_claim(two, HERE, "thread_not_found"))
    assert sorted(await bench.claim_keys(after=60)) == ["p", "q"]


async def test_a_deleted_root_whose_body_is_forgotten_is_made_from_what_came_for_it(bench: OutboxBench) -> None:
    await bench.commit_and_send("r", ts="1.0")
    await bench.client.delete("{test}:note:r")
    await bench.commit_notifications(edit("e", "r", body={"now": "recovered"}))
    await bench.settle(Gone.for_claim(await bench.one(after=5), HERE, "message_not_found"))
    fresh = await bench.one(after=5)
    assert (fresh.notification.key, fresh.notification.body) == ("r:2", {"now": "recovered"})


# --- edits


async def test_edits_not_made_yet_are_one_with_the_latest_body(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    assert await bench.commit_notifications(edit("e", "r", body={"n": 1})) == ["e"]
    assert await bench.commit_notifications(edit("e", "r", body={"n": 2}), edit("e", "r", body={"n": 3})) == []
    claim = await bench.one(after=5)
    assert claim.notification.body == {"n": 3}
    await bench.send(claim)
    assert await bench.claim_keys(after=60) == []


async def test_an_edit_that_is_on_its_way_is_made_again_when_its_body_changed(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r", body={"n": 1}))
    first = await bench.one()
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    assert await bench.settle(Sent.for_claim(first, HERE)) == ["pending"]
    assert await bench.claim_keys(after=EDIT_INTERVAL_SECONDS - 0.001) == []
    second = await bench.one(after=0.001)
    assert second.notification.body == {"n": 2}
    await bench.send(second)
    assert await bench.claim_keys(after=60) == []


async def test_a_message_is_edited_at_most_once_in_three_seconds(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r"))
    await bench.send(await bench.one())
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    assert await bench.claim_keys(after=EDIT_INTERVAL_SECONDS - 0.001) == []
    assert await bench.claim_keys(after=0.001) == ["e"]


@pytest.mark.parametrize("end", [NotificationState.DEAD, NotificationState.DROPPED])
async def test_an_edit_that_was_given_up_starts_anew_with_a_new_body(
    bench: OutboxBench, end: NotificationState
) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r"))
    claim = await bench.one()
    await bench.settle(
        Refused.for_claim(claim, "no") if end is NotificationState.DEAD else Dropped.for_claim(claim, "no")
    )
    assert await bench.commit_notifications(edit("e", "r", body={"n": 2})) == []
    assert (await bench.one()).notification.body == {"n": 2}
    assert await bench.outbox.list_records(NotificationState.DEAD) == []


async def test_edits_use_none_of_a_channels_pace(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(*(edit(f"e{n}", "r") for n in range(10)), root("k"), root("l"))
    assert len(await bench.claim_keys(after=60)) == 12


async def test_a_busy_slack_holds_all_edits_and_no_message(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r"))
    await bench.settle(Deferred.for_claim(await bench.one(after=5), 30.0, True, "ratelimited"))
    await bench.commit_notifications(edit("f", "r"), root("k"))
    assert await bench.claim_keys() == ["k"]
    bench.now -= LEASE_SECONDS  # what is not settled here must not come back
    assert sorted(await bench.claim_keys(after=LEASE_SECONDS + 30))[:2] == ["e", "f"]


# --- a channel that refuses, and an installation that does


async def test_a_channel_that_refuses_is_parked_with_all_that_waits_until_it_is_mended(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(root("k"), root("l"), reply("p", "r"), edit("e", "r"), root("elsewhere", "C2"))
    claims = {claim.notification.key: claim for claim in await bench.claim_batch(after=60)}
    assert set(claims) == {"k", "l", "e", "elsewhere"}
    await bench.send(claims.pop("elsewhere"))
    ends = [Refused.for_claim(claims[key], "is_archived", True) for key in ("l", "e", "k")]
    assert await bench.settle(*ends) == ["parked", "pending", "pending"]
    await bench.commit_notifications(root("urgent", critical=True), edit("e2", "r"))
    batch = await bench.claim_batch(after=MAX_ATTEMPT_AGE_SECONDS * 3)
    assert (list(batch), batch.next_due) == ([], None)
    [parked] = await bench.outbox.parked_channels()
    assert (parked.channel, parked.reason, parked.waiting, parked.told) == ("C1", "is_archived", 6, False)
    await bench.outbox.mark_notified("C1")
    assert (await bench.outbox.parked_channels())[0].told
    assert (await bench.outbox.read_stats()).parked == 1
    assert await bench.outbox.unpark_channel("C1") == 6
    assert await bench.outbox.unpark_channel("C1") == 0
    assert await bench.outbox.parked_channels() == []
    paced = [await bench.claim_keys(after=1) for _ in range(4)]
    assert paced == [["urgent", "k", "e", "e2"], ["l"], ["p"], []]


async def test_a_channel_that_is_mended_at_once_keeps_its_pace(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"), root("l"), root("m"))
    claims = await bench.claim_batch()
    await bench.settle(*(Refused.for_claim(claim, "is_archived", True) for claim in claims))
    await bench.outbox.unpark_channel("C1")
    assert await bench.claim_keys() == []
    assert await bench.claim_keys(after=1) == ["k"]


async def test_what_waited_for_a_parked_channel_is_not_too_old_when_it_is_mended(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    await bench.settle(Refused.for_claim(await bench.one(), "is_archived", True))
    bench.now += MAX_ATTEMPT_AGE_SECONDS * 2
    await bench.outbox.unpark_channel("C1")
    assert await bench.settle(Deferred.for_claim(await bench.one(), 1.0, False, "unreachable")) == ["pending"]


async def test_an_edit_that_was_queued_before_its_channel_was_parked_waits_with_it(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(root("k"))
    claim = await bench.one(after=10)
    await bench.commit_notifications(edit("e", "r"))
    await bench.settle(Refused.for_claim(claim, "is_archived", True))
    assert await bench.claim_keys(after=60) == []
    assert (await bench.outbox.parked_channels())[0].waiting == 2
    await bench.outbox.unpark_channel("C1")
    assert await bench.claim_keys() == ["k", "e"]


async def test_a_revoked_token_pauses_everything_for_ever_longer_and_buries_nothing(bench: OutboxBench) -> None:
    await bench.commit_notifications(*(root(f"k{n}", f"C{n}") for n in range(5)))
    claims = await bench.claim_batch()
    states = await bench.settle(*(Halted.for_claim(claim, "token_revoked") for claim in claims))
    assert states == ["paused", "pending", "pending", "pending", "pending"]
    assert (await bench.outbox.read_stats()).paused == "token_revoked"
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        batch = await bench.claim_batch(after=pause - 0.5)
        assert (list(batch), batch.next_due) == ([], bench.now + 0.5)
        probe = await bench.one(after=0.5)
        assert await bench.claim_keys() == []
        assert await bench.settle(Halted.for_claim(probe, "token_revoked")) == ["paused"]
    await bench.send(await bench.one(after=60))
    assert (await bench.outbox.read_stats()).paused == ""
    assert len(await bench.claim_keys()) == 4


async def test_a_pause_outlives_a_probe_whose_worker_died(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"), root("l", "C2"))
    claims = await bench.claim_batch()
    await bench.settle(*(Halted.for_claim(claim, "invalid_auth") for claim in claims))
    await bench.one(after=1)
    assert await bench.claim_keys(after=LEASE_SECONDS - 1) == []
    assert len(await bench.claim_keys(after=1)) == 1


async def test_a_pause_outlives_a_probe_that_did_not_reach_slack(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"), root("l", "C2"))
    claims = await bench.claim_batch()
    await bench.settle(*(Halted.for_claim(claim, "invalid_auth") for claim in claims))
    await bench.settle(Deferred.for_claim(await bench.one(after=1), 0.5, False, "unreachable"))
    assert (await bench.outbox.read_stats()).paused == "invalid_auth"
    assert await bench.claim_keys(after=LEASE_SECONDS - 1) == []


@pytest.mark.parametrize(
    "ended", [lambda claim: Snoozed.for_claim(claim, 60.0), lambda claim: Dropped.for_claim(claim, UNWANTED_REASON)]
)
async def test_a_probe_that_was_not_sent_is_followed_by_another_at_once(
    bench: OutboxBench, ended: Callable[[Claim], AttemptResult]
) -> None:
    await bench.commit_notifications(*(root(f"k{number}") for number in range(2)), root("l", "C2"))
    claims = await bench.claim_batch()
    await bench.settle(*(Halted.for_claim(claim, "invalid_auth") for claim in claims))
    for _ in range(2):
        await bench.settle(ended(await bench.one(after=1)))
        assert (await bench.outbox.read_stats()).paused == "invalid_auth"
    await bench.send(await bench.one())
    assert (await bench.outbox.read_stats()).paused == ""


async def test_a_clock_that_is_set_back_by_a_day_neither_silences_a_channel_nor_prolongs_a_pause(
    bench: OutboxBench,
) -> None:
    await bench.commit_notifications(*(root(f"k{number}") for number in range(4)))
    assert await bench.claim_keys() == ["k0", "k1"]
    bench.now -= 86400
    [claim, _] = await bench.claim_batch()
    await bench.settle(Halted.for_claim(claim, "invalid_auth"))
    bench.now -= 86400
    assert len(await bench.claim_keys()) == 1


@pytest.mark.parametrize("step", [60, 1800, 86400])
async def test_a_channel_does_not_wait_by_a_clock_that_was_set_back(bench: OutboxBench, step: float) -> None:
    await bench.commit_notifications(*(root(f"k{number}") for number in range(4)))
    for claim in await bench.claim_batch():
        await bench.send(claim)
    bench.now -= step
    assert await bench.claim_keys() == ["k2", "k3"]
    await bench.commit_notifications(root("urgent", critical=True))
    assert await bench.claim_keys(after=1) == ["urgent"]


async def test_a_channel_waits_as_long_as_slack_asks_whatever_the_clocks_of_the_workers_say(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    await bench.settle(Deferred.for_claim(await bench.one(), 600.0, True, "ratelimited"))
    assert await bench.claim_keys(after=-3) == []
    assert await bench.claim_keys(after=602.9) == []
    assert await bench.claim_keys(after=0.1) == ["k"]


async def test_a_wait_that_slack_asked_for_ends_when_the_clock_is_set_back(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    await bench.settle(Deferred.for_claim(await bench.one(), 600.0, True, "ratelimited"))
    bench.now -= 1800
    assert await bench.claim_keys(after=2) == ["k"]


async def store_pace_as_earlier_version(bench: OutboxBench, wait: float) -> None:
    """Store that C1 has sent its burst, or that Slack asks it to wait: an earlier version stored both alike."""
    await bench.client.hset("{test}:outbox:pace", "C1", str(round((bench.now + wait + 1) * 1000)))


@pytest.mark.parametrize("wait", [1, 60, 3600])
async def test_the_pace_that_an_earlier_version_stored_is_kept(bench: OutboxBench, wait: float) -> None:
    await store_pace_as_earlier_version(bench, wait)
    await bench.commit_notifications(root("k"))
    assert await bench.claim_keys() == []
    assert await bench.claim_keys(after=wait - 0.1) == []
    assert await bench.claim_keys(after=0.1) == ["k"]


async def test_a_pace_of_an_earlier_version_that_no_wait_explains_is_not_kept(bench: OutboxBench) -> None:
    await store_pace_as_earlier_version(bench, 86400)
    await bench.commit_notifications(root("k"))
    assert await bench.claim_keys() == ["k"]


async def test_a_wait_that_an_earlier_version_stored_ends_when_the_clock_is_set_back(bench: OutboxBench) -> None:
    await store_pace_as_earlier_version(bench, 600)
    await bench.commit_notifications(root("k"))
    assert await bench.claim_keys(after=10) == []
    bench.now -= 1800
    assert await bench.claim_keys() == ["k"]


async def test_a_longer_wait_that_a_worker_of_an_earlier_version_stores_meanwhile_is_kept(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    await bench.settle(Deferred.for_claim(await bench.one(), 30.0, True, "ratelimited"))
    await store_pace_as_earlier_version(bench, 60)
    assert await bench.claim_keys(after=31) == []
    assert await bench.claim_keys(after=28.9) == []
    assert await bench.claim_keys(after=0.1) == ["k"]


async def test_a_wait_that_slack_asks_for_is_also_known_to_workers_of_an_earlier_version(bench: OutboxBench) -> None:
    """They read the pace only, and send once that is a second ahead."""
    await bench.commit_notifications(root("k"))
    await bench.settle(Deferred.for_claim(await bench.one(), 60.0, True, "ratelimited"))
    pace = await bench.client.hget("{test}:outbox:pace", "C1")
    assert pace is not None
    assert float(pace) / 1000 - 1 == bench.now + 60


async def test_a_pause_does_not_last_by_a_clock_that_was_set_back(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    await bench.settle(Halted.for_claim(await bench.one(), "invalid_auth"))
    bench.now -= 1800
    assert await bench.claim_keys(after=1) == ["k"]


@pytest.mark.parametrize("step", [60, 1800, 86400])
async def test_a_lease_does_not_last_by_a_clock_that_was_set_back(bench: OutboxBench, step: float) -> None:
    await bench.commit_notifications(root("k"))
    await bench.one()
    bench.now -= step
    set_back_at = bench.now
    assert await bench.claim_keys() == []
    assert await bench.claim_keys(after=LEASE_SECONDS - 1) == []
    again = await bench.one(after=1)
    assert (again.attempt, again.maybe_since) == (2, set_back_at), "it is looked for by the present clock"


async def test_what_is_to_be_looked_for_later_than_a_lease_is_not_looked_for_earlier(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    await bench.settle(Unknown.for_claim(await bench.one(), "cannot look", 300.0))
    assert await bench.claim_keys(after=1) == []
    assert await bench.claim_keys(after=298) == []
    assert await bench.claim_keys(after=1) == ["k"]


# --- looking at it


async def test_the_depth_counts_and_says_how_old_the_oldest_is(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k0"), root("k1"), root("k2"), root("x", "C2"))
    claims = {claim.notification.key: claim for claim in await bench.claim_batch()}
    await bench.settle(Refused.for_claim(claims["x"], "no"), Sent.for_claim(claims["k0"], HERE))
    bench.now += 12.5
    depth = await bench.outbox.read_stats()
    assert (depth.pending, depth.sending, depth.dead, depth.oldest) == (1, 1, 1, 12.5)
    assert [record.key for record in await bench.outbox.list_records(NotificationState.PENDING)] == ["k2"]
    assert [record.key for record in await bench.outbox.list_records(NotificationState.SENDING)] == ["k1"]
    assert [record.key for record in await bench.outbox.list_records(NotificationState.SENT)] == ["k0"]


async def test_what_waits_for_a_time_of_its_own_is_counted_apart_and_does_not_age(bench: OutboxBench) -> None:
    later = [root(f"z{number}").model_copy(update={"not_before": bench.now + 900}) for number in range(600)]
    await bench.commit_notifications(*later)
    bench.now += 60
    await bench.commit_notifications(root("k"))
    bench.now += 5
    depth = await bench.outbox.read_stats()
    assert (depth.pending, depth.scheduled, depth.oldest) == (601, 600, 5)


async def test_what_waits_for_a_parked_channel_is_not_the_oldest_that_could_be_sent(bench: OutboxBench) -> None:
    await bench.commit_and_send("a")
    await bench.commit_and_send("b", "C2")
    await bench.commit_notifications(root("k"), reply("p", "a"), edit("e", "a"))
    parked = [Refused.for_claim(claim, "is_archived", True) for claim in await bench.claim_batch(after=10)]
    assert await bench.settle(*parked) == ["parked", "pending", "pending"]
    await bench.commit_notifications(edit("e2", "a"))
    assert not await bench.claim_batch(after=600)
    assert (await bench.outbox.read_stats()).oldest == 0
    await bench.commit_notifications(root("other", "C2"))
    bench.now += 5
    stats = await bench.outbox.read_stats()
    assert (stats.pending, stats.parked, stats.oldest) == (5, 1, 5)
    await bench.outbox.unpark_channel("C1")
    assert (await bench.outbox.read_stats()).oldest > 600


async def test_a_reminder_that_was_not_wanted_waits_again_when_it_is_committed_again(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    reminder = reply("p", "r").model_copy(update={"not_before": bench.now + 60})
    for _ in range(2):  # as when an acknowledgement is undone
        await bench.commit_notifications(reminder)
        await bench.settle(Dropped.for_claim(await bench.one(after=60), UNWANTED_REASON))
    await bench.commit_notifications(reminder)
    await bench.settle(Dropped.for_claim(await bench.one(), "dropped by an operator"))
    await bench.commit_notifications(reminder)
    assert await bench.claim_keys(after=60) == []


async def test_a_reply_that_was_dropped_with_its_root_is_sent_if_both_are_committed_again(bench: OutboxBench) -> None:
    under = reply("p", "r"), reply("q", "r")
    await bench.commit_notifications(root("r"), *under)
    await bench.settle(Dropped.for_claim(await bench.one(), UNWANTED_REASON))
    await bench.claim_keys(after=5)
    await bench.commit_notifications(*under)
    assert await bench.claim_keys(after=5) == [], "its root is dropped still"
    await bench.commit_notifications(root("r"), reply("p", "r"))
    await bench.send(await bench.one(after=5))
    assert await bench.claim_keys(after=5) == ["p"]


async def test_a_root_that_is_committed_again_while_being_sent_is_sent_though_dropped(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("r", not_before=NOW + 60))
    first = await bench.one(after=60)
    again = root("r").model_copy(update={"body": {"fails": "again"}, "critical": True})
    assert await bench.commit_notifications(again, edit("e", "r"), reply("p", "r")) == ["e", "p"]
    assert await bench.settle(Dropped.for_claim(first, UNWANTED_REASON)) == ["pending"]
    second = await bench.one(after=1)
    assert (second.notification.key, second.notification.body, second.maybe_since) == ("r", {"fails": "again"}, None)
    await bench.send(second)
    assert sorted(await bench.claim_keys(after=5)) == ["e", "p"]


async def test_a_root_that_is_committed_again_for_later_waits_until_then(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("r", not_before=NOW))
    first = await bench.one()
    await bench.commit_notifications(root("r", not_before=NOW + 3600))
    await bench.settle(Dropped.for_claim(first, UNWANTED_REASON))
    assert await bench.claim_keys(after=3599) == []
    assert (await bench.one(after=1)).notification.not_before == NOW + 3600


async def test_a_reminder_that_is_committed_again_while_being_sent_is_sent(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    reminder = reply("p", "r", not_before=bench.now + 60)
    await bench.commit_notifications(reminder)
    first = await bench.one(after=60)
    await bench.commit_notifications(reminder)  # as when an acknowledgement is undone
    await bench.settle(Dropped.for_claim(first, UNWANTED_REASON))
    await bench.send(await bench.one(after=1), "2.0")


async def test_an_edit_that_is_committed_again_while_being_sent_is_made_though_the_first_was_dropped(
    bench: OutboxBench,
) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r"))
    first = await bench.one()
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    assert await bench.settle(Dropped.for_claim(first, "edit_window_closed")) == ["pending"]
    assert (await bench.one(after=1)).notification.body == {"n": 2}


@pytest.mark.parametrize("found", [False, True])
async def test_what_is_committed_again_while_being_sent_is_one_message(bench: OutboxBench, found: bool) -> None:
    await bench.commit_and_send("r")
    waiting = [root("k"), reply("p", "r")]
    await bench.commit_notifications(*waiting)
    claims = await bench.claim_batch(after=5)
    await bench.commit_notifications(*waiting)  # as when the poller reads a run once more
    if found:
        await bench.settle(*(Unknown.for_claim(claim, "cut", 1.0) for claim in claims))
        claims = await bench.claim_batch(after=5)
    await bench.settle(*((Adopted if found else Sent).for_claim(claim, HERE) for claim in claims))
    assert {claim.notification.key for claim in claims} == {"k", "p"}
    await bench.commit_notifications(*waiting)
    assert await bench.claim_keys(after=60) == []


async def test_what_was_committed_again_before_its_last_attempt_can_be_dropped(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("r"))
    first = await bench.one()
    await bench.commit_notifications(root("r"))
    await bench.settle(Deferred.for_claim(first, 1.0, False, "unreachable"))
    assert await bench.settle(Dropped.for_claim(await bench.one(after=1), UNWANTED_REASON)) == ["dropped"]


async def test_a_due_time_that_changes_during_an_attempt_ends_its_postponement(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k", not_before=NOW))
    first = await bench.one()
    await bench.outbox.commit([], due={"k": NOW})
    assert await bench.settle(Snoozed.for_claim(first, 7200.0)) == ["pending"]
    second = await bench.one()
    await bench.settle(Snoozed.for_claim(second, 7200.0))
    assert await bench.claim_keys(after=7199) == []
    await bench.send(await bench.one(after=1))


async def test_a_due_time_that_changes_during_an_attempt_does_not_prolong_its_postponement(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k", not_before=NOW))
    first = await bench.one()
    await bench.outbox.commit([], due={"k": NOW + 7200})
    await bench.settle(Snoozed.for_claim(first, 1.0))
    assert await bench.claim_keys(after=1) == ["k"]


async def test_a_due_time_that_changes_during_an_attempt_does_not_restore_what_is_not_wanted(
    bench: OutboxBench,
) -> None:
    await bench.commit_notifications(root("k", not_before=NOW))
    first = await bench.one()
    await bench.outbox.commit([], due={"k": NOW})
    assert await bench.settle(Dropped.for_claim(first, UNWANTED_REASON)) == ["dropped"]


async def test_what_waits_for_a_time_of_its_own_does_not_expire_before(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k", not_before=bench.now + 30 * 86400))
    assert await bench.client.ttl("{test}:note:k") == -1


async def test_lists_hold_what_was_asked_for(bench: OutboxBench) -> None:
    await bench.commit_notifications(*(root(f"k{n}", f"C{n}") for n in range(30)))
    await bench.claim_batch(10)
    assert len(await bench.outbox.list_records(NotificationState.PENDING, 5)) == 5
    assert len(await bench.outbox.list_records(NotificationState.PENDING)) == 20
    assert len(await bench.outbox.list_records(NotificationState.SENDING, 3)) == 3


async def test_nothing_is_known_of_a_key_that_never_was(bench: OutboxBench) -> None:
    assert await bench.outbox.get_record("never") is None
    assert not await bench.outbox.retry("never")
    assert not await bench.outbox.drop("never")


async def test_every_key_has_the_hash_tag_of_its_namespace(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(
        reply("p", "r"), edit("e", "r"), root("dead", "C2"), root("parks", "C3"), root("halts", "C4")
    )
    claims = {claim.notification.key: claim for claim in await bench.claim_batch(after=5)}
    await bench.settle(Refused.for_claim(claims["dead"], "no"), Refused.for_claim(claims["parks"], "no", True))
    await bench.settle(Halted.for_claim(claims["halts"], "no"))
    await bench.outbox.commit([], changes={"h": {"a": "1"}})
    assert all(name.startswith("{test}:") for name in await bench.names())


async def test_nothing_is_left_of_what_was_settled_but_what_has_an_end(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(reply("p", "r"), edit("e", "r"), root("k", "C2"))
    await bench.settle(*(Sent.for_claim(claim, HERE) for claim in await bench.claim_batch(after=5)))
    lasting = {name for name in await bench.names() if await bench.client.ttl(name) == -1}
    assert lasting == {f"{{test}}:outbox:{name}" for name in ("pace", "sequence", "recent:sent")}


async def test_each_step_is_one_round_trip(bench: OutboxBench, store_url: str) -> None:
    async with redis.from_url(store_url) as client:
        outbox = Outbox(Keyspace(client, "trips"), MovableClock(lambda: bench.now))
        told: list[str] = []
        send: Callable[..., Any] = client.execute_command

        async def count_and_execute(*args: Any, **options: Any) -> Any:
            told.append(args[0])
            return await send(*args, **options)

        client.execute_command = count_and_execute  # type: ignore[method-assign]  # what goes over the wire is the point here
        await outbox.commit([root(f"k{n}", f"C{n}") for n in range(50)])  # loads the script
        await outbox.settle([Sent.for_claim(claim, HERE) for claim in await outbox.claim(100)])
        told.clear()
        await outbox.commit([root(f"l{n}", f"D{n}") for n in range(50)])
        claims = await outbox.claim(100)
        await outbox.settle([Sent.for_claim(claim, HERE) for claim in claims])
        assert told == ["EVALSHA"] * 3
        await client.flushall()


async def test_a_store_out_of_reach_is_one_kind_of_error(tmp_path: Path) -> None:
    async with redis.from_url(f"unix://{tmp_path}/nobody.sock") as client:
        outbox = Outbox(Keyspace(client, "test"), MovableClock(lambda: NOW))
        calls = (
            outbox.commit([root("k")]),
            outbox.claim(1),
            outbox.read_stats(),
            outbox.parked_channels(),
            outbox.get_record("k"),
        )
        for call in calls:
            with pytest.raises(StoreUnavailable):
                await call


@settings(max_examples=25)
@given(
    st.lists(st.floats(0.01, 3.0), min_size=30, max_size=50), st.lists(st.floats(0.0, 0.98), min_size=30, max_size=30)
)
async def test_slack_never_sees_them_too_fast_though_each_takes_up_to_a_second(
    steps: list[float], delays: list[float]
) -> None:
    async with redis.from_url(shared_valkey()) as client:
        await client.flushall()
        bench, delay, arrivals = OutboxBench(client), iter(delays), []
        await bench.commit_notifications(*(root(f"k{n}") for n in range(len(delays))))
        for step in steps:
            claims = await bench.claim_batch(after=step)
            arrivals += [bench.now + next(delay) for _ in claims]
            await bench.settle(*(Sent.for_claim(claim, HERE) for claim in claims))
    pace = BurstLimit()
    assert arrivals
    assert all(pace.try_spend(at) for at in sorted(arrivals))
