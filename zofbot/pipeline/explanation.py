"""Why a channel was told of a run, or was not: each subscription's answer, and what became of the messages; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from zofbot.pipeline.keys import key
from zofbot.pipeline.memory import Draft, Memory, roots_in, scope
from zofbot.pipeline.reasons import Answer, Reason, reason
from zofbot.pipeline.roots import Root
from zofbot.pipeline.rules import decide, unfit
from zofbot.pipeline.seen import EVERYWHERE, How, marks
from zofbot.pipeline.shares import DEFAULT
from zofbot.pipeline.storm_record import storm_with
from zofbot.routing import Finding, Subscription

TRIED = 10
"""Messages that are looked for by the keys they would have, where nothing names those that there are."""


class Part(NamedTuple):
    """The key of a message that a run is part of; ``joined`` where another run's failure had begun it."""

    key: str
    joined: bool = False


@dataclass(frozen=True)
class Explanation:
    """``reasons`` are the channel's own, by subscription.

    ``parts`` are the messages that the run was counted in, ``perhaps`` the keys of some that may be forgotten by now,
    ``storm`` the key of the summary that counts it, as far as that is known; ``decided``: the rules have seen it.
    """

    finding: Finding
    reasons: tuple[Reason, ...]
    parts: tuple[Part, ...] = ()
    perhaps: tuple[str, ...] = ()
    storm: str = ""
    decided: bool = False

    @property
    def expected(self) -> bool:
        """Whether it will be told, and was not yet: nobody has looked since it ended."""
        wanted = (Answer.TOLD, Answer.HELD, Answer.STORM)
        return not self.decided and any(one.answer in wanted for one in self.reasons)


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
    own = [one for one in made.reasons if one.channel == channel]
    draft = Draft(memory, now)
    if channel == default_channel and not any(one.subscription == DEFAULT for one in own):
        answer = unfit(draft, finding, lookback) or Answer.TAKEN
        own.append(reason(Subscription(id=DEFAULT, channel=channel), answer))
    how = marks(draft, finding.run.id)
    mark = how.get(channel)
    parts = tuple(_parts(finding, channel, memory))
    told = mark is not None and mark.how is How.TOLD and not parts
    return Explanation(
        finding, tuple(own), parts,
        perhaps=tuple(_keys(finding, channel)) if told else (),
        storm=next(filter(None, (storm_with(draft, channel, key) for key in _own(finding, channel, memory))), ""),
        decided=mark is not None or EVERYWHERE in how,
    )  # fmt: skip


def _parts(finding: Finding, channel: str, memory: Memory) -> Iterable[Part]:
    """The open or recovered messages of the channel that the run was counted in."""
    kept = memory.hashes.get(roots_in(channel, scope(finding)), {})
    own = {finding.run.id, *(one.id for one in finding.bad)}
    for root in map(Root.model_validate_json, kept.values()):
        if not root.storm and (finding.run.id in root.runs or root.id in own):
            yield Part(root.key, joined=root.id not in own)


def _own(finding: Finding, channel: str, memory: Memory) -> Iterable[str]:
    """The keys that a storm would list it under."""
    kept = memory.hashes.get(roots_in(channel, scope(finding)), {})
    yield from (root.key for root in map(Root.model_validate_json, kept.values()) if finding.run.id in root.runs)
    yield from _keys(finding, channel)


def _keys(finding: Finding, channel: str) -> Iterable[str]:
    """The keys that its own messages had when they were told."""
    yield key("run", finding.run.id, str(finding.outcome), channel)
    for one in finding.bad[: TRIED - 1]:
        yield key("case", one.id, str(one.outcome), channel)
