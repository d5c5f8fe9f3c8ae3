"""What people of other organizations do not see: what a failure says, and what people noted about it.

A channel that is shared with another organization gets cards with names, outcomes and counts alone, for the text of a
failure may hold anything that a test printed. It is decided when a message is drawn, so that a card is drawn anew as
its channel stands by then. Where Slack does not say who reads a channel, its messages wait a few seconds for the
answer; then they say less, and that details follow, and an edit brings these once Slack has answered.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from zofbot.clock import Clock
from zofbot.domain.model import Result
from zofbot.notifications.notification import (
    Claim,
    Notification,
    NotificationKind,
    UndecidedNotification,
    UnwantedNotification,
)
from zofbot.notifications.payloads import AlertTestPayload, PlatformEventPayload, holds_payload
from zofbot.slack.directory import Readers

_INTERNAL_FIELDS = {"why", "note"}
"""Fields of bodies and of records that say more than what failed and where."""

READERS_WAIT_SECONDS = 5.0
"""How long a message waits for Slack to say who reads its channel."""

DETAILS_KEY_PREFIX = "details:"
"""Beginning of the keys of the edits that bring what was left out in doubt."""

DETAILS_WAIT_SECONDS = 86400.0
"""How long such an edit waits for Slack's answer."""

MAX_WAITING_MESSAGES = 1000
"""Messages of which it is remembered since when they wait."""


class SharedChannelFilter:
    """Decides how much of each notification its channel is to see, right before it is drawn.

    ``readers`` says who reads a channel (id), ``promise`` commits a notification.
    """

    def __init__(
        self,
        readers: Callable[[str], Awaitable[Readers]],
        promise: Callable[[Notification], Awaitable[object]],
        clock: Clock,
    ) -> None:
        self._readers, self._promise, self._clock = readers, promise, clock
        self._waiting: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, claimed: Claim) -> Claim:
        """Give the notification as its channel may see it.

        Raises UndecidedNotification while Slack may still answer, and StoreUnavailable.
        """
        less = redact_for_shared_channels(claimed)
        if less == claimed or holds_payload(claimed.notification.body, AlertTestPayload):
            return claimed
        readers = await self._readers(claimed.notification.channel)
        key = claimed.notification.key
        if readers in (Readers.OURS, Readers.SHARED):
            self._waiting.pop(key, None)
            return claimed if readers is Readers.OURS else less
        if key.startswith(DETAILS_KEY_PREFIX):
            raise self._postponement_error(claimed)
        if readers is Readers.UNKNOWN and self._seconds_waited(key) < READERS_WAIT_SECONDS:
            raise UndecidedNotification(1.0)
        self._waiting.pop(key, None)
        await self._promise(details_edit(claimed, self._clock.time() + READERS_WAIT_SECONDS))
        return replace(less, details_follow=True)

    def _seconds_waited(self, key: str) -> float:
        """For how many seconds this process has waited with a message."""
        now = self._clock.monotonic()
        since = self._waiting.setdefault(key, now)
        if len(self._waiting) > MAX_WAITING_MESSAGES:
            self._waiting.popitem(last=False)
        return now - since

    def _postponement_error(self, claimed: Claim) -> Exception:
        """When an edit asks again: seldom after a while, and at last no more."""
        age = self._clock.time() - claimed.committed
        return (
            UnwantedNotification()
            if age > DETAILS_WAIT_SECONDS
            else UndecidedNotification(min(300.0, max(READERS_WAIT_SECONDS, age / 4)))
        )


def details_edit(claimed: Claim, at: float) -> Notification:
    """The edit that brings what was left out of a message, no sooner than ``at`` (Unix seconds)."""
    one = claimed.notification
    message = one.key if one.kind is NotificationKind.REPLY or not one.root else one.root
    return Notification(
        key=f"{DETAILS_KEY_PREFIX}{message}",
        kind=NotificationKind.EDIT,
        channel=one.channel,
        body=one.body,
        root=message,
        happened=one.happened,
        not_before=at,
    )


def redact_for_shared_channels(claimed: Claim) -> Claim:
    """The same with nothing in it that others should not see; the very same where there is no such thing."""
    notification = claimed.notification
    body = _remove_internal_fields(notification.body)
    if holds_payload(body, PlatformEventPayload):
        body.pop("said", None)
    shows_failure = notification.kind is not NotificationKind.REPLY  # a reply only names it
    return replace(
        claimed,
        notification=notification.model_copy(update={"body": body}),
        failure=_remove_internal_fields(claimed.failure) if claimed.failure and shows_failure else claimed.failure,
        triage=_remove_note(claimed.triage) if shows_failure else claimed.triage,
        storm_triage=_remove_note(claimed.storm_triage) if shows_failure else claimed.storm_triage,
    )


def redact_result(result: Result) -> Result:
    """A result as others may see it."""
    return result.model_copy(update={"failure": None, "logs": None})


def _remove_note(triage: str) -> str:
    kept = json.loads(triage) if triage else {}
    return json.dumps(_remove_internal_fields(kept)) if _remove_internal_fields(kept) != kept else triage


def _remove_internal_fields(kept: Any) -> Any:
    if isinstance(kept, dict):
        return {name: _remove_internal_fields(value) for name, value in kept.items() if name not in _INTERNAL_FIELDS}
    return [_remove_internal_fields(item) for item in kept] if isinstance(kept, list) else kept
