"""Redis: every key and every atomic step. All keys share one hash tag, so that Redis Cluster keeps them together."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import redis.asyncio as redis
from redis.exceptions import RedisError

from zofbot.clock import Clock, timeout
from zofbot.domain.errors import StoreUnavailable
from zofbot.domain.model import Quota
from zofbot.observability import tracing
from zofbot.store.failover import connect_redis
from zofbot.store.write_refusals import find_refusal

REQUEST_CLAIM_SECONDS = 600
"""Slack repeats a request within about six minutes (https://docs.slack.dev/apis/events-api/); claims outlive that."""

MAX_REDIS_SECONDS = 1.0
"""Seconds the store may take to answer; a slash command has three in all."""

PROBE_TTL_SECONDS = 60
"""How long the key stays that is written to see whether Redis takes writes."""

SHARE_TTL_SECONDS = 24 * 3600
"""How long a shared card answers a second *Share* with its link instead of another message."""

MAX_POSTING_SECONDS = 60
"""How long somebody who is sharing right now keeps others from it; after that the process has died on the way."""

CHANGE_TTL_SECONDS = 2 * 3600
"""How long it is known that a channel or a person has changed: longer than anything is remembered of them."""

# KEYS: the share. ARGV: the new share, now, seconds it is kept, seconds a posting may take.
# Answers nothing when it is the first, else the share that stands, and whether the new one took its place: then it
# remembers since when the card may be there.
_BEGIN_SHARE_SCRIPT = """
local standing = redis.call('GET', KEYS[1])
if standing then
  local share = cjson.decode(standing)
  if share.done or tonumber(ARGV[2]) - share.at < tonumber(ARGV[4]) then return {standing, 0} end
  local new = cjson.decode(ARGV[1])
  new.since = (share.since or 0) > 0 and share.since or share.at
  redis.call('SET', KEYS[1], cjson.encode(new), 'EX', ARGV[3])
  return {standing, 1}
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return {standing, 1}
"""


@dataclass(frozen=True)
class SharedCard:
    """Who shared a card, and where it stands; ``ts`` is empty while it is being posted or where Slack gave none."""

    user: str
    name: str
    at: float
    """Unix seconds."""
    done: bool = False
    ts: str = ""
    link: str = ""
    since: float = 0.0
    """The card may be there since then, by an earlier share that nothing is known of; Unix seconds."""

    @property
    def maybe_since(self) -> float:
        """Since when the card may be there, as long as this share is not done."""
        return self.since or self.at

    @classmethod
    def load(cls, text: bytes | str) -> SharedCard:
        """Read what ``begin_share`` keeps; what a newer version added is left aside."""
        return cls(**{name: value for name, value in json.loads(text).items() if name in cls.__dataclass_fields__})


class Store:
    """What must survive a restart or be known to every process."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.client = self._redis = client
        self.namespace = namespace
        self._prefix = "{" + namespace + "}:"
        self._begin_share = client.register_script(_BEGIN_SHARE_SCRIPT)

    def _key_name(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)

    async def ping(self) -> None:
        """Raise StoreUnavailable unless Redis answers."""
        async with guard_redis_call():
            await self._redis.ping()

    async def try_write(self) -> None:
        """Raise StoreUnavailable unless Redis takes a write: full, read-only or without permission it still answers."""
        async with guard_redis_call():
            await self._redis.set(self._key_name("probe"), b"1", ex=PROBE_TTL_SECONDS)

    async def read_time(self) -> float:
        """What Redis' own clock says, in Unix seconds."""
        async with guard_redis_call():
            seconds, micros = await self._redis.time()
        return seconds + micros / 1e6

    async def claim_request(self, request: str) -> bool:
        """Take a request of Slack's once for all processes; False for a repeat of one that was taken."""
        name, mine = self._key_name("claim", request), secrets.token_bytes(8)
        async with guard_redis_call():
            # The client sends again after a lost connection: then it is our own claim that stands in the way.
            taken = (
                await self._redis.set(name, mine, nx=True, ex=REQUEST_CLAIM_SECONDS)
                or await self._redis.get(name) == mine
            )
        tracing.record_step("redis", "claim", "fresh" if taken else "repeated")
        return bool(taken)

    async def begin_share(self, key: str, share: SharedCard) -> tuple[bool, SharedCard | None]:
        """Take the right to post a shared card: whether it was given, and the share that stood there before.

        Given while one stood there means that nobody knows how it ended: the card may be in the channel already.
        """
        arguments: list[str | float] = [json.dumps(asdict(share)), share.at, SHARE_TTL_SECONDS, MAX_POSTING_SECONDS]
        async with guard_redis_call():
            standing, given = await self._begin_share(keys=[self._key_name("share", key)], args=arguments)
        tracing.record_step("redis", "share", "begun" if given else "shared before", ids=(key,))
        return bool(given), SharedCard.load(standing) if standing else None

    async def end_share(self, key: str, share: SharedCard) -> None:
        """Remember where a shared card stands."""
        async with guard_redis_call():
            await self._redis.set(self._key_name("share", key), json.dumps(asdict(share)), ex=SHARE_TTL_SECONDS)

    async def cancel_share(self, key: str) -> None:
        """Let somebody else try: this one certainly put nothing into the channel."""
        async with guard_redis_call():
            await self._redis.delete(self._key_name("share", key))

    async def note_change(self, identifier: str) -> None:
        """Have every process forget what Slack said of a channel or a person (id)."""
        async with guard_redis_call(), self._redis.pipeline(transaction=False) as pipe:
            pipe.incr(self._key_name("changed", identifier))
            pipe.expire(self._key_name("changed", identifier), CHANGE_TTL_SECONDS)
            await pipe.execute()

    async def read_change_count(self, identifier: str) -> str:
        """What is another than before once a channel or a person has changed."""
        async with guard_redis_call():
            count = await self._redis.get(self._key_name("changed", identifier))
        return count.decode() if isinstance(count, bytes) else count or ""

    async def read_quota(self) -> Quota | None:
        """What any process last learned of Zof's quota (``SharedQuota``)."""
        async with guard_redis_call():
            text = await self._redis.get(self._key_name("quota"))
        return Quota.model_validate_json(text) if text else None

    async def write_quota(self, quota: Quota) -> None:
        """Tell every process; forgotten when the window has turned over."""
        async with guard_redis_call():
            until = int(quota.reset.timestamp()) + 1
            await self._redis.set(self._key_name("quota"), quota.model_dump_json(), exat=until)


@asynccontextmanager
async def guard_redis_call() -> AsyncIterator[None]:
    """Limit how long Redis may take, and turn its errors into StoreUnavailable."""
    try:
        async with timeout(MAX_REDIS_SECONDS):
            yield
    except (RedisError, OSError) as error:  # a timeout is an OSError
        tracing.record_step("redis", "no answer", type(error).__name__, bad=True)
        raise _unavailable_error(error) from error


def _unavailable_error(error: Exception) -> StoreUnavailable:
    refused = find_refusal(error)
    if refused is None:
        return StoreUnavailable(
            "The bot's store (Redis) does not answer.", "Try again in a minute; an operator should look at Redis."
        )
    made = StoreUnavailable(
        f"The bot's store (Redis) refuses to work ({refused.word}).",
        "Try again in a minute; an operator should run `zofbot check`.",
    )
    made.reason = f"refuses to work ({refused.word})"
    return made


@asynccontextmanager
async def open_store(url: str, namespace: str, clock: Clock) -> AsyncIterator[Store]:
    """Give the store at ``url``, to be connected to when it is first needed."""
    async with connect_redis(url, namespace, clock) as client:
        yield Store(client, namespace)
