"""App Home, and the events nobody here waits for."""

from __future__ import annotations

import re
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

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

    async def other(ack: Any, event: dict[str, Any]) -> None:
        await ack()
        log.info("event ignored", type=event.get("type"))

    app.event("app_home_opened")(opened)
    app.event(re.compile(""))(other)
