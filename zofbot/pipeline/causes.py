"""Causes: why attempts end as they do, in few enough words to be counted (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from zofbot.notification import Kind
from zofbot.slack.verdict import BUSY, PERHAPS, REMEDIES, Remedy

OTHER = "other"
UNCONFIRMED = "unconfirmed"
"""No answer came, or one that says nothing, or a word that nobody knows."""

NONE = "none"

_WORDS = {
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

CAUSES: dict[str, tuple[str, ...]] = {
    "sent": (NONE,),
    "adopted": (NONE,),
    "snoozed": (NONE,),
    "deferred": (*sorted(BUSY), "unreachable", *sorted(PERHAPS), "unreadable", *REMEDIES[Remedy.REPOST], UNCONFIRMED),
    "unknown": (
        *sorted(BUSY), "unreachable", *sorted(PERHAPS), "unreadable", UNCONFIRMED, "cannot_look", "crashed",
    ),
    "parked": (*REMEDIES[Remedy.JOIN], *REMEDIES[Remedy.PARK], OTHER),
    "halted": REMEDIES[Remedy.PAUSE],
    "gone": REMEDIES[Remedy.REPOST],
    "refused": (*REMEDIES[Remedy.PLAIN], *REMEDIES[Remedy.REPOST], "cannot_be_drawn", OTHER),
    "dropped": ("unwanted", "root_lost", *REMEDIES[Remedy.SKIP], OTHER),
}  # fmt: skip
"""Every cause that is counted, by how an attempt ended; what Slack may yet think of is one of the last."""


def cause(outcome: str, reason: str) -> str:
    """Name the cause of an ``outcome`` by a word of ``CAUSES``, whatever the ``reason``."""
    own = reason.partition(":")[0]
    word = _WORDS.get(own, own) or NONE
    known = CAUSES[outcome]
    if word in known:
        return word
    return known[0] if known == (NONE,) else UNCONFIRMED if UNCONFIRMED in known else OTHER


def known() -> Iterator[tuple[str, str, str]]:
    """Every kind, outcome and cause that can be counted together."""
    for outcome, causes in CAUSES.items():
        for word in dict.fromkeys((*causes, cause(outcome, "unheard of"))):
            yield from ((kind.value, outcome, word) for kind in Kind)
