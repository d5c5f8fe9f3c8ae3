"""Brings what people did to the bot: over Socket Mode while a connection is open, else as a signed HTTP request."""

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
from zofbot.simulator.workspace import Workspace

Kind = Literal["slash_commands", "interactive", "events_api"]


@dataclass(frozen=True)
class Outcome:
    """How the bot acknowledged: ``status`` is ``None`` when it did not, and ``error`` then says why in Slack's word."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = ""
    """Parsed when it was JSON."""
    ms: float = 0.0
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the bot took it."""
        return self.status is not None and 200 <= self.status < 300


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign as Slack does: https://docs.slack.dev/authentication/verifying-requests-from-slack ."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()


def encoded(kind: Kind, payload: Mapping[str, Any]) -> tuple[str, bytes]:
    """Content type and body of an HTTP request: forms for commands and clicks, JSON for events."""
    if kind == "events_api":
        return "application/json", json.dumps(payload).encode()
    form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return "application/x-www-form-urlencoded", urlencode(form).encode()


def parsed(text: str) -> Any:
    """A reply's body: JSON if it is an object, else the text."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return text
    return found if isinstance(found, dict) else text


class Delivery:
    """One sender with one pooled session; ``stop`` closes it.

    ``clock`` is the bot's, which checks when a request was signed.
    """

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self.slack = workspace
        self.clock = clock
        self.within = 3.0
        self._session: aiohttp.ClientSession | None = None
        self._turn = 0

    async def send(self, kind: Kind, payload: Mapping[str, Any], retry: Mapping[str, Any] | None = None) -> Outcome:
        """Deliver by whichever way is open; ``retry`` has the number and reason of a redelivery."""
        if self.slack.lines:
            return await self._over_socket(kind, payload, retry or {})
        names = {"retry_attempt": "X-Slack-Retry-Num", "retry_reason": "X-Slack-Retry-Reason"}
        return await self.post(
            kind, payload, headers={names[name]: str(value) for name, value in (retry or {}).items()}
        )

    async def post(
        self,
        kind: Kind,
        payload: Mapping[str, Any],
        *,
        headers: Mapping[str, str | None] | None = None,
        body: bytes | None = None,
    ) -> Outcome:
        """Deliver over HTTP, signed. ``headers`` replaces or (``None``) leaves out one; ``body`` replaces the bytes."""
        content_type, said = encoded(kind, payload)
        sent = said if body is None else body
        timestamp = str(int(self.clock.time()))
        every = {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(self.slack.signing_secret, timestamp, sent),
            **(headers or {}),
        }
        return await self._exchange(sent, {name: value for name, value in every.items() if value is not None})

    async def _exchange(self, body: bytes, headers: Mapping[str, str]) -> Outcome:
        started = self.clock.monotonic()
        try:
            async with (
                timeout(self.within),
                self._pool().post(self.slack.request_url, data=body, headers=headers) as reply,
            ):
                said = parsed(await reply.text())
                return Outcome(reply.status, dict(reply.headers), said, self._since(started))
        except TimeoutError:
            return Outcome(ms=self._since(started), error="operation_timeout")
        except (aiohttp.ClientError, ValueError):  # ValueError: there is no address to deliver to
            return Outcome(ms=self._since(started), error="dispatch_failed")

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))
        return self._session

    async def _over_socket(self, kind: Kind, payload: Mapping[str, Any], retry: Mapping[str, Any]) -> Outcome:
        """Slack gives no rule which open connection gets a payload; here they take turns."""
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
        ack = await line.send(envelope, self.within)
        if ack is None:
            return Outcome(ms=self._since(started), error="operation_timeout")
        return Outcome(200, {}, ack.get("payload") or "", self._since(started))

    async def send_event(self, payload: Mapping[str, Any], delays: tuple[float, ...]) -> Outcome:
        """Deliver an event, and again after each delay until the bot takes it or asks for no more."""
        outcome = await self.send("events_api", payload)
        for number, delay in enumerate(delays, start=1):
            if outcome.ok or outcome.headers.get("X-Slack-No-Retry") == "1":
                break
            await self.clock.sleep(delay)
            outcome = await self.send(
                "events_api", payload, {"retry_attempt": number, "retry_reason": _reason(outcome)}
            )
        return outcome

    def _since(self, started: float) -> float:
        return (self.clock.monotonic() - started) * 1000

    async def stop(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


def _reason(outcome: Outcome) -> str:
    if outcome.status is not None:
        return "http_error"
    return "http_timeout" if outcome.error == "operation_timeout" else "connection_failed"
