"""The table: what zofbot costs beside its rivals, each row measured in interleaved pairs.

``make bench`` or ``.venv/bin/python benchmarks/table.py [--pairs 5] [--rows NAME …] [--json FILE] [--quick]``; about 20
minutes for five pairs, loopback alone. A pair is zofbot and then its rival, within a minute; a ratio is made within a
pair, because machines drift. Printed are medians and, in brackets, the lowest and the highest of the pairs. Bursts,
webhooks and Alertmanager's post to the same counter. A row without its rival says how to install that.

What each row measures is said in the file that measures it: ``delivery.py``, ``slash.py``, ``triage.py``. The exit code
is 0 whether goals are held or not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import delivery
import slash
import triage
from alertmanager import INSTALLATION, PROGRAM
from rich.console import Console
from rich.table import Table

from zofbot.simulator.seed import ASSERTION_RESULT

Found = Mapping[str, tuple[float, float | None]]
"""What one pair found: zofbot's figure and its rival's, by row."""


@dataclass(frozen=True)
class Comparison:
    """A row's goal is about its ratio, or, where ``absolute``, about zofbot's figure. ``at_least``: more is better."""

    what: str
    rival: str
    hold: float
    stretch: float | None = None
    absolute: bool = False
    at_least: bool = False

    def judge(self, value: float) -> str:
        """Say how a figure or ratio stands to the goal."""
        for goal, word in ((self.stretch, "stretch"), (self.hold, "held")):
            if goal is not None and (value >= goal if self.at_least else value <= goal):
                return word
        return "missed"


@dataclass(frozen=True)
class Summary:
    """A row's medians over its pairs; ``spread`` is of what the goal is about."""

    name: str
    ours: float
    beside: float | None
    ratio: float | None
    spread: tuple[float, float]
    verdict: str


ALERTMANAGER = "Alertmanager"

ROWS = {
    "rate": Comparison("notifications/s, burst, one worker", ALERTMANAGER, 1.0, 1.3, at_least=True),
    "rate-two": Comparison("the same, two workers", ALERTMANAGER, 1.0, 1.4, at_least=True),
    "cpu": Comparison("CPU s per 10,000, bot and store", ALERTMANAGER, 0.8, 0.6),
    "cpu-floor": Comparison("the same", "sum of the floors", 2.2, 1.6),
    "remembered": Comparison("CPU s per 10,000, 10 times as many remembered", "as many as in the burst", 1.1, 1.03),
    "calm-p50": Comparison("webhook to message, 5/s, p50 ms", ALERTMANAGER, 6, 4, absolute=True),
    "calm-p99": Comparison("webhook to message, 5/s, p99 ms", ALERTMANAGER, 15, 10, absolute=True),
    "busy-p50": Comparison("webhook to message, 100/s, p50 ms", ALERTMANAGER, 10, 6, absolute=True),
    "busy-p99": Comparison("webhook to message, 100/s, p99 ms", ALERTMANAGER, 40, 20, absolute=True),
    "event": Comparison("CPU ms a webhook event, 150 subscriptions", "", 4, 2.5, absolute=True),
    "event-many": Comparison("CPU ms a webhook event, 1,500 subscriptions", "150 subscriptions", 1.2, 1.05),
    "ack-http": Comparison("/zof help, ack p99 ms, HTTP", "Bolt as written", 0.15, 0.1),
    "ack-http-lazy": Comparison("/zof help, ack p99 ms, HTTP", "lazy Bolt", 2.0, 1.6),
    "ack-socket": Comparison("/zof help, ack p99 ms, Socket Mode", "Bolt as written", 0.15, 0.1),
    "ack-socket-lazy": Comparison("/zof help, ack p99 ms, Socket Mode", "lazy Bolt", 2.0, 1.6),
    "result": Comparison("/zof result a second", "lazy Bolt with the same GET", 1.0, at_least=True),
    "click": Comparison("click until the card shows it, p50 ms", "bare chat.update", 4, 3),
    "start": Comparison("cold start to answering, s", "importing the libraries", 1.4, 1.2),
    "memory": Comparison("resting memory, bot and store, MiB", "the libraries", 1.3),
}


@dataclass(frozen=True)
class PairSize:
    """How much one pair measures."""

    burst: int = 10_000
    calm_seconds: float = 20
    busy_seconds: float = 15
    requests: int = 200
    clicks: int = 30
    many: int = 1_500


QUICK = PairSize(burst=200, calm_seconds=0.6, busy_seconds=0.2, requests=5, clicks=2, many=200)


async def measure_bursts(pairs: int, size: PairSize) -> AsyncIterator[Found]:
    async with delivery.open_bench(_delivery_size(size)) as bench:
        for _ in range(pairs):
            floors, one = sum(await delivery.measure_floor(bench)), await delivery.burst(bench, 1)
            two = await delivery.burst(bench, 2)
            rival = await delivery.measure_rival_burst(bench) if PROGRAM else None
            few = await delivery.burst(bench, 1, remembered=size.burst)
            many = await delivery.burst(bench, 1, remembered=10 * size.burst)
            yield {
                "rate": (one.rate, rival.rate if rival else None),
                "rate-two": (two.rate, rival.rate if rival else None),
                "cpu": (one.cpu, rival.cpu if rival else None),
                "cpu-floor": (one.cpu, floors),
                "remembered": (many.cpu, few.cpu),
            }


async def measure_webhooks(pairs: int, size: PairSize) -> AsyncIterator[Found]:
    async with delivery.open_bench(_delivery_size(size)) as bench:
        slow, fast = replace(bench.size, seconds=size.calm_seconds), replace(bench.size, seconds=size.busy_seconds)
        for _ in range(pairs):
            async with delivery.run_hooked_bot(bench, delivery.PROJECT_COUNT) as (pid, door):
                bench.size = slow
                calm = await delivery.measure_paced_webhooks(bench, pid, door, 5)
                bench.size = fast
                busy = await delivery.measure_paced_webhooks(bench, pid, door, 100)
            rival_busy = await delivery.measure_rival_webhooks(bench, 100) if PROGRAM else None
            bench.size = slow
            rival_calm = await delivery.measure_rival_webhooks(bench, 5) if PROGRAM else None
            async with delivery.run_hooked_bot(bench, size.many) as (pid, door):
                many = await delivery.measure_paced_webhooks(bench, pid, door, 5)
            yield {
                "calm-p50": (calm.p50, rival_calm.p50 if rival_calm else None),
                "calm-p99": (calm.p99, rival_calm.p99 if rival_calm else None),
                "busy-p50": (busy.p50, rival_busy.p50 if rival_busy else None),
                "busy-p99": (busy.p99, rival_busy.p99 if rival_busy else None),
                "event": (calm.cpu, None),
                "event-many": (many.cpu, calm.cpu),
            }


def _delivery_size(size: PairSize) -> delivery.DeliverySize:
    return delivery.DeliverySize(size.burst, rounds=1, seconds=size.calm_seconds, pages=0, keys=0)


async def measure_http(pairs: int, size: PairSize) -> AsyncIterator[Found]:
    async with slash.run_simulated_zof() as zof, AsyncExitStack() as stack:
        kinds = ("zofbot", "as written", "lazy", "asking")
        bots = {kind: await stack.enter_async_context(slash.run_contender(kind, zof)) for kind in kinds}
        asked = f"result {ASSERTION_RESULT}"
        for bot in bots.values():
            await slash.measure_in_turn(bot.slack, "help", 20)  # the first ones connect, compile and fill caches
            await slash.measure_in_turn(bot.slack, asked, 20)
        for _ in range(pairs):
            acks = {
                kind: (await slash.measure_in_turn(bots[kind].slack, "help", size.requests))[1] for kind in kinds[:3]
            }
            rates = [await slash.rate(bots[kind].slack, asked) for kind in ("zofbot", "asking")]
            yield {
                "ack-http": (acks["zofbot"], acks["as written"]),
                "ack-http-lazy": (acks["zofbot"], acks["lazy"]),
                "result": (rates[0], rates[1]),
            }


async def measure_socket(pairs: int, size: PairSize) -> AsyncIterator[Found]:
    async with slash.run_simulated_zof() as zof, AsyncExitStack() as stack:
        kinds = ("zofbot", "as written", "lazy")
        bots = {kind: await stack.enter_async_context(slash.run_contender(kind, zof, "socket")) for kind in kinds}
        for bot in bots.values():
            await slash.measure_in_turn(bot.slack, "help", 20)
        for _ in range(pairs):
            acks = {kind: (await slash.measure_in_turn(bots[kind].slack, "help", size.requests))[1] for kind in kinds}
            yield {
                "ack-socket": (acks["zofbot"], acks["as written"]),
                "ack-socket-lazy": (acks["zofbot"], acks["lazy"]),
            }


async def measure_clicks(pairs: int, size: PairSize) -> AsyncIterator[Found]:
    async with triage.run_bot_with_alerts(pairs * size.clicks) as (simulator, roots):
        for number in range(pairs):
            times = await triage.measure_clicks(simulator, roots[number * size.clicks : (number + 1) * size.clicks])
            yield {"click": (median(times["card"]), median(times["bare"]))}


async def measure_starts(pairs: int, size: PairSize) -> AsyncIterator[Found]:
    for _ in range(pairs):
        seconds, bot, store = await slash.measure_start()
        bare_seconds, bare = await slash.measure_imports()
        yield {"start": (seconds, bare_seconds), "memory": (bot + store, bare)}


MEASUREMENTS = {
    measure_starts: ("start", "memory"),
    measure_http: ("ack-http", "ack-http-lazy", "result"),
    measure_socket: ("ack-socket", "ack-socket-lazy"),
    measure_clicks: ("click",),
    measure_webhooks: ("calm-p50", "calm-p99", "busy-p50", "busy-p99", "event", "event-many"),
    measure_bursts: ("rate", "rate-two", "cpu", "cpu-floor", "remembered"),
}
"""What measures which rows; rows that share a measurement are measured together."""


async def measure_rows(names: set[str], pairs: int, size: PairSize) -> dict[str, list[tuple[float, float | None]]]:
    """Measure the rows, and say what each pair found."""
    samples: dict[str, list[tuple[float, float | None]]] = {name: [] for name in ROWS if name in names}
    began = time.monotonic()
    for measure, measured in MEASUREMENTS.items():
        if names.isdisjoint(measured):
            continue
        number = 0
        async for found in measure(pairs, size):
            number += 1
            said = ", ".join(f"{name} {ours:,.4g}" for name, (ours, _) in found.items())
            print(f"{time.monotonic() - began:5.0f} s  pair {number} of {pairs}: {said}", file=sys.stderr, flush=True)
            for name in names.intersection(found):
                samples[name].append(found[name])
    return samples


def summarize(name: str, pairs: list[tuple[float, float | None]]) -> Summary:
    """Return medians, and how a row stands to its goal."""
    row, ours = ROWS[name], [mine for mine, _ in pairs]
    others = [other for _, other in pairs if other is not None]
    ratios = [mine / other for mine, other in pairs if other]
    judged = ours if row.absolute else ratios
    ratio = median(ratios) if ratios else None
    return Summary(
        name, median(ours), median(others) if others else None, ratio,
        (min(judged or ours), max(judged or ours)), row.judge(median(judged)) if judged else "no rival",
    )  # fmt: skip


def draw_table(summaries: list[Summary], pairs: int) -> Table:
    table = Table(title=f"zofbot beside its rivals: medians of {pairs} pairs, lowest and highest in brackets")
    for title in ("row", "what", "zofbot", "beside", "rival", "ratio", "hold", "stretch", ""):
        table.add_column(title, justify="right" if title in ("zofbot", "beside", "ratio") else "left")
    for found in summaries:
        row = ROWS[found.name]
        sign = ">=" if row.at_least else "<="
        unit = "" if row.absolute else " x"
        spread = f" ({found.spread[0]:,.3g} to {found.spread[1]:,.3g})"
        table.add_row(
            found.name, row.what, f"{found.ours:,.4g}" + (spread if row.absolute else ""),
            "" if found.beside is None else f"{found.beside:,.4g}", row.rival,
            "" if found.ratio is None else f"{found.ratio:.3g}" + ("" if row.absolute else spread),
            f"{sign} {row.hold:g}{unit}", "" if row.stretch is None else f"{row.stretch:g}{unit}", found.verdict,
        )  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure zofbot beside its rivals.")
    parser.add_argument("--pairs", type=int, default=5, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write medians, goals and all pairs to a file")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    chosen = parser.parse_args()
    samples = asyncio.run(measure_rows(set(chosen.rows), chosen.pairs, QUICK if chosen.quick else PairSize()))
    summaries = [summarize(name, pairs) for name, pairs in samples.items()]
    Console(width=None if sys.stdout.isatty() else 190).print(draw_table(summaries, chosen.pairs))
    if not PROGRAM:
        print(INSTALLATION)
    if chosen.json:
        rows = [asdict(found) | asdict(ROWS[found.name]) | {"pairs": samples[found.name]} for found in summaries]
        chosen.json.write_text(json.dumps({"quick": chosen.quick, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
