"""HTTP endpoints: Slack's requests, Zof's webhooks, health, readiness and metrics; unsigned requests are rejected."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import parse_qsl

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse

from zofbot.clock import Clock
from zofbot.concurrency import cancel_tasks
from zofbot.domain.errors import StoreUnavailable
from zofbot.domain.redaction import redact
from zofbot.http.limits import (
    MAX_BODY_BYTES,
    MAX_IDLE_CONNECTIONS,
    BodyReader,
    ConcurrencyLimit,
    IdleConnectionReaper,
    RejectedRequest,
    RejectThrottle,
    SampledLog,
)
from zofbot.observability import trace_recorder
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.requests import SlackRequestRejected, WebhookAnswered, WebhookReceived
from zofbot.observability.metrics import Metrics
from zofbot.slack.inbound import find_malformed
from zofbot.store.pending_runs import PendingRun, PendingRuns, PendingRunsFull
from zofbot.store.webhook_trials import TrialArrival
from zofbot.zof.protocol import clean_header
from zofbot.zof.webhook import RUN_END_TYPES, Facts, WebhookHint, is_signed, parse_hint

log = structlog.get_logger()

MAX_IDLE_SECONDS = 75.0
"""Time a connection may be idle or take to send the headers; proxies close theirs sooner."""

MAX_SIGNATURE_AGE_SECONDS = 300
"""Maximum difference between a signature's timestamp and this machine's clock."""

_server_log = logging.getLogger("zofbot.http.server")
# aiohttp logs invalid HTTP as an error with traceback; anybody can send that, and it would fill a disk.
_server_log.addFilter(lambda line: not (line.exc_info and isinstance(line.exc_info[1], HttpProcessingError)))

ReadinessCheck = Callable[[], Awaitable[list[str]]]
"""Returns what is not ready; empty if everything is."""


class SlackEndpoint:
    """``POST /slack/events``: check size, signature and shape, then dispatch to Bolt.

    The signature is checked here and not by Bolt, which answers some malformed ones with a 500 and parses the body
    before verifying it. Any of ``secrets`` is accepted.
    https://docs.slack.dev/authentication/verifying-requests-from-slack
    """

    def __init__(self, bolt: AsyncApp, secrets: Sequence[str], events: EventEmitter, clock: Clock) -> None:
        self._bolt = bolt
        self._events = events
        self._clock = clock
        self._body_reader, self._throttle, self._sampled_log = BodyReader(), RejectThrottle(clock), SampledLog(clock)
        self.use_secrets(secrets)

    def use_secrets(self, secrets: Sequence[str]) -> None:
        """Accept only requests signed with these secrets, from the next one on."""
        self._secrets = [secret.encode() for secret in secrets]

    async def handle_request(self, request: web.Request) -> web.Response:
        """Return the listeners' response; 401, 408, 413 or 400 if it is not a complete request from Slack."""
        try:
            body = await self._read_verified(request)
            return _to_web_response(await self._dispatch_to_bolt(request, body))
        except RejectedRequest as rejection:
            status, reason = rejection.status, rejection.reason
        # Outside the except block, where the traceback would keep the body in memory during the delay.
        self._events.emit(SlackRequestRejected(reason))
        self._sampled_log("stray request", reason, status=status, peer=request.remote)
        return await _reject_request(self._throttle, status, reason)

    async def _dispatch_to_bolt(self, request: web.Request, body: dict[str, Any]) -> BoltResponse:
        headers: dict[str, str | Sequence[str]] = dict(request.headers)
        try:
            # Already parsed: Bolt's own form parser fails if the word "payload" occurs anywhere in the form.
            bolt_request = AsyncBoltRequest(body=body, headers=headers, mode="socket_mode")
            return await self._bolt.async_dispatch(bolt_request)
        except Exception as error:  # raised by Bolt itself; listeners have their own handler
            log.error("request not understood", exc_info=error)
            raise RejectedRequest(400, "malformed") from error

    async def _read_verified(self, request: web.Request) -> dict[str, Any]:
        """Read the body, verify its signature, then parse it. Raises RejectedRequest."""
        raw = await self._body_reader.read_body(request)
        if not self._is_signed(raw, request.headers):
            raise RejectedRequest(401, "unsigned")
        try:
            body = _parse_body(raw.decode(), request.content_type)
        except (ValueError, RecursionError):
            raise RejectedRequest(400, "malformed") from None
        if place := find_malformed(body):
            log.warning("request of no shape that Slack sends", place=place)
            raise RejectedRequest(400, "malformed")
        return body

    def _is_signed(self, raw: bytes, headers: Mapping[str, str]) -> bool:
        timestamp = headers.get("X-Slack-Request-Timestamp", "")
        if not re.fullmatch(r"[0-9]{1,15}", timestamp):
            return False
        if abs(self._clock.time() - int(timestamp)) > MAX_SIGNATURE_AGE_SECONDS:
            return False
        signed_text = f"v0:{timestamp}:".encode() + raw
        expected = ["v0=" + hmac.new(secret, signed_text, hashlib.sha256).hexdigest() for secret in self._secrets]
        received = headers.get("X-Slack-Signature", "").encode("utf-8", "surrogateescape")
        # Compare with all, so that the time taken does not reveal which one matched.
        return sum([hmac.compare_digest(item.encode(), received) for item in expected]) > 0


class ZofWebhookEndpoint:
    """``POST /zof/webhook``: store the run that a delivery names, for the poller to read, then acknowledge it.

    Any of ``secrets`` is accepted; ``header`` contains the signature. ``note`` receives every delivery for webhook
    trials.
    """

    def __init__(  # noqa: PLR0913  (the services it uses)
        self,
        hints: PendingRuns,
        secrets: Sequence[str],
        header: str,
        events: EventEmitter,
        clock: Clock,
        *,
        note: Callable[[TrialArrival], Awaitable[None]],
    ) -> None:
        self._hints = hints
        self._note = note
        self._header = header
        self._events = events
        self._clock = clock
        self._body_reader, self._throttle, self._sampled_log = BodyReader(), RejectThrottle(clock), SampledLog(clock)
        self._concurrency = ConcurrencyLimit()
        self.use_secrets(secrets)

    def use_secrets(self, secrets: Sequence[str]) -> None:
        """Accept only deliveries signed with these secrets, from the next one on."""
        self._secrets = secrets

    async def handle_request(self, request: web.Request) -> web.Response:
        """Return 200 once the delivery is stored or ignored; 401, 408, 413 or 400 if invalid; 503 to retry."""
        try:
            raw = await self._read_verified(request)
            async with self._concurrency.acquire_slot():
                answer = await self._store_hint(_read_hint(raw))
            self._events.emit(WebhookAnswered(answer))
            return web.Response()
        except RejectedRequest as rejection:
            status, reason = rejection.status, rejection.reason
        self._events.emit(WebhookAnswered(reason))
        self._sampled_log("stray webhook", reason, status=status, peer=request.remote)
        return await _reject_request(self._throttle, status)

    async def _read_verified(self, request: web.Request) -> bytes:
        raw = await self._body_reader.read_body(request)
        if not is_signed(raw, signature := request.headers.get(self._header, ""), self._secrets):
            likely = (clean_header(name, 64) or "" for name in request.headers if "sign" in name.lower())
            await self._record_arrival(
                TrialArrival(False, self._header if signature else "", headers=tuple(likely)[:5])
            )
            raise RejectedRequest(401, "unsigned")
        return raw

    async def _record_arrival(self, arrival: TrialArrival) -> None:
        """Record the delivery for a webhook trial; a failure does not change the response."""
        try:
            await self._note(arrival)
        except StoreUnavailable as error:
            log.warning("delivery not noted", reason=error.reason)

    async def _store_hint(self, hint: WebhookHint) -> str:
        """Store the hint, unless its type is ignored or it was stored before; returns the outcome for metrics.

        Raises RejectedRequest if it cannot be stored.
        """
        self._events.emit(WebhookReceived(hint.type_label))
        arrival = TrialArrival(True, self._header, clean_header(hint.type) or "", hint.envelope)
        if hint.subject_id is None:
            self._sampled_log("webhook ignored", hint.type_label, event_type=clean_header(hint.type))
            await self._note_delivery()
            await self._record_arrival(arrival)
            return "ignored"
        kind: Literal["run", "notice"] = "run" if hint.type in RUN_END_TYPES else "notice"
        now = self._clock.time()
        at = min(hint.at.timestamp(), now) if hint.at else None  # Zof's clock may be ahead
        pending = PendingRun(
            kind, hint.subject_id, hint.type, now, at, run=hint.run_id or "", **_event_details(hint.facts)
        )
        try:
            with trace_recorder.record_trace(
                self._events.emit, "webhook", self._clock, hint.event_id, what=hint.type_label
            ):
                new = await self._hints.add_pending(hint.event_id, pending, arrival.dump())
        except PendingRunsFull:
            raise RejectedRequest(503, "full") from None
        except StoreUnavailable:
            raise RejectedRequest(503, "not_stored") from None
        await self._note_delivery()
        return "stored" if new else "repeated"

    async def _note_delivery(self) -> None:
        """Record for ``zofbot check`` that a delivery arrived; a failure does not change the response."""
        try:
            await self._hints.note_delivery()
        except StoreUnavailable as error:
            log.warning("delivery not noted", reason=error.reason)


def _event_details(facts: Facts) -> dict[str, Any]:
    """Return an event's details as stored: redacted, then cut."""
    said = ": ".join(filter(None, (redact(facts.name)[:150], redact(facts.reason)[:500])))
    projects = tuple(redact(name)[:100] for name in facts.projects)
    return {"projects": projects, "environment": redact(facts.environment)[:100], "said": said}


def _read_hint(raw: bytes) -> WebhookHint:
    try:
        return parse_hint(raw)
    except ValueError:
        raise RejectedRequest(400, "malformed") from None


async def _reject_request(throttle: RejectThrottle, status: int, text: str = "") -> web.Response:
    """Build a rejection, delayed if there are many; a 503 says when to retry."""
    response = web.Response(status=status, text=text, headers={"Retry-After": "5"} if status == 503 else {})
    if not await throttle.delay_reject():
        response.force_close()
    return response


def _parse_body(body: str, content_type: str) -> dict[str, Any]:
    """Parse a JSON object, or a form with fields or a JSON ``payload``. Raises ValueError."""
    if content_type == "application/json" or body.startswith("{"):
        parsed = json.loads(body)
    else:
        form = dict(parse_qsl(body, keep_blank_values=True))
        parsed = json.loads(form["payload"]) if "payload" in form else form
    if not isinstance(parsed, dict) or not any(parsed.values()):
        raise ValueError("neither JSON nor a form")
    return parsed


def _to_web_response(answer: BoltResponse) -> web.Response:
    headers = {name: values[0] for name, values in answer.headers.items() if values}
    content_type = headers.pop("content-type", "text/plain").partition(";")[0]
    return web.Response(status=answer.status, text=answer.body or "", content_type=content_type, headers=headers)


def build_app(
    slack: SlackEndpoint | None, metrics: Metrics, ready: ReadinessCheck, zof: ZofWebhookEndpoint | None = None
) -> web.Application:
    """Build the web application; without ``slack`` (Socket Mode) or ``zof`` (no secret) their paths are missing."""

    async def answer_healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def answer_readyz(request: web.Request) -> web.Response:
        missing = await ready()
        answer: dict[str, Any] = {"ready": not missing, "missing": missing}
        return web.json_response(answer, status=503 if missing else 200)

    async def answer_metrics(request: web.Request) -> web.Response:
        await ready()  # updates the gauges of Redis and Slack
        return web.Response(body=metrics.render_text(), content_type="text/plain", charset="utf-8")

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_get("/healthz", answer_healthz)
    app.router.add_get("/readyz", answer_readyz)
    app.router.add_get("/metrics", answer_metrics)
    if slack:
        app.router.add_post("/slack/events", slack.handle_request)
    if zof:
        app.router.add_post("/zof/webhook", zof.handle_request)
    return app


@asynccontextmanager
async def serve_app(  # noqa: PLR0913  (the two limits are for tests)
    app: web.Application,
    host: str,
    port: int,
    clock: Clock,
    *,
    idle: float = MAX_IDLE_SECONDS,
    most: int = MAX_IDLE_CONNECTIONS,
) -> AsyncIterator[str]:
    """Serve ``app`` while the context lasts; yields its URL. Raises OSError if the port cannot be opened.

    A connection may go ``idle`` seconds without complete request headers, and ``most`` connections without an accepted
    request may be idle. Bodies are not decompressed: neither Slack nor Zof compresses them, and others could be bombs.
    """
    connections = IdleConnectionReaper(clock, most)
    app.middlewares.append(connections.track_request)
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=2.0, handler_cancellation=False,
        keepalive_timeout=idle, lingering_time=1.0, auto_decompress=False, read_bufsize=2**16, logger=_server_log,
    )  # fmt: skip
    await runner.setup()
    server = runner.server
    assert server
    reaper_task = asyncio.create_task(connections.close_idle(lambda: server.connections))
    try:
        await web.TCPSite(runner, host, port).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
        await cancel_tasks(reaper_task)
