"""Parse schedules and webhook endpoints, as tolerantly as runs and results."""

from __future__ import annotations

from pydantic import SecretStr

from zofbot.domain.model import Endpoint, Schedule
from zofbot.zof.coerce import as_datetime, as_text
from zofbot.zof.parsing import JsonObject, _first_value, _parse_page, _read_id, _unwrap_object
from zofbot.zof.protocol import Page

_PAUSED_STATES = frozenset({"paused", "disabled", "inactive", "suspended", "off"})


def parse_schedules_page(found: object, *, request_id: str | None = None) -> Page[Schedule]:
    """Parse one page of schedules. Raises ZofUnreadable if it holds no list."""
    return _parse_page(found, _build_schedule, request_id)


def parse_endpoints_page(found: object, *, request_id: str | None = None) -> Page[Endpoint]:
    """Parse one page of webhook endpoints. Raises ZofUnreadable if it holds no list."""
    return _parse_page(found, _build_endpoint, request_id)


def parse_endpoint(found: object) -> Endpoint:
    """Parse the reply to creating a webhook endpoint, bare or wrapped. Raises ZofUnreadable if it has no id."""
    data = _unwrap_object(found, "webhook")
    return _build_endpoint(data, _read_id(data, None))


def _build_schedule(data: JsonObject, known_id: str) -> Schedule:
    state = (_first_value(data, "state", as_text) or "").casefold()
    return Schedule(
        id=known_id,
        name=_first_value(data, "title", as_text),
        cron=_first_value(data, "cron", as_text),
        next=_first_value(data, "next", as_datetime),
        paused=state in _PAUSED_STATES
        or _first_value(data, "paused", _as_flag) is True
        or _first_value(data, "enabled", _as_flag) is False,
        project=_first_value(data, "target_project", as_text),
        environment=_first_value(data, "target_environment", as_text),
    )


def _build_endpoint(data: JsonObject, known_id: str) -> Endpoint:
    events = _first_value(data, "events", _as_text_list)
    enabled = _first_value(data, "enabled", _as_flag)
    status = _first_value(data, "state", as_text) or {True: "enabled", False: "disabled"}.get(enabled)  # type: ignore[arg-type]  # None has no entry
    secret = _first_value(data, "secret", as_text)
    return Endpoint(
        id=known_id,
        url=_first_value(data, "endpoint", as_text),
        events=tuple(events or ()),
        status=status,
        secret=SecretStr(secret) if secret else None,
    )


def _as_flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _as_text_list(value: object) -> list[str] | None:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None
