"""A web process to be killed during a click: forked, with all imports done, for each line read from standard input.

A line holds the settings as JSON; the answer is the process's URL and its process id. It is killed from
outside, by a ``ProxyFuse`` between it and its Valkey, Slack and Zof.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog

from zofbot.app import run_bot
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import StoreUnavailable

BACKGROUND_COMMANDS = frozenset({b"HELLO", b"CLIENT", b"PING", b"INFO", b"CONFIG"})
"""Commands that open a connection to Redis or check its health: how many are needed depends on the machine's speed."""

BACKGROUND_KEYS = (b":home:", b":traces:", b":probe")
"""Parts of keys of App Homes, traces and health checks."""


def is_background(data: bytes) -> bool:
    """Whether a request is not made by a click."""
    if not data.startswith(b"*"):
        return False
    return data.split(b"\r\n", 3)[2] in BACKGROUND_COMMANDS or any(key in data for key in BACKGROUND_KEYS)


@dataclass
class ProxyFuse:
    """Proxy state that kills a process before or after one of its requests to Valkey, Slack or Zof.

    Data received at once counts as one request: a command or a pipeline. ``step`` 0 never kills, unless a request
    contains ``content``: that one is the step then.
    """

    step: int = 0
    content: bytes = b""
    when: str = "before"
    pid: int = 0
    seen: int = 0
    burnt: bool = False
    latest: dict[object, int] = field(default_factory=dict)
    """Number of the latest request by connection: a reply on another connection says nothing about it."""

    def start_counting(self, step: int, when: str, pid: int, *, content: bytes = b"") -> None:
        """Reset the count, and kill ``pid`` at request number ``step``, or at the request that has ``content``."""
        self.step, self.content, self.when, self.pid = step, content, when, pid
        self.seen, self.burnt = 0, False
        self.latest.clear()

    def pass_request(self, connection: object, data: bytes) -> bool:
        """Count a request; returns whether to forward it to the server.

        What is sent independently of the click does not count, because it comes at any time.
        """
        if is_background(data):
            return not self.burnt
        self.seen += 1
        self.latest[connection] = self.seen
        if self.content and self.content in data:
            self.step = self.seen
        if self.seen == self.step and self.when == "before":
            self._kill_process()
        return not self.burnt

    def pass_reply(self, connection: object) -> bool:
        """Handle a reply; returns whether to forward it to the process."""
        if self.latest.get(connection, 0) >= self.step > 0 and self.when == "after":
            self._kill_process()
        return not self.burnt

    def _kill_process(self) -> None:
        if not self.burnt:
            self.burnt = True
            os.kill(self.pid, signal.SIGKILL)


@asynccontextmanager
async def crash_proxy(url: str, fuse: ProxyFuse) -> AsyncIterator[str]:
    """Proxy ``url`` (HTTP or a Valkey's unix socket) through the fuse; yields the proxy's host and port."""
    there = urlsplit(url)
    tasks: set[asyncio.Task[None]] = set()

    async def forward_bytes(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_allowed: Callable[[bytes], bool]
    ) -> None:
        while data := await reader.read(1 << 20):
            if not is_allowed(data):
                break
            writer.write(data)
            await writer.drain()

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        ends, ways = [writer], set[asyncio.Task[None]]()
        try:
            if there.port:
                back, onward = await asyncio.open_connection(there.hostname, there.port)
            else:
                back, onward = await asyncio.open_unix_connection(there.path)
            ends.append(onward)
            requests = forward_bytes(reader, onward, lambda data: fuse.pass_request(task, data))
            replies = forward_bytes(back, writer, lambda _: fuse.pass_reply(task))
            ways |= {asyncio.create_task(requests), asyncio.create_task(replies)}
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in ends:
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
    """Run the bot until it is killed; one that cannot start because Redis is silent is started again."""
    while True:
        with suppress(StoreUnavailable):
            async with run_bot(settings, Clock(), workers=False) as bot:
                while await bot.list_unready():  # noqa: ASYNC110  (there is no event for it)
                    await asyncio.sleep(0.005)
                sys.stdout.write(f"{bot.url} {os.getpid()}\n")
                sys.stdout.flush()
                await asyncio.Event().wait()


def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # killed children need not be reaped
    for line in sys.stdin:
        if not os.fork():
            try:
                asyncio.run(_run_stand(Settings.model_validate(json.loads(line))))
            except BaseException:
                traceback.print_exc()
            os._exit(1)


if __name__ == "__main__":
    main()
