"""Notify the people responsible for a channel that it refuses messages, or that an alert was deleted from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from zofbot.alerting.state import MOVED_CHANNELS
from zofbot.clock import Clock
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.slack.views import channel_notes
from zofbot.store.outbox import Outbox
from zofbot.store.subscriptions import Subscriptions

MAX_NOTIFIED_ADMINS = 20
"""At most this many admins are notified about the default channel."""


class ChannelContacts:
    """Whoever subscribed a channel, and for the default channel the admins, too."""

    def __init__(
        self,
        outbox: Outbox,
        subscriptions: Subscriptions,
        clock: Clock,
        *,
        default_channel: str,
        list_admins: Callable[[], Awaitable[Iterable[str]]],
    ) -> None:
        self._outbox, self._subscriptions, self._clock = outbox, subscriptions, clock
        self._default_channel, self._list_admins = default_channel, list_admins

    async def report_refusal(self, channel: str, reason: str) -> None:
        """Notify the people responsible for a channel that refuses messages; its messages wait until it is fixed.

        Raises SlackError if Slack does not list the admins; repeating it notifies only those who were not notified yet.
        """
        name = f"parked:{channel}:{reason}:{self._clock.now():%G-%V}"  # at most once a week
        await self._notify_responsible(
            channel, name, channel_notes.blocked_channel_note(reason), known=reason != "channel_not_found"
        )

    async def report_removal(self, root: str, channel: str) -> None:
        """Notify the people responsible for a channel that an alert was deleted from it twice; raises as above."""
        await self._notify_responsible(channel, f"removed:{root}", channel_notes.ALERT_REMOVED_NOTE)

    async def _notify_responsible(self, channel: str, name: str, text: str, *, known: bool = True) -> None:
        """Send ``text`` to everybody who subscribed the channel, and for the default channel to the admins too.

        Slack may have changed the channel's id. A channel that Slack does not know (``known=False``) is named by its
        id, because a message cannot link to it.
        """
        moved = (await self._outbox.read_hashes(MOVED_CHANNELS))[MOVED_CHANNELS]
        channel, default = (moved.get(identifier, identifier) for identifier in (channel, self._default_channel))
        is_default = channel == default
        text = f"{channel_notes.DEFAULT_CHANNEL_NOTE} {text}" if is_default else text
        body = channel_notes.note_payload(text, channel) if known else channel_notes.note_payload(f"{channel}: {text}")
        subscribers = {item.by for item in await self._subscriptions.list_for_channel(channel) if item.by}
        await self._send_notes(subscribers, name, body)
        if is_default:
            await self._send_notes(sorted(await self._list_admins())[:MAX_NOTIFIED_ADMINS], name, body)

    async def _send_notes(self, users: Iterable[str], name: str, body: dict[str, Any]) -> None:
        for note in build_personal_notes(users, name, body, self._clock.time()):
            await self._outbox.commit([note])


def build_personal_notes(users: Iterable[str], name: str, body: dict[str, Any], now: float) -> list[Notification]:
    """Return a direct message to each of the people; ``name`` and the person make its key."""
    return [
        Notification(
            key=f"{name}:{user}", kind=NotificationKind.ROOT, channel=user, body=body, happened=now, critical=True
        )
        for user in sorted(users)
    ]
