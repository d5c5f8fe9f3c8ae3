"""A poller over the simulated Zof without sockets, with a settable clock, a store that can fail, and simple rules."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import redis.asyncio as redis

from tests.support.metric_values import metric_value
from tests.support.valkey_servers import shared_valkey
from tests.support.virtual_time import SetClock
from zofbot.http.zof_endpoint import build_pending_run
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.metrics import Metrics
from zofbot.polling.contacts import find_nobody
from zofbot.polling.context import DecisionRules, PollContext, PollSettings
from zofbot.polling.poller import CycleStats, Poller
from zofbot.polling.run_reader import RunReader
from zofbot.simulator.world import World
from zofbot.simulator.zof import rest_api as pretend_zof
from zofbot.simulator.zof.pagination import ApiRequest
from zofbot.simulator.zof.state import HttpReply, ZofRecord, format_time
from zofbot.store.keyspace import Keyspace
from zofbot.store.leases import Lease
from zofbot.store.outbox import Outbox
from zofbot.store.pending_runs import PendingRun, PendingRuns
from zofbot.subscriptions import PlatformEvent, RunFinding
from zofbot.zof.client import ZofClient
from zofbot.zof.webhook_event import WebhookHint

START_TIME = datetime(2026, 6, 1, 8, 0, tzinfo=UTC).timestamp()
CHANNEL = "C0QA"


@dataclass(frozen=True)
class PlainDecision:
    """A decision of ``PlainRules``."""

    notifications: Sequence[Notification]
    changes: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    expected: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)


class PlainRules:
    """Rules that send one notification per failed run and result, and record all findings."""

    def __init__(self) -> None:
        self.found: list[RunFinding | PlatformEvent] = []

    def __call__(
        self,
        findings: Iterable[RunFinding | PlatformEvent],
        subscriptions: object,
        memory: object,
        now: float,
        **settings: object,
    ) -> PlainDecision:
        found = list(findings)
        self.found += found
        return PlainDecision([notification for finding in found for notification in plain_notifications(finding)])


def plain_notifications(finding: RunFinding | PlatformEvent) -> list[Notification]:
    """Return the notifications of one finding."""
    if isinstance(finding, PlatformEvent):
        return [_notification_for(f"notice:{finding.id}:{finding.event}", finding.happened)]
    keys = [f"result:{result.id}:{result.outcome}" for result in finding.failures]
    if finding.run.outcome.is_bad:
        keys.insert(0, f"run:{finding.run.id}:{finding.run.outcome}")
    return [_notification_for(key, finding.happened) for key in keys]


def _notification_for(key: str, happened: float) -> Notification:
    return Notification(key=f"{key}:{CHANNEL}", kind=NotificationKind.ROOT, channel=CHANNEL, happened=happened)


class FailingRedis(redis.Redis):
    """A client that counts round trips, and fails at one of them, before or after the server received it.

    While not ``connected``, every round trip fails.
    """

    connected = True
    trips = 0
    blows: int | None = None
    late = False

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self.trips += 1
        if self.connected and self.trips != self.blows:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        if self.connected and self.late:
            await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        raise redis.ConnectionError("the fuse has blown")

    def pipeline(self, *args: Any, **options: Any) -> Any:
        self.trips += 1
        if not self.connected or self.trips == self.blows:
            raise redis.ConnectionError("the fuse has blown")
        return super().pipeline(*args, **options)


SpoilRequest = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response | None] | None]


def answer_well(request: httpx.Request) -> None:
    """Return no fault."""


class ZofTransport:
    """The simulated Zof as an httpx transport: ``spoil`` may reply instead, ``change`` may alter replies.

    ``page`` is the page size, ``ignored`` are query names that Zof ignores.
    """

    def __init__(self, world: World, page: int = 100) -> None:
        self.records = world.zof
        self.page = page
        self.asked: list[str] = []
        self.ignored: set[str] = set()
        self.spoil: SpoilRequest = answer_well
        self.change: Callable[[str, Any], Any] = lambda path, body: body

    async def answer_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1")
        self.asked.append(path)
        spoilt = self.spoil(request)
        if isinstance(spoilt, Awaitable):
            spoilt = await spoilt
        if spoilt is not None:
            return spoilt
        query = {name: value for name, value in request.url.params.items() if name not in self.ignored}
        if "limit" in query:
            query["limit"] = str(min(int(query["limit"]), self.page))
        headers = {"Authorization": request.headers["authorization"]}
        reply: HttpReply = pretend_zof.answer_request(self.records, ApiRequest(request.method, path, query, headers))
        kept = {name: value for name, value in reply.headers.items() if value is not None}
        return httpx.Response(reply.status, json=self.change(path, reply.body), headers=kept)


class PollerBench:
    """One simulated organization, one store, and any number of pollers."""

    def __init__(self, store: FailingRedis, page: int, requests: int, **options: Any) -> None:
        self.clock = SetClock(START_TIME)
        self.world = World(self.clock)
        self.world.zof.quota = None
        self.made = 0
        self.zof = ZofTransport(self.world, page)
        self.metrics = Metrics(self.clock)
        self.events = EventEmitter(self.metrics)
        self.rules = PlainRules()
        self.options = {"requests": requests, "interval": 60.0, "lookback": 3600.0} | options
        self.client = ZofClient(
            base_url="https://zof.example/v1",
            key=self.world.zof.key,
            clock=self.clock,
            events=self.events,
            random=lambda: 0.0,
            transport=httpx.MockTransport(self.zof.answer_request),
        )
        self.store = store
        self.hints = PendingRuns(Keyspace(self.store, "test"), self.clock)
        self.outbox = Outbox(Keyspace(self.store, "test"), self.clock)
        self.poller = self.start_poller()

    def start_poller(self, decide: DecisionRules | None = None, lease: Lease | None = None, **options: Any) -> Poller:
        """Start another poller, as in another process."""
        lease = lease or Lease(Keyspace(self.store, "test"), "poller", 90, self.clock)
        options = self.options | options
        own = {name: options.pop(name) for name in ("digester", "find_contacts") if name in options}
        settings = PollSettings(**options)
        context = PollContext(
            self.outbox,
            RunReader(self.client, settings.requests),
            settings,
            self.events,
            self.clock,
            decide=decide or self.rules,
            find_contacts=own.get("find_contacts", find_nobody),
        )
        return Poller(context, self.hints, lease, random=lambda: 0.5, digester=own.get("digester"))

    async def kill_poller(self) -> None:
        """Stop the poller as if killed, let its lease expire, and start the next."""
        self.store.blows = None
        await self.store.delete("{test}:lease:poller")
        self.poller = self.start_poller()

    async def run_cycle(self, seconds: float = 60) -> CycleStats:
        """Advance the clock, and poll."""
        self.clock.at += seconds
        return await self.poller.poll_once()

    async def poll_until_settled(self, most: int = 60) -> int:
        """Poll until nothing is left to do; returns the number of cycles.

        An unordered listing is read again and again; it counts as done when a whole pass finds nothing new.
        """
        quiet = 0
        for number in range(most):
            tick = await self.run_cycle()
            quiet = 0 if tick.new_items or tick.read or tick.pending_runs else quiet + 1
            if (quiet and not tick.active_scans) or quiet >= 30:
                return number
        raise AssertionError("it does not come to an end")

    async def pending_runs(self) -> dict[str, PendingRun]:
        found = (await self.outbox.read_hashes("hints"))["hints"]
        return {name: PendingRun.load(text) for name, text in found.items()}

    async def committed_keys(self) -> set[str]:
        """Return the keys of all committed notifications."""
        prefix = "{test}:note:"
        return {key.decode().removeprefix(prefix) async for key in self.store.scan_iter(prefix + "*")}

    async def receive_webhook(self, run_id: str, event: str, kind: str = "run.failed") -> bool:
        """Store a webhook's hint as the endpoint does."""
        hint = WebhookHint(event, kind, run_id)
        return await self.hints.add_pending(event, build_pending_run(hint, run_id, self.clock.at))

    def finish_run(
        self, status: str = "failed", *, ago: float = 0, bad: int = 1, passed: int = 0, **fields: Any
    ) -> ZofRecord:
        """Add a run that ended ``ago`` seconds ago, each a bit later than the one before."""
        self.made += 1
        zof, at = self.world.zof, self.clock.at - ago + self.made / 1000
        run = zof.start_run({"project_id": "proj_x", "environment": "staging", **fields})
        run |= {"created_at": format_time(at - 60), "started_at": format_time(at - 60)}
        for number in range(bad + passed):
            word = "passed" if number >= bad else "error" if status == "error" else "failed"
            when = {"created_at": format_time(at), "completed_at": format_time(at)}
            zof.add_result(run["id"], status=word, test_case_id=f"tc_{number}", name=f"Case {number}", **when)
        zof.finish_run(run["id"], status)
        run["completed_at"] = format_time(at)
        return run

    def expected_keys(self, since: float = 0) -> set[str]:
        """Return the keys that must be committed, each once."""
        ended = ("passed", "failed", "error")
        keys = set()
        for run in self.world.zof.runs.values():
            at = datetime.fromisoformat(run.get("completed_at", format_time(self.clock.at))).timestamp()
            if run["status"] not in ended or at < since:
                continue
            if run["status"] != "passed":
                keys.add(f"run:{run['id']}:{run['status']}:{CHANNEL}")
            bad = [item for item in self.world.zof.results_of_run(run["id"]) if item["status"] in ("failed", "error")]
            keys |= {f"result:{item['id']}:{item['status']}:{CHANNEL}" for item in bad}
        return keys

    def metric_value(self, name: str, **labels: str) -> float:
        found = metric_value(self.metrics, name, labels)
        assert found is not None, name
        return found


_databases = itertools.count()


@asynccontextmanager
async def poller_bench(page: int = 100, requests: int = 20, **options: Any) -> AsyncIterator[PollerBench]:
    """Set up a bench, and close it."""
    store = FailingRedis(unix_socket_path=shared_valkey().removeprefix("unix://"), db=next(_databases) % 16)
    await store.flushdb()
    store.trips = 0
    built = PollerBench(store, page, requests, **options)
    try:
        yield built
    finally:
        await built.hints.aclose()
        await built.client.aclose()
        await built.store.aclose()


def log_lines(lines: Sequence[Mapping[str, Any]], event: str) -> list[dict[str, Any]]:
    """Return the log lines of one event."""
    return [json.loads(json.dumps(dict(line), default=str)) for line in lines if line["event"] == event]
