"""Versions side by side and one after the other: old records are read, newer ones left alone, all is told once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import aiohttp
import fakeredis
import pytest
import redis.asyncio as redis

from tests.support.bot import wait_until
from tests.support.failure_reports import serve_world
from tests.support.paths import ROOT
from tests.support.sample_world import fill_world
from tests.support.store_snapshot import SECRET, restore_store
from tests.support.subscriptions import remove_subscription, store_subscription
from tests.support.virtual_time import SetClock, test_clock
from zofbot.app import Zofbot, run_bot
from zofbot.clock import MovableClock
from zofbot.concurrency import cancel_tasks
from zofbot.config.settings import Settings
from zofbot.delivery.dispatcher import Dispatcher
from zofbot.domain.errors import OutdatedVersion, StoreUnavailable
from zofbot.notifications.notification import Claim, Notification, NotificationKind, Receipt
from zofbot.observability.emitter import EventEmitter
from zofbot.services.triage import TriageService
from zofbot.simulator.server import SimulatorServer
from zofbot.simulator.slack.model import BOT_USER_ID, PostedMessage
from zofbot.simulator.world import World
from zofbot.slack.calls import SlackCalls
from zofbot.slack.client import SlackClient
from zofbot.slack.views import blocks as slack_message
from zofbot.store.attempt_results import AttemptResult, Sent
from zofbot.store.keyspace import Keyspace
from zofbot.store.leases import Lease
from zofbot.store.outbox import LEASE_SECONDS, ClaimBatch, Outbox
from zofbot.store.schema import STORE_SCHEMA, claim_schema, stored_schema
from zofbot.store.subscriptions import Subscriptions
from zofbot.subscriptions import Subscription
from zofbot.triage import TriageState

FROZEN = sorted((ROOT / "tests" / "support" / "frozen").glob("*.json"))
OLD, NEW = STORE_SCHEMA, STORE_SCHEMA + 1


def bot_settings_for(simulator: SimulatorServer, address: str) -> Settings:
    slack = simulator.world.slack
    return Settings.model_validate(
        {
            "slack_bot_token": slack.bot_token,
            "slack_signing_secret": slack.signing_secret,
            "slack_api_url": f"{simulator.url}/api/",
            "zof_api_key": simulator.world.zof.key,
            "zof_base_url": f"{simulator.url}/zof/v1",
            "zof_webhook_secret": SECRET,
            "zofbot_poll_interval": 1,
            "redis_url": address,
            "port": 0,
        }
    )


# --- records of earlier versions


class LaterVersion:
    """The present version on what an earlier one left, from the very moment on."""

    def __init__(self, frozen: dict[str, Any]) -> None:
        self.frozen = frozen
        now = test_clock()
        began = now.time()
        self.clock = MovableClock(lambda: float(frozen["at"]) + now.time() - began)
        self.world = World(self.clock, seed=2)  # whose ids are not those that were frozen
        fill_world(self.world)
        self.world.zof.quota = None
        self.world.zof.runs |= frozen["runs"]
        self.world.zof.results |= frozen["results"]
        for told in frozen["told"]:
            payload = {"event_type": "zofbot", "event_payload": {"key": told["key"]}}
            message = PostedMessage(told["channel"], told["ts"], BOT_USER_ID, told["text"], metadata=payload)
            message.thread_ts = told["thread_ts"]
            self.world.slack.add_message(message)
        self.world.slack.ledger.clear()

    def texts_told(self) -> list[str]:
        """Keys of what has been told since."""
        return [message.idempotency_key or "" for message in self.world.slack.ledger]

    def run_of(self, name: str) -> dict[str, Any]:
        return next(run for run in self.world.zof.runs.values() if run.get("name") == f"run of {name}")

    def fail_case(self, environment: str, case: str, status: str = "failed") -> str:
        zof = self.world.zof
        run = zof.start_run({"project_id": "proj_checkout", "environment": environment})
        zof.add_result(run["id"], status=status, name=case, test_case_id=f"tc_{case}")
        return str(zof.finish_run(run["id"])["id"])


@pytest.mark.parametrize("frozen", [path.read_text() for path in FROZEN], ids=[path.stem for path in FROZEN])
async def test_what_earlier_versions_wrote_lives_on(frozen: str, store_url: str) -> None:
    later = LaterVersion(json.loads(frozen))
    async with redis.from_url(store_url) as client:
        await client.flushall()
        await restore_store(client, later.frozen["keys"])
    async with (
        serve_world(later.world) as simulator,
        run_bot(bot_settings_for(simulator, store_url), later.clock) as bot,
    ):
        await lives_on(later, bot, simulator)


async def lives_on(later: LaterVersion, bot: Zofbot, simulator: SimulatorServer) -> None:
    later.world.slack.request_url = f"{bot.url}/slack/events"
    subscribed = await Subscriptions(bot.store.keyspace).list_all()
    assert [item.channel for item in subscribed] == ["C0QA", "C0CHECKOUT", "C0SEARCH", "C0RANDOM"]
    first, third, fourth, fifth, sixth = (
        later.run_of(name)["id"] for name in ("first", "third", "fourth", "fifth", "sixth")
    )
    failures = TriageService(bot.outbox, later.clock, EventEmitter())
    acknowledged = await failures.get(f"run:{first}:failed:C0QA")
    assert acknowledged
    assert (acknowledged.present.state, acknowledged.present.by.id) == (TriageState.ACKNOWLEDGED, "U0ANA")

    await bot.outbox.unpark_channel("C0RANDOM")

    # a channel that was parked is mended, a run that was watched ends, a case that was counted fails again
    await wait_until(lambda: f"run:{fifth}:failed:C0RANDOM" in later.texts_told(), 20)
    later.world.zof.finish_run(sixth)
    again = later.fail_case("production", "third")
    await wait_until(lambda: any(key.endswith(f"{sixth}:failed:C0QA") for key in later.texts_told()), 20)
    await wait_until(
        lambda: any(key.startswith("case:") and key.endswith(":C0CHECKOUT") for key in later.texts_told()), 20
    )
    assert third != again

    # what an earlier version told recovers in its thread, and what people made of it is undone by them
    later.fail_case("staging", "first", "passed")
    later.fail_case("staging", "second", "passed")
    await wait_until(lambda: f"recovered:{first}:failed:C0QA" in later.texts_told(), 20)

    # what it held back for quiet hours comes when they end, and its escalation when those of the next day end
    held = f"run:{fourth}:failed:C0SEARCH"
    assert held not in later.texts_told()
    later.clock.advance(25 * 3600)
    bot.outbox.news.set()
    await wait_until(lambda: held in later.texts_told(), 20)
    later.clock.advance(86400 - later.clock.time() % 86400 - 30)  # the one minute of the day that is not quiet
    bot.outbox.news.set()
    await wait_until(lambda: any(key.startswith("escalate:") and key.endswith(held) for key in later.texts_told()), 20)

    assert later.world.slack.duplicate_keys() == []
    assert not set(later.texts_told()) & {item["key"] for item in later.frozen["told"]}, "told before"
    assert not await bot.list_unready()


# --- a store that a newer version has written to


@pytest.fixture
async def store() -> AsyncIterator[redis.Redis]:
    async with fakeredis.FakeAsyncRedis() as client:
        yield client


clock = SetClock(datetime(2026, 6, 1, tzinfo=UTC).timestamp())


def root_notification(key: str, schema: int = OLD, channel: str = "C1") -> Notification:
    return Notification(key=key, kind=NotificationKind.ROOT, channel=channel, happened=1.0, schema=schema)


async def test_the_number_rises_and_never_falls(store: redis.Redis) -> None:
    assert await stored_schema(Keyspace(store, "test")) == 0
    await claim_schema(Keyspace(store, "test"))
    await claim_schema(Keyspace(store, "test"), NEW)
    with pytest.raises(OutdatedVersion, match=f"schema {NEW}; this one knows {OLD}"):
        await claim_schema(Keyspace(store, "test"))
    assert await stored_schema(Keyspace(store, "test")) == NEW
    await claim_schema(Keyspace(store, "other"))


async def test_from_then_on_an_older_process_changes_nothing_but_ends_what_it_began(store: redis.Redis) -> None:
    old, keyspace = Outbox(Keyspace(store, "test"), clock), Keyspace(store, "test")
    lease, another = (Lease(Keyspace(store, "test"), "poller", 60, clock, schema=schema) for schema in (OLD, NEW))
    kept = Subscription(id="s1", channel="C1")
    await store_subscription(keyspace, kept)
    await old.commit([root_notification("begun")])
    [claim] = await old.claim(1)
    await old.commit([root_notification("waits")])
    assert await lease.hold()
    assert await another.hold() is None
    await claim_schema(Keyspace(store, "test"), NEW)
    before = {key: await store.dump(key) for key in await store.keys() if b"lease:" not in key}
    refused = (
        lambda: old.commit([root_notification("late")], changes={"h": {"f": "v"}}),
        lambda: old.claim(9),
        lambda: old.retry("waits"),
        lambda: old.drop("waits"),
        lambda: old.unpark_channel("C1"),
        lambda: old.mark_notified("C1"),
        lambda: store_subscription(keyspace, Subscription(id="s2")),
        lambda: store_subscription(keyspace, kept),
        lambda: remove_subscription(keyspace, "s1"),
        lease.hold,
    )
    for step in refused:
        with pytest.raises(OutdatedVersion, match="A newer zofbot has written to this store"):
            await step()
    assert {key: await store.dump(key) for key in await store.keys()} == before
    assert await another.hold(), "the lease was let go of"
    assert await old.settle([Sent.for_claim(claim, Receipt("C1", "1.0"))]) == ["sent"]
    [rest] = await Outbox(Keyspace(store, "test"), clock, schema=NEW).claim(9)
    assert rest.notification.key == "waits"


async def test_a_subscription_of_a_newer_version_is_not_read_as_if_it_were_ours(store: redis.Redis) -> None:
    keyspace = Keyspace(store, "test")
    await store_subscription(keyspace, Subscription.model_validate({"id": "s1", "channel": "C1", "schema": NEW}))
    await store_subscription(keyspace, Subscription(id="s2", channel="C1"))
    assert [item.id for item in await Subscriptions(keyspace).list_all()] == ["s2"]


async def test_a_root_that_is_posted_again_keeps_the_version_of_its_body(store: redis.Redis) -> None:
    outbox = Outbox(Keyspace(store, "test"), clock, schema=NEW)
    await outbox.commit(
        [
            root_notification("r", NEW),
            Notification(key="e", kind=NotificationKind.EDIT, channel="C1", root="r", happened=1.0),
        ]
    )
    [claim] = await outbox.claim(1)
    await outbox.settle([Sent.for_claim(claim, Receipt("C1", "1.0"))])
    await store.delete("{test}:sent:r")
    await outbox.claim(1)
    assert await store.hget("{test}:note:r:2", "schema") == str(NEW).encode()


async def test_an_older_bot_does_not_start_and_says_why(store_url: str) -> None:
    async with redis.from_url(store_url) as client:
        await client.flushall()
        await claim_schema(Keyspace(client, "zofbot"), NEW)
    given = {"SLACK_BOT_TOKEN": "xoxb-1", "ZOF_API_KEY": "key", "REDIS_URL": store_url, "ZOFBOT_LOG_LEVEL": "error"}
    kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "zofbot", "worker"], env=kept | given, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"zofbot: A newer zofbot has written to this store (records of schema {NEW}; this one knows {OLD}). "
        "Run that version here too, or give this one another store or ZOFBOT_NAMESPACE."
    ]


# --- a rolling upgrade


class TrackedOutbox(Outbox):
    """An outbox that knows what its worker is in the middle of."""

    busy = 0

    async def claim(self, limit: int, lease: float = LEASE_SECONDS) -> ClaimBatch:
        self.busy += 1
        try:
            batch = await super().claim(limit, lease)
            self.busy += len(batch)
            return batch
        finally:
            self.busy -= 1

    async def settle(self, settlements: Sequence[AttemptResult]) -> list[str]:
        states = await super().settle(settlements)
        self.busy -= len(states)
        return states


class WorkerFleet:
    """Workers of two versions on one store, each of which may be stopped at any moment."""

    def __init__(self, session: aiohttp.ClientSession, simulator: SimulatorServer, client: redis.Redis) -> None:
        self.session, self.simulator, self.client = session, simulator, client
        self.clock = test_clock()
        self.workers: list[tuple[TrackedOutbox, asyncio.Task[None]]] = []
        self.misread: list[str] = []

    def make_outbox(self, schema: int) -> TrackedOutbox:
        return TrackedOutbox(Keyspace(self.client, "fleet"), self.clock, pace=0.01, schema=schema)

    async def start_worker(self, schema: int) -> bool:
        """Start a worker, as a bot of that version starts; False where it may not."""
        try:
            await claim_schema(Keyspace(self.client, "fleet"), schema)
        except OutdatedVersion:
            return False
        events, slack = EventEmitter(), self.simulator.world.slack
        notifier = SlackClient(
            SlackCalls(
                self.session,
                token=slack.bot_token,
                api_url=f"{self.simulator.url}/api/",
                events=events,
                clock=self.clock,
            )
        )
        outbox = self.make_outbox(schema)

        def render_text(claimed: Claim, now: float) -> slack_message.Message:
            note = claimed.notification
            if note.schema_ > schema:
                self.misread.append(note.key)
            return slack_message.Message(note.key, [slack_message.section_block(note.key)])

        dispatcher = Dispatcher(outbox, notifier, render_text, events, self.clock, random=Random(1).random)
        self.workers.append((outbox, asyncio.create_task(dispatcher.run())))
        return True

    async def stop_worker(self, place: int) -> None:
        """As if it were killed: what it was doing is left as it is."""
        _, task = self.workers.pop(place % len(self.workers))
        await cancel_tasks(task)

    async def expire_leases(self) -> None:
        """Let leases end; in so long a time who lives has ended what it is at, and none begins as the clock moves."""
        await wait_until(lambda: not any(outbox.busy for outbox, _ in self.workers))
        self.clock.advance(LEASE_SECONDS)

    async def commit_notification(self, schema: int, number: int) -> None:
        """What a poller of that version does; one that is outdated leaves it to a newer one, which finds it, too."""
        for version in (schema, NEW):
            try:
                await self.make_outbox(version).commit(
                    [root_notification(f"k{number}", version, f"C0{('QA', 'CHECKOUT', 'SEARCH')[number % 3]}")]
                )
                break
            except StoreUnavailable:
                continue
        for outbox, _ in self.workers:
            outbox.news.set()


@pytest.mark.parametrize("seed", range(3))
async def test_old_and_new_side_by_side_lose_and_double_nothing(seed: int, store_url: str) -> None:
    random, world = Random(seed), World(test_clock())
    fill_world(world)
    world.slack.paced = False
    async with (
        serve_world(world) as simulator,
        redis.from_url(store_url) as client,
        aiohttp.ClientSession() as session,
    ):
        await client.flushall()
        fleet = WorkerFleet(session, simulator, client)
        await fleet.start_worker(OLD)
        await fleet.start_worker(OLD)
        for number in range(90):
            await fleet.commit_notification(random.choice((OLD, NEW)) if number > 30 else OLD, number)
            if random.random() < 0.2 and fleet.workers:
                await fleet.stop_worker(random.randrange(9))
            if random.random() < 0.3:
                await fleet.start_worker(random.choice((OLD, NEW)) if number > 30 else OLD)
            if random.random() < 0.9:
                fleet.clock.advance(0.2)
            else:
                await fleet.expire_leases()
            await asyncio.sleep(random.choice((0, 0.005, 0.02)))
        assert not await fleet.start_worker(OLD), "it is outdated by now"
        await fleet.start_worker(NEW)
        wanted = {f"k{number}" for number in range(90)}
        async with asyncio.timeout(30):
            while wanted != {message.idempotency_key for message in world.slack.ledger}:
                await fleet.expire_leases()
                for outbox, _ in fleet.workers:
                    outbox.news.set()
                await asyncio.sleep(0.2)
        assert world.slack.duplicate_keys() == []
        assert fleet.misread == []
        while fleet.workers:
            await fleet.stop_worker(0)
