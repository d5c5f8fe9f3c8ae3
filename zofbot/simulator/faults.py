"""Fault injection for the simulated servers: which fault, how often, and for which requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zofbot.simulator.slack import broken_replies

ZOF_FAULTS: Mapping[str, str] = {
    "none": "No fault",
    "429": "Too many requests, wait 2 s",
    "429_long": "Too many requests, wait 90 s",
    "500": "Internal error (500)",
    "503": "Unavailable (503)",
    "slow": "Slow: responds after 3 s",
    "hang": "Hangs: responds after 15 s",
    "html": "HTML instead of JSON",
    "truncated": "JSON cut in half",
    "401": "Key revoked (401)",
    "403": "Key lacks permission (403)",
    "cut": "Connection closed without a response",
    "huge": "A 6 MiB response",
    "bomb": "A decompression bomb",
}
SLACK_FAULTS: Mapping[str, str] = {
    "none": "No fault",
    "429": "Too many requests, wait 1 s",
    "429_fraction": "Too many requests, wait 0.5 s",
    "500": "Internal error (500)",
    "502": "Bad gateway (502)",
    "cut": "Connection closed before storing",
    "store_then_500": "Stores, then returns 500",
    "store_then_cut": "Stores, then closes the connection",
    "slow": "Slow: stores, responds after 9 s",
    "invalid_auth": "Token revoked",
    "view_too_large": "Rejects a view",
    "invalid_blocks": "Rejects a message's blocks",
    "ratelimited_200": "Returns ratelimited with HTTP 200",
    **{fault: label for fault, (label, _) in broken_replies.BROKEN_REPLIES.items()},
    **{f"store_then_{fault}": f"Stores, then: {label}" for fault, (label, _) in broken_replies.BROKEN_REPLIES.items()},
}
ERROR_PREFIX = "error:"
"""Prefix of a Slack fault with any error code, such as ``error:team_added_to_org``; may follow ``store_then_``."""
RESPONSE_URL_TARGET = "response_url"
"""Target of faults for response URLs, which other faults do not affect."""


@dataclass
class FaultInjector:
    """The active fault of one server. ``left`` counts the requests still to fail (``None``: until changed)."""

    choices: Mapping[str, str]
    delays: dict[str, float]
    """Delays of slow faults in seconds; tests shorten them."""
    current: str = "none"
    left: int | None = None
    only: str | tuple[str, ...] = ""
    """Prefix of the paths or methods affected, or several; empty means all."""

    def set_fault(self, fault: str, times: int | None = None, only: str | tuple[str, ...] = "") -> None:
        """Activate a fault. Raises ``ValueError`` for an unknown fault or a count below one."""
        if fault not in self.choices and not (self.choices is SLACK_FAULTS and ERROR_PREFIX in fault):
            raise ValueError(f"There is no fault named {fault!r}.")
        if times is not None and times < 1:
            raise ValueError("A fault has to hit at least one request.")
        self.current, self.left, self.only = fault, times if fault != "none" else None, only

    def take_fault(self, where: str) -> str:
        """Return and count the fault for a request to ``where``; ``none`` if it succeeds."""
        if self.current == "none" or not where.startswith(self.only):
            return "none"
        hit = self.current
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.set_fault("none")
        return hit
