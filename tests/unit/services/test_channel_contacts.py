"""Whoever is responsible for a channel is told of its trouble, also if Slack has changed its id since."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import fakeredis
import pytest

from tests.support.subscriptions import store_subscription
from tests.support.virtual_time import SetClock
from zofbot.alerting.state import MOVED_CHANNELS
from zofbot.domain.errors import SlackDeferred, SlackError
from zofbot.services.channel_contacts import ChannelContacts
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import Outbox
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions import Subscription

OLD, NEW, SUBSCRIBER, ADMIN = "G0OLD", "C0NEW", "U0ANA", "U0ADMIN"


@dataclass
class ContactsBench:
    """A channel with a new id, whose subscription was moved there."""

    keyspace: Keyspace
    outbox: Outbox
    error: SlackError | None = None
    """What Slack answers to the question who the admins are."""

    def make_contacts(self, default_channel: str = "") -> ChannelContacts:
        async def list_admins() -> list[str]:
            if self.error:
                raise self.error
            return [ADMIN]

        return ChannelContacts(
            self.outbox, Subscriptions(self.keyspace), SetClock(), default_channel=default_channel,
            list_admins=list_admins,
        )  # fmt: skip

    async def notified_people(self) -> set[str]:
        return {claim.notification.channel for claim in await self.outbox.claim(10)}


@pytest.fixture
async def bench() -> AsyncIterator[ContactsBench]:
    async with fakeredis.FakeAsyncRedis() as client:
        keyspace = Keyspace(client, "test")
        outbox = Outbox(keyspace, SetClock())
        await store_subscription(keyspace, Subscription(id="s1", channel=NEW, by=SUBSCRIBER))
        await outbox.commit([], changes={MOVED_CHANNELS: {OLD: NEW}})
        yield ContactsBench(keyspace, outbox)


async def test_an_alert_from_before_that_was_deleted_twice_is_reported(bench: ContactsBench) -> None:
    await bench.make_contacts().report_removal(f"case:res_1:failed:{OLD}:2", OLD)
    assert await bench.notified_people() == {SUBSCRIBER}


async def test_a_refusal_of_what_waited_for_the_old_id_is_reported(bench: ContactsBench) -> None:
    await bench.make_contacts().report_refusal(OLD, "is_archived")
    assert await bench.notified_people() == {SUBSCRIBER}


@pytest.mark.parametrize("default", [OLD, NEW])
@pytest.mark.parametrize("channel", [OLD, NEW])
async def test_admins_are_told_of_the_default_channel_by_either_id(
    bench: ContactsBench, default: str, channel: str
) -> None:
    await bench.make_contacts(default).report_refusal(channel, "is_archived")
    assert await bench.notified_people() == {SUBSCRIBER, ADMIN}


async def test_while_slack_does_not_list_the_admins_subscribers_are_told_and_the_report_is_to_be_repeated(
    bench: ContactsBench,
) -> None:
    contacts = bench.make_contacts(NEW)
    bench.error = SlackDeferred("ratelimited", "")
    with pytest.raises(SlackDeferred):
        await contacts.report_removal(f"case:res_1:failed:{NEW}:2", NEW)
    assert await bench.notified_people() == {SUBSCRIBER}
    bench.error = None
    await contacts.report_removal(f"case:res_1:failed:{NEW}:2", NEW)
    assert await bench.notified_people() == {ADMIN}
