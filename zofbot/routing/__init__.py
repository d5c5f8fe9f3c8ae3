"""Subscriptions: what a channel wants to be told, how that is typed, and whether a finding is meant by it."""

from __future__ import annotations

from zofbot.routing.finding import EventType, PlatformEvent, RunFinding
from zofbot.routing.matching import MatchResult, match_subscription
from zofbot.routing.quiet import is_quiet, quiet_until
from zofbot.routing.spelling import format_filters, parse_filters
from zofbot.routing.subscription import Broadcast, Grouping, Layout, QuietHours, Subscription, Threshold

__all__ = [
    "Broadcast",
    "EventType",
    "Grouping",
    "Layout",
    "MatchResult",
    "PlatformEvent",
    "QuietHours",
    "RunFinding",
    "Subscription",
    "Threshold",
    "format_filters",
    "is_quiet",
    "match_subscription",
    "parse_filters",
    "quiet_until",
]
