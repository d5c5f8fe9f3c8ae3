"""The walk while servers fail: runs end badly, webhooks and clicks go on, and in the end Slack's ledger is counted."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.support.bot import RunningBot, buttons, running_bot, until
from tests.support.valkey_servers import Servers
from tests.support.virtual_time import test_clock
from zofbot.clock import MovableClock
from zofbot.simulator.records import iso
from zofbot.simulator.webhooks import signature
from zofbot.store.outbox import LEASE

SECRET = "webhook-secret"
CHANNELS = {"C0QA": "staging", "C0CHECKOUT": "production", "C0SEARCH": "nightly"}
"""Who is told of which environment: three channels take three messages a second."""


@dataclass
class FailoverScenario:
    """A bot on servers that fail."""

    bot: RunningBot
    clock: MovableClock
    wanted: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    """What was not taken: it may have been stored all the same, where only the answer was lost."""
    number: int = 0
    noticed: int = 0

    async def fail(self, *, hooked: bool = True) -> None:
        """End a run badly, for the next of the channels; like Zof, tell of it once."""
        zof, (channel, place) = self.bot.world.zof, list(CHANNELS.items())[self.number % len(CHANNELS)]
        self.number += 1
        run = zof.start_run({"project_id": "proj_checkout", "environment": place})
        zof.add_result(run["id"], status="failed", name="Case", test_case_id=f"tc_{self.number}")
        zof.finish_run(run["id"])
        self.wanted.add(f"run:{run['id']}:failed:{channel}")
        if hooked:
            await self.hook({"run_id": run["id"]}, "run.failed")

    async def notice(self) -> None:
        """Something that only a webhook says: once it was taken, it must not be lost."""
        self.number += 1
        name, at = f"agent_{self.number}", int(self.clock.time())
        taken = await self.hook({"id": name}, "agent.offline") == 200
        (self.wanted if taken else self.refused).add(f"notice:{name}:agent:{at}:C0RANDOM")

    async def hook(self, about: dict[str, str], kind: str) -> int:
        self.number += 1
        at = iso(int(self.clock.time()))
        event = {"id": f"evt_{self.number}", "type": kind, "created": at, "data": {"object": about}}
        raw = json.dumps(event).encode()
        headers = {"X-Zof-Signature": signature(SECRET, raw)}
        address = f"{self.bot.app.url}/zof/webhook"
        async with aiohttp.ClientSession() as session, session.post(address, data=raw, headers=headers) as reply:
            return reply.status

    async def failures(self, seconds: float) -> None:
        """Have runs and notices come for a while."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            await self.fail()
            if passed > self.noticed:
                self.noticed += 1
                await self.notice()
            await asyncio.sleep(0.3)

    async def acknowledge(self) -> None:
        """Press *Acknowledge* on the oldest alert, and once more whenever the bot says that it cannot."""
        await until(lambda: bool(self.alerts("C0QA")))
        alert = self.alerts("C0QA")[0]
        self.wanted.add(f"act:1:{alert.key}")

        def done() -> bool:
            """Whether the bot counted it, or the card has changed, where only the answer of the store was lost."""
            counted = self.bot.app.metrics.registry.get_sample_value("zofbot_triage_total", {"act": "acknowledge"})
            return bool(counted) or "zof_triage_acknowledge" not in {one["action_id"] for one in buttons(alert)}

        while not done():
            refused = self.refusals()
            await self.bot.press(alert, "zof_triage_acknowledge")
            try:
                await until(lambda before=refused: done() or self.refusals() > before, 3)
            except TimeoutError:
                self.lapse()

    def refusals(self) -> int:
        """How often the bot has said something to the person alone."""
        return len(self.bot.private("C0QA"))

    def lapse(self) -> None:
        """Let every lease end."""
        self.clock.advance(LEASE + 1)
        self.bot.app.outbox.news.set()

    def alerts(self, channel: str) -> list[Any]:
        return [one for one in self.bot.public(channel) if (one.key or "").startswith("run:")]

    def missing(self) -> set[str]:
        return self.wanted - {message.key for message in self.bot.world.slack.ledger}

    async def told(self, seconds: float = 30) -> None:
        """Wait until all stands in Slack, then see that nothing stands there twice, and nothing else."""
        try:
            await until(lambda: not self.missing(), 5)
        except TimeoutError:
            self.lapse()
            await until(lambda: not self.missing(), seconds)
        self.lapse()  # what would come twice comes now
        await asyncio.sleep(1.5)
        keys = {message.key or "" for message in self.bot.world.slack.ledger}
        told = {key for key in keys if key.startswith(("run:", "notice:", "act:"))}
        assert not self.wanted - told, f"lost {self.wanted - told}"
        assert not told - self.wanted - self.refused, "made up"
        assert self.bot.world.slack.doubled() == []


@asynccontextmanager
async def failover_scenario(servers: Servers, **settings: Any) -> AsyncIterator[FailoverScenario]:
    """Start a bot on ``servers`` with its channels subscribed."""
    clock = test_clock()
    async with running_bot(
        servers.url, works=True, clock=clock, zofbot_poll_interval=1, zof_webhook_secret=SECRET, **settings
    ) as bot:
        walk = FailoverScenario(bot, clock)
        for channel, place in CHANNELS.items():
            await bot.type(f"/zof subscribe env:{place} layout:flat on:failed", channel=channel)
        await bot.type("/zof subscribe on:agent", channel="C0RANDOM")
        await until(lambda: len(bot.world.slack.ledger) == 4, 20)
        yield walk


async def kill_primary_under_load(servers: Servers) -> None:
    """Kill the primary while alerts come, and see that each is told once, by another."""
    async with failover_scenario(servers) as walk:
        primary = await servers.primary()
        coming = asyncio.create_task(walk.failures(3))
        await until(lambda: len(walk.alerts("C0QA")) > 0)
        await primary.kill()
        await walk.acknowledge()
        await coming
        await walk.told()
        assert await servers.primary() is not primary
