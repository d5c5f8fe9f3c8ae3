"""The endpoint for Zof's webhooks: verify, store the hint, then acknowledge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from aiohttp import web

from zofbot.clock import Clock
from zofbot.domain.errors import StoreUnavailable
from zofbot.domain.redaction import redact
from zofbot.http.limits import (
    BodyReader,
    ConcurrencyLimit,
    RejectedRequest,
    RejectThrottle,
    SampledLog,
    reject_request,
)
from zofbot.observability import trace_recorder
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.requests import WebhookAnswered, WebhookReceived
from zofbot.store.pending_runs import PendingRun, PendingRuns, PendingRunsFull
from zofbot.store.webhook_trials import TrialArrival
from zofbot.zof.protocol import clean_header
from zofbot.zof.webhook_event import RUN_END_TYPES, Facts, WebhookHint, parse_hint
from zofbot.zof.webhook_signature import is_signed

log = structlog.get_logger()


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
        return await reject_request(self._throttle, status)

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
        pending = build_pending_run(hint, hint.subject_id, self._clock.time())
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


def build_pending_run(hint: WebhookHint, subject: str, now: float) -> PendingRun:
    """Return the run or notice that a hint announces, as it is stored at ``now`` (Unix seconds)."""
    at = min(hint.at.timestamp(), now) if hint.at else None  # Zof's clock may be ahead
    if hint.type in RUN_END_TYPES:
        return PendingRun("run", subject, hint.type, now, at)
    return PendingRun("notice", subject, hint.type, now, at, run=hint.run_id or "", **_event_details(hint.facts))


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
