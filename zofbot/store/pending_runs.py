"""Pending runs ("hints"): runs not read to their end yet. A webhook is acknowledged once its hint is stored here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pydantic import TypeAdapter
from redis.exceptions import RedisError

from zofbot.clock import Clock, timeout
from zofbot.domain.errors import StoreUnavailable
from zofbot.domain.json_encoding import encode_json
from zofbot.domain.model import Result, Run
from zofbot.domain.redaction import redact
from zofbot.store.keyspace import MAX_REDIS_SECONDS, Keyspace, limit_redis_call
from zofbot.store.webhook_trials import ARRIVAL_KEY, TRIAL_KEY

PENDING_RUNS_HASH = "hints"
"""Hash of pending runs by ``PendingRun.hash_field``; the poller changes it in its commits."""

LAST_DELIVERY_KEY = "delivered"
"""Key of the time of Zof's last webhook delivery."""

DELIVERY_NOTE_SECONDS = 60.0
"""A process stores the time of a delivery at most this often."""

EVENT_TTL_SECONDS = 7 * 24 * 3600
"""Event ids are remembered this long; Zof does not document for how long it retries."""

MAX_RECHECK_SECONDS = 900.0
"""Seconds until a pending run is read again at most."""

MAX_PENDING_RUNS = 5000
"""Limit of stored hints. Zof's quota allows far fewer reads per hour, and the poller finds runs without hints."""

# KEYS: the event, the hints, the webhook trial, the trial's latest arrival.
# ARGV: TTL of the event (seconds), hash field, pending run, pub/sub channel, MAX_PENDING_RUNS, the trial's arrival.
# Returns 1 if stored, 0 if the event is known, -1 if the hash is full. The event is remembered only if its run was not
# pending yet, so that the keys of events grow no faster than the hash. After a run's run.failed, its run.completed is
# stored as run.failed too: its status may not tell (https://zof.ai/docs/webhooks/events).
_ADD_SCRIPT = """
local function record_arrival()
  if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('SET', KEYS[4], ARGV[6], 'EX', 120) end
end
if redis.call('EXISTS', KEYS[1]) == 1 then record_arrival() return 0 end
local known, pending = redis.call('HGET', KEYS[2], ARGV[2]), ARGV[3]
if not known then
  if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then return -1 end
  redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
elseif string.find(known, '"why":"run.failed"', 1, true) then
  pending = string.gsub(pending, '"why":"run%.completed"', '"why":"run.failed"')
end
redis.call('HSET', KEYS[2], ARGV[2], pending)
redis.call('PUBLISH', ARGV[4], pending)
record_arrival()
return 1
"""


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A run, result or notice to be read until it is final; times are Unix seconds."""

    kind: Literal["run", "result", "notice"]
    subject: str
    """Id of the run, of the result, or of the subject of a notice."""
    why: str
    """Type of the event, or the feed it was found in."""
    since: float
    happened: float | None = None
    due: float = 0.0
    refused: float = 0.0
    """Time since which Zof has refused to return it; 0 if it has not."""
    run: str = ""
    """The run that a notice names."""
    seen: tuple[str, ...] = ()
    """What listings showed of it, to be stored together with it."""
    projects: tuple[str, ...] = ()
    """Redacted details from the event or listing: ids and names of its project, ``environment``; message ``said``."""
    environment: str = ""
    said: str = ""
    failed: float = 0.0
    """Time since which Zof has failed to return it without refusing to; 0 if it has not."""
    refusals: int = 0
    """How often in a row Zof has refused since ``refused``."""
    failures: int = 0
    """How often in a row Zof has failed since ``failed``."""
    alone: bool = False
    """Whether a result is read without its run, which could not be read or lacks it."""
    run_was_read: bool = False
    """Whether a result's run was read, and decided on, without it."""

    @property
    def hash_field(self) -> str:
        """Its field in ``PENDING_RUNS_HASH``; a notice's includes the time, as an object may send several."""
        if self.kind == "run":
            return self.subject
        at = f":{self.happened or self.since:.0f}" if self.kind == "notice" else ""
        return f"{self.why}:{self.subject}{at}"

    @property
    def place(self) -> dict[str, Any]:
        """Its project and environment, as far as known, as fields of a run."""
        named = dict(zip(("project_id", "project_name"), self.projects, strict=False))
        return named | ({"environment": self.environment} if self.environment else {})

    def is_due(self, now: float) -> bool:
        """Whether to read it now; if it is due later than any read may be, a clock has been set back since."""
        return not now < self.due <= now + MAX_RECHECK_SECONDS

    def with_place(self, item: Run | Result) -> PendingRun:
        """Return a copy with the project and environment of what Zof returned, redacted, if that names a project."""
        if not item.project:
            return self
        projects = (redact(name)[:100] for name in dict.fromkeys((item.project_id, item.project_name)) if name)
        return replace(
            self, projects=tuple(projects), environment=redact(item.environment or "")[:100] or self.environment
        )

    def with_known(self, known: PendingRun | None) -> PendingRun:
        """Return a copy of a new hint that keeps what was known of its run before it arrived, if anything."""
        if known is None or known == self:
            return self
        return replace(
            self,
            why=known.why if known.why == "run.failed" else self.why,
            seen=tuple(dict.fromkeys((*known.seen, *self.seen))),
            projects=self.projects or known.projects,
            environment=self.environment or known.environment,
        )

    def with_present_meaning(self) -> PendingRun:
        """Return a copy in the form of this version; earlier ones stored for a result the run that lacks it."""
        return replace(self, run="", run_was_read=True) if self.kind == "result" and self.run else self

    def with_answer(self) -> PendingRun:
        """Return a copy after Zof returned it."""
        return replace(self, refused=0.0, refusals=0, failed=0.0, failures=0)

    def with_failure(self, now: float) -> PendingRun:
        """Return a copy after Zof failed to return it, once more, without refusing to."""
        return replace(self, refused=0.0, refusals=0, failed=self.failed or now, failures=self.failures + 1)

    def with_refusal(self, now: float) -> PendingRun:
        """Return a copy after Zof refused to return it, once more."""
        return replace(self, refused=self.refused or now, refusals=self.refusals + 1, failed=0.0, failures=0)

    def dump(self) -> str:
        """Format as stored JSON; empty fields are left out."""
        return encode_json({name: value for name, value in asdict(self).items() if value})

    @classmethod
    def load(cls, text: str | bytes) -> PendingRun:
        """Parse stored JSON; fields added by newer versions are ignored. Raises ValueError."""
        return _STORED_RUN.validate_json(text)


_STORED_RUN = TypeAdapter(PendingRun)


class PendingRunsFull(Exception):
    """``MAX_PENDING_RUNS`` are stored already; nothing was stored."""


class PendingRuns:
    """The pending runs of one bot, stored by the webhook endpoint and read by the poller."""

    def __init__(self, keyspace: Keyspace, clock: Clock) -> None:
        self._clock = clock
        self._keyspace, self._redis = keyspace, keyspace.client
        self._channel = keyspace.key("heard")
        self._add_pending = keyspace.register_script(_ADD_SCRIPT)
        self._subscriber = keyspace.client.pubsub(ignore_subscribe_messages=True)
        self._noted_at = -math.inf
        self._received: list[PendingRun] | None = None

    async def add_pending(self, event: str, watch: PendingRun, arrival: str = "") -> bool:
        """Store a pending run and wake the poller, in one step; False if ``event`` was delivered before.

        ``arrival`` is stored if a webhook trial is active. Raises StoreUnavailable or PendingRunsFull; the delivery
        must then not be acknowledged.
        """
        names = (f"event:{event}", PENDING_RUNS_HASH, TRIAL_KEY, ARRIVAL_KEY)
        new = await self._add_pending.run(
            [self._keyspace.key(name) for name in names],
            [EVENT_TTL_SECONDS, watch.hash_field, watch.dump(), self._channel, MAX_PENDING_RUNS, arrival],
        )
        if new < 0:
            raise PendingRunsFull
        return bool(new)

    async def note_delivery(self) -> None:
        """Record that Zof delivered any webhook, for ``zofbot check``. Raises StoreUnavailable."""
        if self._clock.monotonic() - self._noted_at < DELIVERY_NOTE_SECONDS:
            return
        async with self._keyspace.guard_call():
            await self._redis.set(self._keyspace.key(LAST_DELIVERY_KEY), f"{self._clock.time():.0f}")
        self._noted_at = self._clock.monotonic()

    async def last_delivery(self) -> float | None:
        """Return the time of Zof's last delivery, within a minute, in Unix seconds. Raises StoreUnavailable."""
        async with self._keyspace.guard_call():
            found = await self._redis.get(self._keyspace.key(LAST_DELIVERY_KEY))
        return float(found) if found else None

    async def wait_for_hint(self, seconds: float) -> bool:
        """Wait until any process stores a hint; False after ``seconds`` without one. Raises StoreUnavailable.

        The first call returns True at once, because hints may have been stored before it subscribed.
        """
        self._received = None
        try:
            if not self._subscriber.subscribed:
                async with limit_redis_call():
                    await self._subscriber.subscribe(self._channel)
                return True
            messages = [await self._receive_message(self._clock.monotonic() + seconds)]
            while messages[-1]:  # one wake-up serves all hints stored so far
                messages.append(await self._subscriber.get_message(timeout=0))
        except (RedisError, OSError) as error:
            await self.aclose()
            raise StoreUnavailable("zofbot's store (Redis) isn't responding.") from error
        self._received = _parse_messages(messages[:-1])
        return len(messages) > 1

    def take_received(self) -> Sequence[PendingRun] | None:
        """Return all hints stored during the last wait, once; None if that is not known."""
        received, self._received = self._received, None
        return received

    async def _receive_message(self, deadline: float) -> dict[str, Any] | None:
        while (remaining := deadline - self._clock.monotonic()) > 0:
            async with timeout(remaining + MAX_REDIS_SECONDS):  # it may have to connect again
                message: dict[str, Any] | None = await self._subscriber.get_message(timeout=remaining)
            if message:
                return message
        return None

    async def aclose(self) -> None:
        """Close the subscription."""
        await self._subscriber.aclose()  # type: ignore[no-untyped-call]  # redis-py does not annotate it


def _parse_messages(messages: Iterable[Mapping[str, Any] | None]) -> list[PendingRun] | None:
    """Parse what was published with hints; None if an earlier version published one, which names only its field."""
    try:
        return [PendingRun.load(message["data"]) for message in messages if message]
    except ValueError:
        return None
