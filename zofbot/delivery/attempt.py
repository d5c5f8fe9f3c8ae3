"""A delivery: one attempt at one notification, from looking whether it is there to how it ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import structlog

from zofbot.clock import Clock
from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown, StoreUnavailable
from zofbot.notifications.notification import (
    Claim,
    NotificationKind,
    Receipt,
    UndecidedNotification,
    UnwantedNotification,
)
from zofbot.observability.metrics import Metrics
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
"""Draws a notification as it looks at a time in Unix seconds."""

PrepareClaim = Callable[[Claim], Awaitable[Claim]]
"""Takes out of a notification what its channel is not to see; raises UnwantedNotification where nothing is to be said
any more, and UndecidedNotification while it is not known what may be said.
"""

LOOK_BACK_SECONDS = CLOCK_SKEW_SECONDS
"""Seconds before an attempt from which on its message is looked for."""

OPERATOR_RETRY_SECONDS = 300.0
"""Seconds until another look, where an operator has to mend something first."""

UNWANTED_REASON = "no longer wanted"
"""Reason for dropping an obsolete reminder; ``commit.lua`` compares this text."""

MAX_BACKOFF_SECONDS = 60.0
"""Seconds that a backoff grows to."""


class Notifier(Protocol):
    """What speaks to Slack; every method raises SlackError. ``deadline`` is the seconds one call may take."""

    deadline: float

    async def post_message(
        self, channel: str, message: Message, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        """Post once."""

    async def update_message(
        self, receipt: Receipt, message: Message, meta: Mapping[str, Any] | None = None
    ) -> Receipt:
        """Make a message show this instead."""

    async def find_message(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        """Look for our own message."""

    async def has_message(self, receipt: Receipt) -> bool:
        """Whether a message of ours is still there."""

    async def join_channel(self, channel: str) -> None:
        """Become a member of a public channel."""


T = TypeVar("T")


class _LeaseEnding(Exception):
    """The lease ends before another call could."""


class NotificationSender:
    """Makes attempts. ``random`` gives numbers from 0 to 1, for backoff."""

    def __init__(  # noqa: PLR0913  (the parts it joins)
        self,
        notifier: Notifier,
        render: RenderMessage,
        metrics: Metrics,
        clock: Clock,
        *,
        random: Callable[[], float],
        veil: PrepareClaim | None = None,
    ) -> None:
        self._veil = veil
        self._notifier = notifier
        self._render = render
        self._metrics = metrics
        self._clock = clock
        self._random = random

    async def attempt_delivery(self, claim: Claim, mine: Callable[[], bool]) -> AttemptResult:
        """Look if it may be there, else say it. Nothing is said that could end after the lease: ``mine`` is asked."""
        try:
            if found := await self._find_earlier_send(claim):
                return Adopted.for_claim(claim, found)
        except SlackError as error:
            return await self._classify_find_error(claim, error)
        try:
            shown = await self._veil(claim) if self._veil else claim
            message = self._render(shown, self._clock.time())
        except UnwantedNotification:
            return Dropped.for_claim(claim, UNWANTED_REASON)
        except UndecidedNotification as wait:
            return Snoozed.for_claim(claim, wait.seconds)
        except StoreUnavailable:  # whether it is still wanted is not known
            return Snoozed.for_claim(claim, 1.0)
        except Exception as error:
            log.exception("notification cannot be drawn", key=claim.notification.key)
            return Refused.for_claim(claim, f"cannot be drawn: {type(error).__name__}")
        try:
            return Sent.for_claim(claim, await self._send_with_fallbacks(claim, message, mine))
        except SlackError as error:
            return await self._classify_send_error(claim, error)
        except _LeaseEnding:
            return Snoozed.for_claim(claim, 0.0)

    async def _find_earlier_send(self, claim: Claim) -> Receipt | None:
        if claim.maybe_since is None or claim.notification.kind is NotificationKind.EDIT:  # an edit can be made twice
            return None
        found = None
        try:
            found = await self._find_message(claim, claim.maybe_since - LOOK_BACK_SECONDS)
        except SlackError:
            self._metrics.finds.labels("failed").inc()
            raise
        self._metrics.finds.labels("found" if found else "absent").inc()
        return found

    async def _find_message(self, claim: Claim, since: float) -> Receipt | None:
        channel, key, thread = claim.notification.channel, claim.notification.key, _thread_ts(claim)
        return await self._read_as_member(
            channel, lambda: self._notifier.find_message(channel, key, since, thread=thread)
        )

    async def _read_as_member(self, channel: str, look: Callable[[], Awaitable[T]]) -> T:
        try:
            return await look()
        except SlackRefused as no:
            if handling_for(no.reason) is not RefusalHandling.JOIN:
                raise
            await self._join_channel(channel, no)
        return await look()

    async def _send_with_fallbacks(self, claim: Claim, message: Message, mine: Callable[[], bool]) -> Receipt:
        """Send it, after each remedy that there is once more, but with none of them twice."""
        tried: set[RefusalHandling] = set()
        while mine():
            try:
                return await self._post_or_update(claim, message)
            except SlackRefused as no:
                helps = handling_for(no.reason)
                plainer = helps is RefusalHandling.PLAIN and message.has_blocks
                if not plainer and (helps in tried or helps not in (RefusalHandling.JOIN, RefusalHandling.PLAIN)):
                    raise
                tried.add(helps)
                if helps is RefusalHandling.JOIN:
                    await self._join_channel(claim.notification.channel, no)
                else:
                    log.error("card refused", key=claim.notification.key, reason=no.reason)
                    message = message.plain_version()
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

    async def _join_channel(self, channel: str, no: SlackRefused) -> None:
        try:
            await self._notifier.join_channel(channel)
        except SlackRefused:
            raise no from None

    async def _classify_find_error(self, claim: Claim, error: SlackError) -> AttemptResult:
        """Whatever keeps us from looking, it is not sent again until somebody has looked."""
        if isinstance(error, SlackDeferred):
            return Unknown.for_claim(claim, error.reason, error.retry_after + self._retry_delay(claim))
        if isinstance(error, SlackUnknown):
            return Unknown.for_claim(claim, error.reason, 1 + self._retry_delay(claim))
        helps = handling_for(error.reason)
        if helps in (RefusalHandling.NONE, RefusalHandling.PLAIN) or error.reason == "missing_scope":
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
        )  # what Slack stores late is there by then

    async def _classify_refusal(self, claim: Claim, error: SlackError) -> AttemptResult:
        helps = handling_for(error.reason)
        if helps is RefusalHandling.PAUSE:
            return Halted.for_claim(claim, error.reason)
        if helps is RefusalHandling.REPOST and claim.notification.key.startswith(DETAILS_KEY_PREFIX):
            return Dropped.for_claim(claim, UNWANTED_REASON)  # people deleted what it was to complete
        if helps is RefusalHandling.SKIP and claim.notification.kind is NotificationKind.EDIT:
            return Dropped.for_claim(claim, error.reason)
        if helps is RefusalHandling.REPOST and claim.place:
            return await self._confirm_deletion(claim, claim.place, error.reason)
        return Refused.for_claim(claim, error.reason, helps in (RefusalHandling.JOIN, RefusalHandling.PARK))

    async def _confirm_deletion(self, claim: Claim, place: Receipt, reason: str) -> AttemptResult:
        """Believe that a message was removed only after a look: Slack says so of messages that are there, too."""
        wait = 1 + self._retry_delay(claim)
        try:
            standing = await self._read_as_member(place.channel, lambda: self._notifier.has_message(place))
        except SlackError as error:
            log.warning("cannot look for a message", channel=place.channel, ts=place.ts, reason=error.reason)
            return Deferred.for_claim(
                claim, OPERATOR_RETRY_SECONDS if isinstance(error, SlackRefused) else wait, False, reason
            )
        return Deferred.for_claim(claim, wait, False, reason) if standing else Gone.for_claim(claim, place, reason)

    def _retry_delay(self, claim: Claim) -> float:
        return retry_delay(claim.attempt, self._random())


def retry_delay(attempt: int, chance: float) -> float:
    """Seconds until the attempt after this one: full jitter under a ceiling that doubles."""
    return max(0.1, chance * min(MAX_BACKOFF_SECONDS, 2.0 ** min(attempt - 1, 10)))


def _thread_ts(claim: Claim) -> str:
    return claim.place.ts if claim.place and claim.notification.kind is NotificationKind.REPLY else ""
