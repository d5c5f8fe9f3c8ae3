"""Zof's objects read tolerantly into ours: Zof publishes few field names, so each meaning has several.

For every meaning the first name with a usable value wins; a value of a wrong type counts as missing, and a missing
thing is None. Only a result's or run's id is required.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Literal, TypeVar

from zofbot.domain.errors import ZofUnreadable
from zofbot.domain.model import CaseCounts, Outcome, Project, Result, Run
from zofbot.zof.coerce import as_count, as_cursor, as_datetime, as_identifier, as_number, as_text, value_at
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
"""The names accepted for each meaning, in order; a dot steps into an object."""

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
"""Only the values of ``Outcome`` and ``cancelled`` are Zof's published words; the others are believed possible.
"""

_LIFECYCLE_PREFIX = re.compile(r"(?:completed|complete|finished|ended|done|terminated)_(?:with_|as_)?(?=.)")
"""What says only that something has ended, in front of a word that says how."""

MAX_EMBEDDED_RESULTS = 10 * PAGE_SIZE
"""Results that are read as part of a run; of a run that brings more, its results can be asked for by pages."""

_MAX_DURATION_SECONDS = 1e9  # seconds; thirty years


def classify_outcome(word: str | None) -> Outcome:
    """Sort a status word of Zof's, in any case, with spaces or hyphens; UNKNOWN for a new or missing word.

    A word such as ``completed_failed`` is sorted by how it ended.
    """
    plain = _LIFECYCLE_PREFIX.sub("", re.sub(r"[\s_-]+", "_", (word or "").strip().casefold()), count=1)
    return _OUTCOME_BY_WORD.get(plain, Outcome.UNKNOWN)


def parse_result(
    found: object, *, asked: str | None = None, request_id: str | None = None, unit: DurationUnit = "ms"
) -> Result:
    """Read one result, bare or wrapped; ``asked`` stands in for a missing id, ``unit`` is a bare duration's.

    Raises ZofUnreadable when there is no object, or no id.
    """
    thing = _unwrap_object(found, "result")
    return _build_result(thing, _read_id(thing, asked), request_id=request_id, unit=unit)


def parse_run(
    found: object, *, asked: str | None = None, request_id: str | None = None, unit: DurationUnit = "ms"
) -> Run:
    """Read one run, bare or wrapped, with the results it brings along. As for ``result`` otherwise."""
    thing = _unwrap_object(found, "run")
    return _build_run(thing, _read_id(thing, asked), request_id=request_id, unit=unit)


def parse_results_page(found: object, *, request_id: str | None = None, unit: DurationUnit = "ms") -> Page[Result]:
    """Read one page of results. Raises ZofUnreadable when it holds no list."""
    return _parse_page(found, partial(_build_result, request_id=request_id, unit=unit), request_id)


def parse_runs_page(found: object, *, request_id: str | None = None, unit: DurationUnit = "ms") -> Page[Run]:
    """Read one page of runs. Raises ZofUnreadable when it holds no list."""
    return _parse_page(found, partial(_build_run, request_id=request_id, unit=unit), request_id)


def parse_projects_page(found: object, *, request_id: str | None = None) -> Page[Project]:
    """Read one page of projects. Raises ZofUnreadable when it holds no list."""
    return _parse_page(
        found, lambda thing, known: Project(id=known, name=_first_value(thing, "title", as_text)), request_id
    )


def _first_value(thing: JsonObject, meaning: str, kind: Callable[[object], T | None]) -> T | None:
    for path in _FIELD_PATHS[meaning]:
        if (value := kind(value_at(thing, path))) is not None:
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
    return found  # type: ignore[return-value]  # an object by the first line of the loop; json gives it text keys


def _read_id(thing: JsonObject, asked: str | None) -> str:
    known = _first_value(thing, "id", as_identifier) or asked
    if known is None:
        raise ZofUnreadable("Zof's answer has no id.", TRY_AGAIN_HINT)
    return known


def _shared_fields(thing: JsonObject, unit: DurationUnit) -> dict[str, object]:
    status = _status_word(thing)
    started, ended = _first_value(thing, "started", as_datetime), _first_value(thing, "ended", as_datetime)
    return {
        "status": status,
        "outcome": classify_outcome(status),
        "title": _first_value(thing, "title", as_text),
        "project_id": _first_value(thing, "project_id", as_identifier),
        "project_name": _first_value(thing, "project_name", as_text),
        "environment": _first_value(thing, "environment", as_text),
        "duration": _read_duration(thing, unit, started, ended),
        "started": started,
        "ended": ended,
        "created": _first_value(thing, "created", as_datetime),
        "url": _first_value(thing, "url", as_text),
    }


def _status_word(thing: JsonObject) -> str | None:
    """The first word that says how it stands, else the first there is: one may only say that it has ended."""
    first = None
    for path in _FIELD_PATHS["status"]:
        word = as_text(value_at(thing, path))
        if classify_outcome(word) is not Outcome.UNKNOWN:
            return word
        first = word if first is None else first
    return first


def _read_duration(
    thing: JsonObject, unit: DurationUnit, started: datetime | None, ended: datetime | None
) -> float | None:
    for meaning, divisor in (("milliseconds", 1000), ("seconds", 1), ("duration", 1000 if unit == "ms" else 1)):
        known = _first_value(thing, meaning, as_number)
        if known is not None and known / divisor <= _MAX_DURATION_SECONDS:
            return known / divisor
    return (ended - started).total_seconds() if started and ended and started <= ended else None


def _build_result(
    thing: JsonObject, known_id: str, *, request_id: str | None, unit: DurationUnit, within: str | None = None
) -> Result:
    seen = _shared_fields(thing, unit)
    case_id = _first_value(thing, "case_id", as_identifier)
    failure = _first_value(thing, "failure", as_text)
    if failure is None and classify_outcome(_status_word(thing)).is_bad:
        failure = _first_value(thing, "summary", as_text)
    seen["title"] = seen["title"] or case_id
    return Result.model_validate(
        seen
        | {
            "id": known_id,
            "request_id": request_id,
            "run_id": _first_value(thing, "run_id", as_identifier) or within,
            "case_id": case_id,
            "failure": failure,
            "logs": _first_value(thing, "logs", as_text),
            "severity": _first_value(thing, "severity", as_text),
            "attempt": _attempt_number(thing),
        }
    )


def _attempt_number(thing: JsonObject) -> int | None:
    """The number of the attempt, or of attempts where Zof lists them inside one result; retries come after a first."""
    number = _first_value(thing, "attempt", _attempt_count)
    retries = _first_value(thing, "retry", _attempt_count)
    return number or (retries + 1 if retries else None)


def _attempt_count(value: object) -> int | None:
    return as_count(len(value) if isinstance(value, list) else value)


def _build_run(thing: JsonObject, known_id: str, *, request_id: str | None, unit: DurationUnit) -> Run:
    counts = CaseCounts(
        total=_first_value(thing, "total", as_count),
        passed=_first_value(thing, "passed", as_count),
        failed=_first_value(thing, "failed", as_count),
        error=_first_value(thing, "errored", as_count),
        skipped=_first_value(thing, "skipped", as_count),
    )
    listed = _first_value(thing, "results", _as_object_list)
    results = None
    if listed is not None and len(listed) <= MAX_EMBEDDED_RESULTS:
        read, skipped = _parse_items(
            listed, partial(_build_result, request_id=request_id, unit=unit, within=known_id), MAX_EMBEDDED_RESULTS
        )
        results = read if read or not skipped else None  # what has no id can be asked for as results of this run
    return Run.model_validate(
        _shared_fields(thing, unit)
        | {
            "id": known_id,
            "request_id": request_id,
            "counts": counts,
            "results": results,
            "schedule_id": _first_value(thing, "schedule_id", as_identifier),
            "schedule_name": _first_value(thing, "schedule_name", as_text),
        }
    )


def _as_object_list(value: object) -> list[object] | None:
    """A list that is empty or has an object in it; a list of bare ids tells of no outcome."""
    return value if isinstance(value, list) and (not value or any(isinstance(item, dict) for item in value)) else None


def _parse_items(listed: list[object], read: Callable[[JsonObject, str], T], most: int) -> tuple[tuple[T, ...], int]:
    """Read what can be read of the first ``most``, and count the rest."""
    things = [item if value_at(item, ("id",)) is not None else value_at(item, ("data",)) for item in listed[:most]]
    known = [
        read(thing, known_id)
        for thing in things
        if isinstance(thing, dict) and (known_id := as_identifier(thing.get("id")))
    ]
    return tuple(known), len(listed) - len(known)


def _parse_page(found: object, read: Callable[[JsonObject, str], T], request_id: str | None) -> Page[T]:
    envelope, listed = _find_list(found)
    items, skipped = _parse_items(listed, read, PAGE_SIZE)
    onward = as_cursor(envelope.get("next_cursor"))
    said = envelope.get("has_more")
    return Page(items, onward, request_id, said if isinstance(said, bool) else onward is not None, skipped)


def _paging_fields(envelope: object) -> JsonObject:
    """What an envelope says of the pages that follow; a wrapped list may have it outside."""
    said = envelope if isinstance(envelope, dict) else {}
    return {name: said[name] for name in ("has_more", "next_cursor") if said.get(name) is not None}


def _find_list(found: object) -> tuple[JsonObject, list[object]]:
    """Find the list and what says how it goes on; a null where the list should be is some languages' empty one."""
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
