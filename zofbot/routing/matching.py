"""Whether a subscription means a finding, and if not, which of its words stood in the way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from zofbot.model import Outcome, Result
from zofbot.routing.finding import Finding, Notice, On
from zofbot.routing.patterns import excluded, fits, included, matches_any
from zofbot.routing.subscription import Subscription

GRACE = 60.0
"""Seconds by which Zof's clock may be behind ours before what happens now counts as older than a subscription."""

_ASKED = {Outcome.FAILED: On.FAILED, Outcome.ERROR: On.ERROR}


@dataclass(frozen=True)
class Verdict:
    """Whether it matched; if not, ``field`` is the filter that missed, and ``found`` is not what was ``wanted``.

    ``names`` are all names that were compared, where ``found`` shows only some of them.
    ``results`` are the bad results that are meant; empty for a failed run of which no case is known.
    """

    matched: bool
    field: str = ""
    said: str = ""
    found: Collection[str] = ()
    names: Collection[str] = ()
    wanted: Sequence[str] = ()
    results: tuple[Result, ...] = ()

    @property
    def why(self) -> str:
        """What stood in the way, in a sentence; put into words only when somebody asks, for most miss."""
        if self.matched or self.said:
            return self.said
        is_ = " / ".join(self.found) if self.found else "not known"
        barred = [pattern for pattern in excluded(self.wanted) if matches_any([pattern], self.names or self.found)]
        wanted = f"not {' or '.join(barred)}" if barred else _in_words(self.wanted)
        return f"{self.field} is {is_}, wanted {wanted}"


def match(subscription: Subscription, finding: Finding | Notice) -> Verdict:
    """Hold a finding against every filter of a subscription."""
    missed = _place(subscription, finding)
    if missed:
        return missed
    if isinstance(finding, Notice):
        return Verdict(True) if finding.event in subscription.on else _not_asked(subscription, finding.event)
    return _failures(subscription, finding)


def placed(subscription: Subscription, finding: Finding | Notice) -> bool:
    """Whether a subscription means where it happened, whatever it was."""
    return fits(subscription.project, finding.projects) and fits(subscription.env, _environments(finding))


def _environments(finding: Finding | Notice) -> Sequence[str]:
    return (finding.environment,) if finding.environment else ()


def _place(subscription: Subscription, finding: Finding | Notice) -> Verdict | None:
    if not fits(subscription.project, finding.projects):
        return _missed("project", finding.projects, subscription.project)
    if not fits(subscription.env, _environments(finding)):
        return _missed("env", _environments(finding), subscription.env)
    if finding.happened < subscription.created - GRACE:
        return Verdict(False, "created", "it happened before this subscription was made")
    return None


def _failures(subscription: Subscription, finding: Finding) -> Verdict:
    if not finding.outcome.bad and not finding.passed_with_failures:
        return Verdict(False, "on", "nothing failed in it")
    asked = [result for result in finding.bad if _event(finding, result.outcome) in subscription.on]
    meant = tuple(result for result in asked if fits(subscription.case, names_of_case(result)))
    if meant:
        return Verdict(True, results=meant)
    if asked:
        names = [name for result in asked for name in names_of_case(result)]
        shown = sorted({result.title or result.id for result in asked})[:3]
        return Verdict(False, "case", found=shown, names=names, wanted=subscription.case)
    return _run_alone(subscription, finding)


def _event(finding: Finding, outcome: Outcome) -> On:
    """What a subscription has to ask for to be told of such an outcome in this run."""
    return On.PASSED_WITH_FAILURES if finding.passed_with_failures else _ASKED[outcome]


def _run_alone(subscription: Subscription, finding: Finding) -> Verdict:
    """A run none of whose known results is meant: the run itself may be, when there are results that nobody read."""
    known = {result.outcome for result in finding.bad} if not finding.partial else set()
    for outcome in sorted(known or {finding.outcome}):
        event = _event(finding, outcome)
        if event not in subscription.on:
            return _not_asked(subscription, event)
    return Verdict(True) if fits(subscription.case, ()) else _missed("case", (), subscription.case)


def names_of_case(result: Result) -> list[str]:
    """Every name by which people may mean a case."""
    return [name for name in (result.case_id, result.title) if name]


def _missed(name: str, found: Collection[str], wanted: Sequence[str]) -> Verdict:
    return Verdict(False, name, found=found, wanted=wanted)


def _in_words(patterns: Sequence[str]) -> str:
    wanted, barred = " or ".join(included(patterns)), " or ".join(excluded(patterns))
    return ", ".join(part for part in (wanted, barred and f"not {barred}") if part)


def _not_asked(subscription: Subscription, event: On) -> Verdict:
    wanted = ", ".join(subscription.on)
    return Verdict(False, "on", f"it is about {event.value}, wanted {wanted}")
