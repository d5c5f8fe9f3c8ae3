"""Stored subscriptions: one hash, ``{namespace}:subscriptions``, from id to JSON, and a token of its version."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from zofbot.store.decoding import decode_text
from zofbot.store.keyspace import Keyspace
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.model import SUBSCRIPTION_SCHEMA

log = structlog.get_logger()

SUBSCRIPTIONS_HASH = "subscriptions"
"""Hash of all subscriptions: id to JSON."""

SUBSCRIPTIONS_VERSION_HASH, VERSION_FIELD = "subscriptions:version", "token"
"""Hash and field of a token that each change of a subscription replaces; earlier versions of zofbot do not."""


def version_change() -> dict[str, dict[str, str]]:
    """Return the change of hashes that must go with every change of a subscription, in one atomic step."""
    return {SUBSCRIPTIONS_VERSION_HASH: {VERSION_FIELD: secrets.token_hex(8)}}


def parse_subscription_records(records: Mapping[str, str]) -> list[Subscription]:
    """Parse subscriptions, oldest first; records that cannot be parsed are logged and skipped."""
    subscriptions = []
    for identifier, record in records.items():
        try:
            subscription = Subscription.model_validate_json(record)
        except ValidationError as error:
            log.error("unreadable subscription", id=identifier, record=record, problems=error.error_count())
            continue
        if subscription.schema_ > SUBSCRIPTION_SCHEMA:
            log.error(
                "subscription of a newer zofbot",
                id=identifier,
                schema=subscription.schema_,
                known=SUBSCRIPTION_SCHEMA,
            )
            continue
        subscriptions.append(subscription)
    return sorted(subscriptions, key=lambda item: (item.created, item.id))


@dataclass(frozen=True)
class StoredSubscriptions:
    """The subscriptions of all channels as read at one moment: their records by id, and the ``version`` of them all."""

    records: Mapping[str, str]
    version: str | None

    def list_all(self) -> list[Subscription]:
        """Return every subscription, oldest first; records that cannot be parsed are logged and skipped."""
        return parse_subscription_records(self.records)

    def list_for_channel(self, channel: str) -> list[Subscription]:
        """Return a channel's subscriptions, in the order of the numbers shown to people."""
        return [item for item in self.list_all() if item.channel == channel]


class Subscriptions:
    """The subscriptions of all channels. Every method raises StoreUnavailable."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace

    async def read(self) -> StoredSubscriptions:
        """Read all subscriptions; the version first, so that it can only be too old for them."""
        async with self._keyspace.pipeline() as pipe:
            pipe.hget(self._keyspace.key(SUBSCRIPTIONS_VERSION_HASH), VERSION_FIELD)
            pipe.hgetall(self._keyspace.key(SUBSCRIPTIONS_HASH))
            version, found = await pipe.execute()
        records = {decode_text(name): decode_text(record) for name, record in found.items()}
        return StoredSubscriptions(records, None if version is None else decode_text(version))

    async def list_all(self) -> list[Subscription]:
        """Return every subscription, oldest first; records that cannot be parsed are logged and skipped."""
        return (await self.read()).list_all()

    async def list_for_channel(self, channel: str) -> list[Subscription]:
        """Return a channel's subscriptions, in the order of the numbers shown to people."""
        return (await self.read()).list_for_channel(channel)
