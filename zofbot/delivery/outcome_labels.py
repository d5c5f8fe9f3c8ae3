"""Causes of delivery outcomes, limited to a fixed set so that they can be metric labels (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from zofbot.notifications.notification import NotificationKind
from zofbot.slack.errors import DEFERRED_REASONS, REASONS_BY_HANDLING, UNCERTAIN_REASONS, RefusalHandling

OTHER_CAUSE = "other"
UNCONFIRMED_CAUSE = "unconfirmed"
"""No answer, an empty one, or an unknown reason."""

NO_CAUSE = "none"

_CAUSE_BY_OWN_REASON = {
    "crashed": "crashed",
    "cannot look": "cannot_look",
    "cannot be rendered": "cannot_be_drawn",
    "cannot be drawn": "cannot_be_drawn",  # as stored by earlier versions
    "no longer wanted": "unwanted",
    "its root is dead": "root_lost",
    "its root is dropped": "root_lost",
    "its message is gone": "root_lost",
    "unreachable": "unreachable",
}
"""zofbot's own reasons (the part before a colon) and their causes."""

CAUSES_BY_OUTCOME: dict[str, tuple[str, ...]] = {
    "sent": (NO_CAUSE,),
    "adopted": (NO_CAUSE,),
    "snoozed": (NO_CAUSE,),
    "deferred": (
        *sorted(DEFERRED_REASONS),
        "unreachable",
        *sorted(UNCERTAIN_REASONS),
        "unreadable",
        *REASONS_BY_HANDLING[RefusalHandling.REPOST],
        UNCONFIRMED_CAUSE,
    ),
    "unknown": (
        *sorted(DEFERRED_REASONS),
        "unreachable",
        *sorted(UNCERTAIN_REASONS),
        "unreadable",
        UNCONFIRMED_CAUSE,
        "cannot_look",
        "crashed",
    ),
    "parked": (*REASONS_BY_HANDLING[RefusalHandling.JOIN], *REASONS_BY_HANDLING[RefusalHandling.PARK], OTHER_CAUSE),
    "halted": REASONS_BY_HANDLING[RefusalHandling.PAUSE],
    "gone": REASONS_BY_HANDLING[RefusalHandling.REPOST],
    "refused": (
        *REASONS_BY_HANDLING[RefusalHandling.PLAIN],
        *REASONS_BY_HANDLING[RefusalHandling.REPOST],
        "cannot_be_drawn",
        OTHER_CAUSE,
    ),
    "dropped": ("unwanted", "root_lost", *REASONS_BY_HANDLING[RefusalHandling.SKIP], OTHER_CAUSE),
}
"""Every cause that is counted, by outcome; a reason Slack adds later counts as one of the catch-all causes."""


def classify_cause(outcome: str, reason: str) -> str:
    """Return the cause of an ``outcome``, always one from ``CAUSES_BY_OUTCOME``."""
    own_reason = reason.partition(":")[0]
    cause = _CAUSE_BY_OWN_REASON.get(own_reason, own_reason) or NO_CAUSE
    known = CAUSES_BY_OUTCOME[outcome]
    if cause in known:
        return cause
    return known[0] if known == (NO_CAUSE,) else UNCONFIRMED_CAUSE if UNCONFIRMED_CAUSE in known else OTHER_CAUSE


def known_causes() -> Iterator[tuple[str, str, str]]:
    """Yield every combination of kind, outcome and cause that can be counted."""
    for outcome, causes in CAUSES_BY_OUTCOME.items():
        for cause in dict.fromkeys((*causes, classify_cause(outcome, "unheard of"))):
            yield from ((kind.value, outcome, cause) for kind in NotificationKind)
