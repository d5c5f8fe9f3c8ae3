"""What becomes of a notice: one short message in each channel that asks for its kind."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.keys import key
from zofbot.pipeline.memory import Draft, notice_name
from zofbot.pipeline.reasons import AGAIN, Answer, Reason, missed, reason
from zofbot.pipeline.seen import How, Mark, mark, marks
from zofbot.pipeline.shares import Share, verdicts
from zofbot.pipeline.storms import StormCandidate, absorb_into_storm
from zofbot.routing import Group, Notice, Subscription
from zofbot.slack import bodies
from zofbot.slack.bodies import Member, NoticeBody


def decide(
    draft: Draft, notice: Notice, subscriptions: Sequence[Subscription], lookback: float, *, critical: bool
) -> list[Reason]:
    """Put a notice into the draft for every channel that asks for it, and say why or why not."""
    if notice.happened < draft.now - lookback:
        return [reason(one, Answer.OLD) for one in subscriptions]
    answers = verdicts(notice, subscriptions)
    reasons = [missed(one, verdict) for one, verdict in answers if not verdict.matched]
    meant = [one for one, verdict in answers if verdict.matched]
    for channel in sorted({one.channel for one in meant}):
        share = Share(channel, Group.RUN, (), tuple(one for one in meant if one.channel == channel))
        held = share.held(draft.now, critical=critical)
        answer = _answer(draft, notice, share, held, critical=critical)
        reasons += [reason(one, answer, held) for one in share.takers]
    return reasons


def _answer(draft: Draft, notice: Notice, share: Share, held: float, *, critical: bool) -> Answer:
    """Tell one channel, unless it was told before."""
    name = notice_name(notice)
    before = marks(draft, name).get(share.channel)
    if before:
        return AGAIN[before.how]
    candidate = _candidate(notice, share, held, critical=critical)
    absorbed = absorb_into_storm(draft, candidate)
    mark(draft, name, share.channel, Mark(How.STORM if absorbed.storm else How.TOLD, 0))
    if absorbed.storm:
        return Answer.STORM
    draft.tell(_notification(notice, candidate, absorbed.mention))
    return Answer.HELD if held else Answer.TOLD


def _candidate(notice: Notice, share: Share, held: float, *, critical: bool) -> StormCandidate:
    member = Member(
        key=key("notice", notice.id, notice.event.value, share.channel, turn=int(notice.happened)),
        id=bodies.said(notice.id, 128),
        title=bodies.said(notice.said or notice.id, 150),
        project=bodies.said(notice.projects[-1] if notice.projects else "", 80),
        environment=bodies.said(notice.environment, 80),
        followed=False,
    )
    return StormCandidate(
        channel=share.channel,
        member=member,
        category=notice.event.value,
        happened=notice.happened,
        held=held,
        mention=share.mention,
        critical=critical,
    )


def _notification(notice: Notice, candidate: StormCandidate, mention: tuple[str, ...]) -> Notification:
    body = NoticeBody(
        event=notice.event.value,
        about=bodies.said(notice.id, 128),
        said=bodies.said(notice.said, 500),
        run_id=notice.run_id[:128],
        project=candidate.member.project,
        environment=candidate.member.environment,
        mention=mention,
    )
    return Notification(
        key=candidate.member.key,
        kind=Kind.ROOT,
        channel=candidate.channel,
        body=bodies.stored(body),
        happened=notice.happened,
        critical=candidate.critical,
        not_before=candidate.held,
        schema=SCHEMA,
    )
