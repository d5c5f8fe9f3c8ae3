"""How this machine's clock stands beside others', judged by the ``Date`` of their replies."""

from __future__ import annotations

from zofbot.checkup.finding import Finding, error, ok, warning
from zofbot.spans import TOLERATED, ahead

SIGNED = 300.0
"""Seconds by which the time in a signed request may be off (https://docs.slack.dev/authentication/verifying-requests-from-slack)."""

_MEND = "Let this machine keep its time by NTP, such as with chrony or systemd-timesyncd."


def skew(whose: str, date: str, now: float, *, signs: bool = False) -> list[Finding]:
    """Compare ``date`` with ``now`` (Unix seconds); ``signs``: they sign requests which we refuse when far off.

    Nothing is found where they gave no time.
    """
    off, about = ahead(date, now), f"clock and {whose}'s"
    if off is None:
        return []
    if abs(off) <= TOLERATED:
        return [ok(about, "They agree.")]
    what = f"This machine is {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}."
    if signs and abs(off) >= SIGNED - TOLERATED:
        return [error(about, f"{what} What Slack signs is refused.", _MEND)]
    return [warning(about, what, _MEND)]
