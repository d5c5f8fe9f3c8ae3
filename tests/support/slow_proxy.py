"""A Redis that is far away, or late now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.virtual_time import ReplyFromOutside, silent_redis


@asynccontextmanager
async def slow_proxy(socket: str, *seconds: float) -> AsyncIterator[str]:
    """Run a proxy to the Redis at ``socket`` that delays each reply.

    Each connection takes the next of ``seconds`` as its delay, and the last of them is used by all further ones.
    """
    left = list(seconds)

    async def serve_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        serving.add(task)
        its_reader, its_writer = await asyncio.open_unix_connection(socket)
        late = left.pop(0) if len(left) > 1 else left[0]
        reply = ReplyFromOutside()

        async def send_requests() -> None:
            while chunk := await reader.read(1 << 16):
                its_writer.write(chunk)
                reply.expect()
            its_writer.close()

        async def return_replies() -> None:
            while chunk := await its_reader.read(1 << 16):
                reply.receive()
                await asyncio.sleep(late)
                writer.write(chunk)
            writer.close()

        try:
            await asyncio.gather(send_requests(), return_replies())
        finally:
            reply.receive()
            for end in (writer, its_writer):
                end.close()

    serving: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(serve_slowly, "127.0.0.1", 0)
    try:
        with silent_redis():
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()
