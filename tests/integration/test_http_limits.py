"""A crowd at the doors: slow, endless and broken bodies, idle connections, floods; people are answered all the same."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import structlog
from aiohttp import web

from tests.support.bot import RunningBot, running_bot, wait_until
from tests.support.metric_values import metric_value
from tests.support.valkey_servers import paused_writes
from tests.support.virtual_time import StoppedClock, test_clock
from zofbot.concurrency import ProcessTasks
from zofbot.http.limits import (
    MAX_CONCURRENT_WEBHOOKS,
    MAX_DELAYED_REJECTS,
    MAX_REJECTS_PER_SECOND,
    MAX_WAITING_WEBHOOKS,
    BodyReader,
    ConcurrencyLimit,
    IdleConnectionReaper,
    RejectedRequest,
    RejectThrottle,
    SampledLog,
)
from zofbot.http.server import serve_app
from zofbot.observability.log_config import configure_logging
from zofbot.simulator.slack.sender import sign_request as slack_signature
from zofbot.simulator.zof.webhooks import current_envelope, sign_body

SECRET = "webhook-secret"


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    """What is logged meanwhile."""
    root = logging.getLogger()
    before, level, config = root.handlers[:], root.level, structlog.get_config()
    stream = io.StringIO()
    configure_logging("json", "info", (), stream)
    yield stream
    root.handlers[:], root.level = before, level
    structlog.configure(**config)


def log_entries(log: io.StringIO, event: str = "") -> list[dict[str, object]]:
    every = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in every if event in ("", line["event"])]


def loud_entries(log: io.StringIO) -> list[dict[str, object]]:
    return [line for line in log_entries(log) if line["level"] in ("error", "critical") or "exception" in line]


@pytest.fixture
async def bot(store_url: str, log: io.StringIO) -> AsyncIterator[RunningBot]:
    """A bot that answers Slack and Zof."""
    async with running_bot(store_url, zof_webhook_secret=SECRET) as bot:
        yield bot


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def serve(app: web.Application, **limits: Any) -> AsyncIterator[str]:
    """Serve ``app``, with other limits of idle connections; yields its URL."""
    tasks = ProcessTasks()
    async with serve_app(app, "127.0.0.1", 0, tasks, IdleConnectionReaper(test_clock(), **limits)) as url:
        yield url
    tasks.check_failures()


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Stream]:
    """A bare connection."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


async def read_status(reader: asyncio.StreamReader, seconds: float = 8) -> int:
    line = await asyncio.wait_for(reader.readline(), seconds)
    return int(line.split()[1]) if line else 0


# --- bodies

DOORS = pytest.mark.parametrize("door", ["/slack/events", "/zof/webhook"])


@DOORS
async def test_a_body_in_chunks_that_trickle_is_cut_off(bot: RunningBot, door: str, log: io.StringIO) -> None:
    async with line_to(bot.app.url) as (reader, writer):
        writer.write(f"POST {door} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        answer = asyncio.create_task(read_status(reader))
        while not answer.done():
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.1)
        assert await answer == 408
    assert not loud_entries(log)


@DOORS
async def test_a_body_in_chunks_that_never_ends_is_too_large(bot: RunningBot, door: str, log: io.StringIO) -> None:
    async with line_to(bot.app.url) as (reader, writer):
        writer.write(f"POST {door} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        answer = asyncio.create_task(read_status(reader))
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        sent = 0
        while not answer.done() and sent < 64:
            sent += 1
            writer.write(piece)
            await asyncio.sleep(0.01)
        assert await answer == 413
    assert not loud_entries(log)


@DOORS
@pytest.mark.parametrize(
    "rest",
    [b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
     b"Content-Length: 100\r\n\r\nhalf", b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nxxxx",
     b"Content-Length: -1\r\n\r\n", b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
     b"A: \x00\r\n\r\n", b"\r\n\r\n"],
    ids=["broken chunk", "cut chunk", "cut body", "not gzip", "negative", "two lengths", "nul", "nothing"],
)  # fmt: skip
async def test_a_body_that_breaks_off_is_no_fault_of_ours(
    bot: RunningBot, door: str, rest: bytes, log: io.StringIO
) -> None:
    async with line_to(bot.app.url) as (reader, writer):
        writer.write(f"POST {door} HTTP/1.1\r\nHost: x\r\n".encode() + rest)
        writer.write_eof()
        assert await read_status(reader) in (0, 400, 401, 408)
    async with aiohttp.ClientSession() as session, session.get(f"{bot.app.url}/healthz") as reply:
        assert reply.status == 200
    await asyncio.sleep(0.05)
    assert not loud_entries(log)


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_what_is_no_http_is_not_logged_as_a_fault(bot: RunningBot, garbage: bytes, log: io.StringIO) -> None:
    async with line_to(bot.app.url) as (reader, writer):
        for _ in range(3):  # what comes after a request that was in order is not taken for another protocol
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + garbage)
            await writer.drain()
        await reader.readline()
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 5)
    assert not loud_entries(log)


async def test_a_packed_body_is_not_unpacked(bot: RunningBot) -> None:
    body = b"\x1f\x8b" + b"x" * 100
    stamp = str(int(bot.world.clock.time()))
    headers = {
        "Content-Encoding": "gzip", "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": slack_signature(bot.world.slack.signing_secret, stamp, body),
    }  # fmt: skip
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{bot.app.url}/slack/events", data=body, headers=headers) as reply,
    ):
        assert (reply.status, await reply.text()) == (400, "malformed")


@asynccontextmanager
async def body_server(bodies: BodyReader) -> AsyncIterator[str]:
    async def read_body(request: web.Request) -> web.Response:
        try:
            return web.Response(body=await bodies.read_body(request))
        except RejectedRequest as stray:
            return web.Response(status=stray.status)

    app = web.Application()
    app.router.add_post("/", read_body)
    async with serve(app) as url:
        yield url


async def test_of_too_many_bodies_the_one_read_for_longest_gives_way() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
    async with (
        body_server(BodyReader(most=2)) as url,
        line_to(url) as first,
        line_to(url) as second,
        line_to(url) as third,
    ):
        for _, writer in (first, second):
            writer.write(head + b"sl")
            await asyncio.sleep(0.05)
        third[1].write(head + b"fast")
        assert await read_status(third[0]) == 200
        assert await read_status(first[0], 1) == 408
        second[1].write(b"ow")
        assert await read_status(second[0], 1) == 200


# --- connections


async def test_a_head_that_trickles_is_cut_off(log: io.StringIO) -> None:
    async with serve(web.Application(), idle_seconds=0.6) as url, line_to(url) as (reader, writer):
        writer.write(b"POST /slack/events HTTP/1.1\r\n")
        began = asyncio.get_running_loop().time()
        gone = asyncio.create_task(reader.read())
        while not gone.done() and asyncio.get_running_loop().time() - began < 5:
            writer.write(b"X-Slow: 1\r\n")
            await asyncio.sleep(0.1)
        assert asyncio.get_running_loop().time() - began < 2
        await asyncio.wait({gone})
    assert not loud_entries(log)


async def test_idle_connections_are_closed_when_they_are_too_many_but_for_known_ones() -> None:
    async def fine(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/", fine)
    async with serve(app, most=2) as url, line_to(url) as known:
        known[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await read_status(known[0]) == 200
        async with line_to(url) as one, line_to(url) as two, line_to(url) as three, line_to(url) as four:
            gone = [asyncio.create_task(reader.read()) for reader, _ in (one, two, three, four)]
            await wait_until(lambda: [task.done() for task in gone] == [True, True, False, False], 4)
        await known[0].readuntil(b"\r\n\r\n")
        known[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await read_status(known[0]) == 200


# --- turns, strays, lines


async def test_so_many_are_let_in_and_so_many_wait() -> None:
    line, done, over = ConcurrencyLimit(at_once=2, most=3, seconds=30), asyncio.Event(), Counter[str]()

    async def come() -> None:
        try:
            async with line.acquire_slot():
                over["in"] += 1
                await done.wait()
        except RejectedRequest as stray:
            over[f"{stray.status} {stray.reason}"] += 1

    coming = [asyncio.create_task(come()) for _ in range(9)]
    await wait_until(lambda: over == {"in": 2, "503 crowded": 4})
    done.set()
    await asyncio.gather(*coming)
    assert over == {"in": 5, "503 crowded": 4}
    async with line.acquire_slot():
        pass


async def test_nobody_waits_for_a_turn_for_ever() -> None:
    line = ConcurrencyLimit(at_once=1, most=3, seconds=0.05)
    async with line.acquire_slot():
        with pytest.raises(RejectedRequest, match="crowded"):
            async with line.acquire_slot():
                pass
    async with line.acquire_slot():
        pass


async def test_a_few_strays_are_answered_at_once_and_a_flood_is_not() -> None:
    brake, ended = RejectThrottle(test_clock()), Counter[bool]()

    async def come() -> None:
        ended[await brake.delay_reject()] += 1

    coming = [asyncio.create_task(come()) for _ in range(MAX_REJECTS_PER_SECOND + MAX_DELAYED_REJECTS + 100)]
    await asyncio.sleep(0)
    assert ended[False] in (100, 101), "too many to be held"
    assert ended[True] in (MAX_REJECTS_PER_SECOND - 1, MAX_REJECTS_PER_SECOND), (
        "answered at once; the last one may be a rounding late"
    )
    await asyncio.wait(coming, timeout=5)
    assert ended.total() == len(coming)


def test_a_line_is_logged_once_in_a_while_with_how_many_were_left_out(log: io.StringIO) -> None:
    clock = StoppedClock(100.0)
    sparing = SampledLog(clock, seconds=10)
    for _ in range(1000):
        sparing("stray", "unsigned", peer="x")
    sparing("stray", "malformed")
    clock.at += 10
    sparing("stray", "unsigned")
    sparing("stray", "unsigned")
    assert [(line["reason"], line.get("left_out")) for line in log_entries(log)] == [
        ("unsigned", None), ("malformed", None), ("unsigned", 999),
    ]  # fmt: skip


# --- floods, as far as they can be told without a clock; benchmarks/flood.py measures them


async def flood_requests(bot: RunningBot, count: int, *, signed: bool) -> Counter[int | str]:
    """Send webhooks, each over a connection of its own and about a run of its own; what was answered."""
    answers: Counter[int | str] = Counter()

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        named = current_envelope(
            "run.failed", "2026-06-01T08:15:00Z", lambda prefix: f"{prefix}_{number}", f"run_{number}"
        )
        body = json.dumps(named).encode()
        headers = {"X-Zof-Signature": sign_body(SECRET if signed else "another", body)}
        async with session.post(f"{bot.app.url}/zof/webhook", data=body, headers=headers) as reply:
            answers[reply.status] += 1
            answers["again"] += "Retry-After" in reply.headers

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100, force_close=True)) as session:
        await asyncio.gather(*(one(session, number) for number in range(count)))
    return answers


async def test_while_the_store_stands_still_webhooks_are_sent_away_and_people_are_answered(
    bot: RunningBot, store_url: str, log: io.StringIO
) -> None:
    count = MAX_CONCURRENT_WEBHOOKS + MAX_WAITING_WEBHOOKS + 60
    sample = partial(metric_value, bot.app.metrics)
    await bot.answer_text("/zof help")
    async with paused_writes(store_url):
        flooding = asyncio.create_task(flood_requests(bot, count, signed=True))
        await wait_until(lambda: bool(sample("zofbot_zof_webhooks_total", {"answer": "crowded"})))
        outcome = await bot.type_text("/zof help")
    answers = await flooding
    assert outcome.status == 200
    assert answers["again"] == answers[503] >= 1
    assert answers[200] >= MAX_WAITING_WEBHOOKS // 2, "those who waited had their turn"
    assert answers[200] + answers[503] == count
    assert len(log_entries(log, "stray webhook")) <= 2


async def test_a_flood_of_strays_costs_a_line_and_people_are_answered(bot: RunningBot, log: io.StringIO) -> None:
    flooding = asyncio.create_task(flood_requests(bot, 400, signed=False))
    outcome = await bot.type_text("/zof res_4821")
    assert outcome.status == 200
    assert await flooding == {401: 400, "again": 0}
    assert len(log_entries(log, "stray webhook")) == 1
    sample = partial(metric_value, bot.app.metrics)
    assert sample("zofbot_zof_webhooks_total", {"answer": "unsigned"}) == 400
