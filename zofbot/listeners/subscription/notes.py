"""What is posted and recorded when a subscription changes."""

from __future__ import annotations

import hashlib

from zofbot.domain.errors import BadInput
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.slack.views import channel_notes
from zofbot.store.audit import AuditRecord
from zofbot.subscriptions import Subscription, format_filters
from zofbot.subscriptions.diff import SubscriptionChange
from zofbot.subscriptions.filters import filters_text


def ended_error() -> BadInput:
    """Build the error for a subscription that is there no more."""
    return BadInput("That subscription was already removed.", "List the current ones.", example="/zof subscriptions")


def changed_error() -> BadInput:
    """Build the error for a subscription that somebody else has changed since the form was opened."""
    return BadInput("Someone changed this subscription meanwhile.", "Close the form and edit it again.")


def filters_version(subscription: Subscription) -> str:
    """Return a name for a subscription's filters, which changes with them."""
    return _short_hash(format_filters(subscription))


def build_note(context: ListenerContext, requester: Requester, key: str, line: str) -> Notification:
    """Build a line to the channel about a change."""
    return build_notification(context, requester, key, channel_notes.note_payload(line))


def build_notification(
    context: ListenerContext, requester: Requester, key: str, body: dict[str, object]
) -> Notification:
    """Build a message to the channel of the request."""
    now = context.clock.time()
    return Notification(key=key, kind=NotificationKind.ROOT, channel=requester.channel, body=body, happened=now)


def build_audit_record(
    context: ListenerContext, requester: Requester, act: str, change: SubscriptionChange
) -> AuditRecord:
    """Build the record of a change for the audit log."""
    return AuditRecord(
        at=context.clock.time(), act=act, user=requester.user, name=requester.name, channel=requester.channel,
        key=change.id, before=filters_text(change.before) if change.before else "",
        after=filters_text(change.after) if change.after else "", request=requester.request,
    )  # fmt: skip


def request_hash(request: str) -> str:
    """Return a hash of the request id, used in ids and keys so that a retry creates no duplicates."""
    return _short_hash(request)


def _short_hash(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()


async def readable_filters(context: ListenerContext, subscription: Subscription) -> str:
    """Return a subscription's filters as typed, with names for ids."""
    return await context.people.names.with_names(filters_text(subscription))
