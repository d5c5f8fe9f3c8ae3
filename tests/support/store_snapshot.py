"""Snapshot of the Redis data written by this version, to test later versions with.

``python -m tests.support.store_snapshot > FILE`` creates all persistent data (subscriptions, alerts, actions, a snooze,
parked, held and pending items) and writes each key, and the runs concerned. Copied into
an earlier version it takes a snapshot of that one.
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

from tests.support.bot import bot_settings, wait_until
from tests.support.virtual_time import test_clock
from zofbot.app import run_bot
from zofbot.clock import Clock
from zofbot.simulator.seed import seed_world
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.world import World
from zofbot.store.redis_server.embedded import start_embedded

SECRET = "webhook-secret"
StoreSnapshot = dict[str, Any]


async def dump_store(client: redis.Redis) -> StoreSnapshot:
    """Return every persistent key: type, TTL in milliseconds (-1: none), value as text."""
    found: StoreSnapshot = {}
    for name in sorted([key async for key in client.scan_iter() if b":claim:" not in key]):
        kind = _decode_text(await client.type(name))
        found[_decode_text(name)] = [
            kind,
            await client.pttl(name),
            _decode_text(await _READERS_BY_TYPE[kind](client, name)),
        ]
    return found


_READERS_BY_TYPE: dict[str, Callable[[Any, Any], Any]] = {
    "string": lambda client, name: client.get(name),
    "hash": lambda client, name: client.hgetall(name),
    "list": lambda client, name: client.lrange(name, 0, -1),
    "zset": lambda client, name: client.zrange(name, 0, -1, withscores=True),
    "stream": lambda client, name: client.xrange(name),
}


async def restore_store(client: redis.Redis, frozen: StoreSnapshot) -> None:
    """Restore every key."""
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


def _decode_text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {_decode_text(name): _decode_text(item) for name, item in value.items()}
    return [_decode_text(item) for item in value] if isinstance(value, list | tuple) else value


class SnapshotScenario:
    """The actions that create the snapshot's data."""

    def __init__(self, world: World, simulator: SimulatorServer, url: str) -> None:
        self.world, self.simulator, self.url = world, simulator, url
        self.before = set(world.zof.runs)

    async def run_scenario(self) -> None:
        type_ = self.simulator.people.type_text
        await type_("U0ANA", "C0QA", "/zof subscribe project:proj_* env:staging on:failed,error,recovered,gate")
        await type_("U0BEN", "C0CHECKOUT", "/zof subscribe env:production group:case after:2/1h layout:flat")
        await type_("U0BEN", "C0SEARCH", "/zof subscribe env:nightly quiet:00:00-23:59 escalate:15m-><@U0BEN>")
        await type_("U0ANA", "C0RANDOM", "/zof subscribe env:staging on:failed layout:flat")
        await wait_until(lambda: len(self.world.slack.ledger) >= 4)
        await self.fail_run("staging", "first", "second")
        await wait_until(lambda: len(self.alerts_in_channel()) == 1)
        await self.press_button("acknowledge")
        await self.fail_run("production", "third")
        await self.fail_run("nightly", "fourth")
        self.world.slack.channels["C0RANDOM"].archived = True
        await self.fail_run("staging", "fifth")
        await self.fail_run("staging", "sixth", status="running")
        await asyncio.sleep(6)

    async def fail_run(self, environment: str, *cases: str, status: str = "failed") -> None:
        zof = self.world.zof
        run = zof.start_run({"project_id": "proj_checkout", "environment": environment, "name": f"run of {cases[0]}"})
        for case in cases:
            zof.add_result(run["id"], status="failed", name=case, test_case_id=f"tc_{case}", failure_summary="boom")
        if status != "running":
            zof.finish_run(run["id"])
        body = json.dumps({"id": f"evt_{cases[0]}", "type": "run.failed", "data": {"object": {"run_id": run["id"]}}})
        headers = {"X-Zof-Signature": hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()}
        webhook_url = f"{self.url}/zof/webhook"
        async with aiohttp.ClientSession() as session, session.post(webhook_url, data=body, headers=headers) as reply:
            assert reply.status == 200

    def alerts_in_channel(self) -> list[Any]:
        return [
            item
            for item in self.world.slack.ledger
            if (item.idempotency_key or "").startswith("run:") and item.channel == "C0QA"
        ]

    async def press_button(self, act: str) -> None:
        alert = self.alerts_in_channel()[0]
        held = [alert.blocks, *(attachment.get("blocks", []) for attachment in alert.attachments)]
        button = next(
            element | {"block_id": block["block_id"]}
            for blocks in held for block in blocks for element in block.get("elements", [])
            if act in element.get("action_id", "")
        )  # fmt: skip
        await self.simulator.people.press_element("U0ANA", button, channel=alert.channel, ts=alert.ts)
        await wait_until(
            lambda: any((item.idempotency_key or "").startswith("act:") for item in self.world.slack.ledger)
        )


async def take_snapshot() -> StoreSnapshot:
    """Run the scenario, and return the snapshot."""
    world = World(test_clock())
    seed_world(world)
    world.zof.quota = None
    simulator = SimulatorServer(world)
    await simulator.start()
    with tempfile.TemporaryDirectory() as folder:
        async with start_embedded(Path(folder), Clock()) as address, redis.from_url(address) as client:
            settings = bot_settings(simulator, address, zof_webhook_secret=SECRET, zofbot_poll_interval=1)
            async with run_bot(settings, world.clock) as bot:
                world.slack.request_url = f"{bot.url}/slack/events"
                await wait_until(lambda: bot.identity is not None)
                walk = SnapshotScenario(world, simulator, bot.url)
                await walk.run_scenario()
            kept = await dump_store(client)
    await simulator.stop()
    runs = {name: run for name, run in world.zof.runs.items() if name not in walk.before}
    return {
        "at": time.time(),
        "keys": kept,
        "runs": runs,
        "results": {name: result for name, result in world.zof.results.items() if result.get("run_id") in runs},
        "told": [
            {
                "key": item.idempotency_key,
                "channel": item.channel,
                "ts": item.ts,
                "thread_ts": item.thread_ts,
                "text": item.text,
            }
            for item in world.slack.ledger
        ],
    }


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    json.dump(asyncio.run(take_snapshot()), sys.stdout, indent=0, sort_keys=True, ensure_ascii=False)
