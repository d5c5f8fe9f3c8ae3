"""Zof's webhooks: whose they are, what they hint at, and that none is acknowledged before its hint is stored."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import fakeredis
import pytest
import redis.asyncio as redis
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bot import wait_until
from tests.support.failure_reports import serve_world
from tests.support.metric_values import metric_value
from tests.support.virtual_time import SetClock, test_clock
from zofbot.config.settings import Settings
from zofbot.http.limits import MAX_BODY_BYTES
from zofbot.http.server import build_app
from zofbot.http.zof_endpoint import ZofWebhookEndpoint
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.metrics import Metrics
from zofbot.simulator.world import World
from zofbot.simulator.zof.webhooks import Webhooks, sign_body
from zofbot.store.keyspace import Keyspace
from zofbot.store.pending_runs import EVENT_TTL_SECONDS, MAX_PENDING_RUNS, PendingRun, PendingRuns
from zofbot.store.webhook_trials import TrialArrival
from zofbot.zof.webhook_event import IGNORED_TYPES, PLATFORM_EVENT_TYPES, RUN_END_TYPES, WebhookHint, parse_hint
from zofbot.zof.webhook_signature import is_signed

NOW = datetime(2026, 6, 1, 8, 20, tzinfo=UTC)
SECRET, PREVIOUS = "a-new-secret", "an-old-secret"
CURRENT = {
    "id": "evt_77",
    "type": "run.failed",
    "created": "2026-06-01T08:15:00Z",
    "data": {"object": {"id": "obj_5", "organization_id": "org_9", "run_id": "run_1001"}},
}
OLDER = {
    "event": "run.completed",
    "timestamp": "2024-02-02T09:00:00Z",
    "data": {"run_id": "run_1001", "status": "failed", "duration_ms": 61000, "agents_run": 4},
}


def webhook_body(**change: Any) -> bytes:
    return json.dumps(CURRENT | change).encode()


def sign_webhook(raw: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


# --- what a delivery means


def test_the_current_envelope_is_read() -> None:
    at = datetime(2026, 6, 1, 8, 15, tzinfo=UTC)
    assert parse_hint(webhook_body()) == WebhookHint("evt_77", "run.failed", "run_1001", at, "obj_5", "current")


def test_the_older_envelope_is_read_and_named_by_its_body() -> None:
    raw = json.dumps(OLDER).encode()
    at = datetime(2024, 2, 2, 9, tzinfo=UTC)
    name = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert parse_hint(raw) == WebhookHint(name, "run.completed", "run_1001", at, envelope="older")
    assert parse_hint(raw + b" ").event_id != parse_hint(raw).event_id


@pytest.mark.parametrize(
    ("data", "run_id"),
    [
        ({"object": {"id": "run_7"}}, "run_7"),
        ({"object": {"id": "obj_7"}}, None),
        ({"object": {"id": "run_7", "run_id": "run_8"}}, "run_8"),
        ({"object": {"id": "run_7"}, "run_id": "run_9"}, "run_9"),
        ({"object": "run_7"}, None),
        ({"run_id": "../admin"}, None),
        ({"run_id": 1001}, "1001"),
        (["run_7"], None),
        (None, None),
    ],
)
def test_the_run_is_looked_for_where_either_generation_has_it(data: Any, run_id: str | None) -> None:
    assert parse_hint(webhook_body(data=data)).run_id == run_id


def test_an_unknown_type_is_kept_and_counted_with_the_others() -> None:
    hint = parse_hint(webhook_body(type="run.paused"))
    assert (hint.type, hint.type_label, hint.subject_id) == ("run.paused", "other", None)


@pytest.mark.parametrize("kind", sorted(RUN_END_TYPES | PLATFORM_EVENT_TYPES | IGNORED_TYPES))
def test_a_known_type_is_counted_by_its_name(kind: str) -> None:
    assert parse_hint(webhook_body(type=kind)).type_label == kind


def test_a_notice_is_about_an_object_and_an_ending_about_a_run() -> None:
    assert parse_hint(webhook_body(type="agent.offline")).subject_id == "obj_5"
    assert parse_hint(webhook_body()).subject_id == "run_1001"
    assert parse_hint(webhook_body(type="agent.offline", data={})).subject_id == "evt_77"
    assert parse_hint(webhook_body(data={})).subject_id is None


@pytest.mark.parametrize("raw", [b"", b"run", b"[]", b'"x"', b"null", b"\xff\xfe", b"[" * 100_000, b"{" * 50_000])
def test_what_is_not_a_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (whatever is wrong, this is all that a caller may meet)
        parse_hint(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "type", "data", "object"]), inner),
    )
)
def test_no_json_breaks_the_reading(found: Any) -> None:
    try:
        parse_hint(json.dumps(found).encode())
    except ValueError:
        assert not isinstance(found, dict)


# --- whose it is


@pytest.mark.parametrize(
    "wrap",
    [str, str.upper, "sha256={}".format, lambda it: f"SHA256={it.upper()}", lambda it: f"  {it} "],
    ids=["as sampled", "upper case", "prefixed", "both", "spaces"],
)
@pytest.mark.parametrize("secret", [SECRET, PREVIOUS])
def test_a_signature_under_either_secret_is_taken(wrap: Callable[[str], str], secret: str) -> None:
    assert is_signed(webhook_body(), wrap(sign_webhook(webhook_body(), secret)), [SECRET, PREVIOUS])


@pytest.mark.parametrize(
    "given_",
    [
        "",
        "sha256=",
        "0" * 64,
        sign_webhook(webhook_body(), "another"),
        sign_webhook(webhook_body() + b" "),
        sign_webhook(webhook_body())[:-1],
        "é" * 64,
        "\udcff" * 64,
    ],
)
def test_any_other_signature_is_not(given_: str) -> None:
    assert not is_signed(webhook_body(), given_, [SECRET, PREVIOUS])


def test_an_empty_secret_signs_nothing() -> None:
    assert not is_signed(webhook_body(), sign_webhook(webhook_body(), ""), ["", ""])
    assert not is_signed(webhook_body(), sign_webhook(webhook_body()), [])


# --- the door


class WebhookEndpoint:
    """The web door on a port, with a store that can be taken away."""

    def __init__(self, client: TestClient[web.Request, web.Application], store: redis.Redis, metrics: Metrics) -> None:
        self.client = client
        self.store = store
        self.metrics = metrics

    async def post_body(self, raw: bytes, given_: str | None = None, header: str = "X-Zof-Signature") -> int:
        reply = await self.client.post(
            "/zof/webhook", data=io.BytesIO(raw), headers={header: sign_webhook(raw) if given_ is None else given_}
        )
        assert await reply.text() == ""
        return reply.status

    async def stored_hints(self) -> dict[str, PendingRun]:
        found: dict[Any, Any] = await self.store.hgetall("{test}:hints")
        return {field.decode(): PendingRun.load(text.decode()) for field, text in found.items()}

    def counted_answers(self, answer: str) -> float | None:
        return metric_value(self.metrics, "zofbot_zof_webhooks_total", {"answer": answer})


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


async def ignore_arrival(arrival: TrialArrival) -> None:
    """Nobody tries the webhooks."""


@pytest.fixture
async def endpoint(server: fakeredis.FakeServer) -> AsyncIterator[WebhookEndpoint]:
    metrics = Metrics(test_clock())
    async with fakeredis.FakeAsyncRedis(server=server) as store:
        hints = PendingRuns(Keyspace(store, "test"), test_clock())
        zof = ZofWebhookEndpoint(
            hints,
            (SECRET, PREVIOUS),
            "X-Zof-Signature",
            EventEmitter(metrics),
            SetClock(NOW.timestamp()),
            note=ignore_arrival,
        )

        async def ready() -> list[str]:
            return []

        async with TestClient(TestServer(build_app(None, metrics, ready, zof))) as client:
            yield WebhookEndpoint(client, store, metrics)
        await hints.aclose()


async def test_a_hint_is_stored_before_the_delivery_is_acknowledged(endpoint: WebhookEndpoint) -> None:
    assert await endpoint.post_body(webhook_body()) == 200
    happened = datetime(2026, 6, 1, 8, 15, tzinfo=UTC).timestamp()
    assert await endpoint.stored_hints() == {
        "run_1001": PendingRun("run", "run_1001", "run.failed", NOW.timestamp(), happened)
    }
    assert endpoint.counted_answers("stored") == 1


async def test_a_repeated_delivery_is_acknowledged_and_stored_once(endpoint: WebhookEndpoint) -> None:
    assert await endpoint.post_body(webhook_body()) == 200
    await endpoint.store.delete("{test}:hints")
    assert await endpoint.post_body(webhook_body()) == 200
    assert await endpoint.stored_hints() == {}
    assert endpoint.counted_answers("repeated") == 1
    assert 0 < await endpoint.store.ttl("{test}:event:evt_77") <= EVENT_TTL_SECONDS


async def test_two_events_of_one_run_are_one_hint(endpoint: WebhookEndpoint) -> None:
    for event, kind in (("evt_1", "run.completed"), ("evt_2", "run.failed")):
        assert await endpoint.post_body(webhook_body(id=event, type=kind)) == 200
    assert list(await endpoint.stored_hints()) == ["run_1001"]


async def test_a_notice_is_kept_beside_runs(endpoint: WebhookEndpoint) -> None:
    assert await endpoint.post_body(webhook_body(type="release.gate_blocked")) == 200
    [(field, watch)] = (await endpoint.stored_hints()).items()
    assert field == f"release.gate_blocked:obj_5:{datetime(2026, 6, 1, 8, 15, tzinfo=UTC).timestamp():.0f}"
    assert (watch.kind, watch.subject, watch.run) == ("notice", "obj_5", "run_1001")


@pytest.mark.parametrize("kind", ["run.started", "remediation.approved", "issue.detected", "something.new", "", None])
async def test_what_means_nothing_here_is_acknowledged_counted_and_ignored(
    endpoint: WebhookEndpoint, kind: str | None
) -> None:
    assert await endpoint.post_body(webhook_body(type=kind)) == 200
    assert await endpoint.stored_hints() == {}
    assert endpoint.counted_answers("ignored") == 1


@pytest.mark.parametrize("given_", ["", "0" * 64, "é" * 64])
async def test_what_zof_did_not_sign_is_401_without_a_word(endpoint: WebhookEndpoint, given_: str) -> None:
    assert await endpoint.post_body(webhook_body(), given_) == 401
    assert await endpoint.stored_hints() == {}


async def test_the_signature_comes_before_the_json(endpoint: WebhookEndpoint) -> None:
    assert await endpoint.post_body(b"{", "0" * 64) == 401
    assert await endpoint.post_body(b"{") == 400


async def test_a_signature_under_another_header_is_none(endpoint: WebhookEndpoint) -> None:
    assert await endpoint.post_body(webhook_body(), sign_webhook(webhook_body()), "X-Signature") == 401


async def test_a_body_of_a_mebibyte_is_the_largest(endpoint: WebhookEndpoint) -> None:
    filled = webhook_body(filler="x" * (MAX_BODY_BYTES - len(webhook_body(filler=""))))
    assert len(filled) == MAX_BODY_BYTES
    assert await endpoint.post_body(filled) == 200
    assert await endpoint.post_body(filled + b" ") == 413


async def test_without_a_store_it_is_503_and_taken_when_it_comes_again(
    endpoint: WebhookEndpoint, server: fakeredis.FakeServer
) -> None:
    server.connected = False
    assert await endpoint.post_body(webhook_body()) == 503
    server.connected = True
    assert await endpoint.post_body(webhook_body()) == 200
    assert list(await endpoint.stored_hints()) == ["run_1001"]


async def test_no_more_hints_wait_than_may_and_those_that_wait_are_renewed(endpoint: WebhookEndpoint) -> None:
    await endpoint.store.hset(
        "{test}:hints", mapping={f"held_{number}": "{}" for number in range(MAX_PENDING_RUNS - 1)}
    )
    assert await endpoint.post_body(webhook_body()) == 200
    assert await endpoint.post_body(webhook_body(id="evt_2", data={"object": {"run_id": "run_2002"}})) == 503
    assert endpoint.counted_answers("full") == 1
    assert await endpoint.post_body(webhook_body(id="evt_3")) == 200
    await endpoint.store.hdel("{test}:hints", "held_1")
    assert await endpoint.post_body(webhook_body(id="evt_2", data={"object": {"run_id": "run_2002"}})) == 200
    assert await endpoint.store.hlen("{test}:hints") == MAX_PENDING_RUNS


async def test_a_thousand_events_about_what_waits_already_are_not_remembered_one_by_one(
    endpoint: WebhookEndpoint,
) -> None:
    for number in range(50):
        assert await endpoint.post_body(webhook_body(id=f"evt_{number}")) == 200
    assert len([key async for key in endpoint.store.scan_iter("{test}:event:*")]) == 1
    assert list(await endpoint.stored_hints()) == ["run_1001"]


async def test_without_a_secret_there_is_no_endpoint() -> None:
    async def ready() -> list[str]:
        return []

    async with TestClient(TestServer(build_app(None, Metrics(test_clock()), ready))) as client:
        assert (await client.post("/zof/webhook", data=webhook_body())).status == 404


# --- hints


async def test_a_stored_hint_wakes_who_waits_in_whichever_process(server: fakeredis.FakeServer) -> None:
    async with fakeredis.FakeAsyncRedis(server=server) as here, fakeredis.FakeAsyncRedis(server=server) as there:
        clock = test_clock()
        mine, theirs = PendingRuns(Keyspace(here, "test"), clock), PendingRuns(Keyspace(there, "test"), clock)
        assert await mine.wait_for_hint(0)  # it cannot know what was stored before it listened
        assert not await mine.wait_for_hint(0.01)
        for event in ("evt_1", "evt_2"):
            await theirs.add_pending(event, PendingRun("run", event, "run.failed", 1.0))
        assert await mine.wait_for_hint(10)
        assert not await mine.wait_for_hint(0.01)  # the two were one piece of news
        await mine.aclose()
        await theirs.aclose()


def test_a_watch_comes_back_as_it_was_stored() -> None:
    watch = PendingRun("result", "res_1", "results failed", 1.5, 2.5, 3.5, 4.5, "run_1", ("a", "b"))
    assert PendingRun.load(watch.dump()) == watch
    assert PendingRun.load(watch.dump().replace("{", '{"newer":1,', 1)) == watch


# --- the pretend Zof sends them


@pytest.mark.parametrize("generation", ["current", "older"])
async def test_the_pretend_zof_announces_a_failed_run_twice(endpoint: WebhookEndpoint, generation: Any) -> None:
    world = World(SetClock(NOW.timestamp()))
    world.zof.webhooks = Webhooks(str(endpoint.client.make_url("/zof/webhook")), SECRET, generation=generation)
    sent = world.zof.webhooks.sent
    async with serve_world(world):
        run = world.zof.finish_failing_run("proj_x", "staging", failures=2)
        await wait_until(lambda: len(sent) == 2)
    assert [(item.type, item.status) for item in sent] == [("run.completed", 200), ("run.failed", 200)]
    assert list(await endpoint.stored_hints()) == [run["id"]]
    assert endpoint.counted_answers("stored") == 2


async def test_the_pretend_zof_sends_nothing_while_it_is_off_and_no_failure_for_a_pass() -> None:
    world = World(SetClock(NOW.timestamp()))
    hooks = world.zof.webhooks
    hooks.url, hooks.on = "http://127.0.0.1:9/", False
    world.zof.finish_failing_run("proj_x", "staging")
    assert not hooks.waiting
    hooks.on = True
    world.zof.finish_failing_run("proj_x", "staging", failures=0)
    [delivery] = hooks.waiting
    raw = delivery.body
    assert delivery.type == "run.completed"
    assert is_signed(raw, hooks.signed_headers(delivery)["X-Zof-Signature"], [hooks.secret])
    assert sign_body("other", raw) != sign_body(hooks.secret, raw)


# --- settings


def test_a_previous_secret_alone_leaves_the_receiver_off() -> None:
    assert Settings.model_validate({"zof_webhook_secret_previous": "old"}).webhook_secrets == ()
    assert Settings.model_validate({"zof_webhook_secret": " new\n"}).webhook_secrets == ("new",)
    both = {"zof_webhook_secret": "new", "zof_webhook_secret_previous": "old"}
    assert Settings.model_validate(both).webhook_secrets == ("new", "old")


@pytest.mark.parametrize(
    "wrong",
    [
        {"zofbot_default_channel": "#qa-alerts"},
        {"zof_signature_header": "X Zof"},
        {"zofbot_poll_interval": 0},
        {"zofbot_lookback": -1},
        {"zofbot_lookback": 31 * 86400},
    ],
)
def test_settings_of_the_news_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings.model_validate(wrong)
