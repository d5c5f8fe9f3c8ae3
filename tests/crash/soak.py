"""A soak: two workers and a web door in a bad world, killed and cut off at random, and what stands in Slack at the end.

``make soak ARGS="--minutes 10 --seed 7"``. Everything is real but Slack and Zof: processes, a Valkey that syncs each
write, HTTP. Runs fail, pass by policy and recover; webhooks of both generations come repeated, late, out of order or
not at all. Meanwhile processes and the Valkey are killed, and Slack refuses, cuts, and stores what it does not confirm.
Then the world gets well, and Slack's ledger is compared with what a perfect source would have posted. The exit code is
1 unless each message stands there, and stands there once. The seed repeats the choices, not their timing to the
millisecond.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO

import aiohttp
import redis.asyncio as redis
import structlog
from rich.console import Console
from rich.table import Table

from tests.support.limits import lift_slack_limits
from tests.support.ports import free_port
from zofbot.clock import Clock, MovableClock, timeout
from zofbot.config.settings import Settings
from zofbot.domain.errors import StoreUnavailable
from zofbot.simulator.seed import CHECKOUT, CHECKOUT_CHANNEL, QA_ALERTS, SEARCH, SEARCH_CHANNEL, seed_world
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack import broken_replies
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.world import World
from zofbot.simulator.zof.state import ZofRecord, format_time
from zofbot.simulator.zof.webhooks import current_envelope, older_envelope, sign_body
from zofbot.store.keyspace import Keyspace
from zofbot.store.outbox import LEASE_SECONDS, Outbox
from zofbot.store.redis_server.embedded import start_embedded

FILTERS = {
    QA_ALERTS: "group:run on:failed,error,recovered,passed-with-failures",
    CHECKOUT_CHANNEL: f"project:{CHECKOUT} layout:flat",
    SEARCH_CHANNEL: f"project:{SEARCH} env:staging group:case",
}
"""How each channel subscribes; all of the soak's expectations are in ``ExpectedAlerts``."""

FAULTS = (
    *("429", "429_fraction", "ratelimited_200", "500", "502", "cut", "error:a_word_nobody_knows"),
    *("store_then_500", "store_then_cut"),
    *broken_replies.BROKEN_REPLIES,
    *(f"store_then_{fault}" for fault in broken_replies.BROKEN_REPLIES),
)
METHODS = ("chat.postMessage", "chat.postMessage", "chat", "conversations", "")
BETWEEN_RUNS = (3.0, 9.0)
"""Seconds; a channel takes a message a second, so that more would only make a queue, or a storm."""
BETWEEN_KILLS = (2.0, 14.0)
BETWEEN_FAULTS = (0.5, 4.0)
SECRET = "soaked-webhook-secret"
DRAIN = 240.0
"""Seconds that everything may take to come to its end in a world that is well."""
WORKERS = ("worker 1", "worker 2")
TOLD = ("run", "case", "result", "recovered", "rest", "again", "storm")
"""First words of the keys of what Zof's news become; the rest is said to people who subscribe."""


@dataclass
class ExpectedAlerts:
    """What a source that loses and repeats nothing would have posted, worked out from the runs alone."""

    wanted: Counter[str] = field(default_factory=Counter)
    recovered: list[str] = field(default_factory=list)
    """Roots that have to show in the end that they recovered."""

    def add_failed_run(self, run: ZofRecord, results: Iterable[ZofRecord]) -> None:
        bad = [result for result in results if result["status"] in ("failed", "error")]
        for channel in _expected_keys(run) if run["status"] != "passed" else (QA_ALERTS,):
            if channel == SEARCH_CHANNEL:
                self.wanted.update(f"case:{item['id']}:{item['status']}:{channel}" for item in bad)
                continue
            self.wanted[f"run:{run['id']}:{run['status']}:{channel}"] += 1
            if channel == QA_ALERTS:
                self.wanted.update(f"result:{item['id']}:{item['status']}:{channel}" for item in bad)

    def add_passing_run(self, run: ZofRecord, results: Iterable[ZofRecord]) -> None:
        """All that failed in this run passes later, and nothing of it ever fails again."""
        for channel in _expected_keys(run):
            if channel == SEARCH_CHANNEL:
                names = [f"{result['id']}:{result['status']}:{channel}" for result in results]
                self.recovered += [f"case:{name}" for name in names]
                self.wanted.update(f"recovered:{name}" for name in names)
                continue
            name = f"{run['id']}:{run['status']}:{channel}"
            self.recovered.append(f"run:{name}")
            if channel == QA_ALERTS:
                self.wanted[f"recovered:{name}"] += 1


def _expected_keys(run: ZofRecord) -> Iterator[str]:
    yield QA_ALERTS
    if run["project_id"] == CHECKOUT:
        yield CHECKOUT_CHANNEL
    elif run["environment"] == "staging":
        yield SEARCH_CHANNEL


def posted_key(message: PostedMessage) -> str:
    """Its key; whichever failure of a case is heard of first is the root, so that both kinds are one there."""
    name = message.idempotency_key or ""
    if message.channel == SEARCH_CHANNEL and name.startswith("result:"):
        return "case:" + name.removeprefix("result:")
    return name


@dataclass
class SoakTest:
    """The world, the processes in it, and everything that goes wrong."""

    random: Random
    folder: Path
    world: World
    simulator: SimulatorServer
    log: IO[bytes]
    port: int
    ends: float
    stack: AsyncExitStack
    perfect: ExpectedAlerts = field(default_factory=ExpectedAlerts)
    counts: Counter[str] = field(default_factory=Counter)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    store: str = ""
    late: list[asyncio.Task[None]] = field(default_factory=list)

    # --- processes

    async def start_process(self, name: str) -> None:
        """Start a process of the bot; its name is its command and a number."""
        command = [sys.executable, "-m", "zofbot", name.split(maxsplit=1)[0]]
        self.processes[name] = await asyncio.create_subprocess_exec(
            *command, env=self.process_environment(), stdout=self.log, stderr=self.log
        )

    def process_environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
        slack = self.world.slack
        return kept | {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_SIGNING_SECRET": slack.signing_secret,
            "SLACK_API_URL": f"{self.simulator.url}/api/",
            "ZOF_API_KEY": self.world.zof.key,
            "ZOF_BASE_URL": f"{self.simulator.url}/zof/v1",
            "ZOF_WEBHOOK_SECRET": SECRET,
            "REDIS_URL": self.store,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "ZOFBOT_POLL_INTERVAL": "2",
            "ZOFBOT_LOG_LEVEL": "info",
            "ZOFBOT_LOG_FORMAT": "json",
        }

    async def open_store(self) -> None:
        self.store = await self.stack.enter_async_context(start_embedded(self.folder / "store", Clock()))

    async def kill_process(self, name: str) -> None:
        process = self.processes[name]
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def kill_store(self) -> None:
        async with redis.from_url(self.store) as client:
            os.kill(int((await client.info("server"))["process_id"]), signal.SIGKILL)

    # --- what happens at Zof

    async def produce_runs(self) -> None:
        number = 0
        while self.seconds_left() > 0:
            await asyncio.sleep(self.random.uniform(*BETWEEN_RUNS))
            number += 1
            self.run_later(self.fail_run(number), 0.0)

    async def fail_run(self, number: int) -> None:
        """One run fails, or passes by policy with failures; a bit later half of them recover."""
        random, zof = self.random, self.world.zof
        place = {"project_id": random.choice((CHECKOUT, SEARCH)), "environment": random.choice(("staging", "nightly"))}
        cases = [f"tc_soak_{number}_{case}" for case in range(random.randint(1, 3))]
        stubborn = random.random() < 0.2
        status = random.choice(("failed", "failed", "failed", "error"))
        by_policy = random.random() < 0.15
        heals = random.random() < 0.5 and not stubborn and not by_policy
        run = zof.start_run({**place, "name": f"soak {number}"})
        cases += ["tc_stubborn"] if stubborn else []
        results = [zof.add_result(run["id"], status=status, test_case_id=case, name=case) for case in cases]
        await asyncio.sleep(random.choice((0.0, 0.0, random.uniform(0, 6))))
        self.end_run(run, "passed" if by_policy else status)
        self.perfect.add_failed_run(run, results)
        if heals:
            await asyncio.sleep(random.uniform(0.5, 20))
            self.recover_run(number, place, cases)
            self.perfect.add_passing_run(run, results)

    def recover_run(self, number: int, place: ZofRecord, cases: Iterable[str]) -> None:
        zof = self.world.zof
        run = zof.start_run({**place, "name": f"soak {number}"})
        for case in cases:
            zof.add_result(run["id"], status="passed", test_case_id=case, name=case)
        self.end_run(run, "passed")
        self.counts["recovered"] += 1

    def end_run(self, run: ZofRecord, status: str) -> None:
        """End a run, and have webhooks tell of it: none, one or several, now or later, in any order."""
        self.world.zof.finish_run(run["id"], status)
        self.counts["runs"] += 1
        at = format_time(self.world.unix_time())
        kinds = ["run.completed", *(["run.failed"] if status != "passed" else [])]
        envelopes = [current_envelope(kind, at, self.world.zof.new_id, run["id"]) for kind in kinds]
        if self.random.random() < 0.4:
            envelopes = [older_envelope(kind, at, run) for kind in kinds]
        for envelope in envelopes * self.random.choice((0, 1, 1, 1, 2, 3)):
            self.run_later(
                self.post_webhook(json.dumps(envelope).encode()), self.random.choice((0.0, self.random.uniform(0, 8)))
            )

    async def post_webhook(self, body: bytes) -> None:
        """Deliver once; like Zof, nobody tries again."""
        headers = {"X-Zof-Signature": sign_body(SECRET, body)}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.post(f"{self.webhook_url}/zof/webhook", data=body, headers=headers) as reply,
            ):
                self.counts["webhooks taken" if reply.status == 200 else "webhooks lost"] += 1
        except (aiohttp.ClientError, OSError):
            self.counts["webhooks lost"] += 1

    def run_later(self, work: Awaitable[None], seconds: float) -> None:
        async def wait_and_run() -> None:
            await asyncio.sleep(seconds)
            await work

        self.late.append(asyncio.create_task(wait_and_run()))

    # --- what goes wrong

    async def produce_faults(self) -> None:
        while self.seconds_left() > 0:
            await asyncio.sleep(self.random.uniform(*BETWEEN_FAULTS))
            fault = self.random.choice(FAULTS)
            self.world.slack.faults.set_fault(fault, self.random.choice((1, 1, 2)), self.random.choice(METHODS))

    async def kill_processes(self) -> None:
        """Kill a process or the store, and start it again after a while; now and then end one as it should be."""
        while self.seconds_left() > 0:
            await asyncio.sleep(self.random.uniform(*BETWEEN_KILLS))
            name = self.random.choice((*WORKERS, *WORKERS, *WORKERS, "web", "store"))
            if name == "store":
                await self.kill_store()
                self.counts["store killed"] += 1
                await asyncio.sleep(self.random.choice((0.0, self.random.uniform(0, 4))))
                await self.open_store()
            elif self.random.random() < 0.2:
                await self.restart_process(name)
            else:
                await self.kill_process(name)
                self.counts["processes killed"] += 1
                await asyncio.sleep(self.random.choice((0.0, self.random.uniform(0, 3))))
                await self.start_process(name)

    async def restart_process(self, name: str) -> None:
        """End it with SIGTERM; it has ten seconds."""
        process = self.processes[name]
        if process.returncode is None:
            process.terminate()
        async with timeout(10):
            code = await process.wait()
        self.counts["restarted" if code == 0 else "ended badly"] += 1
        await self.start_process(name)

    async def watch_processes(self) -> None:
        """Start again what ended by itself, as a service manager does: no process outlives a start without a store."""
        while True:
            await asyncio.sleep(1)
            for name, process in list(self.processes.items()):
                if process.returncode not in (None, 0, -signal.SIGKILL):
                    self.counts["gave up and started again"] += 1
                    await self.start_process(name)

    # --- from the beginning to the end

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seconds_left(self) -> float:
        return self.ends - time.monotonic()

    async def add_subscriptions(self) -> None:
        if not await wait_until_true(self.is_ready, 30):
            raise RuntimeError("The web process does not answer.")
        for channel, filters in FILTERS.items():
            outcome = await self.simulator.people.type_text("U0ANA", channel, f"/zof subscribe {filters}")
            assert outcome.status == 200, outcome
        if not await wait_until_true(self.is_all_delivered, 60):
            raise RuntimeError("Not every channel that subscribed was told so.")

    async def is_ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.webhook_url}/readyz") as reply:
                return reply.status == 200
        except aiohttp.ClientError:
            return False

    async def is_all_delivered(self) -> bool:
        return len({message.channel for message in self.world.slack.ledger}) == len(FILTERS)

    async def is_finished(self) -> bool:
        """Whether nothing waits any more and all that is wanted was posted."""
        have = {posted_key(message) for message in self.world.slack.ledger}
        try:
            async with redis.from_url(self.store) as client:
                depth = await Outbox(Keyspace(client, "zofbot"), Clock()).read_stats()
        except StoreUnavailable:  # a busy machine
            return False
        return not depth.pending + depth.sending and set(self.perfect.wanted) <= have

    async def bad_times(self) -> None:
        minding = asyncio.create_task(self.watch_processes())
        try:
            await asyncio.gather(self.produce_runs(), self.produce_faults(), self.kill_processes())
            while not all(task.done() for task in self.late):  # a run may bring webhooks, and its recovery
                await asyncio.wait(list(self.late))
            await asyncio.gather(*self.late)
            self.world.slack.faults.set_fault("none")
            began = time.monotonic()
            self.counts["drained"] = await wait_until_true(self.is_finished, DRAIN)
            self.counts["drained in s"] = round(time.monotonic() - began)
            await asyncio.sleep(LEASE_SECONDS + 2)  # what would come twice comes when a lease has ended
        finally:
            minding.cancel()
            await asyncio.wait({minding})

    async def stop_processes(self) -> None:
        for process in self.processes.values():
            if process.returncode is None:
                process.terminate()
        for process in self.processes.values():
            await process.wait()


async def wait_until_true(true: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Wait until something is true; False when it does not come true in time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if await true():
            return True
        await asyncio.sleep(0.5)
    return False


@dataclass(frozen=True)
class SoakVerdict:
    """What stands in Slack, beside what should."""

    wanted: int
    posted: int
    lost: list[str]
    doubled: list[str]
    hidden: list[str]
    strays: list[str]
    """What nobody should have posted."""
    stale: list[str]
    """Roots that recovered and do not show it."""

    @classmethod
    def from_soak(cls, soak: SoakTest) -> SoakVerdict:
        ledger = [message for message in soak.world.slack.ledger if posted_key(message).partition(":")[0] in TOLD]
        seen = [message for message in ledger if message.is_visible]
        times = Counter(map(posted_key, seen))
        wanted = soak.perfect.wanted
        shown = {posted_key(message): message for message in seen}
        return cls(
            sum(wanted.values()),
            len(seen),
            sorted(name for name in wanted if name not in times),
            sorted(name for name, count in times.items() if count > 1),
            sorted(posted_key(message) for message in ledger if message.hidden),
            sorted(name for name in times if name not in wanted),
            sorted(name for name in soak.perfect.recovered if name in shown and not _is_recovered(shown[name])),
        )

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.hidden or self.strays or self.stale)


def _is_recovered(message: PostedMessage) -> bool:
    return "ecovered" in json.dumps([message.text, message.blocks, message.attachments])


@asynccontextmanager
async def run_soak(minutes: float, seed: int, folder: Path) -> AsyncIterator[SoakTest]:
    """Set up the world and the processes, and take them down."""
    world = World(MovableClock(), seed=seed)
    seed_world(world)
    world.zof.quota = None
    world.slack.hides_fast_posts = True
    world.zof.webhooks.on = False
    simulator = SimulatorServer(world)
    lift_slack_limits(simulator)
    await simulator.start()
    port = free_port()
    world.slack.calls = deque()
    world.slack.request_url = f"http://127.0.0.1:{port}/slack/events"
    async with AsyncExitStack() as stack:
        stack.push_async_callback(simulator.stop)
        log = stack.enter_context((folder / "bot.log").open("ab"))
        ends = time.monotonic() + 60 * minutes
        soak = SoakTest(Random(seed), folder, world, simulator, log, port, ends, stack)
        await soak.open_store()
        stack.push_async_callback(soak.stop_processes)
        for name in (*WORKERS, "web"):
            await soak.start_process(name)
        await soak.add_subscriptions()
        soak.ends = time.monotonic() + 60 * minutes
        yield soak
        await soak.stop_processes()


def result_table(soak: SoakTest, verdict: SoakVerdict) -> Table:
    drawn = Table(title="What stands in Slack, and what went wrong meanwhile")
    drawn.add_column("what")
    drawn.add_column("count", justify="right")
    for name in ("wanted", "posted"):
        drawn.add_row(name, str(getattr(verdict, name)))
    for name, said in (
        ("lost", "lost"),
        ("doubled", "doubled"),
        ("hidden", "hidden by pace"),
        ("strays", "posted and not wanted"),
        ("stale", "recovered and not shown so"),
    ):
        found = getattr(verdict, name)
        drawn.add_row(said, str(len(found)), style="red" if found else "green")
    drawn.add_section()
    faults = Counter(call.fault for call in soak.world.slack.calls if call.fault)
    for what, count in [*sorted(soak.counts.items()), *((f"Slack: {name}", n) for name, n in sorted(faults.items()))]:
        drawn.add_row(what, str(count))
    return drawn


async def main(minutes: float, seed: int) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    console = Console()
    console.print(f"{minutes:g} minutes, seed {seed}; logs in {folder}")
    async with run_soak(minutes, seed, folder) as soak:
        await soak.bad_times()
        verdict = SoakVerdict.from_soak(soak)
    console.print(result_table(soak, verdict))
    for name in ("lost", "doubled", "hidden", "strays", "stale"):
        for found in getattr(verdict, name)[:20]:
            console.print(f"{name}: {found}", style="red")
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Soak the bot in a bad world and compare Slack with a perfect one.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    sys.exit(asyncio.run(main(chosen.minutes, chosen.seed)))
