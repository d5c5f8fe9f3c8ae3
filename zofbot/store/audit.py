"""The audit: who did what, in one capped stream, ``{namespace}:audit``, whose field ``act`` is an entry as JSON."""

from __future__ import annotations

from typing import Any

import redis.asyncio as redis
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zofbot import tracing
from zofbot.store import _reachable
from zofbot.store.entry import pairs, text

log = structlog.get_logger()

STREAM, FIELD = "audit", "act"

KEPT = 100_000
"""Entries kept, about: Redis drops whole blocks of the oldest (https://redis.io/docs/latest/commands/xadd/)."""

REFUSED = "refused"
"""The act of whoever was kept from something; its details say what was ``tried``, and the ``reason``."""

PAGE = 500
DISORDER = 300.0
"""Seconds by which entries of several processes may stand out of order, for each writes its own clock's time."""


class Entry(BaseModel):
    """One act; what is unknown is empty."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: float
    """Unix seconds."""
    act: str
    """Its one name, such as ``acknowledge``."""
    user: str
    """Slack's id of the human; ``zofbot`` for what happened by itself, the system's user name on a terminal."""
    name: str = ""
    """As Slack showed it then; not escaped."""
    channel: str = ""
    key: str = ""
    """The failure's key, or the notification's."""
    before: str = ""
    after: str = ""
    details: dict[str, str] = Field(default_factory=dict)
    """Such as reason, note, until, assignee."""
    request: str = ""
    """What Slack called the request."""
    zof_requests: tuple[str, ...] = ()
    """Zof's ids of the requests it led to."""


class Audit:
    """The audit of one bot, of about ``kept`` entries; every method raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str, kept: int = KEPT) -> None:
        self._redis, self._kept = client, kept
        self._name = "{" + namespace + "}:" + STREAM

    async def append(self, entry: Entry) -> None:
        """Write down an act that no commit of the outbox writes down."""
        async with _reachable():
            await self._redis.xadd(self._name, {FIELD: entry.model_dump_json()}, maxlen=self._kept, approximate=True)
        tracing.step("redis", "audit", f"{entry.act} stored")

    async def read(self, since: float = 0.0, limit: int = KEPT) -> list[Entry]:
        """Acts since ``since`` (Unix seconds), oldest first; of more than ``limit`` the latest.

        An entry that cannot be read is left where it is, and said in the log.
        """
        found: list[Entry] = []
        latest = "+"
        while len(found) < limit:
            page = await self._page(latest)
            entries = [one for _, fields in page if (one := _entry(fields))]
            found += [one for one in entries if one.at >= since]
            if len(page) < PAGE or (entries and max(one.at for one in entries) < since - DISORDER):
                break
            latest = f"({text(page[-1][0])}"
        return found[:limit][::-1]

    async def _page(self, latest: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        async with _reachable():
            page: Any = await self._redis.xrevrange(self._name, max=latest, count=PAGE)
        return list(page)


def _entry(fields: dict[bytes, bytes]) -> Entry | None:
    try:
        return Entry.model_validate_json(pairs(fields).get(FIELD, ""))
    except ValidationError as error:
        log.error("unreadable audit entry", problems=error.error_count())
        return None
