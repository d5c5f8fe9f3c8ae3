"""Whether a Redis keeps what it is given: what in its own account of itself would lose keys, with the mend."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import redis.asyncio as redis
import structlog
from redis.exceptions import AuthenticationError, AuthorizationError, ReadOnlyError, ResponseError

from zofbot.domain.errors import StoreUnavailable
from zofbot.store import guard_redis_call
from zofbot.store.failover import ReplicatedClient, replica_addresses
from zofbot.store.write_refusals import WriteRefusal, find_refusal

log = structlog.get_logger()

MIN_VERSION = (6, 2)
"""The first version that knows every command of ours, such as SET with EXAT."""

NEARLY_FULL_SHARE = 0.8
"""Share of its memory limit from which on a Redis counts as nearly full."""

_LOGIN_ERRORS = (AuthenticationError, AuthorizationError)


@dataclass(frozen=True)
class RedisInfo:
    """What a Redis says of itself: its INFO, empty where it may not be asked, and its ``save`` setting.

    Managed services refuse CONFIG; ``saves`` is None then. INFO: https://redis.io/docs/latest/commands/info/
    """

    info: Mapping[str, Any] = field(default_factory=dict)
    saves: str | None = None
    replicas: Mapping[str, RedisInfo | None] | None = None
    """What each replica says of itself, by its address; of a store of one server, nobody asks."""


@dataclass(frozen=True)
class HealthProblem:
    """Something about a Redis that loses keys or refuses them; ``grave`` when zofbot cannot work with it at all."""

    about: str
    what: str
    mend: str
    grave: bool = False


async def read_redis_info(client: redis.Redis) -> RedisInfo:
    """Ask a Redis, and its replicas where one may take its place, for their account. Raises StoreUnavailable."""
    async with guard_redis_call():
        told = await _read_server(client)
    if not isinstance(client, ReplicatedClient):
        return told
    return replace(
        told,
        replicas={
            f"{host}:{port}": await _read_replica(client, host, port) for host, port in replica_addresses(told.info)
        },
    )


async def _read_replica(client: ReplicatedClient, host: str, port: int) -> RedisInfo | None:
    try:
        async with guard_redis_call(), client.client_for(host, port) as replica:
            return await _read_server(replica)
    except StoreUnavailable:
        return None


async def _read_server(client: redis.Redis) -> RedisInfo:
    try:
        info = await client.info()
    except ResponseError:  # a user without the right to ask
        return RedisInfo()
    try:
        saves = (await client.config_get("save")).get("save")
    except ResponseError:
        saves = None
    return RedisInfo(info, saves)


async def log_problems(client: redis.Redis) -> None:
    """Put every danger into the log. Raises StoreUnavailable."""
    for danger in find_problems(await read_redis_info(client)):
        log.warning("store in danger", about=danger.about, what=danger.what, mend=danger.mend)


def find_problems(told: RedisInfo) -> list[HealthProblem]:
    """Judge a Redis by what it says of itself."""
    if not told.info:
        return [
            HealthProblem(
                "redis", "Redis does not say how it is set up.", "Allow zofbot's user INFO: `ACL SETUSER … +info`."
            )
        ]
    judged = (_check_version, _check_role, *_SERVER_CHECKS)
    return [danger for judge in judged if (danger := judge(told))] + list(_check_replicas(told))


def _check_version(told: RedisInfo) -> HealthProblem | None:
    said = str(told.info.get("redis_version", ""))
    found = re.match(r"(\d+)\.(\d+)", said)
    if not found or (int(found[1]), int(found[2])) >= MIN_VERSION:
        return None
    return HealthProblem(
        "redis version", f"Redis {said} is too old.", "Use Redis 6.2 or later, or any Valkey.", grave=True
    )


def _check_role(told: RedisInfo) -> HealthProblem | None:
    if told.info.get("role") != "slave":
        return None
    what = "REDIS_URL leads to a replica, which takes no writes."
    return HealthProblem("redis role", what, "Point it to the primary.", grave=True)


def _check_eviction(told: RedisInfo) -> HealthProblem | None:
    policy = str(told.info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        return None
    what = f"Redis throws keys away when memory runs short ({policy}): alerts may be lost or told twice."
    return HealthProblem("redis eviction", what, "Set maxmemory-policy to noeviction; share this Redis with no cache.")


def _check_persistence(told: RedisInfo) -> HealthProblem | None:
    if told.info.get("aof_enabled") != 0 or told.saves or (told.saves is None and _has_snapshots(told.info)):
        return None
    what = "Redis keeps nothing on disk: what waits to be told is lost when it restarts."
    return HealthProblem("redis persistence", what, "Switch on appendonly (best), or snapshots with `save`.")


def _has_snapshots(info: Mapping[str, Any]) -> bool:
    """Whether snapshots have been taken since the server started, or nobody can tell."""
    if not {"server_time_usec", "uptime_in_seconds", "rdb_last_save_time"} <= set(info):
        return True
    started = info["server_time_usec"] / 1e6 - info["uptime_in_seconds"]
    return bool(info.get("rdb_saves", 0) or info["rdb_last_save_time"] > started + 2)  # it says its start, if none was


def _check_disk(told: RedisInfo) -> HealthProblem | None:
    failed = [name for name in ("aof_last_write_status", "rdb_last_bgsave_status") if told.info.get(name) == "err"]
    if not failed:
        return None
    what = f"Redis could not write to its disk ({', '.join(failed)}): it refuses writes, or will lose them."
    return HealthProblem("redis disk", what, "Look at its disk and its log.", grave=True)


def _check_memory(told: RedisInfo) -> HealthProblem | None:
    used, most = int(told.info.get("used_memory", 0)), int(told.info.get("maxmemory", 0))
    if not most or used < NEARLY_FULL_SHARE * most:
        return None
    what = f"Redis is {100 * used // most} % full ({used >> 20} of {most >> 20} MiB)."
    return HealthProblem("redis memory", what, "Raise maxmemory, or move what else is kept there.")


_SERVER_CHECKS = (_check_eviction, _check_persistence, _check_disk, _check_memory)


def _check_replicas(told: RedisInfo) -> Iterator[HealthProblem]:
    """What is to take the primary's place one day has to be as sound."""
    if told.replicas is None:
        return
    if not told.replicas:
        what = "No replica follows the primary: what it holds is lost with it."
        yield HealthProblem("redis replica", what, "Start one, or look why it does not follow.")
    for place, replica in told.replicas.items():
        if replica is None:
            what = f"Replica {place} does not answer zofbot, which could not follow it when it takes over."
            yield HealthProblem("redis replica", what, "Let zofbot reach it under that address, as the same user.")
            continue
        for danger in (found for judge in _SERVER_CHECKS if (found := judge(replica))):
            yield replace(danger, what=f"On replica {place}: {danger.what}")


# KEYS: where to write. Tries what the scripts of zofbot need.
_WRITE_SCRIPT = "return redis.call('SET', KEYS[1], '1', 'EX', 60)"


async def find_refused_writes(client: redis.Redis, namespace: str) -> list[HealthProblem]:
    """Try each kind of write on keys of our own, and give what Redis refuses. Raises StoreUnavailable."""
    key = "{" + namespace + "}:probe"
    kinds = [f"{key}:{kind}" for kind in ("hash", "sorted", "list", "stream")]
    trials: list[tuple[str | int, ...]] = [
        ("SET", key, "1", "EX", 60), ("EVAL", _WRITE_SCRIPT, 1, key), ("EXPIRE", key, 60),
        ("HSET", kinds[0], "a", "1"), ("HDEL", kinds[0], "a"), ("ZADD", kinds[1], 1, "a"), ("ZREM", kinds[1], "a"),
        ("LPUSH", kinds[2], "a"), ("LTRIM", kinds[2], 1, 0), ("XADD", kinds[3], "MAXLEN", 1, "*", "a", "1"),
        ("DEL", key, *kinds), ("PUBLISH", key, "1"),
    ]  # fmt: skip
    found: dict[WriteRefusal, None] = {}
    for trial in trials:
        async with guard_redis_call():
            try:
                await client.execute_command(*trial)  # type: ignore[no-untyped-call]  # redis-py does not annotate it
            except (ResponseError, ReadOnlyError) as error:
                if (refused := find_refusal(error)) is None:
                    raise
                found[refused] = None
    return [HealthProblem("redis writes", refused.what, refused.mend, grave=True) for refused in found]


def explain_unreachable(error: StoreUnavailable) -> HealthProblem:
    """Why a Redis does not answer, from what its client raised."""
    if refused := find_refusal(error):
        return HealthProblem("redis", refused.what, refused.mend, grave=True)
    causes = [error.__cause__]
    while (last := causes[-1]) and last.__cause__:
        causes.append(last.__cause__)  # the client wraps a refused password into a lost connection
    if any(isinstance(cause, _LOGIN_ERRORS) for cause in causes):
        what, mend = (
            "Redis refuses zofbot's user or password.",
            "Correct them in REDIS_URL: redis://user:password@host.",
        )
    else:
        what = f"Redis does not answer ({type(causes[-1]).__name__})."
        mend = "Look whether it runs, and whether REDIS_URL and TLS (rediss://) are right."
    return HealthProblem("redis", what, mend, grave=True)
