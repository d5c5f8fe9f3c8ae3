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
from zofbot.errands import Errands, end
from zofbot.errors import SettingsError, SlackError, StoreUnavailable
from zofbot.listeners import Reception
from zofbot.listeners.desk import Desk
from zofbot.metrics import Metrics
from zofbot.pipeline.canary import Watch
from zofbot.pipeline.catalog import Catalog
from zofbot.pipeline.dispatcher import Dispatcher
from zofbot.pipeline.failures import Failures
from zofbot.rooms import Rooms, slack_of, zof_client
from zofbot.rotation import Reread, Rotation
from zofbot.settings import Settings
from zofbot.slack.notifier import Identity, SlackNotifier
from zofbot.socket_mode import SocketMode
from zofbot.store import Store, connected
from zofbot.store.audit import Audit
from zofbot.store.embedded import embedded, minded
from zofbot.store.outbox import Outbox
from zofbot.store.schema import enter
from zofbot.store.soundness import warn
from zofbot.web import SlackDoor, ZofDoor, opened, site

log = structlog.get_logger()

DRAIN_SECONDS = 4.0
"""How long answers that are under way may take once the bot is told to stop."""

FINISH_SECONDS = 3.0
"""How long sends may then take; what is not confirmed by then is left as claimed. All must fit into ten seconds."""

TRACES_SECONDS = 0.5
"""How long writing the last traces may take after that."""

INTRODUCTION_SECONDS = 5.0
"""Pause before Slack is asked again who we are, after it would not say."""


@dataclass
class Zofbot:
    """A bot that is up: where its web door is, and what it still waits for."""

    url: str
    store: Store
    notifier: SlackNotifier
    metrics: Metrics
    outbox: Outbox
    rotation: Rotation
    clock: Clock
    socket: SocketMode | None = None
    identity: Identity | None = None

    async def missing(self) -> list[str]:
        """Name what is not ready, in words."""
        missing = []
        try:
            await self.store.try_write()
        except StoreUnavailable as error:
            missing.append(f"redis {error.reason}")
        self.metrics.store_up.set(not missing)
        if self.identity is None:
            missing.append("slack has not accepted the bot token yet")
        if self.socket and not self.socket.connected:
            why = f" ({self.socket.trouble})" if self.socket.trouble else ""
            missing.append(f"slack's socket is not connected{why}")
        self.metrics.slack_up.set(not any("slack" in what for what in missing))
        return missing

    async def introduce(self) -> None:
        """Ask Slack who we are until it says so; commands work meanwhile."""
        while self.identity is None:
            try:
                self.identity = await self.notifier.identify()
                log.info("slack connected", team=self.identity.team, bot=self.identity.user)
            except SlackError as error:
                log.error("slack not connected", reason=error.reason, mend=error.next_step)
                await self.clock.sleep(INTRODUCTION_SECONDS)


@asynccontextmanager
async def running(
    settings: Settings,
    clock: Clock,
    *,
    doors: bool = True,
    works: bool = True,
    reread: Reread | None = None,
) -> AsyncIterator[Zofbot]:
    """Run the bot while the context lasts; on the way out it takes nothing new and finishes what is under way.

    ``doors``: listen to Slack and to webhooks; ``works``: poll Zof and deliver; ``reread`` reads the settings anew, for
    secrets that are replaced meanwhile. Raises SettingsError or StoreUnavailable when it cannot start.
    """
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        address = settings.redis_url or await _own_store(stack, settings.zofbot_data_dir, clock)
        store = await stack.enter_async_context(connected(address, settings.zofbot_namespace, clock))
        await warn(store.client)
        await enter(store.client, settings.zofbot_namespace)
        notifier = await stack.enter_async_context(slack_of(settings, metrics, clock))
        watch = Watch(clock)
        zof = zof_client(settings, metrics, clock, store, watch.heard)
        stack.push_async_callback(zof.aclose)
        rooms = Rooms(settings, store, zof, notifier, metrics, clock)
        writing = asyncio.create_task(rooms.traces.run())
        stack.push_async_callback(rooms.traces.finish, TRACES_SECONDS)
        stack.push_async_callback(end, writing)
        rotation = Rotation(settings, reread or (lambda: settings), clock)
        bot = Zofbot("", store, notifier, metrics, rooms.outbox, rotation, clock)
        if works:
            await _work(stack, rooms, watch)
        if doors:
            await _open_doors(stack, rooms, bot)
        elif settings.zofbot_metrics_port:
            window = site(None, metrics, bot.missing)
            bot.url = await _open(
                stack, window, clock, settings.host, "ZOFBOT_METRICS_PORT", settings.zofbot_metrics_port
            )
        stack.push_async_callback(end, asyncio.create_task(bot.introduce()))
        rotation.tell(rooms.rekey)
        stack.push_async_callback(end, asyncio.create_task(rotation.watch()))
        log.info("zofbot is up", url=bot.url, slack="socket" if bot.socket else "http", doors=doors, works=works)
        yield bot
        log.info("zofbot stops")


async def _own_store(stack: AsyncExitStack, folder: Path, clock: Clock) -> str:
    """Start the store that comes along, and see to it that it lives as long as the bot."""
    address = await stack.enter_async_context(embedded(folder, clock))
    stack.push_async_callback(end, asyncio.create_task(minded(folder, clock)))
    return address


async def _work(stack: AsyncExitStack, rooms: Rooms, watch: Watch) -> None:
    """Deliver and poll until the bot stops: then no more is begun, and what is being sent may finish."""
    dispatcher, poller, orders = rooms.dispatcher(), rooms.poller(), rooms.orders
    delivering = asyncio.create_task(dispatcher.run())
    stack.push_async_callback(_finish, dispatcher, delivering)
    stack.push_async_callback(rooms.hints.aclose)
    stack.push_async_callback(end, asyncio.create_task(poller.run()))
    if rooms.settings.zofbot_canary_channel:
        stack.push_async_callback(end, asyncio.create_task(rooms.canary(watch).run()))
    stack.push_async_callback(end, asyncio.create_task(orders.run()))


async def _finish(dispatcher: Dispatcher, delivering: asyncio.Task[None]) -> None:
    dispatcher.stop()
    await asyncio.wait({delivering}, timeout=FINISH_SECONDS)
    await end(delivering)


async def _open_doors(stack: AsyncExitStack, rooms: Rooms, bot: Zofbot) -> None:
    settings, metrics, clock = rooms.settings, rooms.metrics, rooms.clock
    errands = Errands()
    stack.push_async_callback(errands.drain, DRAIN_SECONDS)
    desk = Desk(
        rooms.zof, rooms.store, rooms.subscriptions, rooms.outbox, rooms.notifier, errands, metrics, rooms.links,
        settings.zof_list_order, clock, Failures(rooms.outbox, clock, metrics), rooms.people, rooms.roles,
        Audit(rooms.store.client, settings.zofbot_namespace), rooms.orders, rooms.traces, Catalog(rooms.zof, clock),
        settings.zofbot_resolve_note, settings.zofbot_shared_details, settings.zofbot_default_channel,
        settings.zofbot_poll_interval,
    )  # fmt: skip
    reception = Reception(desk, rooms.notifier.client)
    stack.push_async_callback(end, asyncio.create_task(reception.lobby.watch()))
    slack = SlackDoor(reception, settings.signing_secrets, metrics, clock) if settings.signing_secrets else None
    zof = None
    if settings.webhook_secrets:
        header, keep = settings.zof_signature_header, rooms.traces.keep
        zof = ZofDoor(rooms.hints, settings.webhook_secrets, header, metrics, clock, note=rooms.trials.note, keep=keep)

    def rekey(fresh: Settings) -> None:
        if slack:
            slack.rekey(fresh.signing_secrets)
        if zof:
            zof.rekey(fresh.webhook_secrets)

    bot.rotation.tell(rekey)
    bot.url = await _open(stack, site(slack, metrics, bot.missing, zof), clock, settings.host, "PORT", settings.port)
    if settings.socket_mode:
        token = settings.slack_app_token.get_secret_value()
        bot.socket = socket = SocketMode(reception, rooms.notifier, token, metrics, clock)
        bot.rotation.tell(lambda fresh: socket.rekey(fresh.slack_app_token.get_secret_value()))
        stack.push_async_callback(socket.close)
        socket.start()  # it tries until it is connected, so the start does not wait; readiness says how it stands


async def _open(  # noqa: PLR0913, PLR0917
    stack: AsyncExitStack, door: web.Application, clock: Clock, host: str, setting: str, port: int
) -> str:
    try:
        return await stack.enter_async_context(opened(door, host, port, clock))
    except OSError as error:
        raise SettingsError(
            [f"{setting} {port} on HOST {host} cannot be opened ({error.strerror}): set another."]
        ) from error
