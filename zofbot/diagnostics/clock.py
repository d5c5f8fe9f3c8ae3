"""How this machine's clock stands beside others', judged by the ``Date`` of their replies."""

from __future__ import annotations

from zofbot.diagnostics.finding import Finding, error_finding, ok_finding, warning_finding
from zofbot.domain.durations import MAX_CLOCK_SKEW_SECONDS, clock_offset

MAX_SIGNED_SKEW_SECONDS = 300.0
"""Seconds by which the time in a signed request may be off (https://docs.slack.dev/authentication/verifying-requests-from-slack)."""

_CLOCK_FIX = "Let this machine keep its time by NTP, such as with chrony or systemd-timesyncd."


def check_clock(whose: str, date: str, now: float, *, signs: bool = False) -> list[Finding]:
    """Compare ``date`` with ``now`` (Unix seconds); ``signs``: they sign requests which we refuse when far off.

    Nothing is found where they gave no time.
    """
    off, about = clock_offset(date, now), f"clock and {whose}'s"
    if off is None:
        return []
    if abs(off) <= MAX_CLOCK_SKEW_SECONDS:
        return [ok_finding(about, "They agree.")]
    what = f"This machine is {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}."
    if signs and abs(off) >= MAX_SIGNED_SKEW_SECONDS - MAX_CLOCK_SKEW_SECONDS:
        return [error_finding(about, f"{what} What Slack signs is refused.", _CLOCK_FIX)]
    return [warning_finding(about, what, _CLOCK_FIX)]
