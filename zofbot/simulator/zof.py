"""The pretend Zof's REST API: its routes, its errors, its quota."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from zofbot.simulator.dialects import spoken, wrapped
from zofbot.simulator.listing import Ask, No, find, list_page
from zofbot.simulator.records import Record, Records, Reply, iso
from zofbot.simulator.webhooks import Endpoint

ENDED = ("passed", "failed", "error", "canceled")

DAY = 86400.0


def answer(zof: Records, ask: Ask) -> Reply:
    """Answer one request, quota and idempotency included; never raises."""
    try:
        _authorize(zof, ask)
        _spend(zof)
        _permit(zof, ask)
        zof.finish_due()
        reply = _once(zof, ask)
    except No as no:
        reply = no.reply
    return replace(reply, headers={**_quota_headers(zof), **_retry_after(zof, reply), **reply.headers})


def _authorize(zof: Records, ask: Ask) -> None:
    if ask.headers.get("Authorization") != f"Bearer {zof.key}":
        raise No(401, "unauthorized", "The API key is missing, expired or invalid.")


def _permit(zof: Records, ask: Ask) -> None:
    if ask.path.split("/")[1] in zof.forbidden:
        raise No(403, "forbidden", "The role of this key does not allow this.")


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
        matched = re.fullmatch(pattern, ask.path)
        if method == ask.method and matched:
            return handler(zof, ask, *matched.groups())
    raise No(404, "not_found", "There is no such endpoint.")


def _results(zof: Records, ask: Ask) -> Reply:
    return list_page(zof, ask, zof.results.values(), "run_id", "status", "project_id")


def _result(zof: Records, ask: Ask, result_id: str) -> Reply:
    record = find(zof, zof.results, result_id, "result")
    return Reply(body=wrapped(spoken(record, zof.dialect), zof.dialect))


def _runs(zof: Records, ask: Ask) -> Reply:
    return list_page(zof, ask, zof.runs.values(), "status", "project_id", "environment")


def _run(zof: Records, ask: Ask, run_id: str) -> Reply:
    record = {**find(zof, zof.runs, run_id, "run"), "results": zof.of_run(run_id)}
    return Reply(body=wrapped(spoken(record, zof.dialect), zof.dialect))


def _projects(zof: Records, ask: Ask) -> Reply:
    return list_page(zof, ask, zof.projects.values())


def _schedules(zof: Records, ask: Ask) -> Reply:
    """Active and paused ones; a daily schedule's next run is worked out."""
    return list_page(zof, ask, [{"next_run_at": _next(zof, each), **each} for each in zof.schedules.values()])


def _next(zof: Records, schedule: Record) -> str | None:
    daily = re.fullmatch(r"(\d+) (\d+) \* \* \*", str(schedule.get("cron")))
    if daily is None or schedule.get("status") == "paused":
        return None
    at = zof.now() // DAY * DAY + int(daily[2]) * 3600 + int(daily[1]) * 60
    return iso(at if at > zof.now() else at + DAY)


def _webhooks(zof: Records, ask: Ask) -> Reply:
    shown = [
        {"id": each.id, "url": each.url, "events": list(each.events), "status": "enabled"}
        for each in zof.webhooks.endpoints.values()
    ]
    return list_page(zof, ask, shown)


def _register(zof: Records, ask: Ask) -> Reply:
    given = ask.body if isinstance(ask.body, dict) else {}
    if not str(given.get("url") or "").startswith("https://"):
        raise No(400, "invalid_request", "url must be a public https address", "url")
    events = given.get("events")
    if not isinstance(events, list) or not events or not all(isinstance(each, str) for each in events):
        raise No(400, "invalid_request", "events must name at least one type", "events")
    own = {"secret": zof.new_id("whsec")} if zof.webhooks.chooses_secrets else {}
    secret = own.get("secret") or str(given.get("secret") or "")
    made = Endpoint(zof.new_id("wh"), given["url"], secret, tuple(events))
    zof.webhooks.endpoints[made.id] = made
    zof.changed()
    return Reply(201, wrapped({"id": made.id, "url": made.url, "events": events, "status": "enabled", **own},
                              zof.dialect))  # fmt: skip


def _try_out(zof: Records, ask: Ask, endpoint_id: str) -> Reply:
    """Queue a sample delivery, about a run that is none."""
    if endpoint_id not in zof.webhooks.endpoints:
        raise No(404, "not_found", f"No webhook endpoint with the id {endpoint_id}.")
    sample = zof.envelope(zof.webhooks.sample, {"id": "run_sample", "status": "passed"})
    zof.webhooks.try_out(zof.webhooks.endpoints[endpoint_id], zof.webhooks.sample, sample)
    zof.changed()
    return Reply(202, {"id": endpoint_id, "status": "queued"})


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
    run = find(zof, zof.runs, run_id, "run")
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
    ("GET", "/schedules"): _schedules,
    ("GET", "/webhooks"): _webhooks,
    ("POST", "/webhooks"): _register,
    ("POST", "/webhooks/([^/]+)/test"): _try_out,
    ("POST", "/runs"): _start,
    ("POST", "/runs/([^/]+)/cancel"): _cancel,
}
