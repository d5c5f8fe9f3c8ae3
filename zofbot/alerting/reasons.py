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

    NOTIFIED = "told"
    HELD = "held"
    """Sent when quiet hours end."""
    MUTED = "muted"
    """Sent when a mute ends."""
    STORM = "storm"
    """Counted in a storm summary."""
    RECOVERED = "recovered"
    KNOWN = "known"
    """Decided on earlier."""
    MISMATCH = "missed"
    """A filter does not match."""
    BELOW_THRESHOLD = "below"
    """The ``after:`` threshold is not reached."""
    OLD = "old"
    """Happened before the look-back; recorded and never sent."""
    CLAIMED = "taken"
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
    def reason_text(self) -> str:
        """The reason as a sentence."""
        if self.mute:
            because = f" ({self.mute.reason})" if self.mute.reason else ""
            return f"matched, but {self.mute.by_name} muted {self.mute.filters}{because} until"
        return self.verdict.reason_text if self.verdict else REASON_TEXTS[self.answer]


REASON_TEXTS = {
    DecisionReason.NOTIFIED: "matched",
    DecisionReason.HELD: "matched, on hold until quiet hours end",
    DecisionReason.MUTED: "matched, on hold until a mute ends",
    DecisionReason.STORM: "matched, counted in a storm's summary",
    DecisionReason.RECOVERED: "recovered",
    DecisionReason.KNOWN: "matched, posted",
    DecisionReason.BELOW_THRESHOLD: "not enough failures yet for after:",
    DecisionReason.OLD: "too old to post (before zofbot's look-back window)",
    DecisionReason.CLAIMED: "gets only failures that match no subscription",
    DecisionReason.CANCELED: "canceled and skipped runs are never posted",
    DecisionReason.UNFINISHED: "not finished yet",
}
REASON_BY_PRIOR_KIND = {
    DecisionKind.NOTIFIED: DecisionReason.KNOWN,
    DecisionKind.BELOW_THRESHOLD: DecisionReason.BELOW_THRESHOLD,
    DecisionKind.STORM: DecisionReason.STORM,
    DecisionKind.OLD: DecisionReason.OLD,
}
"""The reason to give for an earlier decision."""

READ_BEFORE = MatchResult(False, "created", "didn't match yet when zofbot read this run")
"""The verdict on a subscription that matches a run only since the run was decided on."""


def build_decision(subscription: Subscription, answer: DecisionReason) -> SubscriptionDecision:
    """Return a decision with a reason that needs no details."""
    return SubscriptionDecision(subscription.id, subscription.channel, answer)


def build_held_decision(subscription: Subscription, hold: Hold) -> SubscriptionDecision:
    """Return the decision for a notification that waits for quiet hours or a mute to end."""
    answer = DecisionReason.MUTED if hold.last else DecisionReason.HELD
    return SubscriptionDecision(subscription.id, subscription.channel, answer, until=hold.until, mute=hold.last)


def build_mismatch(subscription: Subscription, verdict: MatchResult) -> SubscriptionDecision:
    """Return the decision for a subscription whose filter did not match."""
    return SubscriptionDecision(subscription.id, subscription.channel, DecisionReason.MISMATCH, verdict)
