"""Socket Mode: receive Slack's requests over websockets that the bot opens itself."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp
import structlog
from aiohttp import ClientWebSocketResponse, WSMsgType
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse

from zofbot.clock import Clock, timeout
from zofbot.concurrency import BackgroundTasks
from zofbot.domain.errors import SlackDeferred, SlackError
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.requests import SlackRequestRejected
from zofbot.slack.client import SlackClient
from zofbot.slack.inbound import find_malformed

log = structlog.get_logger()

CONNECTION_COUNT = 2
"""Connections kept open, of the ten that an app may have; if one is lost, Slack delivers over the other."""

PING_INTERVAL_SECONDS = 10.0
"""Interval of pings; a connection without an answer for half of it is closed."""

MAX_HANDSHAKE_SECONDS = 10.0
"""Time limit for Slack to accept a connection and send ``hello``."""

MAX_CLOSING_SECONDS = 30.0
"""Time limit for reading from a connection after Slack announced its end (believed to close after about 10 s)."""

MAX_CLOSE_ANSWER_SECONDS = 1.0
"""Time limit for Slack to answer a close frame, which it does not if the network is dead. aiohttp's own limit is ten
seconds and begins again with each frame received; that would delay the next connection."""

MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 1.0, 30.0
"""Pause between attempts to connect; doubled from the minimum to the maximum."""

MAX_ANSWER_SECONDS = 1.0
"""Time for responses in progress to finish once the bot is asked to stop."""


class NotConnected(Exception):
    """A failed attempt to connect; the message gives the reason without the URL, which is a credential."""


class SocketMode:
    """Dispatch requests from Socket Mode to Bolt (https://docs.slack.dev/apis/events-api/using-socket-mode).

    Each connection needs a new URL with a single-use ticket, which is spent even if the connection is then refused.
    Slack announces that it will close a connection, every few hours; the next one is opened first. Malformed requests
    are not acknowledged, so that Slack tells the person that it failed.

    slack_sdk's own client reuses a spent ticket (https://github.com/slackapi/python-slack-sdk/issues/1379), logs it,
    and closes a connection before it opens the next.
    """

    def __init__(self, bolt: AsyncApp, notifier: SlackClient, token: str, events: EventEmitter, clock: Clock) -> None:
        self._bolt = bolt
        self._notifier = notifier
        self._token = token
        self._events = events
        self._clock = clock
        self._responses = BackgroundTasks(events)
        self._open: set[ClientWebSocketResponse] = set()
        self.trouble = "not yet tried"
        """Why the last attempt to connect failed; empty after a success."""

    def use_token(self, token: str) -> None:
        """Use another app-level token for the next connection."""
        self._token = token

    @property
    def is_connected(self) -> bool:
        """True if at least one connection is open."""
        return any(not websocket.closed for websocket in self._open)

    async def run(self) -> None:
        """Open the connections and keep them open; runs until cancelled, or until one fails by an unexpected error."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTION_COUNT):
                group.create_task(self._keep_connected(group))

    async def close(self) -> None:
        """Finish responses in progress, and close the connections; called once ``run`` has ended."""
        await self._responses.drain(MAX_ANSWER_SECONDS)
        await asyncio.gather(*map(_close_websocket, self._open))

    async def _keep_connected(self, group: asyncio.TaskGroup) -> None:
        """Maintain one connection, replacing it whenever it ends or is about to end; ``group`` reads the old one."""
        while True:
            websocket = await self._connect_until_ready()
            reason = await self._read_envelopes(websocket)
            log.info("slack socket ends", reason=reason)
            if reason in ("warning", "refresh_requested"):
                group.create_task(self._drain_connection(websocket))
            else:  # free the slot first: Slack allows ten connections
                await self._close_connection(websocket)
                await self._clock.sleep(MIN_RETRY_SECONDS)

    async def _drain_connection(self, websocket: ClientWebSocketResponse) -> None:
        """Keep reading until Slack closes the connection, because it may still deliver requests over it."""
        try:
            async with timeout(MAX_CLOSING_SECONDS):
                while await self._read_envelopes(websocket) != "closed":
                    pass
        except TimeoutError:
            pass
        await self._close_connection(websocket)

    async def _close_connection(self, websocket: ClientWebSocketResponse) -> None:
        self._open.discard(websocket)
        await _close_websocket(websocket)

    async def _connect_until_ready(self) -> ClientWebSocketResponse:
        """Try to connect until a connection has received ``hello``."""
        pause = MIN_RETRY_SECONDS
        while True:
            wait = pause
            try:
                websocket = await self._open_connection()
            except SlackError as error:
                self.trouble = error.reason
                wait = max(pause, error.retry_after if isinstance(error, SlackDeferred) else 0.0)
            except NotConnected as error:
                self.trouble = str(error)
            else:
                self.trouble = ""
                self._open.add(websocket)
                log.info("slack socket connected", open=len(self._open))
                return websocket
            log.warning("slack socket not connected", reason=self.trouble, again_in=wait)
            await self._clock.sleep(wait)
            pause = min(2 * pause, MAX_RETRY_SECONDS)

    async def _open_connection(self) -> ClientWebSocketResponse:
        """Open one connection with a new URL. Raises SlackError or NotConnected."""
        url = await self._notifier.open_socket(self._token)
        websocket = None
        try:
            async with timeout(MAX_HANDSHAKE_SECONDS):
                websocket = await self._notifier.connect_socket(url, PING_INTERVAL_SECONDS)
                greeting = _parse_message(await websocket.receive_str())
            if greeting.get("type") == "hello":
                return websocket
            reason = f"Slack said {greeting.get('type')} {greeting.get('reason', '')}".rstrip()
        except aiohttp.WSServerHandshakeError as error:
            reason = f"HTTP {error.status}"
        except (aiohttp.ClientError, aiohttp.WSMessageTypeError, TimeoutError, OSError, ValueError) as error:
            reason = type(error).__name__
        if websocket is not None:
            await _close_websocket(websocket)
        raise NotConnected(reason) from None  # the cause may quote the URL

    async def _read_envelopes(self, websocket: ClientWebSocketResponse) -> str:
        """Handle envelopes until Slack disconnects; returns its reason, or ``closed`` if the connection ended."""
        async for message in websocket:
            parsed = _parse_message(message.data) if message.type is WSMsgType.TEXT else {}
            if parsed.get("type") == "disconnect":
                return str(parsed.get("reason"))
            if isinstance(parsed.get("envelope_id"), str) and isinstance(parsed.get("payload"), dict):
                self._responses.start(self._answer_envelope(websocket, parsed["envelope_id"], parsed["payload"]))
        return "closed"

    async def _answer_envelope(
        self, websocket: ClientWebSocketResponse, envelope: str, payload: dict[str, Any]
    ) -> None:
        if place := find_malformed(payload):
            log.warning("malformed slack request", place=place)
            self._events.emit(SlackRequestRejected("malformed"))
            return
        try:
            answer = await self._bolt.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=payload))
            acknowledgement = _build_acknowledgement(envelope, answer)
        except Exception as error:  # raised by Bolt itself; listeners have their own handler
            log.error("request not understood", exc_info=error)
            self._events.emit(SlackRequestRejected("malformed"))
            return
        if acknowledgement is None:
            return
        try:
            await websocket.send_json(acknowledgement)
        except (ConnectionError, aiohttp.ClientError) as error:  # Slack retries what can be retried
            log.warning("slack socket lost before an answer", cause=type(error).__name__)


async def _close_websocket(websocket: ClientWebSocketResponse) -> None:
    """Close a connection; if Slack does not answer in time, aiohttp closes it without a handshake."""
    with suppress(TimeoutError):
        async with timeout(MAX_CLOSE_ANSWER_SECONDS):
            await websocket.close()


def _parse_message(text: str) -> dict[str, Any]:
    """Parse a message on the websocket; empty if it is not a JSON object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _build_acknowledgement(envelope: str, answer: BoltResponse) -> dict[str, Any] | None:
    """Build the acknowledgement of an envelope; None if the request failed, so that Slack notices."""
    if answer.status != 200:
        return None
    if not answer.body:
        return {"envelope_id": envelope}
    content_type = (answer.headers.get("content-type") or [""])[0]
    payload = json.loads(answer.body) if content_type.startswith("application/json") else {"text": answer.body}
    return {"envelope_id": envelope, "payload": payload}
