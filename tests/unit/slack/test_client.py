"""What the bot says to Slack: how often a private answer is tried, and what Slack leaves out of a message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from zofbot.clock import Clock
from zofbot.domain.errors import SlackError
from zofbot.observability.emitter import EventEmitter
from zofbot.simulator.seed import QA_ALERTS
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.state import Workspace
from zofbot.slack.calls import SlackCalls
from zofbot.slack.client import SlackClient, message_metadata
from zofbot.slack.views.blocks import Message


@pytest.fixture
async def notifier(simulator: SimulatorServer, slack: Workspace) -> AsyncIterator[SlackClient]:
    async with aiohttp.ClientSession() as session:
        token = slack.bot_token
        yield SlackClient(
            SlackCalls(
                session, token=token, api_url=f"{simulator.url}/api/", events=EventEmitter(), clock=Clock(), deadline=2
            )
        )


class ResponseUrlServer:
    """A response_url that answers with each status in turn, and then takes what comes."""

    def __init__(self, statuses: Sequence[int]) -> None:
        self.statuses = list(statuses)
        self.heard: list[str] = []
        self.url = ""

    async def answer_request(self, request: web.Request) -> web.Response:
        self.heard.append((await request.json())["text"])
        status = self.statuses.pop(0) if self.statuses else 200
        text = {200: "ok", 404: "expired_url"}.get(status, "")
        return web.Response(status=status, text=text, headers={"Retry-After": "0.05"} if status == 429 else {})


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


@pytest.mark.parametrize("response_url_server", [[429], [500]], indirect=True)
async def test_an_answer_that_all_can_see_is_tried_once(
    notifier: SlackClient, response_url_server: ResponseUrlServer
) -> None:
    with pytest.raises(SlackError):
        await notifier.respond_in_channel(response_url_server.url, Message("here"), message_metadata("key"))
    assert response_url_server.heard == ["here"]


async def test_what_slack_leaves_out_of_a_message_is_in_the_log(notifier: SlackClient, slack: Workspace) -> None:
    deep = {"event_type": "x", "event_payload": {"deep": {"er": 1}}}
    with capture_logs() as logs:
        receipt = await notifier.post_message(QA_ALERTS, Message("here"), deep)
        await notifier.update_message(receipt, Message("there"), deep)
    assert [message.text for message in slack.ledger] == ["there"]
    assert [line["warning"] for line in logs if line["event"] == "slack warned"] == ["invalid_metadata_format"] * 2
