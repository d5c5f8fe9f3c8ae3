"""The audit: what was done is read back as it was written, in order, and operators' own acts stand in it."""

from __future__ import annotations

import asyncio
import getpass
import io
import json
import os
import pty
import sys
from collections.abc import AsyncIterator

import fakeredis
import pytest
import redis.asyncio as redis
from rich.console import Console

from tests.support.cli import command_environment, run_command
from zofbot.cli.render import audit_table
from zofbot.cli.runner import system_user
from zofbot.clock import Clock
from zofbot.domain.errors import StoreUnavailable
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.store.audit import MAX_DISORDER_SECONDS, PAGE_SIZE, AuditLog, AuditRecord
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import Outbox

NOW = 1_800_000_000.0

ACK = AuditRecord(
    at=NOW, act="acknowledge", user="U0ANA", name="Ana <Keller>", channel="C0QA", key="case:1", before="open",
    after="acknowledged", details={"note": "on it"}, request="req_1", zof_requests=("req_zof_1", "req_zof_2"),
)  # fmt: skip


def audit_entry(at: float, user: str = "U0ANA") -> AuditRecord:
    return AuditRecord(at=at, act="acknowledge", user=user)


async def test_an_act_is_read_back_as_it_was_written(store: redis.Redis) -> None:
    audit = AuditLog(Keyspace(store, "a"))
    await audit.append(ACK)
    assert await audit.read_records() == [ACK]
    assert await AuditLog(Keyspace(store, "b")).read_records() == []


async def test_acts_come_oldest_first_and_of_too_many_the_latest(store: redis.Redis) -> None:
    audit = AuditLog(Keyspace(store, "a"))
    for minute in range(5):
        await audit.append(audit_entry(NOW + minute * 60))
    assert [record.at - NOW for record in await audit.read_records(NOW + 60)] == [60, 120, 180, 240]
    assert [record.at - NOW for record in await audit.read_records(limit=2)] == [180, 240]


async def test_all_pages_are_read_and_no_more_than_needed(store: redis.Redis) -> None:
    audit = AuditLog(Keyspace(store, "a"))
    async with store.pipeline(transaction=False) as pipe:
        for number in range(PAGE_SIZE * 2 + 1):
            pipe.xadd("{a}:audit", {"act": audit_entry(NOW + number).model_dump_json()})
        await pipe.execute()
    found = await audit.read_records()
    assert [item.at - NOW for item in found] == list(range(PAGE_SIZE * 2 + 1))
    assert len(await audit.read_records(NOW + PAGE_SIZE + 1)) == PAGE_SIZE


async def test_what_processes_wrote_out_of_order_is_found(store: redis.Redis) -> None:
    audit = AuditLog(Keyspace(store, "a"))
    late, early = NOW + MAX_DISORDER_SECONDS - 1, NOW - 1
    await audit.append(audit_entry(late))
    for _ in range(PAGE_SIZE):
        await audit.append(audit_entry(early))
    assert [record.at for record in await audit.read_records(NOW)] == [late]


async def test_what_cannot_be_read_hides_nothing_else(store: redis.Redis) -> None:
    audit = AuditLog(Keyspace(store, "a"))
    await audit.append(ACK)
    await store.xadd("{a}:audit", {"act": "{"})
    await store.xadd("{a}:audit", {"other": "x"})
    newer = json.dumps(json.loads(ACK.model_dump_json()) | {"field of a newer version": 1})
    await store.xadd("{a}:audit", {"act": newer})
    assert await audit.read_records() == [ACK, ACK]


async def test_it_is_capped(store: redis.Redis) -> None:
    audit = AuditLog(Keyspace(store, "a"), kept=100)
    for _ in range(400):
        await audit.append(ACK)
    assert 100 <= await store.xlen("{a}:audit") < 400


async def test_without_redis_it_says_so() -> None:
    server = fakeredis.FakeServer()
    server.connected = False
    async with fakeredis.FakeAsyncRedis(server=server) as client:
        with pytest.raises(StoreUnavailable):
            await AuditLog(Keyspace(client, "a")).append(ACK)
        with pytest.raises(StoreUnavailable):
            await AuditLog(Keyspace(client, "a")).read_records()


# --- on the terminal


@pytest.fixture
async def kept(store_url: str) -> AsyncIterator[AuditLog]:
    async with redis.from_url(store_url) as client:
        await client.flushall()
        yield AuditLog(Keyspace(client, "zofbot"))


async def test_the_terminal_prints_json_lines(store_url: str, kept: AuditLog) -> None:
    now = Clock().now().timestamp()
    entries = [audit_entry(now - 8 * 86400), audit_entry(now - 7200), audit_entry(now - 60, "U0BEN")]
    for entry in entries:
        await kept.append(entry)
    ended = await run_command("audit", REDIS_URL=store_url)
    assert ended.code == 0, ended.err
    assert [AuditRecord.model_validate_json(line) for line in ended.out.splitlines()] == entries[1:]
    chosen = await run_command(
        "audit", "--since", "14d", "--user", "U0ANA", "--act", "acknowledge", "--json", REDIS_URL=store_url
    )
    assert [json.loads(line)["at"] for line in chosen.out.splitlines()] == [entries[0].at, entries[1].at]
    assert (await run_command("audit", "--since", "1h", "--act", "resolve", REDIS_URL=store_url)).out == ""


@pytest.mark.parametrize(
    ("user", "shown"), [("U0ANA", ("UTC", "acknowledge", "U0ANA")), ("U0BEN", ("No matching actions in that time.",))]
)
async def test_on_a_terminal_it_is_a_table(store_url: str, kept: AuditLog, user: str, shown: tuple[str, ...]) -> None:
    await kept.append(audit_entry(Clock().now().timestamp() - 60))
    person, terminal = pty.openpty()
    os.set_blocking(person, False)
    command = (sys.executable, "-m", "zofbot", "audit", "--user", user)
    process = await asyncio.create_subprocess_exec(
        *command, env=command_environment(REDIS_URL=store_url), stdout=terminal
    )
    assert await process.wait() == 0
    out = os.read(person, 4096).decode()
    os.close(person)
    os.close(terminal)
    assert all(part in out for part in shown), out
    assert "{" not in out


def test_an_operator_without_a_name_is_known_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is called 10001 in our own image."""
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    assert system_user() == "uid 3999999999"


async def test_a_span_that_is_none_is_refused(store_url: str) -> None:
    ended = await run_command("audit", "--since", "soon", REDIS_URL=store_url)
    assert ended.code == 2
    assert "7d" in ended.err


async def test_what_operators_do_to_the_outbox_is_written_under_their_own_name(store_url: str, kept: AuditLog) -> None:
    async with redis.from_url(store_url) as client:
        note = Notification(key="k", kind=NotificationKind.ROOT, channel="C0QA", happened=NOW, not_before=4e9)
        await Outbox(Keyspace(client, "zofbot"), Clock()).commit([note])
    assert (await run_command("outbox", "drop", "k", REDIS_URL=store_url)).code == 0
    assert (await run_command("outbox", "retry", "k", REDIS_URL=store_url)).code == 0
    assert (await run_command("outbox", "drop", "unknown", REDIS_URL=store_url)).code == 1
    drop, retry = await kept.read_records()
    assert (drop.act, drop.key, drop.channel, drop.before, drop.after) == (
        "outbox drop",
        "k",
        "C0QA",
        "pending",
        "dropped",
    )
    assert (retry.act, retry.before, retry.after) == ("outbox retry", "dropped", "pending")
    assert drop.user == getpass.getuser()


def test_a_person_reads_a_table_in_which_foreign_text_is_harmless() -> None:
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(audit_table([ACK.model_copy(update={"details": {"note": "\x1b[31mred [bold]not bold"}})], {}))
    shown = console.export_text()
    for part in ("2027-01-15 08:00:00 UTC", "Ana <Keller> (U0ANA)", "open", "acknowledged", "red [bold]not bold"):
        assert part in shown
    assert "\x1b" not in shown
