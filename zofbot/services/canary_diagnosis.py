"""Diagnosis of a failed canary: which link between Zof and Slack is broken, the symptom, and the fix; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from zofbot.domain.durations import MAX_CLOCK_SKEW_SECONDS, describe_duration
from zofbot.domain.errors import SlackError, StoreUnavailable, ZofError, ZofUnavailable
from zofbot.notifications.notification import NotificationState
from zofbot.slack.errors import EXPLANATIONS, UNREADABLE_REASON_PREFIX
from zofbot.store.records import OutboxRecord, OutboxStats, ParkedChannel

LinkName = Literal["redis", "zof", "slack", "clock", "outbox"]

_CHECK_STEP = "Run `zofbot check`."
_OWN_REASONS = ("crashed", "cannot be rendered", "cannot be drawn")
"""Prefixes of zofbot's own reasons, the last as stored by earlier versions; all others are Slack's."""


@dataclass(frozen=True)
class Diagnosis:
    """One broken link: ``what`` was observed, and how to fix it."""

    link: LinkName
    what: str
    fix: str


def diagnose_error(error: StoreUnavailable | SlackError | ZofError) -> Diagnosis:
    """Return the link that an error comes from."""
    if isinstance(error, SlackError):
        return _diagnose_slack(error.reason)
    if isinstance(error, StoreUnavailable):
        return Diagnosis("redis", error.sentence, "Restore Redis. Queued messages are then sent automatically.")
    request = f" (Request ID: {error.request_id})" if error.request_id else ""
    return Diagnosis("zof", f"{error.sentence}{request}", error.next_step or _CHECK_STEP)


def is_rate_limited(error: ZofError) -> bool:
    """Return whether Zof's rate limit is the cause: a 429, or zofbot's own quota. That has its own alert rule."""
    kept = error.status is None and isinstance(error, ZofUnavailable) and error.retry_at is not None
    return error.status == 429 or kept


def diagnose_stuck(entry: OutboxRecord | None, parked: ParkedChannel | None, depth: OutboxStats) -> Diagnosis:
    """Return the link that blocks a notification, judged by its outbox record."""
    if entry is None:
        return Diagnosis(
            "redis", "The committed notification is missing.", "Check Redis' persistence and eviction policy."
        )
    if parked:
        return _diagnose_slack(parked.reason)
    if depth.paused:
        return _diagnose_slack(depth.paused)
    if entry.reason and not entry.reason.startswith(_OWN_REASONS) and entry.state is not NotificationState.DROPPED:
        return _diagnose_slack(entry.reason)
    fix = "Check whether a worker runs, then `zofbot outbox list`."
    if entry.reason:
        return Diagnosis("outbox", f"It is {entry.state.value}: {entry.reason}.", fix)
    cause = "a worker claimed it and did not finish" if entry.attempts else "no worker claims it"
    return Diagnosis("outbox", f"It is waiting: {cause}.", fix)


def diagnose_hidden() -> Diagnosis:
    """Return the diagnosis for a message that Slack accepted but does not show."""
    return Diagnosis("slack", "Slack accepted the message but does not show it.", _CHECK_STEP)


def diagnose_clock(ahead: Mapping[str, float]) -> Diagnosis | None:
    """Diagnose this machine's clock, given the seconds it is ahead of each named clock; None if it is right."""
    off = {whose: seconds for whose, seconds in ahead.items() if abs(seconds) > MAX_CLOCK_SKEW_SECONDS}
    differences = ", ".join(
        f"{describe_duration(abs(seconds))} {'ahead of' if seconds > 0 else 'behind'} {whose}"
        for whose, seconds in off.items()
    )
    return Diagnosis("clock", f"This machine is {differences}.", "Synchronize the clocks with NTP.") if off else None


def _diagnose_slack(reason: str) -> Diagnosis:
    if reason.startswith(("http_", UNREADABLE_REASON_PREFIX)):
        what = f"Something else answered in Slack's place ({reason})."
        return Diagnosis("slack", what, "Check the proxy that zofbot calls through, and Slack's status page.")
    what, fix = EXPLANATIONS.get(reason, (f"Slack says {reason}.", ""))
    return Diagnosis("slack", what, fix or _CHECK_STEP)
