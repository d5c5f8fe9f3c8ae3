"""Check this machine's clock against the ``Date`` headers of Slack and Zof."""

from __future__ import annotations

from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding
from zofbot.domain.durations import MAX_CLOCK_SKEW_SECONDS, clock_offset

MAX_SIGNED_SKEW_SECONDS = 300.0
"""Maximum age of a signed request (https://docs.slack.dev/authentication/verifying-requests-from-slack)."""

_CLOCK_FIX = "Synchronize this machine's clock with NTP, such as chrony or systemd-timesyncd."


def check_clock(whose: str, date: str, now: float, *, signs: bool = False) -> list[Finding]:
    """Compare ``date`` with ``now`` (Unix seconds); ``signs``: zofbot rejects their signed requests if far off.

    Returns nothing if ``date`` is missing or invalid.
    """
    offset, about = clock_offset(date, now), f"clock and {whose}'s"
    if offset is None:
        return []
    if abs(offset) <= MAX_CLOCK_SKEW_SECONDS:
        return [ok_finding(about, "They agree.")]
    what = f"This machine is {abs(offset):.0f} s {'ahead' if offset > 0 else 'behind'}."
    if signs and abs(offset) >= MAX_SIGNED_SKEW_SECONDS - MAX_CLOCK_SKEW_SECONDS:
        return [error_finding(about, f"{what} Requests from Slack are rejected.", _CLOCK_FIX)]
    return [warning_finding(about, what, _CLOCK_FIX)]
