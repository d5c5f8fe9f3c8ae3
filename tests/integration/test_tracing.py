"""Traces: the id that an error shows leads to its cause, nothing foreign stands there, and nobody waits for it."""

from __future__ import annotations

import asyncio
import io
import json
import re
from functools import partial
from typing import Any

import fakeredis
import httpx
import pytest
import redis.asyncio as redis
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.support.bot import RunningBot, buttons_of, running_bot, text_of, wait_until
from tests.support.cli import run_command
from tests.support.failing_runs import SECRET, alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.metric_values import metric_value
from tests.support.redis_dump import dump_redis
from tests.support.triage import button_of, press_button, private_text, raise_alert
from tests.support.valkey_servers import stopped_server
from tests.support.virtual_time import StoppedClock, test_clock
from zofbot.cli.render import trace_table
from zofbot.concurrency import BackgroundTasks, cancel_tasks
from zofbot.domain.commands import VERBS
from zofbot.domain.errors import StoreUnavailable, ZofError
from zofbot.listeners import trace_labels
from zofbot.observability import trace_recorder
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.metrics import Metrics
from zofbot.observability.trace_model import Trace, TraceStep
from zofbot.observability.trace_recorder import MAX_FIRST_STEPS, MAX_IDS, MAX_LAST_STEPS, TraceRecorder
from zofbot.polling.checkpoint import CURSORS_HASH, FLOOR_FIELD
from zofbot.simulator.blockkit.blocks import find_problems
from zofbot.simulator.zof.state import HttpReply
from zofbot.slack.views import traces
from zofbot.slack.views.replies import request_replies
from zofbot.store.keyspace import Keyspace
from zofbot.store.traces import MAX_SHOWN_TRACES, MAX_TRACE_BYTES, TRACE_TTL_SECONDS, TraceStore, TraceWriter
from zofbot.zof.client import TimeBudget, ZofClient

RESULT = "res_4821"
MAIL, TOKEN = "planted.person@secret.example", "xoxb-1234567890-planted"


def shown_id(answer: str) -> str:
    """What a person copies from an error: the request id, or where there is none the reference."""
    found = re.search(r"Request ID: `?([^\s`\"]+)", answer) or re.search(r"Reference: `?([^\s`\".]+)", answer)
    assert found, answer
    return found[1]


async def explanation_text(bot: RunningBot, answer: str, *, user: str = "U0ANA") -> str:
    """All that ``/zof trace`` says of the id in this answer."""
    bot.world.zof.faults.set_fault("none")
    told = ""

    async def has_answer() -> bool:
        nonlocal told
        told = await bot.answer_text(f"/zof trace {shown_id(answer)}", user=user)
        return "No trace of" not in told

    await wait_until(has_answer, 3)  # a follow-up is seen a moment before the bot knows that
    return told


# --- each failure class, through the real door: from the answer that a person sees to the cause


@pytest.mark.parametrize(
    ("fault", "tries", "cause"),
    [
        ("401", 1, "401 rejected"),
        ("403", 1, "403 rejected"),
        ("429_long", 1, "429 unavailable"),
        ("500", 4, "500 unavailable"),
        ("503", 4, "503 unavailable"),
        ("html", 1, "200 unreadable"),
        ("truncated", 1, "200 unreadable"),
        ("cut", 4, "no reply unavailable"),
    ],
)
async def test_what_zof_did_is_found_by_the_id_of_its_error(
    bot: RunningBot, fault: str, tries: int, cause: str
) -> None:
    bot.world.zof.faults.set_fault(fault)
    await bot.type_text(f"/zof result {RESULT}")
    await wait_until(
        lambda: (
            "equest" in text_of(bot.private_messages()[-1])
            and "Waiting for Zof" not in text_of(bot.private_messages()[-1])
        )
    )
    answer = text_of(bot.private_messages()[-1])
    ids = [call.request_id for call in bot.world.zof.calls]
    told = await explanation_text(bot, answer)
    assert told.count(f"GET /results/{{id}} → {cause}") == tries
    assert "command result" in told
    assert "<@U0ANA> in <#C0QA>" in told
    assert "redis: claim → fresh" in told
    if fault == "cut":
        assert "Zof returned no request id. Reference: `ref_" in answer
        assert "cause RemoteProtocolError" in told
    else:
        assert shown_id(answer) == ids[-1]
        assert all(item in told for item in ids)
    assert told.count("after waiting") <= tries - 1, "jitter may be next to nothing"


async def test_what_zof_does_not_have_is_found_by_its_id_and_by_a_reference_where_it_gave_none(
    bot: RunningBot,
) -> None:
    missing = await bot.answer_text("/zof result res_nowhere")
    assert shown_id(missing) == bot.world.zof.calls[-1].request_id
    assert "404 rejected" in await explanation_text(bot, missing)
    for named in (None, TOKEN, MAIL):
        headers = {"X-Request-Id": named}
        bot.world.zof.raw[f"/results/{RESULT}"] = HttpReply(404, {"error": "no"}, headers)
        answer = await bot.answer_text(f"/zof {RESULT}")
        reference = re.search(r"Reference: `(ref_\w+)`", answer)
        assert reference, "an id that is shown to nobody leads nowhere"
        told = await bot.answer_text(f"/zof trace {reference[1]}")
        assert "404 rejected" in told
        assert TOKEN not in told
        assert MAIL not in told


async def test_a_try_that_is_given_up_says_so() -> None:
    async def hangs(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(9)
        raise AssertionError

    client = ZofClient(
        base_url="https://zof.example",
        key="k",
        clock=test_clock(),
        events=EventEmitter(),
        transport=httpx.MockTransport(hangs),
    )
    kept: list[TraceRecorder] = []
    with trace_recorder.record_trace(kept.append, "request", StoppedClock(0.0)):
        for time_budget in (TimeBudget(0.05), TimeBudget(0.0)):
            with pytest.raises(ZofError):
                await client.get_result("res_1", time_budget=time_budget)
    await client.aclose()
    given_up, unsent = kept[0].build_trace().steps
    assert (given_up.outcome, given_up.bad) == ("no reply given up", True)
    assert int(given_up.facts["ms"]) >= 40
    assert unsent.outcome == "not sent"


async def test_a_follow_up_that_slack_refuses_is_found_by_what_promised_it(bot: RunningBot) -> None:
    bot.world.zof.faults.delays["slow"] = 2.6
    bot.world.zof.faults.set_fault("slow", 1)
    await bot.type_text(f"/zof {RESULT}")
    line = text_of(bot.private_messages()[-1])
    assert "Waiting for Zof" in line
    for hook in bot.world.slack.hooks.values():
        hook.uses = 5
    sample = partial(metric_value, bot.app.metrics)
    labels = {"method": "response_url", "outcome": "refused", "status": "404"}
    await wait_until(lambda: (sample("zofbot_slack_calls_total", labels) or 0) > 0)
    told = await explanation_text(bot, line)
    assert "response_url → refused, HTTP 404: used_url" in told
    assert "GET /results/{id} → 200 ok" in told


async def test_a_card_that_slack_would_not_draw_says_where_the_reason_is(bot: RunningBot) -> None:
    bot.world.zof.raw["/results/res_x"] = {"id": "res_x", "title": "x"}
    with trace_recorder.record_trace(lambda _: None, "request", StoppedClock(0.0)) as made:
        plain = request_replies.still_working_reply().plain_version(trace_recorder.current_reference())
    assert made.reference in plain.text


async def test_an_act_that_redis_did_not_take_is_found(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe group:case")
        root = await raise_alert(bot)
        async with stopped_server(store_url):
            await press_button(bot, "U0ANA", root, button_of(root, "zof_triage_acknowledge"))
            await wait_until(lambda: "Reference: " in private_text(bot, "U0ANA"))
        answer = next(
            text_of(message) for message in bot.private_messages(root.channel) if "Reference: " in text_of(message)
        )
        assert "store (Redis) isn't responding" in answer
        assert "Zof returned no request id. Reference: " in answer
        await asyncio.sleep(1)
        told = await explanation_text(bot, answer)
        assert "redis: no answer → TimeoutError" in told
        assert "action triage_acknowledge" in told
        assert "permission: needs responder → granted" in told


async def test_an_error_that_nobody_foresaw_is_found_with_its_place_and_without_its_words(bot: RunningBot) -> None:
    await bot.app.store.client.hset(f"{{zofbot}}:{CURSORS_HASH}", FLOOR_FIELD, MAIL)
    answer = await bot.answer_text("/zof why res_4821")
    assert "Something went wrong in zofbot" in answer
    told = await explanation_text(bot, answer)
    assert "zofbot: ValueError" in told
    assert "in zofbot.listeners.why" in told
    assert "command why" in told
    assert MAIL not in told


async def test_who_may_not_is_told_a_reference_that_says_why(bot: RunningBot) -> None:
    refused = await bot.answer_text("/zof trace ref_0000000000", user="U0BEN")
    assert "You can't look up traces" in refused
    assert "request id" not in refused.lower()
    told = await explanation_text(bot, refused)
    assert "permission: needs admin → refused (has responder, standing member)" in told
    assert "<@U0BEN>" in told


async def test_what_was_typed_wrongly_is_found_without_what_was_typed(bot: RunningBot) -> None:
    answer = await bot.answer_text("/zof runs stauts:failed")
    assert "ref_" not in answer, "nothing was asked of Zof"
    [kept] = await wait_for_traces(bot, "requests", "request")
    told = await bot.answer_text(f"/zof trace {next(name for name in kept.ids if name.startswith('ref_'))}")
    assert "what was typed or chosen cannot be used, in runs" in told
    assert "stauts" not in told


async def test_an_act_is_found_by_its_failure_and_so_is_a_repeated_request(bot: RunningBot) -> None:
    outcome = await bot.type_text("/zof help")
    assert outcome.is_accepted
    [kept] = await wait_for_traces(bot, "requests", "request")
    name = next(item for item in kept.ids if not item.startswith("ref_"))
    told = await bot.answer_text(f"/zof trace {name}")
    assert "command help" in told
    assert "request: acknowledged → acted" in told


# --- work that happens by itself


async def read_traces(bot: RunningBot, stream: str) -> list[Trace]:
    """What stands in a stream, oldest first."""
    entries: Any = await bot.app.store.client.xrange(f"{{zofbot}}:traces:{stream}")
    return [Trace.model_validate_json(fields[b"trace"]).model_copy(update={"ids": fields[b"ids"].decode().split("\n")})
            for _, fields in entries]  # fmt: skip


async def wait_for_traces(bot: RunningBot, stream: str, kind: str) -> list[Trace]:
    """Those of one kind, once there is one."""

    async def has_traces() -> bool:
        return any(trace.kind == kind for trace in await read_traces(bot, stream))

    await wait_until(has_traces)
    return [trace for trace in await read_traces(bot, stream) if trace.kind == kind]


async def test_of_deliveries_and_polls_only_what_went_wrong_is_kept(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=1, zof_webhook_secret=SECRET) as bot:
        await wait_until(lambda: sum(call.path == "/results" for call in bot.world.zof.calls) >= 4)
        await bot.type_text("/zof subscribe")
        await bot.type_text("/zof subscribe group:case")
        await raise_alert(bot)
        await asyncio.sleep(0.5)
        assert not await read_traces(bot, "work"), "all was well"
        bot.world.slack.channels["C0QA"].archived = True
        ended = fail_run(bot, 1)
        assert await post_webhook(bot, webhook_event(ended["id"], "evt_archived")) == 200
        kept = (await wait_for_traces(bot, "work", "delivery"))[0]
        key = kept.ids[1]
        assert key.endswith(":C0QA")
        told = await bot.answer_text(f"/zof trace {key}", channel="C0SEARCH")
        assert " → refused, HTTP 200: is_archived" in told
        assert "outbox: attempt 1 → parked" in told
        bot.world.zof.faults.set_fault("500", 4)
        sample = partial(metric_value, bot.app.metrics)
        await wait_until(lambda: (sample("zofbot_zof_calls_total", {
            "method": "GET", "template": "/runs", "outcome": "unavailable", "status": "500"}) or 0) > 0)  # fmt: skip
        lost = [call.request_id for call in bot.world.zof.calls if call.status == 500]
        await wait_for_traces(bot, "work", "poll")
        told = await bot.answer_text(f"/zof trace {lost[-1]}", channel="C0SEARCH")
        assert "Poll of the feeds" in told
        assert "500 unavailable" in told


async def test_a_webhook_that_could_not_be_stored_is_kept_under_the_events_id(store_url: str) -> None:
    async with running_bot(store_url, zof_webhook_secret=SECRET) as bot:
        ended = fail_run(bot, 1)
        assert await post_webhook(bot, webhook_event(ended["id"], "evt_well")) == 200
        async with stopped_server(store_url):
            assert await post_webhook(bot, webhook_event(ended["id"], "evt_unwell")) == 503
        [kept] = await wait_for_traces(bot, "work", "webhook")
        assert "evt_unwell" in kept.ids
        assert [step.outcome for step in kept.steps] == ["TimeoutError"]


async def test_a_trace_lasts_as_long_as_what_the_work_has_started() -> None:
    kept: list[TraceRecorder] = []
    background_tasks = BackgroundTasks(EventEmitter())

    async def first() -> None:
        await asyncio.sleep(0.01)
        trace_recorder.record_step("a", "first")
        background_tasks.start(second())

    async def second() -> None:
        await asyncio.sleep(0.01)
        raise ValueError(MAIL)

    with trace_recorder.record_trace(kept.append, "request", StoppedClock(0.0)):
        background_tasks.start(first())
    assert not kept
    await wait_until(lambda: bool(kept))
    [made] = kept
    made.add_step("a", "too late", "", False, (), {})
    steps = made.build_trace().steps
    assert [step.action for step in steps] == ["first", "ValueError"]
    assert MAIL not in made.build_trace().model_dump_json()


# --- nothing foreign


async def test_no_secret_and_no_address_that_was_planted_is_found_in_any_trace(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=1, zof_webhook_secret=SECRET) as bot:
        zof = bot.world.zof
        words = f"planted words {MAIL} {TOKEN}"
        zof.results[RESULT] |= {"name": words, "failure_summary": words}
        await bot.type_text(f"/zof result {RESULT} share")
        for typed in (f"result {MAIL}", f"run {TOKEN}", MAIL, TOKEN, f"trace {MAIL}", f"trace {TOKEN}", f"why {TOKEN}",
                      "subscribe project:planted", f"subscribe {words}"):  # fmt: skip
            await bot.type_text(f"/zof {typed}")
        for status in (400, 404, 500):
            body = {"error": {"code": MAIL, "message": words, "param": TOKEN}}
            zof.raw[f"/results/{RESULT}"] = HttpReply(status, body, {"X-Request-Id": f"{MAIL}-{TOKEN}"})
            await bot.type_text(f"/zof {RESULT}")
        pressed = {"type": "block_actions", "user": {"id": "U0ANA", "name": MAIL}, "trigger_id": MAIL,
                   "actions": [{"action_id": words, "value": words}], "channel": {"id": MAIL}}  # fmt: skip
        await bot.simulator.people.deliver_payload("interactive", pressed)
        await wait_until(lambda: any(call.status == 500 for call in zof.calls))
        await wait_until(lambda: any("internal error" in text_of(message) for message in bot.private_messages()))
        bot.world.slack.channels["C0QA"].archived = True
        ended = fail_run(bot, 1)
        ended["name"] = words
        await post_webhook(bot, webhook_event(ended["id"], MAIL))
        await asyncio.sleep(1.5)
        async with redis.from_url(store_url) as client:
            streams = [key.decode() async for key in client.scan_iter("*traces*")]
            kept = str([await client.xrange(key) for key in streams])
            assert TOKEN not in await dump_redis(client)
        references = set(re.findall(r"ref_[0-9a-f]{10}", kept))
        bot.world.slack.channels["C0QA"].archived = False
        told = [await bot.answer_text(f"/zof trace {reference}") for reference in sorted(references)]
    assert len(references) > 10
    assert "planted" not in kept + str(told)


ANYTHING = st.text(max_size=40).map(lambda words: f"{words} {MAIL} {TOKEN}")


@given(st.lists(st.tuples(ANYTHING, ANYTHING, st.booleans()), max_size=80), st.text(max_size=50))
def test_whatever_is_said_to_a_trace_it_stays_clean_small_and_can_be_shown(
    steps: list[tuple[str, str, bool]], known: str
) -> None:
    kept: list[TraceRecorder] = []
    with trace_recorder.record_trace(
        kept.append, "request", StoppedClock(1.0), MAIL, "name", what=f"command {known}{MAIL}"
    ) as made:
        for action, outcome, bad in steps:
            trace_recorder.record_step(
                "component", action, outcome, bad=bad, ids=(action, outcome), fact=action, nothing=None
            )
    trace = kept[0].build_trace(*([known] if len(known) > 3 else []))
    text = trace.to_bounded_json(MAX_TRACE_BYTES)
    for foreign in (MAIL, TOKEN):
        assert foreign not in text
        assert foreign not in "".join(trace.ids)
    assert len(text.encode()) <= MAX_TRACE_BYTES
    assert len(trace.steps) + trace.left_out == len(steps)
    assert trace.ids[:2] == (made.reference, "name")
    read = Trace.model_validate_json(text)
    for count in (1, MAX_SHOWN_TRACES):
        message = traces.trace_card("name", [read] * count)
        assert find_problems(message.message_fields(), "message") == []
        assert len(json.dumps(message.message_fields(), ensure_ascii=False)) < 16_000
    assert all(len(item) <= 200 for step in trace.steps for item in (step.action, step.outcome, *step.facts.values()))


@pytest.mark.parametrize(
    ("body", "sort", "what"),
    [
        ({"command": "/zof", "text": "runs status:failed", "user_id": "U1", "channel_id": "C1"}, "command", "runs"),
        ({"command": "/zof", "text": ""}, "command", "help"),
        ({"command": "/zof", "text": "somebody@example.com"}, "command", "without_a_verb"),
        ({"type": "block_actions", "actions": [{"action_id": "zof_run"}]}, "action", "run"),
        ({"type": "block_actions", "actions": [{"action_id": "what I typed"}]}, "action", "(not a word)"),
        ({"type": "view_submission", "view": {"callback_id": "zof_subscribe"}}, "view", "subscribe"),
        ({"type": "message_action", "callback_id": "zof_triage"}, "other", "triage"),
        ({"event": {"type": "app_mention", "user": "U1", "channel": "C1", "text": "hi"}}, "event", "app_mention"),
    ],
)
def test_a_request_is_named_by_its_verb_button_form_or_event(body: dict[str, Any], sort: str, what: str) -> None:
    told = trace_labels(body, sort)
    assert told.pop("what") == f"{sort} {what}"
    assert set(told.items()) <= {("user", "U1"), ("channel", "C1")}


# --- bounds


def a_trace(number: int = 0, kind: str = "request", steps: int = 1, *names: str, fact: str = "") -> TraceRecorder:
    kept: list[TraceRecorder] = []
    with trace_recorder.record_trace(
        kept.append, kind, StoppedClock(float(number)), *(names or (f"id_{number}",))
    ) as made:
        made.worth = True
        for count in range(steps):
            trace_recorder.record_step("component", f"step {count}", ids=(f"step_{number}_{count}",), fact=fact)
    return kept[0]


def test_a_long_trace_loses_its_middle_and_says_how_much() -> None:
    trace = a_trace(steps=500).build_trace()
    assert [step.action for step in trace.steps] == [
        f"step {number}" for number in (*range(MAX_FIRST_STEPS), *range(500 - MAX_LAST_STEPS, 500))
    ]
    assert (trace.left_out, trace.gap) == (500 - MAX_FIRST_STEPS - MAX_LAST_STEPS, MAX_FIRST_STEPS)
    assert len(trace.ids) == 2 + MAX_IDS
    assert trace.ids[1] == "id_0"
    assert trace.ids[-1] == "step_0_499"
    wide = trace.model_copy(
        update={"steps": tuple(step.model_copy(update={"outcome": "x" * 200}) for step in trace.steps)}
    )
    fitted = Trace.model_validate_json(wide.to_bounded_json(MAX_TRACE_BYTES))
    assert len(wide.to_bounded_json(MAX_TRACE_BYTES)) <= MAX_TRACE_BYTES
    assert len(fitted.steps) + fitted.left_out == 500
    assert fitted.steps[-1].action == "step 499"
    shown = traces.step_lines(fitted, 9)
    assert len(shown) == 9
    assert "step 0" in shown[0]
    assert "step 499" in shown[-1]
    assert f"… {fitted.left_out} steps omitted" in "".join(traces.step_lines(fitted, 100))


async def test_what_was_written_is_found_by_each_of_its_ids_and_only_by_them(store: redis.Redis) -> None:
    trace_store = TraceStore(Keyspace(store, "a"))
    made = [a_trace(number).build_trace() for number in range(3)]
    await trace_store.write_traces(made)
    for item in made:
        for name in item.ids:
            assert await trace_store.find_traces(name) == [item]
    assert (
        await trace_store.find_traces("id")
        == await trace_store.find_traces("")
        == await trace_store.find_traces("id_0\nstep_0_0")
        == []
    )
    assert await TraceStore(Keyspace(store, "b")).find_traces("id_0") == []


async def test_of_many_under_one_id_the_latest_are_found_from_both_streams_oldest_first(store: redis.Redis) -> None:
    trace_store = TraceStore(Keyspace(store, "a"))
    made = [a_trace(number, ("request", "delivery")[number % 2], 1, "key").build_trace() for number in range(9)]
    await trace_store.write_traces(made)
    assert [trace.at for trace in await trace_store.find_traces("key")] == [4, 5, 6, 7, 8]


async def test_the_streams_are_capped_apart_and_kept_for_seven_days(store: redis.Redis) -> None:
    trace_store = TraceStore(Keyspace(store, "a"), {"requests": 300, "work": 100})
    await trace_store.write_traces([a_trace(0, "request", 1, "somebody").build_trace()])
    for _ in range(4):
        await trace_store.write_traces([a_trace(number, "poll").build_trace() for number in range(100)])
    assert 100 <= await store.xlen("{a}:traces:work") <= 200
    assert await trace_store.find_traces("somebody"), "a bad night of the poller pushes out no request"
    for stream in ("requests", "work"):
        assert 0 < await store.ttl(f"{{a}}:traces:{stream}") <= TRACE_TTL_SECONDS == 7 * 24 * 3600


async def test_what_is_older_than_seven_days_is_neither_found_nor_kept(store: redis.Redis) -> None:
    trace_store = TraceStore(Keyspace(store, "a"))
    seconds, _ = await store.time()
    old, fresh = a_trace(1, "request", 1, "key").build_trace(), a_trace(2, "request", 1, "key").build_trace()
    for item, age in ((old, TRACE_TTL_SECONDS + 5), (fresh, TRACE_TTL_SECONDS - 60)):
        fields: Any = {"ids": "\n".join(item.ids), "trace": item.to_bounded_json(MAX_TRACE_BYTES)}
        await store.xadd("{a}:traces:requests", fields, id=f"{(seconds - age) * 1000}-0")
    assert await trace_store.find_traces("key") == [fresh]
    assert await store.xlen("{a}:traces:requests") == 2
    await trace_store.delete_expired()
    assert await store.xlen("{a}:traces:requests") == 1


async def test_one_that_cannot_be_read_hides_no_other(store: redis.Redis) -> None:
    trace_store = TraceStore(Keyspace(store, "a"))
    await store.xadd("{a}:traces:requests", {"ids": "key", "trace": "{"})
    newer = a_trace(1, "request", 1, "key").build_trace()
    await trace_store.write_traces([newer])
    await store.xadd("{a}:traces:requests", {"other": "x"})
    text = json.dumps(
        json.loads(newer.to_bounded_json(MAX_TRACE_BYTES)) | {"field of a newer version": 1, "reference": "ref_2"}
    )
    await store.xadd("{a}:traces:requests", {"ids": "ref_2\nkey", "trace": text})
    assert {trace.reference for trace in await trace_store.find_traces("key")} == {newer.reference, "ref_2"}


# --- nobody waits


def outcome_count(metrics: Metrics, outcome: str) -> float:
    return metric_value(metrics, "zofbot_traces_total", {"outcome": outcome}) or 0.0


async def test_when_too_many_wait_the_oldest_are_dropped_and_counted() -> None:
    metrics = Metrics(test_clock())
    async with fakeredis.FakeAsyncRedis() as double:
        store = TraceStore(Keyspace(double, "a"))
        writer = TraceWriter(store, EventEmitter(metrics), test_clock(), most=10)
        for number in range(25):
            writer.add_trace(a_trace(number))
        assert outcome_count(metrics, "dropped") == 15
        assert [trace.at for trace in await writer.find_traces("id_24")] == [24], "what waits is found, too"
        await writer.write_remaining(1)
        assert (outcome_count(metrics, "kept"), outcome_count(metrics, "dropped")) == (10, 15)
        assert await store.find_traces("id_14") == []
        assert len(await store.find_traces("id_15")) == 1


async def test_without_redis_traces_wait_and_what_is_left_at_the_end_is_counted() -> None:
    metrics, server = Metrics(test_clock()), fakeredis.FakeServer()
    server.connected = False
    async with fakeredis.FakeAsyncRedis(server=server) as double:
        writer = TraceWriter(TraceStore(Keyspace(double, "a")), EventEmitter(metrics), test_clock(), most=10)
        for number in range(3):
            writer.add_trace(a_trace(number))
        with pytest.raises(StoreUnavailable):
            await writer.write_waiting()
        assert [trace.at for trace in await writer.find_traces("id_1")] == [1]
        with pytest.raises(StoreUnavailable):
            await writer.find_traces("unknown")
        server.connected = True
        await writer.write_waiting()
        assert [trace.at for trace in await TraceStore(Keyspace(double, "a")).find_traces("id_0")] == [0]
        server.connected = False
        writer.add_trace(a_trace(4))
        await writer.write_remaining(0.2)
    assert (outcome_count(metrics, "kept"), outcome_count(metrics, "dropped")) == (3, 1)


async def test_traces_that_cannot_be_written_are_dropped_and_those_after_them_are_kept() -> None:
    metrics = Metrics(test_clock())
    async with fakeredis.FakeAsyncRedis() as double:
        store = TraceStore(Keyspace(double, "a"))
        writer = TraceWriter(store, EventEmitter(metrics), test_clock())
        running = asyncio.create_task(writer.run())
        for number, fact in enumerate(("\ud800", "fine")):
            writer.add_trace(a_trace(number, fact=fact))
            await asyncio.sleep(1)
        assert not running.done()
        await cancel_tasks(running)
        writer.add_trace(a_trace(2, fact="\ud800"))
        await writer.write_remaining(1)
        assert [trace.at for number in range(3) for trace in await store.find_traces(f"id_{number}")] == [1]
    assert (outcome_count(metrics, "kept"), outcome_count(metrics, "dropped")) == (1, 2)


async def test_nothing_waits_for_a_redis_that_hangs(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        await bot.type_text("/zof help")
        writer = TraceWriter(TraceStore(bot.app.store.keyspace), EventEmitter(), test_clock(), most=5)
        task = asyncio.create_task(writer.run())
        async with stopped_server(store_url):
            hangs = asyncio.create_task(bot.app.store.ping())
            await asyncio.sleep(0)
            for number in range(1000):
                writer.add_trace(a_trace(number))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            await writer.write_remaining(0.2)
            assert not hangs.done(), "SIGTERM leaves it no time"
            with pytest.raises(StoreUnavailable):
                await hangs


async def test_what_is_written_while_the_bot_stops_is_there(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        answer = await bot.answer_text("/zof result res_nowhere")
    ended = await run_command("trace", shown_id(answer), "--json", REDIS_URL=store_url)
    assert ended.code == 0, ended.err


async def test_what_is_cut_short_when_the_bot_stops_is_found(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        bot.world.zof.faults.set_fault("hang")
        line = await bot.answer_text(f"/zof result {RESULT}")
    assert "Waiting for Zof" in line
    ended = await run_command("trace", shown_id(line), "--json", REDIS_URL=store_url)
    assert "canceled: zofbot is stopping" in ended.out, ended.err
    last = text_of(bot.private_messages()[-1])
    assert "*zofbot is restarting.*\\nTry again in a minute." in last
    assert "Zof returned no request id." in last
    assert shown_id(last) == shown_id(line)


@pytest.mark.parametrize("socket", [False, True], ids=["http", "socket"])
async def test_a_command_that_waits_for_zof_when_the_bot_stops_is_answered(store_url: str, socket: bool) -> None:
    async with running_bot(store_url, socket=socket) as bot:
        bot.world.zof.faults.set_fault("hang")
        typed = asyncio.create_task(bot.type_text(f"/zof result {RESULT}"))
        await wait_until(lambda: bool(bot.world.zof.calls))
    assert (await typed).is_accepted
    assert "zofbot is restarting" in text_of(bot.private_messages()[-1])


async def test_a_click_whose_answer_is_cut_short_when_the_bot_stops_is_answered(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        await bot.answer_text("/zof run run_2038")
        bot.world.zof.faults.set_fault("hang")
        await bot.press_button(bot.private_messages()[-1], "zof_result")
    assert "zofbot is restarting" in text_of(bot.private_messages()[-1])


async def test_the_bot_stops_in_time_though_slack_takes_no_last_reply(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        bot.world.zof.faults.set_fault("hang")
        await bot.answer_text(f"/zof result {RESULT}")
        bot.world.slack.faults.set_fault("slow")
        stopped = bot.app.clock.monotonic()
    assert bot.app.clock.monotonic() - stopped < 10


# --- on the terminal, and the odd ends


async def test_the_terminal_draws_a_table_or_prints_json(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        bot.world.zof.faults.set_fault("500")
        answer = await bot.answer_text(f"/zof {RESULT}")
    name = shown_id(answer)
    drawn = await run_command("trace", name, REDIS_URL=store_url)
    assert drawn.code == 0, drawn.err
    for part in ("Slack request command", "U0ANA", "C0QA", "GET /results/{id}", "500 unavailable", name):
        assert part in drawn.out
    printed = await run_command("trace", name, "--json", REDIS_URL=store_url)
    [line] = printed.out.splitlines()
    assert name in Trace.model_validate_json(line).ids
    unknown = await run_command("trace", "ref_unknown", REDIS_URL=store_url)
    assert (unknown.code, unknown.out) == (1, "")
    assert "No trace found: the ID may be mistyped, older than 7 days" in unknown.err
    other = await run_command("trace", name, REDIS_URL=store_url, ZOFBOT_NAMESPACE="other")
    assert other.code == 1


def test_a_table_counts_what_it_leaves_out_and_foreign_text_is_harmless_in_it() -> None:
    steps = tuple(
        TraceStep(at=number, component="zof", action="\x1b[31mred [bold]x", outcome="c") for number in range(4)
    )
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(trace_table(Trace(reference="ref_1", kind="poll", at=0.0, steps=steps, left_out=7, gap=2), {}))
    shown = console.export_text()
    assert "(7 steps left out)" in shown
    assert "red [bold]x" in shown
    assert "\x1b" not in shown


async def test_an_id_that_is_unknown_says_what_that_can_mean(bot: RunningBot) -> None:
    told = await bot.answer_text("/zof trace ref_nowhere")
    for part in ("No trace of `ref_nowhere`", "mistyped", "ZOFBOT_NAMESPACE", "7 days", "log"):
        assert part in told
    assert not buttons_of(bot.private_messages()[-1])


def test_outside_of_any_work_nothing_is_taken_down_and_a_reference_is_still_given() -> None:
    assert trace_recorder.current_recorder() is None
    trace_recorder.record_step("component", "action")
    trace_recorder.record_error(ValueError())
    assert re.fullmatch(r"ref_[0-9a-f]{10}", trace_recorder.current_reference())
    assert VERBS["trace"].does
