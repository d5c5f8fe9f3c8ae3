"""Platform events, such as an agent going offline: one short message in each channel that subscribes to them."""

from __future__ import annotations

from collections.abc import Sequence

from zofbot.alerting.audience import ChannelAudience, match_subscriptions
from zofbot.alerting.catchups import DraftSnapshot, schedule_catch_up
from zofbot.alerting.holds import compute_hold, mutes_on
from zofbot.alerting.prior_decisions import DecisionKind, PriorDecision, read_decisions, record_decision
from zofbot.alerting.reasons import (
    REASON_BY_PRIOR_KIND,
    DecisionReason,
    SubscriptionDecision,
    build_decision,
    build_held_decision,
    build_mismatch,
)
from zofbot.alerting.state import DecisionBuilder, platform_event_key
from zofbot.alerting.storms.storm_placement import StormCandidate, absorb_into_storm
from zofbot.notifications import payload_parts, payloads
from zofbot.notifications.idempotency import idempotency_key
from zofbot.notifications.notification import NOTIFICATION_SCHEMA, Notification, NotificationKind
from zofbot.notifications.other_payloads import PlatformEventPayload
from zofbot.notifications.storm_payloads import StormMember
from zofbot.subscriptions import Grouping, PlatformEvent, Subscription


def decide_platform_event(
    draft: DecisionBuilder,
    notice: PlatformEvent,
    subscriptions: Sequence[Subscription],
    lookback: float,
    *,
    critical: bool,
) -> list[SubscriptionDecision]:
    """Add a notification for every channel that subscribes to the event. Return the reason per subscription."""
    if notice.happened < draft.now - lookback:
        return [build_decision(subscription, DecisionReason.OLD) for subscription in subscriptions]
    answers = match_subscriptions(notice, subscriptions)
    reasons = [build_mismatch(answer, verdict) for answer, verdict in answers if not verdict.matched]
    matching = [answer for answer, verdict in answers if verdict.matched]
    for channel in sorted({item.channel for item in matching}):
        audience = ChannelAudience(
            channel, Grouping.RUN, (), tuple(item for item in matching if item.channel == channel)
        )
        mutes = mutes_on(draft, channel, notice.projects, notice.environment)
        hold, before = (
            compute_hold(draft.now, audience.subscriptions, mutes, critical=critical),
            DraftSnapshot.take(draft),
        )
        answer = _decide_channel(draft, notice, audience, hold.until, critical=critical)
        schedule_catch_up(draft, channel, hold, before)
        held = answer is DecisionReason.NOTIFIED and hold.until
        reasons += [
            build_held_decision(each, hold) if held else build_decision(each, answer) for each in audience.subscriptions
        ]
    return reasons


def _decide_channel(
    draft: DecisionBuilder, notice: PlatformEvent, audience: ChannelAudience, held: float, *, critical: bool
) -> DecisionReason:
    """Add one channel's notification, unless this event was decided on before."""
    name = platform_event_key(notice)
    before = read_decisions(draft, name).by_channel.get(audience.channel)
    if before:
        return REASON_BY_PRIOR_KIND[before.kind]
    candidate = _storm_candidate(notice, audience, held, critical=critical)
    absorbed = absorb_into_storm(draft, candidate)
    record_decision(
        draft, name, audience.channel, PriorDecision(DecisionKind.STORM if absorbed.storm else DecisionKind.NOTIFIED, 0)
    )
    if absorbed.storm:
        return DecisionReason.STORM
    draft.add_notifications(_build_notification(notice, candidate, absorbed.mention))
    return DecisionReason.NOTIFIED


def _storm_candidate(
    notice: PlatformEvent, audience: ChannelAudience, held: float, *, critical: bool
) -> StormCandidate:
    member = StormMember(
        key=idempotency_key("notice", notice.id, notice.event.value, audience.channel, turn=int(notice.happened)),
        id=payload_parts.clean_text(notice.id, 128),
        title=payload_parts.clean_text(notice.said or notice.id, 150),
        project=payload_parts.clean_text(notice.projects[-1] if notice.projects else "", 80),
        environment=payload_parts.clean_text(notice.environment, 80),
        followed=False,
    )
    return StormCandidate(
        channel=audience.channel,
        member=member,
        category=notice.event.value,
        happened=notice.happened,
        held=held,
        mention=audience.mention_ids,
        critical=critical,
    )


def _build_notification(notice: PlatformEvent, candidate: StormCandidate, mention: tuple[str, ...]) -> Notification:
    body = PlatformEventPayload(
        event=notice.event.value,
        about=payload_parts.clean_text(notice.id, 128),
        said=payload_parts.clean_text(notice.said, 500),
        run_id=notice.run_id[:128],
        project=candidate.member.project,
        environment=candidate.member.environment,
        mention=mention,
    )
    return Notification(
        key=candidate.member.key,
        kind=NotificationKind.ROOT,
        channel=candidate.channel,
        body=payloads.dump_payload(body),
        happened=notice.happened,
        critical=candidate.critical,
        not_before=candidate.held,
        schema=NOTIFICATION_SCHEMA,
    )
