"""Whether a subscription means a finding, and if not, which of its words stood in the way."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from zofbot.model import Outcome, Result
from zofbot.routing.finding import Finding, Notice, On
from zofbot.routing.subscription import Subscription

GRACE = 60.0
"""Seconds by which Zof's clock may be behind ours before what happens now counts as older than a subscription."""

_ASKED = {Outcome.FAILED: On.FAILED, Outcome.ERROR: On.ERROR}


@dataclass(frozen=True)
class Verdict:
    """Whether it matched; if not, ``field`` is the filter that missed, and ``found`` is not what was ``wanted``.

    ``results`` are the bad results that are meant; empty for a failed run of which no case is known.
    """

    matched: bool
    field: str = ""
    said: str = ""
    found: Collection[str] = ()
    wanted: Sequence[str] = ()
    results: tuple[Result, ...] = ()

    @property
    def why(self) -> str:
        """What stood in the way, in a sentence; put into words only when somebody asks, for most miss."""
        if self.matched or self.said:
            return self.said
        is_ = " / ".join(self.found) if self.found else "not known"
        return f"{self.field} is {is_}, wanted {_in_words(self.wanted)}"


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
    if not finding.outcome.bad:
        return Verdict(False, "on", "nothing failed in it")
    asked = [result for result in finding.bad if _ASKED[result.outcome] in subscription.on]
    meant = tuple(result for result in asked if fits(subscription.case, _names(result)))
    if meant:
        return Verdict(True, results=meant)
    if asked:
        return _missed("case", sorted({result.title or result.id for result in asked})[:3], subscription.case)
    return _run_alone(subscription, finding)


def _run_alone(subscription: Subscription, finding: Finding) -> Verdict:
    """A run none of whose known results is meant: the run itself may be, when there are results that nobody read."""
    known = {result.outcome for result in finding.bad} if not finding.partial else set()
    for outcome in sorted(known or {finding.outcome}):
        if _ASKED[outcome] not in subscription.on:
            return _not_asked(subscription, _ASKED[outcome])
    return Verdict(True) if fits(subscription.case, ()) else _missed("case", (), subscription.case)


def fits(patterns: Sequence[str], names: Collection[str]) -> bool:
    """Whether any name is included (all are when nothing is) and none is excluded; case is ignored."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("-")]
    barred = [pattern[1:] for pattern in patterns if pattern.startswith("-")]
    return (not wanted or _any(wanted, names)) and not _any(barred, names)


def _any(patterns: Sequence[str], names: Collection[str]) -> bool:
    return any(_glob(pattern)(name.casefold()) for pattern in patterns for name in names)


@lru_cache(4096)
def _glob(pattern: str) -> Callable[[str], object]:
    return re.compile(fnmatch.translate(pattern.casefold())).match


def _names(result: Result) -> list[str]:
    return [name for name in (result.case_id, result.title) if name]


def _missed(name: str, found: Collection[str], wanted: Sequence[str]) -> Verdict:
    return Verdict(False, name, found=found, wanted=wanted)


def _in_words(patterns: Sequence[str]) -> str:
    wanted = " or ".join(pattern for pattern in patterns if not pattern.startswith("-"))
    barred = " or ".join(pattern[1:] for pattern in patterns if pattern.startswith("-"))
    return ", ".join(part for part in (wanted, barred and f"not {barred}") if part)


def _not_asked(subscription: Subscription, event: On) -> Verdict:
    wanted = ", ".join(subscription.on)
    return Verdict(False, "on", f"it is about {event.value}, wanted {wanted}")
