"""What the simulated Slack tells of channels, and how it treats apps sold outside of its Marketplace."""

from __future__ import annotations

import pytest

from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack import channel_changes
from zofbot.simulator.slack.model import BOT_USER_ID, Channel, PostedMessage, User
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.slack.web_api import answer_call
from zofbot.simulator.world import World

QA, INCIDENT = "C0QA", "C0INCIDENT"


def call_method(simulator: SimulatorServer, method: str, **given: str) -> dict[str, object]:
    slack = simulator.world.slack
    return answer_call(slack, method, slack.bot_token, dict(given)).body


async def test_an_app_sold_outside_of_the_marketplace_reads_15_messages_once_a_minute(
    simulator: SimulatorServer,
    slack: Workspace,
    world: World,
) -> None:
    for number in range(20):
        slack.add_message(PostedMessage(QA, slack.next_timestamp(), "U0BEN", f"{number}"))
    slack.distributed = True
    page = call_method(simulator, "conversations.history", channel=QA, limit="200")
    assert isinstance(page["messages"], list)
    assert len(page["messages"]) == 15
    assert call_method(simulator, "conversations.history", channel=QA)["error"] == "ratelimited"
    world.clock.advance(60)
    assert call_method(simulator, "conversations.history", channel=QA)["ok"]


async def test_messages_of_other_apps_have_their_own_ids(simulator: SimulatorServer, slack: Workspace) -> None:
    slack.users["U0OTHER"] = User("U0OTHER", "other", "Another app", kind="bot")
    for user in (BOT_USER_ID, "U0OTHER", "U0BEN"):
        slack.add_message(PostedMessage(QA, slack.next_timestamp(), user, "Hello"))
    page = call_method(simulator, "conversations.history", channel=QA)
    assert isinstance(page["messages"], list)
    assert [item.get("app_id") for item in page["messages"][:3]] == [None, "A0OTHER", "A0ZOFBOT"]


async def test_a_group_s_direct_messages_need_their_own_scope(simulator: SimulatorServer, slack: Workspace) -> None:
    slack.channels["C0TALK"] = Channel("C0TALK", "mpdm", {"U0ANA", "U0EXT", BOT_USER_ID}, private=True, group_dm=True)
    assert call_method(simulator, "conversations.members", channel="C0TALK")["members"] == [
        "U0ANA",
        "U0EXT",
        BOT_USER_ID,
    ]
    slack.scopes.discard("mpim:read")
    for method in ("conversations.info", "conversations.members"):
        assert call_method(simulator, method, channel="C0TALK")["needed"] == "mpim:read"


@pytest.mark.parametrize("channel", [QA, INCIDENT])
async def test_what_becomes_of_a_channel_is_seen_by_whoever_asks(simulator: SimulatorServer, channel: str) -> None:
    slack, people = simulator.world.slack, simulator.people
    await channel_changes.share_channel(people, channel)
    await channel_changes.rename_channel(people, channel, "renamed")
    await channel_changes.remove_member(people, "U0BEN", channel)
    await channel_changes.add_member(people, "U0GUEST", channel)
    place = slack.channels[channel]
    assert (place.external, place.name, "U0BEN" in place.members, "U0GUEST" in place.members) == (
        True, "renamed", False, True,
    )  # fmt: skip
    await channel_changes.unshare_channel(people, channel)
    assert not place.external
