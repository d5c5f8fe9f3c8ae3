"""The life of a failure that people work on: its states, who may have moved it there, and what follows by itself."""

from __future__ import annotations

from zofbot.triage.life import TABLE, Act, Course, Illegal, State, Triage, Who, Wish, act, current, stand_in_storm
from zofbot.triage.policy import Policy, Step

__all__ = [
    "TABLE",
    "Act",
    "Course",
    "Illegal",
    "Policy",
    "State",
    "Step",
    "Triage",
    "Who",
    "Wish",
    "act",
    "current",
    "stand_in_storm",
]
