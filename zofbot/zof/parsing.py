"""Parse Zof's objects tolerantly: Zof documents few field names, so several are accepted for each meaning.

For every meaning the first name with a valid value is used. A value of a wrong type counts as missing, and missing
values are None. Only the id of a result or run is required.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Literal, TypeVar

from zofbot.domain.errors import ZofUnreadable
from zofbot.domain.model import CaseCounts, Outcome, Project, Result, Run
from zofbot.zof.coerce import (
    as_count,
    as_cursor,
    as_datetime,
    as_identifier,
    as_number,
    as_quarantine,
    as_text,
    value_at,
)
from zofbot.zof.protocol import PAGE_SIZE, TRY_AGAIN_HINT, Page

T = TypeVar("T")
DurationUnit = Literal["ms", "s"]
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

_FIELD_PATHS = {meaning: tuple(tuple(name.split(".")) for name in names) for meaning, names in FIELD_NAMES.items()}

_OUTCOME_BY_WORD = {outcome.value: outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN} | {
    "cancelled": Outcome.CANCELED,
    "pending": Outcome.QUEUED,
    "in_progress": Outcome.RUNNING,
    **dict.fromkeys(
        ("errored", "errors", "blocked", "broken", "crashed", "timed_out", "timedout", "timeout", "internal_error",
         "infrastructure_error", "platform_error", "setup_error", "system_error"),
        Outcome.ERROR,
    ),
    **dict.fromkeys(("failure", "failures"), Outcome.FAILED),
}  # fmt: skip
"""Only the values of ``Outcome`` and ``cancelled`` are documented by Zof; the others are believed possible."""

_LIFECYCLE_PREFIX = re.compile(r"(?:completed|complete|finished|ended|done|terminated)_(?:with_|as_)?(?=.)")
"""A prefix that says only that something ended, before the word that says how."""

MAX_EMBEDDED_RESULTS = 10 * PAGE_SIZE
"""Limit of results read from a run; the results of a larger one are fetched by pages."""

_MAX_DURATION_SECONDS = 1e9  # seconds; thirty years


def classify_outcome(word: str | None) -> Outcome:
    """Map one of Zof's status words, in any case, with spaces or hyphens; UNKNOWN if new or missing.

    A word such as ``completed_failed`` counts by its ending.
    """
    plain = _LIFECYCLE_PREFIX.sub("", re.sub(r"[\s_-]+", "_", (word or "").strip().casefold()), count=1)
    return _OUTCOME_BY_WORD.get(plain, Outcome.UNKNOWN)


def parse_result(
    found: object, *, asked: str | None = None, request_id: str | None = None, unit: DurationUnit = "ms"
) -> Result:
    """Parse one result, bare or wrapped; ``asked`` replaces a missing id, ``unit`` is that of ``duration``.

    Raises ZofUnreadable if there is no object, or no id.
    """
    data = _unwrap_object(found, "result")
    return _build_result(data, _read_id(data, asked), request_id=request_id, unit=unit)


def parse_run(
    found: object, *, asked: str | None = None, request_id: str | None = None, unit: DurationUnit = "ms"
) -> Run:
    """Parse one run with its embedded results; otherwise like ``parse_result``."""
    data = _unwrap_object(found, "run")
    return _build_run(data, _read_id(data, asked), request_id=request_id, unit=unit)


def parse_results_page(found: object, *, request_id: str | None = None, unit: DurationUnit = "ms") -> Page[Result]:
    """Parse one page of results. Raises ZofUnreadable if it holds no list."""
    return _parse_page(found, partial(_build_result, request_id=request_id, unit=unit), request_id)


def parse_runs_page(found: object, *, request_id: str | None = None, unit: DurationUnit = "ms") -> Page[Run]:
    """Parse one page of runs. Raises ZofUnreadable if it holds no list."""
    return _parse_page(found, partial(_build_run, request_id=request_id, unit=unit), request_id)


def parse_projects_page(found: object, *, request_id: str | None = None) -> Page[Project]:
    """Parse one page of projects. Raises ZofUnreadable if it holds no list."""
    return _parse_page(
        found, lambda data, known: Project(id=known, name=_first_value(data, "title", as_text)), request_id
    )


def _first_value(data: JsonObject, meaning: str, kind: Callable[[object], T | None]) -> T | None:
    for path in _FIELD_PATHS[meaning]:
        if (value := kind(value_at(data, path))) is not None:
            return value
    return None


def _unwrap_object(found: object, noun: str) -> JsonObject:
    for _ in range(3):
        if not isinstance(found, dict):
            raise ZofUnreadable("Zof's answer holds no object where one was expected.", TRY_AGAIN_HINT)
        inner = next((found[name] for name in ("data", noun) if isinstance(found.get(name), dict)), None)
        if inner is None or as_identifier(found.get("id")):
            break
        found = inner
    return found  # type: ignore[return-value]  # checked in the loop; JSON keys are text


def _read_id(data: JsonObject, asked: str | None) -> str:
    known = _first_value(data, "id", as_identifier) or asked
    if known is None:
        raise ZofUnreadable("Zof's answer has no id.", TRY_AGAIN_HINT)
    return known


def _shared_fields(data: JsonObject, unit: DurationUnit) -> dict[str, object]:
    status = _status_word(data)
    started, ended = _first_value(data, "started", as_datetime), _first_value(data, "ended", as_datetime)
    return {
        "status": status,
        "outcome": classify_outcome(status),
        "title": _first_value(data, "title", as_text),
        "project_id": _first_value(data, "project_id", as_identifier),
        "project_name": _first_value(data, "project_name", as_text),
        "environment": _first_value(data, "environment", as_text),
        "duration": _read_duration(data, unit, started, ended),
        "started": started,
        "ended": ended,
        "created": _first_value(data, "created", as_datetime),
        "url": _first_value(data, "url", as_text),
    }


def _status_word(data: JsonObject) -> str | None:
    """Return the first known status word, else the first word: one field may only say that the run ended."""
    first = None
    for path in _FIELD_PATHS["status"]:
        word = as_text(value_at(data, path))
        if classify_outcome(word) is not Outcome.UNKNOWN:
            return word
        first = word if first is None else first
    return first


def _read_duration(
    data: JsonObject, unit: DurationUnit, started: datetime | None, ended: datetime | None
) -> float | None:
    for meaning, divisor in (("milliseconds", 1000), ("seconds", 1), ("duration", 1000 if unit == "ms" else 1)):
        known = _first_value(data, meaning, as_number)
        if known is not None and known / divisor <= _MAX_DURATION_SECONDS:
            return known / divisor
    return (ended - started).total_seconds() if started and ended and started <= ended else None


def _build_result(
    data: JsonObject, known_id: str, *, request_id: str | None, unit: DurationUnit, within: str | None = None
) -> Result:
    fields = _shared_fields(data, unit)
    case_id = _first_value(data, "case_id", as_identifier)
    failure = _first_value(data, "failure", as_text)
    if failure is None and classify_outcome(_status_word(data)).is_bad:
        failure = _first_value(data, "summary", as_text)
    fields["title"] = fields["title"] or case_id
    return Result.model_validate(
        fields
        | {
            "id": known_id,
            "request_id": request_id,
            "run_id": _first_value(data, "run_id", as_identifier) or within,
            "case_id": case_id,
            "failure": failure,
            "logs": _first_value(data, "logs", as_text),
            "severity": _first_value(data, "severity", as_text),
            "attempt": _attempt_number(data),
            "quarantined": _is_quarantined(data),
        }
    )


def _is_quarantined(data: JsonObject) -> bool:
    """Whether the result or its case is marked: by a flag, a state, an object that is in force, or a tag."""
    marked = _first_value(data, "quarantined", as_quarantine)
    if marked is not None:
        return marked
    listed = (value_at(data, path) for path in _FIELD_PATHS["tags"])
    tags = (tag for tags in listed if isinstance(tags, list) for tag in tags)
    names = (as_text(tag.get("name") if isinstance(tag, dict) else tag) for tag in tags)
    return any(name.casefold() in ("quarantine", "quarantined") for name in names if name)


def _attempt_number(data: JsonObject) -> int | None:
    """Return the attempt's number: a number, the length of a list of attempts, or retries plus one."""
    number = _first_value(data, "attempt", _attempt_count)
    retries = _first_value(data, "retry", _attempt_count)
    return number or (retries + 1 if retries else None)


def _attempt_count(value: object) -> int | None:
    return as_count(len(value) if isinstance(value, list) else value)


def _build_run(data: JsonObject, known_id: str, *, request_id: str | None, unit: DurationUnit) -> Run:
    counts = CaseCounts(
        total=_first_value(data, "total", as_count),
        passed=_first_value(data, "passed", as_count),
        failed=_first_value(data, "failed", as_count),
        error=_first_value(data, "errored", as_count),
        skipped=_first_value(data, "skipped", as_count),
    )
    listed = _first_value(data, "results", _as_object_list)
    results = None
    if listed is not None and len(listed) <= MAX_EMBEDDED_RESULTS:
        read, skipped = _parse_items(
            listed, partial(_build_result, request_id=request_id, unit=unit, within=known_id), MAX_EMBEDDED_RESULTS
        )
        results = read if read or not skipped else None  # results without ids: fetch them by pages instead
    return Run.model_validate(
        _shared_fields(data, unit)
        | {
            "id": known_id,
            "request_id": request_id,
            "counts": counts,
            "results": results,
            "schedule_id": _first_value(data, "schedule_id", as_identifier),
            "schedule_name": _first_value(data, "schedule_name", as_text),
        }
    )


def _as_object_list(value: object) -> list[object] | None:
    """Return a list that is empty or contains an object; a list of bare ids has no outcomes."""
    return value if isinstance(value, list) and (not value or any(isinstance(item, dict) for item in value)) else None


def _parse_items(listed: list[object], read: Callable[[JsonObject, str], T], most: int) -> tuple[tuple[T, ...], int]:
    """Parse the first ``most`` items; returns those that are valid, and the number of others."""
    candidates = [item if value_at(item, ("id",)) is not None else value_at(item, ("data",)) for item in listed[:most]]
    parsed = [
        read(data, known_id)
        for data in candidates
        if isinstance(data, dict) and (known_id := as_identifier(data.get("id")))
    ]
    return tuple(parsed), len(listed) - len(parsed)


def _parse_page(found: object, read: Callable[[JsonObject, str], T], request_id: str | None) -> Page[T]:
    envelope, listed = _find_list(found)
    items, skipped = _parse_items(listed, read, PAGE_SIZE)
    cursor = as_cursor(envelope.get("next_cursor"))
    has_more = envelope.get("has_more")
    return Page(items, cursor, request_id, has_more if isinstance(has_more, bool) else cursor is not None, skipped)


def _paging_fields(envelope: object) -> JsonObject:
    """Return the pagination fields of an envelope."""
    fields = envelope if isinstance(envelope, dict) else {}
    return {name: fields[name] for name in ("has_more", "next_cursor") if fields.get(name) is not None}


def _find_list(found: object) -> tuple[JsonObject, list[object]]:
    """Return the pagination fields and the list of a reply; some languages write an empty list as null."""
    if isinstance(found, list):
        return {}, found
    for envelope in (found, value_at(found, ("data",))):
        if not isinstance(envelope, dict):
            continue
        for name in FIELD_NAMES["listing"]:
            if isinstance(listed := envelope.get(name), list):
                return {**_paging_fields(found), **_paging_fields(envelope)}, listed
        if any(envelope.get(name, ...) is None for name in FIELD_NAMES["listing"]):
            return envelope, []
    raise ZofUnreadable("Zof's answer holds no list where one was expected.", TRY_AGAIN_HINT)
