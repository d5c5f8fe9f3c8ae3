"""The pretend Zof's webhooks: its endpoints, and what it sends to them, signed, in either generation of envelope."""

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

EnvelopeGeneration = Literal["current", "older"]
WebhookEnvelope = dict[str, Any]

TIMEOUT_SECONDS = 10.0
"""Seconds Zof waits for an answer (https://zof.ai/docs/api/webhooks)."""


@dataclass(frozen=True)
class SentWebhook:
    """A delivery as it was answered; ``status`` is ``None`` when nobody answered."""

    type: str
    status: int | None


@dataclass(frozen=True)
class RegisteredEndpoint:
    """An address that ``POST /webhooks`` registered; it is sent events of these types."""

    id: str
    url: str
    secret: str
    events: tuple[str, ...]


class WebhookDelivery(NamedTuple):
    """What is to be sent where."""

    type: str
    body: bytes
    url: str
    secret: str


@dataclass
class Webhooks:
    """All endpoints of an organization: those registered by API, and one that somebody set up at Zof (``url``).

    Nothing is sent while they are off. ``hosts`` says at which address of this machine a public host answers.
    """

    url: str = ""
    secret: str = "zof-simulated-webhook-secret"  # noqa: S105 - made up
    on: bool = True
    generation: EnvelopeGeneration = "current"
    header: str = "X-Zof-Signature"
    chooses_secrets: bool = False
    """Whether Zof makes the secret of a new endpoint itself, and shows it once; its pages differ about that."""
    sample: str = "run.completed"
    """Type of the sample delivery; believed."""
    endpoints: dict[str, RegisteredEndpoint] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    waiting: deque[WebhookDelivery] = field(default_factory=deque)
    sent: deque[SentWebhook] = field(default_factory=lambda: deque(maxlen=1000))

    def set_options(self, *, on: bool | None = None, generation: str | None = None) -> None:
        """Switch it off or on, or choose the envelope; ``None`` leaves as it is. Raises ``ValueError``."""
        if generation not in (None, *get_args(EnvelopeGeneration)):
            raise ValueError(f"There is no generation of webhooks named {generation!r}.")
        self.on = self.on if on is None else bool(on)
        self.generation = generation or self.generation  # type: ignore[assignment]  # it is one of them

    def queue_events(self, events: Mapping[str, WebhookEnvelope]) -> None:
        """Queue events by type, each a delivery of its own to each endpoint that wants its type."""
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
        """Where a public address is served on this machine."""
        parts = urlsplit(url)
        return urljoin(self.hosts[parts.netloc], parts.path) if parts.netloc in self.hosts else url


def sign_body(secret: str, body: bytes) -> str:
    """HMAC-SHA256 of the raw body, in hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def current_envelope(kind: str, at: str, new_id: Callable[[str], str], run_id: str) -> WebhookEnvelope:
    """An event in today's envelope: ids only."""
    thing = {"id": new_id("obj"), "organization_id": "org_acme", "run_id": run_id}
    return {"id": new_id("evt"), "type": kind, "created": at, "data": {"object": thing}}


def older_envelope(kind: str, at: str, run: Mapping[str, Any]) -> WebhookEnvelope:
    """An event in yesterday's envelope: no id of its own, but figures."""
    figures = {"agents_run": 1, "issues_found": (run.get("summary") or {}).get("failed", 0), "coverage_score": 88}
    data = {"run_id": run["id"], "status": run.get("status"), "duration_ms": run.get("duration_ms", 0), **figures}
    return {"event": kind, "timestamp": at, "data": data}


class WebhookSender:
    """Delivers what waits, one after another and each once: Zof does not say whether it repeats a failed delivery."""

    def __init__(self, hooks: Webhooks, changed: Callable[[], None]) -> None:
        self.hooks = hooks
        self._changed = changed
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Deliver in a task of its own until ``stop``."""
        self._task = asyncio.create_task(self._deliver_waiting())

    def wake_up(self) -> None:
        """Look whether something waits."""
        self._news.set()

    async def stop(self) -> None:
        """End the task; what waits stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _deliver_waiting(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as session:
            while True:
                self._news.clear()
                while self.hooks.waiting:
                    await self._post_delivery(session, self.hooks.waiting.popleft())
                await self._news.wait()

    async def _post_delivery(self, session: aiohttp.ClientSession, delivery: WebhookDelivery) -> None:
        url, headers = self.hooks.local_address(delivery.url), self.hooks.signed_headers(delivery)
        try:
            async with session.post(url, data=delivery.body, headers=headers) as reply:
                await reply.read()
                self.hooks.sent.append(SentWebhook(delivery.type, reply.status))
        except (aiohttp.ClientError, TimeoutError, ValueError):  # ValueError: an address that is none
            self.hooks.sent.append(SentWebhook(delivery.type, None))
        self._changed()
