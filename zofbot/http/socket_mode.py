"""Slack's requests over connections that the bot opened itself, so that none has to be opened to it: Socket Mode."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import structlog
from aiohttp import ClientWebSocketResponse, WSMsgType
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse

from zofbot.clock import Clock, timeout
from zofbot.concurrency import BackgroundTasks, cancel_tasks
from zofbot.domain.errors import SlackDeferred, SlackError
from zofbot.observability.metrics import Metrics
from zofbot.slack.client import SlackClient
from zofbot.slack.inbound import find_malformed

log = structlog.get_logger()

CONNECTION_COUNT = 2
"""How many are kept open, of the ten that an app may have: when one is lost, Slack still delivers over the other."""

PING_INTERVAL_SECONDS = 10.0
"""How often a connection is tried; one on which Slack does not answer for half of that is closed."""

MAX_HANDSHAKE_SECONDS = 10.0
"""How long Slack may take to accept a connection and to say hello on it."""

MAX_CLOSING_SECONDS = 30.0
"""How long a connection that Slack is about to close is read on, unless Slack closes it sooner (believed: some 10)."""

MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 1.0, 30.0
"""Between two tries to connect; doubled from the first to the longest."""

MAX_ANSWER_SECONDS = 1.0
"""How long requests that are being answered may take once the bot is told to stop."""


class NotConnected(Exception):
    """A connection that did not come about; the text says why and has nothing of its address, which admits to it."""


class SocketMode:
    """Hands over to Bolt what comes over Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode).

    Each connection is opened with a ticket of its own, which Slack takes once, also where it then refuses the
    connection. Slack closes connections every few hours, and says so before: the next one is opened first. What has no
    shape that Slack sends is not acknowledged, so that Slack tells the person that it failed.

    slack_sdk's own client keeps a spent ticket (https://github.com/slackapi/python-slack-sdk/issues/1379), logs it,
    and closes a connection before it opens the next.
    """

    def __init__(self, bolt: AsyncApp, notifier: SlackClient, token: str, metrics: Metrics, clock: Clock) -> None:
        self._bolt = bolt
        self._notifier = notifier
        self._token = token
        self._metrics = metrics
        self._clock = clock
        self._answers = BackgroundTasks()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[ClientWebSocketResponse] = set()
        self.trouble = "not yet tried"
        """Why the last try to connect failed; empty once one succeeded."""

    def use_token(self, token: str) -> None:
        """Use another app-level token for the next connection."""
        self._token = token

    @property
    def is_connected(self) -> bool:
        """Whether Slack can deliver."""
        return any(not websocket.closed for websocket in self._open)

    def start(self) -> None:
        """Open the connections, and keep them open until ``close``; they are not waited for."""
        for _ in range(CONNECTION_COUNT):
            self._start_task(self._keep_connected())

    async def close(self) -> None:
        """Take nothing more, acknowledge what is being answered, and close the connections."""
        await cancel_tasks(*self._tasks)
        await self._answers.drain(MAX_ANSWER_SECONDS)
        await asyncio.gather(*(websocket.close() for websocket in self._open))

    def _start_task(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_connected(self) -> None:
        """Be one of the connections, replaced by another whenever it ends or is about to."""
        while True:
            websocket = await self._connect_until_ready()
            reason = await self._read_envelopes(websocket)
            log.info("slack socket ends", reason=reason)
            if reason in ("warning", "refresh_requested"):
                self._start_task(self._drain_connection(websocket))
            else:  # an eleventh connection has to be let go of before another is opened
                await self._close_connection(websocket)
                await self._clock.sleep(MIN_RETRY_SECONDS)

    async def _drain_connection(self, websocket: ClientWebSocketResponse) -> None:
        """Read on until Slack closes the connection: what it had in hand may still come here."""
        try:
            async with timeout(MAX_CLOSING_SECONDS):
                while await self._read_envelopes(websocket) != "closed":
                    pass
        except TimeoutError:
            pass
        await self._close_connection(websocket)

    async def _close_connection(self, websocket: ClientWebSocketResponse) -> None:
        self._open.discard(websocket)
        await websocket.close()

    async def _connect_until_ready(self) -> ClientWebSocketResponse:
        """Try until there is a connection on which Slack has said hello."""
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
        """Open one connection with a fresh ticket. Raises SlackError, NotConnected."""
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
            await websocket.close()
        raise NotConnected(reason) from None  # the cause may quote the address

    async def _read_envelopes(self, websocket: ClientWebSocketResponse) -> str:
        """Take envelopes until Slack says goodbye, and give its reason, or ``closed`` where the connection ended."""
        async for message in websocket:
            said = _parse_message(message.data) if message.type is WSMsgType.TEXT else {}
            if said.get("type") == "disconnect":
                return str(said.get("reason"))
            if isinstance(said.get("envelope_id"), str) and isinstance(said.get("payload"), dict):
                self._answers.start(self._answer_envelope(websocket, said["envelope_id"], said["payload"]))
        return "closed"

    async def _answer_envelope(
        self, websocket: ClientWebSocketResponse, envelope: str, payload: dict[str, Any]
    ) -> None:
        if place := find_malformed(payload):
            log.warning("request of no shape that Slack sends", place=place)
            self._metrics.slack_requests.labels("stray", "malformed").inc()
            return
        try:
            answer = await self._bolt.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=payload))
            acknowledgement = _build_acknowledgement(envelope, answer)
        except Exception as error:  # listeners have their own handler: this is Bolt itself, about parts we do not read
            log.error("request not understood", exc_info=error)
            self._metrics.slack_requests.labels("stray", "malformed").inc()
            return
        if acknowledgement is None:
            return
        try:
            await websocket.send_json(acknowledgement)
        except (ConnectionError, aiohttp.ClientError) as error:  # Slack delivers again what it may deliver again
            log.warning("slack socket lost before an answer", cause=type(error).__name__)


def _parse_message(text: str) -> dict[str, Any]:
    """Read what Slack sends on a connection; empty for what is no JSON object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _build_acknowledgement(envelope: str, answer: BoltResponse) -> dict[str, Any] | None:
    """What is sent back for an envelope; nothing where the request failed, for then Slack is to see that it did."""
    if answer.status != 200:
        return None
    if not answer.body:
        return {"envelope_id": envelope}
    kind = (answer.headers.get("content-type") or [""])[0]
    payload = json.loads(answer.body) if kind.startswith("application/json") else {"text": answer.body}
    return {"envelope_id": envelope, "payload": payload}
