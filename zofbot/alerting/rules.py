"""Decide what to post about a run or event, in which channels and under which keys; pure, so it can be explained."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from zofbot.alerting import platform_events, reruns
from zofbot.alerting.alerts_in_scope import AlertsInScope
from zofbot.alerting.audience import (
    MatchedSubscription,
    apply_threshold,
    build_audiences,
    match_subscriptions,
    unclaimed_failures,
)
from zofbot.alerting.catchups import DraftSnapshot, schedule_catch_up
from zofbot.alerting.causes import signatures_of
from zofbot.alerting.channel_alerts.builder import AlertBuilder
from zofbot.alerting.channel_alerts.case_alerts import CaseAlertBuilder
from zofbot.alerting.channel_alerts.cause_alerts import CauseAlertBuilder
from zofbot.alerting.channel_alerts.run_alerts import RunAlertBuilder
from zofbot.alerting.counting import end_rows
from zofbot.alerting.history.case_outcomes import with_case_history
from zofbot.alerting.history.cause_memory import record_causes
from zofbot.alerting.holds import CRITICAL, Hold, compute_hold, is_critical, split_by_mutes
from zofbot.alerting.passes import retract_pass
from zofbot.alerting.prior_decisions import (
    ALL_CHANNELS,
    DecisionKind,
    PriorDecision,
    RunDecisions,
    digest_cases,
    read_decisions,
    record_decision,
)
from zofbot.alerting.reasons import (
    READ_BEFORE,
    REASON_BY_PRIOR_KIND,
    DecisionReason,
    SubscriptionDecision,
    build_decision,
    build_held_decision,
    build_mismatch,
)
from zofbot.alerting.recovery import ChannelRecovery, remember_passes
from zofbot.alerting.state import (
    DecisionBuilder,
    HashChanges,
    RuleState,
    alerts_hash,
    scope_key,
    subscribed_channels,
)
from zofbot.domain.model import Outcome
from zofbot.notifications.idempotency import idempotency_key
from zofbot.notifications.notification import Notification
from zofbot.subscriptions import Grouping, MatchResult, PlatformEvent, RunFinding, Subscription

__all__ = [
    "Decision",
    "DecisionReason",
    "HashChanges",
    "PlatformEvent",
    "RuleState",
    "RunFinding",
    "SubscriptionDecision",
    "decide_batch",
    "decide_finding",
    "idempotency_key",
    "skip_reason",
]  # fmt: skip

ALERT_BUILDERS: Mapping[Grouping, type[AlertBuilder]] = {
    Grouping.RUN: RunAlertBuilder,
    Grouping.CASE: CaseAlertBuilder,
    Grouping.CAUSE: CauseAlertBuilder,
}


@dataclass(frozen=True)
class Decision:
    """What to commit in one step, and the reason for each subscription.

    ``changes`` maps hash name and field to the new value (``None`` deletes). The commit fails as a whole if a field
    in ``expected`` has changed.
    """

    notifications: tuple[Notification, ...] = ()
    changes: HashChanges = field(default_factory=dict)
    reasons: tuple[SubscriptionDecision, ...] = ()
    expected: HashChanges = field(default_factory=dict)


def decide_finding(  # noqa: PLR0913  (the last three are settings)
    finding: RunFinding | PlatformEvent,
    subscriptions: Sequence[Subscription],
    memory: RuleState,
    now: float,
    *,
    lookback: float,
    default_channel: str = "",
    critical: Collection[str] = CRITICAL,
) -> Decision:
    """Decide about one finding. Deciding again, with this decision committed or not, sends nothing more.

    What happened more than ``lookback`` seconds before ``now`` is recorded and never sent. ``critical`` environments
    are globs. ``memory`` holds the hashes named by ``RuleState.hash_names``.
    """
    draft = DecisionBuilder(memory, now)
    first = is_critical(finding.environment, critical)
    if isinstance(finding, PlatformEvent):
        return _finish_decision(
            draft, platform_events.decide_platform_event(draft, finding, subscriptions, lookback, critical=first)
        )
    decided = read_decisions(draft, finding.run.id)
    answer = skip_reason(draft, finding, decided, lookback)
    if answer:
        reruns.report_rerun(draft, finding)
        return _finish_decision(draft, [build_decision(subscription, answer) for subscription in subscriptions])
    finding = with_case_history(draft, finding)
    record_causes(draft, finding.project, finding.run.id, finding.happened, signatures_of(finding.failures))
    answers = _match_in_time(finding, subscriptions, decided)
    rest = unclaimed_failures(finding, answers, default_channel)
    answers_and_rest = [*answers, *([rest] if rest else [])]
    retract_pass(draft, scope_key(finding), finding)
    reasons = _decide_failures(draft, finding, answers_and_rest, decided.by_channel, critical=first)
    remember_passes(draft, finding)
    end_rows(draft, finding, answers)
    for channel in sorted(subscribed_channels(subscriptions, default_channel)):
        if not draft.read_hash(alerts_hash(channel, scope_key(finding))):
            continue  # most channels have no open alert in this scope
        for alert in ChannelRecovery(draft, finding, channel, subscriptions).recover_alerts():
            reasons = [_as_recovered(reason) if reason.subscription in alert.takers else reason for reason in reasons]
    reruns.report_rerun(draft, finding)
    return _finish_decision(draft, reasons)


def decide_batch(  # noqa: PLR0913  (as above)
    findings: Iterable[RunFinding | PlatformEvent],
    subscriptions: Sequence[Subscription],
    memory: RuleState,
    now: float,
    *,
    lookback: float,
    default_channel: str = "",
    critical: Collection[str] = CRITICAL,
) -> Decision:
    """Decide about several findings, oldest first, and combine the decisions.

    ``memory`` holds the hashes named by ``RuleState.hash_names`` for any of them.
    """
    notifications: dict[str, Notification] = {}
    changes: dict[str, dict[str, str | None]] = {}
    reasons: list[SubscriptionDecision] = []
    expected: dict[str, dict[str, str | None]] = {}
    for finding in sorted(findings, key=lambda finding: finding.happened):
        decision = decide_finding(
            finding,
            subscriptions,
            memory,
            now,
            lookback=lookback,
            default_channel=default_channel,
            critical=critical,
        )
        memory = memory.with_changes(decision.changes)
        notifications |= {notification.key: notification for notification in decision.notifications}
        for name, fields in decision.expected.items():  # a field that an earlier decision changed is not stored yet
            stored = {key: value for key, value in fields.items() if key not in changes.get(name, {})}
            expected.setdefault(name, {}).update(stored)
        for name, fields in decision.changes.items():
            changes.setdefault(name, {}).update(fields)
        reasons += decision.reasons
    return Decision(tuple(notifications.values()), changes, tuple(reasons), expected)


def _finish_decision(draft: DecisionBuilder, reasons: Iterable[SubscriptionDecision]) -> Decision:
    changes: Mapping[str, Mapping[str, str | None]] = draft.changes
    return Decision(tuple(draft.notifications.values()), changes, tuple(reasons), draft.expected)


def skip_reason(
    draft: DecisionBuilder, finding: RunFinding, decided: RunDecisions, lookback: float
) -> DecisionReason | None:
    """Return why this run notifies nobody, whatever the subscriptions, or None."""
    if finding.run.outcome in (Outcome.CANCELED, Outcome.SKIPPED):
        return DecisionReason.CANCELED
    if not finding.has_ended:
        return DecisionReason.UNFINISHED
    if ALL_CHANNELS in decided.by_channel:
        return DecisionReason.OLD
    if finding.happened < draft.now - lookback and not decided.by_channel:
        if finding.outcome.is_bad:
            record_decision(draft, finding.run.id, ALL_CHANNELS, PriorDecision(DecisionKind.OLD, finding.total))
        return DecisionReason.OLD
    return None


def _match_in_time(
    finding: RunFinding, subscriptions: Sequence[Subscription], decided: RunDecisions
) -> list[tuple[Subscription, MatchResult]]:
    """Match each subscription; one made after the run failed and was decided on does not match.

    Except in a channel for which it was decided on. What fails later in the run is for all.
    """

    def is_too_late(subscription: Subscription) -> bool:
        if subscription.channel in decided.by_channel:
            return False
        return subscription.created > decided.first + 1 and subscription.created >= finding.happened

    return [
        (subscription, READ_BEFORE if match.matched and is_too_late(subscription) else match)
        for subscription, match in match_subscriptions(finding, subscriptions)
    ]


def _decide_failures(
    draft: DecisionBuilder,
    finding: RunFinding,
    matches: Sequence[tuple[Subscription, MatchResult]],
    known: Mapping[str, PriorDecision],
    *,
    critical: bool,
) -> list[SubscriptionDecision]:
    """Add each channel's notifications, unless these failures of the run were decided on for it before."""
    reasons = [build_mismatch(subscription, match) for subscription, match in matches if not match.matched]
    by_channel: dict[str, list[tuple[Subscription, MatchResult]]] = {}
    for subscription, match in matches:
        if match.matched:
            by_channel.setdefault(subscription.channel, []).append((subscription, match))
    for channel, found in by_channel.items():
        results = {result.id: result for _, match in found for result in match.results}
        cases, before = digest_cases(results.values()), known.get(channel)
        if before and before.covers(len(results), cases):
            reasons += [build_decision(subscription, REASON_BY_PRIOR_KIND[before.kind]) for subscription, _ in found]
            continue
        counted = [apply_threshold(draft, finding, subscription, match) for subscription, match in found]
        kind, decisions = _decide_channel(draft, finding, channel, counted, critical=critical)
        if before and kind is DecisionKind.BELOW_THRESHOLD:
            kind = before.kind  # a notified run stays notified
        decision = PriorDecision(kind, len(results), cases).with_earlier(before)
        record_decision(draft, finding.run.id, channel, decision)
        reasons += decisions
    return reasons


def _decide_channel(
    draft: DecisionBuilder, finding: RunFinding, channel: str, matches: Sequence[MatchedSubscription], *, critical: bool
) -> tuple[DecisionKind, list[SubscriptionDecision]]:
    """Add one channel's notifications. Return the decision, and the reason for each of its subscriptions."""
    reasons = {
        match.subscription.id: build_decision(match.subscription, DecisionReason.BELOW_THRESHOLD)
        for match in matches
        if match.is_below_threshold
    }
    kind = DecisionKind.BELOW_THRESHOLD
    parts = [
        part for audience in build_audiences(channel, matches) for part in split_by_mutes(draft, finding, audience)
    ]
    for audience, mutes in parts:
        hold = compute_hold(draft.now, audience.subscriptions, mutes, critical=critical)
        alerts, before = AlertsInScope(draft, channel, scope_key(finding)), DraftSnapshot.take(draft)
        builder = ALERT_BUILDERS[audience.group]
        in_storm = builder(draft, finding, audience, alerts, hold, critical).build_alerts()
        schedule_catch_up(draft, channel, hold, before)
        kind = DecisionKind.STORM if in_storm and kind is not DecisionKind.NOTIFIED else DecisionKind.NOTIFIED
        for subscription in audience.subscriptions:
            reasons.setdefault(subscription.id, _notified_decision(subscription, hold, in_storm=in_storm))
    return kind, list(reasons.values())


def _notified_decision(subscription: Subscription, hold: Hold, *, in_storm: bool) -> SubscriptionDecision:
    """Return the decision for a subscription whose channel is notified, now or later."""
    if in_storm:
        return build_decision(subscription, DecisionReason.STORM)
    if hold.until:
        return build_held_decision(subscription, hold)
    return build_decision(subscription, DecisionReason.NOTIFIED)


def _as_recovered(reason: SubscriptionDecision) -> SubscriptionDecision:
    """Turn a filter mismatch into "recovered"; a run that also failed keeps its own reason."""
    if reason.answer is not DecisionReason.MISMATCH:
        return reason
    return SubscriptionDecision(reason.subscription, reason.channel, DecisionReason.RECOVERED)
