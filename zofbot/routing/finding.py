"""What was found at Zof: a run with the failures in it, or a notice that concerns no single run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from zofbot.model import Outcome, Result, Run
from zofbot.routing.attempts import last_attempts


class On(StrEnum):
    """What a subscription may ask for."""

    FAILED = "failed"
    ERROR = "error"
    RECOVERED = "recovered"
    GATE = "gate"
    AGENT = "agent"
    INTEGRATION = "integration"
    PLAN = "plan"
    PASSED_WITH_FAILURES = "passed-with-failures"
    """A run that Zof calls passed though cases failed in it, as it does where those are quarantined."""


NOTICES = {
    "release.gate_blocked": On.GATE,
    "agent.offline": On.AGENT,
    "integration.error": On.INTEGRATION,
    "remediation.plan_pending": On.PLAN,
}
"""Zof's event types that become notices (https://zof.ai/docs/webhooks/events)."""


def case_of(result: Result) -> str:
    """What makes two results the same case: its id, else its title, else nothing but itself."""
    return result.case_id or result.title or result.id


@dataclass(frozen=True)
class Finding:
    """One run with its failed and errored results, the last of each case.

    ``happened`` is in Unix seconds by Zof's clock, which may be ahead of ours. ``total`` counts all bad results when
    Zof has more of them than were read. ``passed`` has the cases (as ``case_of`` names them) that are known to have
    passed in this run. ``retried`` are the bad results that another attempt at the same case came after.
    """

    run: Run
    happened: float
    bad: tuple[Result, ...] = ()
    total: int = 0
    passed: frozenset[str] = frozenset()
    retried: tuple[Result, ...] = ()

    @classmethod
    def of(cls, run: Run, results: Iterable[Result], *, total: int | None = None, otherwise: float) -> Finding:
        """Sort out what was read of a run, once each; ``otherwise`` (Unix seconds) stands in for an unknown time."""
        read = {result.id: result for result in results}
        last = last_attempts(read.values())
        kept = {result.id for result in last}
        retried = sorted(
            (one for one in read.values() if one.outcome.bad and one.id not in kept), key=lambda one: one.id
        )
        bad = tuple(sorted((one for one in last if one.outcome.bad), key=lambda one: (one.title or "", one.id)))
        passed = frozenset(case_of(one) for one in last if one.outcome is Outcome.PASSED)
        times = [one.happened for one in read.values() if one.happened is not None]
        happened = run.happened if run.happened is not None else max(times, default=otherwise)
        counted = run.counts.bad - len(retried) if total is None else total  # Zof may count cases or attempts
        return cls(run, happened, bad, max(len(bad), counted), passed - {case_of(one) for one in bad}, tuple(retried))

    @property
    def outcome(self) -> Outcome:
        """The run's, or that of its worst case where Zof used a word nobody knows."""
        if self.run.outcome is not Outcome.UNKNOWN or not self.bad:
            return self.run.outcome
        return Outcome.FAILED if any(one.outcome is Outcome.FAILED for one in self.bad) else Outcome.ERROR

    @property
    def passed_with_failures(self) -> bool:
        """Whether Zof calls the run passed though cases failed in it."""
        return self.run.outcome is Outcome.PASSED and self.total > 0

    @property
    def ended(self) -> bool:
        """Whether the run is over; of an unknown word, its end time tells."""
        return self.run.outcome.final or (self.run.outcome is Outcome.UNKNOWN and self.run.ended is not None)

    @property
    def partial(self) -> bool:
        """Whether Zof has bad results that were not read."""
        return self.total > len(self.bad)

    @property
    def project(self) -> str:
        return self.run.project_id or self.run.project_name or ""

    @property
    def projects(self) -> Collection[str]:
        """Every name by which people may mean the project."""
        return [name for name in (self.run.project_id, self.run.project_name) if name]

    @property
    def environment(self) -> str:
        return self.run.environment or ""


@dataclass(frozen=True)
class Notice:
    """Something of Zof's own to tell once: ``id`` is the object's it is about, never the event's."""

    event: On
    id: str
    happened: float
    said: str = ""
    run_id: str = ""
    projects: tuple[str, ...] = ()
    environment: str = ""
