"""The subscriptions as the poller knows them, which are parsed again only when one was changed."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from zofbot.subscriptions import Subscription

log = structlog.get_logger()

SUBSCRIPTIONS = "subscriptions"
"""The hash of all subscriptions, by id, each as JSON."""


class SubscriptionCache:
    """``all`` are those that were read last."""

    def __init__(self) -> None:
        self.all: list[Subscription] = []
        self._fields: dict[str, str] = {}

    def update(self, fields: Mapping[str, str]) -> bool:
        """Take in the hash as it stands in the store now; whether anything was changed."""
        if fields == self._fields:
            return False
        self._fields, self.all = dict(fields), subscriptions_in(fields)
        return True


def subscriptions_in(fields: Mapping[str, str]) -> list[Subscription]:
    """Read the hash of subscriptions; one that a newer version wrote in another way is left aside, loudly."""
    read = []
    for name, value in sorted(fields.items()):
        try:
            read.append(Subscription.model_validate_json(value))
        except ValueError:
            log.error("subscription not understood", id=name)
    return read
