"""Failed runs at the simulated Zof, their webhooks, and a bot that posts them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.bot import RunningBot, running_bot, wait_for_first_poll
from zofbot.simulator.zof.state import ZofRecord

SECRET = "webhook-secret"


@asynccontextmanager
async def alerting_bot(store_url: str, **more: Any) -> AsyncIterator[RunningBot]:
    """Start a bot that has polled, and posts what webhooks announce from now on; it polls once an hour."""
    options: dict[str, Any] = {"history": False, "zofbot_poll_interval": 3600, "zof_webhook_secret": SECRET}
    async with running_bot(store_url, workers=True, **options | more) as bot:
        await wait_for_first_poll(bot)
        yield bot


def fail_run(
    bot: RunningBot, cases: int = 2, *, passed: int = 1, environment: str = "staging", status: str = "failed"
) -> ZofRecord:
    """Finish a run at Zof now, with some failed cases."""
    zof = bot.world.zof
    run = zof.start_run({"project_id": "proj_checkout", "environment": environment, "name": "nightly cart"})
    for number in range(cases + passed):
        word = status if number < cases else "passed"
        zof.add_result(
            run["id"], status=word, name=f"Case {number}", test_case_id=f"tc_{number}", failure_summary="boom"
        )
    return zof.finish_run(run["id"])


async def post_webhook(bot: RunningBot, body: dict[str, Any], secret: str = SECRET) -> int:
    raw = json.dumps(body).encode()
    headers = {"X-Zof-Signature": hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}
    address = f"{bot.app.url}/zof/webhook"
    async with aiohttp.ClientSession() as session, session.post(address, data=raw, headers=headers) as reply:
        return reply.status


def webhook_event(run: str, event: str, kind: str = "run.failed") -> dict[str, Any]:
    return {"id": event, "type": kind, "created": "2026-06-01T08:15:00Z", "data": {"object": {"run_id": run}}}
