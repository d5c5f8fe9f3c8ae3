"""An edit shows the latest state, whatever became of the attempt during which that was committed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.outbox_bench import HERE, OutboxBench, edit, reply
from zofbot.notifications.idempotency import edit_key
from zofbot.notifications.notification import Claim, NotificationState
from zofbot.slack.shared_channels import DETAILS_KEY_PREFIX
from zofbot.store.attempt_results import AttemptResult, Deferred, Refused, Sent, Unreadable
from zofbot.store.channel_pace import EDIT_INTERVAL_SECONDS
from zofbot.store.outbox import LEASE_SECONDS
from zofbot.store.outbox_scripts import MAX_ATTEMPT_AGE_SECONDS

MakeResult = Callable[[Claim], AttemptResult]


async def claim_edit(bench: OutboxBench) -> Claim:
    await bench.commit_and_send("r")
    await bench.commit_notifications(edit("e", "r", body={"n": 1}))
    return await bench.one(after=5)


async def hold_edits(bench: OutboxBench, seconds: float) -> None:
    """Have Slack ask all edits to wait."""
    await bench.commit_notifications(edit("other", "r"))
    await bench.settle(Deferred.for_claim(await bench.one(), seconds, True, "ratelimited"))


async def test_an_edit_that_is_confirmed_late_is_made_again_if_its_body_changed_meanwhile(bench: OutboxBench) -> None:
    late = await claim_edit(bench)
    await hold_edits(bench, 60)
    assert await bench.claim_keys(after=LEASE_SECONDS) == []
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    assert await bench.settle(Sent.for_claim(late, HERE)) == ["pending"]
    bodies = {claim.notification.key: claim.notification.body for claim in await bench.claim_batch(after=60)}
    assert bodies["e"] == {"n": 2}


async def test_an_edit_that_is_taken_over_with_its_new_body_is_made_once(bench: OutboxBench) -> None:
    await claim_edit(bench)
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    claim = await bench.one(after=LEASE_SECONDS)
    assert claim.notification.body == {"n": 2}
    await bench.send(claim)
    assert await bench.claim_keys(after=EDIT_INTERVAL_SECONDS) == []


@pytest.mark.parametrize(
    "make_result",
    [lambda claim: Refused.for_claim(claim, "no_text"), lambda claim: Unreadable.for_claim(claim, "cannot be read")],
    ids=["refused", "unreadable"],
)
async def test_an_edit_whose_body_changed_while_it_was_refused_is_made_with_the_new_one(
    bench: OutboxBench, make_result: MakeResult
) -> None:
    claim = await claim_edit(bench)
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    assert await bench.settle(make_result(claim)) == ["pending"]
    again = await bench.one(after=EDIT_INTERVAL_SECONDS)
    assert again.notification.body == {"n": 2}
    assert await bench.settle(make_result(again)) == ["dead"]
    assert await bench.state("e") is NotificationState.DEAD


async def test_an_edit_whose_body_changed_when_it_was_given_up_is_made_with_the_new_one(bench: OutboxBench) -> None:
    claim = await claim_edit(bench)
    await bench.settle(Deferred.for_claim(claim, MAX_ATTEMPT_AGE_SECONDS, False, "unreachable"))
    last = await bench.one(after=MAX_ATTEMPT_AGE_SECONDS + 1)
    await bench.commit_notifications(edit("e", "r", body={"n": 2}))
    assert await bench.settle(Deferred.for_claim(last, 5.0, False, "unreachable")) == ["pending"]
    again = await bench.one(after=EDIT_INTERVAL_SECONDS + 5)
    assert again.notification.body == {"n": 2}
    assert await bench.settle(Deferred.for_claim(again, 5.0, False, "unreachable")) == ["pending"]


ALERT = "run:run_1:failed:C1"


async def claim_two_edits(bench: OutboxBench) -> tuple[Claim, Claim]:
    """Claim an edit that adds details, and while it is made one that shows a later state of the same message."""
    await bench.commit_and_send(ALERT)
    await bench.commit_notifications(edit(f"{DETAILS_KEY_PREFIX}{ALERT}", ALERT))
    details = await bench.one(after=5)
    state = {f"failure:{ALERT}": {"body": '{"n": 2}'}}
    await bench.outbox.commit([edit(edit_key(ALERT), ALERT)], changes=state)
    return details, await bench.one()


async def claim_last_edit(bench: OutboxBench) -> Claim:
    last = await bench.one(after=EDIT_INTERVAL_SECONDS)
    await bench.send(last)
    assert await bench.claim_keys(after=60) == []
    return last


async def test_an_older_edit_that_ends_after_a_newer_one_of_the_same_message_is_made_again(bench: OutboxBench) -> None:
    details, newer = await claim_two_edits(bench)
    await bench.send(newer)
    assert await bench.settle(Sent.for_claim(details, HERE)) == ["pending"]
    assert (await claim_last_edit(bench)).failure == {"n": 2}


async def test_a_newer_edit_that_an_older_one_may_overtake_is_made_again(bench: OutboxBench) -> None:
    details, newer = await claim_two_edits(bench)
    await bench.send(details)
    assert await bench.settle(Sent.for_claim(newer, HERE)) == ["pending"]
    assert (await claim_last_edit(bench)).failure == {"n": 2}


async def test_edits_of_a_message_that_follow_each_other_are_made_once(bench: OutboxBench) -> None:
    await bench.commit_and_send(ALERT)
    for key in (f"{DETAILS_KEY_PREFIX}{ALERT}", edit_key(ALERT), f"{DETAILS_KEY_PREFIX}{ALERT}"):
        await bench.commit_notifications(edit(key, ALERT))
        await bench.send(await bench.one(after=5))
    assert await bench.claim_keys(after=60) == []


REPLY = "recovered:run_1:failed:C1"


async def test_details_of_a_reply_do_not_replace_its_newer_text(bench: OutboxBench) -> None:
    """An edit of a reply has only its own text, as old as the edit; a card is drawn from the present state."""
    await bench.commit_and_send(ALERT)
    await bench.commit_notifications(reply(REPLY, ALERT))
    await bench.send(await bench.one(after=5), "2.0")
    older = edit(f"{DETAILS_KEY_PREFIX}{REPLY}", REPLY, body={"n": 1}, edits_reply=True)
    await bench.commit_notifications(older)
    details = await bench.one(after=5)
    await bench.commit_notifications(edit(edit_key(REPLY), REPLY, body={"n": 2}, edits_reply=True))
    newer = await bench.one()
    await bench.send(newer, "2.0")
    await bench.send(details, "2.0")
    assert await bench.claim_keys(after=60) == []
