"""Measures how long a click takes: until Slack has its answer, and until the card shows what was done.

``.venv/bin/python benchmarks/triage.py [--clicks 100]``; half a minute, loopback alone. The bot is a process of its own
over a Valkey that syncs every write; Slack and Zof are the simulator's. Each click is on an alert of its own, in a
channel of its own, for Slack takes a message a second of one channel. The floor, taken beside each click, is what
nobody can do without: one bare ``chat.update`` of the same card by slack_sdk. The figures are medians and the 99th of a
hundred; ratios are what to hold on to, for machines differ.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import aiohttp
from rich.console import Console
from rich.table import Table
from slack_sdk.web.async_client import AsyncWebClient

from zofbot.clock import MovableClock
from zofbot.config.settings import Settings
from zofbot.simulator.seed import ANA, CHECKOUT, seed_world
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.model import BOT_USER_ID, Channel, PostedMessage
from zofbot.simulator.world import World
from zofbot.simulator.zof.webhooks import current_envelope, sign_body

SECRET = "webhook-secret"
MAX_WAIT_SECONDS = 120.0


async def wait_until(true: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.1)


class RunningBot(NamedTuple):
    """A bot that is up."""

    url: str
    pid: int


@asynccontextmanager
async def run_bot(simulator: SimulatorServer, folder: Path) -> AsyncIterator[RunningBot]:
    """Run ``zofbot run`` while the context lasts."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    slack = simulator.world.slack
    chosen = {
        "SLACK_BOT_TOKEN": slack.bot_token, "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": f"{simulator.url}/api/", "ZOF_API_KEY": simulator.world.zof.key,
        "ZOF_BASE_URL": f"{simulator.url}/zof/v1", "ZOF_WEBHOOK_SECRET": SECRET, "HOST": "127.0.0.1", "PORT": str(port),
        "ZOFBOT_DATA_DIR": str(folder / "store"), "ZOFBOT_POLL_INTERVAL": "3600", "ZOFBOT_LOG_FORMAT": "json",
    }  # fmt: skip
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "zofbot", "run", env=kept | chosen, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session:
            await wait_until(lambda: _is_ready(session, url))
        slack.request_url = f"{url}/slack/events"
        yield RunningBot(url, process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as reply:
            return reply.status == 200
    except aiohttp.ClientError:
        return False


async def post_alerts(simulator: SimulatorServer, url: str, count: int) -> list[PostedMessage]:
    """As many alerts, each in a channel of its own."""
    world = simulator.world
    for number in range(count):
        name = f"C0CLICK{number:04}"
        world.slack.channels[name] = Channel(name, name.lower(), {ANA, BOT_USER_ID})
        await simulator.people.type_text(ANA, name, f"/zof subscribe group:case layout:flat case:tc_{number}")
    run = world.zof.start_run({"project_id": CHECKOUT, "environment": "staging", "name": "nightly"})
    for number in range(count):
        world.zof.add_result(run["id"], status="failed", test_case_id=f"tc_{number}", name=f"Case {number}")
    world.zof.finish_run(run["id"])
    body = json.dumps(current_envelope("run.failed", "2026-06-01T08:15:00Z", world.zof.new_id, run["id"])).encode()
    headers = {"X-Zof-Signature": sign_body(SECRET, body)}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/zof/webhook", data=body, headers=headers):
        pass

    def roots() -> list[PostedMessage]:
        return [item for item in world.slack.ledger if (item.idempotency_key or "").startswith("case:")]

    await wait_until(lambda: len(roots()) == count)
    await asyncio.sleep(4)  # every channel may take a burst again
    return roots()


def find_acknowledge_button(message: PostedMessage) -> dict[str, Any]:
    """The button, as Slack sends it."""
    rows = [block for part in message.attachments for block in part["blocks"] if block["type"] == "actions"]
    [found] = [item | {"block_id": row["block_id"]} for row in rows for item in row["elements"]
               if item["action_id"] == "zof_triage_acknowledge"]  # fmt: skip
    return {name: found[name] for name in ("type", "action_id", "block_id", "value")}


async def wait_for_edit(simulator: SimulatorServer, message: PostedMessage) -> None:
    """Wait for it without asking again and again, which would take a core from the bot."""
    changed = asyncio.Event()
    unwatch = simulator.world.add_watcher(changed.set)
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        while not message.edited:
            changed.clear()
            await changed.wait()
    unwatch()


async def measure_clicks(simulator: SimulatorServer, roots: list[PostedMessage]) -> dict[str, list[float]]:
    """Milliseconds of each click and, beside it, of a bare update."""
    times: dict[str, list[float]] = {"answered": [], "card": [], "bare": []}
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(simulator.world.slack.bot_token, base_url=f"{simulator.url}/api/", session=session)
        for root in roots:
            began = time.perf_counter()
            pressed = asyncio.create_task(
                simulator.people.press_element(ANA, find_acknowledge_button(root), channel=root.channel, ts=root.ts)
            )
            await wait_for_edit(simulator, root)
            times["card"].append((time.perf_counter() - began) * 1000)
            times["answered"].append((await pressed).ms)
            card: dict[str, Any] = {"text": root.text, "blocks": root.blocks, "attachments": root.attachments}
            began = time.perf_counter()
            await client.chat_update(channel=root.channel, ts=root.ts, **card)
            times["bare"].append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.02)
    return times


def build_table(times: dict[str, list[float]]) -> Table:
    drawn = Table(title="A click on an alert, in milliseconds")
    for name in ("what", "p50", "p99", "p50 : a bare chat.update"):
        drawn.add_column(name, justify="left" if name == "what" else "right")
    said = {"answered": "until Slack has its answer, the act stored", "card": "until the card shows it",
            "bare": "a bare chat.update"}  # fmt: skip
    for name, found in times.items():
        ratio = median(mine / its for mine, its in zip(found, times["bare"], strict=True))
        p99 = quantiles(found, n=100, method="inclusive")[98]
        drawn.add_row(said[name], f"{median(found):.1f}", f"{p99:.1f}", f"{ratio:.2f}")
    return drawn


@asynccontextmanager
async def run_bot_with_alerts(clicks: int) -> AsyncIterator[tuple[SimulatorServer, list[PostedMessage]]]:
    """Run a bot that has posted so many alerts; its Slack, and their messages."""
    world = World(MovableClock())
    seed_world(world)
    world.zof.quota, world.slack.paced, world.zof.webhooks.on = None, False, False
    simulator = SimulatorServer(world)
    await simulator.start()
    try:
        with tempfile.TemporaryDirectory(prefix="click-") as folder:
            async with run_bot(simulator, Path(folder)) as up:
                yield simulator, await post_alerts(simulator, up.url, clicks)
    finally:
        await simulator.stop()


async def main(clicks: int) -> None:
    async with run_bot_with_alerts(clicks) as (simulator, roots):
        Console().print(build_table(await measure_clicks(simulator, roots)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure how long a click takes.")
    parser.add_argument("--clicks", type=int, default=100)
    asyncio.run(main(parser.parse_args().clicks))
