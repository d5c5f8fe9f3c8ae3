"""Storms: many runs that fail at once, and their messages in the channel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.zof.state import ZofRecord


@asynccontextmanager
async def storm_bot(store_url: str, *subscriptions: str, **settings: Any) -> AsyncIterator[RunningBot]:
    """Start a bot that polls fast enough to read sixty runs within a minute, with these subscriptions of #qa."""
    async with running_bot(store_url, workers=True, history=False, zofbot_poll_interval=5, **settings) as bot:
        await wait_for_first_poll(bot)
        for filters in subscriptions:
            await bot.type_text(f"/zof subscribe {filters}".strip())
        yield bot


def finish_runs(
    bot: RunningBot, count: int, status: str = "failed", *, environment: str = "staging", first: int = 0, cases: int = 1
) -> list[ZofRecord]:
    """End ``count`` runs now; each has its own cases, all of which end with ``status``."""
    return [_finish_run(bot, number, status, environment, cases) for number in range(first, first + count)]


def _finish_run(bot: RunningBot, number: int, status: str, environment: str, cases: int) -> ZofRecord:
    zof = bot.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "environment": environment, "name": f"Suite {number:03}"})
    for case in range(cases):
        name = f"Case {number:03}-{case:02}"
        zof.add_result(run["id"], status=status, name=name, test_case_id=f"tc_{number}_{case}", failure_summary="boom")
    return zof.finish_run(run["id"])


def storm_roots(bot: RunningBot, kind: str = "", channel: str = "C0QA") -> list[PostedMessage]:
    """Return the root messages whose keys begin with a kind: ``run``, ``case`` or ``storm``."""
    kinds = (f"{kind}:",) if kind else ("run:", "case:", "storm:")
    return [
        item
        for item in bot.world.slack.ledger
        if (item.idempotency_key or "").startswith(kinds) and item.channel == channel and not item.thread_ts
    ]


def thread_text(bot: RunningBot, root: PostedMessage) -> str:
    """Return the thread's messages as text."""
    return " ".join(text_of(item) for item in bot.world.slack.ledger if item.thread_ts == root.ts)


async def wait_for_storm(bot: RunningBot, members: int) -> PostedMessage:
    """Wait for the summary that counts ``members`` alerts."""
    await wait_until(lambda: any(f"of {members} alerts" in text_of(root) for root in storm_roots(bot, "storm")))
    return next(root for root in storm_roots(bot, "storm") if f"of {members} alerts" in text_of(root))
