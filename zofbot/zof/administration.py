"""What an organization has set up at Zof, read as tolerantly as its runs: schedules and webhook endpoints."""

from __future__ import annotations

from pydantic import SecretStr

from zofbot.domain.model import Endpoint, Schedule
from zofbot.zof.coerce import as_datetime, as_text
from zofbot.zof.parsing import JsonObject, _first_value, _parse_page, _read_id, _unwrap_object
from zofbot.zof.protocol import Page

_PAUSED_STATES = frozenset({"paused", "disabled", "inactive", "suspended", "off"})


def parse_schedules_page(found: object, *, request_id: str | None = None) -> Page[Schedule]:
    """Read one page of schedules. Raises ZofUnreadable when it holds no list."""
    return _parse_page(found, _build_schedule, request_id)


def parse_endpoints_page(found: object, *, request_id: str | None = None) -> Page[Endpoint]:
    """Read one page of webhook endpoints. Raises ZofUnreadable when it holds no list."""
    return _parse_page(found, _build_endpoint, request_id)


def parse_endpoint(found: object) -> Endpoint:
    """Read the webhook endpoint that Zof has made, bare or wrapped. Raises ZofUnreadable when it has no id."""
    thing = _unwrap_object(found, "webhook")
    return _build_endpoint(thing, _read_id(thing, None))


def _build_schedule(thing: JsonObject, known_id: str) -> Schedule:
    state = (_first_value(thing, "state", as_text) or "").casefold()
    return Schedule(
        id=known_id,
        name=_first_value(thing, "title", as_text),
        cron=_first_value(thing, "cron", as_text),
        next=_first_value(thing, "next", as_datetime),
        paused=state in _PAUSED_STATES
        or _first_value(thing, "paused", _as_flag) is True
        or _first_value(thing, "enabled", _as_flag) is False,
        project=_first_value(thing, "target_project", as_text),
        environment=_first_value(thing, "target_environment", as_text),
    )


def _build_endpoint(thing: JsonObject, known_id: str) -> Endpoint:
    events = _first_value(thing, "events", _as_words)
    enabled = _first_value(thing, "enabled", _as_flag)
    status = _first_value(thing, "state", as_text) or {True: "enabled", False: "disabled"}.get(enabled)  # type: ignore[arg-type]  # None has no entry
    secret = _first_value(thing, "secret", as_text)
    return Endpoint(
        id=known_id,
        url=_first_value(thing, "endpoint", as_text),
        events=tuple(events or ()),
        status=status,
        secret=SecretStr(secret) if secret else None,
    )


def _as_flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _as_words(value: object) -> list[str] | None:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else None
