"""The calls to Slack that delivery needs, and reading a channel that the bot must join first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from zofbot.domain.errors import SlackDeferred, SlackRefused, SlackUnknown
from zofbot.notifications.notification import Receipt
from zofbot.slack.errors import RefusalHandling, handling_for, is_temporary
from zofbot.slack.views.blocks import Message

T = TypeVar("T")

JOIN_RETRY_SECONDS = 10.0
"""Seconds until a channel is joined again after Slack did not confirm it; its messages wait."""


class Notifier(Protocol):
    """Slack calls that delivery needs; every method raises SlackError. ``deadline``: seconds allowed per call."""

    deadline: float

    async def post_message(
        self, channel: str, message: Message, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        """Post a message, without retries."""

    async def update_message(self, receipt: Receipt, message: Message) -> Receipt:
        """Replace the content of a message."""

    async def find_message(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        """Find this app's message that carries ``key``, posted after ``since`` (Unix seconds)."""

    async def has_message(self, receipt: Receipt) -> bool:
        """Return whether this app's message still exists."""

    async def join_channel(self, channel: str) -> None:
        """Join a public channel."""


async def read_as_member(notifier: Notifier, channel: str, read: Callable[[], Awaitable[T]]) -> T:
    """Read from a channel, after joining it if Slack refuses because the bot is not in it. Raises SlackError."""
    try:
        return await read()
    except SlackRefused as error:
        if handling_for(error.reason) is not RefusalHandling.JOIN:
            raise
        await join_channel(notifier, channel, error)
    return await read()


async def join_channel(notifier: Notifier, channel: str, error: SlackRefused) -> None:
    """Join a public channel. Raises ``error`` if Slack refuses that, and SlackDeferred if it may do so later.

    Never SlackUnknown: the call that was refused with ``error`` has certainly posted nothing. If the channel is
    archived, which removes the bot (https://github.com/elastic/connectors/issues/1972), that is raised instead.
    """
    try:
        await notifier.join_channel(channel)
    except SlackRefused as refused:
        raise (refused if refused.reason == "is_archived" else error) from None
    except SlackUnknown as unconfirmed:
        if not is_temporary(unconfirmed):
            raise error from None
        deferred = SlackDeferred(
            unconfirmed.reason, "Slack didn't confirm that zofbot joined.", "Try again in a moment."
        )
        deferred.retry_after = JOIN_RETRY_SECONDS
        raise deferred from unconfirmed
