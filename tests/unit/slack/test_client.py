"""What the bot says to Slack: how often a private answer is tried, and what Slack leaves out of messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.support.virtual_time import test_clock
from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown
from zofbot.notifications.notification import Receipt
from zofbot.observability.emitter import EventEmitter
from zofbot.simulator.seed import QA_ALERTS
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.state import Workspace
from zofbot.slack.calls import SlackCalls
from zofbot.slack.client import MAX_REPLY_SECONDS, SlackClient, message_metadata
from zofbot.slack.views.blocks import Message


@pytest.fixture
async def notifier(simulator: SimulatorServer, slack: Workspace) -> AsyncIterator[SlackClient]:
    async with aiohttp.ClientSession() as session:
        token = slack.bot_token
        yield SlackClient(
            SlackCalls(
                session,
                token=token,
                api_url=f"{simulator.url}/api/",
                events=EventEmitter(),
                clock=test_clock(),
                deadline=2,
            )
        )


class ResponseUrlServer:
    """A response_url that answers with each status in turn, and then takes what comes."""

    def __init__(self, statuses: Sequence[int]) -> None:
        self.statuses = list(statuses)
        self.retry_after = "0.05"
        self.heard: list[str] = []
        self.url = ""

    async def answer_request(self, request: web.Request) -> web.Response:
        self.heard.append((await request.json())["text"])
        status = self.statuses.pop(0) if self.statuses else 200
        text = {200: "ok", 404: "expired_url"}.get(status, "")
        return web.Response(
            status=status, text=text, headers={"Retry-After": self.retry_after} if status == 429 else {}
        )


@pytest.fixture
async def response_url_server(request: pytest.FixtureRequest) -> AsyncIterator[ResponseUrlServer]:
    response_url_server = ResponseUrlServer(request.param)
    app = web.Application()
    app.router.add_post("/", response_url_server.answer_request)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    response_url_server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield response_url_server
    await runner.cleanup()


@pytest.mark.parametrize(
    ("response_url_server", "times"), [([429], 2), ([500], 2), ([429, 500], 3)], indirect=["response_url_server"]
)
async def test_a_private_answer_is_tried_until_slack_takes_it(
    notifier: SlackClient, response_url_server: ResponseUrlServer, times: int
) -> None:
    await notifier.respond_by_url(response_url_server.url, Message("here"))
    assert response_url_server.heard == ["here"] * times


@pytest.mark.parametrize(
    ("response_url_server", "times"), [([429] * 5, 3), ([404], 1)], indirect=["response_url_server"]
)
async def test_a_private_answer_is_tried_three_times_and_not_where_that_cannot_help(
    notifier: SlackClient, response_url_server: ResponseUrlServer, times: int
) -> None:
    with pytest.raises(SlackError):
        await notifier.respond_by_url(response_url_server.url, Message("here"))
    assert response_url_server.heard == ["here"] * times


@pytest.mark.parametrize("response_url_server", [[429]], indirect=True)
async def test_a_private_answer_does_not_wait_for_longer_than_all_its_attempts_may_take(
    notifier: SlackClient, response_url_server: ResponseUrlServer
) -> None:
    response_url_server.retry_after = "3600"
    async with asyncio.timeout(MAX_REPLY_SECONDS):
        with pytest.raises(SlackDeferred):
            await notifier.respond_by_url(response_url_server.url, Message("here"))
    assert response_url_server.heard == ["here"]


@pytest.mark.parametrize("response_url_server", [[429] * 3], indirect=True)
async def test_a_private_answer_is_not_tried_again_after_all_its_attempts_had_their_time(
    notifier: SlackClient, response_url_server: ResponseUrlServer
) -> None:
    response_url_server.retry_after = "20"
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(SlackDeferred):
        await notifier.respond_by_url(response_url_server.url, Message("here"))
    assert response_url_server.heard == ["here"] * 2
    assert loop.time() - began < MAX_REPLY_SECONDS


@pytest.mark.parametrize("response_url_server", [[429], [500]], indirect=True)
async def test_an_answer_that_all_can_see_is_tried_once(
    notifier: SlackClient, response_url_server: ResponseUrlServer
) -> None:
    with pytest.raises(SlackError):
        await notifier.respond_in_channel(response_url_server.url, Message("here"), message_metadata("key"))
    assert response_url_server.heard == ["here"]


@pytest.fixture
async def lost_thread(notifier: SlackClient) -> str:
    """Timestamp of a message that was posted and deleted."""
    root = await notifier.post_message(QA_ALERTS, Message("root"), message_metadata("r"))
    await notifier.delete_message(root)
    return root.ts


def shown_texts(slack: Workspace) -> list[str]:
    return [message.text for message in slack.ledger if message.is_visible]


@pytest.mark.parametrize("broadcast", [False, True])
@pytest.mark.parametrize("unthreads", [False, True])
async def test_a_reply_to_a_deleted_message_is_refused_and_does_not_stay_in_the_channel(
    notifier: SlackClient, slack: Workspace, lost_thread: str, broadcast: bool, unthreads: bool
) -> None:
    slack.unthreads_replies = unthreads
    with pytest.raises(SlackRefused, match="thread_not_found"):
        await notifier.post_message(
            QA_ALERTS, Message("reply"), message_metadata("p"), thread=lost_thread, broadcast=broadcast
        )
    assert shown_texts(slack) == []


@pytest.mark.parametrize(
    ("fault", "method"),
    [
        *((fault, "conversations.replies") for fault in ("429", "500", "error:missing_scope", "error:not_in_channel")),
        *((fault, "chat.delete") for fault in ("429", "cut")),
    ],
)
async def test_a_reply_outside_its_thread_is_unconfirmed_while_that_cannot_be_mended_and_the_search_mends_it(
    notifier: SlackClient, slack: Workspace, lost_thread: str, fault: str, method: str
) -> None:
    slack.faults.set_fault(fault, 1, method)
    with pytest.raises(SlackUnknown):
        await notifier.post_message(QA_ALERTS, Message("reply"), message_metadata("p"), thread=lost_thread)
    assert shown_texts(slack) == ["reply"]
    with pytest.raises(SlackRefused, match="thread_not_found"):
        await notifier.find_message(QA_ALERTS, "p", 0.0, thread=lost_thread)
    assert shown_texts(slack) == []


async def test_a_reply_outside_its_thread_stays_where_nothing_may_be_deleted_and_is_in_the_log(
    notifier: SlackClient, slack: Workspace, lost_thread: str
) -> None:
    slack.keeps_everything = True
    with capture_logs() as logs, pytest.raises(SlackRefused, match="thread_not_found"):
        await notifier.post_message(QA_ALERTS, Message("reply"), message_metadata("p"), thread=lost_thread)
    assert [line["reason"] for line in logs if line["event"] == "reply outside its thread not deleted"] == [
        "compliance_exports_prevent_deletion"
    ]


@pytest.mark.parametrize(
    ("posted", "calls"),
    [
        ({}, ["chat.postMessage"]),
        ({"message": {"ts": "2.000001", "thread_ts": "1.000001"}}, ["chat.postMessage"]),
        ({"message": {"ts": "2.000001"}}, ["chat.postMessage", "conversations.replies"]),
        ({"message": {"thread_ts": "1.000000"}}, ["chat.postMessage", "conversations.replies"]),
    ],
)
async def test_a_reply_is_looked_for_only_if_its_answer_names_another_thread_and_counts_if_its_parent_exists(
    posted: dict[str, object], calls: list[str]
) -> None:
    answers = {
        "chat.postMessage": {"ok": True, "channel": QA_ALERTS, "ts": "2.000001", **posted},
        "conversations.replies": {"ok": True, "messages": [{"ts": "1.000001"}, {"ts": "2.000001"}]},
    }
    heard: list[str] = []

    async def answer_call(request: web.Request) -> web.Response:
        heard.append(request.match_info["method"])
        return web.json_response(answers[heard[-1]])

    app = web.Application()
    app.router.add_route("*", "/api/{method}", answer_call)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    try:
        async with aiohttp.ClientSession() as session:
            calls_of = SlackCalls(session, token="x", api_url=url, events=EventEmitter(), clock=test_clock())
            sent = await SlackClient(calls_of).post_message(QA_ALERTS, Message("reply"), {}, thread="1.000001")
    finally:
        await runner.cleanup()
    assert sent == Receipt(QA_ALERTS, "2.000001")
    assert heard == calls


async def test_what_slack_leaves_out_of_a_message_is_in_the_log(notifier: SlackClient, slack: Workspace) -> None:
    deep = {"event_type": "x", "event_payload": {"deep": {"er": 1}}}
    with capture_logs() as logs:
        receipt = await notifier.post_message(QA_ALERTS, Message("here"), deep)
        await notifier.update_message(receipt, Message("there"), deep)
    assert [message.text for message in slack.ledger] == ["there"]
    assert [line["warning"] for line in logs if line["event"] == "slack warned"] == ["invalid_metadata_format"] * 2
