"""What Slack tells of channels: that one is shared, renamed or archived, and who comes and goes.

https://docs.slack.dev/reference/events
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.errors import StoreUnavailable
from zofbot.listeners.desk import Desk
from zofbot.listeners.lobby import Lobby

log = structlog.get_logger()


def register(app: AsyncApp, desk: Desk, lobby: Lobby) -> None:
    """Listen to all that changes who may see what."""

    async def changed(ack: Any, event: dict[str, Any]) -> None:
        await _note(desk, event)  # before Slack is told that we have it: who reads the channel may be others by now
        await ack()

    async def mended(ack: Any, event: dict[str, Any]) -> None:
        """A channel takes messages again, as far as Slack tells: what waits for it is sent."""
        await _note(desk, event)
        await ack()
        if channel := _channel(event):
            desk.errands.start(_unpark(desk, channel))

    async def left(ack: Any, event: dict[str, Any]) -> None:
        """Somebody is no member any more: their Home is not to show what they can no longer see."""
        await _note(desk, event)
        await ack()
        desk.errands.start(_redraw(desk, lobby, str(event.get("user") or ""), _channel(event)))

    app.event("channel_shared")(changed)
    app.event("channel_unshared")(changed)
    app.event("channel_rename")(changed)
    app.event("group_rename")(changed)
    app.event("channel_archive")(changed)
    app.event("group_archive")(changed)
    app.event("channel_left")(changed)
    app.event("group_left")(changed)
    app.event("channel_unarchive")(mended)
    app.event("group_unarchive")(mended)
    app.event("member_joined_channel")(mended)
    app.event("member_left_channel")(left)


async def _note(desk: Desk, event: Mapping[str, Any]) -> None:
    """Have what Slack said before count no more; where the store does not answer, nothing is remembered anyway."""
    for identifier in filter(None, (_channel(event), event.get("user"))):
        if isinstance(identifier, str):
            try:
                await desk.store.note_change(identifier)
            except StoreUnavailable as error:
                log.warning("change not noted", id=identifier, error=error.sentence)
                return


def _channel(event: Mapping[str, Any]) -> str:
    """The channel's id; a rename tells more of it."""
    channel = event.get("channel")
    found = channel.get("id") if isinstance(channel, Mapping) else channel
    return found if isinstance(found, str) else ""


async def _redraw(desk: Desk, lobby: Lobby, user: str, channel: str) -> None:
    try:
        told = user and await desk.subscriptions.of(channel)
    except StoreUnavailable as error:
        log.warning("home not drawn anew", user=user, error=error.sentence)
        return
    if told:
        await lobby.redraw(user)


async def _unpark(desk: Desk, channel: str) -> None:
    try:
        if count := await desk.outbox.unpark(channel):
            log.info("channel mended", channel=channel, waiting=count)
    except StoreUnavailable as error:  # the lookout tries it again in a few minutes
        log.warning("channel not mended yet", channel=channel, error=error.sentence)
