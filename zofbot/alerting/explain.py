"""Explain why a channel was notified about a run or not: the reason per subscription, and the messages; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from zofbot.alerting.alerts import Alert, parse_alerts
from zofbot.alerting.audience import DEFAULT_SUBSCRIPTION, apply_threshold, match_subscriptions
from zofbot.alerting.catch_up_entries import CatchUpEntry, catch_up_entry
from zofbot.alerting.history.case_outcomes import with_case_history
from zofbot.alerting.prior_decisions import ALL_CHANNELS, DecisionKind, read_decisions
from zofbot.alerting.reasons import READ_BEFORE, DecisionReason, SubscriptionDecision, build_decision
from zofbot.alerting.rules import decide_finding, skip_reason
from zofbot.alerting.state import MUTES, DecisionBuilder, RuleState, alerts_hash, scope_key
from zofbot.alerting.storms.storm_members import storm_key_of
from zofbot.domain.model import Outcome
from zofbot.notifications.idempotency import idempotency_key
from zofbot.subscriptions import RunFinding, Subscription
from zofbot.subscriptions.mute import read_mutes

MAX_TRIED_KEYS = 10
"""Message keys to try if no stored alert names the messages of a run."""

_POSTED_ANSWERS = (DecisionReason.NOTIFIED, DecisionReason.HELD, DecisionReason.MUTED, DecisionReason.STORM)
"""What the rules answer if they post a run when they process it."""


class CountedMessage(NamedTuple):
    """The key of a message that counts a run; ``joined``: an earlier run's failure created it."""

    key: str
    joined: bool = False


@dataclass(frozen=True)
class Explanation:
    """Why one channel was notified about a run or not.

    ``reasons`` has one per subscription of the channel. ``parts`` are the messages that count the run; ``perhaps``
    are keys its messages may have had if their records have expired; ``storms`` are the keys of the storm summaries
    and of the messages of causes that count it, if known. ``decided``: the rules have processed the run.
    """

    finding: RunFinding
    reasons: tuple[SubscriptionDecision, ...]
    parts: tuple[CountedMessage, ...] = ()
    perhaps: tuple[str, ...] = ()
    storms: tuple[str, ...] = ()
    decided: bool = False

    @property
    def is_expected(self) -> bool:
        """Whether the channel will be notified when the poller reads the run."""
        return not self.decided and any(reason.answer in _POSTED_ANSWERS for reason in self.reasons)


def explain_run(  # noqa: PLR0913  (the rules' own, and the channel)
    finding: RunFinding,
    channel: str,
    subscriptions: Sequence[Subscription],
    memory: RuleState,
    now: float,
    *,
    lookback: float,
    default_channel: str = "",
    handled: bool = False,
) -> Explanation:
    """Apply the rules again, and return what they say about ``channel``. Nothing is stored.

    ``handled``: the run and its failures were read before, and will not be read again.
    """
    draft = DecisionBuilder(memory, now)
    decided = read_decisions(draft, finding.run.id)
    finding = _as_ended(finding) if decided.by_channel else finding
    made = decide_finding(finding, subscriptions, memory, now, lookback=lookback, default_channel=default_channel)
    own = [reason for reason in made.reasons if reason.channel == channel]
    if channel == default_channel and not any(item.subscription == DEFAULT_SUBSCRIPTION for item in own):
        answer = skip_reason(draft, finding, decided, lookback) or DecisionReason.CLAIMED
        own.append(build_decision(Subscription(id=DEFAULT_SUBSCRIPTION, channel=channel), answer))
    decision = decided.by_channel.get(channel)
    if decision:
        own = [*_apply_thresholds(draft, finding, own, subscriptions)]
    elif handled:
        own = [_as_read_before(reason) if reason.answer in _POSTED_ANSWERS else reason for reason in own]
    alerts = parse_alerts(memory.hashes.get(alerts_hash(channel, scope_key(finding)), {})).values()
    parts = tuple(_counted_messages(finding, alerts))
    was_notified = decision is not None and decision.kind is DecisionKind.NOTIFIED and not parts
    held = next((item for part in parts if (item := catch_up_entry(draft, channel, part.key)) and item.unposted), None)
    return Explanation(
        finding,
        tuple(_as_held(draft, item, held) if held else item for item in own),
        parts,
        perhaps=tuple(_likely_keys(finding, channel)) if was_notified else (),
        storms=tuple(
            dict.fromkeys(
                filter(
                    None, (storm_key_of(draft, channel, key) for key in _storm_member_keys(finding, channel, alerts))
                )
            )
        ),
        decided=decision is not None or ALL_CHANNELS in decided.by_channel,
    )


def _as_read_before(reason: SubscriptionDecision) -> SubscriptionDecision:
    """Return the reason for a subscription that matches a run which was handled without it."""
    return SubscriptionDecision(reason.subscription, reason.channel, DecisionReason.MISMATCH, READ_BEFORE)


def _as_ended(finding: RunFinding) -> RunFinding:
    """Return a run that was decided on as ended: the poller may know that from a webhook, whatever its status is."""
    if finding.has_ended:
        return finding
    outcome = Outcome.UNKNOWN if finding.total else Outcome.FAILED
    return replace(finding, run=finding.run.model_copy(update={"outcome": outcome}), is_over=True)


def _apply_thresholds(
    draft: DecisionBuilder,
    finding: RunFinding,
    known: Sequence[SubscriptionDecision],
    subscriptions: Iterable[Subscription],
) -> Sequence[SubscriptionDecision]:
    """Return the reasons for a channel that was notified, without those below whose threshold the run still is.

    What was decided is stored by channel. If no threshold is reached any more, it is not known which one was.
    """
    ids = {reason.subscription for reason in known if reason.answer is DecisionReason.KNOWN}
    matched = match_subscriptions(with_case_history(draft, finding), (item for item in subscriptions if item.id in ids))
    matches = [apply_threshold(draft, finding, item, verdict) for item, verdict in matched if verdict.matched]
    below = {match.subscription.id for match in matches if match.is_below_threshold}
    if len(below) == len(matches):
        return known
    return [
        replace(each, answer=DecisionReason.BELOW_THRESHOLD) if each.subscription in below else each for each in known
    ]


def _as_held(draft: DecisionBuilder, known: SubscriptionDecision, item: CatchUpEntry) -> SubscriptionDecision:
    """Return the reason for an alert that was decided on and still waits for quiet hours or a mute."""
    if known.answer is not DecisionReason.KNOWN or not item.is_waiting(draft):
        return known
    mutes = [mute for mute in read_mutes(draft.read_hash(MUTES)) if mute.id in item.mutes and mute.until > draft.now]
    mute = max(mutes, key=lambda each: each.until, default=None)
    answer = DecisionReason.MUTED if mute else DecisionReason.HELD
    return replace(known, answer=answer, until=mute.until if mute else item.until, mute=mute)


def _counted_messages(finding: RunFinding, alerts: Iterable[Alert]) -> Iterable[CountedMessage]:
    """Yield the messages of the open or recovered ``alerts`` that count the run."""
    own = {finding.run.id, *(item.id for item in finding.failures)}
    for alert in alerts:
        if not alert.storm and (finding.run.id in alert.runs or alert.id in own):
            yield CountedMessage(alert.key, joined=alert.id not in own and not finding.is_unlisted)


def _storm_member_keys(finding: RunFinding, channel: str, alerts: Iterable[Alert]) -> Iterable[str]:
    """Yield the keys under which a storm could list the run."""
    yield from (alert.key for alert in alerts if finding.run.id in alert.runs)
    yield from _likely_keys(finding, channel)


def _likely_keys(finding: RunFinding, channel: str) -> Iterable[str]:
    """Yield the keys that alerts for this run alone have."""
    yield idempotency_key("run", finding.run.id, str(finding.outcome), channel)
    for item in finding.failures[: MAX_TRIED_KEYS - 1]:
        yield idempotency_key("case", item.id, str(item.outcome), channel)
