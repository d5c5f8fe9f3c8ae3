"""Listeners for channel events: shared, renamed, archived, given a new id, and members joining or leaving.

https://docs.slack.dev/reference/events
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from slack_bolt.response import BoltResponse

from zofbot.domain.errors import StoreUnavailable
from zofbot.listeners.context import ListenerContext
from zofbot.listeners.home_tab.updater import HomeUpdater
from zofbot.listeners.listener_table import IdempotentListener, ListenerTable
from zofbot.services.channel_moves import move_channel

log = structlog.get_logger()


def register_listeners(table: ListenerTable, context: ListenerContext, home_updater: HomeUpdater) -> None:
    """Register handlers for the events that change who may see what."""

    async def handle_change(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> None:
        await _record_change(context, event)  # before the acknowledgement: the channel's readers may have changed
        await ack()

    async def handle_reopened_channel(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> None:
        """Send what waits for a channel, which may accept messages again."""
        await _record_change(context, event)
        await ack()
        if channel := _channel_id(event):
            context.background_tasks.start(_unblock_channel(context, channel))

    async def handle_departure(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> None:
        """Refresh the Home of somebody who left a channel, so that it no longer shows that channel."""
        await _record_change(context, event)
        await ack()
        if user := str(event.get("user") or ""):
            context.background_tasks.start(home_updater.remove_channel(user, _channel_id(event)))

    async def handle_new_id(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> Any:
        """Move what is kept for a channel to its new id; without the store, Slack is to send the event again."""
        old, new = str(event.get("old_channel_id") or ""), str(event.get("new_channel_id") or "")
        if old.isalnum() and new.isalnum() and old != new:
            settings = context.settings
            configured = {settings.zofbot_default_channel, settings.zofbot_canary_channel}
            try:
                await context.store.note_change(new)
                await move_channel(context.outbox, context.clock, old, new, configured)
            except StoreUnavailable as error:
                log.error("channel's new id not noted", old=old, channel=new, error=error.sentence)
                return BoltResponse(status=503, body="")
            context.background_tasks.start(_unblock_channel(context, old))
        await ack()
        return None

    table.events["channel_id_changed"] = IdempotentListener(handle_new_id)
    table.events["channel_shared"] = handle_change
    table.events["channel_unshared"] = handle_change
    table.events["channel_rename"] = handle_change
    table.events["group_rename"] = handle_change
    table.events["channel_archive"] = handle_change
    table.events["group_archive"] = handle_change
    table.events["channel_left"] = handle_change
    table.events["group_left"] = handle_change
    table.events["channel_unarchive"] = handle_reopened_channel
    table.events["group_unarchive"] = handle_reopened_channel
    table.events["member_joined_channel"] = handle_reopened_channel
    table.events["member_left_channel"] = handle_departure


async def _record_change(context: ListenerContext, event: Mapping[str, Any]) -> None:
    """Invalidate cached lookups of the channel and person; without the store, nothing is cached anyway."""
    for identifier in filter(None, (_channel_id(event), event.get("user"))):
        if isinstance(identifier, str):
            try:
                await context.store.note_change(identifier)
            except StoreUnavailable as error:
                log.warning("change not noted", id=identifier, error=error.sentence)
                return


def _channel_id(event: Mapping[str, Any]) -> str:
    """Return the channel's id; rename events have an object instead of an id."""
    channel = event.get("channel")
    found = channel.get("id") if isinstance(channel, Mapping) else channel
    return found if isinstance(found, str) else ""


async def _unblock_channel(context: ListenerContext, channel: str) -> None:
    try:
        if count := await context.outbox.unpark_channel(channel):
            log.info("channel unparked", channel=channel, waiting=count)
    except StoreUnavailable as error:  # the outbox monitor retries in a few minutes
        log.warning("channel not unparked", channel=channel, error=error.sentence)
