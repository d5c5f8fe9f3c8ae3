"""A default channel that refuses is told to the admins, for nobody has subscribed it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.bot import RunningBot, running_bot, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.simulator.seed import ON_CALL_GROUP
from zofbot.slack.views import channel_notes

ANA, BEN, CHIOMA = "U0ANA", "U0BEN", "U0CHIOMA"
DEFAULT = "C0SEARCH"


@asynccontextmanager
async def bot_refused_by_channel(
    store_url: str, admins: str = "", *, archived: bool = True, missing: str = ""
) -> AsyncIterator[RunningBot]:
    """A bot whose default channel is archived while a failure is to be told there."""
    async with alerting_bot(store_url, zofbot_default_channel=DEFAULT, zofbot_admins=admins) as bot:
        if archived:
            bot.world.slack.channels[DEFAULT].archived = True
        else:
            del bot.world.slack.channels[DEFAULT]
        bot.world.slack.scopes.discard(missing)
        run = fail_run(bot, 1)
        assert await post_webhook(bot, webhook_event(run["id"], "evt_default")) == 200
        yield bot


def written_to(bot: RunningBot) -> dict[str, list[str]]:
    """What stands in people's direct messages with the bot."""
    found: dict[str, list[str]] = {}
    for message in bot.world.slack.ledger:
        with_ = bot.world.slack.channels[message.channel].im_with
        if with_ and (message.idempotency_key or "").startswith(("parked:", "removed:")):
            found.setdefault(with_, []).append(message.text)
    return found


async def _is_refusing(bot: RunningBot, waiting: int) -> bool:
    """Whether it is known that the channel refuses so many messages, and whoever can be told was told."""
    return any(channel.waiting >= waiting and channel.told for channel in await bot.app.outbox.parked_channels())


async def test_the_workspaces_admins_are_told_once_by_direct_message(store_url: str) -> None:
    async with bot_refused_by_channel(store_url) as bot:
        await wait_until(lambda: ANA in written_to(bot))
        assert set(written_to(bot)) == {ANA}, "she alone is an admin"
        [said] = written_to(bot)[ANA]
        assert channel_notes.DEFAULT_CHANNEL_NOTE in said
        assert "archived" in said
        bot.world.clock.advance(600)  # it is tried again, and refuses again
        run = fail_run(bot, 1)
        assert await post_webhook(bot, webhook_event(run["id"], "evt_more")) == 200
        await wait_until(lambda: _is_refusing(bot, 3))
        assert len(written_to(bot)[ANA]) == 1


async def test_a_default_channel_that_does_not_exist_is_told_likewise(store_url: str) -> None:
    async with bot_refused_by_channel(store_url, archived=False) as bot:
        await wait_until(lambda: ANA in written_to(bot))
        assert DEFAULT in written_to(bot)[ANA][0]


@pytest.mark.parametrize(("admins", "told"), [(CHIOMA, {CHIOMA}), (f"{BEN},{ON_CALL_GROUP}", {ANA, BEN})])
async def test_where_admins_are_listed_these_are_told(store_url: str, admins: str, told: set[str]) -> None:
    async with bot_refused_by_channel(store_url, admins) as bot:
        await wait_until(lambda: set(written_to(bot)) == told)


async def test_where_slack_does_not_say_who_is_an_admin_it_is_asked_again(store_url: str) -> None:
    async with bot_refused_by_channel(store_url, missing="users:read") as bot:
        await wait_until(lambda: _is_refusing(bot, 1))
        assert written_to(bot) == {}
        bot.world.slack.scopes.add("users:read")
        bot.world.clock.advance(600)
        await wait_until(lambda: ANA in written_to(bot))


async def test_a_channel_that_is_subscribed_is_told_to_its_subscribers_alone(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_default_channel=DEFAULT) as bot:
        await bot.type_text("/zof subscribe", user=BEN)
        await bot.type_text("/zof subscribe group:case", user=BEN)
        bot.world.slack.channels["C0QA"].archived = True
        note = Notification(
            key="more",
            kind=NotificationKind.ROOT,
            channel="C0QA",
            body=channel_notes.note_payload("more"),
            happened=1.0,
        )
        await bot.app.outbox.commit([note])
        await wait_until(lambda: BEN in written_to(bot))
        assert set(written_to(bot)) == {BEN}
        assert channel_notes.DEFAULT_CHANNEL_NOTE not in written_to(bot)[BEN][0]
