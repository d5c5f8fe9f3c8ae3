"""Serves the pretend world on one port of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from zofbot.clock import LATE_SECONDS
from zofbot.simulator.doors import SlackDoor, ZofDoor
from zofbot.simulator.echoes import Echoes
from zofbot.simulator.page_door import PageDoor
from zofbot.simulator.people import People
from zofbot.simulator.sockets import Sockets
from zofbot.simulator.webhooks import Postman
from zofbot.simulator.world import World

BEAT = 0.1
"""Seconds between two looks whether this process was held up."""


class Stage:
    """The world over HTTP: Slack at ``/api/``, Zof at ``/zof/v1``, the page at ``/``; started once, stopped once.

    ``people`` act for whoever sits at the page, and in tests. ``beat_seconds`` lie between two looks whether this
    process was held up.
    """

    def __init__(self, world: World, beat_seconds: float = BEAT) -> None:
        self.world = world
        self._beat_seconds = beat_seconds
        self.people = People(world)
        self.sockets = Sockets(world.slack)
        self._echoes = Echoes(world.slack, self.people.delivery)
        self._postman = Postman(world.zof.webhooks, world.changed)
        self._page = PageDoor(world, self.people)
        self._runner: web.AppRunner | None = None
        self._beating: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], None] = lambda: None
        self.url = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes any that is free. Raises ``OSError`` when the port is taken."""
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.25)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"
        self.world.slack.url = self.url
        self._postman.start()
        self._echoes.start()
        self._beating = asyncio.create_task(self._beat())
        self._unwatch = self.world.watch(self._postman.tell)

    async def _beat(self) -> None:
        clock = self.world.clock
        while True:
            due, then = clock.monotonic() + self._beat_seconds, clock.time() - clock.moved
            await clock.sleep(self._beat_seconds)
            if (late := clock.monotonic() - due) > LATE_SECONDS:
                self.world.slack.excuse(min(late, clock.time() - clock.moved - then))  # a clock may be set by hand

    def _app(self) -> web.Application:
        app = web.Application()
        slack, zof = SlackDoor(self.world.slack, self.world.clock), ZofDoor(self.world.zof, self.world.clock)
        app.add_routes(
            [
                web.route("*", "/api/{method}", slack.handle),
                web.post("/respond/{token}", slack.respond),
                web.get("/link/", self.sockets.handle),
                web.route("*", "/zof/v1/{path:.*}", zof.handle),
                *self._page.routes(),
            ]
        )
        return app

    async def stop(self) -> None:
        """Close streams, connections and the server; requests that still hang are dropped."""
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
