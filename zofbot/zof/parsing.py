"""Parse runs, results and projects of Zof's; only the id of a result or run is required."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Literal, NamedTuple, TypedDict

from zofbot.domain.extra_fields import DEFAULT_EXTRA_FIELDS, ExtraFields, ExtraValue, FieldType, merge_extras
from zofbot.domain.model import CaseCounts, Project, Result, Run
from zofbot.zof.coerce import as_count, as_datetime, as_identifier, as_number, as_text
from zofbot.zof.extra_values import read_extra_values
from zofbot.zof.field_names import JsonObject, first_value, read_id, unwrap_object
from zofbot.zof.listing_parsing import parse_items, parse_page
from zofbot.zof.outcome_words import classify_outcome, status_word
from zofbot.zof.protocol import PAGE_SIZE, Page
from zofbot.zof.quarantine import is_quarantined

DurationUnit = Literal["ms", "s"]


class ReadingOptions(TypedDict):
    """Options of the functions that parse results and runs."""

    unit: DurationUnit
    extra_fields: ExtraFields


MAX_EMBEDDED_RESULTS = 10 * PAGE_SIZE
"""Limit of results read from a run; the results of a larger one are fetched by pages."""

_MAX_DURATION_SECONDS = 1e9  # seconds; thirty years


def parse_result(
    found: object,
    *,
    asked: str | None = None,
    request_id: str | None = None,
    unit: DurationUnit = "ms",
    extra_fields: ExtraFields = DEFAULT_EXTRA_FIELDS,
) -> Result:
    """Parse one result, bare or wrapped; ``asked`` replaces a missing id, ``unit`` is that of ``duration``.

    Raises ZofUnreadable if there is no object, or no id.
    """
    data = unwrap_object(found, "result")
    reading = _Reading(request_id, unit, extra_fields)
    return _build_result(data, read_id(data, asked), reading)


def parse_run(
    found: object,
    *,
    asked: str | None = None,
    request_id: str | None = None,
    unit: DurationUnit = "ms",
    extra_fields: ExtraFields = DEFAULT_EXTRA_FIELDS,
) -> Run:
    """Parse one run with its embedded results; otherwise like ``parse_result``."""
    data = unwrap_object(found, "run")
    return _build_run(data, read_id(data, asked), _Reading(request_id, unit, extra_fields))


def parse_results_page(
    found: object,
    *,
    request_id: str | None = None,
    unit: DurationUnit = "ms",
    extra_fields: ExtraFields = DEFAULT_EXTRA_FIELDS,
) -> Page[Result]:
    """Parse one page of results. Raises ZofUnreadable if it holds no list."""
    return parse_page(found, partial(_build_result, reading=_Reading(request_id, unit, extra_fields)), request_id)


def parse_runs_page(
    found: object,
    *,
    request_id: str | None = None,
    unit: DurationUnit = "ms",
    extra_fields: ExtraFields = DEFAULT_EXTRA_FIELDS,
) -> Page[Run]:
    """Parse one page of runs. Raises ZofUnreadable if it holds no list.

    Runs beyond those asked for come without their embedded results, which limits the work for one reply.
    """
    build = partial(_build_run, reading=_Reading(request_id, unit, extra_fields))
    return parse_page(found, build, request_id, partial(build, embedded=False))


def parse_projects_page(found: object, *, request_id: str | None = None) -> Page[Project]:
    """Parse one page of projects. Raises ZofUnreadable if it holds no list."""
    return parse_page(
        found, lambda data, known: Project(id=known, name=first_value(data, "title", as_text)), request_id
    )


class _Reading(NamedTuple):
    """What applies to all objects of one reply."""

    request_id: str | None
    unit: DurationUnit
    extra_fields: ExtraFields
    projects: tuple[str, ...] = ()
    """Name and id of the project of the run that the objects are in."""


def _shared_fields(data: JsonObject, reading: _Reading) -> dict[str, object]:
    status = status_word(data)
    started, ended = first_value(data, "started", as_datetime), first_value(data, "ended", as_datetime)
    return {
        "status": status,
        "outcome": classify_outcome(status),
        "title": first_value(data, "title", as_text),
        "project_id": first_value(data, "project_id", as_identifier),
        "project_name": first_value(data, "project_name", as_text),
        "environment": first_value(data, "environment", as_text),
        "duration": _read_duration(data, reading.unit, started, ended),
        "started": started,
        "ended": ended,
        "created": first_value(data, "created", as_datetime),
        "url": first_value(data, "url", as_text),
        "request_id": reading.request_id,
        "extras": read_extra_values(data, reading.extra_fields),
    }


def _read_duration(
    data: JsonObject, unit: DurationUnit, started: datetime | None, ended: datetime | None
) -> float | None:
    for meaning, divisor in (("milliseconds", 1000), ("seconds", 1), ("duration", 1000 if unit == "ms" else 1)):
        known = first_value(data, meaning, as_number)
        if known is not None and known / divisor <= _MAX_DURATION_SECONDS:
            return known / divisor
    return (ended - started).total_seconds() if started and ended and started <= ended else None


def _build_result(data: JsonObject, known_id: str, reading: _Reading, within: str | None = None) -> Result:
    fields = _shared_fields(data, reading)
    case_id = first_value(data, "case_id", as_identifier)
    failure = first_value(data, "failure", as_text)
    if failure is None and classify_outcome(status_word(data)).is_bad:
        failure = first_value(data, "summary", as_text)
    fields["title"] = fields["title"] or case_id
    fields["extras"] = _with_owners(fields, reading)
    return Result.model_validate(
        fields
        | {
            "id": known_id,
            "run_id": first_value(data, "run_id", as_identifier) or within,
            "case_id": case_id,
            "failure": failure,
            "logs": first_value(data, "logs", as_text),
            "severity": first_value(data, "severity", as_text),
            "attempt": _attempt_number(data),
            "quarantined": is_quarantined(data),
        }
    )


def _attempt_number(data: JsonObject) -> int | None:
    """Return the attempt's number: a number, the length of a list of attempts, or retries plus one."""
    number = first_value(data, "attempt", _attempt_count)
    retries = first_value(data, "retry", _attempt_count)
    return number or (retries + 1 if retries else None)


def _attempt_count(value: object) -> int | None:
    return as_count(len(value) if isinstance(value, list) else value)


def _with_owners(fields: JsonObject, reading: _Reading) -> tuple[ExtraValue, ...]:
    """Return a result's extra fields, with the owners from the owners file, if it has some, instead of Zof's."""
    extras: tuple[ExtraValue, ...] = fields["extras"]  # type: ignore[assignment]
    projects = _project_names(fields) or reading.projects
    owners = reading.extra_fields.find_owners(projects, str(fields["title"] or ""))
    return merge_extras((ExtraValue("owner", FieldType.TEXT, owners),), extras) if owners else extras


def _project_names(fields: JsonObject) -> tuple[str, ...]:
    return tuple(str(fields[name]) for name in ("project_name", "project_id") if fields[name])


def _build_run(data: JsonObject, known_id: str, reading: _Reading, *, embedded: bool = True) -> Run:
    counts = CaseCounts(
        total=first_value(data, "total", as_count),
        passed=first_value(data, "passed", as_count),
        failed=first_value(data, "failed", as_count),
        error=first_value(data, "errored", as_count),
        skipped=first_value(data, "skipped", as_count),
    )
    listed = first_value(data, "results", _as_object_list) if embedded else None
    results = None
    shared = _shared_fields(data, reading)
    reading = reading._replace(projects=_project_names(shared))
    if listed is not None and len(listed) <= MAX_EMBEDDED_RESULTS:
        read, skipped = parse_items(listed, partial(_build_result, reading=reading, within=known_id))
        results = read if read or not skipped else None  # results without ids: fetch them by pages instead
    return Run.model_validate(
        shared
        | {
            "id": known_id,
            "counts": counts,
            "results": results,
            "schedule_id": first_value(data, "schedule_id", as_identifier),
            "schedule_name": first_value(data, "schedule_name", as_text),
        }
    )


def _as_object_list(value: object) -> list[object] | None:
    """Return a list that is empty or contains an object; a list of bare ids has no outcomes."""
    return value if isinstance(value, list) and (not value or any(isinstance(item, dict) for item in value)) else None
