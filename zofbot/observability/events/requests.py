"""Events of what people and Zof ask: Slack's requests, acts on failures, webhooks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlackRequestAnswered:
    """A request from Slack was acknowledged; ``answer`` is acted, repeated or failed."""

    kind: str
    answer: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SlackRequestRejected:
    """A request to Slack's endpoint, or a message on its socket, was not a complete request from Slack."""

    reason: str


@dataclass(frozen=True, slots=True)
class TriageAct:
    """A triage action changed a failure's state."""

    act: str
    key: str
    before: str
    after: str
    by: str


@dataclass(frozen=True, slots=True)
class TriageRefused:
    """A triage action was refused; ``why`` is in zofbot's own words."""

    act: str
    key: str
    why: str


@dataclass(frozen=True, slots=True)
class WebhookReceived:
    """A signed delivery from Zof, by its type."""

    type: str


@dataclass(frozen=True, slots=True)
class WebhookAnswered:
    """A delivery from Zof was answered: stored, repeated, ignored, or the reason for which it was rejected."""

    answer: str
