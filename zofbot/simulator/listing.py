"""Requests to the pretend Zof, how it refuses them, and its lists, page by page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zofbot.simulator.dialects import spoken
from zofbot.simulator.records import Record, Records, Reply


@dataclass(frozen=True)
class Ask:
    """One request, its path below the base URL."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None


class No(Exception):
    """A refusal, as Zof words it."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        named = {"param": param} if param else {}
        self.reply = Reply(status, {"error": {"code": code, "message": message, **named}})


def _limit(ask: Ask) -> int:
    given = ask.query.get("limit", "20")
    if not given.isdecimal() or not 1 <= int(given) <= 100:
        raise No(400, "invalid_request", "limit must be between 1 and 100", "limit")
    return int(given)


def _cursor(item_id: str) -> str:
    return base64.urlsafe_b64encode(f"after:{item_id}".encode()).decode().rstrip("=")


def _after(items: list[Record], cursor: str | None) -> list[Record]:
    """What stands behind the item a cursor names."""
    if cursor is None:
        return items
    for at, item in enumerate(items):
        if _cursor(item["id"]) == cursor:
            return items[at + 1 :]
    raise No(400, "invalid_request", "starting_after is not a cursor of this list", "starting_after")


def list_page(zof: Records, ask: Ask, items: Iterable[Record], *filters: str) -> Reply:
    """One page of ``items``, filtered by the query names that this list knows."""
    for name in ask.query:
        if name in zof.refused_params:
            raise No(400, "invalid_request", f"{name} is not a parameter of this endpoint", name)
    limit = _limit(ask)
    since = _moment(ask.query.get("created_after"))
    rest = _after(zof.listed(items), ask.query.get("starting_after"))
    wanted = {name: ask.query[name] for name in filters if name in ask.query}
    matching = [
        item
        for item in rest
        if all(item.get(name) == value for name, value in wanted.items())
        and (since is None or _moment(item.get("created_at")) or 0.0) >= (since or 0.0)
    ]
    shown, more = matching[:limit], len(matching) > limit
    cursor = _cursor(shown[-1]["id"]) if more else None
    return Reply(body={"data": [spoken(item, zof.dialect) for item in shown], "has_more": more, "next_cursor": cursor})


def _moment(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return float(text) if text.replace(".", "").isdecimal() else datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise No(400, "invalid_request", "created_after is not a time", "created_after") from None


def find(zof: Records, kept: Mapping[str, Record], item_id: str, what: str) -> Record:
    """One of those that are kept; raises :class:`No` where there is none of this id."""
    if item_id not in kept:
        raise No(404, "not_found", f"No {what} with the id {item_id}.")
    return kept[item_id]
