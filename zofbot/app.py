"""Makes every object once, joins them, and starts and stops them in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import aiohttp
import structlog
from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler

from zofbot.errands import Errands
from zofbot.errors import SettingsError, SlackError, StoreUnavailable
from zofbot.listeners import Reception
from zofbot.listeners.desk import Desk
from zofbot.metrics import Metrics
from zofbot.model import utcnow
from zofbot.settings import Settings
from zofbot.slack.links import Links
from zofbot.slack.notifier import Identity, SlackNotifier
from zofbot.store import Store, connected
from zofbot.store.embedded import embedded
from zofbot.web import SlackDoor, site
from zofbot.zof.client import ZofCall, ZofClient

log = structlog.get_logger()

DRAIN_SECONDS = 6.0
"""How long answers that are under way may take once the bot is told to stop; all of it must fit into ten seconds."""

INTRODUCTION_SECONDS = 15.0
"""Pause before Slack is asked again who we are, after it would not say."""


@dataclass
class Zofbot:
    """A bot that is up: where its web door is, and what it still waits for."""

    url: str
    store: Store
    notifier: SlackNotifier
    metrics: Metrics
    socket: AsyncSocketModeHandler | None = None
    identity: Identity | None = None

    async def missing(self) -> list[str]:
        """Name what is not ready, in words."""
        missing = []
        try:
            await self.store.ping()
        except StoreUnavailable:
            missing.append("redis does not answer")
        self.metrics.store_up.set(not missing)
        if self.identity is None:
            missing.append("slack has not accepted the bot token yet")
        if self.socket and not await self.socket.client.is_connected():
            missing.append("slack's socket is not connected")
        return missing

    async def introduce(self) -> None:
        """Ask Slack who we are until it says so; commands work meanwhile."""
        while self.identity is None:
            try:
                self.identity = await self.notifier.identify()
                log.info("slack connected", team=self.identity.team, bot=self.identity.user)
            except SlackError as error:
                log.error("slack not connected", reason=error.reason, mend=error.next_step)
                await asyncio.sleep(INTRODUCTION_SECONDS)


def zof_client(settings: Settings, metrics: Metrics, store: Store | None = None) -> ZofClient:
    """Make the one way to Zof; with a ``store``, processes share what they learn of the quota."""

    def observe(call: ZofCall) -> None:
        metrics.zof_calls.labels(call.method, call.template, call.outcome).inc()
        metrics.zof_seconds.labels(call.template).observe(call.seconds)
        metrics.zof_tries.inc(call.tries)

    return ZofClient(
        base_url=settings.zof_base_url,
        key=settings.zof_api_key.get_secret_value(),
        status_param=settings.zof_status_param,
        project_param=settings.zof_project_param,
        since_param=settings.zof_since_param,
        bare_duration_unit=settings.zof_duration_unit,
        board=store,
        observe=observe,
    )


def links(settings: Settings) -> Links:
    """Say which links may be shown."""
    return Links(settings.zof_run_url_template, settings.zof_result_url_template, settings.link_hosts)


@asynccontextmanager
async def running(settings: Settings, clock: Callable[[], datetime] = utcnow) -> AsyncIterator[Zofbot]:
    """Run the bot while the context lasts; on the way out it takes nothing new and finishes what is under way.

    Raises SettingsError or StoreUnavailable when it cannot start.
    """
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        address = settings.redis_url or await stack.enter_async_context(embedded(settings.zofbot_data_dir))
        store = await stack.enter_async_context(connected(address, settings.zofbot_namespace))
        session = await stack.enter_async_context(aiohttp.ClientSession(trust_env=_far(settings.slack_api_url)))
        zof = zof_client(settings, metrics, store)
        stack.push_async_callback(zof.aclose)
        token = settings.slack_bot_token.get_secret_value()
        notifier = SlackNotifier(session, token=token, api_url=settings.slack_api_url, metrics=metrics)
        errands = Errands()
        stack.push_async_callback(errands.drain, DRAIN_SECONDS)
        desk = Desk(zof, store, notifier, errands, metrics, links(settings), settings.zof_list_order, clock)
        app = Reception(desk, notifier.client)
        bot = Zofbot("", store, notifier, metrics)
        secret = settings.slack_signing_secret.get_secret_value()
        door = SlackDoor(app, secret, metrics, clock) if secret else None
        bot.url = await _open(stack, site(door, metrics, bot.missing), settings)
        if settings.socket_mode:
            bot.socket = AsyncSocketModeHandler(app, settings.slack_app_token.get_secret_value())
            stack.push_async_callback(bot.socket.close_async)
            # It tries until it is connected, so the start does not wait for it; readiness says how it stands.
            connecting = bot.socket.client.connect()  # type: ignore[no-untyped-call]  # the SDK's, not annotated
            stack.push_async_callback(_cancel, asyncio.create_task(connecting))
        stack.push_async_callback(_cancel, asyncio.create_task(bot.introduce()))
        log.info("zofbot is up", url=bot.url, slack="socket" if bot.socket else "http")
        yield bot
        log.info("zofbot stops")


def _far(url: str) -> bool:
    """Whether a proxy may stand in between: never before loopback."""
    return urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1")


async def _open(stack: AsyncExitStack, door: web.Application, settings: Settings) -> str:
    runner = web.AppRunner(door, access_log=None, shutdown_timeout=3.0, handler_cancellation=False)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        raise SettingsError(
            [f"PORT {settings.port} on HOST {settings.host} cannot be opened ({error.strerror}): set another."]
        ) from error
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
