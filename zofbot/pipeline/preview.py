"""What a subscription would have posted over the last days, by the rules that will decide what it posts; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from zofbot.model import Outcome, Result, Run
from zofbot.notification import Kind, Notification
from zofbot.pipeline.memory import Memory
from zofbot.pipeline.rules import decide_all
from zofbot.routing import Finding, On, Subscription, match
from zofbot.routing.finding import NOTICES
from zofbot.routing.quiet import zone
from zofbot.slack.foresight import Foresight

DAY = 86400.0


class Rehearsal:
    """Plays findings to one subscription, in the order in which they happened, as though it had always been there."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = always(subscription)
        self._memory = Memory()
        self._told: dict[str, Notification] = {}

    def play(self, findings: Iterable[Finding]) -> None:
        """Decide on each at the moment at which it happened; none may be older than one that was played before."""
        for finding in sorted(findings, key=lambda one: one.happened):
            decision = decide_all([finding], [self._subscription], self._memory, finding.happened, lookback=DAY)
            self._memory = self._memory.changed(decision.changes)
            self._told |= {one.key: one for one in decision.notifications if one.kind is not Kind.EDIT}

    def outcome(self, *, partial: bool = False) -> Foresight:
        """What was posted; days are those of the quiet hours' zone."""
        seen = [one for one in self._told.values() if one.kind is Kind.ROOT or one.body.get("broadcast")]
        here = (zone(self._subscription.quiet.zone) if self._subscription.quiet else None) or UTC
        days = Counter(datetime.fromtimestamp(max(one.happened, one.not_before), here).date() for one in seen)
        day, worst = max(days.items(), key=lambda pair: (pair[1], pair[0]), default=(None, 0))
        unlisted = any(one in NOTICES.values() for one in self._subscription.on)
        return Foresight(len(seen), worst, day, len(self._told) - len(seen), partial, unlisted)


def always(subscription: Subscription) -> Subscription:
    """The same, as though it had been made before everything."""
    return subscription.model_copy(update={"created": 0.0})


def findings(runs: Iterable[Run], results: Iterable[Result], since: float, now: float) -> list[Finding]:
    """Put together what Zof's listings show apart, as far as it happened between ``since`` and ``now`` (Unix seconds).

    Of a result whose run is not among ``runs``, as much of the run is made out as the result says of it.
    """
    by_run: dict[str, dict[str, Result]] = {}
    for result in results:
        by_run.setdefault(result.run_id or result.id, {})[result.id] = result
    known = {run.id: run for run in runs}
    for name, own in by_run.items():
        if name not in known:
            known[name] = _made_out(name, list(own.values()))
    found = [Finding.of(run, _all(run, by_run.get(run.id, {})), otherwise=-1) for run in known.values()]
    return sorted((one for one in found if since <= one.happened <= now), key=lambda one: one.happened)


def means_any(subscription: Subscription, found: Iterable[Finding]) -> bool:
    """Whether a subscription means any of it at all."""
    asks = always(subscription)
    return any(match(asks, one).matched for one in found)


def recovers(subscription: Subscription) -> bool:
    """Whether it matters to a subscription what passed: to be told of it, or because a case then starts afresh."""
    asked = {On.RECOVERED, On.PASSED_WITH_FAILURES} & {*subscription.on}
    in_a_row = subscription.after is not None and subscription.after.in_a_row
    return bool(asked) or in_a_row or subscription.group == "case"


def _all(run: Run, listed: dict[str, Result]) -> Iterable[Result]:
    return {**{result.id: result for result in run.results or ()}, **listed}.values()


def _made_out(name: str, results: Sequence[Result]) -> Run:
    """A run that was not listed, from its results; one that failed is what its worst result says."""
    outcomes = {result.outcome for result in results}
    outcome = next((one for one in (Outcome.FAILED, Outcome.ERROR) if one in outcomes), Outcome.UNKNOWN)
    latest = max(results, key=lambda result: result.when.timestamp() if result.when else 0.0)
    where = latest.model_dump(include={"project_id", "project_name", "environment"})
    return Run(id=name, outcome=outcome, ended=latest.when, **where)
