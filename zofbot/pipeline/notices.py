"""What becomes of a notice: one short message in each channel that asks for its kind."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.notification import SCHEMA, Kind, Notification
from zofbot.pipeline.catchups import sum_up
from zofbot.pipeline.holds import hold_back, mutes_on
from zofbot.pipeline.keys import key
from zofbot.pipeline.memory import Draft, notice_name
from zofbot.pipeline.reasons import AGAIN, Answer, Reason, missed, reason, waiting
from zofbot.pipeline.seen import How, Mark, mark, marks
from zofbot.pipeline.shares import Share, verdicts
from zofbot.pipeline.storms import Gust, collapses
from zofbot.routing import Group, Notice, Subscription
from zofbot.slack import bodies
from zofbot.slack.bodies import NoticeBody


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
        mutes = mutes_on(draft, channel, notice.projects, notice.environment)
        hold, before = hold_back(draft.now, share.takers, mutes, critical=critical), dict(draft.notifications)
        answer = _answer(draft, notice, share, hold.until, critical=critical)
        sum_up(draft, channel, hold, before)
        held = answer is Answer.TOLD and hold.until
        reasons += [waiting(one, hold) if held else reason(one, answer) for one in share.takers]
    return reasons


def _answer(draft: Draft, notice: Notice, share: Share, held: float, *, critical: bool) -> Answer:
    """Tell one channel, unless it was told before."""
    name = notice_name(notice)
    before = marks(draft, name).get(share.channel)
    if before:
        return AGAIN[before.how]
    gust = _gust(notice, share, held, critical=critical)
    stormy = collapses(draft, gust)
    mark(draft, name, share.channel, Mark(How.STORM if stormy else How.TOLD, 0))
    if stormy:
        return Answer.STORM
    draft.tell(_notification(notice, gust))
    return Answer.TOLD


def _gust(notice: Notice, share: Share, held: float, *, critical: bool) -> Gust:
    return Gust(
        channel=share.channel,
        id=notice.id,
        category=notice.event.value,
        held=held,
        project=bodies.said(notice.projects[-1] if notice.projects else "", 80),
        environment=bodies.said(notice.environment, 80),
        mention=share.mention,
        critical=critical,
    )


def _notification(notice: Notice, gust: Gust) -> Notification:
    body = NoticeBody(
        event=notice.event.value,
        about=bodies.said(notice.id, 128),
        said=bodies.said(notice.said, 500),
        run_id=notice.run_id[:128],
        project=gust.project,
        environment=gust.environment,
        mention=gust.mention,
    )
    return Notification(
        key=key("notice", notice.id, notice.event.value, gust.channel, turn=int(notice.happened)),
        kind=Kind.ROOT,
        channel=gust.channel,
        body=bodies.stored(body),
        happened=notice.happened,
        critical=gust.critical,
        not_before=gust.held,
        schema=SCHEMA,
    )
