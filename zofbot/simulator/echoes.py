"""Tells the bot of its own messages and edits in direct messages, as Slack does: an app has to ignore those itself."""

from __future__ import annotations

import asyncio

from zofbot.simulator import payloads
from zofbot.simulator.delivery import Delivery
from zofbot.simulator.workspace import Workspace


class Echoes:
    """Delivers the events one after another, each once; started once, stopped once."""

    def __init__(self, workspace: Workspace, delivery: Delivery) -> None:
        self._slack = workspace
        self._delivery = delivery
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Deliver in a task of its own until ``stop``."""
        self._task = asyncio.create_task(self._deliver())

    async def stop(self) -> None:
        """End the task; what waits stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _deliver(self) -> None:
        while True:
            message, edited = await self._slack.echoes.get()
            channel = self._slack.channels[message.channel]
            body = payloads.edited(message, channel) if edited else payloads.said(message, "message", channel)
            await self._delivery.send_event(payloads.event(self._slack, body, channel), ())
