"""``--json`` of the commands, as processes: no secret, no control character, nothing that reorders text."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis.asyncio as redis

from tests.support.cli import run_command
from zofbot.clock import Clock
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.observability.trace_model import Trace, TraceStep
from zofbot.simulator.server import SimulatorServer
from zofbot.store import audit
from zofbot.store.audit import AuditLog
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import Outbox
from zofbot.store.traces import TraceStore

HOSTILE = "می\u200cخواهم \x9b31m\u202eabc\x85 password=hunter2 \x1b[31mBearer a1b2c3d4e5f6"
SHOWN = "می\u200cخواهم abc password=[redacted] Bearer [redacted]"


async def printed_json(*arguments: str, **settings: str) -> Any:
    """What a command prints, read as JSON after looking for what must not be in it."""
    return strict_json((await run_command(*arguments, **settings)).out)


def strict_json(text: str) -> Any:
    for part in ("hunter2", "a1b2c3", "\u202e", "\\u202e", "\x85", "\\u0085", "\x1b", "\\u001b", "\x9b"):
        assert part not in text, ascii(part)
    return json.loads(text)


async def test_a_result(simulator: SimulatorServer) -> None:
    record = simulator.world.zof.results["res_4821"]
    record.update({"name": HOSTILE, "environment": HOSTILE, "failure_summary": HOSTILE})
    zof = {"ZOF_API_KEY": simulator.world.zof.key, "ZOF_BASE_URL": f"{simulator.url}/zof/v1"}
    found = await printed_json("result", "res_4821", "--json", **zof)
    assert found["title"] == found["environment"] == SHOWN


@pytest.fixture
async def filled(store_url: str) -> str:
    async with redis.from_url(store_url) as client:
        await client.flushall()
        now = Clock().now().timestamp()
        body = {"card": "line", "said": HOSTILE, "token": "hunter2"}
        note = Notification(
            key="k", kind=NotificationKind.ROOT, channel="C0QA", happened=4e9, not_before=4e9, body=body
        )
        await Outbox(Keyspace(client, "zofbot"), Clock()).commit([note])
        details = {"note": HOSTILE, "password": "hunter2"}
        act = audit.AuditRecord(at=now, act="resolve", user="U0ANA", name=HOSTILE, details=details)
        await AuditLog(Keyspace(client, "zofbot")).append(act)
        step = TraceStep(at=1, component="zof", action=HOSTILE, facts={"id": HOSTILE})
        trace = Trace(reference="ref_1", kind="request", what=HOSTILE, at=now, steps=(step,), ids=("ref_1",))
        await TraceStore(Keyspace(client, "zofbot")).write_traces([trace])
    return store_url


async def test_what_is_stored(filled: str) -> None:
    await printed_json("outbox", "list", "--json", REDIS_URL=filled)
    assert SHOWN in json.dumps(await printed_json("outbox", "show", "k", REDIS_URL=filled), ensure_ascii=False)
    act = await printed_json("audit", "--json", REDIS_URL=filled)
    assert (act["name"], act["details"]) == (SHOWN, {"note": SHOWN, "password": "[redacted]"})
    trace = await printed_json("trace", "ref_1", "--json", REDIS_URL=filled)
    assert (trace["what"], trace["steps"][0]["did"]) == (SHOWN, SHOWN)
