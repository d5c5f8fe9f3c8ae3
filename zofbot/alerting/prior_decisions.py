"""Record what was decided about each run, so that reading it again sends nothing twice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from zofbot.alerting.state import DECISION_TTL_SECONDS, MOVED_CHANNELS, DecisionBuilder, decisions_hash
from zofbot.alerting.stored_state import parse_stored

ALL_CHANNELS = "*"
"""Channel name that stands for all channels, recorded for a run from before the look-back."""
_MAX_RUNS_BEFORE_PRUNE = 64


class DecisionKind(StrEnum):
    """What was decided about a run for a channel."""

    NOTIFIED = "t"
    BELOW_THRESHOLD = "b"
    STORM = "s"
    OLD = "o"


class PriorDecision(NamedTuple):
    """The kind of decision, how many of the run's failures matched then, and a digest of the cases that had failed.

    The digest is of the cases that matched and of all that failed in an earlier attempt, so a retry that passes does
    not change it; empty if it is not known.
    """

    kind: DecisionKind
    failures: int
    cases: str = ""

    def covers(self, failures: int, cases: str) -> bool:
        """Whether it was about these failures: if no more match now, they are others if the digest has changed."""
        has_changed = failures > 0 and self.cases not in ("", cases)
        return failures <= self.failures and not has_changed


class RunDecisions(NamedTuple):
    """What was decided about a run by channel, and when first (whole Unix seconds); infinity if it was not."""

    first: float = math.inf
    by_channel: Mapping[str, PriorDecision] = MappingProxyType({})


def read_decisions(draft: DecisionBuilder, run_id: str) -> RunDecisions:
    """Return what was decided about a run; of a channel whose id has changed, by both ids."""
    stored = draft.read_hash(decisions_hash(run_id)).get(run_id)
    if not stored:
        return RunDecisions()
    first, known = parse_stored("decisions", stored, _parse_decisions, RunDecisions())
    moved = draft.read_hash(MOVED_CHANNELS)
    return RunDecisions(first, {moved.get(channel, channel): what for channel, what in known.items()} | {**known})


def _parse_decisions(stored: str) -> RunDecisions:
    first, *words = stored.split()
    parted = (word.partition("=") for word in words)
    return RunDecisions(float(first), {channel: _parse_decision(what) for channel, _, what in parted})


def _parse_decision(stored: str) -> PriorDecision:
    failures, _, cases = stored[1:].partition("/")
    return PriorDecision(DecisionKind(stored[0]), int(failures), cases)


def _parse_time(stored: str) -> float:
    return float(stored.split(maxsplit=1)[0])


def record_decision(draft: DecisionBuilder, run_id: str, channel: str, what: PriorDecision) -> None:
    """Record a decision about a run, at the time of its first, and prune those older than ``DECISION_TTL_SECONDS``."""
    name = decisions_hash(run_id)
    before = read_decisions(draft, run_id)
    known = {**before.by_channel, channel: what}
    words = [f"{there}={item.kind}{item.failures}/{item.cases}".rstrip("/") for there, item in known.items()]
    if len(draft.read_hash(name)) >= _MAX_RUNS_BEFORE_PRUNE:
        aged = draft.now - DECISION_TTL_SECONDS
        times = {run: parse_stored("decisions", each, _parse_time, 0.0) for run, each in draft.read_hash(name).items()}
        draft.delete_fields(name, [run for run, at in times.items() if at < aged])
    draft.set_field(name, run_id, " ".join([f"{min(before.first, draft.now):.0f}", *words]))
