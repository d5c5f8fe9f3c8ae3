"""What people do in the pretend Slack, and how it reaches a bot: over signed HTTP and over Socket Mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.support.recording_app import Json, RecordingApp, notice_to
from tests.support.world_changes import wait_for_change
from zofbot.simulator.seed import ANA, BEN, CHECKOUT_CHANNEL, INCIDENT_ROOM, QA_ALERTS, RANDOM_CHANNEL
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.chat_api import post_message, update_message
from zofbot.simulator.slack.model import BOT_USER_ID, PostedMessage
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.slack.views_api import open_view, publish_view
from zofbot.simulator.world import World


def visible_messages(simulator: SimulatorServer, channel: str, user: str = ANA) -> list[PostedMessage]:
    messages = simulator.world.slack.messages.get(channel, {}).values()
    return [each for each in messages if not each.deleted and each.only_to in ("", user)]


def visible_texts(simulator: SimulatorServer, channel: str, user: str = ANA) -> list[str]:
    return [each.text for each in visible_messages(simulator, channel, user)]


# --- slash commands


async def test_a_slash_command_arrives_signed_and_complete(
    simulator: SimulatorServer, recording_app: RecordingApp
) -> None:
    outcome = await simulator.people.type_text(ANA, QA_ALERTS, "/zof result res_4821 share")
    assert (outcome.status, outcome.is_accepted) == (200, True)
    assert (recording_app.last_payload["command"], recording_app.last_payload["text"]) == (
        "/zof",
        "result res_4821 share",
    )
    assert (recording_app.last_payload["channel_id"], recording_app.last_payload["channel_name"]) == (
        QA_ALERTS,
        "qa-alerts",
    )
    assert (recording_app.last_payload["user_id"], recording_app.last_payload["user_name"]) == (ANA, "ana")
    assert {"token", "team_id", "team_domain", "api_app_id", "response_url", "trigger_id"} < set(
        recording_app.last_payload
    )
    assert visible_texts(simulator, QA_ALERTS) == []


@pytest.mark.parametrize(
    ("typed", "arrives"),
    [
        ("@ben in #search", "<@U0BEN|ben> in <#C0SEARCH|search>"),
        ("@oncall-checkout", "<!subteam^S0ONCALL|@oncall-checkout>"),
        ("<@U0BEN>", "<@U0BEN>"),
        ("a < b & c @nobody", "a &lt; b &amp; c @nobody"),
        ("https://a.example/?a=1&b=2", "<https://a.example/?a=1&amp;b=2>"),
    ],
)
async def test_people_and_channels_are_escaped_as_the_manifest_asks(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp, typed: str, arrives: str
) -> None:
    await simulator.people.type_text(ANA, QA_ALERTS, f"/zof {typed}")
    assert recording_app.last_payload["text"] == arrives
    slack.should_escape = False
    await simulator.people.type_text(ANA, QA_ALERTS, f"/zof {typed}")
    assert recording_app.last_payload["text"] == typed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def test_an_acknowledgement_is_shown_only_to_who_typed(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp
) -> None:
    recording_app.answers = [
        web.json_response({"text": "a card", "blocks": [{"type": "divider"}]}),
        web.Response(text="plain"),
    ]
    await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")
    await simulator.people.type_text(ANA, QA_ALERTS, "/zof b")
    assert visible_texts(simulator, QA_ALERTS) == ["a card", "plain"]
    assert visible_texts(simulator, QA_ALERTS, BEN) == []
    assert slack.ledger == []


async def test_an_acknowledgement_in_channel_shows_the_command_too(
    simulator: SimulatorServer, recording_app: RecordingApp
) -> None:
    recording_app.answers = [web.json_response({"text": "a card", "response_type": "in_channel"})]
    await simulator.people.type_text(ANA, RANDOM_CHANNEL, "/zof a")
    assert visible_texts(simulator, RANDOM_CHANNEL, BEN) == ["/zof a", "a card"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"text": "x", "blocks": [{"type": "ruler"}]}, "invalid_blocks"),
        ({"text": "<!channel>"}, "unescaped_mention"),
        ({"text": "x", "response_type": "loud"}, "invalid_response_type"),
    ],
)
async def test_an_acknowledgement_slack_cannot_show_is_not_shown(
    simulator: SimulatorServer, recording_app: RecordingApp, answer: Json, error: str
) -> None:
    recording_app.answers = [web.json_response(answer)]
    await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")
    assert visible_texts(simulator, QA_ALERTS) == []
    assert notice_to(simulator) == f'/zof failed with the error "{error}"'


async def test_no_acknowledgement_in_time_is_a_timeout(simulator: SimulatorServer, recording_app: RecordingApp) -> None:
    async def late(payload: Json) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    simulator.people.delivery.within = 0.1
    recording_app.answers = [late]
    outcome = await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")
    assert (outcome.status, outcome.error) == (None, "operation_timeout")
    assert notice_to(simulator) == '/zof failed with the error "operation_timeout"'
    await simulator.people.type_text(ANA, QA_ALERTS, "/zof b")
    assert notice_to(simulator) == ""


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_a_refusal_is_a_failed_dispatch(
    simulator: SimulatorServer, recording_app: RecordingApp, status: int
) -> None:
    recording_app.answers = [web.Response(status=status)]
    await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")
    assert notice_to(simulator) == '/zof failed with the error "dispatch_failed"'


async def test_a_bot_nobody_can_reach_is_a_failed_dispatch(simulator: SimulatorServer, slack: Workspace) -> None:
    for url in ("", "http://127.0.0.1:9/"):
        slack.request_url = url
        assert (await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")).error == "dispatch_failed"


async def test_requests_can_be_spoilt_for_a_test(simulator: SimulatorServer, recording_app: RecordingApp) -> None:
    payload = {"command": "/zof"}
    assert (await simulator.people.deliver_payload("slash_commands", payload)).status == 200
    unsigned = await simulator.people.deliver_payload("slash_commands", payload, headers={"X-Slack-Signature": None})
    old = await simulator.people.deliver_payload(
        "slash_commands", payload, headers={"X-Slack-Request-Timestamp": "1000000000"}
    )
    swapped = await simulator.people.deliver_payload("slash_commands", payload, body=b"other=bytes")
    assert [unsigned.status, old.status, swapped.status] == [401, 401, 200]
    assert recording_app.last_payload == {"other": "bytes"}


# --- response URLs


async def test_a_response_url_adds_to_the_acknowledgement_and_works_five_times(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp
) -> None:
    recording_app.answers = [web.json_response({"text": "still asking"})]
    await simulator.people.type_text(ANA, INCIDENT_ROOM, "/zof a")
    hook = AsyncWebhookClient(recording_app.last_payload["response_url"])
    assert (await hook.send(text="done", replace_original=True)).body == "ok"
    assert visible_texts(simulator, INCIDENT_ROOM) == ["still asking", "done"]
    await hook.send(text="to all", response_type="in_channel")
    assert visible_texts(simulator, INCIDENT_ROOM, BEN) == ["to all"]
    assert (await hook.send(text="x", blocks=[{"type": "ruler"}])).body == "invalid_blocks"
    await hook.send(delete_original=True)
    assert visible_texts(simulator, INCIDENT_ROOM) == ["still asking", "done", "to all"]
    await hook.send(text="fifth")
    late = await hook.send(text="sixth")
    assert (late.status_code, late.body) == (404, "used_url")
    assert [message.text for message in slack.ledger] == ["to all"]


async def test_a_response_url_expires_after_half_an_hour(
    simulator: SimulatorServer, world: World, recording_app: RecordingApp
) -> None:
    await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")
    hook = AsyncWebhookClient(recording_app.last_payload["response_url"])
    world.advance(30 * 60 - 60)
    assert (await hook.send(text="x")).status_code == 200
    world.advance(61)
    late = await hook.send(text="x")
    assert (late.status_code, late.body) == (404, "Expired url")


async def test_a_response_url_can_answer_into_a_thread(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp
) -> None:
    root = post_message(slack, {"channel": QA_ALERTS, "text": "root"})["ts"]
    await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")
    async with aiohttp.ClientSession() as session:
        body = {"text": "reply", "thread_ts": root, "response_type": "in_channel"}
        async with session.post(recording_app.last_payload["response_url"], json=body) as reply:
            assert reply.status == 200
        async with session.post(recording_app.last_payload["response_url"], data="{") as reply:
            assert (reply.status, await reply.text()) == (400, "invalid_payload")
    assert visible_messages(simulator, QA_ALERTS)[-1].thread_ts == root


# --- pressing


BUTTON = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}, "value": "7"}
CARD = [{"type": "actions", "block_id": "row", "elements": [BUTTON]}]
MENU = {
    "type": "overflow",
    "action_id": "more",
    "options": [{"text": {"type": "plain_text", "text": value}, "value": value} for value in ("one", "two")],
}


async def test_a_press_in_a_message_says_what_where_and_by_whom(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp
) -> None:
    ts = post_message(slack, {"channel": QA_ALERTS, "text": "card", "blocks": CARD})["ts"]
    await simulator.people.press_element(BEN, {"action_id": "go", "block_id": "row"}, channel=QA_ALERTS, ts=ts)
    assert recording_app.last_payload["type"] == "block_actions"
    assert recording_app.last_payload["user"]["id"] == BEN
    assert (recording_app.last_payload["container"]["message_ts"], recording_app.last_payload["message"]["ts"]) == (
        ts,
        ts,
    )
    assert recording_app.last_payload["container"]["is_ephemeral"] is False
    action = recording_app.last_payload["actions"][0]
    assert (action["action_id"], action["block_id"], action["value"], action["type"]) == ("go", "row", "7", "button")
    hook = AsyncWebhookClient(recording_app.last_payload["response_url"])
    await hook.send(text="changed", replace_original=True)
    assert visible_texts(simulator, QA_ALERTS) == ["changed"]


async def test_a_press_in_a_private_message_comes_without_the_message(
    simulator: SimulatorServer, recording_app: RecordingApp
) -> None:
    attached = {"text": "card", "attachments": [{"color": "#d0342c", "blocks": CARD}]}
    recording_app.answers = [web.json_response(attached)]
    await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")
    ts = visible_messages(simulator, QA_ALERTS)[0].ts
    await simulator.people.press_element(ANA, {"action_id": "go"}, channel=QA_ALERTS, ts=ts)
    assert "message" not in recording_app.last_payload
    assert recording_app.last_payload["container"]["is_ephemeral"] is True
    with pytest.raises(ValueError, match="gone"):
        await simulator.people.press_element(BEN, {"action_id": "go"}, channel=QA_ALERTS, ts=ts)


async def test_a_choice_has_to_be_offered(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp
) -> None:
    blocks = [{"type": "actions", "elements": [MENU]}]
    ts = post_message(slack, {"channel": QA_ALERTS, "text": "card", "blocks": blocks})["ts"]
    chosen = {"action_id": "more", "selected_option": MENU["options"][1]}
    await simulator.people.press_element(ANA, chosen, channel=QA_ALERTS, ts=ts)
    assert recording_app.last_payload["actions"][0]["selected_option"]["value"] == "two"
    other = {"action_id": "more", "selected_option": {"value": "three"}}
    with pytest.raises(ValueError, match="not offered"):
        await simulator.people.press_element(ANA, other, channel=QA_ALERTS, ts=ts)
    with pytest.raises(ValueError, match="nothing like that"):
        await simulator.people.press_element(ANA, {"action_id": "stop"}, channel=QA_ALERTS, ts=ts)


async def test_what_a_client_still_shows_can_be_pressed(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp
) -> None:
    """Whoever presses a button just as the message or Home is replaced presses the one that they see."""
    blocks = [{"type": "actions", "elements": [BUTTON]}]
    view = {"type": "home", "blocks": blocks}
    home = publish_view(slack, {"user_id": ANA, "view": view})["view"]
    ts = post_message(slack, {"channel": QA_ALERTS, "text": "card", "blocks": blocks})["ts"]
    message = slack.find_message(QA_ALERTS, ts)
    assert message is not None
    shown = [(home["blocks"][0]["block_id"], {"view_id": home["id"]})]
    shown += [(message.blocks[0]["block_id"], {"channel": QA_ALERTS, "ts": ts})]
    for _ in range(2):
        publish_view(slack, {"user_id": ANA, "view": view})
        update_message(slack, {"channel": QA_ALERTS, "ts": ts, "text": "card", "blocks": blocks})
    for block_id, place in shown:
        await simulator.people.press_element(ANA, {"action_id": "go", "block_id": block_id}, **place)
        assert recording_app.last_payload["actions"][0]["block_id"] == block_id
        with pytest.raises(ValueError, match="nothing like that"):
            await simulator.people.press_element(ANA, {"action_id": "go", "block_id": "other"}, **place)


async def test_a_press_nobody_answers_is_noticed(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp
) -> None:
    ts = post_message(slack, {"channel": QA_ALERTS, "text": "card", "blocks": CARD})["ts"]
    recording_app.answers = [web.Response(status=500)]
    await simulator.people.press_element(ANA, {"action_id": "go"}, channel=QA_ALERTS, ts=ts)
    assert "did not respond" in notice_to(simulator)


async def test_a_message_shortcut_brings_the_message(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp
) -> None:
    ts = post_message(slack, {"channel": QA_ALERTS, "text": "card"})["ts"]
    with pytest.raises(ValueError, match="no such shortcut"):
        await simulator.people.use_shortcut(ANA, QA_ALERTS, ts, "triage")
    slack.shortcuts = [{"name": "Triage", "type": "message", "callback_id": "triage"}]
    await simulator.people.use_shortcut(ANA, QA_ALERTS, ts, "triage")
    assert (recording_app.last_payload["type"], recording_app.last_payload["callback_id"]) == (
        "message_action",
        "triage",
    )
    assert recording_app.last_payload["message"]["ts"] == ts
    assert notice_to(simulator) == ""
    recording_app.answers = [web.Response(status=500)]
    await simulator.people.use_shortcut(ANA, QA_ALERTS, ts, "triage")
    assert "did not respond" in notice_to(simulator)


# --- modals and Home


def modal_view(title: str = "Title", **more: Any) -> Json:
    field = {"type": "input", "block_id": "why", "label": {"type": "plain_text", "text": "Why"}}
    field["element"] = {"type": "plain_text_input", "action_id": "text"}
    text = {name: {"type": "plain_text", "text": value} for name, value in (("title", title), ("submit", "Go"))}
    return {"type": "modal", **text, "callback_id": "ask", "blocks": [field], **more}


@pytest.fixture
def view_id(slack: Workspace) -> str:
    return str(
        open_view(slack, {"trigger_id": slack.new_trigger(ANA), "view": modal_view(private_metadata="m")})["view"]["id"]
    )


def typed_values(text: str) -> Json:
    return {"why": {"text": {"type": "plain_text_input", "value": text}}}


async def test_a_submission_carries_what_was_typed_and_closes_the_modal(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp, view_id: str
) -> None:
    await simulator.people.submit_view(ANA, view_id, typed_values("because"))
    assert recording_app.last_payload["type"] == "view_submission"
    assert recording_app.last_payload["view"]["private_metadata"] == "m"
    assert recording_app.last_payload["view"]["state"]["values"]["why"]["text"]["value"] == "because"
    assert slack.top_modal(ANA) is None


async def test_a_required_field_is_asked_for_without_the_bot(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp, view_id: str
) -> None:
    await simulator.people.submit_view(ANA, view_id, {})
    assert recording_app.requests == []
    view = slack.top_modal(ANA)
    assert view is not None
    assert view.errors == {"why": "Please complete this required field."}


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        ({"response_action": "errors", "errors": {"why": "No."}}, (["Title"], {"why": "No."})),
        ({"response_action": "errors", "errors": {"other": "No."}}, (["Title"], "trouble")),
        ({"response_action": "update", "view": modal_view("New")}, (["New"], None)),
        ({"response_action": "update", "view": {"type": "modal"}}, (["Title"], "trouble")),
        ({"response_action": "push", "view": modal_view("On top")}, (["Title", "On top"], None)),
        ({"response_action": "clear"}, ([], None)),
    ],
)
async def test_a_submission_is_answered_as_slack_does(
    simulator: SimulatorServer,
    recording_app: RecordingApp,
    view_id: str,
    answer: Json,
    after: tuple[list[str], Json | str | None],
) -> None:
    titles, then = after
    recording_app.answers = [web.json_response(answer)]
    await simulator.people.submit_view(ANA, view_id, typed_values("x"))
    stack = simulator.world.slack.modals[ANA]
    assert [view.payload["title"]["text"] for view in stack] == titles
    assert (stack[0].errors if stack else None) == (then if isinstance(then, dict) else None)
    assert ("trouble" in notice_to(simulator)) is (then == "trouble")


async def test_closing_a_modal_is_told_only_when_asked_for(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp, view_id: str
) -> None:
    with pytest.raises(ValueError, match="closed"):
        await simulator.people.dismiss_view(BEN, view_id)
    await simulator.people.dismiss_view(ANA, view_id)
    assert (simulator.world.slack.top_modal(ANA), recording_app.requests) == (None, [])
    view = open_view(slack, {"trigger_id": slack.new_trigger(ANA), "view": modal_view(notify_on_close=True)})["view"]
    await simulator.people.dismiss_view(ANA, view["id"])
    assert (recording_app.last_payload["type"], recording_app.last_payload["is_cleared"]) == ("view_closed", False)


async def test_a_modal_can_take_those_beneath_it_with_it(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp, view_id: str
) -> None:
    recording_app.answers = [
        web.json_response({"response_action": "push", "view": modal_view(clear_on_close=True, notify_on_close=True)})
    ]
    await simulator.people.submit_view(ANA, view_id, typed_values("x"))
    assert len(slack.modals[ANA]) == 2
    async with aiohttp.ClientSession() as page:
        dismissal = {"user": ANA, "view_id": slack.modals[ANA][-1].id}
        async with page.post(f"{simulator.url}/sim/dismiss", json=dismissal) as reply:
            assert await reply.json() == {"ok": True}
    assert slack.modals[ANA] == []
    assert (recording_app.last_payload["type"], recording_app.last_payload["is_cleared"]) == ("view_closed", True)


async def test_home_is_opened_and_pressed(
    simulator: SimulatorServer, slack: Workspace, recording_app: RecordingApp
) -> None:
    await simulator.people.open_home(ANA)
    assert recording_app.last_payload["event"]["type"] == "app_home_opened"
    home = publish_view(slack, {"user_id": ANA, "view": {"type": "home", "blocks": CARD}})["view"]
    await simulator.people.press_element(ANA, {"action_id": "go"}, view_id=home["id"])
    assert (recording_app.last_payload["container"], recording_app.last_payload["view"]["type"]) == (
        {"type": "view", "view_id": home["id"]},
        "home",
    )
    assert "response_url" not in recording_app.last_payload
    slack.events.discard("app_home_opened")
    before = len(recording_app.requests)
    assert (await simulator.people.open_home(ANA)).is_accepted
    assert len(recording_app.requests) == before, "a bot that did not ask hears nothing"


# --- events


async def test_a_mention_is_told_where_the_bot_is_a_member(
    simulator: SimulatorServer, recording_app: RecordingApp
) -> None:
    await simulator.people.type_text(ANA, QA_ALERTS, "nothing for you")
    await simulator.people.type_text(ANA, RANDOM_CHANNEL, "@zofbot are you here?")
    assert recording_app.requests == []
    await simulator.people.type_text(ANA, CHECKOUT_CHANNEL, "@zofbot ack")
    root = visible_messages(simulator, CHECKOUT_CHANNEL)[0].ts
    assert (recording_app.last_payload["type"], recording_app.last_payload["event"]["type"]) == (
        "event_callback",
        "app_mention",
    )
    assert recording_app.last_payload["event"]["text"] == f"<@{BOT_USER_ID}> ack"
    assert "channel_type" not in recording_app.last_payload["event"]
    await simulator.people.type_text(ANA, CHECKOUT_CHANNEL, "@zofbot why", thread_ts=root)
    assert recording_app.last_payload["event"]["thread_ts"] == root
    await simulator.people.type_text(ANA, "D0ANA", "hello")
    assert (recording_app.last_payload["event"]["type"], recording_app.last_payload["event"]["channel_type"]) == (
        "message",
        "im",
    )


async def test_an_event_is_repeated_until_it_is_taken(simulator: SimulatorServer, recording_app: RecordingApp) -> None:
    recording_app.answers = [web.Response(status=500), web.Response(status=500)]
    assert (await simulator.people.open_home(ANA)).is_accepted
    assert [headers.get("X-Slack-Retry-Num") for headers, _ in recording_app.requests] == [None, "1", "2"]
    assert recording_app.requests[1][0]["X-Slack-Retry-Reason"] == "http_error"
    assert len({payload["event_id"] for _, payload in recording_app.requests}) == 1


async def test_an_event_is_repeated_three_times_at_most_or_not_at_all(
    simulator: SimulatorServer, recording_app: RecordingApp
) -> None:
    recording_app.answers = [web.Response(status=500) for _ in range(5)]
    await simulator.people.open_home(ANA)
    assert len(recording_app.requests) == 4
    recording_app.answers = [web.Response(status=500, headers={"X-Slack-No-Retry": "1"})]
    await simulator.people.open_home(ANA)
    assert len(recording_app.requests) == 5


# --- Socket Mode, with Slack's own client at the other end


@pytest.fixture
async def bolt(simulator: SimulatorServer, slack: Workspace, world: World) -> AsyncIterator[AsyncApp]:
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(
            token="xoxb-simulated", base_url=f"{simulator.url}/api/", session=session, retry_handlers=[]
        )
        app = AsyncApp(client=client, process_before_response=True, request_verification_enabled=False)
        handler = AsyncSocketModeHandler(app, "xapp-simulated", web_client=client)
        await handler.connect_async()  # type: ignore[no-untyped-call] # slack_bolt has no types here
        await wait_for_change(world, lambda: bool(slack.lines))
        yield app
        await handler.close_async()  # type: ignore[no-untyped-call] # likewise
        monitor = handler.client.current_session_monitor
        await asyncio.gather(*([monitor] if monitor else []), return_exceptions=True)


async def test_a_command_a_press_a_modal_and_an_event_go_round_over_socket_mode(
    simulator: SimulatorServer, slack: Workspace, bolt: AsyncApp
) -> None:
    mentions: list[str] = []

    @bolt.command("/zof")
    async def command(ack: Any) -> None:
        await ack(text="card", blocks=CARD)

    @bolt.action("go")
    async def press(ack: Any, body: Json, client: AsyncWebClient, respond: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=modal_view())
        await respond(text="opened", replace_original=True)

    @bolt.view("ask")
    async def submit(ack: Any) -> None:
        await ack(response_action="errors", errors={"why": "Not yet."})

    @bolt.event("app_mention")
    async def mentioned(event: Json) -> None:
        mentions.append(event["text"])

    assert (await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")).is_accepted
    card = visible_messages(simulator, QA_ALERTS)[0]
    assert (await simulator.people.press_element(ANA, {"action_id": "go"}, channel=QA_ALERTS, ts=card.ts)).is_accepted
    assert card.text == "opened"
    view = slack.top_modal(ANA)
    assert view is not None
    await simulator.people.submit_view(ANA, view.id, typed_values("x"))
    assert view.errors == {"why": "Not yet."}
    await simulator.people.type_text(ANA, QA_ALERTS, "@zofbot ack")
    assert mentions == [f"<@{BOT_USER_ID}> ack"]


async def test_a_command_nobody_listens_to_is_not_acknowledged_over_socket_mode(
    simulator: SimulatorServer, bolt: AsyncApp
) -> None:
    simulator.people.delivery.within = 0.2
    assert (await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")).error == "operation_timeout"


async def socket_address(simulator: SimulatorServer, session: aiohttp.ClientSession) -> str:
    """Where Slack's answer says that one more connection may be opened."""
    headers = {"Authorization": "Bearer xapp-simulated"}
    async with session.post(f"{simulator.url}/api/apps.connections.open", headers=headers) as reply:
        return str((await reply.json())["url"])


async def test_a_ticket_admits_once(simulator: SimulatorServer) -> None:
    async with aiohttp.ClientSession() as session:
        url = await socket_address(simulator, session)
        async with session.ws_connect(url) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url)


Opened = Callable[..., Awaitable[aiohttp.ClientWebSocketResponse]]


@pytest.fixture
async def opened(simulator: SimulatorServer) -> AsyncIterator[Opened]:
    """Opens one more connection, and sees how it is greeted."""
    async with aiohttp.ClientSession() as session:

        async def one(greeting: str = "hello") -> aiohttp.ClientWebSocketResponse:
            socket = await session.ws_connect(await socket_address(simulator, session))
            assert (await socket.receive_json())["type"] == greeting
            return socket

        yield one


async def test_a_client_that_is_sent_away_comes_back_once(
    simulator: SimulatorServer, slack: Workspace, world: World, bolt: AsyncApp
) -> None:
    @bolt.command("/zof")
    async def command(ack: Any) -> None:
        await ack("back")

    before = list(slack.lines)
    await simulator.sockets.refresh_connections()
    await wait_for_change(world, lambda: bool(slack.lines))
    assert not set(before) & set(slack.lines)
    await simulator.people.type_text(ANA, QA_ALERTS, "/zof a")
    assert visible_texts(simulator, QA_ALERTS) == ["back"]
    assert [call.method for call in slack.calls].count("apps.connections.open") == 2


async def test_a_client_that_does_not_leave_is_closed_and_what_it_owes_fails(
    simulator: SimulatorServer, slack: Workspace, opened: Opened
) -> None:
    socket = await opened()
    command = asyncio.create_task(simulator.people.type_text(ANA, QA_ALERTS, "/zof a"))
    assert (await socket.receive_json())["type"] == "slash_commands"
    await simulator.sockets.refresh_connections(grace=0)
    assert (await command).error == "operation_timeout"
    goodbye = await socket.receive_json()
    assert (goodbye["type"], goodbye["reason"]) == ("disconnect", "refresh_requested")
    assert (await socket.receive(5)).type is aiohttp.WSMsgType.CLOSE
    assert slack.lines == []


async def test_an_eleventh_connection_is_sent_away(slack: Workspace, opened: Opened) -> None:
    ten = [await opened() for _ in range(10)]
    eleventh = await opened("disconnect")
    assert (await eleventh.receive(5)).type is aiohttp.WSMsgType.CLOSE
    assert [socket.closed for socket in ten] == [False] * 10
    assert len(slack.lines) == 10
