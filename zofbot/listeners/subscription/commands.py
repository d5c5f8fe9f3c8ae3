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
from zofbot.slack.views import channel_notes, mutes, preview, replies, subscription_modal, test_alerts
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.replies import SubscriptionRow
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
    "end this channel's subscriptions",
)
"""Descriptions of the attempts, to follow "You cannot"."""


class SavedSubscription(NamedTuple):
    """Reply after saving a subscription; ``standing`` is what was stored, None if it existed already."""

    message: Message
    standing: Subscription | None = None


async def subscribe_channel(desk: ListenerContext, asked: Requester, wish: str) -> Message:
    """Create a subscription from typed filters; a preview follows the reply. Raises ZofbotError."""
    ids = await known_ids(desk, asked.channel) if has_named_mention(wish) else {}
    wanted = parse_filters(wish, zone=await zone_name(desk, asked), ids=ids)
    saved = await save_subscription(desk, asked, wanted, request_hash(asked.request))
    if saved.standing:
        desk.errands.start(send_preview(desk, asked, saved, after=ACK_SETTLE_SECONDS))
    return saved.message


async def zone_name(desk: ListenerContext, asked: Requester) -> str:
    """Return the name of a person's time zone from their Slack profile; UTC if unknown."""
    return iana_name((await desk.people.load_person(asked.user)).zone)


async def known_ids(desk: ListenerContext, channel: str) -> dict[str, str]:
    """Return the ids, by name, of user groups and of people mentioned in any subscription, this channel's first."""
    found = sorted(await desk.subscriptions.list_all(), key=lambda each: each.channel != channel)
    return await desk.people.ids_by_name(identifier for each in found for identifier in each.mention_ids)


async def save_subscription(
    desk: ListenerContext, asked: Requester, wanted: Subscription, identifier: str, *, edits: bool = False
) -> SavedSubscription:
    """Create a subscription, or replace the one with ``identifier``, and post a note to the channel.

    With ``edits`` it must exist. A replacement keeps id and creation time, so no failure is announced twice. Raises
    ZofbotError.
    """
    person = await require_role(desk, asked, Role.RESPONDER, CHANGE_ATTEMPT if edits else SUBSCRIBE_ATTEMPT)
    asked = replace(asked, name=person.name or asked.name)
    standing = await desk.subscriptions.list_for_channel(asked.channel)
    before = next((item for item in standing if item.id == identifier), None)
    for number, item in enumerate(standing, start=1):
        if format_filters(item) == format_filters(wanted):
            return SavedSubscription(replies.already_subscribed_reply(number, await _readable_filters(desk, item)))
    if missing := await desk.people.describe_unreachable(wanted.mention_ids):
        raise BadInput(missing, "Name somebody else, or leave them out.", example="/zof help subscribe")
    if before:
        return await _replace_subscription(desk, asked, wanted, before)
    if edits:
        raise _ended_error()
    return await _add_subscription(desk, asked, wanted, identifier, len(standing))


async def _add_subscription(
    desk: ListenerContext, asked: Requester, wanted: Subscription, identifier: str, count: int
) -> SavedSubscription:
    if count >= MAX_SUBSCRIPTIONS:
        raise BadInput(
            f"This channel has {MAX_SUBSCRIPTIONS} subscriptions already.",
            "End one first.",
            example="/zof subscriptions",
        )
    now = desk.clock.time()
    own = {"id": identifier, "channel": asked.channel, "by": asked.user, "by_name": asked.name, "created": now}
    subscription = wanted.model_copy(update=own)
    shown = await _readable_filters(desk, subscription)  # calls Slack, so before anything is stored
    await desk.subscriptions.add(subscription)
    log.info("subscribed", id=subscription.id, channel=asked.channel, by=asked.user)
    line = f"{asked.name} subscribed this channel to {shown}."
    act = _audit_record(desk, asked, "subscribe", after=subscription)
    await _post_note(desk, asked, f"subscribed:{subscription.id}:{asked.channel}", line, act)
    return SavedSubscription(_saved_reply(asked, subscription, shown), subscription)


async def _replace_subscription(
    desk: ListenerContext, asked: Requester, wanted: Subscription, before: Subscription
) -> SavedSubscription:
    own = before.model_dump(include={"id", "channel", "by", "by_name", "created"})
    subscription = wanted.model_copy(update=own)
    old, new = await _readable_filters(desk, before), await _readable_filters(desk, subscription)
    if not await desk.subscriptions.replace(subscription):
        raise _ended_error()
    log.info("subscription changed", id=subscription.id, channel=asked.channel, by=asked.user)
    line = f"{asked.name} changed this channel's subscription from {old} to {new}."
    act = _audit_record(desk, asked, "change subscription", before, subscription)
    await _post_note(desk, asked, f"changed:{request_hash(asked.request)}:{asked.channel}", line, act)
    return SavedSubscription(_saved_reply(asked, subscription, new, changed=True), subscription)


async def send_preview(
    desk: ListenerContext, asked: Requester, saved: SavedSubscription, *, after: float = 0.0
) -> None:
    """Send the preview after the reply, at the earliest ``after`` so many seconds."""
    if saved.standing:
        said, readers, _ = await asyncio.gather(
            subscription_preview.describe_preview(desk, saved.standing),
            desk.people.readers_of(asked.channel),
            desk.clock.sleep(after),
        )
        caution = preview.SHARED_CHANNEL_NOTE if readers is Readers.SHARED else preview.UNKNOWN_READERS_NOTE
        await desk.send_reply(
            asked, replies.preview_reply(said, "" if desk.details or readers is Readers.OURS else caution)
        )


async def list_subscriptions(desk: ListenerContext, asked: Requester, start: int = 0, *, note: str = "") -> Message:
    """Return the channel's subscription list, numbered, from ``start`` on. Raises StoreUnavailable."""
    found = await desk.subscriptions.list_for_channel(asked.channel)
    rows = [SubscriptionRow(item.id, await _readable_filters(desk, item), item.by_name, item.created) for item in found]
    muted = active(read_mutes((await desk.outbox.read_hashes(MUTES))[MUTES]), asked.channel, desk.clock.time())
    return replies.subscription_list(rows, start, note=note, muted=mutes.listed(muted))


async def unsubscribe_channel(desk: ListenerContext, asked: Requester, which: str) -> Message:
    """End one subscription of the channel, by its number, or all. Raises ZofbotError."""
    person = await require_role(desk, asked, Role.RESPONDER, END_ATTEMPT)
    found = await desk.subscriptions.list_for_channel(asked.channel)
    if not found:
        raise BadInput("This channel has no subscription.", "Make one first.", example="/zof subscribe")
    if which != "all" and int(which) > len(found):
        raise BadInput(
            f"There is no subscription {which} here.", f"They go up to {len(found)}.", example="/zof subscriptions"
        )
    ended = found if which == "all" else [found[int(which) - 1]]
    await _end_subscriptions(desk, replace(asked, name=person.name or asked.name), ended)
    return replies.unsubscribed_reply(len(ended))


async def remove_subscription(desk: ListenerContext, asked: Requester, identifier: str) -> Message:
    """End one subscription of the channel, by its id, and return the remaining list. Raises ZofbotError."""
    person = await require_role(desk, asked, Role.RESPONDER, END_ATTEMPT)
    ended = await find_subscription(desk, asked, identifier)
    await _end_subscriptions(desk, replace(asked, name=person.name or asked.name), [ended])
    return await list_subscriptions(
        desk, asked, note=f"✅ Ended: {text.inline_code(await _readable_filters(desk, ended), 1500)}"
    )


async def send_test_alert(desk: ListenerContext, asked: Requester, identifier: str) -> Message:
    """Send the channel a test alert for a subscription, once per click. Raises ZofbotError."""
    person = await require_role(desk, asked, Role.RESPONDER, "send a test alert")
    subscription, now = await find_subscription(desk, asked, identifier), desk.clock.time()
    body = test_alerts.build_test_payload(subscription, person.name or asked.name, now)
    await desk.outbox.commit(
        [_build_notification(desk, asked, f"test:{request_hash(asked.request)}:{asked.channel}", body)]
    )
    log.info("test alert", id=identifier, channel=asked.channel, by=asked.user)
    return replies.alert_test_reply()


async def find_subscription(desk: ListenerContext, asked: Requester, identifier: str) -> Subscription:
    """Return one of the channel's subscriptions. Raises BadInput if it has ended, and StoreUnavailable."""
    for item in await desk.subscriptions.list_for_channel(asked.channel):
        if item.id == identifier:
            return item
    raise _ended_error()


async def _end_subscriptions(desk: ListenerContext, asked: Requester, ended: Sequence[Subscription]) -> None:
    said = "; ".join([await _readable_filters(desk, item) for item in ended[:5]])
    if not await desk.subscriptions.remove(*(item.id for item in ended)):
        raise _ended_error()
    log.info("unsubscribed", ids=[item.id for item in ended], channel=asked.channel, by=asked.user)
    line = f"{asked.name} ended this channel's subscription to {said}."
    counted = await desk.outbox.read_hashes(
        *(threshold_hash(item) for item in ended)
    )  # their ``after:`` counters are deleted, too
    await _post_note(
        desk, asked, f"unsubscribed:{request_hash(asked.request)}:{asked.channel}", line,
        *(_audit_record(desk, asked, "unsubscribe", before=item) for item in ended),
        forget={name: dict.fromkeys(fields) for name, fields in counted.items() if fields},
    )  # fmt: skip


def _ended_error() -> BadInput:
    return BadInput("That subscription has ended meanwhile.", "See which there are.", example="/zof subscriptions")


async def _post_note(
    desk: ListenerContext,
    asked: Requester,
    key: str,
    line: str,
    *acts: AuditRecord,
    forget: Mapping[str, Mapping[str, None]] | None = None,
) -> None:
    """Commit a note to the channel and the audit records, in one transaction."""
    note = _build_notification(desk, asked, key, channel_notes.note_payload(line))
    await desk.outbox.commit([note], changes=forget, acts=[act.model_dump_json() for act in acts])


def _build_notification(desk: ListenerContext, asked: Requester, key: str, body: dict[str, object]) -> Notification:
    now = desk.clock.time()
    return Notification(key=key, kind=NotificationKind.ROOT, channel=asked.channel, body=body, happened=now)


def _audit_record(
    desk: ListenerContext,
    asked: Requester,
    act: str,
    before: Subscription | None = None,
    after: Subscription | None = None,
) -> AuditRecord:
    return AuditRecord(
        at=desk.clock.time(), act=act, user=asked.user, name=asked.name, channel=asked.channel,
        key=(after or before or Subscription()).id, before=_filters_text(before) if before else "",
        after=_filters_text(after) if after else "", request=asked.request,
    )  # fmt: skip


def _saved_reply(asked: Requester, subscription: Subscription, shown: str, *, changed: bool = False) -> Message:
    notes = [
        subscription_modal.channel_caution(asked.room),
        replies.THREAD_ONLY_NOTE if Broadcast.NEVER in subscription.broadcast else "",
    ]
    return replies.subscribed_reply(shown, subscription.id, "\n".join(filter(None, notes)), changed=changed)


def request_hash(request: str) -> str:
    """Return a hash of the request id, used in ids and keys so that a retry creates no duplicates."""
    return hashlib.blake2s(request.encode(), digest_size=6).hexdigest()


async def _readable_filters(desk: ListenerContext, subscription: Subscription) -> str:
    return await desk.people.with_names(_filters_text(subscription))


def _filters_text(subscription: Subscription) -> str:
    return format_filters(subscription) or "all failures"
