"""Checks for Redis settings and states that could lose data, each with its fix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import redis.asyncio as redis
import structlog
from redis.exceptions import AuthenticationError, AuthorizationError, ReadOnlyError, ResponseError

from zofbot.domain.errors import SettingsError, StoreUnavailable
from zofbot.store.keyspace import Keyspace, guard_redis_call
from zofbot.store.redis_server.closing_client import closing_client
from zofbot.store.redis_server.replicated_client import ReplicatedClient, replica_addresses
from zofbot.store.write_refusals import WriteRefusal, find_refusal

log = structlog.get_logger()

MIN_VERSION = (6, 2)
"""Oldest Redis that has every command zofbot uses, such as SET with EXAT."""

NEARLY_FULL_SHARE = 0.8
"""Share of ``maxmemory`` at which Redis counts as nearly full."""

_LOGIN_ERRORS = (AuthenticationError, AuthorizationError)


@dataclass(frozen=True)
class RedisInfo:
    """A server's INFO, empty if not permitted, and its ``save`` setting, None where a managed service refuses CONFIG.

    INFO: https://redis.io/docs/latest/commands/info/
    """

    info: Mapping[str, Any] = field(default_factory=dict)
    saves: str | None = None
    replicas: Mapping[str, RedisInfo | None] | None = None
    """Info of each replica by address, None if it does not answer; None as a whole for a single server."""


@dataclass(frozen=True)
class HealthProblem:
    """A risk to the stored data, and how to fix it; ``grave`` if zofbot cannot work at all."""

    about: str
    what: str
    fix: str
    grave: bool = False


_REJECTED_LOGIN = HealthProblem(
    "redis", "Redis rejects the user or password.", "Correct them in REDIS_URL: redis://user:password@host.", grave=True
)


async def read_redis_info(client: redis.Redis) -> RedisInfo:
    """Read the info of a server, and of the replicas that may replace it. Raises StoreUnavailable."""
    async with guard_redis_call():
        server = await _read_server(client)
    if not isinstance(client, ReplicatedClient):
        return server
    return replace(
        server,
        replicas={
            f"{host}:{port}": await _read_replica(client, host, port) for host, port in replica_addresses(server.info)
        },
    )


async def _read_replica(client: ReplicatedClient, host: str, port: int) -> RedisInfo | None:
    try:
        async with guard_redis_call(), closing_client(client.client_for(host, port)) as replica:
            return await _read_server(replica)
    except StoreUnavailable:
        return None


async def _read_server(client: redis.Redis) -> RedisInfo:
    try:
        info = await client.info()
    except ResponseError:  # the user lacks permission
        return RedisInfo()
    try:
        saves = (await client.config_get("save")).get("save")
    except ResponseError:
        saves = None
    return RedisInfo(info, saves)


async def log_problems(client: redis.Redis) -> None:
    """Log every problem found. Raises StoreUnavailable."""
    for problem in find_problems(await read_redis_info(client)):
        log.warning("redis health problem", about=problem.about, what=problem.what, fix=problem.fix)


def find_problems(server: RedisInfo) -> list[HealthProblem]:
    """Find problems in a server's info and in its replicas'."""
    if not server.info:
        return [
            HealthProblem(
                "redis",
                "Redis does not show its configuration.",
                "Allow INFO for zofbot's user: `ACL SETUSER … +info`.",
            )
        ]
    checks = (_check_version, _check_role, *_SERVER_CHECKS)
    return [problem for check in checks if (problem := check(server))] + list(_check_replicas(server))


def _check_version(server: RedisInfo) -> HealthProblem | None:
    version = str(server.info.get("redis_version", ""))
    found = re.match(r"(\d+)\.(\d+)", version)
    if not found or (int(found[1]), int(found[2])) >= MIN_VERSION:
        return None
    return HealthProblem(
        "redis version", f"Redis {version} is too old.", "Use Redis 6.2 or later, or any Valkey.", grave=True
    )


def _check_role(server: RedisInfo) -> HealthProblem | None:
    if server.info.get("role") != "slave":
        return None
    what = "REDIS_URL points to a replica, which rejects writes."
    return HealthProblem("redis role", what, "Point it to the primary.", grave=True)


def _check_eviction(server: RedisInfo) -> HealthProblem | None:
    policy = str(server.info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        return None
    what = f"Redis evicts keys when memory runs out ({policy}): alerts can be lost or repeated."
    return HealthProblem(
        "redis eviction", what, "Set maxmemory-policy to noeviction, and do not share this Redis with a cache."
    )


def _check_persistence(server: RedisInfo) -> HealthProblem | None:
    if server.info.get("aof_enabled") != 0 or server.saves or (server.saves is None and _has_snapshots(server.info)):
        return None
    what = "Redis keeps nothing on disk: a restart loses queued alerts."
    return HealthProblem("redis persistence", what, "Turn on appendonly (best), or snapshots with `save`.")


def _has_snapshots(info: Mapping[str, Any]) -> bool:
    """True if a snapshot was taken since the server started, or if that is unknown."""
    if not {"server_time_usec", "uptime_in_seconds", "rdb_last_save_time"} <= set(info):
        return True
    started = info["server_time_usec"] / 1e6 - info["uptime_in_seconds"]
    # before the first snapshot, rdb_last_save_time is the server's start time
    return bool(info.get("rdb_saves", 0) or info["rdb_last_save_time"] > started + 2)


def _check_disk(server: RedisInfo) -> HealthProblem | None:
    failed = [name for name in ("aof_last_write_status", "rdb_last_bgsave_status") if server.info.get(name) == "err"]
    if not failed:
        return None
    what = f"Redis could not write to its disk ({', '.join(failed)}): it rejects writes, or will lose them."
    return HealthProblem("redis disk", what, "Check its disk and its log.", grave=True)


def _check_memory(server: RedisInfo) -> HealthProblem | None:
    used, most = int(server.info.get("used_memory", 0)), int(server.info.get("maxmemory", 0))
    if not most or used < NEARLY_FULL_SHARE * most:
        return None
    what = f"Redis is {100 * used // most}% full ({used >> 20} of {most >> 20} MiB)."
    return HealthProblem("redis memory", what, "Raise maxmemory, or move other data elsewhere.")


_SERVER_CHECKS = (_check_eviction, _check_persistence, _check_disk, _check_memory)


def _check_replicas(server: RedisInfo) -> Iterator[HealthProblem]:
    """Check the replicas like the primary, because one may take its place."""
    if server.replicas is None:
        return
    if not server.replicas:
        what = "The primary has no replica: if it is lost, its data is lost."
        yield HealthProblem("redis replica", what, "Start one, or find out why it does not connect.")
    for address, replica in server.replicas.items():
        if replica is None:
            what = f"Replica {address} does not answer: zofbot could not use it after a failover."
            yield HealthProblem(
                "redis replica", what, "Make it reachable for zofbot at this address, with the same user."
            )
            continue
        for problem in (found for check in _SERVER_CHECKS if (found := check(replica))):
            yield replace(problem, what=f"On replica {address}: {problem.what}")


# KEYS: a key to write to. Tests that scripts may write.
_WRITE_SCRIPT = "return redis.call('SET', KEYS[1], '1', 'EX', 60)"


async def find_refused_writes(keyspace: Keyspace) -> list[HealthProblem]:
    """Try each kind of write on probe keys and return those that Redis refuses. Raises StoreUnavailable."""
    client, key = keyspace.client, keyspace.key("probe")
    kinds = [f"{key}:{kind}" for kind in ("hash", "sorted", "list", "stream")]
    commands: list[tuple[str | int, ...]] = [
        ("SET", key, "1", "EX", 60), ("EVAL", _WRITE_SCRIPT, 1, key), ("EXPIRE", key, 60),
        ("HSET", kinds[0], "a", "1"), ("HDEL", kinds[0], "a"), ("ZADD", kinds[1], 1, "a"), ("ZREM", kinds[1], "a"),
        ("LPUSH", kinds[2], "a"), ("LTRIM", kinds[2], 1, 0), ("XADD", kinds[3], "MAXLEN", 1, "*", "a", "1"),
        ("DEL", key, *kinds), ("PUBLISH", key, "1"),
    ]  # fmt: skip
    refusals: dict[WriteRefusal, None] = {}
    for command in commands:
        async with keyspace.guard_call():
            try:
                await client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py does not annotate it
            except (ResponseError, ReadOnlyError) as error:
                if (refusal := find_refusal(error)) is None:
                    raise
                refusals[refusal] = None
    return [HealthProblem("redis writes", refusal.what, refusal.fix, grave=True) for refusal in refusals]


@contextmanager
def explain_first_call(url: str) -> Iterator[None]:
    """Raise the error of the first call to the Redis at ``url``, from REDIS_URL, with its cause and its fix.

    Raises SettingsError if Redis rejects the user or password, otherwise StoreUnavailable. ``url`` is empty for the
    embedded store, whose errors stay as they are.
    """
    try:
        yield
    except StoreUnavailable as error:
        if not url:
            raise
        problem = explain_unreachable(error)
        if problem is _REJECTED_LOGIN:
            raise SettingsError([f"REDIS_URL is wrong: {problem.what} {problem.fix}"]) from error
        raise StoreUnavailable(problem.what, problem.fix) from error


def explain_unreachable(error: StoreUnavailable) -> HealthProblem:
    """Explain from the client's exception why Redis does not answer."""
    if refusal := find_refusal(error):
        return HealthProblem("redis", refusal.what, refusal.fix, grave=True)
    causes = [error.__cause__]
    while (last := causes[-1]) and last.__cause__:
        causes.append(last.__cause__)  # redis-py wraps a refused password in a ConnectionError
    if any(isinstance(cause, _LOGIN_ERRORS) for cause in causes):
        return _REJECTED_LOGIN
    what = f"Redis does not answer ({type(causes[-1]).__name__})."
    fix = "Check that it is running, and that REDIS_URL and TLS (rediss://) are right."
    return HealthProblem("redis", what, fix, grave=True)
