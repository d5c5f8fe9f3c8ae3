"""Measures how the cost of an event grows with what is stored: subscriptions, open failures, keys, channels.

``.venv/bin/python benchmarks/growth.py [--quick]``; about three minutes. An event is what follows a webhook about a
failed run: its hint is stored, the poller reads it and the run, the rules decide, the outcome is committed, claimed and
settled. All of it is the real code in one process, over a Valkey that syncs every write; Zof is a function, and nothing
is posted to Slack. What is printed is CPU time, of this process and of the store: a busy machine matters little.

The exponent is the slope in a log-log diagram: 0 means that an event costs the same however much is stored, 1 that the
cost doubles with it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import os
import tempfile
import time
import tracemalloc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

import httpx
import redis.asyncio as redis
import structlog
from processes import NAMESPACE, open_keyspace

from zofbot.alerting.state import decisions_hash, triage_hash
from zofbot.cli.serve import find_fast_loop, tune_garbage_collector
from zofbot.clock import Clock, MovableClock
from zofbot.notifications.notification import Receipt
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.metrics import Metrics
from zofbot.polling.context import PollContext, PollSettings
from zofbot.polling.poller import Poller
from zofbot.polling.run_reader import RunReader
from zofbot.services.subscription_changes import commit_changes
from zofbot.simulator.zof.state import format_time
from zofbot.store.attempt_results import Sent
from zofbot.store.leases import Lease
from zofbot.store.outbox import Outbox
from zofbot.store.outbox_scripts import KEY_TTL_SECONDS
from zofbot.store.pending_runs import PendingRun, PendingRuns
from zofbot.store.redis_server.connect import connect_redis
from zofbot.store.redis_server.embedded import start_embedded
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions import Subscription
from zofbot.subscriptions.diff import SubscriptionChange
from zofbot.triage import TriageRecord, TriageState
from zofbot.zof.client import ZofClient

FOLDER_IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where the store keeps its files: waiting for a disk would be no CPU time, but time."""

BATCH = 15
"""Failures committed at once while the store is filled: more in a minute of one channel would be a storm."""

FAILURES_PER_SCOPE = 10
"""Failures that are open in one project and environment."""

_SENT_SCRIPT = """
for number = ARGV[2], ARGV[3] do
  redis.call('SET', ARGV[1] .. string.format('run:run_old_%07d:failed:C00001', number), 'C00001 1780000000.000001',
    'EX', ARGV[4])
end
"""


@dataclass(frozen=True)
class Load:
    """What is stored before the events; each of ``channels`` has an equal share of ``subscriptions``."""

    subscriptions: int = 15
    open_failures: int = 10
    remembered: int = 1_000
    channels: int = 1


@dataclass(frozen=True)
class Curve:
    """Loads that differ in one size."""

    title: str
    points: Sequence[tuple[int, Load]]


@dataclass(frozen=True)
class GrowthSize:
    """How much is measured."""

    curves: Sequence[Curve]
    events: int
    rounds: int


@dataclass(frozen=True)
class Cost:
    """The cost of one event: CPU milliseconds, bytes it leaves in the store, KiB that it takes here at most."""

    bot_cpu: float
    store_cpu: float
    store_bytes: float
    bot_peak: float


def build_curves(
    subscriptions: Iterable[int], failures: Iterable[int], keys: Iterable[int], channels: Iterable[int]
) -> list[Curve]:
    """Return a curve for each of the four sizes."""
    return [
        Curve(
            "subscriptions, 15 in each channel", [(n, Load(subscriptions=n, channels=n // 15)) for n in subscriptions]
        ),
        Curve(
            "open failures in one channel, acknowledged, 10 in each scope",
            [(n, Load(open_failures=n)) for n in failures],
        ),
        Curve("remembered messages and runs", [(n, Load(remembered=n)) for n in keys]),
        Curve("channels with one subscription each", [(n, Load(subscriptions=n, channels=n)) for n in channels]),
    ]


FULL = GrowthSize(
    build_curves(
        (15, 150, 1_500), (10, 1_000, 10_000), (10_000, 100_000, 1_000_000), (10, 100, 1_000, 10_000)
    ),
    events=30,
    rounds=3,
)  # fmt: skip
QUICK = GrowthSize(build_curves((15, 30), (10, 30), (100, 1_000), (10, 20)), events=2, rounds=1)


class EventBench:
    """One bot over a store that was just emptied."""

    def __init__(self, client: redis.Redis, load: Load) -> None:
        self.client, self.load, self.clock = client, load, MovableClock()
        keyspace, events = open_keyspace(client), EventEmitter(Metrics(Clock()))
        self.outbox = Outbox(keyspace, self.clock)
        self.hints = PendingRuns(keyspace, self.clock)
        self.zof = ZofClient(
            base_url="http://zof/v1", key="key", clock=self.clock, events=events,
            transport=httpx.MockTransport(self.answer_request),
        )  # fmt: skip
        settings = PollSettings(requests=10**9)
        context = PollContext(self.outbox, RunReader(self.zof, settings.requests), settings, events, self.clock)
        self.poller = Poller(context, self.hints, Lease(keyspace, "poller", 90, self.clock), random=lambda: 0.5)
        self.runs = itertools.count()

    def answer_request(self, request: httpx.Request) -> httpx.Response:
        """Return a run that has just failed; its number says in which project and environment. No list has any."""
        name = request.url.path.rpartition("/")[2]
        if not name.startswith("run_"):
            return httpx.Response(200, json={"data": [], "has_more": False, "next_cursor": None})
        number, now = int(name.removeprefix("run_")), format_time(self.clock.time())
        scopes = max(1, self.load.open_failures // FAILURES_PER_SCOPE)
        about = {
            "project_id": f"proj_{number % self.load.subscriptions}", "environment": f"env_{number % scopes}",
            "status": "failed", "created_at": now,
        }  # fmt: skip
        result = {"id": f"res_{number}", "run_id": name, "test_case_id": f"tc_{number}", "name": "Case"}
        return httpx.Response(200, json=about | {
            "id": name, "completed_at": now, "summary": {"failed": 1, "error": 0}, "results": [about | result],
        })  # fmt: skip

    async def fill(self) -> None:
        """Store what is to be there before the events."""
        added = [
            Subscription(
                id=f"s{number}", channel=f"C{number % self.load.channels:05}", by="U0ANA", project=(f"proj_{number}",)
            )
            for number in range(self.load.subscriptions)
        ]
        stored = await Subscriptions(open_keyspace(self.client)).read()
        await commit_changes(self.outbox, stored, [SubscriptionChange(None, subscription) for subscription in added])
        await self.remember_messages()
        await self.poller.poll_once()
        for start in range(0, self.load.open_failures, BATCH):
            new = await self.process_events(min(BATCH, self.load.open_failures - start))
            await self.acknowledge([key for key in new if key.startswith("run:")])
            self.clock.advance(61)

    async def remember_messages(self) -> None:
        """Store receipts of messages sent, and what was decided about their runs."""
        hashes: dict[str, dict[Any, Any]] = {}  # as redis-py annotates them
        for number in range(self.load.remembered):
            run = f"run_old_{number:07}"
            hashes.setdefault(decisions_hash(run), {})[run] = f"{self.clock.time():.0f} C00001=t1"
        for name, fields in hashes.items():
            await self.client.hset(f"{{{NAMESPACE}}}:{name}", mapping=fields)
        for start in range(0, self.load.remembered, 1_000):
            last = min(start + 1_000, self.load.remembered) - 1
            await self.client.eval(_SENT_SCRIPT, 0, f"{{{NAMESPACE}}}:sent:", start, last, KEY_TTL_SECONDS)

    async def acknowledge(self, alerts: Sequence[str]) -> None:
        """Store that a person acknowledged these alerts of the first channel."""
        record = TriageRecord(state=TriageState.ACKNOWLEDGED, since=self.clock.time()).model_dump_json()
        await self.outbox.commit([], changes={triage_hash("C00000"): dict.fromkeys(alerts, record)})

    async def process_events(self, count: int = 1) -> list[str]:
        """Receive ``count`` events at once and process them to their receipts. Return the keys of the alerts."""
        for number in itertools.islice(self.runs, count):
            hint = PendingRun("run", f"run_{number}", "run.failed", self.clock.time())
            await self.hints.add_pending(f"evt_{number}", hint)
        stats = await self.poller.poll_once(feeds=False)
        if stats.read != count or len(stats.committed) < count:
            raise RuntimeError(f"{count} events led to {stats}")
        while claims := await self.outbox.claim(100):
            receipt = Receipt("C00001", f"{self.clock.time():.6f}")
            await self.outbox.settle([Sent(claim.notification.key, claim.attempt, receipt) for claim in claims])
            self.clock.advance(5)
        return stats.committed

    async def measure_cost(self, events: int, rounds: int) -> Cost:
        """Return the median cost of an event over several rounds."""
        costs = [await self._measure_round(events) for _ in range(rounds)]
        bot, store, kept = (median(values) for values in zip(*costs, strict=True))
        return Cost(bot, store, kept, await self._measure_peak())

    async def _measure_round(self, events: int) -> tuple[float, float, float]:
        store, kept = await self._read_usage()
        bot = time.process_time()
        for _ in range(events):
            await self.process_events()
        bot = time.process_time() - bot
        store_after, kept_after = await self._read_usage()
        return bot * 1000 / events, (store_after - store) * 1000 / events, (kept_after - kept) / events

    async def _measure_peak(self) -> float:
        """Return the median of what an event allocates at most, in KiB."""
        peaks = []
        tracemalloc.start()
        for _ in range(5):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            await self.process_events()
            peaks.append((tracemalloc.get_traced_memory()[1] - before) / 1024)
        tracemalloc.stop()
        return median(peaks)

    async def _read_usage(self) -> tuple[float, float]:
        """Return the store's CPU seconds and its bytes."""
        cpu, memory = await self.client.info("cpu"), await self.client.info("memory")
        return cpu["used_cpu_user"] + cpu["used_cpu_sys"], memory["used_memory"]

    async def aclose(self) -> None:
        await self.hints.aclose()
        await self.zof.aclose()


async def measure_load(client: redis.Redis, load: Load, size: GrowthSize) -> Cost:
    await client.flushall()
    bench = EventBench(client, load)
    try:
        await bench.fill()
        await bench.process_events()
        return await bench.measure_cost(size.events, size.rounds)
    finally:
        await bench.aclose()


def find_exponent(sizes: Sequence[int], values: Sequence[float]) -> float | None:
    """Return the slope of the values over the sizes in a log-log diagram; None if some have no logarithm."""
    if min(values) <= 0:  # the store gave memory back meanwhile
        return None
    return linear_regression([math.log(size) for size in sizes], [math.log(value) for value in values]).slope


def draw_curve(title: str, sizes: Sequence[int], costs: Sequence[Cost]) -> str:
    """Return a chart of the CPU time, the other figures beside it, and the exponents."""
    total = [cost.bot_cpu + cost.store_cpu for cost in costs]
    lines = [title, f"{'':>9}  {'CPU ms':>7}  {'store':>7}  {'kept B':>7}  {'peak KiB':>8}"]
    for size, cpu, cost in zip(sizes, total, costs, strict=True):
        bar = "█" * round(30 * cpu / max(total))
        lines.append(
            f"{size:>9,}  {cpu:>7.2f}  {cost.store_cpu:>7.2f}  {cost.store_bytes:>7,.0f}  {cost.bot_peak:>8,.0f}  {bar}"
        )
    columns = (total, *zip(*((cost.store_cpu, cost.store_bytes, cost.bot_peak) for cost in costs), strict=True))
    slopes = [f"{slope:.2f}" if (slope := find_exponent(sizes, values)) is not None else "-" for values in columns]
    return "\n".join([*lines, "{:>9}  {:>7}  {:>7}  {:>7}  {:>8}".format("exponent", *slopes), ""])


async def main(size: GrowthSize) -> None:
    tune_garbage_collector()
    with tempfile.TemporaryDirectory(prefix="growth-", dir=FOLDER_IN_MEMORY) as folder:
        async with start_embedded(Path(folder), Clock()) as url, connect_redis(url, NAMESPACE, Clock()) as client:
            for curve in size.curves:
                costs = [await measure_load(client, load, size) for _, load in curve.points]
                print(draw_curve(curve.title, [number for number, _ in curve.points], costs), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure how the cost of an event grows.")
    parser.add_argument("--quick", action="store_true", help="few sizes and events, to see that it works")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with asyncio.Runner(loop_factory=find_fast_loop()) as runner:
        runner.run(main(QUICK if parser.parse_args().quick else FULL))
