"""The outbox: what is to stand in Slack once, from the step that promises it to the receipt that proves it.

Its keys, all behind ``{namespace}:`` so that Redis Cluster keeps them together:

                            ==========================
                            ====================================================================================
                            ``note:<key>``              hash: the truth about one notification until it is settled (a
                            root's body 2 days on) ``sent:<key>``              string: where it stands, for 30 days;
                            ``=<other key>`` when it had to be posted again ``queue:<channel>``         sorted set: what
                            may be sent to the channel, by rank (lane, then order of commits) ``queue:edits``
                            the same for all edits, which no channel's pace binds ``outbox:due``              sorted
                            set: queues, by when they may send next ``outbox:later``            sorted set: keys that
                            wait for a time of their own ``outbox:leases``           sorted set: keys that are being
                            sent, by when their worker's time is over ``outbox:open``             sorted set: keys not
                            settled yet, by when they were committed ``outbox:dead``             sorted set: dead
                            letters, by when they died ``outbox:pace``             hash: for each queue, when its quota
                            will be whole again (GCRA) ``outbox:parked``           hash: channels that refuse: told or
                            not, since when, why ``outbox:removed``          hash: roots that people removed twice and
                            nobody was told of yet, and their channels ``outbox:pause``            hash: while Slack
                            takes nothing: until when, how often so far, why ``outbox:sequence``         number: commits
                            so far ``outbox:recent:…``         lists: the last thousand keys sent, and dropped
                            ``failure:<root's key>``    hash: the ``body`` that a root shows now, as the rules last
                            wrote it, and when somebody last ``acted`` on it, for 38 days; the ``storm`` that it is
                            part of, by the key of its summary ``triage:<channel>``        hash: what people made of a
                            failure, by its root's key ``canary``                  hash: keys of canaries that are
                            not removed yet, and when each began ``order:<name>``            hash: what somebody ordered
                            at Zof, and what it came to, for 38 days ``mutes``                   hash: what channels
                            muted, by id ``held:<mute's id>``        hash: keys that wait for a mute to end, and what
                            else they wait for, for 38 days ``catchup:<channel>``       hash: failures that were held
                            back, by their roots' keys, for the summary at the end ``orders``                  hash:
                            orders that were taken and are not done, by when ``audit``                   stream: who did
                            what, capped ``schema``                  number: the newest schema that anybody has written
                            under ==========================
                            ====================================================================================

The hash is the truth and the rest are indexes: a stale entry is dropped when it is met. Each step is one script, so
nothing is ever half done, and takes one round trip. The scripts beside this file read the caller's clock: workers'
clocks have to agree within half of what a lease is longer than the deadline of a call to Slack.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import count
from typing import Any

import redis.asyncio as redis

from zofbot.clock import Clock
from zofbot.domain.errors import ZofbotError
from zofbot.notifications.notification import Claim, Notification, NotificationState, Receipt
from zofbot.observability import tracing
from zofbot.store import guard_redis_call
from zofbot.store.attempt_results import AttemptResult
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
from zofbot.store.schema import STORE_SCHEMA, outdated_error, schema_key

LEASE_SECONDS = 20.0
"""Seconds a worker has to settle what it claimed: one call that hangs, twice, and room to spare."""

MESSAGE_INTERVAL_SECONDS, MAX_BURST = 1.0, 2
"""Seconds between messages for a channel, and how many may come at once.

Slack takes about one a second and a short burst (https://docs.slack.dev/apis/web-api/rate-limits). Three are taken at
once by all that is known; the third is kept back, so that a message may be a second on its way and still be in time.
"""

EDIT_INTERVAL_SECONDS = 3.0
"""Seconds between edits of one message."""

KEY_TTL_SECONDS = 30 * 86400
"""Seconds a key is remembered: longer than any look-back."""

BODY_TTL_SECONDS = 2 * 86400
"""Seconds for which a root that people delete can be posted again as it was."""

MAX_ATTEMPT_AGE_SECONDS = 24 * 3600.0
"""Seconds after the first attempt when another failed one is the last."""

EXPIRING_PREFIXES = ("failure:", "rerun:", "order:", "held:")
"""Hashes whose names begin so are forgotten eight days more than ``KEY_TTL_SECONDS`` after their last change."""

AUDIT_KEY = "audit"

OLDEST_PAGE_SIZE = 500
"""Entries that are looked at in one round trip, for the oldest that is not put off."""

ScriptArguments = list[str | int]

_INDEX_NAMES = ("due", "later", "leases", "open", "dead", "pace", "parked", "pause", "sequence", "recent:sent",
            "recent:dropped", "removed")  # fmt: skip


class LeaseLost(ZofbotError):
    """Somebody else has taken over the work: what was to be committed is refused as a whole."""


class CommitConflict(ZofbotError):
    """What was expected to stand in the store does not any more: nothing was committed; read again, decide again."""


class ClaimBatch(list[Claim]):
    """What was claimed. ``next_due`` (Unix seconds) says when to ask again, ``None`` for not before a commit.

    ``dropped`` are notifications found to have lost their root: key, kind, channel, reason.
    """

    def __init__(self, claims: Iterable[Claim], next_due: float | None, dropped: list[list[str]]) -> None:
        super().__init__(claims)
        self.next_due = next_due
        self.dropped = dropped


class Outbox:
    """The outbox in one Redis; any number of processes may use it. Every method raises StoreUnavailable.

    ``news`` is set by each commit of this process. ``pace`` is in seconds. Once a newer ``schema`` was written to the
    store, what was claimed can be settled, and all else that changes something raises OutdatedVersion.
    """

    def __init__(
        self,
        client: redis.Redis,
        namespace: str,
        clock: Clock,
        *,
        pace: float = MESSAGE_INTERVAL_SECONDS,
        schema: int = STORE_SCHEMA,
    ) -> None:
        self._redis = client
        self._clock = clock
        self._prefix = "{" + namespace + "}:"
        self._indexes = [self._prefix + "outbox:" + name for name in _INDEX_NAMES]
        self._fixed = [*self._indexes, schema_key(namespace)]
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
            name: client.register_script(_load_script(name)) for name in ("commit", "claim", "settle", "mend")
        }
        self.news = asyncio.Event()

    async def commit(  # noqa: PLR0913  (all that one step may change)
        self,
        notifications: Sequence[Notification],
        *,
        changes: Mapping[str, Mapping[str, str | None]] | None = None,
        fence: Fence | None = None,
        expect: Mapping[str, Mapping[str, str | None]] | None = None,
        acts: Sequence[str] = (),
        due: Mapping[str, float] | None = None,
    ) -> list[str]:
        """Promise ``notifications``, and change hashes (None deletes a field), all or nothing: one round trip.

        Returns the keys never seen before. A key that is known is left alone, but an edit's takes the new body and is
        made again. ``acts`` are added to the audit. ``due`` gives keys that wait for a time of their own another one
        (Unix seconds). Raises LeaseLost when the lease's number is no longer ``fence``'s, and CommitConflict where a
        field does not hold what ``expect`` says (None: nothing).
        """
        changed = {self._prefix + name: fields for name, fields in (changes or {}).items()}
        expected = [(self._prefix + name, *pair) for name, fields in (expect or {}).items() for pair in fields.items()]
        audit = [self._prefix + AUDIT_KEY] if acts else []
        keys = [fence.key if fence else self._indexes[0], *changed, *(name for name, *_ in expected), *audit]
        keys += [
            self._prefix + noun + notification.key for notification in notifications for noun in ("note:", "sent:")
        ]
        keys += [self._prefix + noun + key for key in due or () for noun in ("note:", "sent:")]
        args: ScriptArguments = [fence.number if fence else "", len(expected), len(notifications)]
        args += [part or "" for item in expected for part in item]
        args += [part for notification in notifications for part in flatten_notification(notification)]
        for name, fields in changed.items():
            verb = "~" if name.removeprefix(self._prefix).startswith(EXPIRING_PREFIXES) else "="
            for field, value in fields.items():
                args += [name, "-" if value is None else verb, field, value or ""]
        args += [part for key, at in (due or {}).items() for part in (key, "@", "", repr(at))]
        args += [part for entry in acts for part in (audit[0], "+", "act", entry)]
        found = await self._run_script("commit", keys, args)
        if found == b"fenced":
            tracing.record_step("redis", "commit", "fenced", bad=True)
            raise LeaseLost("Another process has taken over.")
        if found == b"changed":
            tracing.record_step("redis", "commit", "changed meanwhile")
            raise CommitConflict("Somebody else was faster.")
        if notifications or due:
            self.news.set()
        new = decode_texts(found)
        tracing.record_step(
            "redis", "commit", f"{len(new)} new of {len(notifications)} notifications", ids=tuple(new[:10])
        )
        return new

    async def claim(self, limit: int, lease: float = LEASE_SECONDS) -> ClaimBatch:
        """Take up to ``limit`` of what may be sent now, each to be settled within ``lease`` seconds: one round trip."""
        found, due, dropped = await self._run_script("claim", [], [limit, _to_milliseconds(lease)])
        next_due = int(due) / 1000 if due else None
        return ClaimBatch(
            (parse_claim(fields) for fields in found), next_due, [decode_texts(fields) for fields in dropped]
        )

    async def settle(self, settlements: Sequence[AttemptResult]) -> list[str]:
        """Write down how attempts ended: one round trip, and twice does no harm.

        Returns for each its state now; ``parked``, ``paused`` or ``removed_alerts`` (its root was removed twice and
        is not posted again) if it was the one that brought that about; or ``lost`` where another worker has claimed it
        since: then nothing was changed.
        """
        keys = [self._prefix + noun + settlement.key for settlement in settlements for noun in ("note:", "sent:")]
        return decode_texts(
            await self._run_script(
                "settle", keys, [part for settlement in settlements for part in settlement.to_arguments()]
            )
        )

    async def retry(self, key: str, act: str = "") -> bool:
        """Send a dead or dropped one after all, or a waiting one now; False when there is none of these.

        Where an attempt was made before, it is looked for first, whatever Slack said of it.

        ``act`` is added to the audit in the same step, if it is done.
        """
        moved = await self._change_record("retry", key, "note:" + key, act=act)
        self.news.set()
        return moved == 1

    async def drop(self, key: str) -> bool:
        """Take back one that waits or is dead; False when there is none of these."""
        return await self._change_record("drop", key, "note:" + key) == 1

    async def erase_notification(self, key: str) -> bool:
        """Leave nothing of one, as if it had never been; False while it is being sent."""
        return await self._change_record("forget", key, "note:" + key, "sent:" + key) == 1

    async def unpark_channel(self, channel: str) -> int:
        """Send what waits for a channel that was mended, in order; returns how many that are."""
        moved = await self._change_record("unpark", channel, "queue:" + channel)
        self.news.set()
        return moved

    async def record_receipt(self, key: str, stands: Receipt) -> None:
        """Note where the message under ``key`` stands, unless that is known."""
        async with guard_redis_call():
            name = f"{self._prefix}sent:{key}"
            await self._redis.set(name, f"{stands.channel} {stands.ts}", ex=KEY_TTL_SECONDS, nx=True)

    async def mark_notified(self, channel: str) -> None:
        """Note that somebody was told of a parked channel."""
        await self._change_record("told", channel)

    async def parked_channels(self) -> list[ParkedChannel]:
        """Name the channels that refuse."""
        async with guard_redis_call():
            found = await self._redis.hgetall(self._index_key("parked"))
            channels = {decode_text(channel): decode_text(kept) for channel, kept in found.items()}
            async with self._redis.pipeline(transaction=False) as pipe:
                for channel in channels:
                    pipe.zcard(f"{self._prefix}queue:{channel}")
                waiting = await pipe.execute()
        return [
            ParkedChannel.from_stored(*known, count) for known, count in zip(channels.items(), waiting, strict=True)
        ]

    async def removed_alerts(self) -> dict[str, str]:
        """Name the roots that were removed twice and that nobody was told of yet, each with its channel."""
        async with guard_redis_call():
            found = await self._redis.hgetall(self._index_key("removed"))
        return {decode_text(key): decode_text(channel) for key, channel in found.items()}

    async def mark_removal_notified(self, key: str) -> None:
        """Note that somebody was told of a root that was removed."""
        await self._change_record("told_of_removal", key)

    async def read_stats(self) -> OutboxStats:
        """Count what waits."""
        now = self._clock.time()
        async with guard_redis_call(), self._redis.pipeline(transaction=False) as pipe:
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
        """When the oldest was committed that is not put off beyond ``now`` (ms); seconds, infinite for none."""
        async with guard_redis_call():
            for start in count(0, OLDEST_PAGE_SIZE):
                found: Any = await self._redis.zrange(
                    self._index_key("open"), start, start + OLDEST_PAGE_SIZE - 1, withscores=True
                )
                if not found:
                    break
                put_off = await self._redis.zmscore(self._index_key("later"), [key for key, _ in found])
                for (_, committed), till in zip(found, put_off, strict=True):
                    if till is None or till <= now:
                        return float(committed) / 1000
        return math.inf

    async def get_record(self, key: str) -> OutboxRecord | None:
        """Say all that is known of ``key``; None when nothing is."""
        return next(iter(await self._load_records([key])), None)

    async def get_records(self, keys: Sequence[str]) -> Sequence[OutboxRecord]:
        """Say what is known of those of ``keys`` of which anything is: one round trip."""
        return await self._load_records(keys) if keys else []

    async def list_records(self, state: NotificationState, limit: int = 100) -> Sequence[OutboxRecord]:
        """Show up to ``limit`` in ``state``: waiting ones oldest first, settled ones latest first, at most 1,000."""
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
        async with guard_redis_call(), self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(self._prefix + name)
            found = await pipe.execute()
        return {name: decode_hash(fields) for name, fields in zip(names, found, strict=True)}

    async def read_fields(self, *names: tuple[str, str]) -> Sequence[str | None]:
        """Read single fields of hashes that ``commit`` changes, given by hash and field: one round trip."""
        async with guard_redis_call(), self._redis.pipeline(transaction=False) as pipe:
            for name, field in names:
                pipe.hget(self._prefix + name, field)
            found = await pipe.execute()
        return [None if value is None else decode_text(value) for value in found]

    async def _list_open_keys(self, state: NotificationState, limit: int) -> Sequence[Any]:
        sending = await self._redis.zrange(self._index_key("leases"), 0, -1)
        if state is NotificationState.SENDING:
            return sending[:limit]
        others = set(sending)
        found = await self._redis.zrange(self._index_key("open"), 0, limit + len(others) - 1)
        return [key for key in found if key not in others][:limit]

    async def _load_records(self, keys: Sequence[str]) -> Sequence[OutboxRecord]:
        async with guard_redis_call(), self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hgetall(f"{self._prefix}note:{key}")
                pipe.get(f"{self._prefix}sent:{key}")
            found = await pipe.execute()
        kept = (None if place is None else decode_text(place) for place in found[1::2])
        known = (
            build_record(key, decode_hash(note), place) for key, note, place in zip(keys, found[::2], kept, strict=True)
        )
        return [item for item in known if item]

    async def _change_record(self, verb: str, name: str, *keys: str, act: str = "") -> int:
        audit, args = ([AUDIT_KEY], (verb, name, act)) if act else ([], (verb, name))
        return int(await self._run_script("mend", [self._prefix + key for key in (*keys, *audit)], [*args]))

    async def _run_script(self, script: str, keys: Sequence[str], args: ScriptArguments) -> Any:
        own: ScriptArguments = [self._prefix, _to_milliseconds(self._clock.time()), *self._limits]
        async with guard_redis_call():
            found = await self._scripts[script](keys=[*self._fixed, *keys], args=[*own, *args])
        if found == b"outdated":
            raise outdated_error()
        return found

    def _index_key(self, name: str) -> str:
        return self._prefix + "outbox:" + name


@cache
def _load_script(name: str) -> str:
    folder = resources.files("zofbot.store") / "lua"
    return "\n".join((folder / f"{part}.lua").read_text() for part in ("shared", name))


def _to_milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
