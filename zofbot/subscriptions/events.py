"""Findings from Zof: a run with its failures, or a platform event that is not about a single run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from zofbot.domain.model import Outcome, Result, Run
from zofbot.subscriptions.case_history import CasePast, CaseStanding
from zofbot.subscriptions.case_retries import last_attempts


class EventType(StrEnum):
    """Event types that a subscription may select with ``on:``."""

    FAILED = "failed"
    ERROR = "error"
    RECOVERED = "recovered"
    GATE = "gate"
    AGENT = "agent"
    INTEGRATION = "integration"
    PLAN = "plan"
    PASSED_WITH_FAILURES = "passed-with-failures"
    """A run that Zof reports as passed although cases failed, for example because they are quarantined."""


PLATFORM_EVENT_TYPES = {
    "release.gate_blocked": EventType.GATE,
    "agent.offline": EventType.AGENT,
    "integration.error": EventType.INTEGRATION,
    "remediation.plan_pending": EventType.PLAN,
}
"""Zof's event types that become platform events (https://zof.ai/docs/webhooks/events)."""


ACTIVE_OUTCOMES = frozenset({Outcome.QUEUED, Outcome.RUNNING})


def case_key(result: Result) -> str:
    """Return the key of a result's case: its case id, else its title, else the result's own id."""
    return result.case_id or result.title or result.id


def named_cases(results: Iterable[Result]) -> tuple[str, ...]:
    """Return the keys of the cases that results name by id or title, by which later results of them are recognized."""
    return tuple(dict.fromkeys(filter(None, (result.case_id or result.title for result in results))))


def is_unnamed(result: Result) -> bool:
    """Whether a result does not name its case, so that no later result of it is recognized."""
    return not (result.case_id or result.title)


@dataclass(frozen=True)
class RunFinding:
    """A run with its ``failures``: its failed and errored results, the last attempt at each case.

    ``happened`` is in Unix seconds by Zof's clock, which may be ahead of ours. ``total`` counts all bad results, also
    those that were not read. ``passed`` has the ``case_key`` of each case known to have passed in this run.
    ``retried`` are bad results followed by another attempt at the same case. ``past`` has the past of each failed case
    by its ``case_key``, once the rules have looked it up. ``is_truncated``: Zof lists more results than are read.
    ``missing`` are ids of results that Zof lists as the run's, but not when asked for the results of that run.
    ``is_unlisted``: the results could not be listed. ``has_all_passes``: as many passed results were read as ever are;
    ``lacks_passes``: they may end a failure, and fewer were listed than are counted.
    ``is_active``: the run or a result of it is queued or running. ``is_over``: a webhook or a listed failure shows that
    the run ended, which its own reply does not; ``is_overdue``: nothing does, and it is waited for no longer.
    """

    run: Run
    happened: float
    failures: tuple[Result, ...] = ()
    total: int = 0
    passed: frozenset[str] = frozenset()
    retried: tuple[Result, ...] = ()
    past: Mapping[str, CasePast] = field(default_factory=dict)
    is_truncated: bool = False
    missing: frozenset[str] = frozenset()
    is_unlisted: bool = False
    has_all_passes: bool = False
    lacks_passes: bool = False
    is_active: bool = False
    is_over: bool = False
    is_overdue: bool = False

    @classmethod
    def from_results(
        cls, run: Run, results: Iterable[Result], *, total: int | None = None, otherwise: float, least: float = 0.0
    ) -> RunFinding:
        """Build a finding from a run and its results; ``otherwise`` (Unix seconds) is used if no time is known.

        A run without an end time happened at the latest time of it and its results, and not before ``least``.
        """
        read = {result.id: result for result in results}
        last = last_attempts(read.values())
        kept = {result.id for result in last}
        retried = sorted(
            (item for item in read.values() if item.outcome.is_bad and item.id not in kept), key=lambda item: item.id
        )
        failures = tuple(
            sorted((item for item in last if item.outcome.is_bad), key=lambda item: (item.title or "", item.id))
        )
        passed = frozenset(case_key(item) for item in last if item.outcome is Outcome.PASSED)
        timed = (run,) if run.ended else (run, *read.values())
        times = [item.happened_at for item in timed if item.happened_at is not None] or [otherwise]
        happened = max(times if run.ended else [*times, least])
        counted = run.counts.bad_count - len(retried) if total is None else total  # Zof may count cases or attempts
        return cls(
            run,
            happened,
            failures,
            max(len(failures), counted),
            passed - {case_key(item) for item in failures},
            tuple(retried),
            is_active=any(item.outcome in ACTIVE_OUTCOMES for item in (run, *read.values())),
        )

    @property
    def outcome(self) -> Outcome:
        """The run's outcome, or that of its worst case, read or counted, if Zof's status is unknown."""
        if self.run.outcome is not Outcome.UNKNOWN or not self.total:
            return self.run.outcome
        counted = self.run.counts.failed
        has_failed = any(item.outcome is Outcome.FAILED for item in self.failures) if self.failures else counted
        return Outcome.FAILED if has_failed else Outcome.ERROR

    @property
    def passed_with_failures(self) -> bool:
        """Whether Zof reports the run as passed although cases failed."""
        return self.run.outcome is Outcome.PASSED and self.total > 0

    @property
    def has_ended(self) -> bool:
        """Whether the run has ended: by its status or, if that is unknown, its end time, its results, or the poller."""
        if self.run.outcome is not Outcome.UNKNOWN:
            return self.run.outcome.is_final
        has_failed = bool(self.failures) and not self.is_active
        return self.run.ended is not None or has_failed or self.is_over or self.is_overdue

    @property
    def is_partial(self) -> bool:
        """Whether Zof has, or may have, bad results that were not read."""
        return self.is_unlisted or self.total > len(self.failures)

    def standing_of(self, result: Result) -> CaseStanding:
        """Return what the failure is by the case's earlier outcomes; new if nothing is known of them."""
        past = self.past.get(case_key(result))
        return past.standing if past else CaseStanding.NEW

    @property
    def project(self) -> str:
        return self.run.project_id or self.run.project_name or ""

    @property
    def projects(self) -> Collection[str]:
        """The project's id and name, without empty ones."""
        return [name for name in (self.run.project_id, self.run.project_name) if name]

    @property
    def environment(self) -> str:
        return self.run.environment or ""


@dataclass(frozen=True)
class PlatformEvent:
    """An event of Zof's platform; ``id`` is that of the object it is about, never the event's own. Unix seconds."""

    event: EventType
    id: str
    happened: float
    said: str = ""
    run_id: str = ""
    projects: tuple[str, ...] = ()
    environment: str = ""
