"""Socket Mode: the bot's connections, and the envelopes sent over them."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from zofbot.clock import timeout
from zofbot.simulator.slack.model import APP_ID
from zofbot.simulator.slack.state import Workspace

MAX_CONNECTIONS = 10
GRACE_SECONDS = 10.0
"""Time for a client to close its connection itself after ``disconnect``, as Slack's own clients do."""
_DEBUG_INFO = {"host": "simulator", "build_number": 1, "approximate_connection_time": 18060}


class SocketConnection:
    """One open connection, with the pending acknowledgements."""

    def __init__(self, websocket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.websocket = websocket
        self._transport = transport
        self.gone = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[dict[str, Any] | None]] = {}

    async def send_envelope(self, envelope: dict[str, Any], within: float) -> dict[str, Any] | None:
        """Send one envelope; returns its acknowledgement, ``None`` if none came ``within`` that many seconds."""
        answer: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        self._waiting[envelope["envelope_id"]] = answer
        try:
            async with timeout(within):
                await self.websocket.send_json(envelope)
                return await answer
        except (TimeoutError, ConnectionError):
            return None
        finally:
            del self._waiting[envelope["envelope_id"]]

    def pass_acknowledgement(self, text: str) -> None:
        """Pass an acknowledgement to the sender of its envelope."""
        answer = json.loads(text)
        waiting = self._waiting.get(answer.get("envelope_id"))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def stop_reading(self) -> None:
        """Read nothing more, not even a close frame, as when the network between is dead."""
        self._transport.pause_reading()

    async def hang_up(self, reason: str, grace: float = 0.0) -> None:
        """Send ``disconnect``, and close the connection unless the client does within ``grace`` seconds.

        Slack's Python client connects twice if both come together, and drops the first connection.
        """
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)
        with suppress(ConnectionError):  # the bot was quicker
            await self.websocket.send_json({"type": "disconnect", "reason": reason, "debug_info": _DEBUG_INFO})
        with suppress(TimeoutError):
            async with timeout(grace):
                await self.gone.wait()
        await self.websocket.close()


class SocketModeServer:
    """The websocket server behind the URLs of ``apps.connections.open``."""

    def __init__(self, workspace: Workspace) -> None:
        self.slack = workspace
        self._open: list[SocketConnection] = []
        self.handshakes: list[str] = []
        """Tickets of all handshakes."""
        self.refusals = 0
        """Number of handshakes still to refuse, as by a busy Slack or a proxy."""

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until either side closes it; the first handshake spends the ticket, even if it fails.

        https://github.com/slackapi/python-slack-sdk/issues/1379 and 1446.
        """
        ticket = request.query.get("ticket", "")
        self.handshakes.append(ticket)
        if ticket not in self.slack.tickets:
            return web.Response(status=403, text="invalid ticket")
        self.slack.tickets.discard(ticket)
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=503, text="try again")
        websocket = web.WebSocketResponse(timeout=0.3)
        await websocket.prepare(request)
        assert request.transport
        socket = SocketConnection(websocket, request.transport)
        if len(self._open) >= MAX_CONNECTIONS:
            await socket.hang_up("too_many_websockets")
            return websocket
        await self._serve_connection(socket)
        return websocket

    async def _serve_connection(self, socket: SocketConnection) -> None:
        self._open.append(socket)
        self.slack.lines.append(socket)
        info = {"connection_info": {"app_id": APP_ID}, "num_connections": len(self._open), "debug_info": _DEBUG_INFO}
        try:
            await socket.websocket.send_json({"type": "hello", **info})
            self.slack.changed()
            async for message in socket.websocket:
                if message.type == WSMsgType.TEXT:
                    socket.pass_acknowledgement(message.data)
        finally:
            socket.gone.set()
            self._open.remove(socket)
            if socket in self.slack.lines:
                self.slack.lines.remove(socket)

    async def refresh_connections(self, reason: str = "refresh_requested", grace: float = GRACE_SECONDS) -> None:
        """Disconnect every client as Slack does regularly; bots are expected to reconnect."""
        leaving = list(self._open)
        self.slack.lines[:] = [line for line in self.slack.lines if line not in leaving]
        await asyncio.gather(*(socket.hang_up(reason, grace) for socket in leaving))

    async def stop(self) -> None:
        """Close every connection."""
        await self.refresh_connections("link_disabled", grace=0.0)
