"""Why a subscription was told of a finding, or why not: an answer for each, as a word and as a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zofbot.pipeline.holds import Hold
from zofbot.pipeline.seen import How
from zofbot.routing import Subscription, Verdict
from zofbot.routing.mute import Mute


class Answer(StrEnum):
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
class Reason:
    """What became of a finding for one subscription.

    ``verdict`` is its filters' own where one of them missed, ``until`` (Unix seconds) when quiet hours or the ``mute``
    end.
    """

    subscription: str
    channel: str
    answer: Answer
    verdict: Verdict | None = None
    until: float = 0.0
    mute: Mute | None = None

    @property
    def field(self) -> str:
        """The filter that missed."""
        return self.verdict.field if self.verdict else ""

    @property
    def why(self) -> str:
        """In a sentence."""
        if self.mute:
            because = f" ({self.mute.reason})" if self.mute.reason else ""
            return f"it matches, and {self.mute.by_name} muted {self.mute.filters}{because} until"
        return self.verdict.why if self.verdict else WHY[self.answer]


WHY = {
    Answer.TOLD: "it matches",
    Answer.HELD: "it matches and waits for the end of quiet hours",
    Answer.MUTED: "it matches and waits for the end of a mute",
    Answer.STORM: "it matches and is counted in the summary of a storm",
    Answer.RECOVERED: "what had failed has passed",
    Answer.KNOWN: "it matches and was told",
    Answer.BELOW: "there were not enough failures yet for after:",
    Answer.OLD: "it happened before zofbot looks back and was only noted",
    Answer.TAKEN: "it is told only what failed and no subscription takes",
    Answer.CANCELED: "canceled and skipped runs never alert",
    Answer.UNFINISHED: "it has not ended",
}
AGAIN = {How.TOLD: Answer.KNOWN, How.BELOW: Answer.BELOW, How.STORM: Answer.STORM, How.OLD: Answer.OLD}
"""The answer about what was decided on before."""


def reason(subscription: Subscription, answer: Answer) -> Reason:
    """The reason in the answer's own words."""
    return Reason(subscription.id, subscription.channel, answer)


def waiting(subscription: Subscription, hold: Hold) -> Reason:
    """The reason of what is told only when quiet hours or a mute end."""
    answer = Answer.MUTED if hold.last else Answer.HELD
    return Reason(subscription.id, subscription.channel, answer, until=hold.until, mute=hold.last)


def missed(subscription: Subscription, verdict: Verdict) -> Reason:
    """The reason in the words of the filter that stood in the way."""
    return Reason(subscription.id, subscription.channel, Answer.MISSED, verdict)
