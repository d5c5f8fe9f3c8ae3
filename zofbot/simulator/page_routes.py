"""HTTP routes of the demo's page: its files, its state, actions, and a stream of changes."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from zofbot.clock import timeout
from zofbot.simulator.page_state import build_page_state
from zofbot.simulator.scenarios import run_scenario
from zofbot.simulator.slack.users import WorkspaceUsers
from zofbot.simulator.world import World

PAGE_FOLDER = Path(__file__).parent / "page"
MAX_STREAMS = 64
COALESCE_SECONDS = 0.05
"""Minimum interval between two messages of the stream."""
HEARTBEAT_SECONDS = 5.0
"""A heartbeat is sent after this time without changes, to detect closed pages."""

PageAction = Callable[[dict[str, Any]], Awaitable[Any]]


class PageRoutes:
    """Everything below ``/``, ``/page`` and ``/sim``."""

    def __init__(self, world: World, people: WorkspaceUsers) -> None:
        self.world = world
        self.people = people
        self._streams: set[asyncio.Event] = set()
        self._closing = False

    def list_routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        acts: dict[str, tuple[PageAction, tuple[str, ...]]] = {
            "send": (self._type_text, ("user", "channel", "text")),
            "press": (self._press_element, ("user", "action")),
            "shortcut": (self._use_shortcut, ("user", "channel", "ts", "callback_id")),
            "suggest": (self._load_options, ("user", "view_id", "action_id", "typed")),
            "submit": (self._submit_view, ("user", "view_id")),
            "dismiss": (self._dismiss_view, ("user", "view_id")),
            "home": (self._open_home, ("user",)),
            "faults": (self._set_fault, ()),
            "clock": (self._advance_clock, ("advance",)),
            "run": (self._run_scenario, ("what", "project", "environment")),
            "webhook": (self._set_webhooks, ()),
            "archive": (self._archive_channel, ("user", "channel", "archived")),
        }
        return [
            web.get("/", self._serve_index),
            web.get(r"/page/{file:[A-Za-z0-9_-]+\.[a-z]+}", self._serve_file),
            web.get("/sim/state", self._serve_state),
            web.get("/sim/live", self._stream_changes),
            *(web.post(f"/sim/{name}", _action_handler(act, needs)) for name, (act, needs) in acts.items()),
        ]

    async def _serve_index(self, request: web.Request) -> web.StreamResponse:
        return _read_page_file("index.html")

    async def _serve_file(self, request: web.Request) -> web.StreamResponse:
        return _read_page_file(request.match_info["file"])

    async def _serve_state(self, request: web.Request) -> web.StreamResponse:
        user = request.query.get("user", "")
        if user not in self.world.slack.users:
            return web.json_response({"ok": False, "error": "There is nobody with that id."}, status=404)
        return web.json_response(build_page_state(self.world, user), headers={"Cache-Control": "no-store"})

    async def _stream_changes(self, request: web.Request) -> web.StreamResponse:
        """Stream the world's version, at once and after every change."""
        if self._closing or len(self._streams) >= MAX_STREAMS:
            return web.Response(status=503, text="too many streams")
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await stream.prepare(request)
        news = asyncio.Event()
        news.set()
        self._streams.add(news)
        unwatch = self.world.add_watcher(news.set)
        try:
            await self._send_versions(stream, news)
        except ConnectionError:
            return stream  # the page was closed
        finally:
            unwatch()
            self._streams.discard(news)
        return stream

    async def _send_versions(self, stream: web.StreamResponse, news: asyncio.Event) -> None:
        while not self._closing:
            try:
                async with timeout(HEARTBEAT_SECONDS):
                    await news.wait()
            except TimeoutError:
                await stream.write(b": nothing new\n\n")
                continue
            news.clear()
            await stream.write(f"data: {json.dumps({'version': self.world.version})}\n\n".encode())
            await self.world.clock.sleep(COALESCE_SECONDS)

    def close(self) -> None:
        """End every stream."""
        self._closing = True
        for news in self._streams:
            news.set()

    async def _type_text(self, given: dict[str, Any]) -> None:
        await self.people.type_text(given["user"], given["channel"], given["text"], given.get("thread_ts"))

    async def _press_element(self, given: dict[str, Any]) -> None:
        where = {name: given[name] for name in ("channel", "ts", "view_id") if given.get(name)}
        await self.people.press_element(given["user"], given["action"], **where, values=given.get("values"))

    async def _use_shortcut(self, given: dict[str, Any]) -> None:
        await self.people.use_shortcut(given["user"], given["channel"], given["ts"], given["callback_id"])

    async def _load_options(self, given: dict[str, Any]) -> dict[str, Any]:
        wanted = {name: str(given[name]) for name in ("user", "view_id", "action_id", "typed")}
        return {"options": await self.people.load_options(**wanted)}

    async def _submit_view(self, given: dict[str, Any]) -> None:
        await self.people.submit_view(given["user"], given["view_id"], given.get("values"))

    async def _dismiss_view(self, given: dict[str, Any]) -> None:
        await self.people.dismiss_view(given["user"], given["view_id"])

    async def _open_home(self, given: dict[str, Any]) -> None:
        await self.people.open_home(given["user"])

    async def _set_fault(self, given: dict[str, Any]) -> None:
        for name, faults in (("zof", self.world.zof.faults), ("slack", self.world.slack.faults)):
            if name in given:
                faults.set_fault(given[name], given.get(f"{name}_times"))
        self.world.notify_watchers()

    async def _advance_clock(self, given: dict[str, Any]) -> None:
        seconds = given["advance"]
        if not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise ValueError("advance has to be a number of seconds.")
        self.world.advance(seconds)

    async def _run_scenario(self, given: dict[str, Any]) -> None:
        run_scenario(self.world.zof, str(given["what"]), str(given["project"]), str(given["environment"]))

    async def _set_webhooks(self, given: dict[str, Any]) -> None:
        self.world.zof.webhooks.set_options(on=given.get("on"), generation=given.get("generation"))
        self.world.notify_watchers()

    async def _archive_channel(self, given: dict[str, Any]) -> None:
        await self.people.archive_channel(given["user"], given["channel"], archived=bool(given["archived"]))


def _action_handler(act: PageAction, needs: tuple[str, ...]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Wrap an action as a handler; a ``ValueError`` becomes a sentence for the page, not a server error."""

    async def handle_action(request: web.Request) -> web.StreamResponse:
        try:
            said = await act(_parse_body(await request.text(), needs))
        except ValueError as refused:
            return web.json_response({"ok": False, "error": str(refused)})
        return web.json_response({"ok": True, **(said or {})})

    return handle_action


def _parse_body(text: str, needs: tuple[str, ...]) -> dict[str, Any]:
    """Parse the body of an action; raises ``ValueError`` if it is not JSON or lacks a field."""
    given = json.loads(text)
    if not isinstance(given, dict) or not all(name in given for name in needs):
        raise ValueError(f"The body has to be a JSON object with {', '.join(needs)}.")
    return given


def _read_page_file(name: str) -> web.StreamResponse:
    return web.FileResponse(PAGE_FOLDER / name, headers={"Cache-Control": "no-cache"})
