"""The poller's copy of all subscriptions, parsed again only when one has changed."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from zofbot.subscriptions import Subscription
from zofbot.subscriptions.index import SubscriptionIndex

log = structlog.get_logger()

SUBSCRIPTIONS = "subscriptions"
"""Hash of all subscriptions: id to JSON."""


class SubscriptionCache:
    """Parsed subscriptions; ``all`` are those read last, ``index`` finds some of them."""

    def __init__(self) -> None:
        self.all: list[Subscription] = []
        self.index = SubscriptionIndex(())
        self._fields: dict[str, str] = {}

    def update(self, fields: Mapping[str, str]) -> bool:
        """Update from the stored hash. Return whether anything changed."""
        if fields == self._fields:
            return False
        self._fields, self.all = dict(fields), subscriptions_in(fields)
        self.index = SubscriptionIndex(self.all)
        return True


def subscriptions_in(fields: Mapping[str, str]) -> list[Subscription]:
    """Parse the hash of subscriptions; one that this version cannot read is skipped and logged."""
    read = []
    for name, value in sorted(fields.items()):
        try:
            read.append(Subscription.model_validate_json(value))
        except ValueError:
            log.error("subscription not understood", id=name)
    return read
