"""Triage: the states of a failure, the actions that change them, and what happens automatically."""

from __future__ import annotations

from zofbot.triage.actions import ActionRequest, IllegalAction, apply_action
from zofbot.triage.automatic_changes import effective_record, find_reopening, merge_storm_record, split_storm_record
from zofbot.triage.escalation_policy import EscalationPolicy, EscalationStep
from zofbot.triage.record import Actor, RunFacts, TriageRecord
from zofbot.triage.rerun import Rerun, parse_active_rerun
from zofbot.triage.state_machine import TRANSITIONS, Action, TriageState

__all__ = [
    "TRANSITIONS",
    "Action",
    "ActionRequest",
    "Actor",
    "EscalationPolicy",
    "EscalationStep",
    "IllegalAction",
    "Rerun",
    "RunFacts",
    "TriageRecord",
    "TriageState",
    "apply_action",
    "effective_record",
    "find_reopening",
    "merge_storm_record",
    "parse_active_rerun",
    "split_storm_record",
]
