"""One delivery attempt: look for an earlier send, render, post or update, and classify the result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from zofbot.clock import Clock
from zofbot.delivery.failed_calls import UNWANTED_REASON, FailedCallClassifier
from zofbot.delivery.notifier import Notifier, join_channel, read_as_member
from zofbot.domain.errors import SlackError, SlackRefused, StoreUnavailable
from zofbot.notifications.notification import (
    Claim,
    NotificationKind,
    Obsolete,
    Postponed,
    Receipt,
)
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.delivery import EarlierSendSearched
from zofbot.slack.client import message_metadata
from zofbot.slack.errors import RefusalHandling, handling_for
from zofbot.slack.history import CLOCK_SKEW_SECONDS
from zofbot.slack.views.blocks import Message
from zofbot.store.attempt_results import (
    Adopted,
    AttemptResult,
    Dropped,
    Refused,
    Sent,
    Snoozed,
)

log = structlog.get_logger()

RenderMessage = Callable[[Claim, float], Message]
"""Renders a notification for a time in Unix seconds."""

PrepareClaim = Callable[[Claim], Awaitable[Claim | Postponed | Obsolete]]
"""Returns what a notification is rendered from, or why it is not sent now."""

LOOK_BACK_SECONDS = CLOCK_SKEW_SECONDS
"""Seconds before an earlier attempt at which the search for its message begins."""


class _LeaseEnding(Exception):
    """The lease would end before another call could finish."""


class NotificationSender:
    """Sender of single notifications. ``random`` returns numbers from 0 to 1, for backoff."""

    def __init__(  # noqa: PLR0913  (the parts it joins)
        self,
        notifier: Notifier,
        render: RenderMessage,
        events: EventEmitter,
        clock: Clock,
        *,
        random: Callable[[], float],
        prepare: PrepareClaim | None = None,
    ) -> None:
        self._prepare = prepare
        self._notifier = notifier
        self._render = render
        self._events = events
        self._clock = clock
        self._failed_calls = FailedCallClassifier(notifier, random, clock)

    async def attempt_delivery(self, claim: Claim, may_call: Callable[[], bool]) -> AttemptResult:
        """Adopt the message of an earlier attempt if it exists, else send it.

        ``may_call`` is asked before each call whether its message can still be found before the lease ends.
        """
        try:
            if found := await self._find_earlier_send(claim):
                return Adopted.for_claim(claim, found)
        except SlackError as error:
            return await self._failed_calls.classify_find_error(claim, error)
        try:
            prepared = await self._prepare(claim) if self._prepare else claim
            if isinstance(prepared, Obsolete):
                return Dropped.for_claim(claim, UNWANTED_REASON)
            if isinstance(prepared, Postponed):
                return Snoozed.for_claim(claim, prepared.seconds)
            message = self._render(prepared, self._clock.time())
        except StoreUnavailable:  # cannot tell yet whether it is still wanted
            return Snoozed.for_claim(claim, 1.0)
        except Exception as error:
            log.exception("notification cannot be rendered", key=claim.notification.key)
            return Refused.for_claim(claim, f"cannot be rendered: {type(error).__name__}")
        try:
            return Sent.for_claim(claim, await self._send_with_fallbacks(claim, message, may_call))
        except SlackError as error:
            return await self._failed_calls.classify_send_error(claim, error)
        except _LeaseEnding:
            return Snoozed.for_claim(claim, 0.0)

    async def _find_earlier_send(self, claim: Claim) -> Receipt | None:
        if claim.maybe_since is None or claim.notification.kind is NotificationKind.EDIT:  # edits are idempotent
            return None
        found = None
        try:
            found = await self._find_message(claim, claim.maybe_since - LOOK_BACK_SECONDS)
        except SlackError:
            self._events.emit(EarlierSendSearched("failed"))
            raise
        self._events.emit(EarlierSendSearched("found" if found else "absent"))
        return found

    async def _find_message(self, claim: Claim, since: float) -> Receipt | None:
        channel, key, thread = claim.notification.channel, claim.notification.key, _thread_ts(claim)
        return await read_as_member(
            self._notifier, channel, lambda: self._notifier.find_message(channel, key, since, thread=thread)
        )

    async def _send_with_fallbacks(self, claim: Claim, message: Message, may_call: Callable[[], bool]) -> Receipt:
        """Send, retrying after each recovery: join the channel, fall back to plain text. Each is tried once."""
        tried: set[RefusalHandling] = set()
        while may_call():
            try:
                return await self._post_or_update(claim, message)
            except SlackRefused as error:
                handling = handling_for(error.reason)
                plainer = handling is RefusalHandling.PLAIN and message.has_blocks
                if not plainer and (handling in tried or handling not in (RefusalHandling.JOIN, RefusalHandling.PLAIN)):
                    raise
                tried.add(handling)
                if handling is RefusalHandling.JOIN:
                    await join_channel(self._notifier, claim.notification.channel, error)
                else:
                    log.error("card refused", key=claim.notification.key, reason=error.reason)
                    message = message.simpler_version()
        raise _LeaseEnding

    async def _post_or_update(self, claim: Claim, message: Message) -> Receipt:
        notification = claim.notification
        if notification.kind is NotificationKind.EDIT and claim.place:
            return await self._notifier.update_message(claim.place, message)
        return await self._notifier.post_message(
            notification.channel,
            message,
            message_metadata(notification.key),
            thread=_thread_ts(claim),
            broadcast=bool(notification.body.get("broadcast")),
        )


def _thread_ts(claim: Claim) -> str:
    return claim.place.ts if claim.place and claim.notification.kind is NotificationKind.REPLY else ""
