"""Webhooks of the simulated Zof: endpoints, and signed deliveries in the current or older envelope."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import urljoin, urlsplit

import aiohttp

from zofbot.clock import timeout

EnvelopeGeneration = Literal["current", "older"]
WebhookEnvelope = dict[str, Any]

TIMEOUT_SECONDS = 10.0
"""Zof's time limit for a response (https://zof.ai/docs/api/webhooks)."""


@dataclass(frozen=True)
class SentWebhook:
    """A delivery and its response; ``status`` is ``None`` if there was none."""

    type: str
    status: int | None


@dataclass(frozen=True)
class RegisteredEndpoint:
    """An endpoint registered by ``POST /webhooks`` for these event types."""

    id: str
    url: str
    secret: str
    events: tuple[str, ...]


class WebhookDelivery(NamedTuple):
    """A delivery to send, and its endpoint."""

    type: str
    body: bytes
    url: str
    secret: str


@dataclass
class Webhooks:
    """Endpoints of the organization: those registered by API, and one set up in Zof's Console (``url``).

    Nothing is sent while they are off. ``hosts`` maps public hosts to addresses of this machine.
    """

    url: str = ""
    secret: str = "zof-simulated-webhook-secret"  # noqa: S105 - made up
    on: bool = True
    generation: EnvelopeGeneration = "current"
    header: str = "X-Zof-Signature"
    chooses_secrets: bool = False
    """Whether Zof chooses the secret of a new endpoint and returns it once; its documentation is inconsistent."""
    sample: str = "run.completed"
    """Event type of the sample delivery (believed)."""
    endpoints: dict[str, RegisteredEndpoint] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    waiting: deque[WebhookDelivery] = field(default_factory=deque)
    sent: deque[SentWebhook] = field(default_factory=lambda: deque(maxlen=1000))

    def set_options(self, *, on: bool | None = None, generation: str | None = None) -> None:
        """Switch webhooks on or off, or choose the envelope; ``None`` keeps the setting. Raises ``ValueError``."""
        if generation not in (None, *get_args(EnvelopeGeneration)):
            raise ValueError(f"There is no generation of webhooks named {generation!r}.")
        self.on = self.on if on is None else bool(on)
        self.generation = generation or self.generation  # type: ignore[assignment]  # it is one of them

    def queue_events(self, events: Mapping[str, WebhookEnvelope]) -> None:
        """Queue each event for each endpoint registered for its type."""
        if not self.on:
            return
        for kind, body in events.items():
            if self.url:
                self.waiting.append(WebhookDelivery(kind, json.dumps(body).encode(), self.url, self.secret))
            for endpoint in self.endpoints.values():
                if kind in endpoint.events:
                    self.queue_event(endpoint, kind, body)

    def queue_event(self, endpoint: RegisteredEndpoint, kind: str, body: WebhookEnvelope) -> None:
        """Queue one event for one endpoint."""
        self.waiting.append(WebhookDelivery(kind, json.dumps(body).encode(), endpoint.url, endpoint.secret))

    def signed_headers(self, delivery: WebhookDelivery) -> dict[str, str]:
        """Sign as Zof does: https://zof.ai/docs/examples/webhook-signature-verify ."""
        return {"Content-Type": "application/json", self.header: sign_body(delivery.secret, delivery.body)}

    def local_address(self, url: str) -> str:
        """Return the local address that serves a public URL."""
        parts = urlsplit(url)
        return urljoin(self.hosts[parts.netloc], parts.path) if parts.netloc in self.hosts else url


def sign_body(secret: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of the raw body, in hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def current_envelope(kind: str, at: str, new_id: Callable[[str], str], run_id: str) -> WebhookEnvelope:
    """Build an event in the current envelope: ids only."""
    thing = {"id": new_id("obj"), "organization_id": "org_acme", "run_id": run_id}
    return {"id": new_id("evt"), "type": kind, "created": at, "data": {"object": thing}}


def older_envelope(kind: str, at: str, run: Mapping[str, Any]) -> WebhookEnvelope:
    """Build an event in the older envelope: no event id, but counts."""
    figures = {"agents_run": 1, "issues_found": (run.get("summary") or {}).get("failed", 0), "coverage_score": 88}
    data = {"run_id": run["id"], "status": run.get("status"), "duration_ms": run.get("duration_ms", 0), **figures}
    return {"event": kind, "timestamp": at, "data": data}


class WebhookSender:
    """Send queued deliveries in order, without retries: Zof does not document whether it retries."""

    def __init__(self, hooks: Webhooks, changed: Callable[[], None]) -> None:
        self.hooks = hooks
        self._changed = changed
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start delivering in the background until ``stop``."""
        self._task = asyncio.create_task(self._deliver_waiting())

    def wake_up(self) -> None:
        """Deliver what has been queued."""
        self._news.set()

    async def stop(self) -> None:
        """Stop the task; undelivered items stay queued."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _deliver_waiting(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
            while True:
                self._news.clear()
                while self.hooks.waiting:
                    await self._post_delivery(session, self.hooks.waiting.popleft())
                await self._news.wait()

    async def _post_delivery(self, session: aiohttp.ClientSession, delivery: WebhookDelivery) -> None:
        url, headers = self.hooks.local_address(delivery.url), self.hooks.signed_headers(delivery)
        try:
            async with timeout(TIMEOUT_SECONDS), session.post(url, data=delivery.body, headers=headers) as reply:
                await reply.read()
                self.hooks.sent.append(SentWebhook(delivery.type, reply.status))
        except (aiohttp.ClientError, TimeoutError, ValueError):  # ValueError: an invalid URL
            self.hooks.sent.append(SentWebhook(delivery.type, None))
        self._changed()
