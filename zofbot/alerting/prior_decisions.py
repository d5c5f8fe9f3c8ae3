"""Record what was decided about each run, so that reading it again sends nothing twice."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from zofbot.alerting.state import DECISION_TTL_SECONDS, DecisionBuilder, decisions_hash

ALL_CHANNELS = "*"
"""Channel name that stands for all channels, recorded for a run from before the look-back."""
_MAX_RUNS_BEFORE_PRUNE = 64


class DecisionKind(StrEnum):
    """What was decided about a run for a channel."""

    TOLD = "t"
    BELOW = "b"
    STORM = "s"
    OLD = "o"


class PriorDecision(NamedTuple):
    """What was decided, and how many of the run's failures matched then."""

    how: DecisionKind
    failures: int


def prior_decisions(draft: DecisionBuilder, run_id: str) -> dict[str, PriorDecision]:
    """Return what was decided about a run, by channel."""
    words = draft.read_hash(decisions_hash(run_id)).get(run_id, "").split()[1:]
    parted = (word.partition("=") for word in words)
    return {channel: PriorDecision(DecisionKind(what[0]), int(what[1:])) for channel, _, what in parted}


def record_decision(draft: DecisionBuilder, run_id: str, channel: str, what: PriorDecision) -> None:
    """Record a decision about a run, and prune those older than ``DECISION_TTL_SECONDS``."""
    name = decisions_hash(run_id)
    known = {**prior_decisions(draft, run_id), channel: what}
    words = [f"{there}={item.how}{item.failures}" for there, item in known.items()]
    if len(draft.read_hash(name)) >= _MAX_RUNS_BEFORE_PRUNE:
        aged = draft.now - DECISION_TTL_SECONDS
        draft.delete_fields(
            name, [run for run, value in draft.read_hash(name).items() if float(value.split()[0]) < aged]
        )
    draft.set_field(name, run_id, " ".join([f"{draft.now:.0f}", *words]))
