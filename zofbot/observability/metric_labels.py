"""The label values that metrics are expected to have, so that every series exists from the start."""

from __future__ import annotations

from functools import lru_cache

ZOF_STATUSES_BY_OUTCOME = {
    "ok": ("200", "201", "202"),
    "unavailable": ("none", "408", "429", "500", "502", "503", "504"),
    "rejected": ("none", "400", "401", "403", "404", "409", "422"),
    "unreadable": ("200",),
    "canceled": ("none",),
    "crashed": ("none",),
}
"""Expected statuses per outcome of a call to Zof; ``none``: no reply."""

ZOF_CALLS = (
    ("GET", "/results"), ("GET", "/results/{id}"), ("GET", "/runs"), ("GET", "/runs/{id}"),
    ("POST", "/runs"), ("POST", "/runs/{id}/cancel"),
)  # fmt: skip
SLACK_STATUSES_BY_OUTCOME = {
    "ok": ("200",),
    "deferred": ("none", "200", "429"),
    "refused": ("200", "403", "404"),
    "unknown": ("none", "200", "500", "503"),
}
SLACK_METHODS = (
    "apps.connections.open", "auth.test", "chat.delete", "chat.getPermalink", "chat.postEphemeral",
    "chat.postMessage", "chat.unfurl", "chat.update", "conversations.history", "conversations.info",
    "conversations.join", "conversations.members", "conversations.open", "conversations.replies", "response_url",
    "usergroups.list", "usergroups.users.list", "users.conversations", "users.info", "users.list",
    "users.lookupByEmail", "views.open", "views.publish", "views.update",
)  # fmt: skip
KNOWN_STATUSES = frozenset(
    status
    for statuses_by_outcome in (ZOF_STATUSES_BY_OUTCOME, SLACK_STATUSES_BY_OUTCOME)
    for statuses in statuses_by_outcome.values()
    for status in statuses
)

REQUEST_KINDS = ("command", "action", "event", "view", "other")
WEBHOOK_ANSWERS = (
    "stored", "repeated", "ignored", "unsigned", "too_large", "too_slow", "malformed", "not_stored", "crowded", "full",
)  # fmt: skip
ZOF_EVENT_TYPES = (
    "run.completed", "run.failed", "run.started", "remediation.plan_pending", "remediation.approved",
    "release.gate_blocked", "agent.offline", "agent.completed", "integration.error", "issue.detected", "other",
)  # fmt: skip
INTAKE_SOURCES = ("webhook", "poll")
CYCLE_OUTCOMES = ("done", "standby", "unavailable", "fenced", "failed")
FEED_NAMES = ("runs failed", "runs error", "results failed", "results error", "runs")
FIND_OUTCOMES = ("found", "absent", "failed")
ACTION_NAMES = (
    "acknowledge", "unacknowledge", "confirm", "assign", "snooze", "wake", "escalate", "resolve", "reopen", "undo",
)  # fmt: skip
LEASE_NAMES = ("poller", "canary")
CANARY_LINKS = ("redis", "zof", "slack", "clock", "outbox")
TRACE_OUTCOMES = ("kept", "dropped")

OUTBOX_STATES = ("pending", "scheduled", "sending", "dead", "parked_channels")


@lru_cache(maxsize=1024)
def status_label(code: int | None) -> str:
    """Return an HTTP status as a metric label: an expected one, else its class such as ``4xx``, to bound the series."""
    if code is None:
        return "none"
    return str(code) if str(code) in KNOWN_STATUSES else f"{code // 100}xx" if 100 <= code < 600 else "other"
