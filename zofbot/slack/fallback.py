"""The plain version of what Slack refuses to draw: newer kinds of blocks are not known in every workspace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from zofbot.errors import SlackRefused
from zofbot.slack.message import Message
from zofbot.slack.verdict import Remedy, remedy

log = structlog.get_logger()

T = TypeVar("T")


async def send_or_simplify(send: Callable[[Message], Awaitable[T]], message: Message, reference: str = "") -> T:
    """Send a message; while Slack refuses how it is drawn, send the next plainer version of it.

    ``reference`` stands in the plain one. Raises SlackError.
    """
    while True:
        try:
            return await send(message)
        except SlackRefused as error:
            if remedy(error.reason) is not Remedy.PLAIN or not message.has_blocks:
                raise
            log.error("card refused", reason=error.reason, text=message.text)
            message = message.plain(reference)
