"""Why a channel was told of a run, or was not: each subscription's answer, and what became of the messages; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from zofbot.alerting.alerts import Alert
from zofbot.alerting.audience import DEFAULT_SUBSCRIPTION
from zofbot.alerting.catchups import Item, item_of
from zofbot.alerting.prior_decisions import ALL_CHANNELS, DecisionKind, prior_decisions
from zofbot.alerting.reasons import DecisionReason, SubscriptionDecision, build_decision
from zofbot.alerting.rules import decide_finding, skip_reason
from zofbot.alerting.state import MUTES, DecisionBuilder, RuleState, alerts_hash, scope_key
from zofbot.alerting.storm_record import storm_key_of
from zofbot.notifications.idempotency import idempotency_key
from zofbot.subscriptions import RunFinding, Subscription
from zofbot.subscriptions.mute import read_mutes

MAX_TRIED_KEYS = 10
"""Messages that are looked for by the keys they would have, where nothing names those that there are."""


class CountedMessage(NamedTuple):
    """The key of a message that a run is part of; ``joined`` where another run's failure had begun it."""

    key: str
    joined: bool = False


@dataclass(frozen=True)
class Explanation:
    """``reasons`` are the channel's own, by subscription.

    ``parts`` are the messages that the run was counted in, ``perhaps`` the keys of some that may be forgotten by
    now, ``storm`` the key of the summary that counts it, as far as that is known; ``decided``: the rules have seen
    it.
    """

    finding: RunFinding
    reasons: tuple[SubscriptionDecision, ...]
    parts: tuple[CountedMessage, ...] = ()
    perhaps: tuple[str, ...] = ()
    storm: str = ""
    decided: bool = False

    @property
    def is_expected(self) -> bool:
        """Whether it will be told, and was not yet: nobody has looked since it ended."""
        wanted = (DecisionReason.TOLD, DecisionReason.HELD, DecisionReason.MUTED, DecisionReason.STORM)
        return not self.decided and any(reason.answer in wanted for reason in self.reasons)


def explain_run(  # noqa: PLR0913  (the rules' own, and the channel)
    finding: RunFinding,
    channel: str,
    subscriptions: Sequence[Subscription],
    memory: RuleState,
    now: float,
    *,
    lookback: float,
    default_channel: str = "",
) -> Explanation:
    """Decide once more, by the same rules, and keep only what the decision says of ``channel``; nothing is changed."""
    made = decide_finding(finding, subscriptions, memory, now, lookback=lookback, default_channel=default_channel)
    own = [reason for reason in made.reasons if reason.channel == channel]
    draft = DecisionBuilder(memory, now)
    if channel == default_channel and not any(item.subscription == DEFAULT_SUBSCRIPTION for item in own):
        answer = skip_reason(draft, finding, lookback) or DecisionReason.TAKEN
        own.append(build_decision(Subscription(id=DEFAULT_SUBSCRIPTION, channel=channel), answer))
    how = prior_decisions(draft, finding.run.id)
    mark = how.get(channel)
    parts = tuple(_counted_messages(finding, channel, memory))
    told = mark is not None and mark.how is DecisionKind.TOLD and not parts
    held = next((item for part in parts if (item := item_of(draft, channel, part.key)) and item.unposted), None)
    return Explanation(
        finding,
        tuple(_held(draft, item, held) if held else item for item in own),
        parts,
        perhaps=tuple(_likely_keys(finding, channel)) if told else (),
        storm=next(
            filter(None, (storm_key_of(draft, channel, key) for key in _storm_member_keys(finding, channel, memory))),
            "",
        ),
        decided=mark is not None or ALL_CHANNELS in how,
    )


def _held(draft: DecisionBuilder, known: SubscriptionDecision, item: Item) -> SubscriptionDecision:
    """The reason of what was decided on and is not posted yet."""
    if known.answer is not DecisionReason.KNOWN or not item.waits(draft):
        return known
    mutes = [mute for mute in read_mutes(draft.read_hash(MUTES)) if mute.id in item.mutes and mute.until > draft.now]
    mute = max(mutes, key=lambda each: each.until, default=None)
    answer = DecisionReason.MUTED if mute else DecisionReason.HELD
    return replace(known, answer=answer, until=mute.until if mute else item.until, mute=mute)


def _counted_messages(finding: RunFinding, channel: str, memory: RuleState) -> Iterable[CountedMessage]:
    """The open or recovered messages of the channel that the run was counted in."""
    kept = memory.hashes.get(alerts_hash(channel, scope_key(finding)), {})
    own = {finding.run.id, *(item.id for item in finding.bad)}
    for root in map(Alert.model_validate_json, kept.values()):
        if not root.storm and (finding.run.id in root.runs or root.id in own):
            yield CountedMessage(root.key, joined=root.id not in own)


def _storm_member_keys(finding: RunFinding, channel: str, memory: RuleState) -> Iterable[str]:
    """The keys that a storm would list it under."""
    kept = memory.hashes.get(alerts_hash(channel, scope_key(finding)), {})
    yield from (root.key for root in map(Alert.model_validate_json, kept.values()) if finding.run.id in root.runs)
    yield from _likely_keys(finding, channel)


def _likely_keys(finding: RunFinding, channel: str) -> Iterable[str]:
    """The keys that its own messages had when they were told."""
    yield idempotency_key("run", finding.run.id, str(finding.outcome), channel)
    for item in finding.bad[: MAX_TRIED_KEYS - 1]:
        yield idempotency_key("case", item.id, str(item.outcome), channel)
