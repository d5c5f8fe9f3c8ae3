"""The pretend Slack over HTTP, called the way the bot calls it, and the page's own door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.support.failure_reports import serve_world
from tests.support.virtual_time import SetClock, stand_still, test_clock
from tests.support.world_changes import wait_for_change
from zofbot.simulator.seed import (
    ANA,
    ARCHIVED,
    BEN,
    CHECKOUT_CHANNEL,
    CHIOMA,
    EXTERNAL,
    GUEST,
    INCIDENT_ROOM,
    ON_CALL_GROUP,
    PARTNERS,
    QA_ALERTS,
    RANDOM_CHANNEL,
    seed_world,
)
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack import web_api as slack_api
from zofbot.simulator.slack.model import BOT_USER_ID, PostedMessage
from zofbot.simulator.slack.response_url import use_response_url
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.world import World

START = 1795467000.0


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def client(simulator: SimulatorServer, http: aiohttp.ClientSession) -> AsyncWebClient:
    return web_client(simulator, http)


def web_client(
    simulator: SimulatorServer, http: aiohttp.ClientSession, token: str = "xoxb-simulated"
) -> AsyncWebClient:
    return AsyncWebClient(token=token, base_url=f"{simulator.url}/api/", session=http, retry_handlers=[])


async def refusal_of(call: Any) -> str:
    """The error a call is refused with."""
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}
META = {"event_type": "zofbot_notification", "event_payload": {"key": "run:1"}}


# --- who may call


async def test_the_bot_is_told_who_it_is_and_its_scopes(client: AsyncWebClient, slack: Workspace) -> None:
    answer = await client.auth_test()
    assert (answer["user_id"], answer["team"]) == (BOT_USER_ID, "Acme")
    assert set(answer.headers["x-oauth-scopes"].split(",")) == slack.scopes


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xoxb-other", "invalid_auth"), ("xapp-simulated", "not_allowed_token_type")],
)
async def test_a_wrong_token_is_refused(
    simulator: SimulatorServer, http: aiohttp.ClientSession, token: str, error: str
) -> None:
    async with http.post(f"{simulator.url}/api/auth.test", headers={"Authorization": f"Bearer {token}"}) as reply:
        assert await reply.json() == {"ok": False, "error": error}


async def test_an_unknown_method_is_said_to_be_one(client: AsyncWebClient) -> None:
    assert await refusal_of(client.api_call("chat.shout")) == "unknown_method"


@pytest.mark.parametrize(
    ("method", "arguments", "needed"),
    [
        ("chat.postMessage", {"channel": QA_ALERTS, "text": "x"}, "chat:write"),
        ("conversations.info", {"channel": QA_ALERTS}, "channels:read"),
        ("conversations.info", {"channel": INCIDENT_ROOM}, "groups:read"),
        ("conversations.history", {"channel": "D0ANA"}, "im:history"),
        ("conversations.join", {"channel": RANDOM_CHANNEL}, "channels:join"),
        ("users.info", {"user": ANA}, "users:read"),
    ],
)
async def test_a_missing_scope_is_named(
    client: AsyncWebClient, slack: Workspace, method: str, arguments: dict[str, str], needed: str
) -> None:
    slack.scopes.discard(needed)
    with pytest.raises(SlackApiError) as caught:
        await client.api_call(method, params=arguments)
    assert caught.value.response["error"] == "missing_scope"
    assert caught.value.response["needed"] == needed
    assert needed not in caught.value.response["provided"].split(",")


def test_every_scope_a_method_needs_is_one_the_workspace_grants() -> None:
    needed = {method.scope for method in slack_api.METHODS.values()} - {"", "app"}
    assert needed <= World(SetClock()).slack.scopes


def test_every_method_has_a_known_tier_and_a_sentence() -> None:
    assert all(method.tier in slack_api.CALLS_PER_MINUTE and method.imitates for method in slack_api.METHODS.values())


# --- posting


async def test_a_message_stands_in_the_channel_and_in_the_ledger(client: AsyncWebClient, slack: Workspace) -> None:
    answer = await client.chat_postMessage(channel=QA_ALERTS, text="hello", blocks=[SECTION], metadata=META)
    kept = slack.messages[QA_ALERTS][answer["ts"]]
    assert (kept.text, kept.user, kept.idempotency_key) == ("hello", BOT_USER_ID, "run:1")
    assert kept.blocks[0]["text"] == SECTION["text"]
    assert kept.blocks[0]["block_id"]
    assert slack.messages_with_key("run:1") == [kept]
    await client.chat_postMessage(channel=QA_ALERTS, text="hello", metadata=META)
    assert slack.duplicate_keys() == ["run:1"]


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        ("C0NONE", "channel_not_found"),
        ("#qa-alerts", "channel_not_found"),
        (INCIDENT_ROOM, "channel_not_found"),
        (ARCHIVED, "is_archived"),
    ],
)
async def test_posting_where_the_bot_cannot_is_refused(client: AsyncWebClient, channel: str, error: str) -> None:
    assert await refusal_of(client.chat_postMessage(channel=channel, text="x")) == error


async def test_posting_to_a_public_channel_needs_membership_or_a_scope(
    client: AsyncWebClient, slack: Workspace
) -> None:
    await client.chat_postMessage(channel=RANDOM_CHANNEL, text="x")
    slack.scopes.discard("chat:write.public")
    assert await refusal_of(client.chat_postMessage(channel=RANDOM_CHANNEL, text="x")) == "not_in_channel"
    await client.conversations_join(channel=RANDOM_CHANNEL)
    await client.chat_postMessage(channel=RANDOM_CHANNEL, text="x")


async def test_a_restricted_channel_says_how_it_is_restricted(client: AsyncWebClient, slack: Workspace) -> None:
    slack.channels[QA_ALERTS].restricted = "restricted_action_read_only_channel"
    call = client.chat_postMessage(channel=QA_ALERTS, text="x")
    assert await refusal_of(call) == "restricted_action_read_only_channel"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, "no_text"),
        ({"text": "x" * 4001}, "msg_too_long"),
        ({"text": "x", "blocks": "[{"}, "invalid_blocks_format"),
        ({"text": "x", "blocks": {"type": "divider"}}, "invalid_blocks_format"),
        ({"text": "x", "blocks": [{"type": "ruler"}]}, "invalid_blocks"),
        ({"text": "<!channel>"}, "unescaped_mention"),
        (
            {"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "a < b"}}]},
            "unescaped_mention",
        ),
        ({"text": "x", "markdown_text": "y"}, "markdown_text_conflict"),
        ({"markdown_text": "x", "blocks": [{"type": "divider"}]}, "markdown_text_conflict"),
        ({"markdown_text": "x" * 12001}, "msg_too_long"),
        ({"markdown_text": ["x"]}, "invalid_arguments"),
        ({"text": 7}, "invalid_arguments"),
        ({"text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
    ],
)
async def test_a_message_slack_would_not_take_is_refused(
    client: AsyncWebClient, slack: Workspace, arguments: dict[str, Any], error: str
) -> None:
    assert await refusal_of(client.api_call("chat.postMessage", json={"channel": QA_ALERTS, **arguments})) == error
    assert slack.ledger == []


async def test_more_text_in_all_blocks_than_slack_takes_is_refused_but_not_by_a_response_url(
    client: AsyncWebClient, slack: Workspace
) -> None:
    long, longer = [[mrkdwn_section(2750)] * 2, [mrkdwn_section(2750), mrkdwn_section(2751)]]
    attachments = [{"color": "#000000", "blocks": long}]
    ts = (await client.chat_postMessage(channel=QA_ALERTS, text="x", blocks=long, attachments=attachments))["ts"]
    for call in (
        client.chat_postMessage(channel=QA_ALERTS, text="x", blocks=longer, attachments=attachments),
        client.chat_update(channel=QA_ALERTS, ts=ts, text="x", blocks=longer, attachments=attachments),
    ):
        assert await refusal_of(call) == "msg_blocks_too_long"
    token = slack.new_response_url(ANA, QA_ALERTS).rpartition("/")[2]
    given = {"text": "x", "blocks": longer, "attachments": attachments}
    assert use_response_url(slack, token, given).status == 200


def mrkdwn_section(characters: int) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": ("word " * characters)[:characters]}}


async def test_markdown_is_taken_instead_of_text(client: AsyncWebClient, slack: Workspace) -> None:
    await client.chat_postMessage(channel=QA_ALERTS, markdown_text="# " + "x" * 5000)
    assert [message.text for message in slack.ledger] == ["# " + "x" * 5000]


async def test_invalid_blocks_name_the_place(client: AsyncWebClient) -> None:
    bad = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel=QA_ALERTS, text="x", blocks=[bad])
    assert "[json-pointer:/blocks/0/text/text]" in caught.value.response["response_metadata"]["messages"][0]


async def test_existing_people_groups_and_channels_may_be_mentioned(client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel=QA_ALERTS, text=f"<@{ANA}> <!subteam^{ON_CALL_GROUP}> <#{CHECKOUT_CHANNEL}>")


async def test_only_a_parent_can_be_replied_to(client: AsyncWebClient, world: World) -> None:
    root = (await client.chat_postMessage(channel=QA_ALERTS, text="root"))["ts"]
    reply = (await client.chat_postMessage(channel=QA_ALERTS, text="reply", thread_ts=root))["ts"]
    call = client.chat_postMessage(channel=QA_ALERTS, text="x", thread_ts=reply)
    assert await refusal_of(call) == "cannot_reply_to_message"
    world.advance(10)
    await client.chat_delete(channel=QA_ALERTS, ts=root)
    assert await refusal_of(client.chat_postMessage(channel=QA_ALERTS, text="x", thread_ts=root)) == "thread_not_found"


async def test_a_reply_to_a_deleted_message_without_replies_is_posted_in_the_channel(
    client: AsyncWebClient, slack: Workspace
) -> None:
    root = (await client.chat_postMessage(channel=QA_ALERTS, text="root"))["ts"]
    await client.chat_delete(channel=QA_ALERTS, ts=root)
    answer = await client.chat_postMessage(channel=QA_ALERTS, text="reply", thread_ts=root, reply_broadcast=True)
    assert "thread_ts" not in answer["message"]
    history = await client.conversations_history(channel=QA_ALERTS)
    assert [message["text"] for message in history["messages"]] == ["reply"]
    assert await refusal_of(client.conversations_replies(channel=QA_ALERTS, ts=root)) == "thread_not_found"
    slack.unthreads_replies = False
    call = client.chat_postMessage(channel=QA_ALERTS, text="another", thread_ts=root)
    assert await refusal_of(call) == "thread_not_found"


@pytest.mark.parametrize("metadata", [{"event_type": "x"}, {"event_type": "x", "event_payload": {"deep": {"er": 1}}}])
async def test_bad_metadata_is_dropped_with_a_warning(
    client: AsyncWebClient, slack: Workspace, metadata: dict[str, Any]
) -> None:
    answer = await client.api_call("chat.postMessage", json={"channel": QA_ALERTS, "text": "x", "metadata": metadata})
    assert answer["warning"] == "invalid_metadata_format"
    assert slack.ledger[0].metadata is None


@pytest.mark.parametrize(
    ("metadata", "kept", "warning"), [(json.dumps(META), META, None), ("{", None, "invalid_metadata_format")]
)
async def test_a_form_brings_metadata_as_text(
    client: AsyncWebClient, slack: Workspace, metadata: str, kept: Any, warning: str | None
) -> None:
    form = {"channel": QA_ALERTS, "text": "x", "metadata": metadata}
    assert (await client.api_call("chat.postMessage", data=form)).get("warning") == warning
    assert slack.ledger[0].metadata == kept


async def test_blocks_without_text_are_taken_with_a_warning(client: AsyncWebClient) -> None:
    answer = await client.api_call("chat.postMessage", json={"channel": QA_ALERTS, "blocks": [SECTION]})
    assert answer["warning"] == "missing_text_in_message"


async def test_more_than_a_short_burst_into_one_channel_is_refused(client: AsyncWebClient, world: World) -> None:
    for _ in range(3):
        await client.chat_postMessage(channel=QA_ALERTS, text="x")
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel=QA_ALERTS, text="x")
    assert (caught.value.response.status_code, caught.value.response.headers["Retry-After"]) == (429, "1")
    await client.chat_postMessage(channel=CHECKOUT_CHANNEL, text="another channel has its own pace")
    world.advance(1)
    await client.chat_postMessage(channel=QA_ALERTS, text="x")
    assert await refusal_of(client.chat_postMessage(channel=QA_ALERTS, text="x")) == "ratelimited"


async def test_what_comes_too_fast_can_be_hidden_instead(client: AsyncWebClient, slack: Workspace) -> None:
    slack.hides_fast_posts = True
    for _ in range(4):
        await client.chat_postMessage(channel=QA_ALERTS, text="x")
    assert [message.hidden for message in slack.ledger] == [False, False, False, True]
    assert len((await client.conversations_history(channel=QA_ALERTS))["messages"]) == 3


async def test_an_ephemeral_message_needs_its_reader_in_the_channel(client: AsyncWebClient, slack: Workspace) -> None:
    assert await refusal_of(client.chat_postEphemeral(channel=QA_ALERTS, user=GUEST, text="x")) == "user_not_in_channel"
    await client.chat_postEphemeral(channel=QA_ALERTS, user=ANA, text="psst")
    assert slack.ledger == []
    assert (await client.conversations_history(channel=QA_ALERTS))["messages"] == []


async def test_an_update_replaces_blocks_keeps_metadata_and_touches_only_own_messages(
    client: AsyncWebClient, simulator: SimulatorServer, slack: Workspace
) -> None:
    posted = await client.chat_postMessage(channel=QA_ALERTS, text="old", blocks=[SECTION], metadata=META)
    await client.chat_update(channel=QA_ALERTS, ts=posted["ts"], text="new")
    kept = slack.ledger[0]
    assert (kept.text, kept.blocks, kept.idempotency_key, kept.edited) == ("new", [], "run:1", True)
    await simulator.people.type_text(ANA, QA_ALERTS, "mine")
    mine = next(each for each in slack.messages[QA_ALERTS].values() if each.user == ANA)
    assert await refusal_of(client.chat_update(channel=QA_ALERTS, ts=mine.ts, text="x")) == "cant_update_message"
    assert await refusal_of(client.chat_delete(channel=QA_ALERTS, ts=mine.ts)) == "cant_delete_message"
    assert await refusal_of(client.chat_update(channel=QA_ALERTS, ts="1.000001", text="x")) == "message_not_found"
    slack.keeps_everything = True
    kept_back = client.chat_delete(channel=QA_ALERTS, ts=posted["ts"])
    assert await refusal_of(kept_back) == "compliance_exports_prevent_deletion"
    assert kept.is_visible


async def test_time_stamps_are_unique_and_rise_while_the_clock_stands_still(client: AsyncWebClient) -> None:
    stamps = [(await client.chat_postMessage(channel=QA_ALERTS, text="x"))["ts"] for _ in range(3)]
    assert stamps == sorted(set(stamps))


# --- reading


async def test_history_is_newest_first_paged_and_without_replies(client: AsyncWebClient, slack: Workspace) -> None:
    slack.paced = False
    roots = [(await client.chat_postMessage(channel=QA_ALERTS, text=f"{n}", metadata=META))["ts"] for n in range(5)]
    await client.chat_postMessage(channel=QA_ALERTS, text="reply", thread_ts=roots[0])
    await client.chat_postMessage(channel=QA_ALERTS, text="told all", thread_ts=roots[0], reply_broadcast=True)
    pages = [page["messages"] async for page in await client.conversations_history(channel=QA_ALERTS, limit=4)]
    assert [message["text"] for page in pages for message in page] == ["told all", "4", "3", "2", "1", "0"]
    assert "metadata" not in pages[0][1]
    late = await client.conversations_history(channel=QA_ALERTS, oldest=roots[3], include_all_metadata=True)
    assert [message["text"] for message in late["messages"]] == ["told all", "4"]
    assert late["messages"][1]["metadata"] == META
    bound = await client.conversations_history(channel=QA_ALERTS, oldest=roots[3], latest=roots[4], inclusive=True)
    assert [message["text"] for message in bound["messages"]] == ["4", "3"]


async def test_a_thread_is_read_from_its_parent_down(client: AsyncWebClient) -> None:
    root = (await client.chat_postMessage(channel=QA_ALERTS, text="root"))["ts"]
    await client.chat_postMessage(channel=QA_ALERTS, text="reply", thread_ts=root, metadata=META)
    answer = await client.conversations_replies(channel=QA_ALERTS, ts=root, include_all_metadata=True)
    assert [message["text"] for message in answer["messages"]] == ["root", "reply"]
    assert answer["messages"][0]["reply_count"] == 1
    assert answer["messages"][1]["metadata"] == META
    assert await refusal_of(client.conversations_replies(channel=QA_ALERTS, ts="1.000001")) == "thread_not_found"


async def test_only_members_read_history(client: AsyncWebClient) -> None:
    assert await refusal_of(client.conversations_history(channel=RANDOM_CHANNEL)) == "not_in_channel"
    assert await refusal_of(client.conversations_history(channel=INCIDENT_ROOM)) == "channel_not_found"


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("conversations.history", {"limit": "0"}, "invalid_limit"),
        ("conversations.history", {"limit": "1000"}, "invalid_limit"),
        ("conversations.history", {"limit": "many"}, "invalid_limit"),
        ("conversations.history", {"oldest": "yesterday"}, "invalid_ts_oldest"),
        ("conversations.history", {"latest": "now"}, "invalid_ts_latest"),
        ("conversations.history", {"cursor": "c1.000001"}, "invalid_cursor"),
        ("conversations.join", {"channel": "D0ANA"}, "method_not_supported_for_channel_type"),
        ("conversations.open", {"users": "U0NOBODY"}, "user_not_found"),
        ("users.conversations", {"user": "U0NOBODY"}, "user_not_found"),
        ("users.conversations", {"types": "public_channel,secret"}, "invalid_types"),
        ("users.conversations", {"limit": "1001"}, "invalid_limit"),
        ("users.conversations", {"cursor": "C0NONE"}, "invalid_cursor"),
        ("chat.getPermalink", {"message_ts": "1.000001"}, "message_not_found"),
        ("reactions.add", {"timestamp": "1.000001", "name": "eyes"}, "message_not_found"),
    ],
)
async def test_a_question_slack_would_not_answer_is_refused(
    client: AsyncWebClient, slack: Workspace, method: str, arguments: dict[str, str], error: str
) -> None:
    slack.add_message(PostedMessage(QA_ALERTS, slack.next_timestamp(), ANA, "hello"))
    assert await refusal_of(client.api_call(method, params={"channel": QA_ALERTS, **arguments})) == error


@pytest.mark.parametrize("kind", ["public_channel", "private_channel", "im", "mpim"])
async def test_every_kind_of_a_persons_channels_takes_its_own_scope(
    client: AsyncWebClient, slack: Workspace, kind: str
) -> None:
    await client.users_conversations(user=ANA, types=kind)
    needed = {"public_channel": "channels:read", "private_channel": "groups:read"}.get(kind, f"{kind}:read")
    slack.scopes.discard(needed)
    with pytest.raises(SlackApiError) as caught:
        await client.users_conversations(user=ANA, types=kind)
    assert (caught.value.response["error"], caught.value.response["needed"]) == ("missing_scope", needed)


async def test_a_persons_channels_come_in_pages(client: AsyncWebClient) -> None:
    everything = (await client.users_conversations(user=ANA))["channels"]
    pages = [page["channels"] async for page in await client.users_conversations(user=ANA, limit=2)]
    assert len(pages) == -(-len(everything) // 2) > 1
    assert [room for page in pages for room in page] == everything


async def test_the_bots_channels_are_listed_with_whom_they_are_shared_with(client: AsyncWebClient) -> None:
    listed = {room["id"]: room for room in (await client.users_conversations())["channels"]}
    flags = ("is_shared", "is_ext_shared", "is_org_shared", "is_pending_ext_shared")
    assert [listed[PARTNERS][flag] for flag in flags] == [True, True, False, False]
    assert [listed[QA_ALERTS][flag] for flag in flags] == [False] * 4
    assert RANDOM_CHANNEL not in listed


async def test_channels_and_people_are_described(client: AsyncWebClient, slack: Workspace) -> None:
    assert (await client.conversations_info(channel=PARTNERS))["channel"]["is_ext_shared"] is True
    assert (await client.conversations_info(channel=ARCHIVED))["channel"]["is_archived"] is True
    assert (await client.conversations_info(channel=RANDOM_CHANNEL))["channel"]["is_member"] is False
    direct = (await client.conversations_info(channel="D0ANA"))["channel"]
    assert (direct["is_im"], direct["user"]) == (True, ANA)
    assert ANA in (await client.conversations_members(channel=QA_ALERTS))["members"]
    ana = (await client.users_info(user=ANA))["user"]
    assert (ana["tz"], ana["tz_offset"]) == ("Europe/Berlin", 3600)
    assert (await client.users_info(user=GUEST))["user"]["is_restricted"] is True
    external = (await client.users_info(user=EXTERNAL))["user"]
    assert external["team_id"] == "T0PARCEL"
    assert "is_stranger" not in external, "the bot is in a channel with them"
    slack.channels[PARTNERS].members.discard(BOT_USER_ID)
    assert (await client.users_info(user=EXTERNAL))["user"]["is_stranger"] is True
    assert await refusal_of(client.users_info(user="U0NOBODY")) == "user_not_found"


async def test_joining_opening_groups_reactions_and_links(client: AsyncWebClient) -> None:
    assert (await client.conversations_join(channel=QA_ALERTS))["warning"] == "already_in_channel"
    assert await refusal_of(client.conversations_join(channel=ARCHIVED)) == "is_archived"
    assert await refusal_of(client.conversations_join(channel=INCIDENT_ROOM)) == "channel_not_found"
    dm = (await client.conversations_open(users=ANA))["channel"]["id"]
    posted = await client.chat_postMessage(channel=ANA, text="to you")
    assert posted["channel"] == dm
    assert (await client.usergroups_users_list(usergroup=ON_CALL_GROUP))["users"] == [ANA, BEN]
    assert await refusal_of(client.usergroups_users_list(usergroup="S0NONE")) == "no_such_subteam"
    assert (await client.usergroups_list(include_users=True))["usergroups"][0]["users"] == [ANA, BEN]
    assert await refusal_of(client.reactions_add(channel=dm, timestamp=posted["ts"], name="")) == "invalid_name"
    await client.reactions_add(channel=dm, timestamp=posted["ts"], name="eyes")
    assert await refusal_of(client.reactions_add(channel=dm, timestamp=posted["ts"], name="eyes")) == "already_reacted"
    link = (await client.chat_getPermalink(channel=dm, message_ts=posted["ts"]))["permalink"]
    assert link.endswith(f"/{dm}/p{posted['ts'].replace('.', '')}")


async def test_tiers_are_enforced_when_asked_for(client: AsyncWebClient, slack: Workspace, world: World) -> None:
    slack.enforces_tiers = True
    for _ in range(20):
        await client.usergroups_list()
    assert await refusal_of(client.usergroups_list()) == "ratelimited"
    world.advance(60)
    await client.usergroups_list()


# --- views


def modal_view(text: str = "x", **more: Any) -> dict[str, Any]:
    title = {"type": "plain_text", "text": "Title"}
    return {"type": "modal", "title": title, "blocks": [SECTION | {"block_id": text}], **more}


async def test_a_trigger_opens_one_modal_within_three_seconds(
    client: AsyncWebClient, slack: Workspace, world: World
) -> None:
    trigger = slack.new_trigger(ANA)
    opened = await client.views_open(trigger_id=trigger, view=modal_view())
    assert slack.top_modal(ANA) is not None
    assert await refusal_of(client.views_open(trigger_id=trigger, view=modal_view())) == "exchanged_trigger_id"
    late = slack.new_trigger(ANA)
    world.advance(3.1)
    assert await refusal_of(client.views_open(trigger_id=late, view=modal_view())) == "expired_trigger_id"
    assert await refusal_of(client.views_open(trigger_id="1.2", view=modal_view())) == "invalid_trigger_id"
    for _ in range(2):
        await client.views_push(trigger_id=slack.new_trigger(ANA), view=modal_view())
    call = client.views_push(trigger_id=slack.new_trigger(ANA), view=modal_view())
    assert await refusal_of(call) == "push_limit_reached"
    assert [view.root for view in slack.modals[ANA]] == [opened["view"]["id"]] * 3


@pytest.mark.parametrize("real", [True, False], ids=["a clock that goes on", "a clock that is set"])
async def test_a_standstill_takes_nothing_from_a_trigger_and_adds_nothing(real: bool) -> None:
    world = World(test_clock() if real else SetClock(1_800_000_000.0))
    async with serve_world(world) as simulator, aiohttp.ClientSession() as http:
        await asyncio.sleep(0.2)  # it looks whether it is held up
        early, late = world.slack.new_trigger(ANA), world.slack.new_trigger(ANA)
        client = web_client(simulator, http)
        world.advance(2.5)
        stand_still(1.0)
        await asyncio.sleep(0)  # which it notices
        await client.views_open(trigger_id=early, view=modal_view())
        world.advance(0.6)
        assert await refusal_of(client.views_push(trigger_id=late, view=modal_view())) == "expired_trigger_id"


async def test_a_view_is_updated_only_with_the_right_hash(client: AsyncWebClient, slack: Workspace) -> None:
    view = (await client.views_open(trigger_id=slack.new_trigger(ANA), view=modal_view()))["view"]
    await client.views_update(view_id=view["id"], hash=view["hash"], view=modal_view("second"))
    call = client.views_update(view_id=view["id"], hash=view["hash"], view=modal_view("third"))
    assert await refusal_of(call) == "hash_conflict"
    assert await refusal_of(client.views_update(view_id="V0", view=modal_view())) == "not_found"


async def test_views_slack_would_not_show_are_refused(client: AsyncWebClient, slack: Workspace) -> None:
    def open_view_with(view: dict[str, Any]) -> Any:
        return client.views_open(trigger_id=slack.new_trigger(ANA), view=view)

    assert await refusal_of(open_view_with(modal_view(private_metadata="x" * 3001))) == "invalid_arguments"
    long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}
    assert await refusal_of(open_view_with(modal_view(blocks=[long] * 90))) == "view_too_large"
    evil = {"type": "section", "text": {"type": "mrkdwn", "text": "<!here>"}}
    assert await refusal_of(open_view_with(modal_view(blocks=[evil]))) == "unescaped_mention"


@pytest.mark.parametrize("view", ["{", "[]", '"modal"', "7", ""])
async def test_a_view_has_to_be_an_object(client: AsyncWebClient, slack: Workspace, view: str) -> None:
    form = {"trigger_id": slack.new_trigger(ANA), "view": view}
    assert await refusal_of(client.api_call("views.open", data=form)) == "invalid_arguments"
    await client.api_call("views.open", data=form | {"view": json.dumps(modal_view())})
    assert slack.top_modal(ANA) is not None


async def test_home_is_published_for_one_person(client: AsyncWebClient, slack: Workspace) -> None:
    await client.views_publish(user_id=ANA, view={"type": "home", "blocks": [SECTION]})
    assert set(slack.homes) == {ANA}
    assert await refusal_of(client.views_publish(user_id="U0", view={"type": "home", "blocks": []})) == "user_not_found"


# --- faults


@pytest.mark.parametrize(
    ("fault", "stored"),
    [("500", 0), ("502", 0), ("cut", 0), ("store_then_500", 1), ("store_then_cut", 1), ("invalid_auth", 0), ("429", 0)],
)
async def test_a_fault_spoils_as_many_calls_as_told_and_stores_or_not(
    client: AsyncWebClient, slack: Workspace, fault: str, stored: int
) -> None:
    slack.faults.set_fault(fault, 1)
    with pytest.raises((SlackApiError, aiohttp.ClientError)):
        await client.chat_postMessage(channel=QA_ALERTS, text="x")
    assert len(slack.ledger) == stored
    await client.chat_postMessage(channel=QA_ALERTS, text="x")
    assert [(call.method, call.fault, call.ok) for call in slack.calls] == [
        ("chat.postMessage", fault, False),
        ("chat.postMessage", None, True),
    ]


@pytest.mark.parametrize(("fault", "status", "after"), [("429_fraction", 429, "0.5"), ("ratelimited_200", 200, None)])
async def test_rate_limits_come_in_several_shapes(
    simulator: SimulatorServer,
    http: aiohttp.ClientSession,
    fault: str,
    status: int,
    after: str | None,
) -> None:
    simulator.world.slack.faults.set_fault(fault)
    async with http.post(f"{simulator.url}/api/auth.test") as reply:
        assert (reply.status, reply.headers.get("Retry-After")) == (status, after)
        assert (await reply.json())["error"] == "ratelimited"


async def test_a_slow_call_has_stored_before_it_answers(client: AsyncWebClient, slack: Workspace, world: World) -> None:
    slack.faults.set_fault("slow")
    task = asyncio.create_task(client.chat_postMessage(channel=QA_ALERTS, text="x"))
    await wait_for_change(world, lambda: bool(slack.ledger))
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_fault_can_be_kept_to_some_methods(client: AsyncWebClient, slack: Workspace) -> None:
    slack.faults.set_fault("invalid_auth", only="chat.")
    await client.auth_test()
    assert await refusal_of(client.chat_postMessage(channel=QA_ALERTS, text="x")) == "invalid_auth"


# --- the page's door


async def read_state(simulator: SimulatorServer, http: aiohttp.ClientSession, user: str) -> dict[str, Any]:
    async with http.get(f"{simulator.url}/sim/state", params={"user": user}) as reply:
        assert reply.status == 200
        return dict(await reply.json())


async def post_act(simulator: SimulatorServer, http: aiohttp.ClientSession, name: str, body: Any) -> dict[str, Any]:
    async with http.post(f"{simulator.url}/sim/{name}", data=json.dumps(body)) as reply:
        assert reply.status == 200
        return dict(await reply.json())


async def test_everybody_sees_their_own_channels(simulator: SimulatorServer, http: aiohttp.ClientSession) -> None:
    def ids(seen: dict[str, Any]) -> set[str]:
        return {channel["id"] for channel in seen["channels"]}

    ana, chioma, guest = [await read_state(simulator, http, user) for user in (ANA, CHIOMA, GUEST)]
    assert ids(ana) - ids(chioma) == {INCIDENT_ROOM, "D0ANA"}
    assert ids(guest) == {CHECKOUT_CHANNEL, RANDOM_CHANNEL, "D0GUEST"}
    assert next(each for each in ana["channels"] if each["id"] == "D0ANA") == {
        "id": "D0ANA", "im": True, "name": "zofbot",
    }  # fmt: skip
    assert next(each for each in ana["channels"] if each["id"] == RANDOM_CHANNEL)["bot_is_member"] is False
    assert {user["kind"] for user in ana["users"]} == {"admin", "member", "guest", "external", "bot"}


async def test_the_state_shows_messages_calls_and_faults(
    simulator: SimulatorServer, http: aiohttp.ClientSession, client: AsyncWebClient
) -> None:
    root = (await client.chat_postMessage(channel=QA_ALERTS, text="root", blocks=[SECTION]))["ts"]
    await client.chat_postMessage(channel=QA_ALERTS, text="reply", thread_ts=root)
    await client.chat_postEphemeral(channel=QA_ALERTS, user=ANA, text="psst")
    assert (await post_act(simulator, http, "faults", {"zof": "429", "zof_times": 2, "slack": "none"})) == {"ok": True}
    seen = await read_state(simulator, http, ANA)
    shown = seen["messages"][QA_ALERTS]
    assert [(each["text"], each["reply_count"], each["ephemeral"]) for each in shown] == [
        ("root", 1, False),
        ("reply", 0, False),
        ("psst", 0, True),
    ]
    assert shown[0]["blocks"][0]["type"] == "section"
    assert (shown[0]["bot"], shown[0]["username"], shown[1]["thread_ts"]) == (True, "zofbot", root)
    assert [each["text"] for each in (await read_state(simulator, http, BEN))["messages"][QA_ALERTS]] == [
        "root",
        "reply",
    ]
    assert [call["method"] for call in seen["slack_calls"]][:2] == ["chat.postMessage", "chat.postMessage"]
    assert seen["faults"] == {"zof": "429", "zof_left": 2, "slack": "none", "slack_left": None}
    assert seen["fault_choices"]["zof"][0]["id"] == "none"


async def test_the_clock_moves_forward_only(simulator: SimulatorServer, http: aiohttp.ClientSession) -> None:
    assert await post_act(simulator, http, "clock", {"advance": 60}) == {"ok": True}
    assert (await read_state(simulator, http, ANA))["clock"] == START + 60
    assert (await post_act(simulator, http, "clock", {"advance": -1}))["ok"] is False
    assert (await post_act(simulator, http, "clock", {"advance": "soon"}))["ok"] is False
    assert (await post_act(simulator, http, "clock", {"advance": None}))["ok"] is False


@pytest.mark.parametrize(
    ("name", "body", "word"),
    [
        ("send", {"user": ANA, "channel": QA_ALERTS}, "text"),
        ("send", [], "JSON"),
        ("send", {"user": "U0", "channel": QA_ALERTS, "text": "x"}, "nobody"),
        ("send", {"user": GUEST, "channel": QA_ALERTS, "text": "x"}, "not in that channel"),
        ("send", {"user": ANA, "channel": ARCHIVED, "text": "x"}, "archived"),
        ("send", {"user": ANA, "channel": QA_ALERTS, "text": "/other x"}, "not a valid command"),
        ("send", {"user": ANA, "channel": QA_ALERTS, "text": "/zof x", "thread_ts": "1.0"}, "not supported in threads"),
        ("send", {"user": ANA, "channel": QA_ALERTS, "text": "x", "thread_ts": "1.0"}, "thread is gone"),
        ("dismiss", {"user": ANA, "view_id": "V0"}, "closed"),
        ("press", {"user": ANA, "channel": QA_ALERTS, "ts": "1.0", "action": {}}, "gone"),
        ("press", {"user": ANA, "view_id": "V0", "action": {}}, "closed"),
        ("faults", {"zof": "fire"}, "fire"),
    ],
)
async def test_what_the_client_would_refuse_is_said_in_a_sentence(
    simulator: SimulatorServer, http: aiohttp.ClientSession, name: str, body: Any, word: str
) -> None:
    answer = await post_act(simulator, http, name, body)
    assert answer["ok"] is False
    assert word in answer["error"]


async def test_news_come_at_once_and_after_every_change(
    simulator: SimulatorServer, world: World, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{simulator.url}/sim/live", params={"user": ANA}) as stream:
        assert stream.content_type == "text/event-stream"
        first = json.loads((await stream.content.readline()).removeprefix(b"data: "))
        await stream.content.readline()
        for _ in range(100):
            world.notify_watchers()
        second = json.loads((await stream.content.readline()).removeprefix(b"data: "))
    assert second["version"] >= first["version"] + 100


async def test_more_streams_than_a_browser_opens_are_refused(
    simulator: SimulatorServer, world: World, http: aiohttp.ClientSession
) -> None:
    async def status() -> int:
        async with http.get(f"{simulator.url}/sim/live") as reply:
            return reply.status

    streams = [await http.get(f"{simulator.url}/sim/live") for _ in range(64)]
    assert await status() == 503
    streams.pop().close()
    async with asyncio.timeout(5):
        while await status() == 503:
            world.notify_watchers()  # what is gone shows when something is written to it
            await asyncio.sleep(0.01)
    for stream in streams:
        stream.close()


async def test_a_stream_ends_properly_when_the_stage_stops(
    simulator: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{simulator.url}/sim/live") as stream:
        await stream.content.readline()
        await simulator.stop()
        assert b"data:" not in await stream.content.read()


async def test_the_page_is_served_and_nothing_around_it(
    simulator: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    async with http.get(simulator.url) as reply:
        assert (reply.status, reply.content_type) == (200, "text/html")
    for path in ("/page/nothing.js", "/page/../world.py", "/page/%2e%2e%2fworld.py", "/sim/state?user=U0"):
        async with http.get(simulator.url + path) as reply:
            assert reply.status == 404, path


async def test_stopping_is_quick_and_leaves_no_task_behind(http: aiohttp.ClientSession) -> None:
    world = World(test_clock())
    seed_world(world)
    before = asyncio.all_tasks()
    simulator = SimulatorServer(world)
    await simulator.start()
    app_client = web_client(simulator, http, "xapp-simulated")
    url = (await app_client.apps_connections_open(app_token="xapp-simulated"))["url"]
    socket = await http.ws_connect(url)
    stream = await http.get(f"{simulator.url}/sim/live")
    world.zof.faults.set_fault("hang")
    hanging = asyncio.create_task(http.get(f"{simulator.url}/zof/v1/runs"))
    await wait_for_change(world, lambda: bool(world.slack.lines and world.zof.calls))
    loop = asyncio.get_running_loop()
    started = loop.time()
    await simulator.stop()
    assert loop.time() - started < 2
    stream.close()
    await socket.close()
    await asyncio.gather(hanging, return_exceptions=True)
    await asyncio.sleep(0)
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()
    assert world.slack.lines == []


@pytest.mark.parametrize("host", ["::1", "::", "0.0.0.0"])
async def test_its_url_is_one_of_this_machine_for_every_address(world: World, host: str) -> None:
    simulator = SimulatorServer(world)
    try:
        await simulator.start(host)
    except OSError as error:
        pytest.skip(f"no {host} on this machine: {error.strerror}")
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{simulator.url}/sim/state?user={ANA}") as reply:
            assert reply.status == 200
    finally:
        await simulator.stop()
