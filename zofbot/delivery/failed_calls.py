"""What a failed call means for its notification: whether, when and how it is tried again."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from zofbot.clock import Clock
from zofbot.delivery.backoff import retry_delay
from zofbot.delivery.notifier import Notifier, read_as_member
from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown
from zofbot.notifications.notification import Claim, NotificationKind, Receipt
from zofbot.slack.errors import RefusalHandling, handling_for, is_rate_limit
from zofbot.slack.history import CLOCK_SKEW_SECONDS, HISTORY_LAG_SECONDS
from zofbot.slack.shared_channels import DETAILS_KEY_PREFIX
from zofbot.store.attempt_results import AttemptResult, Deferred, Dropped, Gone, Halted, Refused, Unknown

log = structlog.get_logger()

OPERATOR_RETRY_SECONDS = 300.0
"""Seconds between retries of something that an operator must fix first."""

MAX_NEW_SECONDS = 10.0
"""Age in seconds, by this machine's clock, up to which Slack may not show a message yet: ``HISTORY_LAG_SECONDS``, and a
few by which the clocks may differ.
"""

UNWANTED_REASON = "no longer wanted"
"""Reason stored for dropping an obsolete timer; ``commit.lua`` compares with this exact text."""


class FailedCallClassifier:
    """Makes the result of an attempt from the error that ended it. ``random`` returns numbers from 0 to 1."""

    def __init__(self, notifier: Notifier, random: Callable[[], float], clock: Clock) -> None:
        self._notifier = notifier
        self._random = random
        self._clock = clock

    async def classify_find_error(self, claim: Claim, error: SlackError) -> AttemptResult:
        """Classify a failed search. It never leads to a resend before a search has succeeded."""
        if isinstance(error, (SlackDeferred, SlackUnknown)):
            return Unknown.for_claim(claim, error.reason, self._search_delay(claim, error))
        handling = handling_for(error.reason)
        if handling in (RefusalHandling.NONE, RefusalHandling.PLAIN) or error.reason == "missing_scope":
            log.error("search for earlier send failed", key=claim.notification.key, reason=error.reason,
                      fix=error.next_step)  # fmt: skip
            return Unknown.for_claim(claim, f"cannot look: {error.reason}", OPERATOR_RETRY_SECONDS)
        return await self._classify_refusal(claim, error)

    async def classify_send_error(self, claim: Claim, error: SlackError) -> AttemptResult:
        """Classify a failed post or update."""
        if isinstance(error, SlackDeferred) and error.reason == "unreachable":
            return Deferred.for_claim(claim, self._retry_delay(claim), False, error.reason)
        if isinstance(error, SlackDeferred):
            shares_queue = claim.notification.kind is NotificationKind.EDIT  # with the edits of all channels
            holds_queue = is_rate_limit(error) or not shares_queue
            return Deferred.for_claim(claim, error.retry_after, holds_queue, error.reason)
        if isinstance(error, SlackRefused):
            return await self._classify_refusal(claim, error)
        if claim.notification.kind is NotificationKind.EDIT:
            return Deferred.for_claim(claim, 1 + self._retry_delay(claim), False, error.reason)
        return Unknown.for_claim(claim, error.reason, HISTORY_LAG_SECONDS + self._retry_delay(claim))

    async def _classify_refusal(self, claim: Claim, error: SlackError) -> AttemptResult:
        handling = handling_for(error.reason)
        if handling is RefusalHandling.PAUSE:
            return Halted.for_claim(claim, error.reason)
        if handling is RefusalHandling.SKIP and claim.notification.kind is NotificationKind.EDIT:
            return Dropped.for_claim(claim, error.reason)
        if handling is RefusalHandling.REPOST and claim.place:
            return await self._confirm_deletion(claim, claim.place, error.reason)
        return Refused.for_claim(claim, error.reason, handling in (RefusalHandling.JOIN, RefusalHandling.PARK))

    async def _confirm_deletion(self, claim: Claim, place: Receipt, reason: str) -> AttemptResult:
        """Check the channel before treating a message as deleted: Slack reports that for existing messages, too.

        A new message may be missing from the channel just as well, so this waits until it is older, unless this
        machine's clock lags so far that it does not show how old it is.
        """
        age = self._clock.time() - float(place.ts)
        if -CLOCK_SKEW_SECONDS < age < MAX_NEW_SECONDS:
            return Deferred.for_claim(claim, MAX_NEW_SECONDS - max(age, 0.0), False, reason)
        try:
            exists = await read_as_member(self._notifier, place.channel, lambda: self._notifier.has_message(place))
        except SlackError as error:
            log.warning("search for a message failed", channel=place.channel, ts=place.ts, reason=error.reason)
            return Deferred.for_claim(claim, self._search_delay(claim, error), False, reason)
        if exists:
            return Deferred.for_claim(claim, 1 + self._retry_delay(claim), False, reason)
        if claim.notification.key.startswith(DETAILS_KEY_PREFIX):
            return Dropped.for_claim(claim, UNWANTED_REASON)
        return Gone.for_claim(claim, place, reason)

    def _search_delay(self, claim: Claim, error: SlackError) -> float:
        """Return the seconds until a search that failed with ``error`` is repeated."""
        if isinstance(error, SlackRefused):
            return OPERATOR_RETRY_SECONDS
        return self._retry_delay(claim) + (error.retry_after if isinstance(error, SlackDeferred) else 1)

    def _retry_delay(self, claim: Claim) -> float:
        return retry_delay(claim.tries + 1, self._random())
