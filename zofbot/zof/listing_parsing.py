"""Find the list in Zof's answer, and how to go on."""

from __future__ import annotations

from collections.abc import Callable

from zofbot.domain.errors import ZofUnreadable
from zofbot.zof.coerce import as_cursor, as_identifier, value_at
from zofbot.zof.field_names import FIELD_NAMES, JsonObject, T
from zofbot.zof.protocol import PAGE_SIZE, TRY_AGAIN_HINT, Page

MAX_PAGE_ITEMS = 10 * PAGE_SIZE
"""Limit of items read from one page, which may hold more than were asked for: it limits the work for one reply."""


def parse_items(listed: list[object], read: Callable[[JsonObject, str], T]) -> tuple[tuple[T, ...], int]:
    """Parse items; returns those that are valid, and the number of others."""
    candidates = [item if value_at(item, ("id",)) is not None else value_at(item, ("data",)) for item in listed]
    parsed = [
        read(data, known_id)
        for data in candidates
        if isinstance(data, dict) and (known_id := as_identifier(data.get("id")))
    ]
    return tuple(parsed), len(listed) - len(parsed)


def parse_page(
    found: object,
    read: Callable[[JsonObject, str], T],
    request_id: str | None,
    read_more: Callable[[JsonObject, str], T] | None = None,
) -> Page[T]:
    """Parse one page with ``read``, and items beyond those asked for with ``read_more``, if given.

    Raises ZofUnreadable if it holds no list.
    """
    envelope, listed = _find_list(found)
    asked, _ = parse_items(listed[:PAGE_SIZE], read)
    more, _ = parse_items(listed[PAGE_SIZE:MAX_PAGE_ITEMS], read_more or read)
    items = (*asked, *more)
    cursor = as_cursor(envelope.get("next_cursor"))
    has_more = envelope.get("has_more")
    goes_on = has_more if isinstance(has_more, bool) else cursor is not None
    return Page(items, cursor, request_id, goes_on, len(listed) - len(items), len(listed))


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
    raise ZofUnreadable("Zof returned data in an unexpected format (no list).", TRY_AGAIN_HINT)
