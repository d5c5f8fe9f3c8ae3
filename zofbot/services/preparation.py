"""Preparation of a claimed notification: whether it is still wanted, has to wait, and what it is rendered from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from zofbot.clock import Clock
from zofbot.notifications.digest_payload import DigestPayload
from zofbot.notifications.notification import Claim, Obsolete, Postponed
from zofbot.notifications.payloads import holds_payload
from zofbot.notifications.still_wanted import is_claim_wanted
from zofbot.notifications.thread_payloads import ReminderPayload
from zofbot.services.postponing import Postponing
from zofbot.store.digests import load_digest
from zofbot.store.mentions import Mentions
from zofbot.store.outbox import Outbox

HideDetails = Callable[[Claim], Awaitable[Claim | Postponed | Obsolete]]
"""Removes what the channel must not see from a notification."""


class NotificationPreparer:
    """Decides about each claimed notification right before it is rendered. Raises StoreUnavailable."""

    def __init__(
        self, outbox: Outbox, postponing: Postponing, mentions: Mentions, clock: Clock, hide_details: HideDetails
    ) -> None:
        self._outbox, self._postponing, self._mentions = outbox, postponing, mentions
        self._clock, self._hide_details = clock, hide_details

    async def __call__(self, claim: Claim) -> Claim | Postponed | Obsolete:
        """Return the notification to render, or why it is not sent now."""
        prepared = await self._postponing(await self._read_digest_setting(claim))
        if isinstance(prepared, Claim):
            prepared = await self._hide_details(prepared)
        if not isinstance(prepared, Claim):
            return prepared
        if not is_claim_wanted(prepared, self._clock.time()):
            return Obsolete()
        wait = await self._limit_mentions(prepared)
        return Postponed(wait) if wait else prepared

    async def _read_digest_setting(self, claim: Claim) -> Claim:
        if not holds_payload(claim.notification.body, DigestPayload):
            return claim
        setting, _ = await load_digest(self._outbox, claim.notification.channel)
        return replace(claim, digest=setting)

    async def _limit_mentions(self, claim: Claim) -> float:
        """Return the seconds that a reminder waits because it would mention somebody too often."""
        notification = claim.notification
        mention = notification.body.get("mention")
        if not mention or not holds_payload(notification.body, ReminderPayload):
            return 0.0
        return await self._mentions.take(notification.channel, mention, notification.key)
