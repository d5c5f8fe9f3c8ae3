"""Links to the alerts on which causes were resolved, added to a message when it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import structlog

from zofbot.clock import timeout
from zofbot.domain.errors import SlackError
from zofbot.notifications.notification import Claim, Obsolete, Postponed, Receipt
from zofbot.store.outbox import Outbox

log = structlog.get_logger()

MAX_LINK_SECONDS = 2.0
"""Seconds that a message waits for the link to a thread; then it is sent without."""

MAX_CACHED_LINKS = 1000
"""Links kept in memory: a permalink never changes."""

FetchPermalink = Callable[[Receipt], Awaitable[str]]
PrepareClaim = Callable[[Claim], Awaitable[Claim | Postponed | Obsolete]]


class ResolutionLinker:
    """Prepares a notification with ``prepare``, and then links the resolutions in it. Raises StoreUnavailable."""

    def __init__(self, prepare: PrepareClaim, outbox: Outbox, fetch_permalink: FetchPermalink) -> None:
        self._prepare, self._outbox, self._fetch_permalink = prepare, outbox, fetch_permalink
        self._links: dict[str, str] = {}

    async def __call__(self, claim: Claim) -> Claim | Postponed | Obsolete:
        """Return the prepared notification with the links that Slack returned."""
        prepared = await self._prepare(claim)
        if not isinstance(prepared, Claim):
            return prepared
        notification = prepared.notification
        if not notification.body.get("past") and not (prepared.failure or {}).get("past"):
            return prepared
        body = await self._with_links(notification.body)
        failure = await self._with_links(prepared.failure) if prepared.failure else prepared.failure
        return replace(prepared, notification=notification.model_copy(update={"body": body}), failure=failure)

    async def _with_links(self, body: dict[str, Any]) -> dict[str, Any]:
        return body | {"past": [await self._with_link(past) for past in body["past"]]} if body.get("past") else body

    async def _with_link(self, past: dict[str, Any]) -> dict[str, Any]:
        resolved = past.get("resolved") or {}
        link = await self._link_to_alert(str(resolved.get("alert") or ""))
        return past | {"resolved": resolved | {"link": link}} if link else past

    async def _link_to_alert(self, key: str) -> str:
        """Return the permalink of an alert's message; empty if it has none, or Slack does not answer in time."""
        if key in self._links or not key:
            return self._links.get(key, "")
        record = await self._outbox.get_record(key)
        if record is None or record.receipt is None:
            return ""
        try:
            async with timeout(MAX_LINK_SECONDS):
                link = await self._fetch_permalink(record.receipt)
        except (SlackError, TimeoutError) as error:
            log.info("no permalink", key=key, error=type(error).__name__)
            return ""
        if len(self._links) >= MAX_CACHED_LINKS:
            self._links.clear()
        self._links[key] = link
        return link
