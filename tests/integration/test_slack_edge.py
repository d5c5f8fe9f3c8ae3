"""Whatever stands in Slack's replies in place of what should: the bot goes on, says so, and needs no more memory."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.support.bot import RunningBot, bot_settings, wait_until
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.odd_values import ODD_VALUES, Path, paths_in, with_odd_value
from tests.support.virtual_time import test_clock
from zofbot.app import Zofbot, run_bot
from zofbot.clock import MovableClock
from zofbot.domain.errors import SlackUnknown
from zofbot.observability.emitter import EventEmitter
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack import broken_replies
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.world import World
from zofbot.slack.calls import SlackCalls
from zofbot.slack.client import SlackClient
from zofbot.slack.http_replies import MAX_REPLY_BYTES
from zofbot.slack.views.blocks import Message
from zofbot.store.redis_server.connect import connect_redis

RESULT = "res_4821"


class SlackSpoiler:
    """Stands before Slack, and puts something odd, or nothing, at a place of each reply."""

    def __init__(self, seed: int) -> None:
        self.random, self.target, self.spoils = Random(seed), "", False
        self.spoilt: set[str] = set()

    async def serve_request(self, request: web.Request) -> web.StreamResponse:
        kept = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        body = await request.read()
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, f"{self.target}{request.path_qs}", headers=kept, data=body) as reply,
        ):
            said, status = await reply.json(content_type=None), reply.status
        if self.spoils and self.random.random() < 0.7:
            self.spoilt.add(request.path.rpartition("/")[2])
            said = self.spoil_reply(said)
        return web.Response(status=status, text=json.dumps(said), content_type="application/json")

    def spoil_reply(self, said: Any) -> Any:
        paths = list(paths_in(said))
        if self.random.random() < 0.1:
            return self.random.choice(ODD_VALUES)
        while True:
            odd = [self.random.choice(ODD_VALUES)] if self.random.random() < 0.8 else []
            path = self.random.choice(paths)
            if not is_lie(path, odd):
                return with_odd_value(said, path, *odd)


def is_lie(path: Path, odd: list[Any]) -> bool:
    """Whether a history has its shape but hides a message of ours, which nobody can see through."""
    if path[0] == "messages" and len(path) == 2:  # a whole message
        return not odd
    hidden = path == ("messages",) or (path[0] == "messages" and path[-1] in MARKS)
    return hidden and (not odd or odd[0] is None or isinstance(odd[0], str | list | dict | bool | int | float))


MARKS = {"metadata", "event_type", "event_payload", "key", "user", "bot_id"}
"""What a message of ours is known by."""


@pytest.fixture
async def spoiler() -> AsyncIterator[tuple[SlackSpoiler, str]]:
    made = SlackSpoiler(5)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.serve_request)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield made, f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    await runner.cleanup()


async def ask_for_everything(bot: RunningBot, number: int) -> None:
    """Do what makes the bot call Slack in every way; answers may not come."""
    people = bot.simulator.people
    for text in ("result res_4821 share", "subscriptions", "triage mine", "subscribe"):
        await bot.type_text(f"/zof {text}")
    await people.open_home("U0ANA")
    await people.type_text("U0BEN", "C0QA", "see https://app.zof.ai/results/res_4821")
    for root in [
        item
        for item in bot.world.slack.ledger
        if not item.thread_ts and (item.idempotency_key or "").startswith("run:")
    ][-1:]:
        await people.type_text("U0ANA", root.channel, "<@U0ZOFBOT> ack", root.ts)
    run = fail_run(bot, 2)
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{number}")) == 200
    await asyncio.sleep(30)
    bot.world.clock.advance(1900)  # what was remembered of people and channels is asked for again


async def test_nothing_that_slack_says_breaks_anything(
    spoiler: tuple[SlackSpoiler, str], simulator: SimulatorServer, world: World, clock: MovableClock, store_url: str
) -> None:
    slack, url = spoiler
    slack.target = simulator.url
    simulator.world.slack.events |= {"link_shared"}
    simulator.world.slack.unfurl_domains = {"app.zof.ai"}
    async with connect_redis(store_url, "zofbot", clock) as client:
        await client.flushall()
    more = {"slack_api_url": url, "zofbot_poll_interval": 3600, "zof_webhook_secret": SECRET,
            "zof_result_url_template": "https://app.zof.ai/results/{result_id}"}  # fmt: skip
    settings = bot_settings(simulator, store_url, **more)
    with capture_logs() as logs:
        async with run_bot(settings, clock, workers=True) as app:
            simulator.world.slack.request_url = f"{app.url}/slack/events"
            bot = RunningBot(world, simulator, app, settings)
            await wait_until(readiness_check(app))
            await bot.type_text("/zof subscribe group:run layout:flat")
            await wait_until(lambda: bool(bot.public_messages()))
            slack.spoils = True
            for number in range(12):
                await ask_for_everything(bot, number)
            slack.spoils = False
            last = fail_run(bot, 1)
            await post_webhook(bot, webhook_event(last["id"], "evt_last"))
            await wait_until(
                lambda: bool(simulator.world.slack.messages_with_key(f"run:{last['id']}:failed:C0QA")), 300
            )
    assert simulator.world.slack.duplicate_keys() == []
    assert slack.spoilt >= {"chat.postMessage", "users.info", "conversations.info", "views.publish", "views.open"}
    assert [line for line in logs if line.get("exc_info")] == []


def readiness_check(app: Zofbot) -> Callable[[], Awaitable[bool]]:
    async def is_ready() -> bool:
        return not await app.list_unready()

    return is_ready


@pytest.fixture
async def notifier(simulator: SimulatorServer, slack: Workspace) -> AsyncIterator[SlackClient]:
    async with aiohttp.ClientSession() as session:
        yield SlackClient(
            SlackCalls(
                session,
                token=slack.bot_token,
                api_url=f"{simulator.url}/api/",
                events=EventEmitter(),
                clock=test_clock(),
            )
        )


async def test_a_compressed_bomb_takes_no_more_than_its_limit(notifier: SlackClient, slack: Workspace) -> None:
    broken_replies.gzip_bomb()
    slack.faults.set_fault("bomb")
    tracemalloc.start()
    try:
        with pytest.raises(SlackUnknown):
            await notifier.post_message("C0QA", Message("here"), {})
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 4 * MAX_REPLY_BYTES < broken_replies.FLOOD_BYTES


async def test_a_redirect_takes_the_token_nowhere(notifier: SlackClient, slack: Workspace) -> None:
    slack.faults.set_fault("redirect", 1)
    with pytest.raises(SlackUnknown) as unknown:
        await notifier.post_message("C0QA", Message("here"), {})
    assert (unknown.value.reason, len(slack.calls)) == ("http_302", 1)


@pytest.mark.parametrize(
    "fault", [item for item in broken_replies.BROKEN_REPLIES if item not in ("bare_ok", "odd_types")]
)
async def test_a_private_answer_is_tried_again_where_the_reply_is_not_slacks(bot: RunningBot, fault: str) -> None:
    await bot.answer_text(f"/zof {RESULT}")
    before = len(bot.private_messages())
    bot.world.slack.faults.set_fault(fault, 1, "response_url")
    await bot.press_button(bot.private_messages()[0], "zof_share")
    await wait_until(lambda: len(bot.private_messages()) == before + 1)
    assert bot.world.slack.faults.current == "none"


@pytest.mark.parametrize("fault", broken_replies.BROKEN_REPLIES)
async def test_people_are_answered_where_slack_does_not_say_who_they_are(bot: RunningBot, fault: str) -> None:
    bot.world.slack.faults.set_fault(fault, None, "users.info")
    assert "Try again" in await bot.answer_text("/zof subscribe group:run")
    bot.world.slack.faults.set_fault("none")
