"""Subscriptions: which failures a channel wants, how that is typed, and whether a finding matches."""

from __future__ import annotations

from zofbot.subscriptions.events import EventType, PlatformEvent, RunFinding
from zofbot.subscriptions.filters import format_filters, parse_filters
from zofbot.subscriptions.matching import MatchResult, match_subscription
from zofbot.subscriptions.model import Broadcast, Grouping, Layout, QuietHours, Subscription, Threshold
from zofbot.subscriptions.quiet_hours import is_quiet, quiet_until

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
