"""A Redis whose connection breaks after it has executed a command, before its reply arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass
class ReplyLoss:
    """A proxy at ``url`` that loses the reply to the next request that has ``content``; ``count``: how many so far."""

    url: str = ""
    content: bytes = b""
    count: int = 0

    def pass_request(self, request: bytes) -> bool:
        """Count a request whose reply is to be lost; returns whether it is one."""
        if not self.content or self.content not in request:
            return False
        self.content = b""
        self.count += 1
        return True


@asynccontextmanager
async def lossy_proxy(url: str) -> AsyncIterator[ReplyLoss]:
    """Run a proxy to the Redis at the ``unix://`` URL."""
    loss = ReplyLoss()

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        serving.add(task)
        its_reader, its_writer = await asyncio.open_unix_connection(urlsplit(url).path)
        is_lost = False

        async def send_requests() -> None:
            nonlocal is_lost
            while chunk := await reader.read(1 << 20):
                is_lost = is_lost or loss.pass_request(chunk)
                its_writer.write(chunk)
            its_writer.close()

        async def return_replies() -> None:
            while (chunk := await its_reader.read(1 << 20)) and not is_lost:
                writer.write(chunk)
            writer.close()

        try:
            await asyncio.gather(send_requests(), return_replies())
        finally:
            for end in (writer, its_writer):
                end.close()

    serving: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0)
    loss.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield loss
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()
