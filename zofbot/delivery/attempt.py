"""One delivery attempt: look for an earlier send, render, post or update, and classify the result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import structlog

from zofbot.clock import Clock
from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown, StoreUnavailable
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
from zofbot.slack.shared_channels import DETAILS_KEY_PREFIX
from zofbot.slack.views.blocks import Message
from zofbot.store.attempt_results import (
    Adopted,
    AttemptResult,
    Deferred,
    Dropped,
    Gone,
    Halted,
    Refused,
    Sent,
    Snoozed,
    Unknown,
)

log = structlog.get_logger()

RenderMessage = Callable[[Claim, float], Message]
"""Renders a notification for a time in Unix seconds."""

PrepareClaim = Callable[[Claim], Awaitable[Claim | Postponed | Obsolete]]
"""Returns what a notification is rendered from, or why it is not sent now."""

LOOK_BACK_SECONDS = CLOCK_SKEW_SECONDS
"""Seconds before an earlier attempt at which the search for its message begins."""

OPERATOR_RETRY_SECONDS = 300.0
"""Seconds between retries of something that an operator must fix first."""

UNWANTED_REASON = "no longer wanted"
"""Reason stored for dropping an obsolete timer; ``commit.lua`` compares with this exact text."""

MAX_BACKOFF_SECONDS = 60.0
"""Upper limit of the retry backoff, in seconds."""


class Notifier(Protocol):
    """Slack calls that delivery needs; every method raises SlackError. ``deadline``: seconds allowed per call."""

    deadline: float

    async def post_message(
        self, channel: str, message: Message, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        """Post a message, without retries."""

    async def update_message(
        self, receipt: Receipt, message: Message, meta: Mapping[str, Any] | None = None
    ) -> Receipt:
        """Replace the content of a message."""

    async def find_message(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        """Find this app's message that carries ``key``, posted after ``since`` (Unix seconds)."""

    async def has_message(self, receipt: Receipt) -> bool:
        """Return whether this app's message still exists."""

    async def join_channel(self, channel: str) -> None:
        """Join a public channel."""


T = TypeVar("T")


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
        self._random = random

    async def attempt_delivery(self, claim: Claim, may_call: Callable[[], bool]) -> AttemptResult:
        """Adopt the message of an earlier attempt if it exists, else send it.

        ``may_call`` is asked before each call whether the call can still finish within the lease.
        """
        try:
            if found := await self._find_earlier_send(claim):
                return Adopted.for_claim(claim, found)
        except SlackError as error:
            return await self._classify_find_error(claim, error)
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
            log.exception("notification cannot be drawn", key=claim.notification.key)
            return Refused.for_claim(claim, f"cannot be drawn: {type(error).__name__}")
        try:
            return Sent.for_claim(claim, await self._send_with_fallbacks(claim, message, may_call))
        except SlackError as error:
            return await self._classify_send_error(claim, error)
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
        return await self._read_as_member(
            channel, lambda: self._notifier.find_message(channel, key, since, thread=thread)
        )

    async def _read_as_member(self, channel: str, look: Callable[[], Awaitable[T]]) -> T:
        try:
            return await look()
        except SlackRefused as error:
            if handling_for(error.reason) is not RefusalHandling.JOIN:
                raise
            await self._join_channel(channel, error)
        return await look()

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
                    await self._join_channel(claim.notification.channel, error)
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

    async def _join_channel(self, channel: str, error: SlackRefused) -> None:
        try:
            await self._notifier.join_channel(channel)
        except SlackRefused:
            raise error from None

    async def _classify_find_error(self, claim: Claim, error: SlackError) -> AttemptResult:
        """Classify a failed search. It never leads to a resend before a search has succeeded."""
        if isinstance(error, SlackDeferred):
            return Unknown.for_claim(claim, error.reason, error.retry_after + self._retry_delay(claim))
        if isinstance(error, SlackUnknown):
            return Unknown.for_claim(claim, error.reason, 1 + self._retry_delay(claim))
        handling = handling_for(error.reason)
        if handling in (RefusalHandling.NONE, RefusalHandling.PLAIN) or error.reason == "missing_scope":
            log.error("cannot look whether it was sent", key=claim.notification.key, reason=error.reason,
                      mend=error.next_step)  # fmt: skip
            return Unknown.for_claim(claim, f"cannot look: {error.reason}", OPERATOR_RETRY_SECONDS)
        return await self._classify_refusal(claim, error)

    async def _classify_send_error(self, claim: Claim, error: SlackError) -> AttemptResult:
        if isinstance(error, SlackDeferred) and error.reason == "unreachable":
            return Deferred.for_claim(claim, self._retry_delay(claim), False, error.reason)
        if isinstance(error, SlackDeferred):
            return Deferred.for_claim(claim, error.retry_after, True, error.reason)
        if isinstance(error, SlackRefused):
            return await self._classify_refusal(claim, error)
        if claim.notification.kind is NotificationKind.EDIT:
            return Deferred.for_claim(claim, 1 + self._retry_delay(claim), False, error.reason)
        return Unknown.for_claim(
            claim, error.reason, 1 + self._retry_delay(claim)
        )  # time for Slack to store a late message

    async def _classify_refusal(self, claim: Claim, error: SlackError) -> AttemptResult:
        handling = handling_for(error.reason)
        if handling is RefusalHandling.PAUSE:
            return Halted.for_claim(claim, error.reason)
        if handling is RefusalHandling.REPOST and claim.notification.key.startswith(DETAILS_KEY_PREFIX):
            return Dropped.for_claim(claim, UNWANTED_REASON)  # somebody deleted the message to be edited
        if handling is RefusalHandling.SKIP and claim.notification.kind is NotificationKind.EDIT:
            return Dropped.for_claim(claim, error.reason)
        if handling is RefusalHandling.REPOST and claim.place:
            return await self._confirm_deletion(claim, claim.place, error.reason)
        return Refused.for_claim(claim, error.reason, handling in (RefusalHandling.JOIN, RefusalHandling.PARK))

    async def _confirm_deletion(self, claim: Claim, place: Receipt, reason: str) -> AttemptResult:
        """Check the channel before treating a message as deleted: Slack reports that for existing messages, too."""
        wait = 1 + self._retry_delay(claim)
        try:
            exists = await self._read_as_member(place.channel, lambda: self._notifier.has_message(place))
        except SlackError as error:
            log.warning("cannot look for a message", channel=place.channel, ts=place.ts, reason=error.reason)
            return Deferred.for_claim(
                claim, OPERATOR_RETRY_SECONDS if isinstance(error, SlackRefused) else wait, False, reason
            )
        return Deferred.for_claim(claim, wait, False, reason) if exists else Gone.for_claim(claim, place, reason)

    def _retry_delay(self, claim: Claim) -> float:
        return retry_delay(claim.attempt, self._random())


def retry_delay(attempt: int, chance: float) -> float:
    """Return the seconds until the next attempt: full jitter below an exponentially growing limit."""
    return max(0.1, chance * min(MAX_BACKOFF_SECONDS, 2.0 ** min(attempt - 1, 10)))


def _thread_ts(claim: Claim) -> str:
    return claim.place.ts if claim.place and claim.notification.kind is NotificationKind.REPLY else ""
