"""The pretend Slack's links: which the app is told of, and what it refuses of the app's cards."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.support.recording_app import RecordingApp
from zofbot.simulator.seed import ANA, QA_ALERTS, RANDOM_CHANNEL
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack import payloads
from zofbot.simulator.slack.model import PostedMessage, SharedLinks
from zofbot.simulator.slack.state import Workspace

LINK = "https://app.zof.example/runs/run_1?a=1&b=2"
CARD = {"color": "#d0342c", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Failed"}}]}


@pytest.fixture
def workspace(simulator: SimulatorServer) -> Workspace:
    """A workspace whose app was told of a link in a message, and answered."""
    slack = simulator.world.slack
    slack.unfurl_domains = {"zof.example"}
    slack.add_message(PostedMessage(QA_ALERTS, "1795467000.000001", ANA, f"<{LINK}>"))
    slack.links["id1"] = SharedLinks("conversations_history", QA_ALERTS, "1795467000.000001", [LINK], acknowledged=True)
    slack.links["id2"] = SharedLinks("composer", "COMPOSER", "id2", [LINK], acknowledged=True)
    return slack


async def call_unfurl(slack: Workspace, **given: Any) -> str:
    """What Slack says to ``chat.unfurl``: its word, or nothing."""
    client = AsyncWebClient(token=slack.bot_token, base_url=f"{slack.url}/api/", retry_handlers=[])
    asked = {"unfurl_id": "id1", "source": "conversations_history", "unfurls": {LINK: CARD}} | given
    asked = {name: value for name, value in asked.items() if value is not None}
    try:
        await client.api_call("chat.unfurl", json=asked)
    except SlackApiError as refused:
        return str(refused.response["error"])
    return ""


def unfurled_cards(slack: Workspace) -> list[dict[str, Any]]:
    return slack.messages[QA_ALERTS]["1795467000.000001"].attachments


async def test_cards_stand_beneath_the_message_and_are_changed_by_the_next_ones(workspace: Workspace) -> None:
    assert await call_unfurl(workspace) == ""
    assert await call_unfurl(workspace, unfurls={LINK: CARD | {"color": "#000000"}}) == ""
    [card] = unfurled_cards(workspace)
    assert (card["color"], card["app_unfurl_url"], card["is_app_unfurl"]) == ("#000000", LINK, True)


async def test_a_link_is_named_as_typed_or_as_in_the_event(workspace: Workspace) -> None:
    [told] = payloads.links_event(workspace, ANA, "id1")["links"]
    assert told["url"] == LINK.replace("&", "&amp;")
    assert await call_unfurl(workspace, unfurls={told["url"]: CARD}) == ""
    assert await call_unfurl(workspace, unfurls={LINK: CARD}) == ""
    assert [card["app_unfurl_url"] for card in unfurled_cards(workspace)] == [LINK]


async def test_channel_and_time_stamp_name_the_message_too(workspace: Workspace) -> None:
    place = {"unfurl_id": None, "source": None, "channel": QA_ALERTS, "ts": "1795467000.000001"}
    assert await call_unfurl(workspace, **place) == ""
    assert len(unfurled_cards(workspace)) == 1


async def test_what_is_still_being_written_takes_cards_that_nobody_else_sees(workspace: Workspace) -> None:
    assert await call_unfurl(workspace, unfurl_id="id2", source="composer") == ""
    assert unfurled_cards(workspace) == []


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"unfurl_id": None}, "missing_unfurl_id"),
        ({"source": None}, "missing_source"),
        ({"source": "composer"}, "invalid_unfurl_id"),
        ({"source": "somewhere"}, "invalid_source"),
        ({"unfurl_id": "id9"}, "invalid_unfurl_id"),
        ({"unfurl_id": None, "source": None}, "missing_channel"),
        ({"unfurl_id": None, "source": None, "channel": QA_ALERTS}, "missing_ts"),
        ({"unfurl_id": None, "source": None, "channel": "C0NONE", "ts": "1.2"}, "cannot_find_channel"),
        ({"unfurl_id": None, "source": None, "channel": QA_ALERTS, "ts": "1.2"}, "cannot_find_message"),
        ({"unfurls": None}, "missing_unfurls"),
        ({"unfurls": "{"}, "invalid_unfurls_format"),
        ({"unfurls": [CARD]}, "invalid_unfurls_format"),
        ({"unfurls": {LINK: {}}}, "cannot_parse_attachment"),
        ({"unfurls": {LINK: {"blocks": [{"type": "input"}]}}}, "invalid_blocks"),
        ({"unfurls": {LINK: {"text": "<!channel>"}}}, "unescaped_mention"),
        ({"unfurls": {"https://app.zof.example/other": CARD}}, "cannot_unfurl_message"),
        ({"unfurls": {"https://elsewhere.example/": CARD}}, "cannot_unfurl_url"),
        ({"unfurls": {"https://zof.example.evil.test/": CARD}}, "cannot_unfurl_url"),
        ({"unfurls": {"https://[": CARD}}, "cannot_unfurl_url"),
    ],
)
async def test_it_refuses_what_slack_refuses(workspace: Workspace, given: dict[str, Any], error: str) -> None:
    assert await call_unfurl(workspace, **given) == error
    assert unfurled_cards(workspace) == []


async def test_a_message_that_was_deleted_takes_no_cards(workspace: Workspace) -> None:
    workspace.messages[QA_ALERTS]["1795467000.000001"].deleted = True
    assert await call_unfurl(workspace) == "cannot_find_message"


async def test_a_press_on_a_card_does_not_let_the_app_rewrite_the_message_above_it(
    simulator: SimulatorServer, recording_app: RecordingApp, workspace: Workspace
) -> None:
    button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
    assert await call_unfurl(workspace, unfurls={LINK: {"blocks": [{"type": "actions", "elements": [button]}]}}) == ""
    await simulator.people.press_element(ANA, {"action_id": "go"}, channel=QA_ALERTS, ts="1795467000.000001")
    answered = await AsyncWebhookClient(recording_app.last_payload["response_url"]).send(
        text="mine now", replace_original=True
    )
    assert (answered.status_code, answered.body) == (400, "cant_update_message")
    assert workspace.messages[QA_ALERTS]["1795467000.000001"].text == f"<{LINK}>"


async def test_before_the_event_is_acknowledged_nothing_unfurls(workspace: Workspace) -> None:
    workspace.links["id1"].acknowledged = False
    assert await call_unfurl(workspace) == "cannot_unfurl_url"


async def test_it_takes_a_scope_of_its_own(workspace: Workspace) -> None:
    workspace.scopes.discard("links:write")
    assert await call_unfurl(workspace) == "missing_scope"


@pytest.fixture
def linked(simulator: SimulatorServer) -> Workspace:
    slack = simulator.world.slack
    slack.events.add("link_shared")
    slack.unfurl_domains = {"zof.example"}
    return slack


async def test_the_app_hears_of_links_of_its_domains_also_where_it_is_no_member(
    simulator: SimulatorServer, recording_app: RecordingApp, linked: Workspace
) -> None:  # fmt: skip
    typed = f"see {LINK} and https://else.example/ and {LINK} and https://zof.example/x"
    assert (await simulator.people.type_text(ANA, RANDOM_CHANNEL, typed)).is_accepted
    event = recording_app.last_payload["event"]
    [(identifier, shared)] = linked.links.items()
    assert event["type"] == "link_shared"
    assert (event["user"], event["channel"], event["is_bot_user_member"]) == (ANA, RANDOM_CHANNEL, False)
    assert (event["source"], event["unfurl_id"]) == ("conversations_history", identifier)
    assert event["message_ts"] in linked.messages[RANDOM_CHANNEL]
    assert event["links"] == [
        {"url": LINK.replace("&", "&amp;"), "domain": "app.zof.example"},
        {"url": "https://zof.example/x", "domain": "zof.example"},
    ]
    assert shared.acknowledged


async def test_it_hears_of_a_draft_without_its_channel(
    simulator: SimulatorServer, recording_app: RecordingApp, linked: Workspace
) -> None:
    await simulator.people.draft_message(ANA, LINK)
    event = recording_app.last_payload["event"]
    assert (event["channel"], event["source"]) == ("COMPOSER", "composer")
    assert event["message_ts"] == event["unfurl_id"]
    assert linked.messages.get("COMPOSER") is None


@pytest.mark.parametrize("lacking", ["event", "scope", "domain"])
async def test_it_hears_of_none_unless_it_asked_and_may(
    simulator: SimulatorServer, recording_app: RecordingApp, linked: Workspace, lacking: str
) -> None:  # fmt: skip
    linked.events -= {"link_shared"} if lacking == "event" else set()
    linked.scopes -= {"links:read"} if lacking == "scope" else set()
    linked.unfurl_domains -= {"zof.example"} if lacking == "domain" else set()
    await simulator.people.type_text(ANA, QA_ALERTS, LINK)
    assert recording_app.requests == []
