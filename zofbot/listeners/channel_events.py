"""What Slack tells of channels: that one is shared, renamed or archived, and who comes and goes.

https://docs.slack.dev/reference/events
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.domain.errors import StoreUnavailable
from zofbot.listeners.context import ListenerContext
from zofbot.listeners.home_tab.updater import HomeUpdater

log = structlog.get_logger()


def register_listeners(app: AsyncApp, desk: ListenerContext, lobby: HomeUpdater) -> None:
    """Listen to all that changes who may see what."""

    async def handle_change(ack: Any, event: dict[str, Any]) -> None:
        await _record_change(
            desk, event
        )  # before Slack is told that we have it: who reads the channel may be others by now
        await ack()

    async def handle_reopened_channel(ack: Any, event: dict[str, Any]) -> None:
        """A channel takes messages again, as far as Slack tells: what waits for it is sent."""
        await _record_change(desk, event)
        await ack()
        if channel := _channel_id(event):
            desk.errands.start(_unblock_channel(desk, channel))

    async def handle_departure(ack: Any, event: dict[str, Any]) -> None:
        """Somebody is no member any more: their Home is not to show what they can no longer see."""
        await _record_change(desk, event)
        await ack()
        desk.errands.start(_refresh_home(desk, lobby, str(event.get("user") or ""), _channel_id(event)))

    app.event("channel_shared")(handle_change)
    app.event("channel_unshared")(handle_change)
    app.event("channel_rename")(handle_change)
    app.event("group_rename")(handle_change)
    app.event("channel_archive")(handle_change)
    app.event("group_archive")(handle_change)
    app.event("channel_left")(handle_change)
    app.event("group_left")(handle_change)
    app.event("channel_unarchive")(handle_reopened_channel)
    app.event("group_unarchive")(handle_reopened_channel)
    app.event("member_joined_channel")(handle_reopened_channel)
    app.event("member_left_channel")(handle_departure)


async def _record_change(desk: ListenerContext, event: Mapping[str, Any]) -> None:
    """Have what Slack said before count no more; where the store does not answer, nothing is remembered anyway."""
    for identifier in filter(None, (_channel_id(event), event.get("user"))):
        if isinstance(identifier, str):
            try:
                await desk.store.note_change(identifier)
            except StoreUnavailable as error:
                log.warning("change not noted", id=identifier, error=error.sentence)
                return


def _channel_id(event: Mapping[str, Any]) -> str:
    """The channel's id; a rename tells more of it."""
    channel = event.get("channel")
    found = channel.get("id") if isinstance(channel, Mapping) else channel
    return found if isinstance(found, str) else ""


async def _refresh_home(desk: ListenerContext, lobby: HomeUpdater, user: str, channel: str) -> None:
    try:
        told = user and await desk.subscriptions.list_for_channel(channel)
    except StoreUnavailable as error:
        log.warning("home not drawn anew", user=user, error=error.sentence)
        return
    if told:
        await lobby.refresh_home(user)


async def _unblock_channel(desk: ListenerContext, channel: str) -> None:
    try:
        if count := await desk.outbox.unpark_channel(channel):
            log.info("channel mended", channel=channel, waiting=count)
    except StoreUnavailable as error:  # the lookout tries it again in a few minutes
        log.warning("channel not mended yet", channel=channel, error=error.sentence)
