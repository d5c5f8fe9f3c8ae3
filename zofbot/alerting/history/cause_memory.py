"""Memory of causes: for each signature in a project, how often it was seen, and how it was last resolved.

A hash (``causes_hash``) has two fields for each signature, because two writers that do not wait for each other change
them: ``<signature>`` by the poller, and ``<signature>/resolved`` by triage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from pydantic import ValidationError

from zofbot.alerting.state import DecisionBuilder, causes_hash, short_hash
from zofbot.notifications.past_causes import MAX_PAST_CAUSES, PastCause, Resolution
from zofbot.subscriptions import RunFinding

MAX_CAUSES_PER_HASH = 64
"""Signatures kept in one hash, so 1,024 of a project; beyond that the one seen longest ago is deleted."""

MAX_REMEMBERED_RUNS = 10
"""Runs kept for each signature. One that is older than all of them counts as counted before."""

MAX_COUNTED_CAUSES = 100
"""Causes of one run that are counted."""

_RESOLVED = "/resolved"


def resolution_field(signature: str) -> str:
    """Name the field of that hash that holds the signature's last resolution."""
    return signature + _RESOLVED


@dataclass(frozen=True)
class CauseCount:
    """In how many runs a signature was seen, from the ``first`` to the ``last`` (Unix seconds).

    ``runs`` are the latest of them, by digest, with their times: so that no run counts twice.
    """

    first: int
    last: int
    count: int
    runs: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, text: str) -> CauseCount | None:
        """Parse a stored count; return None if a newer version wrote something this version cannot read."""
        first, last, count, *runs = [*text.split(), "", "", ""]
        try:
            return cls(int(first), int(last), int(count), {run: int(at) for run, _, at in map(_split_run, runs) if run})
        except ValueError:
            return None

    def dump(self) -> str:
        runs = (f"{run}@{at}" for run, at in self.runs.items())
        return " ".join([str(self.first), str(self.last), str(self.count), *runs])

    def with_run(self, run_id: str, at: int) -> CauseCount:
        """Return the count with a run added, or the same object if the run was counted before."""
        digest = short_hash(run_id)[:8]
        too_old = len(self.runs) >= MAX_REMEMBERED_RUNS and at < min(self.runs.values())
        if digest in self.runs or too_old:
            return self
        latest = sorted({**self.runs, digest: at}.items(), key=lambda item: (item[1], item[0]))[-MAX_REMEMBERED_RUNS:]
        return CauseCount(min(self.first, at), max(self.last, at), self.count + 1, dict(latest))

    def as_of(self, at: float) -> CauseCount:
        """Return the count without the runs after ``at``, as far as they are among the latest."""
        later = sum(time > at for time in self.runs.values())
        last = max((time for time in self.runs.values() if time <= at), default=self.first)
        return replace(self, last=min(self.last, last), count=self.count - later) if later else self


def record_causes(
    draft: DecisionBuilder, project: str, run_id: str, happened: float, signatures: Iterable[str]
) -> None:
    """Count a run for each signature that failed in it. Counting the same run again changes nothing.

    A count that a later version wrote, and this one cannot read, is left as it is.
    """
    at, changed = int(draft.clamp_to_now(happened)), set()
    for signature in list(dict.fromkeys(signatures))[:MAX_COUNTED_CAUSES]:
        name = causes_hash(project, signature)
        stored = draft.read_hash(name).get(signature)
        known = CauseCount(at, at, 0) if stored is None else CauseCount.load(stored)
        counted = known.with_run(run_id, at) if known else None
        if counted and counted != known:
            draft.set_field(name, signature, counted.dump())
            changed.add(name)
    for name in sorted(changed):
        _prune_causes(draft, name)


def recall_cause(stored: Mapping[str, str], signature: str, at: float = math.inf) -> PastCause | None:
    """Return what a hash remembers of a signature up to a run at ``at``; None if it was never seen before or resolved.

    What came later does not count, so that a run that is read again says what it said at first.
    """
    counted = CauseCount.load(stored.get(signature, ""))
    counted = counted.as_of(at) if counted else None
    resolved = load_resolution(stored.get(resolution_field(signature)))
    if resolved is None and (counted is None or counted.count < 2):
        return None
    counted = counted or CauseCount(0, 0, 0)
    return PastCause(
        signature=signature, count=counted.count, first=counted.first, last=counted.last, resolved=resolved
    )


def recall_causes(
    draft: DecisionBuilder, finding: RunFinding, signatures: Iterable[str], channel: str
) -> tuple[PastCause, ...]:
    """Return what is remembered of the first of the signatures that were seen before, as the channel may see it."""
    at = int(draft.clamp_to_now(finding.happened))
    found = (recall_cause(draft.read_hash(causes_hash(finding.project, each)), each, at) for each in signatures)
    return tuple(past.for_channel(channel) for past in islice(filter(None, found), MAX_PAST_CAUSES))


def load_resolution(stored: str | None) -> Resolution | None:
    """Parse a stored resolution; None for one that this version cannot read."""
    try:
        return Resolution.model_validate_json(stored) if stored else None
    except ValidationError:
        return None


def _prune_causes(draft: DecisionBuilder, name: str) -> None:
    """Delete the signature seen longest ago while there are too many, with its resolution."""
    fields = draft.read_hash(name)
    seen = {field.removesuffix(_RESOLVED) for field in fields}
    if len(seen) <= MAX_CAUSES_PER_HASH:
        return
    counts = {signature: CauseCount.load(fields.get(signature, "")) for signature in seen}
    oldest = sorted(seen, key=lambda signature: (counted.last if (counted := counts[signature]) else 0, signature))
    gone = oldest[: len(seen) - MAX_CAUSES_PER_HASH]
    stored = (field for signature in gone for field in (signature, resolution_field(signature)))
    draft.delete_fields(name, [field for field in stored if field in fields])


def _split_run(word: str) -> tuple[str, str, str]:
    return word.partition("@")
