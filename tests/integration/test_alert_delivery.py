"""From a failure at Zof to its channel, once: subscriptions, poller, webhook, outbox and dispatcher together."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, until, wait_for_first_poll
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from zofbot.simulator.organization import INCIDENT_ROOM
from zofbot.store.audit import Audit


@pytest.fixture(params=["http", "socket"])
async def subscribed(request: pytest.FixtureRequest, valkey: str) -> AsyncIterator[RunningBot]:
    async with running_bot(valkey, works=True, socket=request.param == "socket", zofbot_poll_interval=3600) as bot:
        yield bot


@pytest.fixture
async def told(valkey: str) -> AsyncIterator[RunningBot]:
    """A bot that polls every second and hears webhooks."""
    async with running_bot(valkey, works=True, zofbot_poll_interval=1, zof_webhook_secret=SECRET) as bot:
        await wait_for_first_poll(bot)
        yield bot


@pytest.fixture
async def hears(valkey: str) -> AsyncIterator[RunningBot]:
    """A bot that polls too seldom to matter, and hears webhooks."""
    async with running_bot(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET) as bot:
        await wait_for_first_poll(bot)
        yield bot


def keys(bot: RunningBot) -> list[str]:
    return [message.key or "" for message in bot.world.slack.ledger]


async def test_a_channel_subscribes_sees_who_did_and_ends_it(subscribed: RunningBot) -> None:
    assert "This channel is subscribed" in await subscribed.answer("/zof subscribe project:checkout env:staging")
    await until(lambda: len(subscribed.public()) == 1)
    assert "ana subscribed this channel to project:checkout env:staging" in text_of(subscribed.public()[0])
    assert "already: number 1" in await subscribed.answer("/zof subscribe project:checkout env:staging")
    assert "project:checkout env:staging" in await subscribed.answer("/zof subscriptions")
    assert "told of no failures" in await subscribed.answer("/zof subscriptions", channel="C0CHECKOUT")
    assert "There is no subscription 2 here" in await subscribed.answer("/zof unsubscribe 2")
    assert "has ended" in await subscribed.answer("/zof unsubscribe 1")
    assert "told of no failures" in await subscribed.answer("/zof subscriptions")


async def test_a_mistyped_filter_gets_an_example_and_nothing_is_kept(subscribed: RunningBot) -> None:
    assert "Did you mean" in await subscribed.answer("/zof subscribe projetc:checkout")
    assert "told of no failures" in await subscribed.answer("/zof subscriptions")


@pytest.mark.parametrize("event", ["channel_unarchive", "group_unarchive", "member_joined_channel"])
async def test_what_a_channel_refused_comes_as_soon_as_it_is_mended(hears: RunningBot, event: str) -> None:
    left = event == "member_joined_channel"
    channel = hears.world.slack.channels[INCIDENT_ROOM]
    channel.members.add("U0ZOFBOT")
    await hears.type("/zof subscribe project:*", channel=INCIDENT_ROOM)
    await until(lambda: len(hears.public(INCIDENT_ROOM)) == 1)
    if left:
        channel.members.discard("U0ZOFBOT")
    channel.archived = not left
    run = fail_run(hears, 1)
    assert await post_webhook(hears, webhook_event(run["id"], "evt_mended")) == 200

    async def parked() -> bool:
        return (await hears.app.outbox.depth()).parked == 1

    await until(parked)
    assert len(hears.public(INCIDENT_ROOM)) == 1
    channel.archived = False
    channel.members.add("U0ZOFBOT")
    inner = {"type": event, "channel": INCIDENT_ROOM, "user": "U0ZOFBOT", "event_ts": "1795000000.000100"}
    body = {"type": "event_callback", "team_id": "T0ACME", "event_id": "Ev0MENDED", "event": inner}
    assert (await hears.stage.people.deliver("events_api", body)).ok
    await until(lambda: f"run:{run['id']}:failed:{INCIDENT_ROOM}" in keys(hears))


async def test_a_failing_run_is_told_once_with_its_failures_beneath(told: RunningBot) -> None:
    await told.answer("/zof subscribe project:proj_checkout")
    run = fail_run(told, 3)
    await until(lambda: len(told.world.slack.ledger) == 5, 20)
    root = next(message for message in told.public() if message.key == f"run:{run['id']}:failed:C0QA")
    assert "nightly cart" in text_of(root)
    assert "1 passed, 3 failed" in text_of(root)
    replies = [message for message in told.public() if message.thread_ts == root.ts]
    assert sorted(name for reply in replies for name in ("Case 0", "Case 1", "Case 2") if name in text_of(reply)) == [
        "Case 0", "Case 1", "Case 2",
    ]  # fmt: skip
    assert not told.world.slack.doubled()


async def test_what_failed_before_the_first_start_is_noted_and_not_told(told: RunningBot) -> None:
    await told.answer("/zof subscribe on:failed,error,recovered")
    run = fail_run(told, 1)
    await until(lambda: f"run:{run['id']}:failed:C0QA" in keys(told), 20)
    assert [key for key in keys(told) if key.startswith("run:")] == [f"run:{run['id']}:failed:C0QA"]


async def test_nobody_is_told_of_what_nobody_asked_for(told: RunningBot) -> None:
    await told.answer("/zof subscribe env:production")
    other, meant = fail_run(told, 1), fail_run(told, 1, environment="production")
    await until(lambda: f"run:{meant['id']}:failed:C0QA" in keys(told), 20)
    assert not [key for key in keys(told) if other["id"] in key]


@pytest.mark.parametrize("generation", ["current", "older"])
async def test_a_webhook_brings_it_at_once(hears: RunningBot, generation: str) -> None:
    await hears.answer("/zof subscribe on:failed,error,recovered")
    run = fail_run(hears, 1)
    older = {"event": "run.completed", "timestamp": "2026-06-01T08:15:00Z", "data": {"run_id": run["id"]}}
    assert await post_webhook(hears, webhook_event(run["id"], "evt_1") if generation == "current" else older) == 200
    await until(lambda: f"run:{run['id']}:failed:C0QA" in keys(hears), 5)


async def test_two_events_of_one_run_and_the_poller_tell_it_once(told: RunningBot) -> None:
    await told.answer("/zof subscribe on:failed,error,recovered")
    run = fail_run(told, 1)
    for event, kind in (("evt_1", "run.completed"), ("evt_2", "run.failed"), ("evt_2", "run.failed")):
        assert await post_webhook(told, webhook_event(run["id"], event, kind)) == 200
    last = fail_run(told, 1)
    await until(lambda: f"run:{last['id']}:failed:C0QA" in keys(told), 20)
    assert keys(told).count(f"run:{run['id']}:failed:C0QA") == 1
    assert not told.world.slack.doubled()


async def test_an_unsigned_webhook_is_refused(hears: RunningBot) -> None:
    assert await post_webhook(hears, webhook_event("run_1", "evt_1"), secret="another") == 401


async def test_what_failed_and_passes_again_is_told_as_recovered(told: RunningBot) -> None:
    await told.answer("/zof subscribe on:failed,error,recovered")
    run = fail_run(told, 1)
    await until(lambda: f"run:{run['id']}:failed:C0QA" in keys(told), 20)
    fail_run(told, 0, passed=3)
    await until(lambda: any("recovered" in text_of(message).lower() for message in told.public()), 20)
    root = next(message for message in told.public() if message.key == f"run:{run['id']}:failed:C0QA")
    await until(lambda: root.edited, 10)
    assert "recovered" in text_of(root).lower()


async def test_what_slack_does_not_confirm_is_posted_once(told: RunningBot) -> None:
    await told.answer("/zof subscribe on:failed,error,recovered")
    await until(lambda: len(told.world.slack.ledger) == 1)
    told.world.slack.faults.set("store_then_cut", 2, only="chat.postMessage")
    run = fail_run(told, 1)
    await until(lambda: any(run["id"] in key for key in keys(told)), 20)
    last = fail_run(told, 1)
    await until(lambda: f"run:{last['id']}:failed:C0QA" in keys(told), 40)
    assert not told.world.slack.doubled()


async def test_who_subscribed_and_ended_it_stands_in_the_audit(subscribed: RunningBot) -> None:
    await subscribed.answer("/zof subscribe project:checkout after:2/1h")
    await subscribed.answer("/zof unsubscribe 1", user="U0BEN")
    entries = await Audit(subscribed.app.store.client, subscribed.settings.zofbot_namespace).read()
    assert [(one.act, one.user, one.before, one.after) for one in entries] == [
        ("subscribe", "U0ANA", "", "project:checkout after:2/1h"),
        ("unsubscribe", "U0BEN", "project:checkout after:2/1h", ""),
    ]


async def test_a_guest_subscribes_nothing_and_ends_nothing(subscribed: RunningBot) -> None:
    subscribed.world.slack.channels["C0QA"].members.add("U0GUEST")
    await subscribed.answer("/zof subscribe project:checkout")
    for typed in ("/zof subscribe project:search", "/zof unsubscribe 1"):
        assert "guest" in (await subscribed.answer(typed, user="U0GUEST")).lower()
    assert "project:checkout" in await subscribed.answer("/zof subscriptions")
    assert "project:search" not in await subscribed.answer("/zof subscriptions")


async def test_what_a_subscription_has_counted_goes_with_it(told: RunningBot) -> None:
    await told.type("/zof subscribe after:2/1h")
    run = fail_run(told, 1)
    assert await post_webhook(told, webhook_event(run["id"], "evt_counted")) == 200

    async def counted() -> list[bytes]:
        return [key async for key in told.app.store.client.scan_iter("{zofbot}:after:*")]

    async def some() -> bool:
        return bool(await counted())

    await until(some)
    await told.answer("/zof unsubscribe 1")
    assert await counted() == []
