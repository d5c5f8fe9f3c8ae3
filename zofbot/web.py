"""The web door: Slack's requests, Zof's webhooks, health, readiness, metrics; nothing unsigned gets further."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qs

import structlog
from aiohttp import web
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse

from zofbot import tracing
from zofbot.errors import StoreUnavailable
from zofbot.metrics import Metrics
from zofbot.store.hints import Hints, Watch
from zofbot.tracing import Keep, forget
from zofbot.zof.protocol import printable
from zofbot.zof.webhook import ENDINGS, Hint, hint_in, signed

log = structlog.get_logger()

MOST_BYTES = 1024 * 1024
BODY_SECONDS = 3.0
"""How long a body may take to arrive; Slack itself waits no longer for its answer."""

OLDEST_SECONDS = 300
"""How old, or how far ahead, a signature may be."""

Ready = Callable[[], Awaitable[list[str]]]
"""Names what is not ready; empty when all is."""


class _Stray(Exception):
    """A request that is nobody's we know, or not whole."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class SlackDoor:
    """``POST /slack/events``: checks size, signature and form, then hands over to Bolt.

    The signature is checked here and not by Bolt, which answers some malformed ones with a 500 and parses a body before
    it knows whose it is. ``secrets`` are those that a request may be signed with.
    https://docs.slack.dev/authentication/verifying-requests-from-slack
    """

    def __init__(self, bolt: AsyncApp, secrets: Sequence[str], metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self._bolt = bolt
        self._metrics = metrics
        self._secrets = [secret.encode() for secret in secrets]
        self._clock = clock

    async def receive(self, request: web.Request) -> web.Response:
        """Answer as the listeners do; 401, 408, 413 or 400 to what is not a whole request of Slack's."""
        try:
            body = await self._checked(request)
            return _response(await self._dispatched(request, body))
        except _Stray as stray:
            self._metrics.slack_requests.labels("stray", stray.reason).inc()
            log.info("stray request", status=stray.status, reason=stray.reason, peer=request.remote)
            return web.Response(status=stray.status, text=stray.reason)

    async def _dispatched(self, request: web.Request, body: str) -> BoltResponse:
        headers: dict[str, str | Sequence[str]] = dict(request.headers)
        try:
            return await self._bolt.async_dispatch(AsyncBoltRequest(body=body, headers=headers))
        except Exception as error:
            # Listeners have their own handler: this is Bolt itself, on JSON that is not of any shape Slack sends.
            log.error("request not understood", exc_info=error)
            raise _Stray(400, "malformed") from error

    async def _checked(self, request: web.Request) -> str:
        """Read the body and make sure that it is Slack's; the signature comes before anything is parsed."""
        raw = await _whole(request)
        if not self._signed(raw, request.headers):
            raise _Stray(401, "unsigned")
        try:
            body = raw.decode()
            _parsed(body, request.content_type)
        except (ValueError, RecursionError):
            raise _Stray(400, "malformed") from None
        return body

    def _signed(self, raw: bytes, headers: Mapping[str, str]) -> bool:
        timestamp = headers.get("X-Slack-Request-Timestamp", "")
        if not re.fullmatch(r"[0-9]{1,15}", timestamp):
            return False
        if abs(self._clock().timestamp() - int(timestamp)) > OLDEST_SECONDS:
            return False
        whole = f"v0:{timestamp}:".encode() + raw
        mine = ["v0=" + hmac.new(secret, whole, hashlib.sha256).hexdigest() for secret in self._secrets]
        theirs = headers.get("X-Slack-Signature", "").encode("utf-8", "surrogateescape")
        # All are compared, so that the time taken does not say which one it was.
        return sum([hmac.compare_digest(one.encode(), theirs) for one in mine]) > 0


class ZofDoor:
    """``POST /zof/webhook``: a delivery is acknowledged once what it hints at is stored, and read by the poller.

    ``secrets`` are those that it may be signed with, ``header`` is where the signature stands; ``keep`` takes the
    traces of those that could not be stored.
    """

    def __init__(  # noqa: PLR0913  (the parts it joins)
        self,
        hints: Hints,
        secrets: Sequence[str],
        header: str,
        metrics: Metrics,
        clock: Callable[[], datetime],
        *,
        keep: Keep = forget,
    ) -> None:
        self._hints = hints
        self._secrets = secrets
        self._header = header
        self._keep = keep
        self._metrics = metrics
        self._clock = clock

    async def receive(self, request: web.Request) -> web.Response:
        """Answer 200 when there is nothing left to lose; 401, 408, 413 or 400 to a stray one, 503 without a store."""
        status = 200
        try:
            answer = await self._taken(await self._checked(request))
        except _Stray as stray:
            status, answer = stray.status, stray.reason
            log.info("stray webhook", status=status, reason=answer, peer=request.remote)
        except StoreUnavailable as error:
            status, answer = 503, "not_stored"
            log.warning("webhook not stored", cause=type(error.__cause__).__name__)
        self._metrics.zof_webhooks.labels(answer).inc()
        return web.Response(status=status)

    async def _checked(self, request: web.Request) -> Hint:
        raw = await _whole(request)
        if not signed(raw, request.headers.get(self._header, ""), self._secrets):
            raise _Stray(401, "unsigned")
        try:
            return hint_in(raw)
        except ValueError:
            raise _Stray(400, "malformed") from None

    async def _taken(self, hint: Hint) -> str:
        """Store it unless it means nothing to us or was stored before."""
        self._metrics.zof_events.labels(hint.label).inc()
        if hint.subject is None:
            log.info("webhook ignored", event_type=printable(hint.type))
            return "ignored"
        kind: Literal["run", "notice"] = "run" if hint.type in ENDINGS else "notice"
        at = hint.at.timestamp() if hint.at else None
        watch = Watch(kind, hint.subject, hint.type, self._clock().timestamp(), at, run=hint.run_id or "")
        with tracing.traced(self._keep, "webhook", watch.since, hint.event_id, what=hint.label):
            return "stored" if await self._hints.keep(hint.event_id, watch) else "repeated"


async def _whole(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _Stray(413, "too_large") from None
    except TimeoutError:
        raise _Stray(408, "too_slow") from None


def _parsed(body: str, content_type: str) -> None:
    """Raise ValueError unless it is a JSON object, or a form that holds fields or a JSON payload."""
    if content_type == "application/json" or body.startswith("{"):
        parsed = json.loads(body)
    else:
        form = parse_qs(body)
        parsed = json.loads(form["payload"][0]) if "payload" in form else form
    if not isinstance(parsed, dict) or not parsed:
        raise ValueError("neither JSON nor a form")


def _response(answer: BoltResponse) -> web.Response:
    headers = {name: values[0] for name, values in answer.headers.items() if values}
    content_type = headers.pop("content-type", "text/plain").partition(";")[0]
    return web.Response(status=answer.status, text=answer.body or "", content_type=content_type, headers=headers)


def site(slack: SlackDoor | None, metrics: Metrics, ready: Ready, zof: ZofDoor | None = None) -> web.Application:
    """All paths; without ``slack`` (Socket Mode) or ``zof`` (no secret) theirs is not there."""

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(request: web.Request) -> web.Response:
        missing = await ready()
        answer: dict[str, Any] = {"ready": not missing, "missing": missing}
        return web.json_response(answer, status=503 if missing else 200)

    async def metrics_text(request: web.Request) -> web.Response:
        await ready()  # what it measures on the way
        return web.Response(body=metrics.text(), content_type="text/plain", charset="utf-8")

    app = web.Application(client_max_size=MOST_BYTES)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics_text)
    if slack:
        app.router.add_post("/slack/events", slack.receive)
    if zof:
        app.router.add_post("/zof/webhook", zof.receive)
    return app
