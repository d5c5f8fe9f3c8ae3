"""Assemble the bot, and start and stop its parts in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog
from aiohttp import web

from zofbot.clients import Clients, make_zof_client, open_slack_client
from zofbot.clock import Clock
from zofbot.concurrency import BackgroundTasks, ProcessTasks, wait_for_tasks
from zofbot.config.secret_reload import ReadSettings, SecretReloader
from zofbot.config.settings import Settings
from zofbot.container import Services
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.domain.errors import SettingsError, SlackError, StoreUnavailable
from zofbot.http.limits import IdleConnectionReaper
from zofbot.http.server import build_app, serve_app
from zofbot.http.socket_mode import SocketMode
from zofbot.listeners import SlackApp
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.health import ReadinessChecked
from zofbot.observability.metrics import Metrics
from zofbot.slack.client import SlackClient
from zofbot.slack.identity import BotIdentity
from zofbot.store import Store, open_store
from zofbot.store.health import explain_first_call, log_problems
from zofbot.store.outbox import Outbox
from zofbot.store.redis_server.embedded import start_embedded, supervise_embedded
from zofbot.store.schema import claim_schema

log = structlog.get_logger()

MAX_DRAIN_SECONDS = 4.0
"""Time for replies in progress to finish once the bot is asked to stop."""

MAX_LAST_REPLY_SECONDS = 1.5
"""The last part of that time, for telling people whose replies are not ready to try again."""

MAX_FINISH_SECONDS = 3.0
"""Time for sends to finish after that; unconfirmed ones stay claimed. The whole shutdown must fit into ten seconds."""

MAX_TRACE_WRITE_SECONDS = 0.5
"""Time for writing the last traces after that."""

IDENTIFY_RETRY_SECONDS = 5.0
"""Pause between attempts to fetch the bot's own identity from Slack."""


@dataclass
class Zofbot:
    """A running bot: its URL, its parts, and whether it is ready."""

    url: str
    store: Store
    notifier: SlackClient
    metrics: Metrics
    events: EventEmitter
    outbox: Outbox
    rotation: SecretReloader
    clock: Clock
    tasks: ProcessTasks
    socket: SocketMode | None = None
    identity: BotIdentity | None = None

    async def list_unready(self) -> list[str]:
        """Describe each dependency that is not ready; an empty list means ready."""
        problems = []
        try:
            await self.store.try_write()
        except StoreUnavailable as error:
            problems.append(f"redis {error.reason}")
        store_up = not problems
        if self.identity is None:
            problems.append("slack has not accepted the bot token yet")
        if self.socket and not self.socket.is_connected:
            reason = f" ({self.socket.trouble})" if self.socket.trouble else ""
            problems.append(f"slack's socket is not connected{reason}")
        self.events.emit(ReadinessChecked(store_up, not any("slack" in problem for problem in problems)))
        return problems + [f"task {name!r} has failed" for name in self.tasks.failed]

    async def identify_bot(self) -> None:
        """Fetch the bot's identity from Slack, retrying until it succeeds; commands work meanwhile."""
        while self.identity is None:
            try:
                self.identity = await self.notifier.identity.fetch()
                log.info("slack connected", team=self.identity.team, bot=self.identity.user)
            except SlackError as error:
                fix = "Run zofbot check" if error.reason == "unreachable" else error.next_step
                log.error("slack not connected", reason=error.reason, fix=fix)
                await self.clock.sleep(IDENTIFY_RETRY_SECONDS)


@asynccontextmanager
async def run_bot(
    settings: Settings,
    clock: Clock,
    *,
    endpoints: bool = True,
    workers: bool = True,
    read_settings: ReadSettings | None = None,
) -> AsyncIterator[Zofbot]:
    """Run the bot while the context lasts; on exit stop accepting requests and finish those in progress.

    ``endpoints``: serve Slack and webhooks; ``workers``: poll Zof and deliver; ``read_settings`` reads the settings
    again, to pick up rotated secrets. Raises SettingsError or StoreUnavailable if the bot cannot start, and ZofbotError
    on exit if one of its tasks has failed.
    """
    metrics = Metrics(clock)
    events = EventEmitter(metrics)
    tasks = ProcessTasks()
    async with AsyncExitStack() as stack:
        services = await _open_services(stack, settings, events, clock, tasks)
        rotation = SecretReloader(settings, read_settings or (lambda: settings), clock)
        bot = Zofbot("", services.store, services.notifier, metrics, events, services.outbox, rotation, clock, tasks)
        if workers:
            _start_workers(stack, services, tasks)
        if endpoints:
            await _open_endpoints(stack, services, bot)
        elif settings.zofbot_metrics_port:
            metrics_app = build_app(None, metrics, bot.list_unready)
            await _serve_on_port(stack, bot, metrics_app, settings, "ZOFBOT_METRICS_PORT")
        stack.push_async_callback(tasks.cancel, tasks.start("identity", bot.identify_bot()))
        rotation.add_callbacks(services.use_secrets)
        stack.push_async_callback(tasks.cancel, tasks.start("secret reload", rotation.run()))
        log.info(
            "zofbot is up", url=bot.url, slack="socket" if bot.socket else "http", endpoints=endpoints, workers=workers
        )
        yield bot
        log.info("zofbot stops")
    tasks.check_failures()


async def _open_services(
    stack: AsyncExitStack, settings: Settings, events: EventEmitter, clock: Clock, tasks: ProcessTasks
) -> Services:
    """Connect to Redis, Slack and Zof, and make the services; traces are written until the bot stops."""
    address = settings.redis_url or await _start_embedded_store(stack, settings.zofbot_data_dir, clock, tasks)
    store = await stack.enter_async_context(open_store(address, settings.zofbot_namespace, clock))
    with explain_first_call(settings.redis_url):
        await log_problems(store.client)
    await claim_schema(store.keyspace)
    slack = await stack.enter_async_context(open_slack_client(settings, events, clock))
    zof = make_zof_client(settings, events, clock, store)
    stack.push_async_callback(zof.aclose)
    services = Services(settings, Clients(store, zof, slack), events, clock)
    trace_task = tasks.start("traces", services.traces.run())
    stack.push_async_callback(services.traces.write_remaining, MAX_TRACE_WRITE_SECONDS)
    stack.push_async_callback(tasks.cancel, trace_task)
    return services


async def _start_embedded_store(stack: AsyncExitStack, folder: Path, clock: Clock, tasks: ProcessTasks) -> str:
    """Start the embedded Valkey and restart it whenever it dies; return its URL."""
    address = await stack.enter_async_context(start_embedded(folder, clock))
    stack.push_async_callback(tasks.cancel, tasks.start("embedded store", supervise_embedded(folder, clock)))
    return address


def _start_workers(stack: AsyncExitStack, services: Services, tasks: ProcessTasks) -> None:
    """Deliver and poll until the bot stops; sends in progress may then finish."""
    dispatcher, poller, run_commands = services.make_dispatcher(), services.make_poller(), services.run_commands
    delivery_task = tasks.start("delivery", dispatcher.run())
    stack.push_async_callback(_finish_delivery, dispatcher, tasks, delivery_task)
    stack.push_async_callback(services.hints.aclose)
    stack.push_async_callback(tasks.cancel, tasks.start("polling", poller.run()))
    if services.settings.zofbot_canary_channel:
        stack.push_async_callback(tasks.cancel, tasks.start("canary", services.make_canary().run()))
    stack.push_async_callback(tasks.cancel, tasks.start("run commands", run_commands.run()))


async def _finish_delivery(dispatcher: Dispatcher, tasks: ProcessTasks, delivery_task: asyncio.Task[None]) -> None:
    dispatcher.stop()
    await wait_for_tasks({delivery_task}, MAX_FINISH_SECONDS)
    await tasks.cancel(delivery_task)


async def _open_endpoints(stack: AsyncExitStack, services: Services, bot: Zofbot) -> None:
    """Serve Slack, Zof's webhooks and the health endpoints until the bot stops; replies in progress may then finish."""
    background_tasks = BackgroundTasks(services.events)
    stack.push_async_callback(background_tasks.drain, MAX_DRAIN_SECONDS, MAX_LAST_REPLY_SECONDS)
    slack_app = SlackApp(services.make_listener_context(background_tasks), services.notifier.client)
    stack.push_async_callback(bot.tasks.cancel, bot.tasks.start("home tabs", slack_app.home_updater.update_homes()))
    slack_endpoint, zof_endpoint = services.make_slack_endpoint(slack_app), services.make_zof_endpoint()
    if slack_endpoint:
        bot.rotation.add_callbacks(lambda fresh: slack_endpoint.use_secrets(fresh.signing_secrets))
    if zof_endpoint:
        bot.rotation.add_callbacks(lambda fresh: zof_endpoint.use_secrets(fresh.webhook_secrets))
    web_app = build_app(slack_endpoint, bot.metrics, bot.list_unready, zof_endpoint)
    await _serve_on_port(stack, bot, web_app, services.settings, "PORT")
    if services.settings.uses_socket_mode:
        bot.socket = socket = _start_socket_mode(stack, services, slack_app, bot.tasks)
        bot.rotation.add_callbacks(lambda fresh: socket.use_token(fresh.slack_app_token.get_secret_value()))
    stack.callback(background_tasks.announce_stop)


def _start_socket_mode(
    stack: AsyncExitStack, services: Services, slack_app: SlackApp, tasks: ProcessTasks
) -> SocketMode:
    """Connect in the background and retry; ``Zofbot.list_unready`` says whether it is connected."""
    token = services.settings.slack_app_token.get_secret_value()
    socket = SocketMode(slack_app, services.notifier, token, services.events, services.clock)
    stack.push_async_callback(socket.close)
    stack.push_async_callback(tasks.cancel, tasks.start("slack socket", socket.run()))
    return socket


async def _serve_on_port(
    stack: AsyncExitStack,
    bot: Zofbot,
    web_app: web.Application,
    settings: Settings,
    setting: Literal["PORT", "ZOFBOT_METRICS_PORT"],
) -> None:
    """Serve on the port named by ``setting``, and note the bot's URL. Raises SettingsError if it cannot be opened."""
    port = settings.port if setting == "PORT" else settings.zofbot_metrics_port
    server = serve_app(web_app, settings.host, port, bot.tasks, IdleConnectionReaper(bot.clock))
    try:
        bot.url = await stack.enter_async_context(server)
    except OSError as error:
        raise SettingsError(
            [f"Cannot listen on HOST {settings.host}, {setting} {port} ({error.strerror}). Set another one."]
        ) from error
