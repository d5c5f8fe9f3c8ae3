"""The names that Zof gives its fields: few are documented, so several are accepted for each meaning.

For every meaning the first name with a valid value is used. A value of a wrong type counts as missing, and missing
values are None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from zofbot.domain.errors import ZofUnreadable
from zofbot.zof.coerce import as_identifier, value_at
from zofbot.zof.protocol import TRY_AGAIN_HINT, is_askable_id

T = TypeVar("T")

JsonObject = dict[str, object]

FIELD_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "run_id": ("run_id", "run.id", "run"),
    "status": ("status", "outcome", "result"),
    "case_id": ("test_case_id", "case_id", "test_case.id", "case.id"),
    "title": ("name", "title", "test_case.name", "test_case.title", "test_case_name"),
    "project_id": ("project_id", "project.id"),
    "project_name": ("project.name", "project_name"),
    "environment": ("environment", "environment.name", "environment_id"),
    "failure": ("failure_summary", "failure.summary", "failure.message", "failure", "error.message", "error"),
    "summary": ("summary",),
    "logs": ("logs_url", "log_url", "logs.url", "logs_ref", "logs.id", "logs"),
    "started": ("started_at",),
    "ended": ("completed_at", "finished_at", "ended_at"),
    "created": ("created_at", "created"),
    "url": ("url", "console_url", "html_url"),
    "severity": ("severity", "priority"),
    "attempt": ("attempt", "attempt_number", "attempts", "attempt_count"),
    "retry": ("retry", "retries", "retry_count"),
    "quarantined": (
        "quarantined",
        "is_quarantined",
        "in_quarantine",
        "quarantine",
        "quarantine_status",
        "test_case.quarantined",
        "test_case.is_quarantined",
        "test_case.quarantine",
        "case.quarantined",
        "case.is_quarantined",
        "case.quarantine",
    ),
    "tags": ("tags", "labels", "test_case.tags", "case.tags"),
    "milliseconds": ("duration_ms",),
    "seconds": ("duration_seconds",),
    "duration": ("duration",),
    "total": ("summary.total", "total"),
    "passed": ("summary.passed", "passed"),
    "failed": ("summary.failed", "failed"),
    "errored": ("summary.error", "summary.errored", "error", "errored"),
    "skipped": ("summary.skipped", "skipped"),
    "results": ("results", "case_outcomes", "cases", "test_cases"),
    "schedule_id": ("schedule_id", "schedule.id", "trigger.schedule_id", "schedule"),
    "schedule_name": ("schedule_name", "schedule.name", "schedule.title", "schedule_label", "trigger.schedule_name"),
    "cron": ("cron", "cron_expression", "expression", "schedule.cron", "schedule"),
    "next": ("next_run_at", "next_run", "next_run_time", "next_at", "next_execution_at", "next_run.at"),
    "state": ("status", "state"),
    "paused": ("paused", "is_paused", "disabled"),
    "enabled": ("enabled", "active", "is_active"),
    "target_project": (
        "target.project.name",
        "target.project_name",
        "project.name",
        "project_name",
        "target.project_id",
        "target.project.id",
        "project_id",
        "project.id",
        "project",
        "target.project",
    ),
    "target_environment": (
        "target.environment.name",
        "target.environment",
        "environment.name",
        "environment",
        "environment_id",
    ),
    "endpoint": ("url", "endpoint", "endpoint_url", "target_url"),
    "events": ("events", "event_types", "enabled_events"),
    "secret": ("secret", "signing_secret", "webhook_secret"),
    "listing": ("data", "results", "runs", "projects", "schedules", "webhooks", "endpoints", "items"),
}
"""Names accepted for each meaning, in order; a dot steps into an object."""

FIELD_PATHS = {meaning: tuple(tuple(name.split(".")) for name in names) for meaning, names in FIELD_NAMES.items()}

_ENVELOPE_FIELDS = frozenset({"status", "result", "state", "error", "total", "url", "data", "items"})
"""Names above that envelopes use for the reply as a whole, such as JSend (https://github.com/omniti-labs/jsend)."""

_ALL_FIELDS = frozenset(path[0] for paths in FIELD_PATHS.values() for path in paths)
_OBJECT_FIELDS = _ALL_FIELDS - _ENVELOPE_FIELDS


def first_value(data: JsonObject, meaning: str, kind: Callable[[object], T | None]) -> T | None:
    """Return the first valid value under the names of a ``meaning``; ``kind`` returns None for an invalid one."""
    for path in FIELD_PATHS[meaning]:
        found = data.get(path[0])
        if found is not None and (value := kind(value_at(found, path[1:]) if len(path) > 1 else found)) is not None:
            return value
    return None


def unwrap_object(found: object, noun: str) -> JsonObject:
    """Return the object in Zof's answer, bare or in an envelope. Raises ZofUnreadable."""
    for _ in range(3):
        if not isinstance(found, dict):
            raise ZofUnreadable("Zof returned data in an unexpected format (no object).", TRY_AGAIN_HINT)
        inner = next((found[name] for name in ("data", noun) if isinstance(found.get(name), dict)), None)
        if inner is None or as_identifier(found.get("id")):
            break
        found = inner
    if _is_empty_envelope(found, ("data", noun)):
        raise ZofUnreadable("Zof returned data in an unexpected format (nothing in it).", TRY_AGAIN_HINT)
    return found  # type: ignore[return-value]  # checked in the loop; JSON keys are text


def _is_empty_envelope(found: object, wrappers: tuple[str, str]) -> bool:
    """Return whether a wrapper is null or an empty list, and no field beside it tells anything about the object.

    So is an object that has none of the fields.
    """
    fields = found if isinstance(found, dict) else {}
    is_empty = any(fields.get(name, ...) in (None, []) for name in wrappers)
    tells = any(fields.get(name) is not None for name in _OBJECT_FIELDS.difference(wrappers))
    return _ALL_FIELDS.isdisjoint(fields) or (is_empty and not tells)


def read_id(data: JsonObject, asked: str | None) -> str:
    """Return the id of an object, or ``asked`` unless that id can be asked for. Raises ZofUnreadable without either."""
    known = first_value(data, "id", as_identifier)
    if asked is not None and not is_askable_id(known or ""):
        return asked
    if known is None:
        raise ZofUnreadable("Zof returned an item without an ID.", TRY_AGAIN_HINT)
    return known
