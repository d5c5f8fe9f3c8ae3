"""Record what was decided about each run, so that reading it again sends nothing twice."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from zofbot.alerting.state import DECISION_TTL_SECONDS, MOVED_CHANNELS, DecisionBuilder, decisions_hash, short_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.domain.model import Result
from zofbot.subscriptions.events import case_key

ALL_CHANNELS = "*"
"""Channel name that stands for all channels, recorded for a run from before the look-back."""
MAX_KNOWN_CASES = 64
"""Cases of a run remembered with a decision; if more have failed, only their number is."""
_DIGEST_CHARS = 6
_MAX_RUNS_BEFORE_PRUNE = 64


class DecisionKind(StrEnum):
    """What was decided about a run for a channel."""

    NOTIFIED = "t"
    BELOW_THRESHOLD = "b"
    STORM = "s"
    OLD = "o"


class PriorDecision(NamedTuple):
    """What was decided, how many of the run's failures matched then, and the digests of their cases, if known."""

    kind: DecisionKind
    failures: int
    cases: frozenset[str] = frozenset()

    def covers(self, failures: int, cases: frozenset[str]) -> bool:
        """Whether it was about all of these failures; judged by their number if the cases are not known."""
        return failures <= self.failures and (not self.cases or cases <= self.cases)

    def with_earlier(self, before: PriorDecision | None) -> PriorDecision:
        """Return a copy that is also about the failures of an earlier decision."""
        if before is None:
            return self
        are_known = bool(self.cases) and (bool(before.cases) or not before.failures)
        cases = self.cases | before.cases if are_known else frozenset[str]()
        return self._replace(
            failures=max(self.failures, before.failures), cases=cases if len(cases) <= MAX_KNOWN_CASES else frozenset()
        )


def digest_cases(results: Collection[Result]) -> frozenset[str]:
    """Return short digests of the cases of the results; none if there are more than ``MAX_KNOWN_CASES`` results."""
    if len(results) > MAX_KNOWN_CASES:
        return frozenset()
    return frozenset(short_hash(case_key(result))[:_DIGEST_CHARS] for result in results)


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
    parted = [word.partition("=") for word in words]
    digests = {
        (channel, what[1:]): text for name, _, what in parted for channel, slash, text in [name.partition("/")] if slash
    }
    known = {
        channel: PriorDecision(
            DecisionKind(what[0]), int(what[1:]), _split_digests(digests.get((channel, what[1:]), ""))
        )
        for channel, _, what in parted
        if "/" not in channel
    }
    return RunDecisions(float(first), known)


def _format_decisions(decisions: RunDecisions) -> str:
    """Format the decisions; digests are in words of their own, which earlier versions take for further channels.

    Such a word has the number of failures, too: one that an earlier version left beside another number is out of date.
    """
    known = decisions.by_channel.items()
    words = [f"{channel}={item.kind}{item.failures}" for channel, item in known]
    words += [
        f"{channel}/{''.join(sorted(item.cases))}={item.kind}{item.failures}" for channel, item in known if item.cases
    ]
    return " ".join([f"{decisions.first:.0f}", *words])


def _split_digests(digests: str) -> frozenset[str]:
    return frozenset(digests[at : at + _DIGEST_CHARS] for at in range(0, len(digests), _DIGEST_CHARS))


def _parse_time(stored: str) -> float:
    return float(stored.split(maxsplit=1)[0])


def record_decision(draft: DecisionBuilder, run_id: str, channel: str, what: PriorDecision) -> None:
    """Record a decision about a run, at the time of its first, and prune those older than ``DECISION_TTL_SECONDS``."""
    name = decisions_hash(run_id)
    before = read_decisions(draft, run_id)
    known = {**before.by_channel, channel: what}
    if len(draft.read_hash(name)) >= _MAX_RUNS_BEFORE_PRUNE:
        aged = draft.now - DECISION_TTL_SECONDS
        times = {run: parse_stored("decisions", each, _parse_time, 0.0) for run, each in draft.read_hash(name).items()}
        draft.delete_fields(name, [run for run, at in times.items() if at < aged])
    draft.set_field(name, run_id, _format_decisions(RunDecisions(min(before.first, draft.now), known)))
