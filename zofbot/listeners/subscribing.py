"""What a channel is told: asked for, listed and ended by the people in it."""

from __future__ import annotations

import hashlib

import structlog

from zofbot.errors import BadInput
from zofbot.listeners.desk import Asked, Desk
from zofbot.notification import Kind, Notification
from zofbot.routing import Subscription, parse, spelled
from zofbot.slack import answers, lines
from zofbot.slack.message import Message

log = structlog.get_logger()

MOST = 50
"""Subscriptions that one channel may have."""


async def subscribe(desk: Desk, asked: Asked, wish: str) -> Message:
    """Keep a subscription, and let the channel see in one line who asked for what. Raises ZofbotError."""
    standing = await desk.subscriptions.of(asked.channel)
    wanted = parse(wish)
    for number, one in enumerate(standing, start=1):
        if spelled(one) == spelled(wanted):
            return answers.subscribed_already(number, spelled(one))
    if len(standing) >= MOST:
        raise BadInput(
            f"This channel has {MOST} subscriptions already.", "End one first.", example="/zof subscriptions"
        )
    now = desk.clock().timestamp()
    own = {"id": _identifier(asked), "channel": asked.channel, "by": asked.user, "by_name": asked.name, "created": now}
    subscription = wanted.model_copy(update=own)
    await desk.subscriptions.add(subscription)
    log.info("subscribed", id=subscription.id, channel=asked.channel, by=asked.user)
    line = f"{asked.name} subscribed this channel to {_wish(subscription)}."
    await _say(desk, asked, f"subscribed:{subscription.id}:{asked.channel}", line, now)
    return answers.subscribed(_wish(subscription))


async def listed(desk: Desk, asked: Asked) -> Message:
    """The channel's subscriptions, numbered. Raises StoreUnavailable."""
    found = await desk.subscriptions.of(asked.channel)
    return answers.subscriptions([(_wish(one), one.by_name, one.created) for one in found])


async def unsubscribe(desk: Desk, asked: Asked, which: str) -> Message:
    """End one subscription of the channel, by its number, or all. Raises ZofbotError."""
    found = await desk.subscriptions.of(asked.channel)
    if not found:
        raise BadInput("This channel has no subscription.", "Make one first.", example="/zof subscribe")
    if which != "all" and int(which) > len(found):
        raise BadInput(
            f"There is no subscription {which} here.", f"They go up to {len(found)}.", example="/zof subscriptions"
        )
    ended = found if which == "all" else [found[int(which) - 1]]
    await desk.subscriptions.remove(*(one.id for one in ended))
    log.info("unsubscribed", ids=[one.id for one in ended], channel=asked.channel, by=asked.user)
    said = "; ".join(_wish(one) for one in ended[:5])
    line = f"{asked.name} ended this channel's subscription to {said}."
    now = desk.clock().timestamp()
    await _say(desk, asked, f"unsubscribed:{_identifier(asked)}:{asked.channel}", line, now)
    return answers.unsubscribed(len(ended))


async def _say(desk: Desk, asked: Asked, key: str, line: str, now: float) -> None:
    """Put one line into the channel, through the outbox like every message that all can see."""
    body = lines.body(line)
    await desk.outbox.commit([Notification(key=key, kind=Kind.ROOT, channel=asked.channel, body=body, happened=now)])


def _identifier(asked: Asked) -> str:
    """The request's own, so that a repeat of it makes no second subscription."""
    return hashlib.blake2s(asked.request.encode(), digest_size=6).hexdigest()


def _wish(subscription: Subscription) -> str:
    return spelled(subscription) or "all failures"
