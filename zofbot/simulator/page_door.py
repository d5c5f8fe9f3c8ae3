"""The door of the demo's page: its files, what it shows, what it lets people do, and news as it happens."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from zofbot.clock import timeout
from zofbot.simulator.happenings import happen
from zofbot.simulator.people import People
from zofbot.simulator.snapshot import snapshot
from zofbot.simulator.world import World

PAGE = Path(__file__).parent / "page"
MOST_STREAMS = 64
COALESCE = 0.05
"""Seconds between two pieces of news, at least."""
HEARTBEAT = 5.0
"""Seconds of silence after which a stream is tried, so that one whose page is gone ends."""

Act = Callable[[dict[str, Any]], Awaitable[Any]]


class PageDoor:
    """Everything below ``/``, ``/page`` and ``/sim``."""

    def __init__(self, world: World, people: People) -> None:
        self.world = world
        self.people = people
        self._streams: set[asyncio.Event] = set()
        self._closing = False

    def routes(self) -> list[web.RouteDef]:
        """What is served here."""
        acts: dict[str, tuple[Act, tuple[str, ...]]] = {
            "send": (self._send, ("user", "channel", "text")),
            "press": (self._press, ("user", "action")),
            "shortcut": (self._shortcut, ("user", "channel", "ts", "callback_id")),
            "suggest": (self._suggest, ("user", "view_id", "action_id", "typed")),
            "submit": (self._submit, ("user", "view_id")),
            "dismiss": (self._dismiss, ("user", "view_id")),
            "home": (self._home, ("user",)),
            "faults": (self._faults, ()),
            "clock": (self._clock, ("advance",)),
            "run": (self._run, ("what", "project", "environment")),
            "webhook": (self._webhook, ()),
            "archive": (self._archive, ("user", "channel", "archived")),
        }
        return [
            web.get("/", self._index),
            web.get(r"/page/{file:[A-Za-z0-9_-]+\.[a-z]+}", self._file),
            web.get("/sim/state", self._state),
            web.get("/sim/live", self._live),
            *(web.post(f"/sim/{name}", _acting(act, needs)) for name, (act, needs) in acts.items()),
        ]

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return _served("index.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return _served(request.match_info["file"])

    async def _state(self, request: web.Request) -> web.StreamResponse:
        user = request.query.get("user", "")
        if user not in self.world.slack.users:
            return web.json_response({"ok": False, "error": "There is nobody with that id."}, status=404)
        return web.json_response(snapshot(self.world, user), headers={"Cache-Control": "no-store"})

    async def _live(self, request: web.Request) -> web.StreamResponse:
        """Tell the page the world's version, at once and after every change."""
        if self._closing or len(self._streams) >= MOST_STREAMS:
            return web.Response(status=503, text="too many streams")
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await stream.prepare(request)
        news = asyncio.Event()
        news.set()
        self._streams.add(news)
        unwatch = self.world.watch(news.set)
        try:
            await self._tell(stream, news)
        except ConnectionError:
            return stream  # the page is gone
        finally:
            unwatch()
            self._streams.discard(news)
        return stream

    async def _tell(self, stream: web.StreamResponse, news: asyncio.Event) -> None:
        while not self._closing:
            try:
                async with timeout(HEARTBEAT):
                    await news.wait()
            except TimeoutError:
                await stream.write(b": nothing new\n\n")
                continue
            news.clear()
            await stream.write(f"data: {json.dumps({'version': self.world.version})}\n\n".encode())
            await self.world.clock.sleep(COALESCE)

    def close(self) -> None:
        """End every stream."""
        self._closing = True
        for news in self._streams:
            news.set()

    async def _send(self, given: dict[str, Any]) -> None:
        await self.people.type(given["user"], given["channel"], given["text"], given.get("thread_ts"))

    async def _press(self, given: dict[str, Any]) -> None:
        where = {name: given[name] for name in ("channel", "ts", "view_id") if given.get(name)}
        await self.people.press(given["user"], given["action"], **where, values=given.get("values"))

    async def _shortcut(self, given: dict[str, Any]) -> None:
        await self.people.shortcut(given["user"], given["channel"], given["ts"], given["callback_id"])

    async def _suggest(self, given: dict[str, Any]) -> dict[str, Any]:
        wanted = {name: str(given[name]) for name in ("user", "view_id", "action_id", "typed")}
        return {"options": await self.people.suggest(**wanted)}

    async def _submit(self, given: dict[str, Any]) -> None:
        await self.people.submit(given["user"], given["view_id"], given.get("values"))

    async def _dismiss(self, given: dict[str, Any]) -> None:
        await self.people.dismiss(given["user"], given["view_id"])

    async def _home(self, given: dict[str, Any]) -> None:
        await self.people.open_home(given["user"])

    async def _faults(self, given: dict[str, Any]) -> None:
        for name, faults in (("zof", self.world.zof.faults), ("slack", self.world.slack.faults)):
            if name in given:
                faults.set(given[name], given.get(f"{name}_times"))
        self.world.changed()

    async def _clock(self, given: dict[str, Any]) -> None:
        seconds = given["advance"]
        if not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise ValueError("advance has to be a number of seconds.")
        self.world.advance(seconds)

    async def _run(self, given: dict[str, Any]) -> None:
        happen(self.world.zof, str(given["what"]), str(given["project"]), str(given["environment"]))

    async def _webhook(self, given: dict[str, Any]) -> None:
        self.world.zof.webhooks.set(on=given.get("on"), generation=given.get("generation"))
        self.world.changed()

    async def _archive(self, given: dict[str, Any]) -> None:
        await self.people.archive(given["user"], given["channel"], archived=bool(given["archived"]))


def _acting(act: Act, needs: tuple[str, ...]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Serve an act: what the client would refuse is said as a sentence, not as a failure of the server."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            said = await act(_complete(await request.text(), needs))
        except ValueError as refused:
            return web.json_response({"ok": False, "error": str(refused)})
        return web.json_response({"ok": True, **(said or {})})

    return handle


def _complete(text: str, needs: tuple[str, ...]) -> dict[str, Any]:
    """The body of an act; raises ``ValueError`` when it is not JSON or lacks something."""
    given = json.loads(text)
    if not isinstance(given, dict) or not all(name in given for name in needs):
        raise ValueError(f"The body has to be a JSON object with {', '.join(needs)}.")
    return given


def _served(name: str) -> web.StreamResponse:
    return web.FileResponse(PAGE / name, headers={"Cache-Control": "no-cache"})
