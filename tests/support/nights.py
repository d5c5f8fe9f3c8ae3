"""A bot with quiet hours or mutes, and control over its time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.bot import RunningBot, running_bot, wait_for_first_poll, wait_until
from tests.support.failing_runs import SECRET, post_webhook, webhook_event
from tests.support.virtual_time import test_clock
from zofbot.clock import MovableClock
from zofbot.simulator.slack.model import PostedMessage

HOUR_SECONDS = 3600.0


@dataclass
class NightBench:
    """A bot that receives webhooks, its clock, and its messages."""

    bot: RunningBot
    clock: MovableClock
    runs: int = 0

    def quiet_hours(self, begin: int = -1, end: int = 3) -> str:
        """Return a quiet-hours filter; ``begin`` and ``end`` are in whole hours from now."""
        here = datetime.fromtimestamp(self.clock.time(), UTC)
        return f"{here + timedelta(hours=begin):%H:00}-{here + timedelta(hours=end):%H:00},UTC"

    async def pass_time(self, seconds: float) -> None:
        """Advance the clock, and wait until everything due by then was sent."""
        await self.wait_until_settled()
        self.clock.advance(seconds)
        for _ in range(2):  # the second round sends summaries, which are delayed by a second
            self.bot.app.outbox.news.set()
            await self.wait_until_settled()
            self.clock.advance(3.0)
        self.bot.app.outbox.news.set()
        await self.wait_until_settled()

    async def wait_until_settled(self) -> None:
        async def all_said() -> bool:
            depth = await self.bot.app.outbox.read_stats()
            return depth.sending == 0 and depth.pending == depth.scheduled

        await wait_until(all_said)

    async def end_run(self, status: str, *cases: str, passed: tuple[str, ...] = (), **more: str) -> str:
        """End a run and post its webhook; returns its id."""
        zof = self.bot.world.zof
        place = {"project_id": "proj_checkout", "environment": "staging", "name": "nightly"} | more
        run = zof.start_run(place)
        for case in cases:
            zof.add_result(run["id"], status="failed", name=case, test_case_id=f"tc_{case}", failure_summary="boom")
        for case in passed:
            zof.add_result(run["id"], status="passed", name=case, test_case_id=f"tc_{case}")
        zof.finish_run(run["id"])
        await self.post_webhook(run["id"], status)
        return str(run["id"])

    async def post_webhook(self, run: str, status: str = "failed") -> None:
        """Post a run's webhook, and wait until the bot has processed the run."""
        self.runs += 1
        calls = len(self.bot.world.zof.calls)
        event = webhook_event(run, f"evt_{self.runs}", "run.failed" if status == "failed" else "run.completed")
        assert await post_webhook(self.bot, event) == 200
        await wait_until(lambda: len(self.bot.world.zof.calls) > calls)
        await wait_until(self._is_decided)
        await self.wait_until_settled()

    async def _is_decided(self) -> bool:
        """True if no run is pending."""
        return not await self.bot.app.store.client.hlen("{zofbot}:hints")

    def root_messages(self, channel: str = "C0QA") -> list[PostedMessage]:
        """Return the alerts' root messages in the channel, oldest first."""
        return [
            item
            for item in self.bot.world.slack.ledger
            if item.channel == channel and not item.thread_ts and (item.idempotency_key or "").split(":")[0] in ROOTS
        ]

    def message_kinds(self) -> list[str]:
        """Return the kinds of those messages."""
        return [(message.idempotency_key or "").split(":")[0] for message in self.root_messages()]


ROOTS = ("run", "case", "storm", "catchup", "notice")


@asynccontextmanager
async def night(
    store_url: str, typed: str = "", clock: MovableClock | None = None, **more: Any
) -> AsyncIterator[NightBench]:
    """Start a bot that has polled once, in a channel where ``typed`` was entered."""
    time = clock or test_clock()
    settings: dict[str, Any] = {"workers": True, "zofbot_poll_interval": 3600, "zof_webhook_secret": SECRET} | more
    async with running_bot(store_url, clock=time, history=False, **settings) as bot:
        await wait_for_first_poll(bot)
        made = NightBench(bot, time)
        if typed:
            await bot.type_text(typed.replace("HOURS", made.quiet_hours()))
        await made.wait_until_settled()
        yield made
