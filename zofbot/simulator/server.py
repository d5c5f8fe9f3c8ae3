"""HTTP server of the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from yarl import URL

from zofbot.clock import MAX_TIMER_DELAY_SECONDS
from zofbot.simulator.handlers import SlackHandler, ZofHandler
from zofbot.simulator.page_routes import PageRoutes
from zofbot.simulator.slack.echoes import EchoSender
from zofbot.simulator.slack.socket_mode import SocketModeServer
from zofbot.simulator.slack.users import WorkspaceUsers
from zofbot.simulator.world import World
from zofbot.simulator.zof.webhooks import WebhookSender

BEAT_SECONDS = 0.1
"""Interval of checks whether this process was suspended."""

LOCAL_BY_ALL_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (for containers; only if asked for)


class SimulatorServer:
    """The world over HTTP: Slack at ``/api/``, Zof at ``/zof/v1``, the page at ``/``; started and stopped once.

    ``people`` perform the actions of the page's user, and of tests. ``beat_seconds`` is the interval of checks whether
    this process was suspended.
    """

    def __init__(self, world: World, beat_seconds: float = BEAT_SECONDS) -> None:
        self.world = world
        self._beat_seconds = beat_seconds
        self.people = WorkspaceUsers(world)
        self.sockets = SocketModeServer(world.slack)
        self._echoes = EchoSender(world.slack, self.people.delivery)
        self._postman = WebhookSender(world.zof.webhooks, world.notify_watchers)
        self._page = PageRoutes(world, self.people)
        self._runner: web.AppRunner | None = None
        self._beating: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], None] = lambda: None
        self.url = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Start listening; port 0 takes any free one. ``url`` is for this machine, also if ``host`` is all addresses.

        Raises ``OSError`` if the port is in use.
        """
        self._runner = web.AppRunner(self._build_app(), access_log=None, shutdown_timeout=0.25)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        local = LOCAL_BY_ALL_ADDRESSES.get(host, host)
        self.url = str(URL.build(scheme="http", host=local, port=self._runner.addresses[0][1]))
        self.world.slack.url = self.url
        self._postman.start()
        self._echoes.start()
        self._beating = asyncio.create_task(self._watch_delays())
        self._unwatch = self.world.add_watcher(self._postman.wake_up)

    async def _watch_delays(self) -> None:
        clock = self.world.clock
        while True:
            due, then = clock.monotonic() + self._beat_seconds, clock.time() - clock.offset_seconds
            await clock.sleep(self._beat_seconds)
            if (late := clock.monotonic() - due) > MAX_TIMER_DELAY_SECONDS:
                self.world.slack.extend_triggers(
                    min(late, clock.time() - clock.offset_seconds - then)
                )  # a clock may be set by hand

    def _build_app(self) -> web.Application:
        app = web.Application()
        slack, zof = SlackHandler(self.world.slack, self.world.clock), ZofHandler(self.world.zof, self.world.clock)
        app.add_routes(
            [
                web.route("*", "/api/{method}", slack.handle_request),
                web.post("/respond/{token}", slack.handle_response_url),
                web.get("/link/", self.sockets.handle_request),
                web.route("*", "/zof/v1/{path:.*}", zof.handle_request),
                *self._page.list_routes(),
            ]
        )
        return app

    async def stop(self) -> None:
        """Close streams, connections and the server; pending requests are dropped."""
        self._unwatch()
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait({self._beating})
        await self._postman.stop()
        await self._echoes.stop()
        self._page.close()
        await self.sockets.stop()
        await self.people.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
