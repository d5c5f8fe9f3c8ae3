"""REST API of the simulated Zof: routes, errors, quota."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from zofbot.simulator.zof.pagination import ApiRefusal, ApiRequest, find_record, list_page
from zofbot.simulator.zof.state import HttpReply, Organization, ZofRecord, format_time
from zofbot.simulator.zof.variants import apply_variant, wrap_object
from zofbot.simulator.zof.webhooks import RegisteredEndpoint

FINAL_STATUSES = ("passed", "failed", "error", "canceled")

DAY_SECONDS = 86400.0


def answer_request(zof: Organization, ask: ApiRequest) -> HttpReply:
    """Answer one request, quota and idempotency included; never raises."""
    try:
        _check_key(zof, ask)
        _spend_quota(zof)
        _check_permission(zof, ask)
        zof.finish_due()
        reply = _answer_once(zof, ask)
    except ApiRefusal as no:
        reply = no.reply
    return replace(reply, headers={**_quota_headers(zof), **_retry_after_header(zof, reply), **reply.headers})


def _check_key(zof: Organization, ask: ApiRequest) -> None:
    if ask.headers.get("Authorization") != f"Bearer {zof.key}":
        raise ApiRefusal(401, "unauthorized", "The API key is missing, expired or invalid.")


def _check_permission(zof: Organization, ask: ApiRequest) -> None:
    if ask.path.split("/")[1] in zof.forbidden:
        raise ApiRefusal(403, "forbidden", "The role of this key does not allow this.")


def _spend_quota(zof: Organization) -> None:
    if zof.quota is not None and not zof.quota.try_spend(zof.now()):
        raise ApiRefusal(429, "rate_limit_exceeded", "Too many requests for this organization.")


def _quota_headers(zof: Organization) -> dict[str, str]:
    if zof.quota is None:
        return {}
    counts = {"Limit": zof.quota.limit, "Remaining": zof.quota.remaining_requests, "Reset": zof.quota.resets_at}
    return {f"X-RateLimit-{name}": str(count) for name, count in counts.items()}


def _retry_after_header(zof: Organization, reply: HttpReply) -> dict[str, str]:
    return {"Retry-After": str(zof.quota.seconds_until_reset(zof.now()))} if zof.quota and reply.status == 429 else {}


def _answer_once(zof: Organization, ask: ApiRequest) -> HttpReply:
    """Answer; a POST with a known Idempotency-Key gets the first reply again and has no effect."""
    key = ask.headers.get("Idempotency-Key") if ask.method == "POST" else None
    if key in zof.answered:
        return zof.answered[key]
    reply = _find_override(zof, ask.path) or _dispatch_route(zof, ask)
    if key:
        zof.answered[key] = reply
    return reply


def _find_override(zof: Organization, path: str) -> HttpReply | None:
    if path not in zof.raw:
        return None
    raw = zof.raw[path]
    return raw if isinstance(raw, HttpReply) else HttpReply(body=raw)


def _dispatch_route(zof: Organization, ask: ApiRequest) -> HttpReply:
    for (method, pattern), handler in _ROUTES.items():
        matched = re.fullmatch(pattern, ask.path)
        if method == ask.method and matched:
            return handler(zof, ask, *matched.groups())
    raise ApiRefusal(404, "not_found", "There is no such endpoint.")


def _list_results(zof: Organization, ask: ApiRequest) -> HttpReply:
    return list_page(zof, ask, zof.results.values(), "run_id", "status", "project_id")


def _get_result(zof: Organization, ask: ApiRequest, result_id: str) -> HttpReply:
    record = find_record(zof, zof.results, result_id, "result")
    return HttpReply(body=wrap_object(apply_variant(record, zof.dialect), zof.dialect))


def _list_runs(zof: Organization, ask: ApiRequest) -> HttpReply:
    return list_page(zof, ask, zof.runs.values(), "status", "project_id", "environment")


def _get_run(zof: Organization, ask: ApiRequest, run_id: str) -> HttpReply:
    record = {**find_record(zof, zof.runs, run_id, "run"), "results": zof.results_of_run(run_id)}
    return HttpReply(body=wrap_object(apply_variant(record, zof.dialect), zof.dialect))


def _list_projects(zof: Organization, ask: ApiRequest) -> HttpReply:
    return list_page(zof, ask, zof.projects.values())


def _list_schedules(zof: Organization, ask: ApiRequest) -> HttpReply:
    """List active and paused schedules, with the computed next run of daily ones."""
    return list_page(zof, ask, [{"next_run_at": _next_run_at(zof, each), **each} for each in zof.schedules.values()])


def _next_run_at(zof: Organization, schedule: ZofRecord) -> str | None:
    daily = re.fullmatch(r"(\d+) (\d+) \* \* \*", str(schedule.get("cron")))
    if daily is None or schedule.get("status") == "paused":
        return None
    at = zof.now() // DAY_SECONDS * DAY_SECONDS + int(daily[2]) * 3600 + int(daily[1]) * 60
    return format_time(at if at > zof.now() else at + DAY_SECONDS)


def _list_webhooks(zof: Organization, ask: ApiRequest) -> HttpReply:
    shown = [
        {"id": each.id, "url": each.url, "events": list(each.events), "status": "enabled"}
        for each in zof.webhooks.endpoints.values()
    ]
    return list_page(zof, ask, shown)


def _create_webhook(zof: Organization, ask: ApiRequest) -> HttpReply:
    given = ask.body if isinstance(ask.body, dict) else {}
    if not str(given.get("url") or "").startswith("https://"):
        raise ApiRefusal(400, "invalid_request", "url must be a public https address", "url")
    events = given.get("events")
    if not isinstance(events, list) or not events or not all(isinstance(each, str) for each in events):
        raise ApiRefusal(400, "invalid_request", "events must name at least one type", "events")
    own = {"secret": zof.new_id("whsec")} if zof.webhooks.chooses_secrets else {}
    secret = own.get("secret") or str(given.get("secret") or "")
    made = RegisteredEndpoint(zof.new_id("wh"), given["url"], secret, tuple(events))
    zof.webhooks.endpoints[made.id] = made
    zof.changed()
    return HttpReply(201, wrap_object({"id": made.id, "url": made.url, "events": events, "status": "enabled", **own},
                              zof.dialect))  # fmt: skip


def _test_webhook(zof: Organization, ask: ApiRequest, endpoint_id: str) -> HttpReply:
    """Queue a sample delivery about a run that does not exist."""
    if endpoint_id not in zof.webhooks.endpoints:
        raise ApiRefusal(404, "not_found", f"No webhook endpoint with the id {endpoint_id}.")
    sample = zof.build_envelope(zof.webhooks.sample, {"id": "run_sample", "status": "passed"})
    zof.webhooks.queue_event(zof.webhooks.endpoints[endpoint_id], zof.webhooks.sample, sample)
    zof.changed()
    return HttpReply(202, {"id": endpoint_id, "status": "queued"})


def _start_run(zof: Organization, ask: ApiRequest) -> HttpReply:
    given = ask.body if isinstance(ask.body, dict) else {}
    if given.get("project_id") not in zof.projects:
        raise ApiRefusal(400, "invalid_request", "project_id does not name a project", "project_id")
    if not given.get("environment"):
        raise ApiRefusal(400, "invalid_request", "environment is required", "environment")
    if not given.get("test_case_ids") and not given.get("test_suite_id"):
        raise ApiRefusal(400, "invalid_request", "test_case_ids or test_suite_id is required", "test_case_ids")
    names = ("project_id", "environment", "test_case_ids", "test_suite_id")
    run = zof.start_run({name: given[name] for name in names if name in given})
    if zof.runs_take is not None:
        zof.due[run["id"]] = zof.now() + zof.runs_take
    return HttpReply(201, wrap_object(apply_variant(run, zof.dialect), zof.dialect))


def _cancel_run(zof: Organization, ask: ApiRequest, run_id: str) -> HttpReply:
    run = find_record(zof, zof.runs, run_id, "run")
    if run.get("status") in FINAL_STATUSES:
        raise ApiRefusal(409, "conflict", f"The run has already ended ({run['status']}).")
    zof.due.pop(run_id, None)
    return HttpReply(body=wrap_object(apply_variant(zof.finish_run(run_id, "canceled"), zof.dialect), zof.dialect))


_ROUTES: dict[tuple[str, str], Callable[..., HttpReply]] = {
    ("GET", "/results"): _list_results,
    ("GET", "/results/([^/]+)"): _get_result,
    ("GET", "/runs"): _list_runs,
    ("GET", "/runs/([^/]+)"): _get_run,
    ("GET", "/projects"): _list_projects,
    ("GET", "/schedules"): _list_schedules,
    ("GET", "/webhooks"): _list_webhooks,
    ("POST", "/webhooks"): _create_webhook,
    ("POST", "/webhooks/([^/]+)/test"): _test_webhook,
    ("POST", "/runs"): _start_run,
    ("POST", "/runs/([^/]+)/cancel"): _cancel_run,
}
