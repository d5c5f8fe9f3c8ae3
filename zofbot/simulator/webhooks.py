"""The pretend Zof's webhooks: what it sends when a run has ended, signed, in either generation of envelope."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

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


@dataclass
class Webhooks:
    """One endpoint, as it was set up at Zof; nothing is sent while it is off or has no address."""

    url: str = ""
    secret: str = "zof-simulated-webhook-secret"  # noqa: S105 - made up
    on: bool = True
    generation: Generation = "current"
    header: str = "X-Zof-Signature"
    waiting: deque[tuple[str, bytes]] = field(default_factory=deque)
    """Type and body of what is to be sent."""
    sent: deque[Sent] = field(default_factory=lambda: deque(maxlen=1000))

    def set(self, *, on: bool | None = None, generation: str | None = None) -> None:
        """Switch it off or on, or choose the envelope; ``None`` leaves as it is. Raises ``ValueError``."""
        if generation not in (None, *get_args(Generation)):
            raise ValueError(f"There is no generation of webhooks named {generation!r}.")
        self.on = self.on if on is None else bool(on)
        self.generation = generation or self.generation  # type: ignore[assignment]  # it is one of them

    def announce(self, events: Mapping[str, Envelope]) -> None:
        """Queue events by type, each a delivery of its own."""
        if self.on and self.url:
            self.waiting.extend((kind, json.dumps(body).encode()) for kind, body in events.items())

    def headers(self, body: bytes) -> dict[str, str]:
        """Sign as Zof does: https://zof.ai/docs/examples/webhook-signature-verify ."""
        return {"Content-Type": "application/json", self.header: signature(self.secret, body)}


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
                    await self._send(session, *self.hooks.waiting.popleft())
                await self._news.wait()

    async def _send(self, session: aiohttp.ClientSession, kind: str, body: bytes) -> None:
        try:
            async with session.post(self.hooks.url, data=body, headers=self.hooks.headers(body)) as reply:
                await reply.read()
                self.hooks.sent.append(Sent(kind, reply.status))
        except (aiohttp.ClientError, TimeoutError, ValueError):  # ValueError: an address that is none
            self.hooks.sent.append(Sent(kind, None))
        self._changed()
