"""Parse Zof's webhooks. A delivery is only a hint: the run it names is then read from the API."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from zofbot.zof.coerce import as_datetime, as_identifier, as_text, value_at
from zofbot.zof.protocol import is_askable_id

RUN_END_TYPES = frozenset({"run.completed", "run.failed"})
"""Events that say a run ended; a failed run may send both (https://zof.ai/docs/webhooks/events)."""

PLATFORM_EVENT_TYPES = frozenset(
    {"remediation.plan_pending", "release.gate_blocked", "agent.offline", "integration.error"}
)
"""Events that are reported as they are, to channels that subscribe to them."""

IGNORED_TYPES = frozenset({"run.started", "remediation.approved", "agent.completed", "issue.detected"})
"""Documented events that zofbot ignores."""

_FACTS = {
    "project_id": ("project_id", "project.id"),
    "project": ("project_name", "project.name", "project"),
    "environment": ("environment", "environment.name", "environment_name", "environment_id", "env"),
    "name": ("name", "title", "gate_name", "gate.name", "gate", "release_name", "release.name", "release", "agent_name",
             "agent.name", "agent", "integration_name", "integration.name", "integration", "plan_name", "plan.name"),
    "reason": ("reason", "reasons", "blocked_reason", "message", "error.message", "error", "description", "summary",
               "details", "detail", "cause"),
}  # fmt: skip
"""Field names believed possible in events; none is documented. A dot steps into an object."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Details of an event: ids and names of its project, the environment, its subject's name, and the reason."""

    projects: tuple[str, ...] = ()
    environment: str = ""
    name: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WebhookHint:
    """One parsed delivery, which names a run to read (``run_id``).

    ``event_id`` is Zof's, or a SHA-256 of the body if the older format has none; ``type`` is Zof's event type, possibly
    empty; ``at`` is Zof's time of the event; ``object_id`` is the id of its subject.
    """

    event_id: str
    type: str
    run_id: str | None = None
    at: datetime | None = None
    object_id: str | None = None
    envelope: str = ""
    """Format of the delivery: ``current``, ``older``, or empty for neither."""
    facts: Facts = Facts()
    """Only for platform events, which cannot be read from the API."""

    @property
    def subject_id(self) -> str | None:
        """Return the id of the run to read, or of a platform event's subject; None for ignored events."""
        if self.type in RUN_END_TYPES:
            return self.run_id
        return (self.object_id or self.run_id or self.event_id) if self.type in PLATFORM_EVENT_TYPES else None

    @property
    def type_label(self) -> str:
        """Return the type as a metric label; unknown types are ``other``, which bounds the number of series."""
        return self.type if self.type in RUN_END_TYPES | PLATFORM_EVENT_TYPES | IGNORED_TYPES else "other"


def parse_hint(raw: bytes) -> WebhookHint:
    """Parse a delivery's body in either format. Raises ValueError if it is not a JSON object."""
    try:
        body = json.loads(raw)
    except RecursionError:
        raise ValueError("absurdly nested") from None
    if not isinstance(body, dict):
        raise ValueError("not an object")
    data = _as_object(body.get("data"))
    subject = _as_object(data.get("object"))
    kind = as_text(body.get("type")) or as_text(body.get("event")) or ""
    return WebhookHint(
        as_identifier(body.get("id")) or f"sha256:{hashlib.sha256(raw).hexdigest()}",
        kind,
        _hinted_run_id(
            as_identifier(subject.get("run_id")) or as_identifier(data.get("run_id")), as_identifier(subject.get("id"))
        ),
        as_datetime(body.get("created")) or as_datetime(body.get("timestamp")),
        as_identifier(subject.get("id")),
        "current" if as_text(body.get("type")) else "older" if as_text(body.get("event")) else "",
        _facts(subject, data) if kind in PLATFORM_EVENT_TYPES else Facts(),
    )


def _facts(*places: dict[str, object]) -> Facts:
    """Take each detail from the first field name and object that has it."""

    def first(meaning: str) -> str:
        paths = (tuple(name.split(".")) for name in _FACTS[meaning])
        found = (_as_joined_text(value_at(place, path)) for path in paths for place in places)
        return next(filter(None, found), "")

    projects = dict.fromkeys(filter(None, (first("project_id"), first("project"))))
    return Facts(tuple(projects), first("environment"), first("name"), first("reason"))


def _as_joined_text(value: object) -> str:
    """Return a text, or the texts of a list joined."""
    parts = value if isinstance(value, list) else [value]
    return "; ".join(known for part in parts if (known := as_text(part)))


def _as_object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _hinted_run_id(named: str | None, subject: str | None) -> str | None:
    known = named or (subject if subject and subject.startswith("run_") else None)
    return known if known and is_askable_id(known) else None
