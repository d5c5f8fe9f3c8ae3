"""Causes: why attempts end as they do, in few enough words to be counted (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from zofbot.notifications.notification import NotificationKind
from zofbot.slack.errors import DEFERRED_REASONS, REASONS_BY_HANDLING, UNCERTAIN_REASONS, RefusalHandling

OTHER_CAUSE = "other"
UNCONFIRMED_CAUSE = "unconfirmed"
"""No answer came, or one that says nothing, or a word that nobody knows."""

NO_CAUSE = "none"

_CAUSE_BY_OWN_REASON = {
    "crashed": "crashed",
    "cannot look": "cannot_look",
    "cannot be drawn": "cannot_be_drawn",
    "no longer wanted": "unwanted",
    "its root is dead": "root_lost",
    "its root is dropped": "root_lost",
    "its message is gone": "root_lost",
    "unreachable": "unreachable",
}
"""Our own reasons, up to a colon."""

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
"""Every cause that is counted, by how an attempt ended; what Slack may yet think of is one of the last."""


def classify_cause(outcome: str, reason: str) -> str:
    """Name the cause of an ``outcome`` by a word of ``CAUSES_BY_OUTCOME``, whatever the ``reason``."""
    own = reason.partition(":")[0]
    word = _CAUSE_BY_OWN_REASON.get(own, own) or NO_CAUSE
    known = CAUSES_BY_OUTCOME[outcome]
    if word in known:
        return word
    return known[0] if known == (NO_CAUSE,) else UNCONFIRMED_CAUSE if UNCONFIRMED_CAUSE in known else OTHER_CAUSE


def known_causes() -> Iterator[tuple[str, str, str]]:
    """Every kind, outcome and cause that can be counted together."""
    for outcome, causes in CAUSES_BY_OUTCOME.items():
        for word in dict.fromkeys((*causes, classify_cause(outcome, "unheard of"))):
            yield from ((kind.value, outcome, word) for kind in NotificationKind)
