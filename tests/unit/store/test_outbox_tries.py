"""Failed tries of a notification, from which the backoff follows; a snooze is none."""

from __future__ import annotations

import pytest

from tests.support.outbox_bench import HERE, OutboxBench, edit, root
from zofbot.store.attempt_results import AttemptResult, Deferred, Halted, Refused, Sent, Snoozed, Unknown
from zofbot.store.outbox import LEASE_SECONDS


async def test_a_snooze_is_an_attempt_but_no_try(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    for _ in range(7):
        await bench.settle(Snoozed.for_claim(await bench.one(after=1), 1.0))
    claim = await bench.one(after=1)
    assert (claim.attempt, claim.tries) == (8, 0)


async def test_each_failed_call_is_a_try(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    for tries in range(9):
        claim = await bench.one(after=5)
        assert claim.tries == tries
        ends: list[AttemptResult] = [
            Deferred.for_claim(claim, 1.0, False, "unreachable"),
            Deferred.for_claim(claim, 1.0, True, "ratelimited"),
            Unknown.for_claim(claim, "cut", 1.0),
        ]
        await bench.settle(ends[tries % 3])


async def test_an_attempt_whose_worker_dies_is_a_try_and_one_of_unknown_outcome_is_one_only(bench: OutboxBench) -> None:
    await bench.commit_notifications(root("k"))
    await bench.one()
    claim = await bench.one(after=LEASE_SECONDS)
    assert (claim.attempt, claim.tries) == (2, 1)
    await bench.settle(Unknown.for_claim(claim, "cut", 1.0))
    assert (await bench.one(after=1)).tries == 2


async def fail_three_times(bench: OutboxBench, key: str) -> None:
    for _ in range(3):
        claim = await bench.one(after=LEASE_SECONDS)  # longer than a pause
        assert claim.notification.key == key
        await bench.settle(Deferred.for_claim(claim, 1.0, False, "unreachable"))


async def test_tries_count_anew_once_a_channel_or_an_installation_is_repaired_or_an_operator_retries(
    bench: OutboxBench,
) -> None:
    await bench.commit_notifications(root("k"))
    await fail_three_times(bench, "k")
    await bench.settle(Refused.for_claim(await bench.one(after=5), "is_archived", True))
    await bench.outbox.unpark_channel("C1")
    await fail_three_times(bench, "k")
    await bench.settle(Halted.for_claim(await bench.one(after=5), "invalid_auth"))
    await fail_three_times(bench, "k")
    await bench.settle(Refused.for_claim(await bench.one(after=LEASE_SECONDS), "no"))
    await bench.outbox.retry("k")
    assert (await bench.one(after=5)).tries == 0


async def test_an_edit_that_is_made_again_counts_its_tries_anew(bench: OutboxBench) -> None:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r"))
    await fail_three_times(bench, "e")
    claim = await bench.one(after=5)
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    await bench.settle(Sent.for_claim(claim, HERE))
    assert (await bench.one(after=5)).tries == 0


@pytest.mark.parametrize("stored", [None, "many"])
async def test_a_record_without_a_number_of_tries_has_none(bench: OutboxBench, stored: str | None) -> None:
    await bench.commit_notifications(root("k"))
    await fail_three_times(bench, "k")
    if stored:
        await bench.client.hset("{test}:note:k", "tries", stored)
    else:
        await bench.client.hdel("{test}:note:k", "tries")
    await fail_three_times(bench, "k")
    assert (await bench.one(after=5)).tries == 3


async def hold_alert_for_summary(bench: OutboxBench) -> None:
    """Commit an alert and the summary that lists it, and let the time of both come."""
    due = bench.now + 60
    notes = [root(key, critical=True, not_before=due) for key in ("a", "catchup")]
    await bench.outbox.commit(notes, changes={"catchup:C1": {"a": '{"key":"catchup","at":1.5}'}})
    bench.now = due


async def test_held_alerts_wait_for_a_summary_that_was_only_snoozed(bench: OutboxBench) -> None:
    await hold_alert_for_summary(bench)
    for _ in range(7):
        summary = await bench.one(after=1)
        await bench.settle(Snoozed.for_claim(summary, LEASE_SECONDS))
        bench.now += LEASE_SECONDS
    assert await bench.claim_keys(after=1) == ["catchup"]


async def test_held_alerts_no_longer_wait_for_a_summary_in_each_attempt_at_which_a_worker_dies(
    bench: OutboxBench,
) -> None:
    await hold_alert_for_summary(bench)
    for _ in range(5):
        assert await bench.claim_keys(after=LEASE_SECONDS + 1) == ["catchup"]
    assert sorted(await bench.claim_keys(after=LEASE_SECONDS + 1)) == ["a", "catchup"]
