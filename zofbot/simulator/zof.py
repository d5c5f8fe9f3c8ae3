"""The pretend Zof's REST API: its routes, its errors, its quota."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from zofbot.simulator.dialects import spoken, wrapped
from zofbot.simulator.records import Record, Records, Reply

ENDED = ("passed", "failed", "error", "canceled")


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


def answer(zof: Records, ask: Ask) -> Reply:
    """Answer one request, quota and idempotency included; never raises."""
    try:
        _authorize(zof, ask)
        _spend(zof)
        zof.finish_due()
        reply = _once(zof, ask)
    except No as no:
        reply = no.reply
    return replace(reply, headers={**_quota_headers(zof), **_retry_after(zof, reply), **reply.headers})


def _authorize(zof: Records, ask: Ask) -> None:
    if ask.headers.get("Authorization") != f"Bearer {zof.key}":
        raise No(401, "unauthorized", "The API key is missing, expired or invalid.")


def _spend(zof: Records) -> None:
    if zof.quota is not None and not zof.quota.take(zof.now()):
        raise No(429, "rate_limit_exceeded", "Too many requests for this organization.")


def _quota_headers(zof: Records) -> dict[str, str]:
    if zof.quota is None:
        return {}
    counts = {"Limit": zof.quota.limit, "Remaining": zof.quota.remaining, "Reset": zof.quota.reset}
    return {f"X-RateLimit-{name}": str(count) for name, count in counts.items()}


def _retry_after(zof: Records, reply: Reply) -> dict[str, str]:
    return {"Retry-After": str(zof.quota.wait(zof.now()))} if zof.quota and reply.status == 429 else {}


def _once(zof: Records, ask: Ask) -> Reply:
    """Answer; a POST repeated with its Idempotency-Key gets the first answer again and does nothing."""
    key = ask.headers.get("Idempotency-Key") if ask.method == "POST" else None
    if key in zof.answered:
        return zof.answered[key]
    reply = _override(zof, ask.path) or _route(zof, ask)
    if key:
        zof.answered[key] = reply
    return reply


def _override(zof: Records, path: str) -> Reply | None:
    if path not in zof.raw:
        return None
    raw = zof.raw[path]
    return raw if isinstance(raw, Reply) else Reply(body=raw)


def _route(zof: Records, ask: Ask) -> Reply:
    for (method, pattern), handler in _ROUTES.items():
        found = re.fullmatch(pattern, ask.path)
        if method == ask.method and found:
            return handler(zof, ask, *found.groups())
    raise No(404, "not_found", "There is no such endpoint.")


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


def _page(zof: Records, ask: Ask, items: Iterable[Record], *filters: str) -> Reply:
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
    page, more = matching[:limit], len(matching) > limit
    cursor = _cursor(page[-1]["id"]) if more else None
    return Reply(body={"data": [spoken(item, zof.dialect) for item in page], "has_more": more, "next_cursor": cursor})


def _moment(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return float(text) if text.replace(".", "").isdecimal() else datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise No(400, "invalid_request", "created_after is not a time", "created_after") from None


def _one(zof: Records, kept: Mapping[str, Record], item_id: str, what: str) -> Record:
    if item_id not in kept:
        raise No(404, "not_found", f"No {what} with the id {item_id}.")
    return kept[item_id]


def _results(zof: Records, ask: Ask) -> Reply:
    return _page(zof, ask, zof.results.values(), "run_id", "status", "project_id")


def _result(zof: Records, ask: Ask, result_id: str) -> Reply:
    record = _one(zof, zof.results, result_id, "result")
    return Reply(body=wrapped(spoken(record, zof.dialect), zof.dialect))


def _runs(zof: Records, ask: Ask) -> Reply:
    return _page(zof, ask, zof.runs.values(), "status", "project_id", "environment")


def _run(zof: Records, ask: Ask, run_id: str) -> Reply:
    record = {**_one(zof, zof.runs, run_id, "run"), "results": zof.of_run(run_id)}
    return Reply(body=wrapped(spoken(record, zof.dialect), zof.dialect))


def _projects(zof: Records, ask: Ask) -> Reply:
    return _page(zof, ask, zof.projects.values())


def _start(zof: Records, ask: Ask) -> Reply:
    given = ask.body if isinstance(ask.body, dict) else {}
    if given.get("project_id") not in zof.projects:
        raise No(400, "invalid_request", "project_id does not name a project", "project_id")
    if not given.get("environment"):
        raise No(400, "invalid_request", "environment is required", "environment")
    if not given.get("test_case_ids") and not given.get("test_suite_id"):
        raise No(400, "invalid_request", "test_case_ids or test_suite_id is required", "test_case_ids")
    names = ("project_id", "environment", "test_case_ids", "test_suite_id")
    run = zof.start_run({name: given[name] for name in names if name in given})
    if zof.runs_take is not None:
        zof.due[run["id"]] = zof.now() + zof.runs_take
    return Reply(201, wrapped(spoken(run, zof.dialect), zof.dialect))


def _cancel(zof: Records, ask: Ask, run_id: str) -> Reply:
    run = _one(zof, zof.runs, run_id, "run")
    if run.get("status") in ENDED:
        raise No(409, "conflict", f"The run has already ended ({run['status']}).")
    zof.due.pop(run_id, None)
    return Reply(body=wrapped(spoken(zof.finish_run(run_id, "canceled"), zof.dialect), zof.dialect))


_ROUTES: dict[tuple[str, str], Callable[..., Reply]] = {
    ("GET", "/results"): _results,
    ("GET", "/results/([^/]+)"): _result,
    ("GET", "/runs"): _runs,
    ("GET", "/runs/([^/]+)"): _run,
    ("GET", "/projects"): _projects,
    ("POST", "/runs"): _start,
    ("POST", "/runs/([^/]+)/cancel"): _cancel,
}
