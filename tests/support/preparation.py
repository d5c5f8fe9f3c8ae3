"""Preparation of notifications for a dispatcher without the bot's services: what is obsolete is dropped."""

from __future__ import annotations

from zofbot.clock import Clock
from zofbot.delivery.attempt import PrepareClaim
from zofbot.notifications.notification import Claim, Obsolete
from zofbot.notifications.still_wanted import is_claim_wanted


def drop_obsolete(clock: Clock) -> PrepareClaim:
    async def prepare(claim: Claim) -> Claim | Obsolete:
        return claim if is_claim_wanted(claim, clock.time()) else Obsolete()

    return prepare
