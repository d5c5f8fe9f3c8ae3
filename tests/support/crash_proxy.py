"""A web process that dies in the middle of a click: forked, with everything imported, for each line that is read.

A line has the settings as JSON; what is answered is the address of its door and its process id. It is killed from
outside, by a ``Fuse`` between it and its Valkey, Slack and Zof.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog

from zofbot.app import run_bot
from zofbot.clock import Clock
from zofbot.config.settings import Settings


@dataclass
class ProxyFuse:
    """Stands between a process and all it talks to, and kills the process before or after one of its requests.

    What comes in one piece is one request: a command or a pipeline. ``step`` 0 kills nobody.
    """

    step: int = 0
    when: str = "before"
    pid: int = 0
    seen: int = 0
    burnt: bool = False

    def start_counting(self, step: int, when: str, pid: int) -> None:
        """Begin to count from here."""
        self.step, self.when, self.pid = step, when, pid
        self.seen, self.burnt = 0, False

    def pass_request(self, data: bytes) -> bool:
        """Take in a request; whether it may go on to the server.

        Those that keep Homes up to date do not count: they come every second, whatever is being done.
        """
        if b":home:" in data:
            return not self.burnt
        self.seen += 1
        if self.seen == self.step and self.when == "before":
            self._kill_process()
        return not self.burnt

    def pass_reply(self, _: bytes) -> bool:
        """Take in a reply to the latest request; whether it may go on to the process."""
        if self.seen >= self.step > 0 and self.when == "after":
            self._kill_process()
        return not self.burnt

    def _kill_process(self) -> None:
        if not self.burnt:
            self.burnt = True
            os.kill(self.pid, signal.SIGKILL)


@asynccontextmanager
async def crash_proxy(url: str, fuse: ProxyFuse) -> AsyncIterator[str]:
    """Put the fuse before what is at ``url``, over HTTP or a Valkey's Unix socket; gives host and port instead."""
    there = urlsplit(url)
    tasks: set[asyncio.Task[None]] = set()

    async def forward_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, allowed: Any) -> None:
        while data := await reader.read(1 << 20):
            if not allowed(data):
                break
            writer.write(data)
            await writer.drain()

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        if there.port:
            back, onward = await asyncio.open_connection(there.hostname, there.port)
        else:
            back, onward = await asyncio.open_unix_connection(there.path)
        ways = {asyncio.create_task(forward_bytes(reader, onward, fuse.pass_request)),
                asyncio.create_task(forward_bytes(back, writer, fuse.pass_reply))}  # fmt: skip
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (onward, writer):
                end.close()
            tasks.discard(task)

    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _run_stand(settings: Settings) -> None:
    async with run_bot(settings, Clock(), works=False) as bot:
        while await bot.list_unready():  # noqa: ASYNC110  (nothing tells of it)
            await asyncio.sleep(0.005)
        sys.stdout.write(f"{bot.url} {os.getpid()}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who are killed
    for line in sys.stdin:
        if not os.fork():
            try:
                asyncio.run(_run_stand(Settings.model_validate(json.loads(line))))
            except BaseException:
                traceback.print_exc()
            os._exit(1)


if __name__ == "__main__":
    main()
