"""The processes that ``delivery.py`` measures, and measures with: each runs until it is terminated, and says one line.

counter  a bare Slack on loopback: takes every message, keeps when it came, refuses what comes too fast if told to
zof      a bare Zof: so many pages of old failures after so many milliseconds each, and any run as a fresh failure
worker   a dispatcher over the store, as ``zofbot worker`` has it, logging each attempt; ``/proc`` says what it costs
bot      the webhook door, a poller without its allowance (Zof's quota would be measured else) and a dispatcher
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import redis.asyncio as redis
from aiohttp import web

from zofbot.cli.serve import find_fast_loop, tune_garbage_collector
from zofbot.clock import Clock
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.http.server import build_app
from zofbot.http.zof_endpoint import ZofWebhookEndpoint
from zofbot.notifications.notification import Claim, Obsolete
from zofbot.notifications.still_wanted import is_claim_wanted
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.log_config import configure_logging
from zofbot.observability.metrics import Metrics
from zofbot.polling.context import PollContext, PollSettings
from zofbot.polling.poller import Poller
from zofbot.polling.run_reader import RunReader
from zofbot.simulator.quota import BurstLimit
from zofbot.simulator.zof.state import format_time
from zofbot.slack.calls import SlackCalls
from zofbot.slack.client import SlackClient
from zofbot.slack.views.renderer import render_notification
from zofbot.store.keyspace import Keyspace
from zofbot.store.leases import Lease
from zofbot.store.outbox import Outbox
from zofbot.store.pending_runs import PendingRuns
from zofbot.store.redis_server.connect import connect_redis
from zofbot.store.webhook_trials import WebhookTrials
from zofbot.zof.client import ZofClient

NAMESPACE = "bench"
SECRET = "webhook-secret"
PAGE = 100


def open_keyspace(client: redis.Redis) -> Keyspace:
    """Return the keys of what is measured; a busy machine is no fault, so a call may take a minute."""
    return Keyspace(client, NAMESPACE, max_seconds=60.0)


async def _drop_obsolete(claim: Claim) -> Claim | Obsolete:
    return claim if is_claim_wanted(claim, Clock().time()) else Obsolete()


class Counter:
    """Everything posted: when, and what it was."""

    def __init__(self) -> None:
        self.posts: list[tuple[float, bytes]] = []
        self.paces: dict[str, BurstLimit] = {}
        self.refused = 0
        self.paced = False

    async def post(self, request: web.Request) -> web.Response:
        body = await request.read()
        at = time.time()
        if self.paced and not self.paces.setdefault(json.loads(body)["channel"], BurstLimit()).try_spend(at):
            self.refused += 1
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "1"})
        self.posts.append((at, body))
        return web.Response(text=f'{{"ok":true,"ts":"{len(self.posts)}.000000"}}', content_type="application/json")

    async def other(self, request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "messages": []})

    async def begin(self, request: web.Request) -> web.Response:
        self.__init__()  # type: ignore[misc]  # everything from the start
        self.paced = request.query.get("paced") == "1"
        return web.Response()

    async def count(self, request: web.Request) -> web.Response:
        return web.json_response({"posts": len(self.posts), "refused": self.refused})

    async def times(self, request: web.Request) -> web.Response:
        keyed = {_read_key(body): at for at, body in self.posts}
        return web.json_response({"keys": keyed, "all": [at for at, _ in self.posts]})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/chat.postMessage", self.post)
        app.router.add_route("*", "/api/{method}", self.other)
        app.router.add_post("/begin", self.begin)
        app.router.add_get("/count", self.count)
        app.router.add_get("/times", self.times)
        return app


def _read_key(body: bytes) -> str:
    """Our key, or the title where Alertmanager posts."""
    said = json.loads(body)
    if "metadata" in said:
        return str((said["metadata"].get("event_payload") or {}).get("key"))
    attachments: list[dict[str, str]] = said.get("attachments") or [{}]
    return str(attachments[0].get("title"))


def build_bare_zof(pages: int, delay: float) -> web.Application:
    """``GET /results?status=failed`` has so many pages, all else is empty; a run is one that has just failed."""
    old = format_time(time.time() - 30 * 86400)
    result = {"status": "failed", "created_at": old, "project_id": "proj_1", "failure_summary": "x" * 200}
    made = [[result | {"id": f"res_{page}_{n}", "run_id": f"run_{page}"} for n in range(PAGE)] for page in range(pages)]

    async def listing(request: web.Request) -> web.Response:
        await asyncio.sleep(delay)
        bad = request.path.endswith("/results") and request.query.get("status") == "failed"
        number = int(request.query.get("starting_after", 0))
        if not bad or number >= pages:
            return web.json_response({"data": [], "has_more": False, "next_cursor": None})
        more = number + 1 < pages
        onward = str(number + 1) if more else None
        return web.json_response({"data": made[number], "has_more": more, "next_cursor": onward})

    async def run(request: web.Request) -> web.Response:
        name, at = request.match_info["id"], format_time(time.time())
        about = {"project_id": f"proj_{name.rpartition('_')[2]}", "environment": "staging", "status": "failed"}
        one = {"id": f"res_{name}", "run_id": name, "test_case_id": f"tc_{name}", "name": "Case", "created_at": at}
        return web.json_response({
            "id": name, **about, "created_at": at, "completed_at": at, "summary": {"failed": 1, "error": 0},
            "results": [about | one],
        })  # fmt: skip

    app = web.Application()
    app.router.add_get("/v1/runs/{id}", run)
    app.router.add_get("/v1/{noun}", listing)
    return app


class DeliveryBot:
    """What works by itself, joined as the app joins it."""

    def __init__(self, client: redis.Redis, session: aiohttp.ClientSession, slack: str) -> None:
        self.metrics = Metrics(Clock())
        self.events = EventEmitter(self.metrics)
        self.client = client
        self.keyspace = open_keyspace(client)
        self.outbox = Outbox(self.keyspace, Clock())
        self.hints = PendingRuns(self.keyspace, Clock())
        notifier = SlackClient(
            SlackCalls(session, token="xoxb-bench", api_url=f"{slack}/api/", events=self.events, clock=Clock())
        )
        self.dispatcher = Dispatcher(
            self.outbox,
            notifier,
            render_notification,
            self.events,
            Clock(),
            random=random.SystemRandom().random,
            prepare=_drop_obsolete,
        )

    def poller(self, zof: ZofClient, **options: Any) -> Poller:
        lease = Lease(self.keyspace, "poller", 90, Clock())
        settings = PollSettings(**{"requests": 10**6, **options})
        context = PollContext(self.outbox, RunReader(zof, settings.requests), settings, self.events, Clock())
        return Poller(context, self.hints, lease, random=random.SystemRandom().random)

    def door(self) -> web.Application:
        async def ready() -> list[str]:
            return []

        trials = WebhookTrials(self.keyspace, Clock())
        zof = ZofWebhookEndpoint(
            self.hints, [SECRET], "X-Zof-Signature", self.events, Clock(), note=trials.record_arrival
        )
        return build_app(None, self.metrics, ready, zof)


async def _serve(app: web.Application, stack: AsyncExitStack) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)


async def counter(stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        await _serve(Counter().app(), stack)
        await stop.wait()


async def zof(stop: asyncio.Event, pages: str, milliseconds: str) -> None:
    async with AsyncExitStack() as stack:
        await _serve(build_bare_zof(int(pages), int(milliseconds) / 1000), stack)
        await stop.wait()


async def worker(stop: asyncio.Event, store: str, slack: str) -> None:
    async with connect_redis(store, NAMESPACE, Clock()) as client, aiohttp.ClientSession() as session:
        bot = DeliveryBot(client, session, slack)
        running = asyncio.create_task(bot.dispatcher.run())
        print("up", flush=True)
        await stop.wait()
        bot.dispatcher.stop()
        await running


async def bot(stop: asyncio.Event, store: str, slack: str, zof_url: str) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connect_redis(store, NAMESPACE, Clock()))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        zof_client = ZofClient(base_url=f"{zof_url}/v1", key="key", clock=Clock(), events=EventEmitter())
        stack.push_async_callback(zof_client.aclose)
        made = DeliveryBot(client, session, slack)
        tasks = [asyncio.create_task(made.dispatcher.run()), asyncio.create_task(made.poller(zof_client).run())]
        await asyncio.sleep(0.5)  # the poller listens
        await _serve(made.door(), stack)
        await stop.wait()
        made.dispatcher.stop()
        while not tasks[1].done():
            tasks[1].cancel()
            await asyncio.wait({tasks[1]}, timeout=0.5)
        await tasks[0]


ROLES: dict[str, Callable[..., Awaitable[None]]] = {"counter": counter, "zof": zof, "worker": worker, "bot": bot}


async def main(role: str, log: str, *given: str) -> None:
    with Path(log).open("a") as stream:  # noqa: ASYNC230  (before anything runs)
        configure_logging("json", "info", stream=stream)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        tune_garbage_collector()
        await ROLES[role](stop, *given)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=find_fast_loop()) as runner:
        runner.run(main(*sys.argv[1:]))
