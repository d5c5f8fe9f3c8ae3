"""The audit: who did what, in one capped stream, ``{namespace}:audit``, whose field ``act`` is an entry as JSON."""

from __future__ import annotations

from typing import Any

import redis.asyncio as redis
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zofbot.observability import tracing
from zofbot.store import guard_redis_call
from zofbot.store.records import decode_hash, decode_text

log = structlog.get_logger()

AUDIT_STREAM, AUDIT_FIELD = "audit", "act"

MAX_RECORDS = 100_000
"""Entries kept, about: Redis drops whole blocks of the oldest (https://redis.io/docs/latest/commands/xadd/)."""

REFUSED_ACTION = "refused"
"""The act of whoever was kept from something; its details say what was ``tried``, and the ``reason``."""

PAGE_SIZE = 500
MAX_DISORDER_SECONDS = 300.0
"""Seconds by which entries of several processes may stand out of order, for each writes its own clock's time."""


class AuditRecord(BaseModel):
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


class AuditLog:
    """The audit of one bot, of about ``kept`` entries; every method raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str, kept: int = MAX_RECORDS) -> None:
        self._redis, self._kept = client, kept
        self._name = "{" + namespace + "}:" + AUDIT_STREAM

    async def append(self, entry: AuditRecord) -> None:
        """Write down an act that no commit of the outbox writes down."""
        async with guard_redis_call():
            await self._redis.xadd(
                self._name, {AUDIT_FIELD: entry.model_dump_json()}, maxlen=self._kept, approximate=True
            )
        tracing.record_step("redis", "audit", f"{entry.act} stored")

    async def read_records(self, since: float = 0.0, limit: int = MAX_RECORDS) -> list[AuditRecord]:
        """Acts since ``since`` (Unix seconds), oldest first; of more than ``limit`` the latest.

        An entry that cannot be read is left where it is, and said in the log.
        """
        found: list[AuditRecord] = []
        latest = "+"
        while len(found) < limit:
            page = await self._read_page(latest)
            entries = [one for _, fields in page if (one := _parse_record(fields))]
            found += [entry for entry in entries if entry.at >= since]
            if len(page) < PAGE_SIZE or (entries and max(entry.at for entry in entries) < since - MAX_DISORDER_SECONDS):
                break
            latest = f"({decode_text(page[-1][0])}"
        return found[:limit][::-1]

    async def _read_page(self, latest: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        async with guard_redis_call():
            page: Any = await self._redis.xrevrange(self._name, max=latest, count=PAGE_SIZE)
        return list(page)


def _parse_record(fields: dict[bytes, bytes]) -> AuditRecord | None:
    try:
        return AuditRecord.model_validate_json(decode_hash(fields).get(AUDIT_FIELD, ""))
    except ValidationError as error:
        log.error("unreadable audit entry", problems=error.error_count())
        return None
