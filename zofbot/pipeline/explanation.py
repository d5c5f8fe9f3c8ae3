"""Why a channel was told of a run, or was not: each subscription's answer, and what became of the messages; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from zofbot.pipeline.memory import Memory, roots_in, scope
from zofbot.pipeline.reasons import Answer, Reason
from zofbot.pipeline.roots import Root
from zofbot.pipeline.rules import decide
from zofbot.routing import Finding, Subscription


@dataclass(frozen=True)
class Explanation:
    """``reasons`` are the channel's own, by subscription; ``roots`` the keys of the messages that it is part of."""

    finding: Finding
    reasons: tuple[Reason, ...]
    roots: tuple[str, ...]

    @property
    def expected(self) -> bool:
        """Whether it will be told, and was not yet: nobody has looked since it ended."""
        return any(reason.answer in (Answer.TOLD, Answer.HELD, Answer.STORM) for reason in self.reasons)


def explained(  # noqa: PLR0913  (the rules' own, and the channel)
    finding: Finding,
    channel: str,
    subscriptions: Sequence[Subscription],
    memory: Memory,
    now: float,
    *,
    lookback: float,
    default_channel: str = "",
) -> Explanation:
    """Decide once more, by the same rules, and keep only what the decision says of ``channel``; nothing is changed."""
    made = decide(finding, subscriptions, memory, now, lookback=lookback, default_channel=default_channel)
    own = tuple(one for one in made.reasons if one.channel == channel)
    return Explanation(finding, own, tuple(_roots(finding, channel, memory.hashes)))


def _roots(finding: Finding, channel: str, hashes: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    """The keys of the open or recovered messages of the channel that the run was counted in."""
    kept = hashes.get(roots_in(channel, scope(finding)), {})
    for root in map(Root.model_validate_json, kept.values()):
        if finding.run.id in root.runs or root.id == finding.run.id:
            yield root.key
