"""Failed runs at the simulated Zof, and their webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import aiohttp

from tests.support.bot import RunningBot
from zofbot.simulator.zof.state import ZofRecord

SECRET = "webhook-secret"


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
