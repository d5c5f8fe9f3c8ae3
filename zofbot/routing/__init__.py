"""Subscriptions: what a channel wants to be told, how that is typed, and whether a finding is meant by it."""

from __future__ import annotations

from zofbot.routing.finding import Finding, Notice, On
from zofbot.routing.matching import Verdict, match
from zofbot.routing.quiet import in_quiet, quiet_until
from zofbot.routing.spelling import parse, spelled
from zofbot.routing.subscription import After, Broadcast, Group, Layout, Quiet, Subscription

__all__ = [
    "After",
    "Broadcast",
    "Finding",
    "Group",
    "Layout",
    "Notice",
    "On",
    "Quiet",
    "Subscription",
    "Verdict",
    "in_quiet",
    "match",
    "parse",
    "quiet_until",
    "spelled",
]
