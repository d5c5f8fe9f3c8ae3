"""Numbers: great numbers of failures through the whole walk, and any way to hear of them, end as they should."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.poller_bench import CHANNEL, START_TIME, PollerBench, answer_well, log_lines, poller_bench
from tests.support.preparation import drop_obsolete
from tests.support.sample_world import fill_world
from zofbot.alerting.rules import decide_batch
from zofbot.alerting.storms.storm_lanes import MAX_ALERTS_PER_MINUTE
from zofbot.alerting.storms.storm_record import MINUTE_SECONDS
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.domain.errors import ZofbotError
from zofbot.notifications.notification import Receipt
from zofbot.observability.emitter import EventEmitter
from zofbot.polling.feed_audits import AUDIT_INTERVAL_SECONDS
from zofbot.simulator.slack import web_api as pretend_slack
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.zof.state import Organization, format_time
from zofbot.slack.errors import classify_error
from zofbot.slack.responses import METADATA_EVENT_TYPE
from zofbot.slack.views.blocks import Message as Said
from zofbot.slack.views.renderer import render_notification
from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH
from zofbot.subscriptions import parse_filters

CHECKOUT = "C0CHECKOUT"


class SimulatedWire:
    """The pretend Slack without sockets: what it answers, and each way in which an answer can fail to come."""

    deadline = 8.0

    def __init__(self, workspace: Workspace) -> None:
        self.slack = workspace

    async def post_message(
        self, channel: str, message: Said, meta: Mapping[str, Any], *, thread: str = "", broadcast: bool = False
    ) -> Receipt:
        place = {"thread_ts": thread, "reply_broadcast": broadcast} if thread else {}
        reply = self._call_method(
            "chat.postMessage", channel=channel, metadata=dict(meta), **place, **message.message_fields()
        )
        return Receipt(channel, reply["ts"])

    async def update_message(self, receipt: Receipt, message: Said, meta: Mapping[str, Any] | None = None) -> Receipt:
        self._call_method("chat.update", channel=receipt.channel, ts=receipt.ts, **message.message_fields())
        return receipt

    async def has_message(self, receipt: Receipt) -> bool:
        asked = {"channel": receipt.channel, "ts": receipt.ts}
        return any(item["ts"] == receipt.ts for item in self._call_method("conversations.replies", **asked)["messages"])

    async def find_message(self, channel: str, key: str, since: float, *, thread: str = "") -> Receipt | None:
        asked = {"channel": channel, "oldest": f"{since:.6f}", "limit": 200, "include_all_metadata": True}
        method = "conversations.replies" if thread else "conversations.history"
        reply = self._call_method(method, **asked, **({"ts": thread} if thread else {}))
        assert not reply.get("has_more"), "more than one page, which this double does not turn"
        for message in reply["messages"]:
            meta = message.get("metadata") or {}
            if meta.get("event_type") == METADATA_EVENT_TYPE and meta["event_payload"]["key"] == key:
                return Receipt(channel, message["ts"])
        return None

    async def join_channel(self, channel: str) -> None:
        self._call_method("conversations.join", channel=channel)

    def _call_method(self, method: str, **given: Any) -> dict[str, Any]:
        fault = self.slack.faults.take_fault(method)
        if fault == "429":
            raise classify_error(429, "ratelimited", {"Retry-After": "0.5"})
        if fault == "cut":
            raise classify_error(None, "cut", {})
        answered = pretend_slack.answer_call(self.slack, method, self.slack.bot_token, given)
        if fault == "store_then_cut":
            raise classify_error(None, "cut", {})
        if not answered.body["ok"]:
            raise classify_error(answered.status, answered.body["error"], answered.headers)
        return answered.body


class PollerWalk:
    """The poller of a bench with the real rules, and a dispatcher that brings it to the pretend Slack; one clock."""

    def __init__(self, built: PollerBench) -> None:
        self.bench = built
        fill_world(built.world)
        for kept in (built.world.zof.runs, built.world.zof.results, built.world.slack.messages):
            kept.clear()
        built.world.slack.hides_fast_posts = True
        self.kill_poller()

    def kill_poller(self) -> None:
        """Begin a new process; what the last one had claimed is left to its lease."""
        built = self.bench
        built.poller = built.start_poller(decide_batch)
        self.dispatcher = Dispatcher(
            built.outbox,
            SimulatedWire(built.world.slack),
            render_notification,
            EventEmitter(),
            built.clock,
            random=Random(1).random,
            prepare=drop_obsolete(built.clock),
        )

    async def add_subscription(self, filters: str = "", channel: str = CHANNEL) -> None:
        wish = parse_filters(filters).model_copy(
            update={"id": channel, "channel": channel, "created": START_TIME - 7200}
        )
        await self.bench.store.hset("{test}:" + SUBSCRIPTIONS_HASH, wish.id, wish.model_dump_json(by_alias=True))

    async def deliver_all(self, seconds: float = 600) -> None:
        """Send everything there is, as the clock goes on; the poller waits."""
        ends = self.bench.clock.at + seconds
        while self.bench.clock.at < ends:
            if not await self.dispatcher.deliver_batch():
                depth = await self.bench.outbox.read_stats()
                if not depth.pending + depth.sending:
                    return
                self.bench.clock.at += 0.25
        raise AssertionError("it does not come to an end")

    async def poll_for(self, minutes: int) -> None:
        """Poll each minute, and send meanwhile."""
        for _ in range(minutes):
            await self.bench.poller.poll_once()
            ends = self.bench.clock.at + 60
            while self.bench.clock.at < ends:
                if not await self.dispatcher.deliver_batch():
                    self.bench.clock.at += 0.25

    @property
    def sent_messages(self) -> list[PostedMessage]:
        return self.bench.world.slack.ledger

    def count_kinds(self) -> Counter[str]:
        return Counter((message.idempotency_key or "").partition(":")[0] for message in self.sent_messages)

    def never_too_fast(self) -> bool:
        return not any(message.hidden for message in self.sent_messages) and not self.bench.world.slack.duplicate_keys()


@asynccontextmanager
async def poller_walk(**options: Any) -> AsyncIterator[PollerWalk]:
    async with poller_bench(**options) as built:
        yield PollerWalk(built)


def most_in_a_minute(messages: Sequence[PostedMessage]) -> int:
    times = [float(message.ts) for message in messages]
    return max(sum(at <= other < at + MINUTE_SECONDS for other in times) for at in times)


async def test_a_thousand_failures_of_one_run_are_twelve_messages_that_count_all() -> None:
    async with poller_walk() as walk:
        await walk.add_subscription()
        await walk.bench.poll_until_settled()
        walk.bench.finish_run(bad=1000)
        await walk.bench.poll_until_settled()
        began = walk.bench.clock.at
        await walk.deliver_all()
        assert walk.count_kinds() == {"run": 1, "result": 10, "rest": 1}
        [root] = [message for message in walk.sent_messages if not message.thread_ts]
        assert "1,000 failed" in root.text or "1000 failed" in root.text
        assert {message.thread_ts for message in walk.sent_messages[1:]} == {root.ts}
        [rest] = [message for message in walk.sent_messages if (message.idempotency_key or "").startswith("rest:")]
        assert "990" in rest.text
        assert walk.never_too_fast()
        assert 10 <= walk.bench.clock.at - began <= 15


async def test_a_hundred_failing_runs_at_once_are_a_storm_that_counts_all() -> None:
    async with poller_walk(requests=300) as walk:
        await walk.add_subscription()
        await walk.bench.poll_until_settled()
        for number in range(100):
            walk.bench.finish_run(bad=2, environment="staging" if number % 4 else "preview")
        await walk.poll_for(5)
        await walk.deliver_all()
        roots = [message for message in walk.sent_messages if not message.thread_ts]
        assert walk.count_kinds() == {
            "run": MAX_ALERTS_PER_MINUTE,
            "storm": 1,
            "result": 2 * MAX_ALERTS_PER_MINUTE,
            "members": 4,
        }
        assert most_in_a_minute(roots) <= MAX_ALERTS_PER_MINUTE + 1
        [summary] = [message for message in walk.sent_messages if (message.idempotency_key or "").startswith("storm:")]
        shown = str([summary.text, summary.attachments])
        assert "Storm over: 160 failures" in summary.text
        assert "80 alerts summed up" in shown
        apart = {place: int(count) for place, count in re.findall(r"(staging|preview)\D*?\*: (\d+)", shown)}
        told = Counter(_environment(walk, message) for message in roots if message is not summary)
        assert apart == {"staging": 150 - 2 * told["staging"], "preview": 50 - 2 * told["preview"]}
        assert walk.never_too_fast()


def _environment(walk: PollerWalk, message: PostedMessage) -> str:
    run = (message.idempotency_key or "").split(":")[1]
    return str(walk.bench.world.zof.runs[run]["environment"])


async def test_within_the_usual_allowance_a_hundred_failing_runs_are_told_one_by_one() -> None:
    async with poller_walk() as walk:
        await walk.add_subscription("layout:flat")
        await walk.bench.poll_until_settled()
        for _ in range(100):
            walk.bench.finish_run()
        await walk.poll_for(10)
        assert walk.count_kinds() == {"run": 100}
        assert most_in_a_minute(walk.sent_messages) <= MAX_ALERTS_PER_MINUTE
        assert walk.never_too_fast()


async def test_after_a_storm_single_messages_return() -> None:
    async with poller_walk(requests=300) as walk:
        await walk.add_subscription("layout:flat")
        await walk.bench.poll_until_settled()
        for _ in range(30):
            walk.bench.finish_run()
        await walk.poll_for(4)
        assert walk.count_kinds() == {"run": MAX_ALERTS_PER_MINUTE, "storm": 1, "members": 2}
        walk.bench.finish_run()
        await walk.poll_for(2)
        assert walk.count_kinds() == {"run": MAX_ALERTS_PER_MINUTE + 1, "storm": 1, "members": 2}


@pytest.mark.parametrize("newest_first", [True, False])
async def test_five_thousand_old_failures_at_the_first_start_are_no_message(newest_first: bool) -> None:
    async with poller_walk() as walk:
        await walk.add_subscription()
        walk.bench.world.zof.newest_first = newest_first
        for number in range(2500):
            EndedRun(START_TIME - 30_000 + number, f"old_{number}", "failed", ("a",)).add_to_zof(walk.bench.world.zof)
        with structlog.testing.capture_logs() as lines:
            await walk.bench.poll_until_settled()
        await walk.deliver_all()
        assert walk.sent_messages == []
        noted = sum(line["too_old"] for line in log_lines(lines, "first scan finished"))
        assert noted == walk.bench.metric_value("zofbot_poll_silent_total")
        assert noted == (5000 if not newest_first else 200)  # newest first, a page of old ones ends the walk


# --- any order, repetition, loss and delay


WORDS = (
    *("fail",) * 4, *("heal",) * 2, *("hook",) * 3, *("poll",) * 4, *("send",) * 6,
    *("unlisted", "page lost", "store cut", "429", "cut", "store_then_cut", "store_then_cut", "die sending"),
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 9)), min_size=10, max_size=60)
Step = tuple[str, int]


@dataclass(frozen=True)
class EndedRun:
    """A run as it ended, under a name, so that two worlds can hold the same."""

    at: float
    name: str
    status: str
    cases: tuple[str, ...]
    place: str = "staging"

    def add_to_zof(self, zof: Organization) -> None:
        about = {
            "project_id": "proj_x",
            "environment": self.place,
            "created_at": format_time(self.at),
            "name": "nightly",
        }
        about |= {"status": self.status, "completed_at": format_time(self.at)}
        zof.runs[self.name] = {"id": self.name, **about, "summary": {self.status: len(self.cases)}}
        for case in self.cases:
            own = {"id": f"res_{self.name}_{case}", "run_id": self.name, "test_case_id": case, "name": case}
            zof.results[own["id"]] = {**about, **own}


class RandomWay:
    """News on their way: each step takes five seconds."""

    def __init__(self, walk: PollerWalk) -> None:
        self.walk, self.bench = walk, walk.bench
        self.made: list[EndedRun] = []
        self.unlisted: dict[str, int] = {}
        self.bench.zof.change = self._drop_listed
        self.acts: dict[str, Callable[[int], Awaitable[Any]]] = {
            "fail": self.fail_run,
            "heal": self.heal_case,
            "hook": self.post_hint,
            "unlisted": self.hide_pages,
            "page lost": self.lose_pages,
            "store cut": self.cut_store,
            "poll": self.poll_once,
            "send": lambda _: self.walk.dispatcher.deliver_batch(),
            "die sending": self.die_sending,
        }

    async def take_step(self, word: str, number: int) -> None:
        self.bench.clock.at += 5
        if word not in self.acts:
            self.bench.world.slack.faults.set_fault(word, 1 + number % 2)
            return
        try:
            await self.acts[word](number)
        except ZofbotError:  # whatever it was: the next process has to make good for it
            await self._kill_poller()

    async def fail_run(self, number: int) -> None:
        cases = 1 + number % 3
        name = f"run_{len(self.made)}"
        self._make_run(
            name, "failed", tuple(f"{name}_{case}" for case in range(cases)), ("production", "staging")[cases % 2]
        )

    async def poll_once(self, _: int) -> None:
        await self.bench.poller.poll_once()
        self.unlisted = {name: left - 1 for name, left in self.unlisted.items() if left > 1}

    async def heal_case(self, which: int) -> None:
        """A run passes in which an earlier one failed."""
        failed = [item for item in self.made if item.status == "failed"]
        if failed:
            one = failed[which % len(failed)]
            self._make_run(f"run_{len(self.made)}", "passed", one.cases, one.place)

    async def post_hint(self, which: int) -> None:
        """Hear of any run, again and again, and in any order; of the others the webhooks are lost."""
        if self.made:
            name = self.made[which % len(self.made)].name
            await self.bench.receive_webhook(name, f"evt_{name}_{which % 2}")

    async def hide_pages(self, pages: int) -> None:
        if self.made:
            self.unlisted[self.made[-1].name] = 1 + pages % 4

    async def lose_pages(self, pages: int) -> None:
        self.bench.zof.spoil = lose_reply(1 + pages % 4)

    async def cut_store(self, trips: int) -> None:
        self.bench.store.blows = self.bench.store.trips + 1 + trips % 3
        self.bench.store.late = trips % 2 == 0

    async def die_sending(self, _: int) -> None:
        """What was said is not written down."""
        await self.bench.outbox.claim(0)  # the server knows the script, so that the next step but one is the settling
        self.bench.store.blows, self.bench.store.late = self.bench.store.trips + 2, False
        await self.walk.dispatcher.deliver_batch()
        self.bench.store.blows = None

    async def finish_way(self) -> list[Any]:
        """All is well again; what the channels then hold."""
        self.bench.zof.spoil = answer_well
        self.bench.world.slack.faults.set_fault("none")
        self.unlisted.clear()
        self.bench.store.blows = None
        await self.bench.poll_until_settled()
        self.bench.clock.at += AUDIT_INTERVAL_SECONDS
        await self.bench.poll_until_settled()
        await self.walk.deliver_all()
        assert self.walk.never_too_fast()
        return standing_alerts(self.walk)

    def _make_run(self, name: str, status: str, cases: tuple[str, ...], place: str) -> None:
        self.made.append(EndedRun(self.bench.clock.at, name, status, cases, place))
        self.made[-1].add_to_zof(self.bench.world.zof)

    def _drop_listed(self, path: str, body: Any) -> Any:
        """What is not listed yet is not on the page."""
        if path not in ("/runs", "/results") or "data" not in body:
            return body
        return {**body, "data": [item for item in body["data"] if item.get("run_id", item["id"]) not in self.unlisted]}

    async def _kill_poller(self) -> None:
        await self.bench.kill_poller()
        self.walk.kill_poller()


def lose_reply(number: int) -> Any:
    """The next pages do not come."""
    left = number

    def spoil(request: httpx.Request) -> httpx.Response | None:
        nonlocal left
        left -= 1
        return httpx.Response(500) if left >= 0 else None

    return spoil


def standing_alerts(walk: PollerWalk) -> list[Any]:
    """What people see, and in which thread, and by which runs it recovered; when it was sent does not matter."""
    slack = walk.bench.world.slack
    found = []
    for message in slack.ledger:
        top = slack.messages[message.channel].get(message.thread_ts or "")
        drawn = str([message.blocks, message.attachments])
        by = re.findall(r"✅ Recovered [^']*|Passed in [^']*", drawn)
        found.append((message.channel, message.idempotency_key, top.idempotency_key if top else "", message.text, by))
    return sorted(found)


async def expected_alerts(made: Sequence[EndedRun]) -> list[Any]:
    """The channels as they are where each thing is heard of at once, once, and in order."""
    async with poller_walk(requests=1000) as walk:
        await walk.add_subscription()
        await walk.add_subscription("env:production layout:flat", CHECKOUT)
        await walk.bench.poll_until_settled()
        for number, ended in enumerate(made):
            walk.bench.clock.at = ended.at
            ended.add_to_zof(walk.bench.world.zof)
            await walk.bench.receive_webhook(ended.name, f"evt_{number}")
            await walk.bench.poller.poll_once(feeds=False)
        await walk.deliver_all()
        return standing_alerts(walk)


async def test_a_failure_heard_of_late_recovers_by_the_earliest_run_that_passed() -> None:
    async with poller_walk(page=2, requests=1000) as walk:
        walk.bench.world.zof.newest_first = False
        await walk.add_subscription()
        await walk.bench.poll_until_settled()
        walk.bench.clock.at += 600
        way = RandomWay(walk)
        for word in ("fail", "unlisted", "heal", *("fail",) * 5, "heal", "poll"):
            await way.take_step(word, 0)
        assert await way.finish_way() == await expected_alerts(way.made)


@pytest.mark.no_cover  # what it walks is covered elsewhere, and being traced doubles its time
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, newest_first=st.booleans(), page=st.sampled_from([2, 100]))
async def test_any_order_repetition_loss_and_delay_ends_as_a_perfect_source(
    steps: list[Step], newest_first: bool, page: int
) -> None:
    async with poller_walk(page=page, requests=1000) as walk:
        walk.bench.world.zof.newest_first = newest_first
        await walk.add_subscription()
        await walk.add_subscription("env:production layout:flat", CHECKOUT)
        await walk.bench.poll_until_settled()
        walk.bench.clock.at += 600
        way = RandomWay(walk)
        for word, number in steps:
            await way.take_step(word, number)
        assert await way.finish_way() == await expected_alerts(way.made)
