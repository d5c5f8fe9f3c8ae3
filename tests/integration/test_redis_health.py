"""The store's dangers: each is seen in what a Redis says of itself, and a sound one has none."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis.asyncio as redis
import structlog

from tests.support.bot import running_bot
from tests.support.valkey_servers import valkey_server
from zofbot.clock import Clock
from zofbot.domain.errors import StoreUnavailable
from zofbot.observability.log_config import configure_logging
from zofbot.store import open_store
from zofbot.store.health import HealthProblem, RedisInfo, explain_unreachable, find_problems, read_redis_info

SOUND: dict[str, Any] = {
    "redis_version": "7.2.4", "role": "master", "maxmemory": 1 << 30, "used_memory": 1 << 20,
    "maxmemory_policy": "noeviction", "aof_enabled": 1, "aof_last_write_status": "ok", "rdb_saves": 0,
    "rdb_last_bgsave_status": "ok", "rdb_last_save_time": 1000, "uptime_in_seconds": 500,
    "server_time_usec": 1_500_000_000,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "saves", "about"),
    [
        ({}, "", []),
        ({}, None, []),
        ({"redis_version": "6.2.0"}, "", []),
        ({"redis_version": "6.0.16"}, "", ["redis version"]),
        ({"redis_version": "5.0"}, "", ["redis version"]),
        ({"redis_version": "cloud"}, "", []),
        ({"role": "slave"}, "", ["redis role"]),
        ({"maxmemory_policy": "allkeys-lru"}, "", ["redis eviction"]),
        ({"maxmemory_policy": "volatile-ttl"}, "", ["redis eviction"]),
        ({"aof_enabled": 0}, "", ["redis persistence"]),
        ({"aof_enabled": 0}, "3600 1", []),
        ({"aof_enabled": 0}, None, ["redis persistence"]),
        ({"aof_enabled": 0, "rdb_saves": 2}, None, []),
        ({"aof_enabled": 0, "rdb_last_save_time": 1400}, None, []),
        ({"aof_enabled": 0, "server_time_usec": None}, None, []),
        ({"aof_last_write_status": "err"}, "", ["redis disk"]),
        ({"rdb_last_bgsave_status": "err"}, "", ["redis disk"]),
        ({"used_memory": 900 << 20}, "", ["redis memory"]),
        ({"used_memory": 900 << 20, "maxmemory": 0}, "", []),
    ],
)
def test_each_danger_is_seen_alone(changed: Mapping[str, Any], saves: str | None, about: list[str]) -> None:
    info = {name: value for name, value in {**SOUND, **changed}.items() if value is not None}
    assert [danger.about for danger in find_problems(RedisInfo(info, saves))] == about


def test_every_danger_has_its_mend() -> None:
    bad = {"redis_version": "5.0", "role": "slave", "maxmemory_policy": "allkeys-lfu", "aof_enabled": 0,
           "rdb_last_bgsave_status": "err", "used_memory": 1 << 30}  # fmt: skip
    found = find_problems(RedisInfo(SOUND | bad, ""))
    assert len(found) == 6
    assert all(danger.what.endswith(".") and danger.fix.endswith(".") for danger in found)


@pytest.mark.parametrize(
    ("replicas", "what"),
    [
        (None, []),
        ({}, ["The primary has no replica"]),
        ({"b:1": RedisInfo(SOUND | {"role": "slave"}, "")}, []),
        ({"b:1": None, "c:1": RedisInfo(SOUND | {"role": "slave"}, "")}, ["Replica b:1 does not answer"]),
        (
            {"b:1": RedisInfo(SOUND | {"maxmemory_policy": "allkeys-lru"}, "")},
            ["On replica b:1: Redis evicts keys"],
        ),
        ({"b:1": RedisInfo()}, []),
    ],
)
def test_what_may_take_the_primarys_place_has_to_be_as_sound(
    replicas: Mapping[str, RedisInfo | None] | None, what: list[str]
) -> None:
    found = find_problems(RedisInfo(SOUND, "", replicas))
    assert len(found) == len(what)
    assert all(danger.what.startswith(said) and not danger.grave for danger, said in zip(found, what, strict=True))


async def test_the_store_that_comes_along_is_in_no_danger(store_url: str) -> None:
    async with open_store(store_url, "t", Clock()) as store:
        assert find_problems(await read_redis_info(store.client)) == []


async def test_a_redis_that_may_not_be_asked_is_worth_a_warning_and_no_more() -> None:
    async with fakeredis.FakeAsyncRedis() as client:  # it knows no INFO
        assert [danger.about for danger in find_problems(await read_redis_info(client))] == ["redis"]


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[str]:
    with valkey_server(tmp_path) as url:
        yield url


async def test_a_service_that_forbids_config_is_judged_by_its_info(own: str) -> None:
    async with redis.from_url(own) as admin:
        await admin.config_set("appendonly", "no")
        await admin.acl_setuser(
            "default", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-config"]
        )
        told = await read_redis_info(admin)
    assert told.saves is None
    assert [danger.about for danger in find_problems(told)] == ["redis persistence"]


async def test_a_wrong_password_is_told_from_silence(own: str, tmp_path: Path) -> None:
    async with redis.from_url(own) as admin:
        await admin.acl_setuser("zofbot", enabled=True, passwords=["+right"], keys=["*"], categories=["+@all"])
    assert "password" in await unreachable_error(own.replace("unix://", "unix://zofbot@") + "?password=wrong")
    assert "does not answer" in await unreachable_error(f"unix://{tmp_path}/nowhere.sock")


async def unreachable_error(url: str) -> str:
    async with open_store(url, "t", Clock()) as store:
        with pytest.raises(StoreUnavailable) as error:
            await read_redis_info(store.client)
    danger: HealthProblem = explain_unreachable(error.value)
    assert danger.grave
    return danger.what + danger.fix


async def test_each_danger_is_warned_of_once_at_start(own: str) -> None:
    said, before, config = io.StringIO(), logging.getLogger().handlers[:], structlog.get_config()
    configure_logging("json", "warning", stream=said)
    try:
        async with redis.from_url(own) as admin:
            await admin.config_set("maxmemory-policy", "allkeys-lru")
            await admin.config_set("appendonly", "no")
        async with running_bot(own):
            pass
    finally:
        logging.getLogger().handlers[:] = before
        structlog.configure(**config)
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    warned = [line for line in lines if line["event"] == "redis health problem"]
    assert [(line["about"], line["level"]) for line in warned] == [
        ("redis eviction", "warning"),
        ("redis persistence", "warning"),
    ]
    assert all(line["fix"] for line in warned)
