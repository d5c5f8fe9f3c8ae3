"""The words of the form's choices, by the value that each stands for."""

from __future__ import annotations

from zofbot.subscriptions import Broadcast, EventType, Grouping, Layout
from zofbot.subscriptions.case_history import CaseStanding
from zofbot.subscriptions.model import MentionRole

EVENT_LABELS = {
    EventType.FAILED: "Failed (test or product)",
    EventType.ERROR: "Error (platform)",
    EventType.PASSED_WITH_FAILURES: "Passed with failures",
    EventType.RECOVERED: "Recovered",
    EventType.GATE: "Release gate blocked",
    EventType.AGENT: "Agent offline",
    EventType.INTEGRATION: "Integration error",
    EventType.PLAN: "Remediation plan needs approval",
}
FAILURE_LABELS = {
    CaseStanding.NEW: "New (passed before)",
    CaseStanding.KNOWN: "Known (failing since an earlier run)",
    CaseStanding.FLAKY: "Flaky (fails and passes in turn)",
}
GROUPING_LABELS = {
    Grouping.RUN: "One alert per run",
    Grouping.CASE: "One alert per case, across runs",
    Grouping.CAUSE: "One alert per cause, across runs and projects",
}
BROADCAST_LABELS = {
    Broadcast.RELAPSE: "Failing again within 1 hour of recovering",
    Broadcast.WORSE: "Failing again after 6 hours without a failure",
    Broadcast.RECOVERED: "Recovered",
}
ROLE_LABELS = {MentionRole.AUTHOR: "Who made the change", MentionRole.OWNER: "Whom the case belongs to"}
LAYOUT_LABELS = {Layout.THREAD: "Details in the thread", Layout.FLAT: "No thread"}
IN_A_ROW_CHOICE = "row"
WINDOW_LABELS = {
    "10m": "10 minutes",
    "30m": "30 minutes",
    "1h": "1 hour",
    "6h": "6 hours",
    "1d": "1 day",
    "7d": "7 days",
    IN_A_ROW_CHOICE: "in a row, until one passes",
}
DEFAULT_WINDOW = "1h"
DELAY_LABELS = {
    "5m": "5 minutes",
    "10m": "10 minutes",
    "15m": "15 minutes",
    "30m": "30 minutes",
    "45m": "45 minutes",
    "1h": "1 hour",
    "2h": "2 hours",
    "4h": "4 hours",
    "8h": "8 hours",
    "1d": "1 day",
}
