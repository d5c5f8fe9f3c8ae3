"""What deserves a message, in which channel, and under which key; pure, so that any answer can be explained."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from zofbot.model import Outcome
from zofbot.notification import Notification
from zofbot.pipeline import notices, reruns
from zofbot.pipeline.counting import end_rows
from zofbot.pipeline.keys import key
from zofbot.pipeline.memory import Changes, Draft, Memory, channels_of, roots_in, scope
from zofbot.pipeline.reasons import AGAIN, Answer, Reason, missed, reason
from zofbot.pipeline.recoveries import Recovery, note
from zofbot.pipeline.roots import Roots
from zofbot.pipeline.seen import EVERYWHERE, How, Mark, mark, marks
from zofbot.pipeline.shares import Taking, leftover, shares, taking, verdicts
from zofbot.pipeline.telling import Teller
from zofbot.routing import Finding, Notice, Subscription, Verdict
from zofbot.routing.patterns import fits

__all__ = [
    "Answer", "Changes", "Decision", "Finding", "Memory", "Notice", "Reason", "decide", "decide_all", "key", "unfit",
]  # fmt: skip

CRITICAL = ("production",)
"""Environments, as globs, whose failures go first and may pass quiet hours."""


@dataclass(frozen=True)
class Decision:
    """What to commit in one step, and one reason for each subscription.

    ``changes`` are hash name, field and new value (``None`` deletes) to go with the ``notifications``.
    """

    notifications: tuple[Notification, ...] = ()
    changes: Changes = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()


def decide(  # noqa: PLR0913  (the last three are settings)
    finding: Finding | Notice,
    subscriptions: Sequence[Subscription],
    memory: Memory,
    now: float,
    *,
    lookback: float,
    default_channel: str = "",
    critical: Collection[str] = CRITICAL,
) -> Decision:
    """Decide about one finding; deciding again, with this decision committed or not, sends nothing else.

    What happened more than ``lookback`` seconds before ``now`` is noted and never told. ``critical`` environments are
    globs. ``memory`` holds the hashes of ``Memory.names``.
    """
    draft = Draft(memory, now)
    first = bool(finding.environment) and fits(tuple(critical), [finding.environment])
    if isinstance(finding, Notice):
        return _decided(draft, notices.decide(draft, finding, subscriptions, lookback, critical=first))
    answer = unfit(draft, finding, lookback)
    if answer:
        reruns.tell(draft, finding)
        return _decided(draft, [reason(one, answer) for one in subscriptions])
    answers = verdicts(finding, subscriptions)
    rest = leftover(finding, answers, default_channel)
    reasons = _failures(draft, finding, [*answers, *([rest] if rest else [])], critical=first)
    note(draft, finding)
    end_rows(draft, finding, subscriptions)
    for channel in sorted(channels_of(subscriptions, default_channel)):
        if not draft.hash(roots_in(channel, scope(finding))):
            continue  # most channels: nothing of theirs is open here
        for root in Recovery(draft, finding, channel, subscriptions).apply():
            reasons = [_recovered(one) if one.subscription in root.takers else one for one in reasons]
    reruns.tell(draft, finding)
    return _decided(draft, reasons)


def decide_all(  # noqa: PLR0913  (as above)
    findings: Iterable[Finding | Notice],
    subscriptions: Sequence[Subscription],
    memory: Memory,
    now: float,
    *,
    lookback: float,
    default_channel: str = "",
    critical: Collection[str] = CRITICAL,
) -> Decision:
    """Decide about a page of findings in the order in which they happened, as one decision.

    ``memory`` holds the hashes that ``Memory.names`` names for any of them.
    """
    told: dict[str, Notification] = {}
    changes: dict[str, dict[str, str | None]] = {}
    reasons: list[Reason] = []
    for finding in sorted(findings, key=lambda one: one.happened):
        one = decide(
            finding,
            subscriptions,
            memory,
            now,
            lookback=lookback,
            default_channel=default_channel,
            critical=critical,
        )
        memory = memory.changed(one.changes)
        told |= {notification.key: notification for notification in one.notifications}
        for name, fields in one.changes.items():
            changes.setdefault(name, {}).update(fields)
        reasons += one.reasons
    return Decision(tuple(told.values()), changes, tuple(reasons))


def _decided(draft: Draft, reasons: Iterable[Reason]) -> Decision:
    changes: Mapping[str, Mapping[str, str | None]] = draft.changes
    return Decision(tuple(draft.notifications.values()), changes, tuple(reasons))


def unfit(draft: Draft, finding: Finding, lookback: float) -> Answer | None:
    """Why nobody is told of this run, whatever they asked for."""
    if finding.run.outcome in (Outcome.CANCELED, Outcome.SKIPPED):
        return Answer.CANCELED
    if not finding.ended:
        return Answer.UNFINISHED
    if EVERYWHERE in marks(draft, finding.run.id):
        return Answer.OLD
    if finding.happened < draft.now - lookback and not marks(draft, finding.run.id):
        if finding.outcome.bad:
            mark(draft, finding.run.id, EVERYWHERE, Mark(How.OLD, finding.total))
        return Answer.OLD
    return None


def _failures(
    draft: Draft, finding: Finding, answers: Sequence[tuple[Subscription, Verdict]], *, critical: bool
) -> list[Reason]:
    """Tell every channel its share, unless it was told before and nothing was added since."""
    known = marks(draft, finding.run.id)
    reasons = [missed(one, verdict) for one, verdict in answers if not verdict.matched]
    by_channel: dict[str, list[tuple[Subscription, Verdict]]] = {}
    for one, verdict in answers:
        if verdict.matched:
            by_channel.setdefault(one.channel, []).append((one, verdict))
    for channel, meant in by_channel.items():
        count = len({result.id for _, verdict in meant for result in verdict.results})
        before = known.get(channel)
        if before and (before.how not in (How.TOLD, How.STORM) or count <= before.failures):
            reasons += [reason(one, AGAIN[before.how]) for one, _ in meant]
            continue
        takings = [taking(draft, finding, one, verdict) for one, verdict in meant]
        how, told = _channel(draft, finding, channel, takings, critical=critical)
        mark(draft, finding.run.id, channel, Mark(how, count))
        reasons += told
    return reasons


def _channel(
    draft: Draft, finding: Finding, channel: str, takings: Sequence[Taking], *, critical: bool
) -> tuple[How, list[Reason]]:
    """Tell one channel, and say how that went for each of its subscriptions."""
    reasons = {one.subscription.id: reason(one.subscription, Answer.BELOW) for one in takings if one.below}
    how = How.BELOW
    for share in shares(channel, takings):
        held = share.held(draft.now, critical=critical)
        roots = Roots(draft, channel, scope(finding))
        stormy = Teller(draft, finding, share, roots, held, critical).tell()
        how = How.STORM if stormy and how is not How.TOLD else How.TOLD
        answer = Answer.STORM if stormy else Answer.HELD if held else Answer.TOLD
        reasons |= {taker.id: reason(taker, answer, held) for taker in share.takers}
    return how, list(reasons.values())


def _recovered(reason: Reason) -> Reason:
    """A run that passed is news where something recovers by it; one that also failed keeps its own reason."""
    if reason.answer is not Answer.MISSED:
        return reason
    return Reason(reason.subscription, reason.channel, Answer.RECOVERED)
