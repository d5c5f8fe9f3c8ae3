"""A delivery: one attempt at one notification, from looking whether it is there to how it ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import structlog

from zofbot.clock import Clock
from zofbot.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown, StoreUnavailable
from zofbot.metrics import Metrics
from zofbot.notification import Claimed, Kind, Receipt, Undecided, Unwanted
from zofbot.slack.discretion import DETAILS
from zofbot.slack.history import CLOCK_SKEW_SECONDS
from zofbot.slack.message import Message
from zofbot.slack.notifier import metadata
from zofbot.slack.verdict import Remedy, remedy
from zofbot.store.settlement import (
    Adopted,
    Deferred,
    Dropped,
    Gone,
    Halted,
    Refused,
    Sent,
    Settlement,
    Snoozed,
    Unknown,
)

log = structlog.get_logger()

Render = Callable[[Claimed, float], Message]
"""Draws a notification as it looks at a time in Unix seconds."""

Veil = Callable[[Claimed], Awaitable[Claimed]]
"""Takes out of a notification what its channel is not to see; raises Unwanted where nothing is to be said any more, and
Undecided while it is not known what may be said."""

LOOK_BACK = CLOCK_SKEW_SECONDS
"""Seconds before an attempt from which on its message is looked for."""

LONG = 300.0
"""Seconds until another look, where an operator has to mend something first."""

UNWANTED = "no longer wanted"
"""Why a timer is dropped that was overtaken; ``commit.lua`` knows it by this word."""

LONGEST = 60.0
"""Seconds that a backoff grows to."""


class Notifier(Protocol):
    """What speaks to Slack; every method raises SlackError. ``deadline`` is the seconds one call may take."""

    deadline: float

    async def send(
        self, channel: str, message: Message, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        """Post once."""

    async def update(self, receipt: Receipt, message: Message, meta: Mapping[str, Any] | None = None) -> Receipt:
        """Make a message show this instead."""

    async def find(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        """Look for our own message."""

    async def is_standing(self, receipt: Receipt) -> bool:
        """Whether a message of ours is still there."""

    async def join(self, channel: str) -> None:
        """Become a member of a public channel."""


Seen = TypeVar("Seen")


class _TooLate(Exception):
    """The lease ends before another call could."""


class Delivery:
    """Makes attempts. ``random`` gives numbers from 0 to 1, for backoff."""

    def __init__(  # noqa: PLR0913  (the parts it joins)
        self,
        notifier: Notifier,
        render: Render,
        metrics: Metrics,
        clock: Clock,
        *,
        random: Callable[[], float],
        veil: Veil | None = None,
    ) -> None:
        self._veil = veil
        self._notifier = notifier
        self._render = render
        self._metrics = metrics
        self._clock = clock
        self._random = random

    async def attempt(self, claim: Claimed, mine: Callable[[], bool]) -> Settlement:
        """Look if it may be there, else say it. Nothing is said that could end after the lease: ``mine`` is asked."""
        try:
            if found := await self._look(claim):
                return Adopted.of(claim, found)
        except SlackError as error:
            return await self._not_seen(claim, error)
        try:
            shown = await self._veil(claim) if self._veil else claim
            message = self._render(shown, self._clock.time())
        except Unwanted:
            return Dropped.of(claim, UNWANTED)
        except Undecided as wait:
            return Snoozed.of(claim, wait.seconds)
        except StoreUnavailable:  # whether it is still wanted is not known
            return Snoozed.of(claim, 1.0)
        except Exception as error:
            log.exception("notification cannot be drawn", key=claim.notification.key)
            return Refused.of(claim, f"cannot be drawn: {type(error).__name__}")
        try:
            return Sent.of(claim, await self._say(claim, message, mine))
        except SlackError as error:
            return await self._not_said(claim, error)
        except _TooLate:
            return Snoozed.of(claim, 0.0)

    async def _look(self, claim: Claimed) -> Receipt | None:
        if claim.maybe_since is None or claim.notification.kind is Kind.EDIT:  # an edit can be made twice
            return None
        found = None
        try:
            found = await self._find(claim, claim.maybe_since - LOOK_BACK)
        except SlackError:
            self._metrics.finds.labels("failed").inc()
            raise
        self._metrics.finds.labels("found" if found else "absent").inc()
        return found

    async def _find(self, claim: Claimed, since: float) -> Receipt | None:
        channel, key, thread = claim.notification.channel, claim.notification.key, _thread(claim)
        return await self._read_as_member(channel, lambda: self._notifier.find(channel, key, since, thread=thread))

    async def _read_as_member(self, channel: str, look: Callable[[], Awaitable[Seen]]) -> Seen:
        try:
            return await look()
        except SlackRefused as no:
            if remedy(no.reason) is not Remedy.JOIN:
                raise
            await self._join(channel, no)
        return await look()

    async def _say(self, claim: Claimed, message: Message, mine: Callable[[], bool]) -> Receipt:
        """Send it, after each remedy that there is once more, but with none of them twice."""
        tried: set[Remedy] = set()
        while mine():
            try:
                return await self._put(claim, message)
            except SlackRefused as no:
                helps = remedy(no.reason)
                plainer = helps is Remedy.PLAIN and message.has_blocks
                if not plainer and (helps in tried or helps not in (Remedy.JOIN, Remedy.PLAIN)):
                    raise
                tried.add(helps)
                if helps is Remedy.JOIN:
                    await self._join(claim.notification.channel, no)
                else:
                    log.error("card refused", key=claim.notification.key, reason=no.reason)
                    message = message.plain()
        raise _TooLate

    async def _put(self, claim: Claimed, message: Message) -> Receipt:
        notification = claim.notification
        if notification.kind is Kind.EDIT and claim.place:
            return await self._notifier.update(claim.place, message)
        return await self._notifier.send(
            notification.channel,
            message,
            metadata(notification.key),
            thread=_thread(claim),
            broadcast=bool(notification.body.get("broadcast")),
        )

    async def _join(self, channel: str, no: SlackRefused) -> None:
        try:
            await self._notifier.join(channel)
        except SlackRefused:
            raise no from None

    async def _not_seen(self, claim: Claimed, error: SlackError) -> Settlement:
        """Whatever keeps us from looking, it is not sent again until somebody has looked."""
        if isinstance(error, SlackDeferred):
            return Unknown.of(claim, error.reason, error.retry_after + self._backoff(claim))
        if isinstance(error, SlackUnknown):
            return Unknown.of(claim, error.reason, 1 + self._backoff(claim))
        helps = remedy(error.reason)
        if helps in (Remedy.NONE, Remedy.PLAIN) or error.reason == "missing_scope":
            log.error("cannot look whether it was sent", key=claim.notification.key, reason=error.reason,
                      mend=error.next_step)  # fmt: skip
            return Unknown.of(claim, f"cannot look: {error.reason}", LONG)
        return await self._refused(claim, error)

    async def _not_said(self, claim: Claimed, error: SlackError) -> Settlement:
        if isinstance(error, SlackDeferred) and error.reason == "unreachable":
            return Deferred.of(claim, self._backoff(claim), False, error.reason)
        if isinstance(error, SlackDeferred):
            return Deferred.of(claim, error.retry_after, True, error.reason)
        if isinstance(error, SlackRefused):
            return await self._refused(claim, error)
        if claim.notification.kind is Kind.EDIT:
            return Deferred.of(claim, 1 + self._backoff(claim), False, error.reason)
        return Unknown.of(claim, error.reason, 1 + self._backoff(claim))  # what Slack stores late is there by then

    async def _refused(self, claim: Claimed, error: SlackError) -> Settlement:
        helps = remedy(error.reason)
        if helps is Remedy.PAUSE:
            return Halted.of(claim, error.reason)
        if helps is Remedy.REPOST and claim.notification.key.startswith(DETAILS):
            return Dropped.of(claim, UNWANTED)  # people deleted what it was to complete
        if helps is Remedy.SKIP and claim.notification.kind is Kind.EDIT:
            return Dropped.of(claim, error.reason)
        if helps is Remedy.REPOST and claim.place:
            return await self._missing(claim, claim.place, error.reason)
        return Refused.of(claim, error.reason, helps in (Remedy.JOIN, Remedy.PARK))

    async def _missing(self, claim: Claimed, place: Receipt, reason: str) -> Settlement:
        """Believe that a message was removed only after a look: Slack says so of messages that are there, too."""
        wait = 1 + self._backoff(claim)
        try:
            standing = await self._read_as_member(place.channel, lambda: self._notifier.is_standing(place))
        except SlackError as error:
            log.warning("cannot look for a message", channel=place.channel, ts=place.ts, reason=error.reason)
            return Deferred.of(claim, LONG if isinstance(error, SlackRefused) else wait, False, reason)
        return Deferred.of(claim, wait, False, reason) if standing else Gone.of(claim, place, reason)

    def _backoff(self, claim: Claimed) -> float:
        return backoff(claim.attempt, self._random())


def backoff(attempt: int, chance: float) -> float:
    """Seconds until the attempt after this one: full jitter under a ceiling that doubles."""
    return max(0.1, chance * min(LONGEST, 2.0 ** min(attempt - 1, 10)))


def _thread(claim: Claimed) -> str:
    return claim.place.ts if claim.place and claim.notification.kind is Kind.REPLY else ""
