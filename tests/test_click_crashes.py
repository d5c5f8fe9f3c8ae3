"""A web process killed before and after each thing a click has it say to Redis: no click lost, none done twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clicking import Fuse, between
from tests.conftest import House, house, said, until
from tests.test_told import SECRET, current, fail, hook
from tests.test_triage import control, press, thread
from zofbot.simulator.entities import Channel, Message
from zofbot.store.audit import Audit

STEPS = 16
"""More than a click takes, so that the last ones kill nobody."""


@dataclass
class Doors:
    """Where web processes come from, and the fuse before their Valkey."""

    built: House
    fuse: Fuse
    store: str
    server: asyncio.subprocess.Process
    pid: int = 0

    async def open(self) -> None:
        """Have a fresh web process take what Slack sends."""
        assert self.server.stdin
        assert self.server.stdout
        own = self.built.settings.model_dump(mode="json", exclude_unset=True) | {"redis_url": self.store}
        secret = {name: getattr(self.built.settings, name).get_secret_value() for name in SECRETS}
        self.fuse.arm(0, "before", 0)
        self.server.stdin.write(f"{json.dumps(own | secret)}\n".encode())
        async with asyncio.timeout(20):
            url, pid = (await self.server.stdout.readline()).decode().split()
        self.pid = int(pid)
        self.built.world.slack.request_url = f"{url}/slack/events"

    def close(self) -> None:
        """Have the bot that lives on take it."""
        if self.pid and not self.fuse.burnt:
            os.kill(self.pid, signal.SIGKILL)
        self.pid = 0
        self.built.world.slack.request_url = f"{self.built.bot.url}/slack/events"


SECRETS = ("slack_bot_token", "slack_signing_secret", "slack_app_token", "zof_api_key", "zof_webhook_secret")


@asynccontextmanager
async def doors(valkey: str) -> AsyncIterator[Doors]:
    fuse = Fuse()
    async with AsyncExitStack() as stack:
        built = await stack.enter_async_context(
            house(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET)
        )
        store = await stack.enter_async_context(between(valkey, fuse))
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.clicking", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        made = Doors(built, fuse, store, server)
        try:
            yield made
        finally:
            made.close()
            assert server.stdin
            server.stdin.close()
            await server.wait()


async def alerts(built: House, channels: list[str]) -> dict[str, Message]:
    """A failure in each of these channels, which are new."""
    for number, channel in enumerate(channels):
        built.world.slack.channels[channel] = Channel(channel, channel.lower(), {"U0ANA", "U0BEN", "U0ZOFBOT"})
        await built.type(f"/zof subscribe group:case layout:thread case:tc_{number}", channel=channel)
    await until(lambda: sum(call.path == "/results" for call in built.world.zof.calls) >= 2)
    run = fail(built, len(channels))
    assert await hook(built, current(run["id"], f"evt_{run['id']}")) == 200

    def roots() -> dict[str, Message]:
        return {one.channel: one for one in built.world.slack.ledger if (one.key or "").startswith("case:")}

    await until(lambda: len(roots()) == len(channels), 20)
    return roots()


def told(built: House, root: Message) -> list[str]:
    return [line for line in thread(built, root) if "acknowledged this" in line]


async def entries(built: House, root: Message) -> list[Any]:
    audit = Audit(built.bot.store.client, built.settings.zofbot_namespace)
    return [one for one in await audit.read() if one.key == root.key]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_any_step_of_a_click_it_is_done_once(valkey: str, when: str) -> None:
    channels = [f"C0CRASH{number:02}" for number in range(STEPS)]
    killed, kept = 0, 0
    async with doors(valkey) as own:
        built = own.built
        roots = await alerts(built, channels)
        for step, channel in enumerate(channels, start=1):
            root = roots[channel]
            ack = control(root, "zof_triage_acknowledge")
            await own.open()
            own.fuse.arm(step, when, own.pid)
            outcome = await built.stage.people.press("U0ANA", ack, channel=channel, ts=root.ts)
            own.close()
            killed += not outcome.ok
            stored = await entries(built, root)
            assert len(stored) == 1 or not outcome.ok, f"step {step}: Slack was told that it is done"
            if not outcome.ok:
                kept += len(stored)
                if "Acknowledged" not in said(root):  # Slack says that it failed, so a person presses again
                    await press(built, "U0ANA", root, ack)
            assert [one.act for one in await entries(built, root)] == ["acknowledge"], step
        for root in roots.values():
            await until(lambda root=root: "Acknowledged" in said(root) and len(told(built, root)) == 1, 20)
        await asyncio.sleep(0.5)
        assert [len(told(built, root)) for root in roots.values()] == [1] * STEPS
    assert killed >= 3, "the click says several things to Redis"
    assert killed < STEPS, "the last steps lie beyond the click"
    assert bool(kept) == (when == "after"), "storing it is the last that is said to Redis, and then Slack hears of it"
