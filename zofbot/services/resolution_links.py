"""Links to the alerts on which causes were resolved, added to a message when it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from zofbot.clock import timeout
from zofbot.delivery.attempt import PrepareClaim
from zofbot.domain.errors import SlackError
from zofbot.notifications.notification import Claim, Obsolete, Postponed, Receipt
from zofbot.store.outbox import Outbox

log = structlog.get_logger()

MAX_LINK_SECONDS = 2.0
"""Seconds that a message waits for all its links to threads; then it is sent without those that are missing."""

MAX_CACHED_LINKS = 1000
"""Links kept in memory: a permalink never changes."""

FetchPermalink = Callable[[Receipt], Awaitable[str]]


class ResolutionLinker:
    """Prepares a notification with ``prepare``, and then links the resolutions in it. Raises StoreUnavailable."""

    def __init__(self, prepare: PrepareClaim, outbox: Outbox, fetch_permalink: FetchPermalink) -> None:
        self._prepare, self._outbox, self._fetch_permalink = prepare, outbox, fetch_permalink
        self._links: dict[str, str] = {}

    async def __call__(self, claim: Claim) -> Claim | Postponed | Obsolete:
        """Return the prepared notification with the links that Slack returns in time."""
        prepared = await self._prepare(claim)
        if not isinstance(prepared, Claim):
            return prepared
        notification, failure = prepared.notification, prepared.failure
        keys = _resolved_alerts(notification.body) | _resolved_alerts(failure or {})
        links = await self._load_links(keys) if keys else {}
        if not links:
            return prepared
        body = _with_links(notification.body, links)
        return replace(
            prepared,
            notification=notification.model_copy(update={"body": body}),
            failure=failure and _with_links(failure, links),
        )

    async def _load_links(self, keys: set[str]) -> dict[str, str]:
        """Return the permalinks of alerts' messages by key, as far as they are known or Slack returns them in time."""
        if len(self._links) >= MAX_CACHED_LINKS:
            self._links.clear()
        if unknown := sorted(keys - self._links.keys()):
            records = await self._outbox.get_records(unknown)
            try:
                async with timeout(MAX_LINK_SECONDS):
                    await asyncio.gather(
                        *(self._fetch_link(record.key, record.receipt) for record in records if record.receipt)
                    )
            except TimeoutError:
                log.info("links left out", keys=sorted(keys - self._links.keys()))
        return {key: self._links[key] for key in keys if key in self._links}

    async def _fetch_link(self, key: str, receipt: Receipt) -> None:
        try:
            self._links[key] = await self._fetch_permalink(receipt)
        except SlackError as error:
            log.info("no permalink", key=key, error=type(error).__name__)


def _resolved_alerts(body: Mapping[str, Any]) -> set[str]:
    """Return the keys of the alerts on which the causes in ``body`` were resolved."""
    return {key for past in body.get("past") or () if (key := _alert_key(past))}


def _alert_key(past: Mapping[str, Any]) -> str:
    return str((past.get("resolved") or {}).get("alert") or "")


def _with_links(body: dict[str, Any], links: Mapping[str, str]) -> dict[str, Any]:
    return body | {"past": [_with_link(past, links) for past in body["past"]]} if body.get("past") else body


def _with_link(past: dict[str, Any], links: Mapping[str, str]) -> dict[str, Any]:
    link = links.get(_alert_key(past))
    return past | {"resolved": past["resolved"] | {"link": link}} if link else past
