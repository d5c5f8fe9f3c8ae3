"""A fault: which link between Zof and Slack does not hold, what was seen of it, and what mends it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from zofbot.errors import SlackError, StoreUnavailable, ZofError, ZofUnavailable
from zofbot.notification import State
from zofbot.slack.verdict import MENDS, UNREADABLE
from zofbot.spans import TOLERATED, duration
from zofbot.store.entry import Depth, Entry, Parked

Link = Literal["redis", "zof", "slack", "clock", "outbox"]

_CHECK = "Run `zofbot check`."
_OURS = ("crashed", "cannot be drawn")
"""How reasons begin that are not Slack's."""


@dataclass(frozen=True)
class Fault:
    """One link that does not hold: ``what`` was seen, and the ``mend``."""

    link: Link
    what: str
    mend: str


def of(error: StoreUnavailable | SlackError | ZofError) -> Fault:
    """Name the link that an error comes from."""
    if isinstance(error, SlackError):
        return _slack(error.reason)
    if isinstance(error, StoreUnavailable):
        return Fault("redis", error.sentence, "Bring Redis back; what waits is sent by itself.")
    request = f" (Request ID: {error.request_id})" if error.request_id else ""
    return Fault("zof", f"{error.sentence}{request}", error.next_step or _CHECK)


def busy(error: ZofError) -> bool:
    """Whether Zof is only asked too much, which has an alarm of its own: a 429, or our own keeping of the quota."""
    kept = error.status is None and isinstance(error, ZofUnavailable) and error.retry_at is not None
    return error.status == 429 or kept


def stuck(entry: Entry | None, parked: Parked | None, depth: Depth) -> Fault:
    """Name the link that keeps a notification from being sent, by how it stands in the outbox."""
    if entry is None:
        return Fault("redis", "What was committed is not there.", "Look at Redis' persistence and eviction policy.")
    if parked:
        return _slack(parked.reason)
    if depth.paused:
        return _slack(depth.paused)
    if entry.reason and not entry.reason.startswith(_OURS) and entry.state is not State.DROPPED:
        return _slack(entry.reason)
    mend = "Look whether a worker runs, then `zofbot outbox list`."
    if entry.reason:
        return Fault("outbox", f"It is {entry.state.value}: {entry.reason}.", mend)
    taken = "a worker took it and did not come back" if entry.attempts else "no worker takes it"
    return Fault("outbox", f"It waits: {taken}.", mend)


def hidden() -> Fault:
    """Slack took the message, and it is not there."""
    return Fault("slack", "Slack took the message, and does not show it.", _CHECK)


def skewed(ahead: Mapping[str, float]) -> Fault | None:
    """Judge this machine's clock by how many seconds it is ahead of others, each by its name."""
    off = {whose: seconds for whose, seconds in ahead.items() if abs(seconds) > TOLERATED}
    said = ", ".join(
        f"{duration(abs(seconds))} {'ahead of' if seconds > 0 else 'behind'} {whose}" for whose, seconds in off.items()
    )
    return Fault("clock", f"This machine is {said}.", "Let both keep their time by NTP.") if off else None


def _slack(reason: str) -> Fault:
    if reason.startswith(("http_", UNREADABLE)):
        what = f"Something else answered in Slack's place ({reason})."
        return Fault("slack", what, "Look at the proxy that zofbot calls through, and at Slack's status page.")
    what, mend = MENDS.get(reason, (f"Slack says {reason}.", ""))
    return Fault("slack", what, mend or _CHECK)
