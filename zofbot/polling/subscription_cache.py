"""The poller's copy of all subscriptions, read and parsed again only when one has changed."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH, SUBSCRIPTIONS_VERSION_HASH, VERSION_FIELD
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.index import SubscriptionIndex

log = structlog.get_logger()


class SubscriptionCache:
    """Parsed subscriptions; ``all`` are those read last, ``index`` finds some of them."""

    def __init__(self) -> None:
        self.all: list[Subscription] = []
        self.index = SubscriptionIndex(())
        self._fields: dict[str, str] = {}
        self._version = ""

    def hashes(self, *, whole: bool = False) -> tuple[str, ...]:
        """Return the hashes to read for ``update``: just the version, unless ``whole`` or it is not known.

        The subscriptions come last, so that a change between two reads only makes them be read again.
        """
        return (SUBSCRIPTIONS_VERSION_HASH, *((SUBSCRIPTIONS_HASH,) if whole or not self._version else ()))

    def update(self, hashes: Mapping[str, Mapping[str, str]]) -> bool:
        """Update from what ``hashes`` named. Return whether anything changed, or may have: then read once more."""
        version = hashes[SUBSCRIPTIONS_VERSION_HASH].get(VERSION_FIELD, "")
        if SUBSCRIPTIONS_HASH not in hashes:
            changed = version != self._version
            self._version = "" if changed else version
            return changed
        fields, self._version = hashes[SUBSCRIPTIONS_HASH], version
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
