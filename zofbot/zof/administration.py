"""What an organization has set up at Zof, read as tolerantly as its runs: schedules and webhook endpoints."""

from __future__ import annotations

from pydantic import SecretStr

from zofbot.model import Endpoint, Schedule
from zofbot.zof.protocol import Page
from zofbot.zof.reading import Json, _first, _id_of, _page, _unwrapped
from zofbot.zof.values import moment, text

_PAUSED = frozenset({"paused", "disabled", "inactive", "suspended", "off"})


def schedules_page(found: object, *, request_id: str | None = None) -> Page[Schedule]:
    """Read one page of schedules. Raises ZofUnreadable when it holds no list."""
    return _page(found, _schedule, request_id)


def endpoints_page(found: object, *, request_id: str | None = None) -> Page[Endpoint]:
    """Read one page of webhook endpoints. Raises ZofUnreadable when it holds no list."""
    return _page(found, _endpoint, request_id)


def endpoint(found: object) -> Endpoint:
    """Read the webhook endpoint that Zof has made, bare or wrapped. Raises ZofUnreadable when it has no id."""
    thing = _unwrapped(found, "webhook")
    return _endpoint(thing, _id_of(thing, None))


def _schedule(thing: Json, known_id: str) -> Schedule:
    state = (_first(thing, "state", text) or "").casefold()
    return Schedule(
        id=known_id,
        name=_first(thing, "title", text),
        cron=_first(thing, "cron", text),
        next=_first(thing, "next", moment),
        paused=state in _PAUSED or _first(thing, "paused", _flag) is True or _first(thing, "enabled", _flag) is False,
        project=_first(thing, "target_project", text),
        environment=_first(thing, "target_environment", text),
    )


def _endpoint(thing: Json, known_id: str) -> Endpoint:
    events = _first(thing, "events", _words)
    enabled = _first(thing, "enabled", _flag)
    status = _first(thing, "state", text) or {True: "enabled", False: "disabled"}.get(enabled)  # type: ignore[arg-type]  # None has no entry
    secret = _first(thing, "secret", text)
    return Endpoint(
        id=known_id,
        url=_first(thing, "endpoint", text),
        events=tuple(events or ()),
        status=status,
        secret=SecretStr(secret) if secret else None,
    )


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _words(value: object) -> list[str] | None:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else None
