"""Measures what zofbot costs beside bare Bolt and bare Python: acknowledging, starting, resting, drawing a card.

``.venv/bin/python benchmarks/slash.py [--rounds N]``; about a minute and a half, loopback alone.

Everything is measured in one run, side by side: each round takes every contender in turn, a ratio is made within its
round, and what is printed is the median over the rounds. Machines drift; ratios taken within a minute do not. A word
says how a ratio stands to its goal: ``ok``, ``stretch`` (better than asked for) or ``over``; it stands only where
both do the same work. The exit code is 0 either way, for this measures and does not judge; it fails only when something
could not be measured.

The contenders, each a process of its own, asked by this process playing Slack (``zofbot.simulator``):

zofbot      ``zofbot run``: its real web door or Socket Mode, logging, its own Valkey with ``appendfsync always``
as written  Bolt as everyone writes it, ``await ack(…)`` in an async listener; it does nothing else
lazy        Bolt with ``process_before_response=True``, ``ack=`` and ``lazy=``; it does nothing else
asking      ``lazy`` that first asks Zof, once, with a pooled httpx client and no retries, and reads nothing of it

The bare ones answer with the very payload zofbot answers with, made beforehand. Each request is one of Slack's, signed
and with a trigger of its own, and every answer is looked at: a claimed repeat would be quick, and empty. Times are
taken at the one who asks, from the first byte sent to the answer parsed. Over Socket Mode only ``/zof help`` is asked;
what ``/zof result`` adds is the call to Zof, which is the same over both.

The card is drawn beside a function that is nothing but a dict literal of the finished payload, followed by the same
``json.dumps``: nothing is escaped, redacted or formatted there, so it is a floor and not a rival.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from timeit import timeit
from typing import Any, NamedTuple

import aiohttp
import httpx
import redis.asyncio as redis
from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from zofbot.clock import Clock, MovableClock
from zofbot.domain.model import Result
from zofbot.simulator.seed import ASSERTION_RESULT, QA_ALERTS, seed_world
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack import payloads
from zofbot.simulator.world import World
from zofbot.slack.links import ZofLinks
from zofbot.slack.views import cards
from zofbot.slack.views.replies import help_replies
from zofbot.store.redis_server.data_folder import socket_path
from zofbot.store.redis_server.embedded import start_embedded
from zofbot.zof import parsing


class Goal(NamedTuple):
    """The most a ratio should be, and what would be better still."""

    hold: float
    stretch: float


GOALS = {
    # Bolt's usual runner looks every 10 ms whether ack() was called; answering at once is the point of ours.
    "as written": Goal(0.15, 0.10),
    # The same way of answering. Ours first claims the request durably, which is a write that reaches the disk.
    "lazy": Goal(2.5, 2.0),
    # The same, where both ask Zof as well.
    "asking": Goal(2.5, 2.0),
    # Nothing but the libraries, which nobody can do without; the rest of the start, the store's included, is ours.
    "start": Goal(1.6, 1.3),
    # An operator types it, and scripts call it: it must not load what it does not need.
    "version": Goal(4.0, 2.5),
    # A card is text from outside made safe; that may not cost more than building and encoding it.
    "card": Goal(2.0, 2.0),
}

REQUESTS = 200
"""Requests of a round, one after another."""

IN_FLIGHT = 8
RATED = 400
"""Requests of a round, ``IN_FLIGHT`` at once."""

SURE = {"help": "/zof commands:", f"result {ASSERTION_RESULT}": ASSERTION_RESULT}
"""What is asked, and what stands in the text of a real answer."""

ASKED_OF_ZOF = f"/results/{ASSERTION_RESULT}"
TEMPLATE = "https://app.zof.ai/results/{result_id}"
LIBRARIES = (
    "slack_bolt.async_app, aiohttp, httpx, redis.asyncio, pydantic, pydantic_settings, structlog, prometheus_client"
)
MAX_WAIT_SECONDS = 120.0
"""Seconds a contender may take to start, and again to stop: what takes longer hangs, however busy the machine is."""

Samples = dict[str, list[float]]
"""One figure a round, by contender."""


def build_result() -> Result:
    """A failed result, as zofbot reads it from the pretend Zof."""
    world = World(MovableClock())
    seed_world(world)
    return parsing.parse_result(world.zof.results[ASSERTION_RESULT])


def card(result: Result) -> dict[str, Any]:
    links = ZofLinks(result_template=TEMPLATE)
    return cards.result_card(result, links, share=True).message_fields()


def build_bare_app(kind: str, env: Mapping[str, str], zof: httpx.AsyncClient) -> AsyncApp:
    """The bare Bolt app of this kind, with the environment that zofbot has."""
    ready = {"help": help_replies.all_commands_help().message_fields(), "result": card(build_result())}

    async def answer(ack: Any, body: dict[str, Any]) -> None:
        verb = body["text"].partition(" ")[0]
        if kind == "asking" and verb == "result":
            (await zof.get(ASKED_OF_ZOF)).raise_for_status()
        await ack(ready[verb])

    async def afterwards() -> None:
        """Nothing is left to do."""

    app = AsyncApp(
        client=AsyncWebClient(env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"]),
        signing_secret=env["SLACK_SIGNING_SECRET"],
        process_before_response=kind != "as written",
    )
    if kind == "as written":
        app.command("/zof")(answer)
    else:
        app.command("/zof")(ack=answer, lazy=[afterwards])
    return app


async def serve_bare(kind: str, env: Mapping[str, str]) -> None:
    """Serve until terminated, the way of Bolt's own adapters."""
    headers = {"Authorization": f"Bearer {env['ZOF_API_KEY']}"}
    async with httpx.AsyncClient(base_url=env["ZOF_BASE_URL"], headers=headers) as zof:
        app = build_bare_app(kind, env, zof)
        if env["SLACK_APP_TOKEN"]:
            await AsyncSocketModeHandler(app, env["SLACK_APP_TOKEN"]).connect_async()  # type: ignore[no-untyped-call]
            await asyncio.Event().wait()
        runner = web.AppRunner(app.web_app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, env["HOST"], int(env["PORT"])).start()
        await asyncio.Event().wait()


async def serve_zof() -> None:
    """Serve the pretend Zof without its quota until terminated, and print where."""
    simulator = await start_simulator()
    print(simulator.url, flush=True)
    await asyncio.Event().wait()


async def start_simulator() -> SimulatorServer:
    """Start a pretend world."""
    world = World(MovableClock())
    seed_world(world)
    world.zof.quota = None
    simulator = SimulatorServer(world)
    await simulator.start()
    return simulator


class Contender(NamedTuple):
    """A contender that is up, and the pretend Slack that it belongs to."""

    slack: SimulatorServer
    pid: int
    data: Path
    seconds: float
    """From the start of its process until it answered."""


def find_free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def build_environment(slack: SimulatorServer, zof_url: str, data: Path, port: int, transport: str) -> dict[str, str]:
    """All that a contender is told; nothing of ours leaks in."""
    world = slack.world
    return {
        "PATH": os.environ["PATH"],
        "SLACK_BOT_TOKEN": world.slack.bot_token,
        "SLACK_SIGNING_SECRET": world.slack.signing_secret,
        "SLACK_APP_TOKEN": world.slack.app_token if transport == "socket" else "",
        "SLACK_API_URL": f"{slack.url}/api/",
        "ZOF_API_KEY": world.zof.key,
        "ZOF_BASE_URL": f"{zof_url}/zof/v1",
        "ZOF_RESULT_URL_TEMPLATE": TEMPLATE,
        "ZOFBOT_DATA_DIR": str(data),
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }


@asynccontextmanager
async def run_process(*command: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process while the context lasts."""
    started = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, **options)
    try:
        yield started
    finally:
        if started.returncode is None:
            started.terminate()
        await wait_for_exit(started)


async def read_first_line(running: asyncio.subprocess.Process) -> str:
    """Wait for the line a process says when it is up."""
    assert running.stdout
    return (await asyncio.wait_for(running.stdout.readline(), MAX_WAIT_SECONDS)).decode().strip()


async def wait_for_exit(ending: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            await ending.wait()
    except TimeoutError:
        ending.kill()
        await ending.wait()
        raise


def console_script() -> str:
    return str(Path(sys.executable).with_name("zofbot"))


@asynccontextmanager
async def run_contender(kind: str, zof_url: str, transport: str = "http") -> AsyncIterator[Contender]:
    """Run a contender while the context lasts."""
    command = [console_script(), "run"] if kind == "zofbot" else [sys.executable, __file__, "--serve", kind]
    port = find_free_port()
    async with AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slash-")))
        slack = await start_simulator()
        stack.push_async_callback(slack.stop)
        slack.world.slack.request_url = f"http://127.0.0.1:{port}/slack/events"
        log = stack.enter_context((data / "stderr.log").open("wb"))
        env = build_environment(slack, zof_url, data, port, transport)
        if kind == "zofbot":  # a killed one leaves its store behind, for the next to adopt; here nobody comes next
            stack.push_async_callback(shut_down_store, data)
        began = time.perf_counter()
        running = await stack.enter_async_context(run_process(*command, env=env, stdout=log, stderr=log))
        try:
            await wait_for_answer(running, slack, port, transport)
        except (TimeoutError, RuntimeError) as error:
            raise RuntimeError(f"{kind} did not start:\n{(data / 'stderr.log').read_text()[-2000:]}") from error
        yield Contender(slack, running.pid, data, time.perf_counter() - began)


async def shut_down_store(data: Path) -> None:
    if socket_path(data).exists():
        async with start_embedded(data, Clock()):
            pass


async def wait_for_answer(
    running: asyncio.subprocess.Process, slack: SimulatorServer, port: int, transport: str
) -> None:
    """Wait until a contender answers: any answer over HTTP will do, for the bare ones have no /healthz."""
    async with asyncio.timeout(MAX_WAIT_SECONDS), aiohttp.ClientSession() as session:
        while True:
            if running.returncode is not None:
                raise RuntimeError("it ended")
            if transport == "socket" and slack.world.slack.lines:
                return
            if transport == "http":
                try:
                    async with session.get(f"http://127.0.0.1:{port}/healthz"):
                        return
                except aiohttp.ClientConnectionError:
                    pass
            await asyncio.sleep(0.005)


@asynccontextmanager
async def run_simulated_zof() -> AsyncIterator[str]:
    """Run the pretend Zof in a process of its own, for whoever asks it pays for the answer otherwise."""
    async with run_process(sys.executable, __file__, "--serve", "zof", stdout=asyncio.subprocess.PIPE) as running:
        yield await read_first_line(running)


async def ack(slack: SimulatorServer, text: str) -> float:
    """Type a command and give the milliseconds until it was acknowledged."""
    workspace = slack.world.slack
    person, place = workspace.users["U0ANA"], workspace.channels[QA_ALERTS]
    command = payloads.command_payload(workspace, person, place, f"/zof {text}", f"{slack.url}/respond/nobody")
    outcome = await slack.people.delivery.send_payload("slash_commands", command)
    answer = outcome.body["text"] if isinstance(outcome.body, dict) else outcome.body
    if SURE[text] not in answer:
        raise RuntimeError(f"no real answer to /zof {text}: {outcome.status} {outcome.error} {answer!r}")
    return outcome.ms


async def measure_in_turn(slack: SimulatorServer, text: str, requests: int = REQUESTS) -> tuple[float, float]:
    """p50 and p99 in milliseconds, one request in flight."""
    cuts = quantiles([await ack(slack, text) for _ in range(requests)], n=100, method="inclusive")
    return cuts[49], cuts[98]


async def rate(slack: SimulatorServer, text: str) -> float:
    """Acknowledgements a second, several in flight."""

    async def ask() -> None:
        for _ in range(RATED // IN_FLIGHT):
            await ack(slack, text)

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(IN_FLIGHT)))
    return RATED / (time.perf_counter() - began)


async def measure_acknowledgements(rounds: int, transport: str, text: str, bots: Mapping[str, Contender]) -> None:
    """Measure one command over one transport and print it."""
    p50: Samples = {kind: [] for kind in bots}
    p99: Samples = {kind: [] for kind in bots}
    rates: Samples = {kind: [] for kind in bots}
    for bot in bots.values():
        await measure_in_turn(bot.slack, text, 20)  # the first ones connect, compile and fill caches
    for _ in range(rounds):
        for kind, bot in bots.items():
            low, high = await measure_in_turn(bot.slack, text)
            p50[kind].append(low)
            p99[kind].append(high)
            rates[kind].append(await rate(bot.slack, text))
    title = f"/zof {text.partition(' ')[0]} over {'HTTP' if transport == 'http' else 'Socket Mode'}"
    for other in (kind for kind in bots if kind != "zofbot"):
        show(f"{title}, p50 ms", p50, other)
        alike = text == "help" or other == "asking"
        show(f"{title}, p99 ms", p99, other, GOALS[other] if alike else None)
        show(f"{title}, a second", rates, other)


async def measure_all_acknowledgements(rounds: int) -> None:
    async with run_simulated_zof() as zof_url:
        for transport, kinds in (
            ("http", ("zofbot", "as written", "lazy", "asking")),
            ("socket", ("zofbot", "as written", "lazy")),
        ):
            async with AsyncExitStack() as stack:
                bots = {
                    kind: await stack.enter_async_context(run_contender(kind, zof_url, transport)) for kind in kinds
                }
                without = {kind: bot for kind, bot in bots.items() if kind != "asking"}
                await measure_acknowledgements(rounds, transport, "help", without)
                if transport == "http":
                    await measure_acknowledgements(rounds, transport, f"result {ASSERTION_RESULT}", bots)


def resident(pid: int) -> float:
    """A process's resident memory in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


async def store_pid(data: Path) -> int:
    async with redis.Redis(unix_socket_path=str(socket_path(data))) as client:
        return int((await client.info("server"))["process_id"])


async def measure_start() -> tuple[float, float, float]:
    """Seconds until ``zofbot run`` answers for the first time; MiB it and its store then rest at."""
    async with run_contender("zofbot", "http://127.0.0.1:9") as bot:
        await asyncio.sleep(0.5)
        return bot.seconds, resident(bot.pid), resident(await store_pid(bot.data))


async def measure_imports() -> tuple[float, float]:
    """Seconds until a process has imported the libraries, and the MiB it rests at."""
    began = time.perf_counter()
    code = f"import {LIBRARIES}\nprint('up', flush=True)\ninput()"
    async with run_process(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE) as running:
        await read_first_line(running)
        return time.perf_counter() - began, resident(running.pid)


async def ran(*command: str) -> float:
    """Seconds that a whole process takes."""
    began = time.perf_counter()
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    await wait_for_exit(running)
    return time.perf_counter() - began


async def starting_and_resting(rounds: int) -> None:
    """Measure whole processes and print them."""
    seconds: Samples = {"zofbot": [], "libraries": []}
    memory: Samples = {"zofbot": [], "libraries": []}
    version: Samples = {"zofbot": [], "python": []}
    for _ in range(rounds):
        start, bot, store = await measure_start()
        seconds["zofbot"].append(start)
        memory["zofbot"].append(bot + store)
        bare_start, bare_memory = await measure_imports()
        seconds["libraries"].append(bare_start)
        memory["libraries"].append(bare_memory)
        for _ in range(3):
            version["zofbot"].append(await ran(console_script(), "--version") * 1000)
            version["python"].append(await ran(sys.executable, "-c", "pass") * 1000)
    show("cold start to answering, s", seconds, "libraries", GOALS["start"])
    show("zofbot --version, ms", version, "python", GOALS["version"])
    show("resting, bot and store, MiB", memory, "libraries")


def drawing(rounds: int) -> None:
    """Measure a card and print it."""
    result = build_result()
    literal: Callable[[], dict[str, Any]] = eval(f"lambda: {card(result)!r}")
    took: Samples = {"zofbot": [], "a dict literal": []}
    for _ in range(rounds):
        took["zofbot"].append(timeit(lambda: json.dumps(card(result)), number=500) * 1e6 / 500)
        took["a dict literal"].append(timeit(lambda: json.dumps(literal()), number=500) * 1e6 / 500)
    show("a card built and encoded, µs", took, "a dict literal", GOALS["card"])


def show(what: str, samples: Samples, other: str, goal: Goal | None = None) -> None:
    """Print one line: both medians, the median of the rounds' ratios, and how that stands to the goal."""
    ours, theirs = samples["zofbot"], samples[other]
    ratio = median(mine / its for mine, its in zip(ours, theirs, strict=True))
    print(
        f"{what:34} {median(ours):9.2f} {median(theirs):9.2f}  {other:15} {ratio:7.2f}  {judged(ratio, goal)}",
        flush=True,
    )


def judged(ratio: float, goal: Goal | None) -> str:
    if goal is None:
        return ""
    word = "over" if ratio > goal.hold else "stretch" if ratio <= goal.stretch < goal.hold else "ok"
    return f"{goal.hold:4g} /{goal.stretch:4g}  {word}"


async def everything(rounds: int) -> None:
    """Measure all of it; told to stop, it stops what it started."""
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    print(f"{f'medians of {rounds} rounds':34} {'zofbot':>9} {'beside':>9}  {'what':15} {'ratio':>7}  hold/stretch")
    drawing(rounds)
    await starting_and_resting(rounds)
    await measure_all_acknowledgements(rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure zofbot beside bare Bolt and bare Python.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--serve", help=argparse.SUPPRESS)  # what a contender's own process is started with
    chosen = parser.parse_args()
    work: Awaitable[None]
    if chosen.serve == "zof":
        work = serve_zof()
    elif chosen.serve:
        work = serve_bare(chosen.serve, os.environ)
    else:
        work = everything(chosen.rounds)
    asyncio.run(work)


if __name__ == "__main__":
    main()
