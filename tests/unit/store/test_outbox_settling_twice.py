"""A result that is stored twice, because Redis' reply was lost, counts once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.outbox_bench import HERE, NOW, OutboxBench, edit, reply, root, store_contents
from zofbot.delivery.failed_calls import UNWANTED_REASON
from zofbot.notifications.notification import Claim, Notification, NotificationState, Receipt
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
    Unreadable,
)
from zofbot.store.channel_pace import EDIT_INTERVAL_SECONDS

MakeResult = Callable[[Claim], AttemptResult]

RESULTS: dict[str, MakeResult] = {
    "sent": lambda claim: Sent.for_claim(claim, HERE),
    "adopted": lambda claim: Adopted.for_claim(claim, HERE),
    "deferred": lambda claim: Deferred.for_claim(claim, 5.0, False, "x"),
    "held": lambda claim: Deferred.for_claim(claim, 5.0, True, "x"),
    "unknown": lambda claim: Unknown.for_claim(claim, "x", 5.0),
    "refused": lambda claim: Refused.for_claim(claim, "x"),
    "parked": lambda claim: Refused.for_claim(claim, "x", True),
    "unreadable": lambda claim: Unreadable.for_claim(claim, "x"),
    "halted": lambda claim: Halted.for_claim(claim, "x"),
    "gone": lambda claim: Gone.for_claim(claim, HERE, "message_not_found"),
    "dropped": lambda claim: Dropped.for_claim(claim, UNWANTED_REASON),
    "snoozed": lambda claim: Snoozed.for_claim(claim, 5.0),
    "snoozed for long": lambda claim: Snoozed.for_claim(claim, 7200.0),
}
each_result = pytest.mark.parametrize("make_result", RESULTS.values(), ids=RESULTS.keys())


async def settle_twice(bench: OutboxBench, result: AttemptResult) -> None:
    """Settle, and a second later again; both must say the same, and the second change nothing."""
    states = await bench.settle(result)
    once = await store_contents(bench)
    bench.now += 1
    assert await bench.settle(result) == states
    assert await store_contents(bench) == once
    bench.now -= 1


@each_result
async def test_settling_twice_is_settling_once(bench: OutboxBench, make_result: MakeResult) -> None:
    await bench.commit_notifications(root("k"), root("other", "C2"))
    claim = next(claim for claim in await bench.claim_batch() if claim.notification.key == "k")
    await settle_twice(bench, make_result(claim))


async def claim_child(bench: OutboxBench, child: Notification) -> Claim:
    await bench.commit_and_send("r")
    await bench.commit_notifications(child)
    return await bench.one(after=5)


@each_result
@pytest.mark.parametrize("child", [reply("c", "r"), edit("c", "r")], ids=["reply", "edit"])
async def test_settling_a_reply_or_an_edit_twice_is_settling_it_once(
    bench: OutboxBench, make_result: MakeResult, child: Notification
) -> None:
    await settle_twice(bench, make_result(await claim_child(bench, child)))


@each_result
@pytest.mark.parametrize("child", [reply("c", "r"), edit("c", "r")], ids=["reply", "edit"])
async def test_what_is_committed_during_an_attempt_that_is_settled_twice_is_kept(
    bench: OutboxBench, make_result: MakeResult, child: Notification
) -> None:
    claim = await claim_child(bench, child)
    await bench.commit_notifications(child.model_copy(update={"body": {"n": 2}}))
    await settle_twice(bench, make_result(claim))


@each_result
async def test_a_root_committed_again_during_an_attempt_that_is_settled_twice_is_kept(
    bench: OutboxBench, make_result: MakeResult
) -> None:
    await bench.commit_notifications(root("k"))
    claim = await bench.one()
    await bench.outbox.commit([root("k").model_copy(update={"body": {"n": 2}})], due={"k": NOW + 1})
    await settle_twice(bench, make_result(claim))


async def test_an_edit_whose_body_changed_while_it_was_made_is_made_again_though_settled_twice(
    bench: OutboxBench,
) -> None:
    claim = await claim_child(bench, edit("e", "r", body={"n": 1}))
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    await settle_twice(bench, Sent.for_claim(claim, HERE))
    assert (await bench.one(after=EDIT_INTERVAL_SECONDS)).notification.body == {"n": 2}


async def test_a_root_that_failed_again_while_its_alert_was_dropped_is_sent_though_settled_twice(
    bench: OutboxBench,
) -> None:
    await bench.commit_notifications(root("r", not_before=NOW))
    claim = await bench.one()
    await bench.commit_notifications(root("r").model_copy(update={"body": {"fails": "again"}}))
    await settle_twice(bench, Dropped.for_claim(claim, UNWANTED_REASON))
    assert (await bench.one(after=1)).notification.body == {"fails": "again"}


async def test_a_due_time_that_changed_during_an_attempt_counts_though_settled_twice(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k", not_before=NOW))
    claim = await bench.one()
    await bench.outbox.commit([], due={"k": NOW})
    await settle_twice(bench, Snoozed.for_claim(claim, 7200.0))
    assert await bench.claim_keys() == ["k"]


@pytest.mark.parametrize("end", ["sent", "refused", "dropped"])
async def test_an_edit_that_starts_anew_is_not_settled_by_the_result_of_the_one_before(
    bench: OutboxBench, end: str
) -> None:
    result = RESULTS[end](await claim_child(bench, edit("e", "r", body={"n": 1})))
    states = await bench.settle(result)
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    assert await bench.settle(result) == states
    second = await bench.one(after=EDIT_INTERVAL_SECONDS)
    assert await bench.settle(result) == states
    assert await bench.state("e") is NotificationState.SENDING
    assert second.notification.body == {"n": 2}


async def test_a_reminder_that_is_restored_is_not_settled_by_the_result_of_the_one_before(bench: OutboxBench) -> None:
    reminder = reply("p", "r")
    result = Dropped.for_claim(await claim_child(bench, reminder), UNWANTED_REASON)
    await bench.settle(result)
    await bench.commit_notifications(reminder)
    await bench.one(after=5)
    assert await bench.settle(result) == ["dropped"]
    assert await bench.state("p") is NotificationState.SENDING


async def test_what_an_operator_retries_is_not_settled_again_by_the_result_of_before(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    result = Refused.for_claim(await bench.one(), "no")
    assert await bench.settle(result) == ["dead"]
    assert await bench.outbox.retry("k")
    assert await bench.settle(result) == ["dead"]
    assert await bench.claim_keys(after=5) == ["k"]


@pytest.mark.parametrize("child", [reply("c", "r"), edit("c", "r")], ids=["reply", "edit"])
async def test_the_result_of_an_attempt_that_another_worker_took_over_is_lost(
    bench: OutboxBench, child: Notification
) -> None:
    slow = await claim_child(bench, child)
    await bench.send(await bench.one(after=60), "2.0")
    assert await bench.settle(Sent.for_claim(slow, Receipt("C1", "1.5"))) == ["lost"]


async def test_the_first_attempt_at_a_second_repost_is_not_settled_by_that_at_the_first(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(reply("p1", "r"))
    await bench.settle(Gone.for_claim(await bench.one(after=5), HERE, "message_not_found"))
    await bench.send(await bench.one(after=5), "2.0")
    gone = Gone.for_claim(await bench.one(after=5), Receipt("C1", "2.0"), "message_not_found")
    assert await bench.settle(gone) == ["removed"]
    await bench.client.delete("{test}:sent:r", "{test}:note:r")  # they expire before the record of the repost
    await bench.commit_notifications(reply("p2", "r"))
    again = await bench.one(after=5)
    assert (again.notification.key, again.attempt) == ("r:2", 1)
    await bench.send(again, "3.0")
    assert await bench.claim_keys(after=5) == ["p2"]
