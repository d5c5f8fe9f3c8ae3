"""An HTTP proxy that reaches nothing: it records what it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

PROXY_NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


class RecordingProxy:
    """Answers 502 to each request; ``lines`` are the request lines so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.address = ""

    async def answer_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.lines.append(head.split(b"\r\n")[0].decode())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def recording_proxy() -> AsyncIterator[RecordingProxy]:
    """Run a proxy; its ``address`` is a host and port without a scheme."""
    proxy = RecordingProxy()
    async with await asyncio.start_server(proxy.answer_request, "127.0.0.1", 0) as server:
        proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy


def set_proxies(monkeypatch: pytest.MonkeyPatch, **proxies: str) -> None:
    """Set these variables of the environment, and remove the others that name proxies."""
    for name in PROXY_NAMES:
        for spelling in (name, name.lower()):
            monkeypatch.delenv(spelling, raising=False)
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
