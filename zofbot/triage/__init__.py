"""The life of a failure that people work on: its states, who may have moved it there, and what follows by itself."""

from __future__ import annotations

from zofbot.triage.life import TABLE, Act, Course, Illegal, State, Triage, Who, Wish, act, current, stand_in_storm
from zofbot.triage.policy import Policy, Step
from zofbot.triage.rerun import Rerun, under_way

__all__ = [
    "TABLE",
    "Act",
    "Course",
    "Illegal",
    "Policy",
    "Rerun",
    "State",
    "Step",
    "Triage",
    "Who",
    "Wish",
    "act",
    "current",
    "stand_in_storm",
    "under_way",
]
