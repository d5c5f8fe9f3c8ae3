"""Joins everything, and starts and stops it in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from zofbot.clock import Clock
from zofbot.concurrency import BackgroundTasks, cancel_tasks
from zofbot.config.secret_reload import ReadSettings, SecretReloader
from zofbot.config.settings import Settings
from zofbot.container import Services, make_zof_client, open_slack_client
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.domain.errors import SettingsError, SlackError, StoreUnavailable
from zofbot.http.server import SlackEndpoint, ZofWebhookEndpoint, build_app, serve_app
from zofbot.http.socket_mode import SocketMode
from zofbot.listeners import SlackApp
from zofbot.listeners.context import ListenerContext
from zofbot.observability.metrics import Metrics
from zofbot.services.canary import ZofClock
from zofbot.services.catalog import Catalog
from zofbot.services.failures import TriageService
from zofbot.slack.client import BotIdentity, SlackClient
from zofbot.store import Store, open_store
from zofbot.store.audit import AuditLog
from zofbot.store.embedded import start_embedded, supervise_embedded
from zofbot.store.health import log_problems
from zofbot.store.outbox import Outbox
from zofbot.store.schema import claim_schema

log = structlog.get_logger()

MAX_DRAIN_SECONDS = 4.0
"""How long answers that are under way may take once the bot is told to stop."""

MAX_FINISH_SECONDS = 3.0
"""How long sends may then take; what is not confirmed by then is left as claimed. All must fit into ten seconds."""

MAX_TRACE_WRITE_SECONDS = 0.5
"""How long writing the last traces may take after that."""

IDENTIFY_RETRY_SECONDS = 5.0
"""Pause before Slack is asked again who we are, after it would not say."""


@dataclass
class Zofbot:
    """A bot that is up: where its web door is, and what it still waits for."""

    url: str
    store: Store
    notifier: SlackClient
    metrics: Metrics
    outbox: Outbox
    rotation: SecretReloader
    clock: Clock
    socket: SocketMode | None = None
    identity: BotIdentity | None = None

    async def list_unready(self) -> list[str]:
        """Name what is not ready, in words."""
        missing = []
        try:
            await self.store.try_write()
        except StoreUnavailable as error:
            missing.append(f"redis {error.reason}")
        self.metrics.store_up.set(not missing)
        if self.identity is None:
            missing.append("slack has not accepted the bot token yet")
        if self.socket and not self.socket.is_connected:
            why = f" ({self.socket.trouble})" if self.socket.trouble else ""
            missing.append(f"slack's socket is not connected{why}")
        self.metrics.slack_up.set(not any("slack" in what for what in missing))
        return missing

    async def identify_bot(self) -> None:
        """Ask Slack who we are until it says so; commands work meanwhile."""
        while self.identity is None:
            try:
                self.identity = await self.notifier.fetch_identity()
                log.info("slack connected", team=self.identity.team, bot=self.identity.user)
            except SlackError as error:
                log.error("slack not connected", reason=error.reason, mend=error.next_step)
                await self.clock.sleep(IDENTIFY_RETRY_SECONDS)


@asynccontextmanager
async def run_bot(
    settings: Settings,
    clock: Clock,
    *,
    doors: bool = True,
    works: bool = True,
    reread: ReadSettings | None = None,
) -> AsyncIterator[Zofbot]:
    """Run the bot while the context lasts; on the way out it takes nothing new and finishes what is under way.

    ``doors``: listen to Slack and to webhooks; ``works``: poll Zof and deliver; ``reread`` reads the settings
    anew, for secrets that are replaced meanwhile. Raises SettingsError or StoreUnavailable when it cannot start.
    """
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        address = settings.redis_url or await _start_own_store(stack, settings.zofbot_data_dir, clock)
        store = await stack.enter_async_context(open_store(address, settings.zofbot_namespace, clock))
        await log_problems(store.client)
        await claim_schema(store.client, settings.zofbot_namespace)
        notifier = await stack.enter_async_context(open_slack_client(settings, metrics, clock))
        watch = ZofClock(clock)
        zof = make_zof_client(settings, metrics, clock, store, watch.read_reply_time)
        stack.push_async_callback(zof.aclose)
        rooms = Services(settings, store, zof, notifier, metrics, clock)
        writing = asyncio.create_task(rooms.traces.run())
        stack.push_async_callback(rooms.traces.write_remaining, MAX_TRACE_WRITE_SECONDS)
        stack.push_async_callback(cancel_tasks, writing)
        rotation = SecretReloader(settings, reread or (lambda: settings), clock)
        bot = Zofbot("", store, notifier, metrics, rooms.outbox, rotation, clock)
        if works:
            await _start_workers(stack, rooms, watch)
        if doors:
            await _open_endpoints(stack, rooms, bot)
        elif settings.zofbot_metrics_port:
            window = build_app(None, metrics, bot.list_unready)
            bot.url = await _serve_on_port(
                stack, window, clock, settings.host, "ZOFBOT_METRICS_PORT", settings.zofbot_metrics_port
            )
        stack.push_async_callback(cancel_tasks, asyncio.create_task(bot.identify_bot()))
        rotation.add_callbacks(rooms.use_secrets)
        stack.push_async_callback(cancel_tasks, asyncio.create_task(rotation.run()))
        log.info("zofbot is up", url=bot.url, slack="socket" if bot.socket else "http", doors=doors, works=works)
        yield bot
        log.info("zofbot stops")


async def _start_own_store(stack: AsyncExitStack, folder: Path, clock: Clock) -> str:
    """Start the store that comes along, and see to it that it lives as long as the bot."""
    address = await stack.enter_async_context(start_embedded(folder, clock))
    stack.push_async_callback(cancel_tasks, asyncio.create_task(supervise_embedded(folder, clock)))
    return address


async def _start_workers(stack: AsyncExitStack, rooms: Services, watch: ZofClock) -> None:
    """Deliver and poll until the bot stops: then no more is begun, and what is being sent may finish."""
    dispatcher, poller, orders = rooms.make_dispatcher(), rooms.make_poller(), rooms.orders
    delivering = asyncio.create_task(dispatcher.run())
    stack.push_async_callback(_finish_delivery, dispatcher, delivering)
    stack.push_async_callback(rooms.hints.aclose)
    stack.push_async_callback(cancel_tasks, asyncio.create_task(poller.run()))
    if rooms.settings.zofbot_canary_channel:
        stack.push_async_callback(cancel_tasks, asyncio.create_task(rooms.make_canary(watch).run()))
    stack.push_async_callback(cancel_tasks, asyncio.create_task(orders.run()))


async def _finish_delivery(dispatcher: Dispatcher, delivering: asyncio.Task[None]) -> None:
    dispatcher.stop()
    await asyncio.wait({delivering}, timeout=MAX_FINISH_SECONDS)
    await cancel_tasks(delivering)


async def _open_endpoints(stack: AsyncExitStack, rooms: Services, bot: Zofbot) -> None:
    settings, metrics, clock = rooms.settings, rooms.metrics, rooms.clock
    errands = BackgroundTasks()
    stack.push_async_callback(errands.drain, MAX_DRAIN_SECONDS)
    desk = ListenerContext(
        rooms.zof, rooms.store, rooms.subscriptions, rooms.outbox, rooms.notifier, errands, metrics, rooms.links,
        settings.zof_list_order, clock, TriageService(rooms.outbox, clock, metrics), rooms.people, rooms.roles,
        AuditLog(rooms.store.client, settings.zofbot_namespace), rooms.orders, rooms.traces, Catalog(rooms.zof, clock),
        settings.zofbot_resolve_note, settings.zofbot_shared_details, settings.zofbot_default_channel,
        settings.zofbot_poll_interval,
    )  # fmt: skip
    reception = SlackApp(desk, rooms.notifier.client)
    stack.push_async_callback(cancel_tasks, asyncio.create_task(reception.lobby.update_homes()))
    slack = SlackEndpoint(reception, settings.signing_secrets, metrics, clock) if settings.signing_secrets else None
    zof = None
    if settings.webhook_secrets:
        header, keep = settings.zof_signature_header, rooms.traces.add_trace
        zof = ZofWebhookEndpoint(
            rooms.hints, settings.webhook_secrets, header, metrics, clock, note=rooms.trials.record_arrival, keep=keep
        )

    def use_fresh_secrets(fresh: Settings) -> None:
        if slack:
            slack.use_secrets(fresh.signing_secrets)
        if zof:
            zof.use_secrets(fresh.webhook_secrets)

    bot.rotation.add_callbacks(use_fresh_secrets)
    bot.url = await _serve_on_port(
        stack, build_app(slack, metrics, bot.list_unready, zof), clock, settings.host, "PORT", settings.port
    )
    if settings.uses_socket_mode:
        token = settings.slack_app_token.get_secret_value()
        bot.socket = socket = SocketMode(reception, rooms.notifier, token, metrics, clock)
        bot.rotation.add_callbacks(lambda fresh: socket.use_token(fresh.slack_app_token.get_secret_value()))
        stack.push_async_callback(socket.close)
        socket.start()  # it tries until it is connected, so the start does not wait; readiness says how it stands


async def _serve_on_port(  # noqa: PLR0913, PLR0917
    stack: AsyncExitStack, door: web.Application, clock: Clock, host: str, setting: str, port: int
) -> str:
    try:
        return await stack.enter_async_context(serve_app(door, host, port, clock))
    except OSError as error:
        raise SettingsError(
            [f"{setting} {port} on HOST {host} cannot be opened ({error.strerror}): set another."]
        ) from error
