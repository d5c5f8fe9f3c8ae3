"""Measures what a flood at the doors does to people: how long a slash command waits meanwhile.

``.venv/bin/python benchmarks/flood.py [--seconds 6] [--rate 10000] [--connections 200]``; a minute, loopback alone, and
bounded in time and number. The bot is ``zofbot run`` over a Valkey that syncs every write. Two processes of their own
attempt ``rate`` requests a second between them, over so many connections; a request that no connection is free for
is not sent, and counts as attempted. Meanwhile this process types ten commands a second, whether or not the one before
was answered.

quiet      no flood
unsigned   webhooks that Zof did not sign
distinct   signed webhooks, each an event of its own about a run of its own
repeats    one signed webhook, over and over
hasty      unsigned webhooks, a connection each, whose sender does not wait for the answer
heavy      unsigned webhooks of a mebibyte
strangers  requests at Slack's door that Slack did not sign

Printed: what was sent and what was answered a second, acknowledgements at p50 and p99, those that came later than Slack
waits, the bot's memory at its highest until then, and what was logged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from triage import SECRET, run_bot

from zofbot.clock import MovableClock
from zofbot.simulator.seed import ASSERTION_RESULT, QA_ALERTS, seed_world
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack import payloads
from zofbot.simulator.world import World
from zofbot.simulator.zof.webhooks import current_envelope, sign_body

FLOODS = ("unsigned", "distinct", "repeats", "hasty", "heavy", "strangers")
FLOOD_PROCESSES = 2
COMMAND_INTERVAL_SECONDS = 0.1
"""Seconds between two commands."""

TICK_SECONDS = 0.01


# --- the flood: each of these is a process of its own


def build_webhook(number: int, *, signed: bool) -> bytes:
    """A whole request."""
    named = current_envelope("run.failed", "2026-06-01T08:15:00Z", lambda prefix: f"{prefix}_{number}", f"run_{number}")
    body = json.dumps(named).encode()
    given = sign_body(SECRET, body) if signed else "0" * 64
    return _build_request("/zof/webhook", f"X-Zof-Signature: {given}\r\n", body)


def _build_request(path: str, headers: str, body: bytes) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: flood\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def choose_request_maker(kind: str, first: int) -> Callable[[], bytes]:
    """What makes the next request of a flood; ``first`` is where its numbers begin."""
    if kind == "distinct":
        numbers = iter(range(first, first + 10**9))
        return lambda: build_webhook(next(numbers), signed=True)
    if kind == "strangers":
        stamp = f"X-Slack-Request-Timestamp: {time.time():.0f}\r\nX-Slack-Signature: v0={'0' * 64}\r\n"
        same = _build_request("/slack/events", stamp, b"command=%2Fzof&text=help&user_id=U0ANA")
    elif kind == "heavy":
        same = _build_request("/zof/webhook", f"X-Zof-Signature: {'0' * 64}\r\n", b"x" * (1 << 20))
    else:
        same = build_webhook(0, signed=kind == "repeats")
    return lambda: same


class Line(asyncio.Protocol):
    """One connection of a flood: free once it is open, and again once its request was answered."""

    def __init__(self, flood: Flood) -> None:
        self.flood = flood
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.flood.open += 1
        self.flood.free.append(self)

    def send(self, request: bytes) -> None:
        assert self.transport
        self.transport.write(request)
        if self.flood.hasty:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self.flood.answers[data[9:12].decode()] += 1
        self.flood.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.flood.open -= 1


class Flood:
    """So many lines to one door, and as many requests a second as are wanted and the lines can take."""

    def __init__(self, url: str, kind: str, lines: int, first: int) -> None:
        where = urlsplit(url)
        self.host, self.port = where.hostname or "", where.port or 0
        self.made, self.lines, self.hasty = choose_request_maker(kind, first), lines, kind == "hasty"
        self.free: list[Line] = []
        self.answers: Counter[str] = Counter()
        self.sent = self.dialling = self.open = 0

    async def send_requests(self, rate: float, seconds: float) -> dict[str, Any]:
        """Flood for so long; what was sent and answered."""
        began, tasks = time.monotonic(), set[asyncio.Task[None]]()
        due = 0.0
        while (passed := time.monotonic() - began) < seconds:
            while due < passed * rate and self._send_next():
                due += 1
            due = passed * rate
            for _ in range(self.lines - self.open - self.dialling):
                self.dialling += 1
                task = asyncio.create_task(self._open_line())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(TICK_SECONDS)
        for task in tasks:
            task.cancel()
        return {"sent": self.sent, **self.answers}

    def _send_next(self) -> bool:
        while self.free:
            line = self.free.pop()
            if line.transport and not line.transport.is_closing():
                line.send(self.made())
                self.sent += 1
                return True
        return False

    async def _open_line(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Line(self), self.host, self.port)
        except OSError:
            self.answers["refused"] += 1
        finally:
            self.dialling -= 1


# --- people meanwhile


class People:
    """Types commands, and keeps how long each took to be acknowledged."""

    def __init__(self, simulator: SimulatorServer) -> None:
        self.simulator = simulator
        self.waits: list[float] = []
        self.failed: Counter[str] = Counter()

    async def type_commands(self, seconds: float) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(seconds / COMMAND_INTERVAL_SECONDS)):
                await asyncio.sleep(max(0.0, began + number * COMMAND_INTERVAL_SECONDS - time.monotonic()))
                group.create_task(self._type_command("help" if number % 2 else f"result {ASSERTION_RESULT}"))

    async def _type_command(self, text: str) -> None:
        slack = self.simulator.world.slack
        person, place = slack.users["U0ANA"], slack.channels[QA_ALERTS]
        command = payloads.command_payload(slack, person, place, f"/zof {text}", f"{self.simulator.url}/respond/nobody")
        outcome = await self.simulator.people.delivery.send_payload("slash_commands", command)
        self.waits.append(outcome.ms)
        if not outcome.is_accepted:
            self.failed[str(outcome.status or outcome.error)] += 1


async def run_floods(url: str, kind: str, size: argparse.Namespace) -> list[dict[str, Any]]:
    """Let the flooders work, and give what each of them counted."""
    given = [str(size.rate / FLOOD_PROCESSES), str(size.seconds), str(size.connections // FLOOD_PROCESSES)]
    ran = [
        await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--flood", url, kind, str(number * 10**8 + int(time.time() * 10) % 10**7), *given,
            stdout=asyncio.subprocess.PIPE,
        )
        for number in range(FLOOD_PROCESSES)
    ]  # fmt: skip
    said = await asyncio.gather(*(process.communicate() for process in ran))
    return [json.loads(out) for out, _ in said]


async def measure_flood(
    simulator: SimulatorServer, url: str, kind: str, size: argparse.Namespace
) -> tuple[People, Counter[str]]:
    people, counted = People(simulator), Counter[str]()
    typing = asyncio.create_task(people.type_commands(size.seconds))
    if kind != "quiet":
        for item in await run_floods(url, kind, size):
            counted.update(item)
    await typing
    return people, counted


def read_peak_memory(pid: int) -> float:
    """The most memory that a process has had, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


async def main(size: argparse.Namespace) -> Table:
    """Measure each flood, and a quiet time before."""
    world = World(MovableClock())
    seed_world(world)
    world.zof.quota = None
    simulator = SimulatorServer(world)
    await simulator.start()
    table = Table("flood", "sent/s", "answered/s", "p50 ms", "p99 ms", "late", "memory MiB", "log KiB",
                  title=f"{size.rate} a second attempted")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="flood-") as folder:
        log = Path(folder) / "log"
        async with run_bot(simulator, Path(folder)) as up:
            await People(simulator).type_commands(2)  # the first ones connect, compile and fill caches
            for kind in ("quiet", *size.floods):
                before = log.stat().st_size
                people, counted = await measure_flood(simulator, up.url, kind, size)
                written = (log.stat().st_size - before) / 1024
                table.add_row(
                    kind, *format_row(people, counted, size), f"{read_peak_memory(up.pid):.0f}", f"{written:.0f}"
                )
                await asyncio.sleep(2)
    await simulator.stop()
    return table


def format_row(people: People, counted: Counter[str], size: argparse.Namespace) -> list[str]:
    """One line of the table."""
    sent = counted.pop("sent", 0) / size.seconds
    answers = ", ".join(f"{count / size.seconds:.0f} × {status}" for status, count in sorted(counted.items()))
    cuts = quantiles(people.waits, n=100, method="inclusive")
    late = ", ".join(f"{count} × {why}" for why, count in people.failed.items())
    return [f"{sent:.0f}", answers, f"{cuts[49]:.0f}", f"{cuts[98]:.0f}", late or "none"]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--flood"]:
        address, sort, begin, rate, seconds, lines = sys.argv[2:]
        flood = Flood(address, sort, int(lines), int(begin))
        print(json.dumps(asyncio.run(flood.send_requests(float(rate), float(seconds)))))
    else:
        parser = argparse.ArgumentParser(description="Measure acknowledgements under floods.")
        parser.add_argument("--seconds", type=float, default=6, help="of each flood (default: %(default)s)")
        parser.add_argument("--rate", type=int, default=10_000, help="attempted a second (default: %(default)s)")
        parser.add_argument("--connections", type=int, default=200, help="at once (default: %(default)s)")
        parser.add_argument("--floods", nargs="*", default=FLOODS, choices=FLOODS, help="which (default: all)")
        Console(width=160).print(asyncio.run(main(parser.parse_args())))
