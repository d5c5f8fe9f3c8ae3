"""Commands to create, list, change, test and end a channel's subscriptions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import structlog

from zofbot.alerting.state import MUTES, threshold_hash
from zofbot.domain.errors import BadInput
from zofbot.domain.permissions import Role
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.subscription import preview as subscription_preview
from zofbot.notifications import text
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.slack.directory import Readers
from zofbot.slack.views import channel_notes, mutes, preview, test_alerts
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.replies import help_replies, subscription_replies
from zofbot.slack.views.replies.subscription_replies import SubscriptionRow
from zofbot.slack.views.subscription_form import modal
from zofbot.store.audit import AuditRecord
from zofbot.subscriptions import Broadcast, Subscription, format_filters, parse_filters
from zofbot.subscriptions.digest_schedule import iana_name
from zofbot.subscriptions.filters import has_named_mention
from zofbot.subscriptions.model import MAX_SUBSCRIPTIONS
from zofbot.subscriptions.mute import active, read_mutes

log = structlog.get_logger()

ACK_SETTLE_SECONDS = 0.5
"""Seconds until Slack shows an acknowledgement; a reply sent earlier could appear above it."""


SUBSCRIBE_ATTEMPT, CHANGE_ATTEMPT, END_ATTEMPT = (
    "subscribe this channel",
    "change this subscription",
    "remove this channel's subscriptions",
)
"""Descriptions of the attempts, to follow "You cannot"."""


class SavedSubscription(NamedTuple):
    """Reply after saving a subscription; ``standing`` is what was stored, None if it existed already."""

    message: Message
    standing: Subscription | None = None


async def subscribe_channel(context: ListenerContext, requester: Requester, wish: str) -> Message:
    """Create a subscription from typed filters; a preview follows the reply. Raises ZofbotError."""
    ids = await known_ids(context, requester.channel) if has_named_mention(wish) else {}
    wanted = parse_filters(wish, zone=await zone_name(context, requester), ids=ids)
    saved = await save_subscription(context, requester, wanted, request_hash(requester.request))
    if saved.standing:
        context.background_tasks.start(send_preview(context, requester, saved, after=ACK_SETTLE_SECONDS))
    return saved.message


async def zone_name(context: ListenerContext, requester: Requester) -> str:
    """Return the name of a person's time zone from their Slack profile; UTC if unknown."""
    return iana_name((await context.people.load_person(requester.user)).zone)


async def known_ids(context: ListenerContext, channel: str) -> dict[str, str]:
    """Return the ids, by name, of user groups and of people mentioned in any subscription, this channel's first."""
    found = sorted(await context.subscriptions.list_all(), key=lambda each: each.channel != channel)
    return await context.people.names.ids_by_name(identifier for each in found for identifier in each.mention_ids)


async def save_subscription(
    context: ListenerContext, requester: Requester, wanted: Subscription, identifier: str, *, edits: bool = False
) -> SavedSubscription:
    """Create a subscription, or replace the one with ``identifier``, and post a note to the channel.

    With ``edits`` it must exist. A replacement keeps id and creation time, so no failure is announced twice. Raises
    ZofbotError.
    """
    person = await require_role(context, requester, Role.RESPONDER, CHANGE_ATTEMPT if edits else SUBSCRIBE_ATTEMPT)
    requester = replace(requester, name=person.name or requester.name)
    existing = await context.subscriptions.list_for_channel(requester.channel)
    before = next((item for item in existing if item.id == identifier), None)
    for number, item in enumerate(existing, start=1):
        if format_filters(item) == format_filters(wanted):
            return SavedSubscription(
                subscription_replies.already_subscribed_reply(number, await _readable_filters(context, item))
            )
    if missing := await context.people.names.describe_unreachable(wanted.mention_ids):
        raise BadInput(missing, "Mention someone else, or leave them out.", example="/zof help subscribe")
    if before:
        return await _replace_subscription(context, requester, wanted, before)
    if edits:
        raise _ended_error()
    return await _add_subscription(context, requester, wanted, identifier, len(existing))


async def _add_subscription(
    context: ListenerContext, requester: Requester, wanted: Subscription, identifier: str, count: int
) -> SavedSubscription:
    if count >= MAX_SUBSCRIPTIONS:
        raise BadInput(
            f"This channel already has {MAX_SUBSCRIPTIONS} subscriptions.",
            "Remove one first.",
            example="/zof subscriptions",
        )
    now = context.clock.time()
    own = {
        "id": identifier,
        "channel": requester.channel,
        "by": requester.user,
        "by_name": requester.name,
        "created": now,
    }
    subscription = wanted.model_copy(update=own)
    shown = await _readable_filters(context, subscription)  # calls Slack, so before anything is stored
    await context.subscriptions.add(subscription)
    log.info("subscribed", id=subscription.id, channel=requester.channel, by=requester.user)
    line = f"{requester.name} subscribed this channel to {shown}."
    act = _audit_record(context, requester, "subscribe", after=subscription)
    await _post_note(context, requester, f"subscribed:{subscription.id}:{requester.channel}", line, act)
    return SavedSubscription(_saved_reply(requester, subscription, shown), subscription)


async def _replace_subscription(
    context: ListenerContext, requester: Requester, wanted: Subscription, before: Subscription
) -> SavedSubscription:
    own = before.model_dump(include={"id", "channel", "by", "by_name", "created"})
    subscription = wanted.model_copy(update=own)
    old, new = await _readable_filters(context, before), await _readable_filters(context, subscription)
    if not await context.subscriptions.replace(subscription):
        raise _ended_error()
    log.info("subscription changed", id=subscription.id, channel=requester.channel, by=requester.user)
    line = f"{requester.name} changed this channel's subscription from {old} to {new}."
    act = _audit_record(context, requester, "change subscription", before, subscription)
    await _post_note(context, requester, f"changed:{request_hash(requester.request)}:{requester.channel}", line, act)
    return SavedSubscription(_saved_reply(requester, subscription, new, changed=True), subscription)


async def send_preview(
    context: ListenerContext, requester: Requester, saved: SavedSubscription, *, after: float = 0.0
) -> None:
    """Send the preview after the reply, at the earliest ``after`` so many seconds."""
    if saved.standing:
        said, readers, _ = await asyncio.gather(
            subscription_preview.describe_preview(context, saved.standing),
            context.people.readers_of(requester.channel),
            context.clock.sleep(after),
        )
        caution = preview.SHARED_CHANNEL_NOTE if readers is Readers.SHARED else preview.UNKNOWN_READERS_NOTE
        await context.send_reply(
            requester,
            subscription_replies.preview_reply(
                said, "" if context.settings.zofbot_shared_details or readers is Readers.OURS else caution
            ),
        )


async def list_subscriptions(
    context: ListenerContext, requester: Requester, start: int = 0, *, note: str = ""
) -> Message:
    """Return the channel's subscription list, numbered, from ``start`` on. Raises StoreUnavailable."""
    found = await context.subscriptions.list_for_channel(requester.channel)
    rows = [
        SubscriptionRow(item.id, await _readable_filters(context, item), item.by_name, item.created) for item in found
    ]
    muted = active(
        read_mutes((await context.outbox.read_hashes(MUTES))[MUTES]), requester.channel, context.clock.time()
    )
    return subscription_replies.subscription_list(rows, start, note=note, muted=mutes.listed(muted))


async def unsubscribe_channel(context: ListenerContext, requester: Requester, which: str) -> Message:
    """End one subscription of the channel, by its number, or all. Raises ZofbotError."""
    person = await require_role(context, requester, Role.RESPONDER, END_ATTEMPT)
    found = await context.subscriptions.list_for_channel(requester.channel)
    if not found:
        raise BadInput("No subscriptions in this channel.", "Subscribe first.", example="/zof subscribe")
    if which != "all" and int(which) > len(found):
        raise BadInput(
            f"No subscription {which} in this channel.", f"The last one is {len(found)}.", example="/zof subscriptions"
        )
    ended = found if which == "all" else [found[int(which) - 1]]
    await _end_subscriptions(context, replace(requester, name=person.name or requester.name), ended)
    return subscription_replies.unsubscribed_reply(len(ended))


async def remove_subscription(context: ListenerContext, requester: Requester, identifier: str) -> Message:
    """End one subscription of the channel, by its id, and return the remaining list. Raises ZofbotError."""
    person = await require_role(context, requester, Role.RESPONDER, END_ATTEMPT)
    ended = await find_subscription(context, requester, identifier)
    await _end_subscriptions(context, replace(requester, name=person.name or requester.name), [ended])
    return await list_subscriptions(
        context, requester, note=f"✅ Removed: {text.inline_code(await _readable_filters(context, ended), 1500)}"
    )


async def send_test_alert(context: ListenerContext, requester: Requester, identifier: str) -> Message:
    """Send the channel a test alert for a subscription, once per click. Raises ZofbotError."""
    person = await require_role(context, requester, Role.RESPONDER, "send a test alert")
    subscription, now = await find_subscription(context, requester, identifier), context.clock.time()
    body = test_alerts.build_test_payload(subscription, person.name or requester.name, now)
    await context.outbox.commit(
        [_build_notification(context, requester, f"test:{request_hash(requester.request)}:{requester.channel}", body)]
    )
    log.info("test alert", id=identifier, channel=requester.channel, by=requester.user)
    return subscription_replies.alert_test_reply()


async def find_subscription(context: ListenerContext, requester: Requester, identifier: str) -> Subscription:
    """Return one of the channel's subscriptions. Raises BadInput if it has ended, and StoreUnavailable."""
    for item in await context.subscriptions.list_for_channel(requester.channel):
        if item.id == identifier:
            return item
    raise _ended_error()


async def _end_subscriptions(context: ListenerContext, requester: Requester, ended: Sequence[Subscription]) -> None:
    said = "; ".join([await _readable_filters(context, item) for item in ended[:5]])
    if not await context.subscriptions.remove(*(item.id for item in ended)):
        raise _ended_error()
    log.info("unsubscribed", ids=[item.id for item in ended], channel=requester.channel, by=requester.user)
    line = f"{requester.name} removed this channel's subscription to {said}."
    counted = await context.outbox.read_hashes(
        *(threshold_hash(item) for item in ended)
    )  # their ``after:`` counters are deleted, too
    await _post_note(
        context, requester, f"unsubscribed:{request_hash(requester.request)}:{requester.channel}", line,
        *(_audit_record(context, requester, "unsubscribe", before=item) for item in ended),
        forget={name: dict.fromkeys(fields) for name, fields in counted.items() if fields},
    )  # fmt: skip


def _ended_error() -> BadInput:
    return BadInput("That subscription was already removed.", "List the current ones.", example="/zof subscriptions")


async def _post_note(
    context: ListenerContext,
    requester: Requester,
    key: str,
    line: str,
    *acts: AuditRecord,
    forget: Mapping[str, Mapping[str, None]] | None = None,
) -> None:
    """Commit a note to the channel and the audit records, in one transaction."""
    note = _build_notification(context, requester, key, channel_notes.note_payload(line))
    await context.outbox.commit([note], changes=forget, acts=[act.model_dump_json() for act in acts])


def _build_notification(
    context: ListenerContext, requester: Requester, key: str, body: dict[str, object]
) -> Notification:
    now = context.clock.time()
    return Notification(key=key, kind=NotificationKind.ROOT, channel=requester.channel, body=body, happened=now)


def _audit_record(
    context: ListenerContext,
    requester: Requester,
    act: str,
    before: Subscription | None = None,
    after: Subscription | None = None,
) -> AuditRecord:
    return AuditRecord(
        at=context.clock.time(), act=act, user=requester.user, name=requester.name, channel=requester.channel,
        key=(after or before or Subscription()).id, before=_filters_text(before) if before else "",
        after=_filters_text(after) if after else "", request=requester.request,
    )  # fmt: skip


def _saved_reply(requester: Requester, subscription: Subscription, shown: str, *, changed: bool = False) -> Message:
    notes = [
        modal.channel_caution(requester.room),
        help_replies.THREAD_ONLY_NOTE if Broadcast.NEVER in subscription.broadcast else "",
    ]
    return subscription_replies.subscribed_reply(
        shown, subscription.id, "\n".join(filter(None, notes)), changed=changed
    )


def request_hash(request: str) -> str:
    """Return a hash of the request id, used in ids and keys so that a retry creates no duplicates."""
    return hashlib.blake2s(request.encode(), digest_size=6).hexdigest()


async def _readable_filters(context: ListenerContext, subscription: Subscription) -> str:
    return await context.people.names.with_names(_filters_text(subscription))


def _filters_text(subscription: Subscription) -> str:
    return format_filters(subscription) or "all failures"
