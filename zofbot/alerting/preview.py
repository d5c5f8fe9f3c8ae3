"""Preview what a subscription would have posted over the last days, using the real rules; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from zofbot.alerting.rules import decide_batch
from zofbot.alerting.state import RuleState
from zofbot.domain.model import Outcome, Result, Run
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.notifications.preview_result import PreviewResult
from zofbot.subscriptions import EventType, RunFinding, Subscription, match_subscription
from zofbot.subscriptions.events import PLATFORM_EVENT_TYPES
from zofbot.subscriptions.quiet_hours import find_zone

DAY_SECONDS = 86400.0


class PreviewSimulation:
    """Applies the rules to past findings in order of time, as if the subscription had always existed."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = without_start_date(subscription)
        self._memory = RuleState()
        self._told: dict[str, Notification] = {}

    def play_findings(self, findings: Iterable[RunFinding]) -> None:
        """Decide on each finding as of its own time; none may be older than one passed in an earlier call."""
        for finding in sorted(findings, key=lambda finding: finding.happened):
            decision = decide_batch(
                [finding], [self._subscription], self._memory, finding.happened, lookback=DAY_SECONDS
            )
            self._memory = self._memory.with_changes(decision.changes)
            self._told |= {
                notification.key: notification
                for notification in decision.notifications
                if notification.kind is not NotificationKind.EDIT
            }

    def preview_result(self, *, partial: bool = False) -> PreviewResult:
        """Return what would have been posted; days are in the time zone of the quiet hours, or UTC."""
        seen = [
            item for item in self._told.values() if item.kind is NotificationKind.ROOT or item.body.get("broadcast")
        ]
        here = (find_zone(self._subscription.quiet.zone) if self._subscription.quiet else None) or UTC
        days = Counter(datetime.fromtimestamp(max(item.happened, item.not_before), here).date() for item in seen)
        day, worst = max(days.items(), key=lambda pair: (pair[1], pair[0]), default=(None, 0))
        unlisted = any(item in PLATFORM_EVENT_TYPES.values() for item in self._subscription.on)
        return PreviewResult(len(seen), worst, day, len(self._told) - len(seen), partial, unlisted)


def without_start_date(subscription: Subscription) -> Subscription:
    """Return a copy created at time 0, so that it matches failures of any age."""
    return subscription.model_copy(update={"created": 0.0})


def assemble_findings(runs: Iterable[Run], results: Iterable[Result], since: float, now: float) -> list[RunFinding]:
    """Combine separately listed runs and results into findings from ``since`` to ``now`` (Unix seconds).

    If a result's run is not among ``runs``, the run is inferred from its results.
    """
    by_run: dict[str, dict[str, Result]] = {}
    for result in results:
        by_run.setdefault(result.run_id or result.id, {})[result.id] = result
    known = {run.id: run for run in runs}
    for name, own in by_run.items():
        if name not in known:
            known[name] = _infer_run(name, list(own.values()))
    found = [
        RunFinding.from_results(run, _merge_results(run, by_run.get(run.id, {})), otherwise=-1)
        for run in known.values()
    ]
    return sorted((item for item in found if since <= item.happened <= now), key=lambda item: item.happened)


def matches_any_finding(subscription: Subscription, found: Iterable[RunFinding]) -> bool:
    """Whether a subscription matches any of the findings, whatever their age."""
    asks = without_start_date(subscription)
    return any(match_subscription(asks, item).matched for item in found)


def wants_recoveries(subscription: Subscription) -> bool:
    """True if passing runs matter to this subscription: it reports recoveries, or they reset its counts or cases."""
    asked = {EventType.RECOVERED, EventType.PASSED_WITH_FAILURES} & {*subscription.on}
    in_a_row = subscription.after is not None and subscription.after.in_a_row
    return bool(asked) or in_a_row or subscription.group == "case"


def _merge_results(run: Run, listed: dict[str, Result]) -> Iterable[Result]:
    return {**{result.id: result for result in run.results or ()}, **listed}.values()


def _infer_run(name: str, results: Sequence[Result]) -> Run:
    """Infer an unlisted run from its results; its outcome is failed or error if a result's is, else unknown."""
    outcomes = {result.outcome for result in results}
    outcome = next((item for item in (Outcome.FAILED, Outcome.ERROR) if item in outcomes), Outcome.UNKNOWN)
    latest = max(results, key=lambda result: result.latest_time.timestamp() if result.latest_time else 0.0)
    where = latest.model_dump(include={"project_id", "project_name", "environment"})
    return Run(id=name, outcome=outcome, ended=latest.latest_time, **where)
