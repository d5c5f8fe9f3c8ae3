"""The audit log: one capped stream, ``{namespace}:audit``, whose field ``act`` holds a record as JSON."""

from __future__ import annotations

from typing import Any

import structlog
from pydantic import Field, ValidationError

from zofbot.domain.frozen_model import FrozenModel
from zofbot.observability import trace_recorder
from zofbot.store.decoding import decode_hash, decode_text
from zofbot.store.keyspace import Keyspace

log = structlog.get_logger()

AUDIT_STREAM, AUDIT_FIELD = "audit", "act"

MAX_RECORDS = 100_000
"""Approximate: Redis trims whole blocks of the oldest (https://redis.io/docs/latest/commands/xadd/)."""

REFUSED_ACTION = "refused"
"""``act`` of a forbidden action; ``details`` holds what was ``tried`` and the ``reason``."""

PAGE_SIZE = 500
MAX_DISORDER_SECONDS = 300.0
"""Records may be out of order by this much, because each process writes its own clock's time."""


class AuditRecord(FrozenModel):
    """One action; unknown fields are empty."""

    at: float
    """Unix seconds."""
    act: str
    """Name of the action, such as ``acknowledge``."""
    user: str
    """Slack user id; ``zofbot`` for automatic actions, the system's user name for the command line."""
    name: str = ""
    """Display name in Slack at that time; not escaped."""
    channel: str = ""
    key: str = ""
    """Key of the failure or of the notification."""
    before: str = ""
    after: str = ""
    details: dict[str, str] = Field(default_factory=dict)
    """For example reason, note, until, assignee."""
    request: str = ""
    """Id of the request from Slack."""
    zof_requests: tuple[str, ...] = ()
    """Ids of the resulting requests to Zof, assigned by Zof."""


class AuditLog:
    """The audit log of one bot, with about ``kept`` records. Every method raises StoreUnavailable."""

    def __init__(self, keyspace: Keyspace, kept: int = MAX_RECORDS) -> None:
        self._keyspace, self._redis, self._kept = keyspace, keyspace.client, kept
        self._name = keyspace.key(AUDIT_STREAM)

    async def append(self, entry: AuditRecord) -> None:
        """Append a record of an action that is not recorded by a commit of the outbox."""
        async with self._keyspace.guard_call():
            await self._redis.xadd(
                self._name, {AUDIT_FIELD: entry.model_dump_json()}, maxlen=self._kept, approximate=True
            )
        trace_recorder.record_step("redis", "audit", f"{entry.act} stored")

    async def read_records(self, since: float = 0.0, limit: int = MAX_RECORDS) -> list[AuditRecord]:
        """Return the latest ``limit`` records since ``since`` (Unix seconds), oldest first.

        A record that cannot be parsed is logged and skipped.
        """
        found: list[AuditRecord] = []
        latest = "+"
        while len(found) < limit:
            page = await self._read_page(latest)
            entries = [record for _, fields in page if (record := _parse_record(fields))]
            found += [entry for entry in entries if entry.at >= since]
            if len(page) < PAGE_SIZE or (entries and max(entry.at for entry in entries) < since - MAX_DISORDER_SECONDS):
                break
            latest = f"({decode_text(page[-1][0])}"
        return found[:limit][::-1]

    async def _read_page(self, latest: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        async with self._keyspace.guard_call():
            page: Any = await self._redis.xrevrange(self._name, max=latest, count=PAGE_SIZE)
        return list(page)


def _parse_record(fields: dict[bytes, bytes]) -> AuditRecord | None:
    try:
        return AuditRecord.model_validate_json(decode_hash(fields).get(AUDIT_FIELD, ""))
    except ValidationError as error:
        log.error("unreadable audit entry", problems=error.error_count())
        return None
