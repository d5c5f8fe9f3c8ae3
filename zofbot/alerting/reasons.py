"""Why a subscription was told of a finding, or why not: an answer for each, as a word and as a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zofbot.alerting.holds import Hold
from zofbot.alerting.prior_decisions import DecisionKind
from zofbot.subscriptions import MatchResult, Subscription
from zofbot.subscriptions.mute import Mute


class DecisionReason(StrEnum):
    """Why a subscription was told of a finding, or why not."""

    TOLD = "told"
    HELD = "held"
    """It is told when its quiet hours end."""
    MUTED = "muted"
    """It is told when a mute ends."""
    STORM = "storm"
    """It is counted in the summary of a storm."""
    RECOVERED = "recovered"
    KNOWN = "known"
    """It was decided on before."""
    MISSED = "missed"
    """A filter does not mean it."""
    BELOW = "below"
    """It is not the ``after:``-th yet."""
    OLD = "old"
    """It happened before the look-back and was only noted."""
    TAKEN = "taken"
    """The default channel gets only what nobody else wants."""
    CANCELED = "canceled"
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class SubscriptionDecision:
    """What became of a finding for one subscription.

    ``verdict`` is its filters' own where one of them missed, ``until`` (Unix seconds) when quiet hours or the
    ``mute`` end.
    """

    subscription: str
    channel: str
    answer: DecisionReason
    verdict: MatchResult | None = None
    until: float = 0.0
    mute: Mute | None = None

    @property
    def missed_filter(self) -> str:
        """The filter that missed."""
        return self.verdict.field if self.verdict else ""

    @property
    def reason_text(self) -> str:
        """In a sentence."""
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
"""The answer about what was decided on before."""


def build_decision(subscription: Subscription, answer: DecisionReason) -> SubscriptionDecision:
    """The reason in the answer's own words."""
    return SubscriptionDecision(subscription.id, subscription.channel, answer)


def waiting(subscription: Subscription, hold: Hold) -> SubscriptionDecision:
    """The reason of what is told only when quiet hours or a mute end."""
    answer = DecisionReason.MUTED if hold.last else DecisionReason.HELD
    return SubscriptionDecision(subscription.id, subscription.channel, answer, until=hold.until, mute=hold.last)


def build_mismatch(subscription: Subscription, verdict: MatchResult) -> SubscriptionDecision:
    """The reason in the words of the filter that stood in the way."""
    return SubscriptionDecision(subscription.id, subscription.channel, DecisionReason.MISSED, verdict)
