"""Parse registered webhook endpoints, as tolerantly as runs and results."""

from __future__ import annotations

from pydantic import SecretStr

from zofbot.domain.model import Endpoint
from zofbot.zof.coerce import as_flag, as_text, as_text_list
from zofbot.zof.field_names import JsonObject, first_value, read_id, unwrap_object
from zofbot.zof.listing_parsing import parse_page
from zofbot.zof.protocol import Page


def parse_endpoints_page(found: object, *, request_id: str | None = None) -> Page[Endpoint]:
    """Parse one page of webhook endpoints. Raises ZofUnreadable if it holds no list."""
    return parse_page(found, _build_endpoint, request_id)


def parse_endpoint(found: object) -> Endpoint:
    """Parse the reply to creating a webhook endpoint, bare or wrapped. Raises ZofUnreadable if it has no id."""
    data = unwrap_object(found, "webhook")
    return _build_endpoint(data, read_id(data, None))


def _build_endpoint(data: JsonObject, known_id: str) -> Endpoint:
    events = first_value(data, "events", as_text_list)
    enabled = first_value(data, "enabled", as_flag)
    status = first_value(data, "state", as_text) or {True: "enabled", False: "disabled"}.get(enabled)  # type: ignore[arg-type]  # None has no entry
    secret = first_value(data, "secret", as_text)
    return Endpoint(
        id=known_id,
        url=first_value(data, "endpoint", as_text),
        events=tuple(events or ()),
        status=status,
        secret=SecretStr(secret) if secret else None,
    )
