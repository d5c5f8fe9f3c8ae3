"""Which storms and messages of causes are kept in a channel, and for how long."""

from __future__ import annotations

from zofbot.alerting.state import DecisionBuilder, storms_hash
from zofbot.alerting.storms.storm_record import (
    OPEN_RETENTION_SECONDS,
    RECOVERED_RETENTION_SECONDS,
    MemberPointer,
    Storm,
    list_storms,
)
from zofbot.notifications.alert_payloads import AlertStatus

MAX_MEMBERS = 2000
"""Members kept per channel; beyond that storms are dropped, recovered ones first, then the oldest."""

MAX_CAUSE_MESSAGES = 200
"""Messages of causes kept per channel; beyond that they are dropped, recovered ones first, then those whose last
failure is oldest."""


def prune_storms(draft: DecisionBuilder, channel: str, current: str) -> None:
    """Delete storms that are over, and some above the limits; never the one with the key ``current``."""
    kept, members, causes = {current}, 0, 0
    for storm in sorted(list_storms(draft, channel), key=_retention_order, reverse=True):
        members += storm.members
        causes += storm.by_cause
        fits = members <= MAX_MEMBERS and (causes <= MAX_CAUSE_MESSAGES or not storm.by_cause)
        if fits and not _is_over(storm, draft.now):
            kept.add(storm.storm_key)
    fields = draft.read_hash(storms_hash(channel))
    gone = [name for name, value in fields.items() if (of := _storm_of_field(name, value)) and of not in kept]
    draft.delete_fields(storms_hash(channel), gone)


def _retention_order(storm: Storm) -> tuple[bool, float]:
    """Sort those that are kept longest last: the ones that are open, and that failed last."""
    return storm.standing is not AlertStatus.RECOVERED, max(storm.failed, storm.last)


def _is_over(storm: Storm, now: float) -> bool:
    if storm.standing is AlertStatus.RECOVERED:
        return max(storm.turned or 0.0, storm.last) < now - RECOVERED_RETENTION_SECONDS
    return max(storm.failed, storm.last) < now - OPEN_RETENTION_SECONDS


def _storm_of_field(name: str, value: str) -> str:
    """Return the key of the storm that a field belongs to, or an empty string."""
    kind, _, rest = name.partition(":")
    match kind:
        case "storm":
            return rest
        case "cause":
            return value
        case "page":
            return rest.rpartition(":")[0]
        case "in":
            pointer = MemberPointer.load(value)
            return pointer.storm if pointer else ""
        case _:
            return ""
