"""Send the bot events of its own direct messages and edits, as Slack does; an app must ignore those."""

from __future__ import annotations

import asyncio

from zofbot.simulator.slack import payloads
from zofbot.simulator.slack.sender import PayloadSender
from zofbot.simulator.slack.state import Workspace


class EchoSender:
    """Deliver the events in order, each once; started and stopped once."""

    def __init__(self, workspace: Workspace, delivery: PayloadSender) -> None:
        self._slack = workspace
        self._delivery = delivery
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start delivering in the background until ``stop``."""
        self._task = asyncio.create_task(self._deliver_echoes())

    async def stop(self) -> None:
        """Stop the task; undelivered items stay queued."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _deliver_echoes(self) -> None:
        while True:
            message, edited = await self._slack.echoes.get()
            channel = self._slack.channels[message.channel]
            body = (
                payloads.edit_event(message, channel) if edited else payloads.message_event(message, "message", channel)
            )
            await self._delivery.send_event(payloads.event_payload(self._slack, body, channel), ())
