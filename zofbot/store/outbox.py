"""The outbox: every notification to Slack, from the commit that creates it to the receipt that proves it was sent.

Its keys, all behind ``{namespace}:`` so that Redis Cluster keeps them in one slot:

==========================  ====================================================================================
``note:<key>``              hash: one notification, until it is settled (a sent root for 2 more days)
``sent:<key>``              string: receipt (channel and timestamp), for 30 days; ``=<other key>`` if it was reposted
``queue:<channel>``         sorted set: keys ready for the channel, by rank (lane, then order of commits)
``queue:edits``             the same for all edits, which the channels' rate limits do not cover
``outbox:due``              sorted set: queues, by when they may send next
``outbox:later``            sorted set: keys scheduled for later, by when
``outbox:leases``           sorted set: keys being sent, by when the worker's lease expires
``outbox:open``             sorted set: keys not settled yet, by when they were committed
``outbox:dead``             sorted set: dead letters, by when they died
``outbox:pace``             hash: for each queue, when its rate limit is fully replenished (GCRA)
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
``held:<mute's id>``        hash: keys that wait for a mute to end, with the other reasons to wait, for 38 days
``catchup:<channel>``       hash: failures held back, by their roots' keys, for the summary at the end
``orders``                  hash: run commands accepted and not finished, by when
``causes:<project>:<0-f>``  hash: of each signature, how often it was seen, and how it was last resolved; for 38 days
``history:<scope>``         hash: the latest outcomes of each case that failed before; for 38 days
``audit``                   stream: the audit log, capped
``schema``                  number: the newest schema ever written
==========================  ====================================================================================

The hash ``note:<key>`` is authoritative and the rest are indexes: stale entries are dropped when found. Each step is
one Lua script: atomic, and one round trip. The scripts use the caller's clock; workers' clocks must agree within half
the difference between the lease and the deadline of a call to Slack.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import count
from typing import Any

from zofbot.clock import Clock
from zofbot.domain.errors import ZofbotError
from zofbot.notifications.notification import Claim, Notification, NotificationState, Receipt
from zofbot.observability import trace_recorder
from zofbot.store.attempt_results import AttemptResult
from zofbot.store.keyspace import Keyspace, ScriptArguments, guard_redis_call
from zofbot.store.leases import Fence
from zofbot.store.records import (
    OutboxRecord,
    OutboxStats,
    ParkedChannel,
    build_record,
    decode_hash,
    decode_text,
    decode_texts,
    flatten_notification,
    parse_claim,
)
from zofbot.store.schema import SCHEMA_KEY, STORE_SCHEMA, outdated_error

LEASE_SECONDS = 20.0
"""Time a worker has to settle a claim: enough for two calls to Slack that run into their deadline."""

MESSAGE_INTERVAL_SECONDS, MAX_BURST = 1.0, 2
"""Interval between messages to a channel, and how many may be sent at once.

Slack accepts about one per second and a short burst (https://docs.slack.dev/apis/web-api/rate-limits). The burst is
believed to be three; the third is kept in reserve, so that a message delayed by a second does not exceed the limit.
"""

EDIT_INTERVAL_SECONDS = 3.0
"""Minimum interval between edits of one message."""

KEY_TTL_SECONDS = 30 * 86400
"""Keys are remembered this long; longer than any look-back."""

BODY_TTL_SECONDS = 2 * 86400
"""A root that people delete can be reposted unchanged for this long."""

MAX_ATTEMPT_AGE_SECONDS = 24 * 3600.0
"""A failed attempt is the last if the first was longer ago than this."""

EXPIRING_PREFIXES = ("failure:", "rerun:", "order:", "held:", "causes:", "history:")
"""Hashes with these prefixes expire eight days more than ``KEY_TTL_SECONDS`` after their last change."""

AUDIT_KEY = "audit"

OLDEST_PAGE_SIZE = 500
"""Entries read per round trip in search of the oldest one that is not scheduled for later."""


_INDEX_NAMES = ("due", "later", "leases", "open", "dead", "pace", "parked", "pause", "sequence", "recent:sent",
            "recent:dropped", "removed")  # fmt: skip


class LeaseLost(ZofbotError):
    """Another process holds the lease now: nothing was committed."""


class CommitConflict(ZofbotError):
    """A field no longer has its expected value: nothing was committed; read again and decide again."""


class ClaimBatch(list[Claim]):
    """Claims to send. ``next_due`` (Unix seconds) is when to claim again; None means after the next commit.

    ``dropped`` lists notifications dropped because their root is gone: key, kind, channel, reason.
    """

    def __init__(self, claims: Iterable[Claim], next_due: float | None, dropped: list[list[str]]) -> None:
        super().__init__(claims)
        self.next_due = next_due
        self.dropped = dropped


class Outbox:
    """The outbox in one Redis; any number of processes may use it. Every method raises StoreUnavailable.

    ``news`` is set by each commit of this process. ``pace`` is the interval between messages in seconds. If the store's
    schema is newer than ``schema``, every write except ``settle`` raises OutdatedVersion.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        clock: Clock,
        *,
        pace: float = MESSAGE_INTERVAL_SECONDS,
        schema: int = STORE_SCHEMA,
    ) -> None:
        self._keyspace, self._redis = keyspace, keyspace.client
        self._clock = clock
        self._indexes = [keyspace.key("outbox", name) for name in _INDEX_NAMES]
        self._fixed = [*self._indexes, keyspace.key(SCHEMA_KEY)]
        self._limits = [
            _to_milliseconds(pace),
            MAX_BURST,
            _to_milliseconds(EDIT_INTERVAL_SECONDS),
            KEY_TTL_SECONDS,
            BODY_TTL_SECONDS,
            _to_milliseconds(MAX_ATTEMPT_AGE_SECONDS),
            schema,
        ]
        self._scripts = {
            name: keyspace.register_script(_load_script(name)) for name in ("commit", "claim", "settle", "repair")
        }
        self.news = asyncio.Event()

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
        again. ``acts`` are audit records as JSON. ``due`` reschedules waiting keys (Unix seconds). Raises LeaseLost if
        ``fence`` is not the lease's current number, and CommitConflict if a field differs from ``expect`` (None:
        missing).
        """
        changed = {self._keyspace.key(name): fields for name, fields in (changes or {}).items()}
        expected = [
            (self._keyspace.key(name), *pair) for name, fields in (expect or {}).items() for pair in fields.items()
        ]
        audit = [self._keyspace.key(AUDIT_KEY)] if acts else []
        keys = [fence.key if fence else self._indexes[0], *changed, *(name for name, *_ in expected), *audit]
        keys += self._record_keys(notification.key for notification in notifications)
        keys += self._record_keys(due or ())
        args: ScriptArguments = [fence.number if fence else "", len(expected), len(notifications)]
        args += [part or "" for item in expected for part in item]
        args += [part for notification in notifications for part in flatten_notification(notification)]
        for name, fields in changed.items():
            verb = "~" if name.removeprefix(self._keyspace.prefix).startswith(EXPIRING_PREFIXES) else "="
            for field, value in fields.items():
                args += [name, "-" if value is None else verb, field, value or ""]
        args += [part for key, at in (due or {}).items() for part in (key, "@", "", repr(at))]
        args += [part for entry in acts for part in (audit[0], "+", "act", entry)]
        found = await self._run_script("commit", keys, args)
        if found == b"fenced":
            trace_recorder.record_step("redis", "commit", "fenced", bad=True)
            raise LeaseLost("Another process has taken over.")
        if found == b"changed":
            trace_recorder.record_step("redis", "commit", "changed meanwhile")
            raise CommitConflict("Somebody else was faster.")
        if notifications or due:
            self.news.set()
        new = decode_texts(found)
        trace_recorder.record_step(
            "redis", "commit", f"{len(new)} new of {len(notifications)} notifications", ids=tuple(new[:10])
        )
        return new

    async def claim(self, limit: int, lease: float = LEASE_SECONDS) -> ClaimBatch:
        """Claim up to ``limit`` notifications due now, to be settled within ``lease`` seconds: one round trip."""
        found, due, dropped = await self._run_script("claim", [], [limit, _to_milliseconds(lease)])
        next_due = int(due) / 1000 if due else None
        return ClaimBatch(
            (parse_claim(fields) for fields in found), next_due, [decode_texts(fields) for fields in dropped]
        )

    async def settle(self, settlements: Sequence[AttemptResult]) -> list[str]:
        """Store the results of attempts: one round trip, idempotent.

        Returns the new state of each; or ``parked``, ``paused`` or ``removed`` (its root was deleted twice and is not
        posted again) for the result that caused it; or ``lost``, without effect, if another worker has claimed the key.
        """
        keys = self._record_keys(settlement.key for settlement in settlements)
        return decode_texts(
            await self._run_script(
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
        async with guard_redis_call():
            name = self._keyspace.key("sent", key)
            await self._redis.set(name, f"{receipt.channel} {receipt.ts}", ex=KEY_TTL_SECONDS, nx=True)

    async def mark_notified(self, channel: str) -> None:
        """Record that the people responsible for a parked channel were notified."""
        await self._change_record("mark_notified", channel)

    async def parked_channels(self) -> list[ParkedChannel]:
        """List the channels that refuse messages."""
        async with guard_redis_call():
            found = await self._redis.hgetall(self._index_key("parked"))
            channels = {decode_text(channel): decode_text(kept) for channel, kept in found.items()}
            async with self._redis.pipeline(transaction=False) as pipe:
                for channel in channels:
                    pipe.zcard(self._keyspace.key("queue", channel))
                waiting = await pipe.execute()
        return [
            ParkedChannel.from_stored(*stored, count) for stored, count in zip(channels.items(), waiting, strict=True)
        ]

    async def removed_alerts(self) -> dict[str, str]:
        """Return the roots deleted twice of which nobody was notified yet, each with its channel."""
        async with guard_redis_call():
            found = await self._redis.hgetall(self._index_key("removed"))
        return {decode_text(key): decode_text(channel) for key, channel in found.items()}

    async def mark_removal_notified(self, key: str) -> None:
        """Record that the people responsible were notified of a deleted root."""
        await self._change_record("mark_removal_notified", key)

    async def read_stats(self) -> OutboxStats:
        """Count the notifications by state."""
        now = self._clock.time()
        async with self._keyspace.pipeline() as pipe:
            for name in ("open", "leases", "dead"):
                pipe.zcard(self._index_key(name))
            pipe.zcount(self._index_key("later"), f"({_to_milliseconds(now)}", "+inf")
            pipe.hlen(self._index_key("parked"))
            pipe.hget(self._index_key("pause"), "reason")
            waiting, sending, dead, scheduled, parked, paused = await pipe.execute()
        oldest = max(0.0, now - await self._oldest_commit_time(_to_milliseconds(now)))
        return OutboxStats(
            max(0, waiting - sending), sending, dead, oldest, parked, decode_text(paused or b""), scheduled
        )

    async def _oldest_commit_time(self, now: int) -> float:
        """Return when the oldest not scheduled after ``now`` (ms) was committed; Unix seconds, infinite if none."""
        async with guard_redis_call():
            for start in count(0, OLDEST_PAGE_SIZE):
                found: Any = await self._redis.zrange(
                    self._index_key("open"), start, start + OLDEST_PAGE_SIZE - 1, withscores=True
                )
                if not found:
                    break
                scheduled = await self._redis.zmscore(self._index_key("later"), [key for key, _ in found])
                for (_, committed), till in zip(found, scheduled, strict=True):
                    if till is None or till <= now:
                        return float(committed) / 1000
        return math.inf

    async def get_record(self, key: str) -> OutboxRecord | None:
        """Return the record of ``key``; None if unknown."""
        return next(iter(await self._load_records([key])), None)

    async def get_records(self, keys: Sequence[str]) -> Sequence[OutboxRecord]:
        """Return the records of those ``keys`` that are known: one round trip."""
        return await self._load_records(keys) if keys else []

    async def list_records(self, state: NotificationState, limit: int = 100) -> Sequence[OutboxRecord]:
        """Return up to ``limit`` records in ``state``: waiting ones oldest first, settled latest first (last 1,000)."""
        found: Any
        async with guard_redis_call():
            if state in (NotificationState.SENT, NotificationState.DROPPED):
                found = await self._redis.lrange(self._index_key(f"recent:{state}"), 0, limit - 1)
            elif state is NotificationState.DEAD:
                found = await self._redis.zrange(self._index_key("dead"), 0, limit - 1, desc=True)
            else:
                found = await self._list_open_keys(state, limit)
        return [record for record in await self._load_records(decode_texts(found)) if record.state is state]

    async def read_hashes(self, *names: str) -> dict[str, dict[str, str]]:
        """Read hashes that ``commit`` changes: one round trip."""
        async with self._keyspace.pipeline() as pipe:
            for name in names:
                pipe.hgetall(self._keyspace.key(name))
            found = await pipe.execute()
        return {name: decode_hash(fields) for name, fields in zip(names, found, strict=True)}

    async def read_fields(self, *names: tuple[str, str]) -> Sequence[str | None]:
        """Read single fields of hashes that ``commit`` changes, given by hash and field: one round trip."""
        async with self._keyspace.pipeline() as pipe:
            for name, field in names:
                pipe.hget(self._keyspace.key(name), field)
            found = await pipe.execute()
        return [None if value is None else decode_text(value) for value in found]

    async def _list_open_keys(self, state: NotificationState, limit: int) -> Sequence[Any]:
        sending = await self._redis.zrange(self._index_key("leases"), 0, -1)
        if state is NotificationState.SENDING:
            return sending[:limit]
        excluded = set(sending)
        found = await self._redis.zrange(self._index_key("open"), 0, limit + len(excluded) - 1)
        return [key for key in found if key not in excluded][:limit]

    async def _load_records(self, keys: Sequence[str]) -> Sequence[OutboxRecord]:
        async with self._keyspace.pipeline() as pipe:
            for key in keys:
                pipe.hgetall(self._keyspace.key("note", key))
                pipe.get(self._keyspace.key("sent", key))
            found = await pipe.execute()
        kept = (None if place is None else decode_text(place) for place in found[1::2])
        stored = (
            build_record(key, decode_hash(note), place) for key, note, place in zip(keys, found[::2], kept, strict=True)
        )
        return [item for item in stored if item]

    async def _change_record(self, verb: str, name: str, *keys: str, act: str = "") -> int:
        audit, args = ([AUDIT_KEY], (verb, name, act)) if act else ([], (verb, name))
        return int(await self._run_script("repair", [self._keyspace.key(key) for key in (*keys, *audit)], [*args]))

    async def _run_script(self, script: str, keys: Sequence[str], args: ScriptArguments) -> Any:
        shared: ScriptArguments = [self._keyspace.prefix, _to_milliseconds(self._clock.time()), *self._limits]
        found = await self._scripts[script].run([*self._fixed, *keys], [*shared, *args])
        if found == b"outdated":
            raise outdated_error()
        return found

    def _record_keys(self, keys: Iterable[str]) -> list[str]:
        return [self._keyspace.key(noun, key) for key in keys for noun in ("note", "sent")]

    def _index_key(self, name: str) -> str:
        return self._keyspace.key("outbox", name)


@cache
def _load_script(name: str) -> str:
    folder = resources.files("zofbot.store") / "lua"
    return "\n".join((folder / f"{part}.lua").read_text() for part in ("shared", name))


def _to_milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
