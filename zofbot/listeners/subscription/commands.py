"""Commands to create, list, change, test and end a channel's subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from zofbot.alerting.state import MUTES
from zofbot.domain.errors import BadInput
from zofbot.domain.permissions import Role
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.subscription.notes import (
    build_audit_record,
    build_note,
    build_notification,
    ended_error,
    readable_filters,
    request_hash,
)
from zofbot.listeners.subscription.saving import (
    ACK_SETTLE_SECONDS,
    END_ATTEMPT,
    known_ids,
    save_subscription,
    send_preview,
    zone_name,
)
from zofbot.notifications import text
from zofbot.services.subscription_changes import commit_changes
from zofbot.slack.views import channel_notes, mutes, test_alerts, why
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.replies import subscription_replies
from zofbot.slack.views.replies.subscription_replies import SubscriptionRow
from zofbot.store.outbox import CommitConflict
from zofbot.subscriptions import Subscription, parse_filters
from zofbot.subscriptions.diff import SubscriptionChange
from zofbot.subscriptions.filters import has_named_mention
from zofbot.subscriptions.mute import active_mutes, read_mutes

log = structlog.get_logger()


async def subscribe_channel(context: ListenerContext, requester: Requester, wish: str) -> Message:
    """Create a subscription from typed filters; a preview follows the reply. Raises ZofbotError."""
    ids = await known_ids(context, requester.channel) if has_named_mention(wish) else {}
    wanted = parse_filters(wish, zone=await zone_name(context, requester), ids=ids)
    saved = await save_subscription(context, requester, wanted, request_hash(requester.request))
    if saved.subscription:
        context.background_tasks.start(send_preview(context, requester, saved, after=ACK_SETTLE_SECONDS))
    return saved.message


async def list_subscriptions(
    context: ListenerContext, requester: Requester, start: int = 0, *, note: str = ""
) -> Message:
    """Return the channel's subscription list, numbered, from ``start`` on. Raises StoreUnavailable."""
    found = await context.subscriptions.list_for_channel(requester.channel)
    rows = [
        SubscriptionRow(item.id, await readable_filters(context, item), item.by_name, item.created) for item in found
    ]
    muted = active_mutes(
        read_mutes((await context.outbox.read_hashes(MUTES))[MUTES]), requester.channel, context.clock.time()
    )
    return subscription_replies.subscription_list(rows, start, note=note, muted=mutes.mute_list(muted))


async def unsubscribe_channel(context: ListenerContext, requester: Requester, which: str) -> Message:
    """End one subscription of the channel, by its number, or all. Raises ZofbotError."""
    person = await require_role(context, requester, Role.RESPONDER, END_ATTEMPT)
    found = await context.subscriptions.list_for_channel(requester.channel)
    if not found:
        raise BadInput("No subscriptions in this channel.", "Subscribe first.", example="/zof subscribe")
    if which != "all" and int(which) > len(found):
        raise BadInput(
            f"No subscription {which} in this channel.",
            f"The last one is {len(found)}. `/zof subscriptions` lists them.",
            example=f"/zof unsubscribe {len(found)}",
        )
    chosen = found if which == "all" else [found[int(which) - 1]]
    ended = await _end_subscriptions(context, replace(requester, name=person.name or requester.name), chosen)
    return subscription_replies.unsubscribed_reply([await readable_filters(context, item) for item in ended])


async def remove_subscription(context: ListenerContext, requester: Requester, identifier: str) -> Message:
    """End one subscription of the channel, by its id, and return the remaining list. Raises ZofbotError."""
    person = await require_role(context, requester, Role.RESPONDER, END_ATTEMPT)
    chosen = await find_subscription(context, requester, identifier)
    [ended] = await _end_subscriptions(context, replace(requester, name=person.name or requester.name), [chosen])
    return await list_subscriptions(
        context, requester, note=f"✅ Removed: {text.inline_code(await readable_filters(context, ended), 1500)}"
    )


async def send_test_alert(context: ListenerContext, requester: Requester, identifier: str) -> Message:
    """Send the channel a test alert for a subscription, once per click. Raises ZofbotError."""
    person = await require_role(context, requester, Role.RESPONDER, "send a test alert")
    subscription, now = await find_subscription(context, requester, identifier), context.clock.time()
    body = test_alerts.build_test_payload(subscription, person.name or requester.name, now)
    waiting = await _waiting_reason(context, requester.channel)  # first: what is committed is not to end in an error
    await context.outbox.commit(
        [build_notification(context, requester, f"test:{request_hash(requester.request)}:{requester.channel}", body)]
    )
    log.info("test alert", id=identifier, channel=requester.channel, by=requester.user)
    return subscription_replies.alert_test_reply(waiting)


async def _waiting_reason(context: ListenerContext, channel: str) -> str:
    """Return why messages to a channel wait (mrkdwn); empty if Slack accepts them, as far as is known."""
    paused = (await context.outbox.read_stats()).paused
    parked = next((each.reason for each in await context.outbox.parked_channels() if each.channel == channel), "")
    return why.waiting_reason(parked=parked, paused=paused) if parked or paused else ""


async def find_subscription(context: ListenerContext, requester: Requester, identifier: str) -> Subscription:
    """Return one of the channel's subscriptions. Raises BadInput if it has ended, and StoreUnavailable."""
    for item in await context.subscriptions.list_for_channel(requester.channel):
        if item.id == identifier:
            return item
    raise ended_error()


async def _end_subscriptions(
    context: ListenerContext, requester: Requester, chosen: Sequence[Subscription]
) -> Sequence[Subscription]:
    """End those of the chosen subscriptions that the channel still has, and return them. Raises ZofbotError."""
    identifiers = {item.id for item in chosen}
    while True:
        stored = await context.subscriptions.read()
        ended = [item for item in stored.list_for_channel(requester.channel) if item.id in identifiers]
        if not ended:
            raise ended_error()
        wishes = [await readable_filters(context, item) for item in ended]
        noun = "subscription" if len(ended) == 1 else "subscriptions"
        line = f"{requester.name} removed this channel's {noun} to {channel_notes.join_filters(wishes)}."
        note = build_note(
            context, requester, f"unsubscribed:{request_hash(requester.request)}:{requester.channel}", line
        )
        changes = [SubscriptionChange(item, None) for item in ended]
        acts = [build_audit_record(context, requester, "unsubscribe", change) for change in changes]
        try:
            await commit_changes(context.outbox, stored, changes, [note], acts)
        except CommitConflict:
            continue
        log.info("unsubscribed", ids=[item.id for item in ended], channel=requester.channel, by=requester.user)
        return ended
