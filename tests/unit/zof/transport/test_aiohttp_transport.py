"""The transport over sockets: what it sends, what it leaves to its caller, and its errors, which are httpx's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from zofbot.polling.cycle import MAX_CONCURRENT_READS
from zofbot.zof.transport.aiohttp_transport import AiohttpTransport

pytestmark = pytest.mark.anyio

KEY = "zof_key_of_this_test"
COMPLETE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nX-Request-Id: req_1\r\n\r\nok"


class RawServer:
    """Answers each request with the next of ``replies`` as it is; closes the connection after the last."""

    def __init__(self, *replies: bytes) -> None:
        self.replies = list(replies)
        self.received: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        open_for_more = True
        while open_for_more:
            self.received.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.replies.pop(0) if self.replies else b"")
            open_for_more = bool(self.replies)
        writer.close()


@asynccontextmanager
async def served(*replies: bytes) -> AsyncIterator[tuple[RawServer, AiohttpTransport]]:
    raw, transport = RawServer(*replies), AiohttpTransport(None)
    async with await asyncio.start_server(raw.answer, "127.0.0.1", 0) as server:
        raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/results/a%2Fb"
        try:
            yield raw, transport
        finally:
            await transport.aclose()


async def ask(transport: AiohttpTransport, url: str) -> tuple[httpx.Response, bytes]:
    request = httpx.Request("GET", url, headers={"Authorization": f"Bearer {KEY}", "Accept-Encoding": "gzip"})
    reply = await transport.handle_async_request(request)
    try:
        assert isinstance(reply.stream, httpx.AsyncByteStream)
        return reply, b"".join([chunk async for chunk in reply.stream])
    finally:
        await reply.aclose()


async def test_requests_share_a_connection_and_send_the_path_and_headers_as_they_are_without_cookies() -> None:
    async with served(COMPLETE, COMPLETE) as (raw, transport):
        for _ in range(2):
            reply, body = await ask(transport, raw.url)
            assert (reply.status_code, reply.headers["x-request-id"], body) == (200, "req_1", b"ok")
    assert raw.connections == 1
    for head in raw.received:
        assert head.startswith(b"GET /v1/results/a%2Fb HTTP/1.1\r\n")
        assert f"authorization: bearer {KEY}".encode() in head.lower()
        assert b"cookie" not in head.lower()


async def test_redirects_and_compressed_bodies_are_left_to_the_caller() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    compressed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"
    async with served(redirect, compressed) as (raw, transport):
        reply, _ = await ask(transport, raw.url)
        assert (reply.status_code, reply.headers["location"]) == (302, "/elsewhere")
        assert (await ask(transport, raw.url))[1] == b"nope"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", httpx.RemoteProtocolError, id="cut short"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", httpx.RemoteProtocolError, id="not HTTP"),
        pytest.param(b"", httpx.RemoteProtocolError, id="closed"),
    ],
)
async def test_a_broken_reply_is_an_error_of_httpx_that_does_not_hold_the_key(
    reply: bytes, error: type[httpx.HTTPError]
) -> None:
    async with served(reply) as (raw, transport):
        with pytest.raises(error) as raised:
            await ask(transport, raw.url)
    assert KEY not in repr(raised.value) + repr(raised.value.__cause__)
    assert raised.value.__suppress_context__


async def test_a_lookup_is_answered_while_the_pollers_reads_wait() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/runs/" in head:
            await waiting.wait()
        writer.write(COMPLETE)
        writer.close()

    waiting, transport = asyncio.Event(), AiohttpTransport(None)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, asyncio.TaskGroup() as group:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        reads = [group.create_task(ask(transport, f"{url}/runs/{n}")) for n in range(MAX_CONCURRENT_READS)]
        await asyncio.sleep(0)
        assert (await ask(transport, f"{url}/results/1"))[1] == b"ok"
        assert not any(read.done() for read in reads)
        waiting.set()
    await transport.aclose()


async def test_a_server_that_is_not_there_is_a_connect_error() -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        transport = AiohttpTransport(None)
        with pytest.raises(httpx.ConnectError):
            await ask(transport, f"http://127.0.0.1:{found.getsockname()[1]}/v1/results/a")
        await transport.aclose()


async def test_a_server_that_stays_silent_is_a_read_timeout() -> None:
    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    transport = AiohttpTransport(None)
    async with await asyncio.start_server(stay_silent, "127.0.0.1", 0) as server:
        with pytest.raises(httpx.ReadTimeout):
            await ask(transport, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/runs")
        await transport.aclose()
