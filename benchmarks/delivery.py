"""Measures what it costs to tell failures: notifications a second, CPU, round trips, latency, pace, polling, memory.

``make bench-more`` or ``.venv/bin/python benchmarks/delivery.py [--quick]``; about three minutes, loopback alone. The
goals are numbered as they are in the project's notes on performance. Rivals are taken in the same run, side by side;
machines drift, ratios taken within a minute do not. Alertmanager is taken where it is installed; where it is not, what
was once measured for it is printed as a reference, in brackets, and nothing is judged by that. The exit code is 0
either way: this measures and does not judge; it fails only when something could not be measured.

The notifications are a run's own message as the rules make it, and each is committed, claimed, drawn, posted over HTTP,
logged and settled by the real code, over a Valkey that syncs every write. The floor beside them is what nobody can do
without: three plain commands each in pipelines of a hundred, and one bare aiohttp post each of the same body.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import aiohttp
import httpx
import redis.asyncio as redis
import structlog
from alertmanager import PROGRAM, alert, alertmanager
from processes import NAMESPACE, SECRET, DeliveryBot, open_keyspace
from rich.console import Console
from rich.table import Table

from zofbot.alerting.rules import decide_finding
from zofbot.alerting.state import RuleState
from zofbot.clock import Clock
from zofbot.domain.model import Outcome, Result, Run
from zofbot.notifications.notification import Notification, NotificationKind, Receipt
from zofbot.observability.emitter import EventEmitter
from zofbot.simulator.zof.webhooks import current_envelope, sign_body
from zofbot.store.attempt_results import Sent
from zofbot.store.channel_pace import MAX_BURST
from zofbot.store.outbox import Outbox
from zofbot.store.outbox_scripts import KEY_TTL_SECONDS
from zofbot.store.redis_server.connect import connect_redis
from zofbot.store.redis_server.embedded import start_embedded
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import Layout, RunFinding, Subscription
from zofbot.zof.client import ZofClient

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
BATCH_SIZE = 100
PROJECT_COUNT = 150
MAX_WEBHOOK_ATTEMPTS = 10
"""Projects of the runs that webhooks are about, each subscribed by a channel."""

MAX_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class DeliverySize:
    """How much is measured."""

    burst: int
    rounds: int
    seconds: float
    """Of the webhooks at a hundred a second, and of the paced run."""
    pages: int
    keys: int
    calm: float = 3
    """Seconds of quiet, to know what a lone event adds to it."""


FULL = DeliverySize(burst=10_000, rounds=3, seconds=20, pages=100, keys=100_000)
QUICK = DeliverySize(burst=200, rounds=1, seconds=1, pages=5, keys=1_000, calm=1)


@dataclass(frozen=True)
class Figure:
    """One figure beside its rival; without a ``hold`` nothing is judged."""

    goal: str
    what: str
    figure: float
    rival: str = ""
    beside: float | None = None
    ratio: float | None = None
    hold: str = ""
    held: bool | None = None


@dataclass
class DeliveryBench:
    """The store, the counter, and what was found so far."""

    size: DeliverySize
    folder: Path
    store: str
    slack: str
    client: redis.Redis
    session: aiohttp.ClientSession
    rows: list[Figure] = field(default_factory=list)

    def row(self, goal: str, what: str, figure: float, **more: Any) -> None:
        """Keep a figure, and say it."""
        self.rows.append(Figure(goal, what, figure, **more))
        print(f"  {goal:>3} {what}: {figure:,.2f}", file=sys.stderr, flush=True)

    @asynccontextmanager
    async def role(self, name: str, *given: str) -> AsyncIterator[tuple[int, str]]:
        """Run a process while the context lasts; its pid, and the line it said when it was up."""
        script, log = Path(__file__).with_name("processes.py"), self.folder / "log"
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, name, log, *given, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout
        try:
            said = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
            if not said:
                raise RuntimeError(f"{name} did not start; see {log}")
            yield process.pid, said
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def begin(self, *, paced: bool = False) -> None:
        """Start afresh: an empty store and a counter at zero."""
        await self.client.flushall()
        async with self.session.post(f"{self.slack}/begin", params={"paced": int(paced)}) as reply:
            reply.raise_for_status()

    async def asked(self, path: str) -> dict[str, Any]:
        async with self.session.get(f"{self.slack}{path}") as reply:
            return dict(await reply.json())

    async def posted(self, count: int) -> None:
        """Wait until the counter has so many."""
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while (await self.asked("/count"))["posts"] < count:  # noqa: ASYNC110  (another process counts)
                await asyncio.sleep(0.02)

    async def settled(self, outbox: Outbox) -> None:
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while (depth := await outbox.read_stats()).pending + depth.sending:  # noqa: ASYNC110  (others settle)
                await asyncio.sleep(0.05)

    async def store_pid(self) -> int:
        return int((await self.client.info("server"))["process_id"])

    async def scripts(self) -> int:
        """Scripts that the server was asked to run."""
        found = await self.client.info("commandstats")
        return sum(found.get(name, {}).get("calls", 0) for name in ("cmdstat_evalsha", "cmdstat_eval"))

    async def reads(self) -> int:
        """How often the server read from a connection."""
        return int((await self.client.info("stats"))["total_reads_processed"])


def cpu(pid: int) -> float:
    """Seconds a process has worked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def read_peak_memory(pid: int) -> float:
    """A process's resident memory at its highest, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def build_notification() -> Notification:
    """The message of a failed run, as the rules make it."""
    now = time.time()
    case = Result(id="res_1", outcome=Outcome.FAILED, title="Voucher can be removed again", failure="expected 1, got 2")
    run = Run(
        id="run_1", outcome=Outcome.FAILED, ended=datetime.fromtimestamp(now, UTC), project_id="proj_1",
        environment="staging", title="Nightly",
    )  # fmt: skip
    wish = Subscription(id="s", channel="C1")
    made = decide_finding(RunFinding.from_results(run, [case], otherwise=now), [wish], RuleState(), now, lookback=3600)
    return next(notification for notification in made.notifications if notification.kind is NotificationKind.ROOT)


def build_notifications(count: int, channels: int) -> list[Notification]:
    """Notifications of that kind, each with its own key, dealt out to channels."""
    one = build_notification()
    made = (
        {"key": f"run:run_{n:06}:failed:C{n % channels:05}", "channel": f"C{n % channels:05}"} for n in range(count)
    )
    return [one.model_copy(update=named) for named in made]


# --- goals 3, 4, 5, 7 and 11: a burst


@dataclass(frozen=True)
class Burst:
    """What a burst came to; CPU in seconds per 10,000."""

    rate: float
    cpu: float
    trips: float
    memory: float


async def burst(bench: DeliveryBench, workers: int, *, remembered: int = 0) -> Burst:
    """Commit page by page, as the poller does, while workers deliver."""
    size = bench.size.burst
    await bench.begin()
    await store_receipts(bench, remembered)
    outbox, waiting = Outbox(open_keyspace(bench.client), Clock()), build_notifications(size, size // MAX_BURST)
    async with AsyncExitStack() as stack:
        pids = [
            (await stack.enter_async_context(bench.role("worker", bench.store, bench.slack)))[0] for _ in range(workers)
        ]
        paying = [*pids, await bench.store_pid()]
        before, scripts, own = sum(map(cpu, paying)), await bench.scripts(), time.process_time()
        began = time.perf_counter()
        for at in range(0, size, BATCH_SIZE):
            await outbox.commit(waiting[at : at + BATCH_SIZE])
        own = time.process_time() - own
        await bench.posted(size)
        seconds = time.perf_counter() - began
        await bench.settled(outbox)
        trips = await bench.scripts() - scripts
        spent = sum(map(cpu, paying)) - before + own
        return Burst(size / seconds, spent * 10_000 / size, trips / size, max(map(read_peak_memory, pids)))


async def store_receipts(bench: DeliveryBench, count: int) -> None:
    """Have the store remember so many notifications that were sent."""
    for at in range(0, count, 1000):
        async with bench.client.pipeline(transaction=False) as pipe:
            for n in range(at, min(at + 1000, count)):
                pipe.set(
                    f"{{{NAMESPACE}}}:sent:run:run_old_{n:07}:failed:C00001", f"C00001 {n}.000000", ex=KEY_TTL_SECONDS
                )
            await pipe.execute()


async def measure_floor(bench: DeliveryBench) -> tuple[float, float]:
    """CPU seconds per 10,000 of the least that has to be done: in the store with its client, and in posting."""
    size, payload = bench.size.burst, json.dumps({"channel": "C1", "text": "x" * 1500})
    await bench.begin()
    store = await bench.store_pid()
    own, served = time.process_time(), cpu(store)
    for verb in ("commit", "claim", "settle"):
        for at in range(0, size, BATCH_SIZE):
            async with bench.client.pipeline(transaction=False) as pipe:
                for n in range(at, at + BATCH_SIZE):
                    pipe.set(f"{verb}:{n}", payload if verb == "commit" else "1")
                await pipe.execute()
    stored = time.process_time() - own + cpu(store) - served
    own = time.process_time()
    slots = asyncio.Semaphore(16)

    async def post() -> None:
        async with slots, bench.session.post(f"{bench.slack}/api/chat.postMessage", data=payload) as reply:
            await reply.read()

    await asyncio.gather(*(post() for _ in range(size)))
    return stored * 10_000 / size, (time.process_time() - own) * 10_000 / size


async def measure_bursts(bench: DeliveryBench) -> None:
    one, two, floors, rivals = [], [], [], []
    for _ in range(bench.size.rounds):
        floors.append(await measure_floor(bench))
        one.append(await burst(bench, 1))
        two.append(await burst(bench, 2) if bench.size is FULL else one[-1])
        rivals += [await measure_rival_burst(bench)] if PROGRAM else []
    what = f"notifications a second, burst of {bench.size.burst:,}"
    rate = median(found.rate for found in one)
    add_row_beside_rival(
        bench, "3", f"{what}, one worker", [found.rate for found in one], [its.rate for its in rivals], 1.0
    )
    add_row_beside_rival(
        bench, "3", f"{what}, two workers", [found.rate for found in two], [its.rate for its in rivals], 1.0
    )
    bench.row("3", "the same, two workers", median(found.rate for found in two), rival="one worker", beside=rate,
              ratio=median(b.rate / a.rate for a, b in zip(one, two, strict=True)))  # fmt: skip
    spent = median(found.cpu for found in one)
    what = "CPU s per 10,000, bot and store"
    add_row_beside_rival(bench, "4", what, [found.cpu for found in one], [its.cpu for its in rivals], -0.65)
    ratio = median(found.cpu / sum(least) for found, least in zip(one, floors, strict=True))
    bench.row("5", "CPU s per 10,000, bot and store", spent, rival="sum of the floors", ratio=ratio,
              beside=median(map(sum, floors)), hold="<= 1.6", held=ratio <= 1.6)  # fmt: skip
    what = "memory of a worker at its highest, MiB"
    add_row_beside_rival(bench, "6", what, [found.memory for found in one], [its.memory for its in rivals], -0.35)
    trips = median(found.trips for found in one)
    bench.row("11", "round trips a notification, full batches", trips, hold="<= 0.05", held=trips <= 0.05)


REFERENCE_FIGURES = {"3": "2,091", "4": "8.7", "6": "347", "8 p50": "1.5", "8 p99": "3.9"}
"""What was once measured of Alertmanager, by goal."""


def add_row_beside_rival(  # noqa: PLR0913, PLR0917  (a row has so many parts)
    bench: DeliveryBench, goal: str, what: str, ours: Sequence[float], its: Sequence[float], hold: float
) -> None:
    """Put our figure beside Alertmanager's; ``hold`` is the least ratio, or, negative, the highest one."""
    goal, figure = goal.partition(" ")[0], median(ours)
    if not its:
        bench.row(
            goal,
            what,
            figure,
            rival=f"(Alertmanager: {REFERENCE_FIGURES.get(goal, REFERENCE_FIGURES.get(f'8 {what[-6:-3]}'))})",
        )
        return
    ratio = median(mine / other for mine, other in zip(ours, its, strict=True))
    said = f">= {hold:g}" if hold > 0 else f"<= {-hold:g}"
    held = ratio >= hold if hold > 0 else ratio <= -hold
    bench.row(goal, what, figure, rival="Alertmanager", beside=median(its), ratio=ratio, hold=said, held=held)


async def measure_rival_burst(bench: DeliveryBench) -> Burst:
    """The same number of alerts, in the same pages, for as many channels, through Alertmanager."""
    size = bench.size.burst
    await bench.begin()
    async with alertmanager(bench.slack) as (pid, url):
        before, began = cpu(pid), time.perf_counter()
        for at in range(0, size, BATCH_SIZE):
            named = [(f"run_{n:06}", f"C{n % (size // MAX_BURST):05}") for n in range(at, at + BATCH_SIZE)]
            await alert(bench.session, url, named)
        await bench.posted(size)
        seconds = time.perf_counter() - began
        return Burst(size / seconds, (cpu(pid) - before) * 10_000 / size, 0.0, read_peak_memory(pid))


async def measure_growth(bench: DeliveryBench) -> None:
    few = await burst(bench, 1, remembered=bench.size.keys // 10)
    lots = await burst(bench, 1, remembered=bench.size.keys)
    ratio = lots.cpu / few.cpu
    bench.row("7", f"CPU s per 10,000 with {bench.size.keys:,} remembered", lots.cpu, beside=few.cpu, ratio=ratio,
              rival=f"with {bench.size.keys // 10:,}", hold="<= 1.15", held=ratio <= 1.15)  # fmt: skip
    more = lots.memory - few.memory
    bench.row("7", "worker's memory grown by, MiB", more, hold="<= 10", held=more <= 10)


# --- goal 8 and the lone event of goal 11: webhooks


class Pace(NamedTuple):
    """How webhooks came and were answered by messages: percentiles in milliseconds; CPU milliseconds of each event."""

    p50: float
    p99: float
    cpu: float


async def store_subscriptions(bench: DeliveryBench, count: int) -> None:
    """Store so many subscriptions, each of a project and with a channel of its own."""
    for n in range(count):
        wish = Subscription(id=f"s{n}", channel=f"C{n:05}", project=(f"proj_{n}",), layout=Layout.FLAT)
        await bench.client.hset(f"{{{NAMESPACE}}}:{SUBSCRIPTIONS_HASH}", wish.id, wish.model_dump_json(by_alias=True))


@asynccontextmanager
async def run_hooked_bot(bench: DeliveryBench, subscriptions: int) -> AsyncIterator[tuple[int, str]]:
    """Run a bot that knows its scripts by now; its pid, and the address for webhooks."""
    await bench.begin()
    await store_subscriptions(bench, subscriptions)
    async with (
        bench.role("zof", "0", "0") as (_, zof),
        bench.role("bot", bench.store, bench.slack, zof) as (pid, door),
    ):
        await post_webhook(bench, door, "run_early_0")
        await bench.posted(1)
        yield pid, door


async def measure_webhooks(bench: DeliveryBench) -> None:
    """Webhooks at a hundred a second to many channels, each a run that has just failed."""
    async with run_hooked_bot(bench, PROJECT_COUNT) as (pid, door):
        await asyncio.sleep(bench.size.calm)
        quiet = await bench.reads()
        await asyncio.sleep(bench.size.calm)
        quiet = await bench.reads() - quiet
        lone = await bench.reads()
        await post_webhook(bench, door, "run_lone_1")
        await asyncio.sleep(bench.size.calm)
        lone = await bench.reads() - lone - quiet
        bench.row("11", "round trips of a lone webhook, to its message", lone, hold="<= 5", held=lone <= 5)
        ours = await measure_paced_webhooks(bench, pid, door, 100)
    its = await measure_rival_webhooks(bench, 100) if PROGRAM else None
    for name, mine, other, hold in (("p50", ours.p50, its and its.p50, -2.0), ("p99", ours.p99, its and its.p99, -2.0)):
        what = f"webhook to message at 100 a second, {name} ms"
        add_row_beside_rival(bench, "8", what, [mine], [other] if other else [], hold)


async def measure_paced_webhooks(bench: DeliveryBench, pid: int, door: str, rate: float) -> Pace:
    """Webhooks of so many a second, each of a run that has just failed, for the seconds of the size."""

    def name(n: int) -> str:
        return f"run_{rate:g}_{n}_{n % PROJECT_COUNT}"

    def key(n: int) -> str:
        return f"run:{name(n)}:failed:C{n % PROJECT_COUNT:05}"

    return await measure_pace(bench, pid, rate, key, lambda n: post_webhook(bench, door, name(n)))


async def measure_rival_webhooks(bench: DeliveryBench, rate: float) -> Pace:
    """The same pace through Alertmanager, which keeps nothing on disk before it sends."""
    await bench.begin()
    async with alertmanager(bench.slack) as (pid, url):
        return await measure_pace(
            bench, pid, rate, lambda n: f"late_{n}",
            lambda n: alert(bench.session, url, [(f"late_{n}", f"C{n % PROJECT_COUNT:05}")]),
        )  # fmt: skip


async def measure_pace(
    bench: DeliveryBench,
    pid: int,
    rate: float,
    key: Callable[[int], str],
    send: Callable[[int], Coroutine[Any, Any, None]],
) -> Pace:
    """Send so many a second; each leads to a message with its key."""
    count, sent, tasks = max(2, int(rate * bench.size.seconds)), {}, []
    before, spent, began = (await bench.asked("/count"))["posts"], cpu(pid), time.time()
    for n in range(count):
        await asyncio.sleep(max(0.0, began + n / rate - time.time()))
        sent[key(n)] = time.time()
        tasks.append(asyncio.create_task(send(n)))
    await asyncio.gather(*tasks)
    await bench.posted(before + count)
    times = (await bench.asked("/times"))["keys"]
    late = sorted((times[each] - at) * 1000 for each, at in sent.items())
    cuts = quantiles(late, n=100, method="inclusive")
    return Pace(cuts[49], cuts[98], (cpu(pid) - spent) * 1000 / count)


async def post_webhook(bench: DeliveryBench, door: str, run: str) -> None:
    """Post a webhook, and again after a second, as Zof does later, if the bot has too many at once (503)."""
    body = json.dumps(
        current_envelope("run.failed", "2026-06-01T08:15:00Z", lambda prefix: f"{prefix}_{run}", run)
    ).encode()
    headers = {"X-Zof-Signature": sign_body(SECRET, body)}
    for attempt in range(MAX_WEBHOOK_ATTEMPTS):
        async with bench.session.post(f"{door}/zof/webhook", data=body, headers=headers) as reply:
            if reply.status != 503 or attempt == MAX_WEBHOOK_ATTEMPTS - 1:
                reply.raise_for_status()
                return
        await asyncio.sleep(1)


# --- goals 9 and 10: polling


async def measure_polling(bench: DeliveryBench) -> None:
    pages = bench.size.pages
    ours, bare = [], []
    async with bench.role("zof", str(pages), "30") as (_, zof):
        for _ in range(bench.size.rounds):
            await bench.begin()
            client = ZofClient(base_url=f"{zof}/v1", key="key", clock=Clock(), events=EventEmitter())
            try:
                bot = DeliveryBot(bench.client, bench.session, bench.slack)
                poller = bot.poller(client, order="oldest")
                began = time.perf_counter()
                tick = await poller.poll_once()
                ours.append(time.perf_counter() - began)
                bare.append(await request_in_turn(zof, tick.requests))
                assert tick.requests == pages + 4
                await poller.poll_once()
                quiet = await bench.reads()
                tick = await poller.poll_once()
                quiet = await bench.reads() - quiet - 1
            finally:
                await client.aclose()
                await bot.hints.aclose()
    ratio = median(mine / its for mine, its in zip(ours, bare, strict=True))
    network = 0.03 * (pages + 4)
    bench.row(
        "9",
        f"a poll of {pages + 4} pages at 30 ms, s",
        median(ours),
        rival="bare httpx loop",
        beside=median(bare),
        ratio=ratio,
    )
    ratio = median(ours) / network
    bench.row("9", "the same", median(ours), rival="the network's own time", beside=network, ratio=ratio,
              hold="<= 1.25", held=ratio <= 1.25)  # fmt: skip
    bench.row(
        "10", "requests of a quiet cycle", tick.requests, rival="a feed", beside=5, hold="<= 5", held=tick.requests <= 5
    )
    bench.row("10", "round trips of a quiet cycle", quiet, hold="<= 1", held=quiet <= 1)


async def request_in_turn(zof: str, requests: int) -> float:
    """Seconds that a plain loop takes to read as many pages."""
    cursor: str | None = "0"
    async with httpx.AsyncClient(base_url=f"{zof}/v1") as client:
        began = time.perf_counter()
        for _ in range(requests):
            asked = {"status": "failed", "limit": "100", "starting_after": cursor or "0"}
            cursor = (await client.get("/results", params=asked)).json()["next_cursor"]
        return time.perf_counter() - began


# --- goal 12: memory of a key


async def measure_remembering(bench: DeliveryBench) -> None:
    """A root's body goes after two days, its key stays for thirty: by what the server says that each takes."""
    size, prefix = min(1000, bench.size.keys), f"{{{NAMESPACE}}}:"
    await bench.begin()
    outbox, waiting = Outbox(open_keyspace(bench.client), Clock()), build_notifications(size, size)
    for at in range(0, size, BATCH_SIZE):
        await outbox.commit(waiting[at : at + BATCH_SIZE])
        batch = await outbox.claim(BATCH_SIZE)
        await outbox.settle(
            [Sent.for_claim(item, Receipt(item.notification.channel, "1790000000.123456")) for item in batch]
        )
    names = [f"{prefix}sent:{item.key}" for item in waiting]
    ours, bodies = (
        await measure_key_bytes(bench, names),
        await measure_key_bytes(bench, [f"{prefix}note:{item.key}" for item in waiting]),
    )
    for item, name in zip(waiting, names, strict=True):
        await bench.client.delete(name)
        await bench.client.set(name, f"{item.channel} 1790000000.123456", nx=True, ex=KEY_TTL_SECONDS)
    plain = await measure_key_bytes(bench, names)
    bench.row("12", "bytes a remembered key", ours, rival="SET NX EX", beside=plain, ratio=ours / plain,
              hold="<= 1.1", held=ours / plain <= 1.1)  # fmt: skip
    bench.row("12", "bytes more of a root in its first two days", bodies)


async def measure_key_bytes(bench: DeliveryBench, names: Sequence[str]) -> float:
    """Bytes that a key takes, on average."""
    found = [await bench.client.memory_usage(name) for name in names]
    return sum(size or 0 for size in found) / len(found)


# --- goal 13: pace


async def measure_pacing(bench: DeliveryBench) -> None:
    seconds, channels = bench.size.seconds, 20
    await bench.begin(paced=True)
    outbox = Outbox(open_keyspace(bench.client), Clock())
    async with bench.role("worker", bench.store, bench.slack):
        await outbox.commit(build_notifications(int(channels * seconds), channels))
        await bench.posted(int(channels * seconds))
        times = sorted((await bench.asked("/times"))["all"])
        refused = (await bench.asked("/count"))["refused"]
    # The first of each channel starts its clock; from then on it is one a second.
    rate = sum(at < times[0] + seconds for at in times) / seconds
    ratio, what = rate / channels, f"a second to {channels} channels over {seconds:g} s"
    bench.row("13", what, rate, rival="one a second each", beside=channels, ratio=ratio,
              hold=">= 0.97", held=ratio >= 0.97)  # fmt: skip
    bench.row("13", "refused with 429", refused, hold="0", held=refused == 0)


def build_table(rows: Sequence[Figure]) -> Table:
    drawn = Table(title="Telling failures; in brackets: once measured elsewhere, not in this run")
    for name in ("goal", "what", "figure", "rival", "beside", "ratio", "hold", ""):
        drawn.add_column(name, justify="right" if name in ("figure", "beside", "ratio") else "left")
    for row in rows:
        held = "" if row.held is None else "[green]held[/]" if row.held else "[red]over[/]"
        beside = "" if row.beside is None else f"{row.beside:,.2f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        drawn.add_row(row.goal, row.what, f"{row.figure:,.2f}", row.rival, beside, ratio, row.hold, held)
    return drawn


@asynccontextmanager
async def open_bench(size: DeliverySize) -> AsyncIterator[DeliveryBench]:
    """Start the store and the counter."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="delivery-")))
        store = await stack.enter_async_context(start_embedded(folder / "store", Clock()))
        client = await stack.enter_async_context(connect_redis(store, NAMESPACE, Clock()))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        bench = DeliveryBench(size, folder, store, "", client, session)
        _, bench.slack = await stack.enter_async_context(bench.role("counter"))
        yield bench


async def measure_all(size: DeliverySize) -> list[Figure]:
    async with open_bench(size) as bench:
        quick = (measure_bursts, measure_webhooks, measure_polling, measure_remembering)
        for measure in (
            quick
            if size is QUICK
            else (
                measure_bursts,
                measure_growth,
                measure_webhooks,
                measure_polling,
                measure_remembering,
                measure_pacing,
            )
        ):
            await measure(bench)
        return bench.rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what it costs to tell failures.")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it still works")
    rows = asyncio.run(measure_all(QUICK if parser.parse_args().quick else FULL))
    Console(width=None if sys.stdout.isatty() else 150).print(build_table(rows))


if __name__ == "__main__":
    main()
