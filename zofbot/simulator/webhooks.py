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

Generation = Literal["current", "older"]
Envelope = dict[str, Any]

WITHIN = 10.0
"""Seconds Zof waits for an answer (https://zof.ai/docs/api/webhooks)."""


@dataclass(frozen=True)
class Sent:
    """A delivery as it was answered; ``status`` is ``None`` when nobody answered."""

    type: str
    status: int | None


@dataclass(frozen=True)
class Endpoint:
    """An address that ``POST /webhooks`` registered; it is sent events of these types."""

    id: str
    url: str
    secret: str
    events: tuple[str, ...]


class Delivery(NamedTuple):
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
    generation: Generation = "current"
    header: str = "X-Zof-Signature"
    chooses_secrets: bool = False
    """Whether Zof makes the secret of a new endpoint itself, and shows it once; its pages differ about that."""
    sample: str = "run.completed"
    """Type of the sample delivery; believed."""
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    waiting: deque[Delivery] = field(default_factory=deque)
    sent: deque[Sent] = field(default_factory=lambda: deque(maxlen=1000))

    def set(self, *, on: bool | None = None, generation: str | None = None) -> None:
        """Switch it off or on, or choose the envelope; ``None`` leaves as it is. Raises ``ValueError``."""
        if generation not in (None, *get_args(Generation)):
            raise ValueError(f"There is no generation of webhooks named {generation!r}.")
        self.on = self.on if on is None else bool(on)
        self.generation = generation or self.generation  # type: ignore[assignment]  # it is one of them

    def announce(self, events: Mapping[str, Envelope]) -> None:
        """Queue events by type, each a delivery of its own to each endpoint that wants its type."""
        if not self.on:
            return
        for kind, body in events.items():
            if self.url:
                self.waiting.append(Delivery(kind, json.dumps(body).encode(), self.url, self.secret))
            for endpoint in self.endpoints.values():
                if kind in endpoint.events:
                    self.try_out(endpoint, kind, body)

    def try_out(self, endpoint: Endpoint, kind: str, body: Envelope) -> None:
        """Queue one event for one endpoint."""
        self.waiting.append(Delivery(kind, json.dumps(body).encode(), endpoint.url, endpoint.secret))

    def headers(self, delivery: Delivery) -> dict[str, str]:
        """Sign as Zof does: https://zof.ai/docs/examples/webhook-signature-verify ."""
        return {"Content-Type": "application/json", self.header: signature(delivery.secret, delivery.body)}

    def address(self, url: str) -> str:
        """Where a public address is served on this machine."""
        parts = urlsplit(url)
        return urljoin(self.hosts[parts.netloc], parts.path) if parts.netloc in self.hosts else url


def signature(secret: str, body: bytes) -> str:
    """HMAC-SHA256 of the raw body, in hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def current(kind: str, at: str, new_id: Callable[[str], str], run_id: str) -> Envelope:
    """An event in today's envelope: ids only."""
    thing = {"id": new_id("obj"), "organization_id": "org_acme", "run_id": run_id}
    return {"id": new_id("evt"), "type": kind, "created": at, "data": {"object": thing}}


def older(kind: str, at: str, run: Mapping[str, Any]) -> Envelope:
    """An event in yesterday's envelope: no id of its own, but figures."""
    figures = {"agents_run": 1, "issues_found": (run.get("summary") or {}).get("failed", 0), "coverage_score": 88}
    data = {"run_id": run["id"], "status": run.get("status"), "duration_ms": run.get("duration_ms", 0), **figures}
    return {"event": kind, "timestamp": at, "data": data}


class Postman:
    """Delivers what waits, one after another and each once: Zof does not say whether it repeats a failed delivery."""

    def __init__(self, hooks: Webhooks, changed: Callable[[], None]) -> None:
        self.hooks = hooks
        self._changed = changed
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Deliver in a task of its own until ``stop``."""
        self._task = asyncio.create_task(self._deliver())

    def tell(self) -> None:
        """Look whether something waits."""
        self._news.set()

    async def stop(self) -> None:
        """End the task; what waits stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _deliver(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WITHIN)) as session:
            while True:
                self._news.clear()
                while self.hooks.waiting:
                    await self._send(session, self.hooks.waiting.popleft())
                await self._news.wait()

    async def _send(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        url, headers = self.hooks.address(delivery.url), self.hooks.headers(delivery)
        try:
            async with session.post(url, data=delivery.body, headers=headers) as reply:
                await reply.read()
                self.hooks.sent.append(Sent(delivery.type, reply.status))
        except (aiohttp.ClientError, TimeoutError, ValueError):  # ValueError: an address that is none
            self.hooks.sent.append(Sent(delivery.type, None))
        self._changed()
