"""The Slack endpoint: requests that are not Slack's are rejected, never with a 500."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
import redis.asyncio as redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bot import RunningBot, bot_settings, running_bot, text_of, wait_until
from tests.support.failure_reports import serve_world
from tests.support.sample_world import fill_world
from tests.support.virtual_time import test_clock
from zofbot.app import run_bot
from zofbot.simulator.slack.sender import sign_request
from zofbot.simulator.world import World

FORM = "application/x-www-form-urlencoded"
HELP = b"command=%2Fzof&text=help&user_id=U0ANA&channel_id=C0QA&trigger_id=1.2"


async def post_signed(
    bot: RunningBot, body: bytes, *, change: Mapping[str, str | None] = {}, kind: str = FORM
) -> tuple[int, str]:
    """Send a rightly signed request, with some headers changed or (``None``) left out."""
    timestamp = str(int(bot.world.clock.time()))
    headers = {
        "Content-Type": kind,
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": sign_request(bot.world.slack.signing_secret, timestamp, body),
    } | dict(change)
    kept = {name: value for name, value in headers.items() if value is not None}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{bot.app.url}/slack/events", data=io.BytesIO(body), headers=kept) as reply,
    ):
        return reply.status, await reply.text()


async def test_a_signed_request_is_answered(bot: RunningBot) -> None:
    status, text = await post_signed(bot, HELP)
    assert status == 200
    assert "*Look up*" in json.loads(text)["blocks"][0]["text"]["text"]


@pytest.mark.parametrize(
    "change",
    [
        {"X-Slack-Signature": None},
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Signature": "v0=" + "é" * 64},
        {"X-Slack-Signature": "v1=abc"},
        {"X-Slack-Request-Timestamp": None},
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "yesterday"},
        {"X-Slack-Request-Timestamp": "1e9"},
        {"X-Slack-Request-Timestamp": "-1"},
        {"X-Slack-Request-Timestamp": "٣٣٣"},
        {"X-Slack-Request-Timestamp": "9" * 400},
    ],
    ids=lambda change: str(change)[:50],
)
async def test_what_is_not_signed_by_slack_is_401(bot: RunningBot, change: Mapping[str, str | None]) -> None:
    assert (await post_signed(bot, HELP, change=change))[0] == 401


@pytest.mark.parametrize("age", [301, -301, 10_000_000])
async def test_an_old_signature_is_401(bot: RunningBot, age: int) -> None:
    timestamp = str(int(bot.world.clock.time()) - age)
    signed = sign_request(bot.world.slack.signing_secret, timestamp, HELP)
    change = {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signed}
    assert (await post_signed(bot, HELP, change=change))[0] == 401


async def test_a_signature_of_another_body_is_401(bot: RunningBot) -> None:
    timestamp = str(int(bot.world.clock.time()))
    signed = sign_request(bot.world.slack.signing_secret, timestamp, HELP + b"x")
    assert (await post_signed(bot, HELP, change={"X-Slack-Signature": signed}))[0] == 401


async def test_ssl_check_gets_no_way_around_the_signature(bot: RunningBot) -> None:
    assert (await post_signed(bot, b"ssl_check=1&token=x", change={"X-Slack-Signature": None}))[0] == 401


async def test_more_than_a_mebibyte_is_413(bot: RunningBot) -> None:
    assert (await post_signed(bot, b"text=" + b"x" * (1024 * 1024)))[0] == 413


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM), (b"just words", FORM), (b"{", "application/json"), (b"[1]", "application/json"),
        (b"null", "application/json"), (b"payload={", FORM), (b"payload=[]", FORM), (b"\xff\xfe", FORM),
        (b"{" * 100_000, "application/json"), (b"\x00\x01", "application/octet-stream"), (b"{not json", "text/plain"),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
async def test_what_is_neither_json_nor_a_form_is_400(bot: RunningBot, body: bytes, kind: str) -> None:
    assert (await post_signed(bot, body, kind=kind))[0] == 400


async def test_an_unsigned_stranger_learns_nothing_of_the_form(bot: RunningBot) -> None:
    assert (await post_signed(bot, b"{", change={"X-Slack-Signature": None}))[0] == 401


async def test_slacks_challenge_is_answered(bot: RunningBot) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "abc", "token": "x"}).encode()
    for _ in range(2):
        status, text = await post_signed(bot, body, kind="application/json")
        assert status == 200
        assert "abc" in text


async def test_a_body_that_never_ends_is_cut_off(bot: RunningBot) -> None:
    host, port = bot.app.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow")
    await writer.drain()
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    await writer.wait_closed()
    assert b" 408 " in line


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
WORDS = [
    "type", "command", "text", "event", "event_id", "trigger_id", "actions", "user", "channel", "container", "view",
    "response_url", "team", "authorizations", "callback_id", "team_id", "is_enterprise_install",
]  # fmt: skip
TYPES = ["block_actions", "view_submission", "view_closed", "event_callback", "shortcut", "message_action", "x", None]
BODIES = st.dictionaries(st.sampled_from(WORDS), JSON, min_size=1, max_size=8).flatmap(
    lambda body: st.sampled_from(TYPES).map(lambda sort: body | ({"type": sort} if sort else {}))
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES, as_form=st.booleans())
async def test_no_signed_body_of_any_shape_is_a_500(fuzzed: RunningBot, body: dict[str, Any], as_form: bool) -> None:
    text = json.dumps(body)
    sent = urlencode({"payload": text}) if as_form else text
    status, _ = await post_signed(fuzzed, sent.encode(), kind=FORM if as_form else "application/json")
    assert status in (200, 400, 404)


@pytest.fixture
async def fuzzed(bot: RunningBot) -> RunningBot:
    return bot


async def test_health_readiness_and_metrics(bot: RunningBot) -> None:
    async with aiohttp.ClientSession(bot.app.url) as session:
        async with session.get("/healthz") as reply:
            assert reply.status == 200
        async with session.get("/readyz") as reply:
            assert (reply.status, await reply.json()) == (200, {"ready": True, "missing": []})
        await bot.type_text("/zof res_4821")
        async with session.get("/metrics") as reply:
            text = await reply.text()
    assert 'zofbot_zof_calls_total{method="GET",outcome="ok",status="200",template="/results/{id}"} 1.0' in text
    assert 'zofbot_slack_requests_total{answer="acted",kind="command"} 1.0' in text
    assert 'zofbot_slack_requests_total{answer="unsigned",kind="stray"} 0.0' in text
    assert "res_4821" not in text


async def test_not_ready_names_what_is_missing(bot: RunningBot) -> None:
    bot.app.identity = None
    async with aiohttp.ClientSession() as session, session.get(f"{bot.app.url}/readyz") as reply:
        assert reply.status == 503
        assert "slack" in (await reply.json())["missing"][0]


async def test_until_slack_takes_the_token_it_is_not_ready_and_lookups_work(store_url: str) -> None:
    world = World(test_clock())
    fill_world(world)
    async with redis.from_url(store_url) as client:
        await client.flushall()
    world.slack.faults.set_fault("invalid_auth", only="auth.test")
    async with (
        serve_world(world) as simulator,
        run_bot(bot_settings(simulator, store_url), world.clock, workers=False) as bot,
    ):
        world.slack.request_url = f"{bot.url}/slack/events"
        await wait_until(lambda: any(call.method == "auth.test" for call in world.slack.calls))
        assert await bot.list_unready() == ["slack has not accepted the bot token yet"]
        await simulator.people.type_text("U0ANA", "C0QA", "/zof res_4821")
        assert "Voucher" in text_of(list(world.slack.messages["C0QA"].values())[-1])
        world.slack.faults.set_fault("none")

        async def ready() -> bool:
            return not await bot.list_unready()

        await wait_until(ready, 30)


# --- two signing secrets at a time


async def test_while_a_secret_is_replaced_both_are_taken_and_no_other(store_url: str) -> None:
    fresh, old, stray = "f" * 32, "0" * 32, "5" * 32
    async with running_bot(store_url, slack_signing_secret=f" {fresh} , {old} ") as bot:
        for secret, expected in ((fresh, 200), (old, 200), (stray, 401), (f"{fresh},{old}", 401), ("", 401)):
            bot.world.slack.signing_secret = secret
            assert (await post_signed(bot, HELP))[0] == expected, secret
