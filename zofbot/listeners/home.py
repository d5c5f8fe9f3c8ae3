"""App Home, and the events nobody here waits for."""

from __future__ import annotations

import re
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.errors import StoreUnavailable
from zofbot.listeners.desk import Desk
from zofbot.slack import answers

log = structlog.get_logger()


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to App Home being opened; every other event is acknowledged, or Slack would repeat it."""

    async def opened(ack: Any, event: dict[str, Any]) -> None:
        await ack()
        if event.get("tab", "home") == "home":
            view = {"type": "home", "blocks": answers.home()}
            desk.errands.start(desk.notifier.publish_home(str(event.get("user") or ""), view))

    async def mended(ack: Any, event: dict[str, Any]) -> None:
        """A channel takes messages again, as far as Slack tells: what waits for it is sent.

        https://docs.slack.dev/reference/events
        """
        await ack()
        channel = event.get("channel")
        if isinstance(channel, str) and channel:
            desk.errands.start(_unpark(desk, channel))

    async def other(ack: Any, event: dict[str, Any]) -> None:
        await ack()
        log.info("event ignored", type=event.get("type"))

    app.event("app_home_opened")(opened)
    app.event("channel_unarchive")(mended)
    app.event("group_unarchive")(mended)
    app.event("member_joined_channel")(mended)
    app.event(re.compile(""))(other)


async def _unpark(desk: Desk, channel: str) -> None:
    try:
        if count := await desk.outbox.unpark(channel):
            log.info("channel mended", channel=channel, waiting=count)
    except StoreUnavailable as error:  # the lookout tries it again in a few minutes
        log.warning("channel not mended yet", channel=channel, error=error.sentence)
