"""An outbox with a clock that tests set, and the notifications that they commit to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import redis.asyncio as redis

from zofbot.clock import MovableClock
from zofbot.notifications.notification import Claim, Notification, NotificationKind, NotificationState, Receipt
from zofbot.store.attempt_results import AttemptResult, Sent
from zofbot.store.decoding import decode_text
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import ClaimBatch, Outbox

NOW = 1_800_000_000.0
HERE = Receipt("C1", "1.0")


@dataclass
class OutboxBench:
    """An outbox, the time by its clock, and its server."""

    client: redis.Redis
    now: float = NOW
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = self.make_outbox()

    def make_outbox(self) -> Outbox:
        return Outbox(Keyspace(self.client, "test"), MovableClock(lambda: self.now))

    async def commit_notifications(self, *notifications: Notification) -> list[str]:
        return await self.outbox.commit(notifications)

    async def claim_batch(self, limit: int = 100, *, after: float = 0.0) -> ClaimBatch:
        self.now += after
        return await self.outbox.claim(limit)

    async def claim_keys(self, limit: int = 100, *, after: float = 0.0) -> list[str]:
        return [claim.notification.key for claim in await self.claim_batch(limit, after=after)]

    async def one(self, *, after: float = 0.0) -> Claim:
        [claim] = await self.claim_batch(after=after)
        return claim

    async def settle(self, *settlements: AttemptResult) -> list[str]:
        return await self.outbox.settle(settlements)

    async def send(self, claim: Claim, ts: str = "1.0") -> None:
        assert await self.settle(Sent.for_claim(claim, Receipt(claim.notification.channel, ts))) == ["sent"]

    async def commit_and_send(self, key: str, channel: str = "C1", ts: str = "1.0") -> None:
        """Commit a root and have it sent."""
        await self.commit_notifications(root(key, channel))
        await self.send(await self.one(after=10), ts)

    async def state(self, key: str) -> NotificationState | None:
        known = await self.outbox.get_record(key)
        return known.state if known else None

    async def names(self) -> set[str]:
        return {decode_text(name) for name in await self.client.keys("*")}


def root(key: str, channel: str = "C1", **more: Any) -> Notification:
    return Notification(
        key=key, kind=NotificationKind.ROOT, channel=channel, happened=NOW - 5.25, body={"of": key}, **more
    )


def reply(key: str, to: str, channel: str = "C1", **more: Any) -> Notification:
    return Notification(
        key=key, kind=NotificationKind.REPLY, channel=channel, root=to, happened=NOW, body={"of": key}, **more
    )


def edit(key: str, of: str, channel: str = "C1", **more: Any) -> Notification:
    more = {"body": {"of": key}, **more}
    return Notification(key=key, kind=NotificationKind.EDIT, channel=channel, root=of, happened=NOW, **more)


async def store_contents(bench: OutboxBench) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sorted(await bench.names()):
        kind = decode_text(await bench.client.type(name))
        if kind == "hash":
            found[name] = await bench.client.hgetall(name)
        elif kind == "zset":
            found[name] = await bench.client.zrange(name, 0, -1, withscores=True)
        elif kind == "list":
            found[name] = await bench.client.lrange(name, 0, -1)
        else:
            found[name] = await bench.client.get(name)
    return found
