"""Save a subscription, tell the channel, and show what it would have posted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import structlog

from zofbot.domain.errors import BadInput
from zofbot.domain.permissions import Role
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.subscription import preview as subscription_preview
from zofbot.listeners.subscription.notes import (
    build_audit_record,
    build_note,
    changed_error,
    ended_error,
    filters_version,
    readable_filters,
    request_hash,
)
from zofbot.services.subscription_changes import commit_changes
from zofbot.slack.directory import Readers
from zofbot.slack.views import preview
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.replies import help_replies, subscription_replies
from zofbot.slack.views.subscription_form import modal
from zofbot.store.outbox import CommitConflict
from zofbot.store.subscriptions import StoredSubscriptions
from zofbot.subscriptions import Broadcast, Subscription, format_filters
from zofbot.subscriptions.diff import SubscriptionChange
from zofbot.subscriptions.digest_schedule import iana_name
from zofbot.subscriptions.model import MAX_SUBSCRIPTIONS

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
    """Reply after saving a subscription; ``subscription`` is what was stored, None if it existed already."""

    message: Message
    subscription: Subscription | None = None


async def zone_name(context: ListenerContext, requester: Requester) -> str:
    """Return the name of a person's time zone from their Slack profile; UTC if unknown."""
    return iana_name((await context.people.load_person(requester.user)).zone)


async def known_ids(context: ListenerContext, channel: str) -> dict[str, str]:
    """Return the ids, by name, of user groups and of people mentioned in any subscription, this channel's first."""
    found = sorted(await context.subscriptions.list_all(), key=lambda each: each.channel != channel)
    return await context.people.names.ids_by_name(identifier for each in found for identifier in each.mention_ids)


async def save_subscription(
    context: ListenerContext, requester: Requester, wanted: Subscription, identifier: str, *, edited: str | None = None
) -> SavedSubscription:
    """Create a subscription, or replace the one with ``identifier``, and post a note to the channel.

    ``edited`` is the version of the filters that the person has edited (``filters_version``): it must still be there,
    unless it is empty, as from a form of an earlier version. A replacement keeps id and creation time, so no failure is
    announced twice. Raises ZofbotError.
    """
    person = await require_role(
        context, requester, Role.RESPONDER, SUBSCRIBE_ATTEMPT if edited is None else CHANGE_ATTEMPT
    )
    requester = replace(requester, name=person.name or requester.name)
    origin = {"id": identifier, "channel": requester.channel, "by": requester.user, "by_name": requester.name}
    wanted = wanted.model_copy(update={**origin, "created": context.clock.time()})
    while True:
        stored = await context.subscriptions.read()
        existing = stored.list_for_channel(requester.channel)
        for number, item in enumerate(existing, start=1):
            if format_filters(item) == format_filters(wanted):
                return SavedSubscription(
                    subscription_replies.already_subscribed_reply(number, await readable_filters(context, item))
                )
        if missing := await context.people.names.describe_unreachable(wanted.mention_ids):
            raise BadInput(missing, "Mention someone else, or leave them out.", example="/zof help subscribe")
        change = _plan_change(wanted, existing, edited)
        try:
            return await _commit_change(context, requester, stored, change)
        except CommitConflict:
            continue


def _plan_change(wanted: Subscription, existing: Sequence[Subscription], edited: str | None) -> SubscriptionChange:
    """Return how a channel's ``existing`` subscriptions change. Raises BadInput."""
    before = next((item for item in existing if item.id == wanted.id), None)
    if before:
        if edited and edited != filters_version(before):
            raise changed_error()
        own = before.model_dump(include={"id", "channel", "by", "by_name", "created"})
        return SubscriptionChange(before, wanted.model_copy(update=own))
    if edited is not None:
        raise ended_error()
    if len(existing) >= MAX_SUBSCRIPTIONS:
        raise BadInput(
            f"This channel already has {MAX_SUBSCRIPTIONS} subscriptions.",
            "Remove one first.",
            example="/zof subscriptions",
        )
    return SubscriptionChange(None, wanted)


async def _commit_change(
    context: ListenerContext, requester: Requester, stored: StoredSubscriptions, change: SubscriptionChange
) -> SavedSubscription:
    """Store a new or changed subscription with its note and audit record. Raises CommitConflict."""
    before, after = change.before, change.after or Subscription()
    shown = await readable_filters(context, after)
    if before:
        old = await readable_filters(context, before)
        line = f"{requester.name} changed this channel's subscription from {old} to {shown}."
        key, act = f"changed:{request_hash(requester.request)}:{requester.channel}", "change subscription"
    else:
        line = f"{requester.name} subscribed this channel to {shown}."
        key, act = f"subscribed:{after.id}:{requester.channel}", "subscribe"
    await commit_changes(
        context.outbox,
        stored,
        [change],
        [build_note(context, requester, key, line)],
        [build_audit_record(context, requester, act, change)],
    )
    what = "subscription changed" if before else "subscribed"
    log.info(what, id=after.id, channel=requester.channel, by=requester.user)
    return SavedSubscription(_saved_reply(requester, after, shown, changed=bool(before)), after)


async def send_preview(
    context: ListenerContext, requester: Requester, saved: SavedSubscription, *, after: float = 0.0
) -> None:
    """Send the preview after the reply, at the earliest ``after`` so many seconds."""
    if saved.subscription:
        said, readers, _ = await asyncio.gather(
            subscription_preview.describe_preview(context, saved.subscription, saved=True),
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


def _saved_reply(requester: Requester, subscription: Subscription, shown: str, *, changed: bool = False) -> Message:
    notes = [
        modal.channel_caution(requester.room),
        help_replies.THREAD_ONLY_NOTE if Broadcast.NEVER in subscription.broadcast else "",
    ]
    return subscription_replies.subscribed_reply(
        shown, subscription.id, "\n".join(filter(None, notes)), changed=changed
    )
