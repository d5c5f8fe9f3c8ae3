"""A snapshot of what a version leaves in Redis, for later versions to be tried on.

``python -m tests.support.store_snapshot > FILE`` walks through all that lasts (subscriptions, alerts, acts, a snooze,
something parked, held back and still looked at) and writes down each key, and the runs that it was about. Copied beside
an earlier version it takes that one's snapshot.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import redis.asyncio as redis
import structlog

from tests.support.bot import bot_settings, until
from tests.support.virtual_time import test_clock
from zofbot.app import running
from zofbot.clock import Clock
from zofbot.simulator.organization import furnish
from zofbot.simulator.stage import Stage
from zofbot.simulator.world import World
from zofbot.store.embedded import embedded

SECRET = "webhook-secret"
Frozen = dict[str, Any]


async def dump(client: redis.Redis) -> Frozen:
    """Every key that lasts by its name: type, milliseconds to live (-1 for ever), value as text."""
    found: Frozen = {}
    for name in sorted([key async for key in client.scan_iter() if b":claim:" not in key]):
        kind = _text(await client.type(name))
        found[_text(name)] = [kind, await client.pttl(name), _text(await _READ[kind](client, name))]
    return found


_READ: dict[str, Callable[[Any, Any], Any]] = {
    "string": lambda client, name: client.get(name),
    "hash": lambda client, name: client.hgetall(name),
    "list": lambda client, name: client.lrange(name, 0, -1),
    "zset": lambda client, name: client.zrange(name, 0, -1, withscores=True),
    "stream": lambda client, name: client.xrange(name),
}


async def restore(client: redis.Redis, frozen: Frozen) -> None:
    """Have every key again."""
    for name, (kind, life, value) in frozen.items():
        match kind:
            case "string":
                await client.set(name, value)
            case "hash":
                await client.hset(name, mapping=value)
            case "list":
                await client.rpush(name, *value)
            case "zset":
                await client.zadd(name, dict(value))
            case _:
                for identifier, fields in value:
                    await client.xadd(name, fields, id=identifier)
        if life > 0:
            await client.pexpire(name, life)


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {_text(name): _text(one) for name, one in value.items()}
    return [_text(one) for one in value] if isinstance(value, list | tuple) else value


class Walk:
    """What the bot goes through before it is frozen."""

    def __init__(self, world: World, stage: Stage, url: str) -> None:
        self.world, self.stage, self.url = world, stage, url
        self.before = set(world.zof.runs)

    async def go(self) -> None:
        type_ = self.stage.people.type
        await type_("U0ANA", "C0QA", "/zof subscribe project:proj_* env:staging on:failed,error,recovered,gate")
        await type_("U0BEN", "C0CHECKOUT", "/zof subscribe env:production group:case after:2/1h layout:flat")
        await type_("U0BEN", "C0SEARCH", "/zof subscribe env:nightly quiet:00:00-23:59 escalate:15m-><@U0BEN>")
        await type_("U0ANA", "C0RANDOM", "/zof subscribe env:staging on:failed layout:flat")
        await until(lambda: len(self.world.slack.ledger) >= 4)
        await self.fail("staging", "first", "second")
        await until(lambda: len(self.alerts()) == 1)
        await self.press("acknowledge")
        await self.fail("production", "third")
        await self.fail("nightly", "fourth")
        self.world.slack.channels["C0RANDOM"].archived = True
        await self.fail("staging", "fifth")
        await self.fail("staging", "sixth", status="running")
        await asyncio.sleep(6)

    async def fail(self, environment: str, *cases: str, status: str = "failed") -> None:
        zof = self.world.zof
        run = zof.start_run({"project_id": "proj_checkout", "environment": environment, "name": f"run of {cases[0]}"})
        for case in cases:
            zof.add_result(run["id"], status="failed", name=case, test_case_id=f"tc_{case}", failure_summary="boom")
        if status != "running":
            zof.finish_run(run["id"])
        body = json.dumps({"id": f"evt_{cases[0]}", "type": "run.failed", "data": {"object": {"run_id": run["id"]}}})
        headers = {"X-Zof-Signature": hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()}
        door = f"{self.url}/zof/webhook"
        async with aiohttp.ClientSession() as session, session.post(door, data=body, headers=headers) as reply:
            assert reply.status == 200

    def alerts(self) -> list[Any]:
        return [one for one in self.world.slack.ledger if (one.key or "").startswith("run:") and one.channel == "C0QA"]

    async def press(self, act: str) -> None:
        alert = self.alerts()[0]
        held = [alert.blocks, *(one.get("blocks", []) for one in alert.attachments)]
        button = next(
            element | {"block_id": block["block_id"]}
            for blocks in held for block in blocks for element in block.get("elements", [])
            if act in element.get("action_id", "")
        )  # fmt: skip
        await self.stage.people.press("U0ANA", button, channel=alert.channel, ts=alert.ts)
        await until(lambda: any((one.key or "").startswith("act:") for one in self.world.slack.ledger))


async def frozen() -> Frozen:
    """Walk, and freeze."""
    world = World(test_clock())
    furnish(world)
    world.zof.quota = None
    stage = Stage(world)
    await stage.start()
    with tempfile.TemporaryDirectory() as folder:
        async with embedded(Path(folder), Clock()) as address, redis.from_url(address) as client:
            settings = bot_settings(stage, address, zof_webhook_secret=SECRET, zofbot_poll_interval=1)
            async with running(settings, world.clock) as bot:
                world.slack.request_url = f"{bot.url}/slack/events"
                await until(lambda: bot.identity is not None)
                walk = Walk(world, stage, bot.url)
                await walk.go()
            kept = await dump(client)
    await stage.stop()
    runs = {name: run for name, run in world.zof.runs.items() if name not in walk.before}
    return {
        "at": time.time(),
        "keys": kept,
        "runs": runs,
        "results": {name: one for name, one in world.zof.results.items() if one.get("run_id") in runs},
        "told": [
            {"key": one.key, "channel": one.channel, "ts": one.ts, "thread_ts": one.thread_ts, "text": one.text}
            for one in world.slack.ledger
        ],
    }


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    json.dump(asyncio.run(frozen()), sys.stdout, indent=0, sort_keys=True, ensure_ascii=False)
