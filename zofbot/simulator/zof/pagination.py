"""Requests to the simulated Zof, its refusals, and the pagination of its lists."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zofbot.simulator.zof.state import HttpReply, Organization, ZofRecord
from zofbot.simulator.zof.variants import apply_variant


@dataclass(frozen=True)
class ApiRequest:
    """One request; ``path`` is relative to the base URL."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None


class ApiRefusal(Exception):
    """A refusal with Zof's status and wording."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        named = {"param": param} if param else {}
        self.reply = HttpReply(status, {"error": {"code": code, "message": message, **named}})


def _parse_limit(ask: ApiRequest) -> int:
    given = ask.query.get("limit", "20")
    if not given.isdecimal() or not 1 <= int(given) <= 100:
        raise ApiRefusal(400, "invalid_request", "limit must be between 1 and 100", "limit")
    return int(given)


def _encode_cursor(item_id: str) -> str:
    return base64.urlsafe_b64encode(f"after:{item_id}".encode()).decode().rstrip("=")


def _items_after(items: list[ZofRecord], cursor: str | None) -> list[ZofRecord]:
    """Return the items after the one that the cursor names."""
    if cursor is None:
        return items
    for at, item in enumerate(items):
        if _encode_cursor(item["id"]) == cursor:
            return items[at + 1 :]
    raise ApiRefusal(400, "invalid_request", "starting_after is not a cursor of this list", "starting_after")


def list_page(zof: Organization, ask: ApiRequest, items: Iterable[ZofRecord], *filters: str) -> HttpReply:
    """Return one page of ``items``, filtered by the query parameters that this list supports."""
    for name in ask.query:
        if name in zof.refused_params:
            raise ApiRefusal(400, "invalid_request", f"{name} is not a parameter of this endpoint", name)
    limit = _parse_limit(ask)
    since = _parse_time(ask.query.get("created_after"))
    rest = _items_after(zof.in_list_order(items), ask.query.get("starting_after"))
    wanted = {name: ask.query[name] for name in filters if name in ask.query}
    matching = [
        item
        for item in rest
        if all(item.get(name) == value for name, value in wanted.items())
        and (since is None or _parse_time(item.get("created_at")) or 0.0) >= (since or 0.0)
    ]
    shown, more = matching[:limit], len(matching) > limit
    cursor = _encode_cursor(shown[-1]["id"]) if more else None
    return HttpReply(
        body={"data": [apply_variant(item, zof.dialect) for item in shown], "has_more": more, "next_cursor": cursor}
    )


def _parse_time(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return float(text) if text.replace(".", "").isdecimal() else datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ApiRefusal(400, "invalid_request", "created_after is not a time", "created_after") from None


def find_record(zof: Organization, kept: Mapping[str, ZofRecord], item_id: str, what: str) -> ZofRecord:
    """Return the record with this id; raises :class:`ApiRefusal` if there is none."""
    if item_id not in kept:
        raise ApiRefusal(404, "not_found", f"No {what} with the id {item_id}.")
    return kept[item_id]
