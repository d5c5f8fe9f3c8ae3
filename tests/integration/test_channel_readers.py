"""Who reads a channel is asked right before a message is drawn: doubt has a way back, and a change counts at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.subscriptions import store_subscription
from tests.support.triage import button_of, press_button
from zofbot.config.manifest import SCOPES_BY_EVENT
from zofbot.simulator.slack import channel_changes
from zofbot.simulator.slack.model import BOT_USER_ID, Channel, PostedMessage
from zofbot.slack.views.renderer import DETAILS_FOLLOW_NOTE
from zofbot.subscriptions import Grouping, Subscription

QA, PETRA = "C0QA", "U0EXT"
CHANNEL_READS = ("conversations.info", "users.conversations")
"""The methods that say who reads a channel: about one, and about all that the bot is in."""


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url) as bot:
        bot.world.slack.events = set(SCOPES_BY_EVENT)
        yield bot


async def raise_alerts(bot: RunningBot, *channels: str, group: str = "case") -> None:
    """Have a case fail that these channels are told of."""
    for channel in channels:
        await bot.type_text(f"/zof subscribe group:{group}", channel=channel)
    await fail_run_with_event(bot)


async def fail_run_with_event(bot: RunningBot, event: str = "evt_1") -> None:
    run = fail_run(bot, 1, environment=event)
    assert await post_webhook(bot, webhook_event(run["id"], event)) == 200


def alerts_in(bot: RunningBot, channel: str) -> list[PostedMessage]:
    return [
        item
        for item in bot.world.slack.ledger
        if item.channel == channel and (item.idempotency_key or "").startswith("case:")
    ]


async def the_alert(bot: RunningBot, channel: str, number: int = 0) -> PostedMessage:
    await wait_until(lambda: len(alerts_in(bot, channel)) > number)
    return alerts_in(bot, channel)[number]


# --- doubt


@pytest.mark.parametrize("fault", ["500", "429", "cut"])
async def test_one_failed_answer_costs_a_moment_and_no_detail(bot: RunningBot, fault: str) -> None:
    bot.world.slack.faults.set_fault(fault, 2, CHANNEL_READS)
    await raise_alerts(bot, QA)
    alert = await the_alert(bot, QA)
    assert "boom" in text_of(alert)
    assert DETAILS_FOLLOW_NOTE not in text_of(alert)
    entry = await bot.app.outbox.get_record(alert.idempotency_key or "")
    assert entry is not None


async def test_while_slack_says_nothing_details_follow_and_then_they_come(bot: RunningBot) -> None:
    slack = bot.world.slack
    slack.faults.set_fault("500", None, CHANNEL_READS)
    await raise_alerts(bot, QA)
    alert = await the_alert(bot, QA)
    assert "boom" not in text_of(alert)
    assert DETAILS_FOLLOW_NOTE in text_of(alert)
    assert slack.now() - float(alert.ts) < 60
    slack.faults.set_fault("none")
    await wait_until(lambda: "boom" in text_of(alert), 120)
    assert DETAILS_FOLLOW_NOTE not in text_of(alert)


async def test_replies_get_their_details_too(bot: RunningBot) -> None:
    slack = bot.world.slack
    slack.faults.set_fault("500", None, CHANNEL_READS)
    await raise_alerts(bot, QA, group="run")

    def replies() -> list[PostedMessage]:
        return [item for item in slack.ledger if item.thread_ts and "Case 0" in text_of(item)]

    await wait_until(lambda: bool(replies()), 60)
    assert "boom" not in text_of(replies()[0])
    slack.faults.set_fault("none")
    await wait_until(lambda: "boom" in text_of(replies()[0]), 120)
    assert len(replies()) == 1


async def test_details_come_by_the_next_process_as_well_and_not_where_others_read(bot: RunningBot) -> None:
    slack = bot.world.slack
    slack.faults.set_fault("500", None, CHANNEL_READS)
    await raise_alerts(bot, QA)
    alert = await the_alert(bot, QA)
    slack.channels[QA].external = True
    slack.faults.set_fault("none")
    await wait_until(lambda: DETAILS_FOLLOW_NOTE not in text_of(alert), 120)
    assert "boom" not in text_of(alert)


async def test_an_act_shows_though_slack_does_not_say_who_reads(bot: RunningBot) -> None:
    await raise_alerts(bot, QA)
    alert = await the_alert(bot, QA)
    bot.world.clock.advance(61)
    bot.world.slack.faults.set_fault("500", None, CHANNEL_READS)
    await press_button(bot, "U0ANA", alert, button_of(alert, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(alert), 60)
    assert DETAILS_FOLLOW_NOTE in text_of(alert)
    bot.world.slack.faults.set_fault("none")
    await wait_until(lambda: "boom" in text_of(alert), 120)
    assert "Acknowledged" in text_of(alert)


async def test_a_message_without_details_waits_for_nothing(bot: RunningBot) -> None:
    bot.world.slack.faults.set_fault("500", None, CHANNEL_READS)
    await bot.type_text("/zof subscribe group:case")
    await wait_until(lambda: any("subscribed" in message.text for message in bot.public_messages()), 3)
    assert not any(DETAILS_FOLLOW_NOTE in text_of(message) for message in bot.public_messages())


async def test_a_card_is_shared_only_once_slack_says_who_reads_it(bot: RunningBot) -> None:
    slack = bot.world.slack
    slack.faults.set_fault("500", 2, "conversations.info")
    await bot.type_text("/zof result res_4821 share")
    await wait_until(lambda: any("order total is wrong" in text_of(m) for m in bot.public_messages()), 20)
    bot.world.clock.advance(61)
    slack.faults.set_fault("500", None, CHANNEL_READS)
    await bot.type_text("/zof result res_4822 share")
    await wait_until(lambda: any("who can read this channel" in text_of(m) for m in bot.private_messages()), 30)
    assert len([m for m in bot.public_messages() if "Shared" in text_of(m)]) <= 1
    slack.faults.set_fault("none")
    bot.world.clock.advance(5)
    await bot.type_text("/zof result res_4822 share")
    await wait_until(lambda: any("res_4822" in text_of(m) for m in bot.public_messages()), 20)


# --- many channels


async def subscribe_channels(bot: RunningBot, *channels: Channel) -> None:
    """Subscribe channels to every failed case, without a call to Slack."""
    for channel in channels:
        subscription = Subscription(id=f"sub_{channel.id}", channel=channel.id, group=Grouping.CASE, created=0.0)
        await store_subscription(bot.app.store.keyspace, subscription)


def make_channels(bot: RunningBot, count: int) -> list[Channel]:
    """Make channels that the bot is in."""
    made = [Channel(f"C0MANY{number}", f"many-{number}", {BOT_USER_ID}) for number in range(count)]
    bot.world.slack.channels.update((channel.id, channel) for channel in made)
    return made


def channel_reads(bot: RunningBot) -> list[str]:
    return [call.method for call in bot.world.slack.calls if call.method in CHANNEL_READS]


async def test_eighty_channels_get_their_details_at_once_within_slacks_limits(bot: RunningBot) -> None:
    slack, many = bot.world.slack, make_channels(bot, 80)
    many[0].external = True
    await subscribe_channels(bot, *many)
    slack.enforces_tiers = True
    began = slack.now()
    await fail_run_with_event(bot)
    alerts = [await the_alert(bot, channel.id) for channel in many]
    assert slack.now() - began < 5
    assert ["boom" in text_of(alert) for alert in alerts] == [False] + [True] * 79
    assert not any(DETAILS_FOLLOW_NOTE in text_of(alert) for alert in alerts)
    assert channel_reads(bot) == ["users.conversations"]
    assert not [call for call in slack.calls if call.method == "chat.update"]


async def test_only_channels_that_the_bot_is_not_in_are_asked_about_singly(bot: RunningBot) -> None:
    many = make_channels(bot, 3)
    many[2].members.clear()
    await subscribe_channels(bot, *many)
    await fail_run_with_event(bot)
    for channel in many:
        assert "boom" in text_of(await the_alert(bot, channel.id))
    assert sorted(channel_reads(bot)) == ["conversations.info", "users.conversations"]


@pytest.mark.parametrize("fault", ["429", "500", "slow", "error:missing_scope"])
async def test_without_the_listing_each_channel_is_asked_about(bot: RunningBot, fault: str) -> None:
    many = make_channels(bot, 3)
    await subscribe_channels(bot, *many)
    bot.world.slack.faults.set_fault(fault, None, "users.conversations")
    await fail_run_with_event(bot)
    for channel in many:
        alert = await the_alert(bot, channel.id)
        assert "boom" in text_of(alert)
        assert DETAILS_FOLLOW_NOTE not in text_of(alert)
    assert sorted(channel_reads(bot)) == ["conversations.info"] * 3 + ["users.conversations"]


async def test_a_channel_that_was_shared_after_the_listing_gets_no_failure_text(bot: RunningBot) -> None:
    first, second = make_channels(bot, 2)
    await subscribe_channels(bot, first)
    await fail_run_with_event(bot)
    assert "boom" in text_of(await the_alert(bot, first.id))
    await subscribe_channels(bot, second)
    assert (await channel_changes.share_channel(bot.simulator.people, second.id)).is_accepted
    await fail_run_with_event(bot, "evt_2")
    assert "boom" not in text_of(await the_alert(bot, second.id))
    assert "boom" in text_of(await the_alert(bot, first.id, 1))
    assert channel_reads(bot) == ["users.conversations", "conversations.info"]


async def test_a_listing_counts_for_what_changed_before_it(bot: RunningBot) -> None:
    first, second = make_channels(bot, 2)
    assert (await channel_changes.share_channel(bot.simulator.people, first.id)).is_accepted
    assert (await channel_changes.add_member(bot.simulator.people, "U0GUEST", second.id)).is_accepted
    await subscribe_channels(bot, first, second)
    await fail_run_with_event(bot)
    assert "boom" not in text_of(await the_alert(bot, first.id))
    assert "boom" in text_of(await the_alert(bot, second.id))
    assert channel_reads(bot) == ["users.conversations"]


# --- changes


async def test_a_channel_that_is_shared_gets_no_failure_text_from_then_on(bot: RunningBot) -> None:
    await raise_alerts(bot, QA)
    assert "boom" in text_of(await the_alert(bot, QA))
    assert (await channel_changes.share_channel(bot.simulator.people, QA)).is_accepted
    await fail_run_with_event(bot, "evt_2")
    second = await the_alert(bot, QA, 1)
    assert "boom" not in text_of(second)
    assert DETAILS_FOLLOW_NOTE not in text_of(second)
    assert (await channel_changes.unshare_channel(bot.simulator.people, QA)).is_accepted
    await fail_run_with_event(bot, "evt_3")
    assert "boom" in text_of(await the_alert(bot, QA, 2))


async def test_without_the_event_nothing_counts_for_longer_than_a_minute(bot: RunningBot) -> None:
    bot.world.slack.events.clear()
    await raise_alerts(bot, QA)
    assert "boom" in text_of(await the_alert(bot, QA))
    assert (await channel_changes.share_channel(bot.simulator.people, QA)).is_accepted
    bot.world.clock.advance(60)
    await fail_run_with_event(bot, "evt_2")
    assert "boom" not in text_of(await the_alert(bot, QA, 1))


@pytest.mark.parametrize("change", ["rename", "archive", "join", "leave", "share", "unshare"])
async def test_whatever_becomes_of_a_channel_it_is_asked_about_anew(bot: RunningBot, change: str) -> None:
    def count_requests() -> int:
        return sum(call.method == "conversations.info" for call in bot.world.slack.calls)

    people = bot.simulator.people
    await raise_alerts(bot, QA)
    await the_alert(bot, QA)
    before = count_requests()
    match change:
        case "rename":
            await channel_changes.rename_channel(people, QA, "quality")
        case "archive":
            for archived in (True, False):
                await people.archive_channel("U0ANA", QA, archived=archived)
        case "join":
            await channel_changes.add_member(people, "U0GUEST", QA)
        case "leave":
            await channel_changes.remove_member(people, "U0CHIOMA", QA)
        case _:
            await (channel_changes.share_channel if change == "share" else channel_changes.unshare_channel)(people, QA)
    await fail_run_with_event(bot, "evt_2")
    await the_alert(bot, QA, 1)
    assert count_requests() == before + 1


# --- direct messages


def open_conversation(bot: RunningBot, identifier: str, *, group: bool = False, flagged: bool = False) -> str:
    """Direct messages with the bot of Petra, who is of another organization, and of Ana where several talk."""
    people = {PETRA, "U0ANA", BOT_USER_ID} if group else {PETRA, BOT_USER_ID}
    bot.world.slack.channels[identifier] = Channel(
        identifier, "mpdm-1" if group else "petra", people, private=group, group_dm=group, external=flagged,
        im_with="" if group else PETRA,
    )  # fmt: skip
    return identifier


@pytest.mark.parametrize("flagged", [True, False])
@pytest.mark.parametrize("group", [True, False])
async def test_direct_messages_with_another_organization_are_shared(
    bot: RunningBot, group: bool, flagged: bool
) -> None:
    place = open_conversation(bot, "C0TALK" if group else "D0EXT", group=group, flagged=flagged)
    await bot.type_text("/zof subscribe group:case")
    talk = Subscription(id="sub_talk", channel=place, group=Grouping.CASE, created=0.0)
    await store_subscription(bot.app.store.keyspace, talk)
    await fail_run_with_event(bot)
    assert "boom" in text_of(await the_alert(bot, QA))
    shared = await the_alert(bot, place)
    assert "Case 0" in text_of(shared)
    assert "boom" not in text_of(shared)


async def test_our_own_direct_messages_are_ours(bot: RunningBot) -> None:
    place = open_conversation(bot, "C0TALK", group=True)
    bot.world.slack.channels[place].members = {"U0ANA", "U0BEN", BOT_USER_ID}
    await raise_alerts(bot, "D0ANA", place)
    for channel in ("D0ANA", place):
        assert "boom" in text_of(await the_alert(bot, channel))


async def test_a_card_shared_where_the_bot_cannot_see_who_reads_says_less(bot: RunningBot) -> None:
    bot.world.slack.channels["D0TWO"] = Channel("D0TWO", "petra", {"U0ANA", PETRA}, private=True, external=True)
    await bot.type_text("/zof result res_4821 share", channel="D0TWO")
    await wait_until(lambda: any("Voucher can be removed" in text_of(m) for m in bot.public_messages("D0TWO")), 20)
    assert not any("order total is wrong" in text_of(m) for m in bot.public_messages("D0TWO"))


async def test_what_people_deleted_meanwhile_is_not_posted_again_for_its_details(bot: RunningBot) -> None:
    slack = bot.world.slack
    slack.faults.set_fault("500", None, CHANNEL_READS)
    await raise_alerts(bot, QA)
    alert = await the_alert(bot, QA)
    alert.deleted = True
    slack.faults.set_fault("none")

    async def is_settled() -> bool:
        depth = await bot.app.outbox.read_stats()
        return depth.pending + depth.sending == 0

    await wait_until(is_settled, 120)
    assert len(alerts_in(bot, QA)) == 1
