"""The outbox: every notification to Slack, from the commit that creates it to the receipt that proves it was sent.

Its keys, all behind ``{namespace}:`` so that Redis Cluster keeps them in one slot:

==========================  ====================================================================================
``note:<key>``              hash: one notification, until it is settled (a sent root for 2 more days)
``sent:<key>``              string: receipt (channel and timestamp), for 30 days, of a root for 38 days after the last
                            message below it; ``=<other key>`` if it was reposted
``queue:<channel>``         sorted set: keys ready for the channel, by rank (lane, then order of commits)
``queue:edits``             the same for all edits, which the channels' rate limits do not cover
``outbox:due``              sorted set: queues, by when they may send next
``outbox:later``            sorted set: keys scheduled for later, by when
``outbox:leases``           sorted set: keys being sent, by when the worker's lease expires
``outbox:open``             sorted set: keys not settled yet, by when they were committed
``outbox:dead``             sorted set: dead letters, by when they died
``outbox:pace``             hash: for each queue, when its rate limit is fully replenished (GCRA); ``<queue>:block``:
                            since when and until when Slack asks it to wait; ``:clock``: a time of the last claims,
                            which shows that the clock was set back
``outbox:parked``           hash: channels that refuse: whether somebody was notified, since when, why
``outbox:removed``          hash: roots deleted twice by people of which nobody was notified yet, and their channels
``outbox:pause``            hash: while all sending is paused: until when, number of pauses so far, why
``outbox:sequence``         number: notifications ranked so far
``outbox:recent:…``         lists: the last thousand keys sent, and dropped
``failure:<root's key>``    hash: the root's current ``body``, when somebody last ``acted`` on it, and the key of the
                            summary of the ``storm`` it is part of; for 38 days
``triage:<channel>``        hash: triage state of each failure, by its root's key
``canary``                  hash: keys of canaries not removed yet, and when each began
``order:<name>``            hash: a run command to Zof and its result, for 38 days
``mutes``                   hash: mutes of channels, by id
``moved``                   hash: channels whose id Slack has changed, and their present ids. Records keep the old one;
                            claims have the present one
``held:<mute's id>``        hash: keys that wait for a mute to end, with the other reasons to wait, for 38 days
``catchup:<channel>``       hash: failures held back, by their roots' keys, for the summary at the end
``orders``                  hash: run commands accepted and not finished, by when
``causes:<project>:<0-f>``  hash: of each signature, how often it was seen, and how it was last resolved; for 38 days
``history:<scope>``         hash: the latest outcomes of each case that failed before; for 38 days
``open:<channel>:<scope>``  hash: a channel's alerts that may still change; for 38 days
``passed:<scope>``          hash: what passed in the latest runs; for 38 days
``audit``                   stream: the audit log, capped
``schema``                  number: the newest schema ever written
==========================  ====================================================================================

The hash ``note:<key>`` is authoritative and the rest are indexes: stale entries are dropped when found. Each step is
one Lua script: atomic, and one round trip. The scripts use the caller's clock; workers' clocks must agree within half
the difference between the lease and the deadline of a call to Slack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zofbot.clock import Clock
from zofbot.domain.durations import to_milliseconds
from zofbot.domain.errors import ZofbotError
from zofbot.notifications.notification import Claim, Notification, Receipt
from zofbot.observability import trace_recorder
from zofbot.store.attempt_results import AttemptResult, Unreadable, format_receipt
from zofbot.store.audit import AUDIT_STREAM
from zofbot.store.channel_pace import MESSAGE_INTERVAL_SECONDS
from zofbot.store.claim_records import read_claim
from zofbot.store.commit_request import CommitRequest, record_keys
from zofbot.store.decoding import decode_texts
from zofbot.store.keyspace import Keyspace
from zofbot.store.leases import Fence
from zofbot.store.outbox_reader import OutboxReader
from zofbot.store.outbox_scripts import KEY_TTL_SECONDS, OutboxScripts
from zofbot.store.schema import STORE_SCHEMA

LEASE_SECONDS = 28.0
"""Time a worker has to settle a claim: enough for all that precedes a post, however slow Slack is, and for the post.

That is 1 s to start, 8 to search for an earlier send, 5 for the channel's readers, 2 for links, 8 to post, and 3 until
Slack's history shows the message. With less, a message that was searched for might never be posted.
"""


ClockReading = tuple[float, float]
"""Readings of the monotonic clock and of the wall clock (Unix), in seconds."""


class LeaseLost(ZofbotError):
    """Another process holds the lease now: nothing was committed."""


class CommitConflict(ZofbotError):
    """A field no longer has its expected value: nothing was committed; read again and decide again."""


class ClaimBatch(list[Claim]):
    """Claims to send. ``next_due`` (Unix seconds) is when to claim again; None means after the next commit.

    ``dropped`` lists notifications dropped because their root is gone: key, kind, channel, reason. ``claimed_at`` are
    the clock readings at which the leases began, or shortly before. ``unreadable`` are the results to settle those
    claims with whose records cannot be read.
    """

    def __init__(
        self,
        found: Sequence[Claim | Unreadable],
        next_due: float | None,
        dropped: list[list[str]],
        claimed_at: ClockReading,
    ) -> None:
        super().__init__(claim for claim in found if isinstance(claim, Claim))
        self.unreadable = [result for result in found if isinstance(result, Unreadable)]
        self.next_due = next_due
        self.dropped = dropped
        self.claimed_at = claimed_at


class Outbox(OutboxReader):
    """The outbox in one Redis; any number of processes may use it. Every method raises StoreUnavailable.

    ``news`` is set by each commit of this process. In the same step a commit claims as many notifications, for as many
    seconds, as ``claim_terms`` returns, and appends them to ``claimed``: this process's dispatcher starts at once.
    ``pace`` is the interval between messages in seconds. If the store's schema is newer than ``schema``, every write
    except ``settle`` raises OutdatedVersion.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        clock: Clock,
        *,
        pace: float = MESSAGE_INTERVAL_SECONDS,
        schema: int = STORE_SCHEMA,
    ) -> None:
        super().__init__(keyspace, clock)
        self._scripts = OutboxScripts(keyspace, clock, pace, schema)
        self.news = asyncio.Event()
        self.claim_terms: Callable[[], tuple[int, float]] = claim_nothing
        self.claimed: list[ClaimBatch] = []

    async def commit(  # noqa: PLR0913  (everything that one atomic step may change)
        self,
        notifications: Sequence[Notification],
        *,
        changes: Mapping[str, Mapping[str, str | None]] | None = None,
        fence: Fence | None = None,
        expect: Mapping[str, Mapping[str, str | None]] | None = None,
        acts: Sequence[str] = (),
        due: Mapping[str, float] | None = None,
    ) -> list[str]:
        """Add ``notifications`` and change hashes (None deletes a field), all or nothing: one round trip.

        Returns the keys that are new. A known key is left unchanged, except that an edit takes the new body and is made
        again, and that another notification is restored if it was dropped as no longer wanted, or is dropped by the
        attempt in progress. ``acts`` are audit records as JSON. ``due`` reschedules waiting keys (Unix seconds); a key
        that is being sent is not postponed beyond that. Raises LeaseLost if ``fence`` is not the lease's current
        number, and CommitConflict if a field differs from ``expect`` (None: missing).
        """
        claimed_at = read_clocks(self._clock)
        limit, lease = self.claim_terms() if notifications else claim_nothing()
        request = CommitRequest(
            notifications, changes or {}, fence, expect or {}, acts, due or {}, limit, to_milliseconds(lease)
        )
        found = await self._scripts.run("commit", request.list_keys(self._keyspace), request.flatten(self._keyspace))
        if found == b"fenced":
            trace_recorder.record_step("redis", "commit", "fenced", bad=True)
            raise LeaseLost("Another process has taken over.")
        if found == b"changed":
            trace_recorder.record_step("redis", "commit", "changed meanwhile")
            raise CommitConflict("Someone else was faster.")
        added, *claims = found
        self.claimed += [_parse_claims(batch, claimed_at) for batch in claims]
        if notifications or due:
            self.news.set()
        new = decode_texts(added)
        trace_recorder.record_step(
            "redis", "commit", f"{len(new)} new of {len(notifications)} notifications", ids=tuple(new[:10])
        )
        return new

    async def claim(self, limit: int, lease: float = LEASE_SECONDS) -> ClaimBatch:
        """Claim up to ``limit`` notifications due now, to be settled within ``lease`` seconds: one round trip."""
        claimed_at = read_clocks(self._clock)
        return _parse_claims(await self._scripts.run("claim", [], [limit, to_milliseconds(lease)]), claimed_at)

    async def settle(self, settlements: Sequence[AttemptResult]) -> list[str]:
        """Store the results of attempts: one round trip, idempotent.

        Returns the new state of each; or ``parked``, ``paused`` or ``removed`` (its root was deleted twice and is not
        posted again) for the result that caused it; or ``lost``, without effect, if another attempt has begun since, or
        the notification was settled or erased otherwise. A result that was stored before changes nothing, and returns
        what it returned then, unless a later attempt has ended since.
        """
        keys = record_keys(self._keyspace, (settlement.key for settlement in settlements))
        return decode_texts(
            await self._scripts.run(
                "settle", keys, [part for settlement in settlements for part in settlement.to_arguments()]
            )
        )

    async def retry(self, key: str, act: str = "") -> bool:
        """Send a dead or dropped notification again, or a waiting one now; False if it is none of these.

        If an attempt was made before, the message is first looked for in Slack. ``act``, an audit record as JSON, is
        added in the same step on success.
        """
        count_moved = await self._change_record("retry", key, "note:" + key, act=act)
        self.news.set()
        return count_moved == 1

    async def drop(self, key: str) -> bool:
        """Drop a waiting or dead notification; False if it is neither."""
        return await self._change_record("drop", key, "note:" + key) == 1

    async def erase_notification(self, key: str) -> bool:
        """Delete every trace of a notification; False while it is being sent."""
        return await self._change_record("forget", key, "note:" + key, "sent:" + key) == 1

    async def unpark_channel(self, channel: str) -> int:
        """Resume a channel that was fixed and send its messages in order; returns how many."""
        count_moved = await self._change_record("unpark", channel, "queue:" + channel)
        self.news.set()
        return count_moved

    async def record_receipt(self, key: str, receipt: Receipt) -> None:
        """Store the receipt of the message under ``key``, unless one is stored."""
        async with self._keyspace.guard_call():
            name = self._keyspace.key("sent", key)
            await self._redis.set(name, format_receipt(receipt), ex=KEY_TTL_SECONDS, nx=True)

    async def mark_notified(self, channel: str) -> None:
        """Record that the people responsible for a parked channel were notified."""
        await self._change_record("mark_notified", channel)

    async def mark_removal_notified(self, key: str) -> None:
        """Record that the people responsible were notified of a deleted root."""
        await self._change_record("mark_removal_notified", key)

    async def _change_record(self, verb: str, name: str, *keys: str, act: str = "") -> int:
        audit, args = ([AUDIT_STREAM], (verb, name, act)) if act else ([], (verb, name))
        return int(await self._scripts.run("repair", [self._keyspace.key(key) for key in (*keys, *audit)], [*args]))


def claim_nothing() -> tuple[int, float]:
    """Claim nothing at a commit: this process has no dispatcher."""
    return 0, 0.0


def read_clocks(clock: Clock) -> ClockReading:
    """Return the time by both clocks."""
    return clock.monotonic(), clock.time()


def _parse_claims(found: Sequence[Any], claimed_at: ClockReading) -> ClaimBatch:
    """Parse what ``claims.lua`` returns."""
    claims, due, dropped = found
    next_due = int(due) / 1000 if due else None
    return ClaimBatch(list(map(read_claim, claims)), next_due, [decode_texts(fields) for fields in dropped], claimed_at)
