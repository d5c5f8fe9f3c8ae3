"""From a failure at Zof to its channel, once: subscriptions, poller, webhook, outbox and dispatcher together."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.failing_runs import SECRET, alerting_bot, fail_run, post_webhook, webhook_event
from zofbot.config.manifest import SCOPES_BY_EVENT
from zofbot.simulator.seed import ANA, INCIDENT_ROOM, QA_ALERTS
from zofbot.simulator.slack import channel_changes
from zofbot.simulator.slack.model import BOT_USER_ID
from zofbot.store.audit import AuditLog


@pytest.fixture
async def working_bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with running_bot(store_url, workers=True, history=False, zofbot_poll_interval=3600) as bot:
        yield bot


@pytest.fixture
async def polling_bot(store_url: str) -> AsyncIterator[RunningBot]:
    """A bot that polls every second and hears webhooks."""
    async with running_bot(store_url, workers=True, zofbot_poll_interval=1, zof_webhook_secret=SECRET) as bot:
        await wait_for_first_poll(bot)
        yield bot


@pytest.fixture
async def webhook_bot(store_url: str) -> AsyncIterator[RunningBot]:
    """A bot that polls too seldom to matter, and hears webhooks."""
    async with alerting_bot(store_url) as bot:
        yield bot


def delivered_keys(bot: RunningBot) -> list[str]:
    return [message.idempotency_key or "" for message in bot.world.slack.ledger]


async def test_a_channel_subscribes_sees_who_did_and_ends_it(working_bot: RunningBot) -> None:
    assert "Subscribed: matching failures will be posted here" in await working_bot.answer_text(
        "/zof subscribe project:checkout env:staging"
    )
    await wait_until(lambda: len(working_bot.public_messages()) == 1)
    assert "ana subscribed this channel to project:checkout env:staging" in text_of(working_bot.public_messages()[0])
    assert "that subscription: number 1" in await working_bot.answer_text("/zof subscribe project:checkout env:staging")
    assert "project:checkout env:staging" in await working_bot.answer_text("/zof subscriptions")
    assert "No subscriptions in this channel yet" in await working_bot.answer_text(
        "/zof subscriptions", channel="C0CHECKOUT"
    )
    assert "No subscription 2 in this channel" in await working_bot.answer_text("/zof unsubscribe 2")
    assert "Subscription removed" in await working_bot.answer_text("/zof unsubscribe 1")
    assert "No subscriptions in this channel yet" in await working_bot.answer_text("/zof subscriptions")


async def test_a_mistyped_filter_gets_an_example_and_nothing_is_kept(working_bot: RunningBot) -> None:
    assert "Did you mean" in await working_bot.answer_text("/zof subscribe projetc:checkout")
    assert "No subscriptions in this channel yet" in await working_bot.answer_text("/zof subscriptions")


@pytest.mark.parametrize("event", ["channel_unarchive", "group_unarchive", "member_joined_channel"])
async def test_what_a_channel_refused_comes_as_soon_as_it_is_mended(webhook_bot: RunningBot, event: str) -> None:
    left = event == "member_joined_channel"
    channel = webhook_bot.world.slack.channels[INCIDENT_ROOM]
    channel.members.add("U0ZOFBOT")
    await webhook_bot.type_text("/zof subscribe project:*", channel=INCIDENT_ROOM)
    await wait_until(lambda: len(webhook_bot.public_messages(INCIDENT_ROOM)) == 1)
    if left:
        channel.members.discard("U0ZOFBOT")
    channel.archived = not left
    run = fail_run(webhook_bot, 1)
    assert await post_webhook(webhook_bot, webhook_event(run["id"], "evt_mended")) == 200

    async def is_parked() -> bool:
        return (await webhook_bot.app.outbox.read_stats()).parked == 1

    await wait_until(is_parked)
    assert len(webhook_bot.public_messages(INCIDENT_ROOM)) == 1
    channel.archived = False
    channel.members.add("U0ZOFBOT")
    inner = {"type": event, "channel": INCIDENT_ROOM, "user": "U0ZOFBOT", "event_ts": "1795000000.000100"}
    body = {"type": "event_callback", "team_id": "T0ACME", "event_id": "Ev0MENDED", "event": inner}
    assert (await webhook_bot.simulator.people.deliver_payload("events_api", body)).is_accepted
    await wait_until(lambda: f"run:{run['id']}:failed:{INCIDENT_ROOM}" in delivered_keys(webhook_bot))


@pytest.mark.parametrize("access", ["chat:write.public", "channels:join", "private"])
async def test_what_an_archived_channel_missed_comes_once_it_is_open_again(
    webhook_bot: RunningBot, access: str
) -> None:
    """The bot may post in a public channel that it has not joined, or joins it; into a private one it is invited."""
    slack, people = webhook_bot.world.slack, webhook_bot.simulator.people
    slack.events = set(SCOPES_BY_EVENT)
    slack.scopes -= {"chat:write.public"} - {access}
    room = slack.channels[INCIDENT_ROOM if access == "private" else QA_ALERTS]
    room.members.add(BOT_USER_ID)
    await webhook_bot.type_text("/zof subscribe project:*", channel=room.id)
    await wait_until(lambda: len(webhook_bot.public_messages(room.id)) == 1)
    assert (await people.archive_channel(ANA, room.id, archived=True)).is_accepted
    run = fail_run(webhook_bot, 1)
    assert await post_webhook(webhook_bot, webhook_event(run["id"], "evt_archived")) == 200
    await wait_until(lambda: any("archived" in text_of(note) for note in webhook_bot.public_messages("D0ANA")))
    assert f"run:{run['id']}:failed:{room.id}" not in delivered_keys(webhook_bot)
    assert (await people.archive_channel(ANA, room.id, archived=False)).is_accepted
    if access == "private":
        assert (await webhook_bot.app.outbox.read_stats()).parked == 1
        await channel_changes.add_member(people, BOT_USER_ID, room.id)
    await wait_until(lambda: f"run:{run['id']}:failed:{room.id}" in delivered_keys(webhook_bot))
    assert (BOT_USER_ID in room.members) is (access != "chat:write.public")
    assert slack.duplicate_keys() == []


async def test_a_failing_run_is_told_once_with_its_failures_beneath(polling_bot: RunningBot) -> None:
    await polling_bot.answer_text("/zof subscribe project:proj_checkout")
    run = fail_run(polling_bot, 3)
    await wait_until(lambda: len(polling_bot.world.slack.ledger) == 3, 20)
    root = next(
        message
        for message in polling_bot.public_messages()
        if message.idempotency_key == f"run:{run['id']}:failed:C0QA"
    )
    assert "nightly cart" in text_of(root)
    assert "3 failed · 1 passed of 4 · 1 cause" in text_of(root)
    [reply] = [message for message in polling_bot.public_messages() if message.thread_ts == root.ts]
    for words in ("3 cases with the same cause", "boom", "• Case 0", "• Case 1", "• Case 2"):
        assert words in text_of(reply)
    assert not polling_bot.world.slack.duplicate_keys()


async def test_what_failed_before_the_first_start_is_noted_and_not_told(polling_bot: RunningBot) -> None:
    await polling_bot.answer_text("/zof subscribe on:failed,error,recovered")
    run = fail_run(polling_bot, 1)
    await wait_until(lambda: f"run:{run['id']}:failed:C0QA" in delivered_keys(polling_bot), 20)
    assert [key for key in delivered_keys(polling_bot) if key.startswith("run:")] == [f"run:{run['id']}:failed:C0QA"]


async def test_nobody_is_told_of_what_nobody_asked_for(polling_bot: RunningBot) -> None:
    await polling_bot.answer_text("/zof subscribe env:production")
    other, meant = fail_run(polling_bot, 1), fail_run(polling_bot, 1, environment="production")
    await wait_until(lambda: f"run:{meant['id']}:failed:C0QA" in delivered_keys(polling_bot), 20)
    assert not [key for key in delivered_keys(polling_bot) if other["id"] in key]


@pytest.mark.parametrize("generation", ["current", "older"])
async def test_a_webhook_brings_it_at_once(webhook_bot: RunningBot, generation: str) -> None:
    await webhook_bot.answer_text("/zof subscribe on:failed,error,recovered")
    run = fail_run(webhook_bot, 1)
    older = {"event": "run.completed", "timestamp": "2026-06-01T08:15:00Z", "data": {"run_id": run["id"]}}
    assert (
        await post_webhook(webhook_bot, webhook_event(run["id"], "evt_1") if generation == "current" else older) == 200
    )
    await wait_until(lambda: f"run:{run['id']}:failed:C0QA" in delivered_keys(webhook_bot), 5)


async def test_two_events_of_one_run_and_the_poller_tell_it_once(polling_bot: RunningBot) -> None:
    await polling_bot.answer_text("/zof subscribe on:failed,error,recovered")
    run = fail_run(polling_bot, 1)
    for event, kind in (("evt_1", "run.completed"), ("evt_2", "run.failed"), ("evt_2", "run.failed")):
        assert await post_webhook(polling_bot, webhook_event(run["id"], event, kind)) == 200
    last = fail_run(polling_bot, 1)
    await wait_until(lambda: f"run:{last['id']}:failed:C0QA" in delivered_keys(polling_bot), 20)
    assert delivered_keys(polling_bot).count(f"run:{run['id']}:failed:C0QA") == 1
    assert not polling_bot.world.slack.duplicate_keys()


async def test_an_unsigned_webhook_is_refused(webhook_bot: RunningBot) -> None:
    assert await post_webhook(webhook_bot, webhook_event("run_1", "evt_1"), secret="another") == 401


async def test_what_failed_and_passes_again_is_told_as_recovered(polling_bot: RunningBot) -> None:
    await polling_bot.answer_text("/zof subscribe on:failed,error,recovered")
    run = fail_run(polling_bot, 1)
    await wait_until(lambda: f"run:{run['id']}:failed:C0QA" in delivered_keys(polling_bot), 20)
    fail_run(polling_bot, 0, passed=3)
    await wait_until(
        lambda: any("recovered" in text_of(message).lower() for message in polling_bot.public_messages()), 20
    )
    root = next(
        message
        for message in polling_bot.public_messages()
        if message.idempotency_key == f"run:{run['id']}:failed:C0QA"
    )
    await wait_until(lambda: root.edited, 10)
    assert "recovered" in text_of(root).lower()


async def test_what_slack_does_not_confirm_is_posted_once(polling_bot: RunningBot) -> None:
    await polling_bot.answer_text("/zof subscribe on:failed,error,recovered")
    await wait_until(lambda: len(polling_bot.world.slack.ledger) == 1)
    polling_bot.world.slack.faults.set_fault("store_then_cut", 2, only="chat.postMessage")
    run = fail_run(polling_bot, 1)
    await wait_until(lambda: any(run["id"] in key for key in delivered_keys(polling_bot)), 20)
    last = fail_run(polling_bot, 1)
    await wait_until(lambda: f"run:{last['id']}:failed:C0QA" in delivered_keys(polling_bot), 40)
    assert not polling_bot.world.slack.duplicate_keys()


async def test_who_subscribed_and_ended_it_stands_in_the_audit(working_bot: RunningBot) -> None:
    await working_bot.answer_text("/zof subscribe project:checkout after:2/1h")
    await working_bot.answer_text("/zof unsubscribe 1", user="U0BEN")
    entries = await AuditLog(working_bot.app.store.keyspace).read_records()
    assert [(entry.act, entry.user, entry.before, entry.after) for entry in entries] == [
        ("subscribe", "U0ANA", "", "project:checkout after:2/1h"),
        ("unsubscribe", "U0BEN", "project:checkout after:2/1h", ""),
    ]


async def test_a_guest_subscribes_nothing_and_ends_nothing(working_bot: RunningBot) -> None:
    working_bot.world.slack.channels["C0QA"].members.add("U0GUEST")
    await working_bot.answer_text("/zof subscribe project:checkout")
    for typed in ("/zof subscribe project:search", "/zof unsubscribe 1"):
        assert "guest" in (await working_bot.answer_text(typed, user="U0GUEST")).lower()
    assert "project:checkout" in await working_bot.answer_text("/zof subscriptions")
    assert "project:search" not in await working_bot.answer_text("/zof subscriptions")


async def test_what_a_subscription_has_counted_goes_with_it(polling_bot: RunningBot) -> None:
    await polling_bot.type_text("/zof subscribe after:2/1h")
    run = fail_run(polling_bot, 1)
    assert await post_webhook(polling_bot, webhook_event(run["id"], "evt_counted")) == 200

    async def counted_fields() -> list[bytes]:
        return [key async for key in polling_bot.app.store.client.scan_iter("{zofbot}:after:*")]

    async def has_counted() -> bool:
        return bool(await counted_fields())

    await wait_until(has_counted)
    await polling_bot.answer_text("/zof unsubscribe 1")
    assert await counted_fields() == []
