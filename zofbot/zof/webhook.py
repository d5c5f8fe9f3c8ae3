"""What Zof's webhooks mean: whose a delivery is, and which run it hints at. It carries no facts to be believed."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from zofbot.domain.model import is_valid_id
from zofbot.zof.coerce import as_datetime, as_identifier, as_text, value_at

RUN_END_TYPES = frozenset({"run.completed", "run.failed"})
"""After these the run is looked at; one failed run may send both (https://zof.ai/docs/webhooks/events)."""

PLATFORM_EVENT_TYPES = frozenset(
    {"remediation.plan_pending", "release.gate_blocked", "agent.offline", "integration.error"}
)
"""These are told as they are, to those who asked for them."""

IGNORED_TYPES = frozenset({"run.started", "remediation.approved", "agent.completed", "issue.detected"})
"""Known and of no use here."""


_FACTS = {
    "project_id": ("project_id", "project.id"),
    "project": ("project_name", "project.name", "project"),
    "environment": ("environment", "environment.name", "environment_name", "environment_id", "env"),
    "name": ("name", "title", "gate_name", "gate.name", "gate", "release_name", "release.name", "release", "agent_name",
             "agent.name", "agent", "integration_name", "integration.name", "integration", "plan_name", "plan.name"),
    "reason": ("reason", "reasons", "blocked_reason", "message", "error.message", "error", "description", "summary",
               "details", "detail", "cause"),
}  # fmt: skip
"""The names believed possible for what an event says of itself; none is published. A dot steps into an object."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an event says of itself: every name of the project, where, what it is about by name, and why it happened."""

    projects: tuple[str, ...] = ()
    environment: str = ""
    name: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WebhookHint:
    """One delivery: look at run ``run_id``.

    ``event_id`` is Zof's, or a SHA-256 of the body where the older generation sends none; ``type`` is Zof's word,
    empty when there is none; ``at`` is when Zof says it happened; ``object_id`` names what it is about.
    """

    event_id: str
    type: str
    run_id: str | None = None
    at: datetime | None = None
    object_id: str | None = None
    envelope: str = ""
    """Which generation it is of: ``current``, ``older``, or empty for neither."""
    facts: Facts = Facts()
    """Of a notice, for where Zof cannot be asked."""

    @property
    def subject_id(self) -> str | None:
        """What is to be looked at or told: a run's id, or that of what a notice is about; None when it is neither."""
        if self.type in RUN_END_TYPES:
            return self.run_id
        return (self.object_id or self.run_id or self.event_id) if self.type in PLATFORM_EVENT_TYPES else None

    @property
    def type_label(self) -> str:
        """The type for counting: a word that Zof adds later is ``other``, so that nobody can make up series."""
        return self.type if self.type in RUN_END_TYPES | PLATFORM_EVENT_TYPES | IGNORED_TYPES else "other"


def is_signed(raw: bytes, given: str, secrets: Iterable[str]) -> bool:
    """Whether ``given`` is the HMAC-SHA256 of the raw body under one of the ``secrets``, in hex.

    Upper case and a leading ``sha256=`` are taken as well (https://zof.ai/docs/examples/webhook-signature-verify).
    """
    theirs = given.strip().lower().removeprefix("sha256=").encode("utf-8", "surrogateescape")
    mine = [hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest().encode() for secret in secrets if secret]
    # All are compared, so that the time taken does not say which one it was.
    return sum([hmac.compare_digest(item, theirs) for item in mine]) > 0


def parse_hint(raw: bytes) -> WebhookHint:
    """Read a delivery's body, of either generation. Raises ValueError when it is not a JSON object."""
    try:
        body = json.loads(raw)
    except RecursionError:
        raise ValueError("absurdly nested") from None
    if not isinstance(body, dict):
        raise ValueError("not an object")
    data = _as_object(body.get("data"))
    about = _as_object(data.get("object"))
    kind = as_text(body.get("type")) or as_text(body.get("event")) or ""
    return WebhookHint(
        as_identifier(body.get("id")) or f"sha256:{hashlib.sha256(raw).hexdigest()}",
        kind,
        _hinted_run_id(
            as_identifier(about.get("run_id")) or as_identifier(data.get("run_id")), as_identifier(about.get("id"))
        ),
        as_datetime(body.get("created")) or as_datetime(body.get("timestamp")),
        as_identifier(about.get("id")),
        "current" if as_text(body.get("type")) else "older" if as_text(body.get("event")) else "",
        _facts(about, data) if kind in PLATFORM_EVENT_TYPES else Facts(),
    )


def _facts(*places: dict[str, object]) -> Facts:
    """Take each fact from the first place and name that has it."""

    def first(meaning: str) -> str:
        paths = (tuple(name.split(".")) for name in _FACTS[meaning])
        found = (_words(value_at(place, path)) for path in paths for place in places)
        return next(filter(None, found), "")

    projects = dict.fromkeys(filter(None, (first("project_id"), first("project"))))
    return Facts(tuple(projects), first("environment"), first("name"), first("reason"))


def _words(value: object) -> str:
    """A text, or several texts of a list as one."""
    parts = value if isinstance(value, list) else [value]
    return "; ".join(known for part in parts if (known := as_text(part)))


def _as_object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _hinted_run_id(named: str | None, about: str | None) -> str | None:
    known = named or (about if about and about.startswith("run_") else None)
    return known if known and is_valid_id(known) else None
