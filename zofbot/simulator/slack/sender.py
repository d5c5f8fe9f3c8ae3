"""Send payloads to the bot: over Socket Mode while a connection is open, else as a signed HTTP request."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp

from zofbot.clock import Clock, timeout
from zofbot.simulator.slack.state import Workspace

EnvelopeType = Literal["slash_commands", "interactive", "events_api"]


@dataclass(frozen=True)
class Acknowledgement:
    """The bot's acknowledgement; without one, ``status`` is ``None`` and ``error`` is Slack's error code."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = ""
    """Parsed if it was JSON."""
    ms: float = 0.0
    error: str = ""

    @property
    def is_accepted(self) -> bool:
        """True if the bot accepted it."""
        return self.status is not None and 200 <= self.status < 300


def sign_request(secret: str, timestamp: str, body: bytes) -> str:
    """Sign as Slack does: https://docs.slack.dev/authentication/verifying-requests-from-slack ."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()


def encode_payload(kind: EnvelopeType, payload: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return content type and body of an HTTP request: forms for commands and clicks, JSON for events."""
    if kind == "events_api":
        return "application/json", json.dumps(payload).encode()
    form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return "application/x-www-form-urlencoded", urlencode(form).encode()


def parse_body(text: str) -> Any:
    """Parse a reply's body: JSON if it is an object, else the text."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return text
    return found if isinstance(found, dict) else text


class PayloadSender:
    """Sender with one pooled session, closed by ``stop``.

    ``clock`` must be the bot's, because it checks the time of signatures.
    """

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self.slack = workspace
        self.clock = clock
        self.within = 3.0
        self._session: aiohttp.ClientSession | None = None
        self._turn = 0

    async def send_payload(
        self, kind: EnvelopeType, payload: Mapping[str, Any], retry: Mapping[str, Any] | None = None
    ) -> Acknowledgement:
        """Send over Socket Mode if connected, else HTTP; ``retry`` is the number and reason of a retry."""
        if self.slack.lines:
            return await self._send_over_socket(kind, payload, retry or {})
        names = {"retry_attempt": "X-Slack-Retry-Num", "retry_reason": "X-Slack-Retry-Reason"}
        return await self.post_payload(
            kind, payload, headers={names[name]: str(value) for name, value in (retry or {}).items()}
        )

    async def post_payload(
        self,
        kind: EnvelopeType,
        payload: Mapping[str, Any],
        *,
        headers: Mapping[str, str | None] | None = None,
        body: bytes | None = None,
    ) -> Acknowledgement:
        """Deliver over HTTP, signed.

        ``headers`` replaces headers, or removes them (``None``); ``body`` replaces the bytes.
        """
        content_type, said = encode_payload(kind, payload)
        sent = said if body is None else body
        timestamp = str(int(self.clock.time()))
        every = {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": sign_request(self.slack.signing_secret, timestamp, sent),
            **(headers or {}),
        }
        return await self._post_bytes(sent, {name: value for name, value in every.items() if value is not None})

    async def _post_bytes(self, body: bytes, headers: Mapping[str, str]) -> Acknowledgement:
        started = self.clock.monotonic()
        try:
            async with (
                timeout(self.within),
                self._open_session().post(self.slack.request_url, data=body, headers=headers) as reply,
            ):
                said = parse_body(await reply.text())
                return Acknowledgement(reply.status, dict(reply.headers), said, self._elapsed_ms(started))
        except TimeoutError:
            return Acknowledgement(ms=self._elapsed_ms(started), error="operation_timeout")
        except (aiohttp.ClientError, ValueError):  # ValueError: no URL is set
            return Acknowledgement(ms=self._elapsed_ms(started), error="dispatch_failed")

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))
        return self._session

    async def _send_over_socket(
        self, kind: EnvelopeType, payload: Mapping[str, Any], retry: Mapping[str, Any]
    ) -> Acknowledgement:
        """Send over the connections in turn; Slack does not document which one it chooses."""
        self._turn += 1
        line = self.slack.lines[self._turn % len(self.slack.lines)]
        envelope = {
            "envelope_id": self.slack.new_id("E"),
            "type": kind,
            "payload": dict(payload),
            "accepts_response_payload": kind != "events_api",
            **({"retry_attempt": 0, "retry_reason": ""} if kind == "events_api" else {}),
            **retry,
        }
        started = self.clock.monotonic()
        ack = await line.send_envelope(envelope, self.within)
        if ack is None:
            return Acknowledgement(ms=self._elapsed_ms(started), error="operation_timeout")
        return Acknowledgement(200, {}, ack.get("payload") or "", self._elapsed_ms(started))

    async def send_event(self, payload: Mapping[str, Any], delays: tuple[float, ...]) -> Acknowledgement:
        """Send an event, and retry after each delay until the bot accepts it or asks for no retry."""
        outcome = await self.send_payload("events_api", payload)
        for number, delay in enumerate(delays, start=1):
            if outcome.is_accepted or outcome.headers.get("X-Slack-No-Retry") == "1":
                break
            await self.clock.sleep(delay)
            outcome = await self.send_payload(
                "events_api", payload, {"retry_attempt": number, "retry_reason": _retry_reason(outcome)}
            )
        return outcome

    def _elapsed_ms(self, started: float) -> float:
        return (self.clock.monotonic() - started) * 1000

    async def stop(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


def _retry_reason(outcome: Acknowledgement) -> str:
    if outcome.status is not None:
        return "http_error"
    return "http_timeout" if outcome.error == "operation_timeout" else "connection_failed"
