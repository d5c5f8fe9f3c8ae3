"""Parse schedules, as tolerantly as runs and results."""

from __future__ import annotations

from zofbot.domain.model import Schedule
from zofbot.zof.coerce import as_datetime, as_flag, as_text
from zofbot.zof.field_names import JsonObject, first_value
from zofbot.zof.listing_parsing import parse_page
from zofbot.zof.protocol import Page

_PAUSED_STATES = frozenset({"paused", "disabled", "inactive", "suspended", "off"})


def parse_schedules_page(found: object, *, request_id: str | None = None) -> Page[Schedule]:
    """Parse one page of schedules. Raises ZofUnreadable if it holds no list."""
    return parse_page(found, _build_schedule, request_id)


def _build_schedule(data: JsonObject, known_id: str) -> Schedule:
    state = (first_value(data, "state", as_text) or "").casefold()
    return Schedule(
        id=known_id,
        name=first_value(data, "title", as_text),
        cron=first_value(data, "cron", as_text),
        next=first_value(data, "next", as_datetime),
        paused=state in _PAUSED_STATES
        or first_value(data, "paused", as_flag) is True
        or first_value(data, "enabled", as_flag) is False,
        project=first_value(data, "target_project", as_text),
        environment=first_value(data, "target_environment", as_text),
    )
