"""The web door: Slack's requests, health, readiness and metrics; nothing unsigned gets further than here."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import structlog
from aiohttp import web
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.signature import Clock, SignatureVerifier

from zofbot.metrics import Metrics

log = structlog.get_logger()

MOST_BYTES = 1024 * 1024
BODY_SECONDS = 5.0
"""How long a body may take to arrive; Slack itself gives up after three."""

Ready = Callable[[], Awaitable[list[str]]]
"""Names what is not ready; empty when all is."""


class _Stray(Exception):
    """A request that is not Slack's, or not whole."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class SlackDoor:
    """``POST /slack/events``: checks size, signature and form, then hands over to Bolt."""

    def __init__(self, bolt: AsyncApp, secret: str, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self._bolt = bolt
        self._metrics = metrics
        self._verifier = SignatureVerifier(secret, clock=_SlackClock(clock))

    async def __call__(self, request: web.Request) -> web.Response:
        try:
            body = await self._checked(request)
        except _Stray as stray:
            self._metrics.slack_requests.labels("stray", stray.reason).inc()
            log.info("stray request", status=stray.status, reason=stray.reason, peer=request.remote)
            return web.Response(status=stray.status, text=stray.reason)
        headers: dict[str, str | Sequence[str]] = dict(request.headers)
        answer = await self._bolt.async_dispatch(AsyncBoltRequest(body=body, headers=headers))
        return _response(answer)

    async def _checked(self, request: web.Request) -> str:
        """Read the body and make sure that it is Slack's; the signature comes before anything is parsed."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise _Stray(413, "too_large") from None
        except TimeoutError:
            raise _Stray(408, "too_slow") from None
        timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        # The SDK's verifier raises on these instead of refusing them.
        plain = re.fullmatch(r"[0-9]{1,15}", timestamp) and re.fullmatch(r"v0=[0-9a-fA-F]{64}", signature)
        if not plain or not self._verifier.is_valid(raw, timestamp, signature.lower()):
            raise _Stray(401, "unsigned")
        try:
            body = raw.decode()
            _parsed(body, request.content_type)
        except (ValueError, RecursionError):
            raise _Stray(400, "malformed") from None
        return body


def _parsed(body: str, content_type: str) -> None:
    """Raise ValueError unless it is a JSON object, or a form that holds fields or a JSON payload."""
    if content_type == "application/json" or body.startswith("{"):
        parsed = json.loads(body)
    else:
        form = parse_qs(body)
        parsed = json.loads(form["payload"][0]) if "payload" in form else form
    if not isinstance(parsed, dict) or not parsed:
        raise ValueError("neither JSON nor a form")


class _SlackClock(Clock):
    """The bot's clock, for the age of a signature (Slack allows five minutes either way)."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._clock = clock

    def now(self) -> float:
        return self._clock().timestamp()


def _response(answer: BoltResponse) -> web.Response:
    headers = {name: values[0] for name, values in answer.headers.items() if values}
    content_type = headers.pop("content-type", "text/plain").partition(";")[0]
    return web.Response(status=answer.status, text=answer.body or "", content_type=content_type, headers=headers)


def site(slack: SlackDoor | None, metrics: Metrics, ready: Ready) -> web.Application:
    """All paths; without ``slack`` (Socket Mode) Slack's own is not there."""

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(request: web.Request) -> web.Response:
        missing = await ready()
        answer: dict[str, Any] = {"ready": not missing, "missing": missing}
        return web.json_response(answer, status=503 if missing else 200)

    async def metrics_text(request: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), content_type="text/plain", charset="utf-8")

    app = web.Application(client_max_size=MOST_BYTES)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics_text)
    if slack:
        app.router.add_post("/slack/events", slack)
    return app
