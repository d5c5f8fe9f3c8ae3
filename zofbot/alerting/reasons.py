"""Why a subscription was notified about a finding or not, as a code and as a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zofbot.alerting.holds import Hold
from zofbot.alerting.prior_decisions import DecisionKind
from zofbot.subscriptions import MatchResult, Subscription
from zofbot.subscriptions.mute import Mute


class DecisionReason(StrEnum):
    """Why a subscription was notified about a finding or not."""

    TOLD = "told"
    HELD = "held"
    """Sent when quiet hours end."""
    MUTED = "muted"
    """Sent when a mute ends."""
    STORM = "storm"
    """Counted in a storm summary."""
    RECOVERED = "recovered"
    KNOWN = "known"
    """Decided on earlier."""
    MISSED = "missed"
    """A filter does not match."""
    BELOW = "below"
    """The ``after:`` threshold is not reached."""
    OLD = "old"
    """Happened before the look-back; recorded and never sent."""
    TAKEN = "taken"
    """The default channel gets only failures that match no subscription."""
    CANCELED = "canceled"
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class SubscriptionDecision:
    """What was decided about a finding for one subscription.

    ``verdict`` is set if a filter did not match; ``until`` (Unix seconds) is when quiet hours or the ``mute`` end.
    """

    subscription: str
    channel: str
    answer: DecisionReason
    verdict: MatchResult | None = None
    until: float = 0.0
    mute: Mute | None = None

    @property
    def missed_filter(self) -> str:
        """The name of the filter that did not match, or an empty string."""
        return self.verdict.field if self.verdict else ""

    @property
    def reason_text(self) -> str:
        """The reason as a sentence."""
        if self.mute:
            because = f" ({self.mute.reason})" if self.mute.reason else ""
            return f"it matches, and {self.mute.by_name} muted {self.mute.filters}{because} until"
        return self.verdict.reason_text if self.verdict else REASON_TEXTS[self.answer]


REASON_TEXTS = {
    DecisionReason.TOLD: "it matches",
    DecisionReason.HELD: "it matches and waits for the end of quiet hours",
    DecisionReason.MUTED: "it matches and waits for the end of a mute",
    DecisionReason.STORM: "it matches and is counted in the summary of a storm",
    DecisionReason.RECOVERED: "what had failed has passed",
    DecisionReason.KNOWN: "it matches and was told",
    DecisionReason.BELOW: "there were not enough failures yet for after:",
    DecisionReason.OLD: "it happened before zofbot looks back and was only noted",
    DecisionReason.TAKEN: "it is told only what failed and no subscription takes",
    DecisionReason.CANCELED: "canceled and skipped runs never alert",
    DecisionReason.UNFINISHED: "it has not ended",
}
REASON_BY_PRIOR_KIND = {
    DecisionKind.TOLD: DecisionReason.KNOWN,
    DecisionKind.BELOW: DecisionReason.BELOW,
    DecisionKind.STORM: DecisionReason.STORM,
    DecisionKind.OLD: DecisionReason.OLD,
}
"""The reason to give for an earlier decision."""


def build_decision(subscription: Subscription, answer: DecisionReason) -> SubscriptionDecision:
    """Return a decision with a reason that needs no details."""
    return SubscriptionDecision(subscription.id, subscription.channel, answer)


def build_held_decision(subscription: Subscription, hold: Hold) -> SubscriptionDecision:
    """Return the decision for a notification that waits for quiet hours or a mute to end."""
    answer = DecisionReason.MUTED if hold.last else DecisionReason.HELD
    return SubscriptionDecision(subscription.id, subscription.channel, answer, until=hold.until, mute=hold.last)


def build_mismatch(subscription: Subscription, verdict: MatchResult) -> SubscriptionDecision:
    """Return the decision for a subscription whose filter did not match."""
    return SubscriptionDecision(subscription.id, subscription.channel, DecisionReason.MISSED, verdict)
