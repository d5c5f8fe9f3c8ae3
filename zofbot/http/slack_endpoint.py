"""The endpoint for Slack's requests: verify, parse, then dispatch to Bolt."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import structlog
from aiohttp import web
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.response import BoltResponse

from zofbot.clock import Clock
from zofbot.http.limits import (
    BodyReader,
    RejectedRequest,
    RejectThrottle,
    SampledLog,
    reject_request,
)
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.requests import SlackRequestRejected
from zofbot.slack.inbound import find_malformed

log = structlog.get_logger()

MAX_SIGNATURE_AGE_SECONDS = 300
"""Maximum difference between a signature's timestamp and this machine's clock."""


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
        return await reject_request(self._throttle, status, reason)

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
            log.warning("malformed slack request", place=place)
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
