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

from zofbot.errors import ZofUnreadable
from zofbot.model import Counts, Outcome, Project, Result, Run
from zofbot.zof.protocol import ASK_AGAIN, PAGE_SIZE, Page
from zofbot.zof.values import count, cursor, identifier, moment, number, text, value_at

T = TypeVar("T")
Unit = Literal["ms", "s"]
Json = dict[str, object]

NAMES: dict[str, tuple[str, ...]] = {
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

_PATHS = {meaning: tuple(tuple(name.split(".")) for name in names) for meaning, names in NAMES.items()}

_OUTCOMES = {outcome.value: outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN} | {
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
"""Only the values of ``Outcome`` and ``cancelled`` are Zof's published words; the others are believed possible."""

_LIFECYCLE = re.compile(r"(?:completed|complete|finished|ended|done|terminated)_(?:with_|as_)?(?=.)")
"""What says only that something has ended, in front of a word that says how."""

MAX_EMBEDDED = 10 * PAGE_SIZE
"""Results that are read as part of a run; of a run that brings more, its results can be asked for by pages."""

_LONGEST_DURATION = 1e9  # seconds; thirty years


def outcome_of(word: str | None) -> Outcome:
    """Sort a status word of Zof's, in any case, with spaces or hyphens; UNKNOWN for a new or missing word.

    A word such as ``completed_failed`` is sorted by how it ended.
    """
    plain = _LIFECYCLE.sub("", re.sub(r"[\s_-]+", "_", (word or "").strip().casefold()), count=1)
    return _OUTCOMES.get(plain, Outcome.UNKNOWN)


def result(found: object, *, asked: str | None = None, request_id: str | None = None, unit: Unit = "ms") -> Result:
    """Read one result, bare or wrapped; ``asked`` stands in for a missing id, ``unit`` is a bare duration's.

    Raises ZofUnreadable when there is no object, or no id.
    """
    thing = _unwrapped(found, "result")
    return _result(thing, _id_of(thing, asked), request_id=request_id, unit=unit)


def run(found: object, *, asked: str | None = None, request_id: str | None = None, unit: Unit = "ms") -> Run:
    """Read one run, bare or wrapped, with the results it brings along. As for ``result`` otherwise."""
    thing = _unwrapped(found, "run")
    return _run(thing, _id_of(thing, asked), request_id=request_id, unit=unit)


def results_page(found: object, *, request_id: str | None = None, unit: Unit = "ms") -> Page[Result]:
    """Read one page of results. Raises ZofUnreadable when it holds no list."""
    return _page(found, partial(_result, request_id=request_id, unit=unit), request_id)


def runs_page(found: object, *, request_id: str | None = None, unit: Unit = "ms") -> Page[Run]:
    """Read one page of runs. Raises ZofUnreadable when it holds no list."""
    return _page(found, partial(_run, request_id=request_id, unit=unit), request_id)


def projects_page(found: object, *, request_id: str | None = None) -> Page[Project]:
    """Read one page of projects. Raises ZofUnreadable when it holds no list."""
    return _page(found, lambda thing, known: Project(id=known, name=_first(thing, "title", text)), request_id)


def _first(thing: Json, meaning: str, kind: Callable[[object], T | None]) -> T | None:
    for path in _PATHS[meaning]:
        if (value := kind(value_at(thing, path))) is not None:
            return value
    return None


def _unwrapped(found: object, noun: str) -> Json:
    for _ in range(3):
        if not isinstance(found, dict):
            raise ZofUnreadable("Zof's answer holds no object where one was expected.", ASK_AGAIN)
        inner = next((found[name] for name in ("data", noun) if isinstance(found.get(name), dict)), None)
        if inner is None or identifier(found.get("id")):
            break
        found = inner
    return found  # type: ignore[return-value]  # an object by the first line of the loop; json gives it text keys


def _id_of(thing: Json, asked: str | None) -> str:
    known = _first(thing, "id", identifier) or asked
    if known is None:
        raise ZofUnreadable("Zof's answer has no id.", ASK_AGAIN)
    return known


def _seen(thing: Json, unit: Unit) -> dict[str, object]:
    status = _status(thing)
    started, ended = _first(thing, "started", moment), _first(thing, "ended", moment)
    return {
        "status": status,
        "outcome": outcome_of(status),
        "title": _first(thing, "title", text),
        "project_id": _first(thing, "project_id", identifier),
        "project_name": _first(thing, "project_name", text),
        "environment": _first(thing, "environment", text),
        "duration": _duration(thing, unit, started, ended),
        "started": started,
        "ended": ended,
        "created": _first(thing, "created", moment),
        "url": _first(thing, "url", text),
    }


def _status(thing: Json) -> str | None:
    """The first word that says how it stands, else the first there is: one may only say that it has ended."""
    first = None
    for path in _PATHS["status"]:
        word = text(value_at(thing, path))
        if outcome_of(word) is not Outcome.UNKNOWN:
            return word
        first = word if first is None else first
    return first


def _duration(thing: Json, unit: Unit, started: datetime | None, ended: datetime | None) -> float | None:
    for meaning, divisor in (("milliseconds", 1000), ("seconds", 1), ("duration", 1000 if unit == "ms" else 1)):
        known = _first(thing, meaning, number)
        if known is not None and known / divisor <= _LONGEST_DURATION:
            return known / divisor
    return (ended - started).total_seconds() if started and ended and started <= ended else None


def _result(thing: Json, known_id: str, *, request_id: str | None, unit: Unit, within: str | None = None) -> Result:
    seen = _seen(thing, unit)
    case_id = _first(thing, "case_id", identifier)
    failure = _first(thing, "failure", text)
    if failure is None and outcome_of(_status(thing)).bad:
        failure = _first(thing, "summary", text)
    seen["title"] = seen["title"] or case_id
    return Result.model_validate(
        seen
        | {
            "id": known_id,
            "request_id": request_id,
            "run_id": _first(thing, "run_id", identifier) or within,
            "case_id": case_id,
            "failure": failure,
            "logs": _first(thing, "logs", text),
            "severity": _first(thing, "severity", text),
            "attempt": _attempt(thing),
        }
    )


def _attempt(thing: Json) -> int | None:
    """The number of the attempt, or of attempts where Zof lists them inside one result; retries come after a first."""
    number = _first(thing, "attempt", _tries)
    retries = _first(thing, "retry", _tries)
    return number or (retries + 1 if retries else None)


def _tries(value: object) -> int | None:
    return count(len(value) if isinstance(value, list) else value)


def _run(thing: Json, known_id: str, *, request_id: str | None, unit: Unit) -> Run:
    counts = Counts(
        total=_first(thing, "total", count),
        passed=_first(thing, "passed", count),
        failed=_first(thing, "failed", count),
        error=_first(thing, "errored", count),
        skipped=_first(thing, "skipped", count),
    )
    listed = _first(thing, "results", _objects)
    results = None
    if listed is not None and len(listed) <= MAX_EMBEDDED:
        read, skipped = _items(
            listed, partial(_result, request_id=request_id, unit=unit, within=known_id), MAX_EMBEDDED
        )
        results = read if read or not skipped else None  # what has no id can be asked for as results of this run
    return Run.model_validate(
        _seen(thing, unit)
        | {
            "id": known_id,
            "request_id": request_id,
            "counts": counts,
            "results": results,
            "schedule_id": _first(thing, "schedule_id", identifier),
            "schedule_name": _first(thing, "schedule_name", text),
        }
    )


def _objects(value: object) -> list[object] | None:
    """A list that is empty or has an object in it; a list of bare ids tells of no outcome."""
    return value if isinstance(value, list) and (not value or any(isinstance(item, dict) for item in value)) else None


def _items(listed: list[object], read: Callable[[Json, str], T], most: int) -> tuple[tuple[T, ...], int]:
    """Read what can be read of the first ``most``, and count the rest."""
    things = [item if value_at(item, ("id",)) is not None else value_at(item, ("data",)) for item in listed[:most]]
    known = [
        read(thing, known_id)
        for thing in things
        if isinstance(thing, dict) and (known_id := identifier(thing.get("id")))
    ]
    return tuple(known), len(listed) - len(known)


def _page(found: object, read: Callable[[Json, str], T], request_id: str | None) -> Page[T]:
    envelope, listed = _listing(found)
    items, skipped = _items(listed, read, PAGE_SIZE)
    onward = cursor(envelope.get("next_cursor"))
    said = envelope.get("has_more")
    return Page(items, onward, request_id, said if isinstance(said, bool) else onward is not None, skipped)


def _onward(envelope: object) -> Json:
    """What an envelope says of the pages that follow; a wrapped list may have it outside."""
    said = envelope if isinstance(envelope, dict) else {}
    return {name: said[name] for name in ("has_more", "next_cursor") if said.get(name) is not None}


def _listing(found: object) -> tuple[Json, list[object]]:
    """Find the list and what says how it goes on; a null where the list should be is some languages' empty one."""
    if isinstance(found, list):
        return {}, found
    for envelope in (found, value_at(found, ("data",))):
        if not isinstance(envelope, dict):
            continue
        for name in NAMES["listing"]:
            if isinstance(listed := envelope.get(name), list):
                return {**_onward(found), **_onward(envelope)}, listed
        if any(envelope.get(name, ...) is None for name in NAMES["listing"]):
            return envelope, []
    raise ZofUnreadable("Zof's answer holds no list where one was expected.", ASK_AGAIN)
