"""Waits end by the present clock, though they began by a clock that was set back since."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.outbox_bench import HERE, OutboxBench, edit, reply, root
from zofbot.domain.durations import MAX_CLOCK_SKEW_SECONDS
from zofbot.notifications.notification import Claim, NotificationState
from zofbot.store.attempt_results import AttemptResult, Deferred, Sent, Snoozed, Unknown
from zofbot.store.channel_pace import EDIT_INTERVAL_SECONDS

each_step = pytest.mark.parametrize("step", [60, 1800, 86400])


@each_step
async def test_what_is_deferred_does_not_wait_by_a_clock_that_was_set_back(bench: OutboxBench, step: float) -> None:
    await bench.commit_notifications(root("k"))
    await bench.settle(Deferred.for_claim(await bench.one(), 5.0, False, "unreachable"))
    bench.now -= step
    assert await bench.claim_keys(after=5) == ["k"]


@each_step
async def test_a_reply_does_not_wait_for_its_root_by_a_clock_that_was_set_back(bench: OutboxBench, step: float) -> None:
    await bench.commit_notifications(root("r"), reply("p", "r"))
    claim = await bench.one()
    bench.now -= step
    await bench.send(claim)
    assert await bench.claim_keys(after=5) == ["p"]


@each_step
async def test_an_edit_does_not_wait_by_a_clock_that_was_set_back(bench: OutboxBench, step: float) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r"))
    await bench.send(await bench.one())
    bench.now -= step
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    assert (await bench.one()).notification.body == {"n": 2}


@each_step
async def test_an_edit_made_twice_does_not_wait_by_a_clock_that_was_set_back(bench: OutboxBench, step: float) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r"))
    first = await bench.one()
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    assert await bench.settle(Sent.for_claim(first, HERE)) == ["pending"]
    bench.now -= step
    assert (await bench.one(after=EDIT_INTERVAL_SECONDS)).notification.body == {"n": 2}


@each_step
async def test_what_is_scheduled_keeps_its_time_when_the_clock_is_set_back(bench: OutboxBench, step: float) -> None:
    due = bench.now + 600
    await bench.commit_notifications(root("k"), root("timer", "C2", not_before=due))
    await bench.send(await bench.one())
    bench.now -= step
    assert await bench.claim_keys() == []
    bench.now = due - 1
    assert await bench.claim_keys() == []
    assert await bench.claim_keys(after=1) == ["timer"]


async def test_what_was_tried_before_its_time_waits_until_then_when_the_clock_is_set_back(bench: OutboxBench) -> None:
    due = bench.now - 60
    await bench.commit_notifications(root("k", not_before=due))
    await bench.settle(Deferred.for_claim(await bench.one(), 3600.0, False, "unreachable"))
    bench.now = due - 600
    assert await bench.claim_keys() == []
    bench.now = due - 1
    assert await bench.claim_keys() == []
    assert await bench.claim_keys(after=1) == ["k"]


async def test_clocks_of_workers_that_differ_by_seconds_end_no_wait(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    await bench.settle(Snoozed.for_claim(await bench.one(), 600.0))
    assert await bench.claim_keys(after=-5) == []
    assert await bench.claim_keys(after=604) == []
    assert await bench.claim_keys(after=1) == ["k"]


@pytest.mark.parametrize("whole_channel", [False, True], ids=["one message", "whole channel"])
async def test_workers_whose_clocks_differ_as_far_as_is_accepted_end_no_wait(
    bench: OutboxBench, whole_channel: bool
) -> None:
    await bench.commit_notifications(root("k"))
    await bench.settle(Deferred.for_claim(await bench.one(), 300.0, whole_channel, "ratelimited"))
    for _ in range(60):
        assert await bench.claim_keys(after=-MAX_CLOCK_SKEW_SECONDS) == []
        assert await bench.claim_keys(after=MAX_CLOCK_SKEW_SECONDS + 0.5) == []


async def test_a_record_whose_time_cannot_be_read_does_not_fail_the_claims_after_the_clock_is_set_back(
    bench: OutboxBench,
) -> None:
    await bench.commit_notifications(root("k"), root("b", "C2"))
    for claim in await bench.claim_batch():
        await bench.settle(Deferred.for_claim(claim, 5.0, False, "unreachable"))
    await bench.client.hset("{test}:note:b", "not_before", "later")
    bench.now -= 1800
    batch = await bench.claim_batch()
    assert ([claim.notification.key for claim in batch], [item.key for item in batch.unreadable]) == (["k"], ["b"])


@pytest.mark.parametrize("field", [":clock", "C1", "C1:block"])
async def test_a_stored_time_that_is_no_number_fails_no_claim(bench: OutboxBench, field: str) -> None:
    await bench.commit_notifications(root("k"), root("other", "C2"))
    await bench.client.hset("{test}:outbox:pace", field, "damaged")
    assert await bench.claim_keys() == ["k", "other"]


async def test_a_pause_whose_end_is_no_number_fails_no_claim(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    await bench.client.hset("{test}:outbox:pause", "until", "damaged")
    assert await bench.claim_keys() == ["k"]


@pytest.mark.parametrize("field", ["started", "since"])
async def test_a_lease_that_began_at_no_number_fails_no_claim(bench: OutboxBench, field: str) -> None:
    await bench.commit_notifications(root("k"))
    await bench.one()
    await bench.client.hset("{test}:note:k", field, "damaged")
    bench.now -= 1800
    await bench.commit_notifications(root("other", "C2"))
    assert await bench.claim_keys() == ["other"]


@pytest.mark.parametrize("field", ["first", "due", "started", "since"])
@pytest.mark.parametrize(
    "make_result",
    [
        lambda claim: Deferred.for_claim(claim, 5.0, False, "unreachable"),
        lambda claim: Unknown.for_claim(claim, "TimeoutError", 5.0),
        lambda claim: Snoozed.for_claim(claim, 5.0),
    ],
    ids=["deferred", "unknown", "snoozed"],
)
async def test_a_record_whose_time_is_no_number_holds_up_no_other_result(
    bench: OutboxBench, make_result: Callable[[Claim], AttemptResult], field: str
) -> None:
    await bench.commit_notifications(root("b"), root("k", "C2"))
    damaged, sound = await bench.claim_batch()
    await bench.client.hset("{test}:note:b", field, "damaged")
    await bench.settle(make_result(damaged), Sent.for_claim(sound, HERE))
    assert await bench.state("k") is NotificationState.SENT
    batch = await bench.claim_batch(after=60)
    assert [claim.notification.key for claim in batch] + [item.key for item in batch.unreadable] == ["b"]
