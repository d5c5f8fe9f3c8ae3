"""Match findings against subscriptions, and explain which filter did not match."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from zofbot.domain.extra_fields import values_of
from zofbot.domain.model import Outcome, Result, Run
from zofbot.subscriptions.case_history import CaseStanding
from zofbot.subscriptions.events import EventType, PlatformEvent, RunFinding
from zofbot.subscriptions.model import Subscription
from zofbot.subscriptions.patterns import excluding_patterns, including_patterns, matches_any, matches_patterns

CLOCK_GRACE_SECONDS = 60.0
"""Seconds by which Zof's clock may be behind ours without a new failure counting as older than a subscription."""

_EVENT_BY_OUTCOME = {Outcome.FAILED: EventType.FAILED, Outcome.ERROR: EventType.ERROR}


@dataclass(frozen=True)
class MatchResult:
    """Whether a subscription matched; if not, ``field`` is the filter, which ``wanted`` something else than ``found``.

    ``names`` are all names compared if ``found`` shows only some. ``results`` are the bad results that match; empty
    for a failed run of which no case is known.
    """

    matched: bool
    field: str = ""
    sentence: str = ""
    found: Collection[str] = ()
    names: Collection[str] = ()
    wanted: Sequence[str] = ()
    results: tuple[Result, ...] = ()

    @property
    def reason_text(self) -> str:
        """Why it did not match, as a sentence; built on demand because most subscriptions do not match."""
        if self.matched or self.sentence:
            return self.sentence
        is_ = " / ".join(self.found) if self.found else "unknown"
        barred = [
            pattern for pattern in excluding_patterns(self.wanted) if matches_any([pattern], self.names or self.found)
        ]
        wanted = f"not {' or '.join(barred)}" if barred else _describe_patterns(self.wanted)
        return f"{self.field} is {is_}, wanted {wanted}"


def match_subscription(subscription: Subscription, finding: RunFinding | PlatformEvent) -> MatchResult:
    """Test a finding against each filter of a subscription."""
    missed = _match_location(subscription, finding)
    if missed:
        return missed
    if isinstance(finding, PlatformEvent):
        return MatchResult(True) if finding.event in subscription.on else _event_mismatch(subscription, finding.event)
    return _match_failures(subscription, finding)


def matches_location(subscription: Subscription, finding: RunFinding | PlatformEvent) -> bool:
    """Whether the subscription's project and environment filters match."""
    return matches_patterns(subscription.project, finding.projects) and matches_patterns(
        subscription.env, _environment_names(finding)
    )


def _environment_names(finding: RunFinding | PlatformEvent) -> Sequence[str]:
    return (finding.environment,) if finding.environment else ()


def _match_location(subscription: Subscription, finding: RunFinding | PlatformEvent) -> MatchResult | None:
    if not matches_patterns(subscription.project, finding.projects):
        return _filter_mismatch("project", finding.projects, subscription.project)
    if not matches_patterns(subscription.env, _environment_names(finding)):
        return _filter_mismatch("env", _environment_names(finding), subscription.env)
    if finding.happened < subscription.created - CLOCK_GRACE_SECONDS:
        return MatchResult(False, "created", "it failed before this subscription was created")
    return None


def _match_failures(subscription: Subscription, finding: RunFinding) -> MatchResult:
    if not finding.outcome.is_bad and not finding.passed_with_failures:
        return MatchResult(False, "on", "nothing failed")
    asked = [result for result in finding.failures if _required_event(finding, result.outcome) in subscription.on]
    if not asked:
        return _match_run(subscription, finding)
    wanted_standing = [result for result in asked if _wants_standing(subscription, finding, result)]
    if not wanted_standing:
        return _standing_mismatch(subscription, {finding.standing_of(result) for result in asked})
    return _match_results(subscription, finding, wanted_standing)


def _match_results(subscription: Subscription, finding: RunFinding, asked: list[Result]) -> MatchResult:
    """Return the results that pass the filters of each failure, or the first filter that none passes."""
    for name, find_names in _RESULT_FILTERS.items():
        wanted = getattr(subscription, name)
        matching = [result for result in asked if matches_patterns(wanted, find_names(finding.run, result))]
        if not matching:
            names = [each for result in asked for each in find_names(finding.run, result)]
            shown = {result.title or result.id for result in asked} if name == "case" else set(names)
            return MatchResult(False, name, found=sorted(shown)[:3], names=names, wanted=wanted)
        asked = matching
    return MatchResult(True, results=tuple(asked))


def _wants_standing(subscription: Subscription, finding: RunFinding, result: Result) -> bool:
    return not subscription.standings or finding.standing_of(result) in subscription.standings


def _required_event(finding: RunFinding, outcome: Outcome) -> EventType:
    """Return the event type that a subscription must select to get results with this outcome in this run."""
    return EventType.PASSED_WITH_FAILURES if finding.passed_with_failures else _EVENT_BY_OUTCOME[outcome]


def _match_run(subscription: Subscription, finding: RunFinding) -> MatchResult:
    """Match a run without a matching known result; it may match as a whole if some results were not read."""
    known = {result.outcome for result in finding.failures} if not finding.is_partial else set()
    for outcome in sorted(known or {finding.outcome}):
        event = _required_event(finding, outcome)
        if event not in subscription.on:
            return _event_mismatch(subscription, event)
    if subscription.standings and CaseStanding.NEW not in subscription.standings:
        return _standing_mismatch(subscription, {CaseStanding.NEW})  # without cases there is no history
    for name, find_names in _RESULT_FILTERS.items():
        names, wanted = find_names(finding.run, Result(id="")), getattr(subscription, name)
        if not matches_patterns(wanted, names):
            return _filter_mismatch(name, names, wanted)
    return MatchResult(True)


def case_names(result: Result) -> list[str]:
    """Return the id and title of a result's case, without empty ones."""
    return [name for name in (result.case_id, result.title) if name]


def _names_of(label: str) -> Callable[[Run, Result], list[str]]:
    def find_names(run: Run, result: Result) -> list[str]:
        return list(values_of(result.extras, label) or values_of(run.extras, label))

    return find_names


def _owner_names(run: Run, result: Result) -> list[str]:
    """Return the owners of a result with and without the ``@`` that an owners file puts before them."""
    owners = _names_of("owner")(run, result)
    return [*owners, *(owner.removeprefix("@") for owner in owners if owner.startswith("@"))]


_RESULT_FILTERS: dict[str, Callable[[Run, Result], list[str]]] = {
    "case": lambda _, result: case_names(result),
    "branch": _names_of("branch"),
    "tag": _names_of("tags"),
    "owner": _owner_names,
}
"""Filters that each failure passes or not, with the names compared."""


def _filter_mismatch(name: str, found: Collection[str], wanted: Sequence[str]) -> MatchResult:
    return MatchResult(False, name, found=found, wanted=wanted)


def _describe_patterns(patterns: Sequence[str]) -> str:
    wanted, barred = " or ".join(including_patterns(patterns)), " or ".join(excluding_patterns(patterns))
    return ", ".join(part for part in (wanted, barred and f"not {barred}") if part)


def _standing_mismatch(subscription: Subscription, found: Collection[CaseStanding]) -> MatchResult:
    is_, wanted = " and ".join(sorted(found)), " or ".join(subscription.standings)
    return MatchResult(False, "on", f"its failures are {is_}, wanted {wanted}")


def _event_mismatch(subscription: Subscription, event: EventType) -> MatchResult:
    wanted = ", ".join(subscription.on)
    return MatchResult(False, "on", f"its event is {event.value}, wanted {wanted}")
