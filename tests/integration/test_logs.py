"""Logs: one line a thing, and no secret in any of them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import structlog
from slack_bolt.async_app import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.triage import BOT
from zofbot.clients import Clients, make_zof_client
from zofbot.concurrency import BackgroundTasks
from zofbot.container import Services
from zofbot.domain.errors import ZofRejected
from zofbot.listeners import SlackApp
from zofbot.listeners.context import ListenerContext
from zofbot.observability.log_config import configure_logging
from zofbot.simulator.slack import payloads
from zofbot.simulator.slack.model import PostedMessage, View
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.triage import several_failures
from zofbot.slack.views.triage.several_failures import SeveralFormState

T = TypeVar("T")

KNOWN = "correct-horse-battery"
PLANTED = [KNOWN, "hunter2hunter2", "abcDEF123456", "eyJzdWIiOiIxIn0"]


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    root = logging.getLogger()
    before, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = before, level
    structlog.configure(**config)


def written_lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def log_secrets(log: structlog.typing.FilteringBoundLogger) -> None:
    """Log secrets in every way there is."""
    log.info("calling", headers={"Authorization": "Bearer abcDEF123456.x"}, tries=[KNOWN, "password=hunter2hunter2"])
    log.warning(f"the key is {KNOWN}")
    logging.getLogger("other.library").warning("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc for %s", KNOWN)
    try:
        raise ValueError(f"refused {KNOWN}")
    except ValueError:
        log.exception("failed")


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_no_secret_is_written(form: str) -> None:
    stream = io.StringIO()
    configure_logging(form, "debug", (KNOWN,), stream)
    log_secrets(structlog.get_logger())
    text = stream.getvalue()
    assert "calling" in text
    assert "ValueError" in text
    assert text.count("[redacted]") >= 6
    assert not [secret for secret in PLANTED if secret in text]


def test_json_has_a_line_an_event_with_its_level_and_time() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", (), stream)
    structlog.get_logger().info("zof call", tries=2, request_id=None)
    structlog.get_logger().debug("too quiet")
    logging.getLogger("httpx").info("GET https://zof.example/results/typed-by-somebody")
    [line] = written_lines(stream)
    assert (line["event"], line["level"], line["tries"], line["request_id"]) == ("zof call", "info", 2, None)
    assert str(line["timestamp"]).endswith("Z")


def test_off_a_terminal_it_is_json_by_itself() -> None:
    stream = io.StringIO()
    configure_logging("auto", "info", (), stream)
    structlog.get_logger().info("x")
    assert written_lines(stream)


async def test_one_line_a_call_to_zof_says_how_it_went(bot: RunningBot) -> None:
    stream = io.StringIO()
    configure_logging("json", "info", bot.settings.all_secrets(), stream)
    bot.world.zof.faults.set_fault("500", 2)
    await bot.type_text("/zof result res_4821")
    await wait_until(lambda: "Voucher" in text_of(bot.private_messages()[-1]))
    [line] = [line for line in written_lines(stream) if line["event"] == "zof call"]
    assert line["method"] == "GET"
    assert line["template"] == "/results/{id}"
    assert line["status"] == 200
    assert line["tries"] == 3
    assert line["request_id"] == bot.world.zof.calls[-1].request_id
    assert line["slack_request"]
    assert "res_4821" not in str(line)
    assert bot.world.zof.key not in stream.getvalue()


# --- what nobody foresaw


@pytest.fixture
async def listener_context(bot: RunningBot) -> AsyncIterator[ListenerContext]:
    app, clock = bot.app, bot.world.clock
    zof = make_zof_client(bot.settings, app.events, clock)
    services = Services(bot.settings, Clients(app.store, zof, app.notifier), app.events, clock)
    yield services.make_listener_context(BackgroundTasks(app.events))
    await zof.aclose()


async def test_a_fault_of_ours_is_a_reference_that_stands_beside_the_traceback(
    listener_context: ListenerContext,
) -> None:
    stream = io.StringIO()
    configure_logging("json", "info", (), stream)

    async def raise_unexpected() -> Message:
        raise ZeroDivisionError("of ours")

    told = await listener_context.run_safely(raise_unexpected())
    [line] = written_lines(stream)
    assert told.failed
    assert str(line["reference"]).startswith("ref_")
    assert str(line["reference"]) in told.message.text
    assert "ZeroDivisionError: of ours" in str(line["exception"])


class BrokenTasks(BackgroundTasks):
    """Background tasks that fail once, as soon as the first has started."""

    is_broken = True

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = super().start(work)
        if self.is_broken:
            self.is_broken = False
            raise ZeroDivisionError("of ours")
        return task


async def test_what_a_listener_did_not_foresee_is_said_to_who_asked(
    bot: RunningBot, listener_context: ListenerContext
) -> None:
    slack = bot.world.slack
    ana, place = slack.users["U0ANA"], slack.channels["C0QA"]
    url = slack.new_response_url("U0ANA", "C0QA")

    async def dispatch(body: dict[str, Any]) -> BoltResponse:
        app = SlackApp(
            replace(listener_context, background_tasks=BrokenTasks(bot.app.events)), listener_context.notifier.client
        )
        return await app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))

    reply = await dispatch(payloads.command_payload(slack, ana, place, "/zof help", url))
    assert json.loads(reply.body)["response_type"] == "ephemeral"
    assert "Something went wrong in zofbot. Try again." in json.loads(reply.body)["text"]

    button = {"type": "button", "action_id": "zof_run", "block_id": "row", "value": "{}", "action_ts": "1.2"}
    message = PostedMessage("C0QA", "1.1", BOT, "a card")
    reply = await dispatch(payloads.message_action_payload(slack, ana, message, button, url))
    assert (reply.status, reply.body) == (200, "")
    await wait_until(lambda: "Reference: `ref_" in "".join(map(text_of, bot.private_messages())))

    form = several_failures.several_modal(SeveralFormState("C0QA", url, "", "", 0, ()), [])
    form["blocks"].insert(0, {"type": "divider", "block_id": "line"})
    reply = await dispatch(payloads.submission_payload(slack, ana, View("V1", "U0ANA", form, "h")))
    said = json.loads(reply.body)
    assert said["response_action"] == "errors", "the form stays open"
    assert "Reference: ref_" in said["errors"]["rows"]


async def test_what_zof_refused_is_told_without_a_reference(listener_context: ListenerContext) -> None:
    async def raise_refusal() -> Message:
        raise ZofRejected("No.", "Do that.", request_id="req_1")

    told = await listener_context.run_safely(raise_refusal())
    assert told.message.text == "No. Do that. Request ID: req_1"
