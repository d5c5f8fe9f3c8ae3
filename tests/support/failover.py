"""Failover scenario: runs fail and people click while servers fail; then Slack's ledger is checked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.support.bot import RunningBot, buttons_of, running_bot, wait_until
from tests.support.metric_values import metric_value
from tests.support.valkey_servers import ServerGroup
from tests.support.virtual_time import test_clock
from zofbot.clock import MovableClock
from zofbot.simulator.zof.state import format_time
from zofbot.simulator.zof.webhooks import sign_body
from zofbot.store.outbox import LEASE_SECONDS

SECRET = "webhook-secret"
CHANNELS = {"C0QA": "staging", "C0CHECKOUT": "production", "C0SEARCH": "nightly"}
"""Subscribed environment per channel; three channels accept three messages per second."""


@dataclass
class FailoverScenario:
    """A bot on servers that are made to fail."""

    bot: RunningBot
    clock: MovableClock
    wanted: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    """Deliveries that were not acknowledged; they may have been stored if only the response was lost."""
    number: int = 0
    noticed: int = 0

    async def fail_run(self, *, hooked: bool = True) -> None:
        """Fail a run for the next of the channels, with one webhook like Zof's."""
        zof, (channel, place) = self.bot.world.zof, list(CHANNELS.items())[self.number % len(CHANNELS)]
        self.number += 1
        run = zof.start_run({"project_id": "proj_checkout", "environment": place})
        zof.add_result(run["id"], status="failed", name="Case", test_case_id=f"tc_{self.number}")
        zof.finish_run(run["id"])
        self.wanted.add(f"run:{run['id']}:failed:{channel}")
        if hooked:
            await self.post_webhook({"run_id": run["id"]}, "run.failed")

    async def send_platform_event(self) -> None:
        """Send an event that only a webhook reports; once acknowledged it must not be lost."""
        self.number += 1
        name, at = f"agent_{self.number}", int(self.clock.time())
        taken = await self.post_webhook({"id": name}, "agent.offline") == 200
        (self.wanted if taken else self.refused).add(f"notice:{name}:agent:{at}:C0RANDOM")

    async def post_webhook(self, about: dict[str, str], kind: str) -> int:
        self.number += 1
        at = format_time(int(self.clock.time()))
        event = {"id": f"evt_{self.number}", "type": kind, "created": at, "data": {"object": about}}
        raw = json.dumps(event).encode()
        headers = {"X-Zof-Signature": sign_body(SECRET, raw)}
        address = f"{self.bot.app.url}/zof/webhook"
        async with aiohttp.ClientSession() as session, session.post(address, data=raw, headers=headers) as reply:
            return reply.status

    async def keep_failing(self, seconds: float) -> None:
        """Send runs and platform events for a while."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            await self.fail_run()
            if passed > self.noticed:
                self.noticed += 1
                await self.send_platform_event()
            await asyncio.sleep(0.3)

    async def acknowledge_oldest(self) -> None:
        """Press *Acknowledge* on the oldest alert, and again whenever the bot reports a failure."""
        await wait_until(lambda: bool(self.alerts_in("C0QA")))
        alert = self.alerts_in("C0QA")[0]
        self.wanted.add(f"act:1:{alert.idempotency_key}")

        def is_acknowledged() -> bool:
            """True if the bot counted it, or if the card has changed because only the store's reply was lost."""
            counted = metric_value(self.bot.app.metrics, "zofbot_triage_total", {"act": "acknowledge"})
            return bool(counted) or "zof_triage_acknowledge" not in {item["action_id"] for item in buttons_of(alert)}

        while not is_acknowledged():
            refused = self.count_refusals()
            await self.bot.press_button(alert, "zof_triage_acknowledge")
            try:
                await wait_until(lambda before=refused: is_acknowledged() or self.count_refusals() > before, 3)
            except TimeoutError:
                self.expire_leases()

    def count_refusals(self) -> int:
        """Return the number of ephemeral messages to the person."""
        return len(self.bot.private_messages("C0QA"))

    def expire_leases(self) -> None:
        """Expire every lease."""
        self.clock.advance(LEASE_SECONDS + 1)
        self.bot.app.outbox.news.set()

    def alerts_in(self, channel: str) -> list[Any]:
        return [
            message
            for message in self.bot.public_messages(channel)
            if (message.idempotency_key or "").startswith("run:")
        ]

    def missing_alerts(self) -> set[str]:
        return self.wanted - {message.idempotency_key for message in self.bot.world.slack.ledger}

    async def wait_for_delivery(self) -> None:
        """Wait until everything is in Slack, then check that nothing is given twice and nothing else."""
        try:
            await wait_until(lambda: not self.missing_alerts(), 5)
        except TimeoutError:
            self.expire_leases()
            await wait_until(lambda: not self.missing_alerts())
        self.expire_leases()  # duplicates would be sent now
        await asyncio.sleep(1.5)
        keys = {message.idempotency_key or "" for message in self.bot.world.slack.ledger}
        told = {key for key in keys if key.startswith(("run:", "notice:", "act:"))}
        assert not self.wanted - told, f"lost {self.wanted - told}"
        assert not told - self.wanted - self.refused, "made up"
        assert self.bot.world.slack.duplicate_keys() == []


@asynccontextmanager
async def failover_scenario(servers: ServerGroup, **settings: Any) -> AsyncIterator[FailoverScenario]:
    """Start a bot on ``servers`` with its channels subscribed."""
    clock = test_clock()
    async with running_bot(
        servers.url, workers=True, clock=clock, zofbot_poll_interval=1, zof_webhook_secret=SECRET, **settings
    ) as bot:
        walk = FailoverScenario(bot, clock)
        filters = {channel: f"env:{place} layout:flat on:failed" for channel, place in CHANNELS.items()}
        for channel, text in (filters | {"C0RANDOM": "on:agent"}).items():
            while not bot.public_messages(channel):
                await bot.type_text(f"/zof subscribe {text}", channel=channel)
                with suppress(TimeoutError):  # the bot said that the store was too slow
                    await wait_until(lambda channel=channel: bool(bot.public_messages(channel)), 10)
        yield walk


async def kill_primary_under_load(servers: ServerGroup) -> None:
    """Kill the primary during alerts, and check that each is sent once, by another process."""
    async with failover_scenario(servers) as walk:
        primary = await servers.find_primary()
        coming = asyncio.create_task(walk.keep_failing(3))
        await wait_until(lambda: len(walk.alerts_in("C0QA")) > 0)
        await primary.kill_process()
        await walk.acknowledge_oldest()
        await coming
        await walk.wait_for_delivery()
        assert await servers.find_primary() is not primary
