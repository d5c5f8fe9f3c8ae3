"""Events: each has a hook, and the log lines, steps and series that operators search for read as they always did."""

from __future__ import annotations

import dataclasses
import importlib
import math
import pkgutil
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.virtual_time import SetClock, StoppedClock
from zofbot.clock import Clock
from zofbot.domain.errors import StoreUnavailable, ZofUnavailable
from zofbot.domain.model import Quota, utc_datetime
from zofbot.observability import events
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import SlackCall, ZofCall, ZofTry
from zofbot.observability.events.delivery import DeadLetter, DeliveryAttempt, DeliveryCrashed, NotificationDropped
from zofbot.observability.events.polling import FeedAudited, PollCycleEnded
from zofbot.observability.events.requests import SlackRequestAnswered, TriageAct, TriageRefused
from zofbot.observability.metrics import Metrics
from zofbot.observability.trace_recorder import TraceRecorder, record_trace

ATTEMPT = DeliveryAttempt("k", "root", "C0QA", 2, "deferred", "ratelimited", "ratelimited", 0.01234)
STORE_DOWN = StoreUnavailable("The store does not answer.", "Wait.")
ZOF_DOWN = ZofUnavailable("Zof couldn't be reached.", "Wait.")


def event_types() -> list[type]:
    modules = (
        importlib.import_module(f"{events.__name__}.{item.name}") for item in pkgutil.iter_modules(events.__path__)
    )
    return [
        kind
        for module in modules
        for kind in vars(module).values()
        if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module.__name__
    ]


def emit_traced(event: object, metrics: Metrics | None = None) -> tuple[list[Any], list[tuple[str, str, str, bool]]]:
    """Emit one event in a trace that is kept. Return the log lines and the steps."""
    emitter, kept = EventEmitter(metrics), list[TraceRecorder]()
    emitter.add_hook(TraceRecorder, kept.append)
    with capture_logs() as lines, record_trace(emitter.emit, "request", StoppedClock(0.0)):
        emitter.emit(event)
    return list(lines), [(step.component, step.action, step.outcome, step.bad) for step in kept[0].build_trace().steps]


@pytest.mark.parametrize("kind", event_types(), ids=lambda kind: kind.__name__)
def test_every_event_is_frozen_and_something_becomes_of_it(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert kind in EventEmitter(Metrics(Clock()))._hooks


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            ATTEMPT,
            {"event": "delivery", "log_level": "info", "key": "k", "kind": "root", "channel": "C0QA", "attempt": 2,
             "outcome": "deferred", "reason": "ratelimited", "ms": 12.3},
        ),
        (
            ZofCall("GET", "/runs", 503, 3, 1.23456, "req_1", "unavailable", cause="ReadTimeout"),
            {"event": "zof call", "log_level": "warning", "method": "GET", "template": "/runs", "status": 503,
             "tries": 3, "seconds": 1.235, "request_id": "req_1", "outcome": "unavailable", "cause": "ReadTimeout"},
        ),
        (DeadLetter("k", "no_text"), {"event": "dead letter", "log_level": "error", "key": "k", "reason": "no_text"}),
        (
            NotificationDropped("k", "edit", "C0QA", "its root is dead", "root_lost"),
            {"event": "dropped", "log_level": "info", "key": "k", "kind": "edit", "channel": "C0QA",
             "reason": "its root is dead"},
        ),
        (
            FeedAudited("runs failed", 2, 5.0, 9.0),
            {"event": "feed audited", "log_level": "warning", "feed": "runs failed", "missed": 2, "since": 5.0},
        ),
        (
            TriageAct("resolve", "k", "open", "resolved", "U0ANA"),
            {"event": "triage", "log_level": "info", "act": "resolve", "key": "k", "before": "open",
             "after": "resolved", "by": "U0ANA"},
        ),
        (
            PollCycleEnded("unavailable", 1.0, True, 61.26, error=ZOF_DOWN),
            {"event": "zof not read", "log_level": "warning", "cause": ZOF_DOWN.sentence, "request_id": None,
             "again": 61.3},
        ),
        (
            PollCycleEnded("unavailable", 1.0, True, 5.0, error=STORE_DOWN),
            {"event": "poller without store", "log_level": "warning", "error": STORE_DOWN.sentence, "again": 5.0},
        ),
        (SlackRequestAnswered("command", "repeated", 0.0), {"event": "repeated request ignored", "log_level": "info"}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_operators_find_the_line_of_an_event_under_its_name_and_keys(event: object, line: dict[str, Any]) -> None:
    assert emit_traced(event)[0] == [line]


@pytest.mark.parametrize(
    ("event", "step"),
    [
        (SlackCall("chat.postMessage", "ok", 200, "", 0.1), ("slack", "chat.postMessage", "ok", False)),
        (
            SlackCall("chat.postMessage", "unknown", None, "TimeoutError", 8.0),
            ("slack", "chat.postMessage", "unknown, HTTP none: TimeoutError", True),
        ),
        (
            ZofTry("GET", "/runs", None, "unavailable", "ReadTimeout", None, 1.0, 0.0),
            ("zof", "GET /runs", "no reply unavailable", True),
        ),
        (ZofCall("GET", "/runs", None, 0, 0.0, None, "unavailable"), ("zof", "GET /runs", "not sent", True)),
        (ATTEMPT, ("outbox", "attempt 2", "deferred", True)),
        (PollCycleEnded("done", 1.0, True, 0.0), ("poll", "cycle", "done", False)),
        (
            TriageAct("resolve", "k", "open", "resolved", "U0ANA"),
            ("redis", "resolve", "stored: open to resolved", False),
        ),
        (
            TriageRefused("wake", "k", "not allowed from open"),
            ("redis", "wake", "refused: not allowed from open", False),
        ),
        (SlackRequestAnswered("command", "failed", 0.0), ("request", "acknowledged", "failed", True)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_trace_says_what_an_event_was(event: object, step: tuple[str, str, str, bool]) -> None:
    assert emit_traced(event)[1] == [step]


def test_a_crashed_attempt_is_logged_with_its_traceback_and_traced_without_its_message() -> None:
    lines, steps = emit_traced(DeliveryCrashed("k", ValueError("xoxb-secret")))
    assert [(line["event"], line["log_level"], type(line["exc_info"])) for line in lines] == [
        ("delivery crashed", "error", ValueError)
    ]
    assert steps == [("zofbot", "ValueError", "outside zofbot", True)]


def test_an_attempt_that_reached_slack_counts_with_its_age_and_others_without() -> None:
    metrics = Metrics(Clock())
    emitter, sample = EventEmitter(metrics), metrics.registry.get_sample_value
    emitter.emit(ATTEMPT)
    emitter.emit(DeliveryAttempt("k", "root", "C0QA", 3, "sent", "", "none", 0.01, 1.5, -0.2))
    for outcome, reason in (("deferred", "ratelimited"), ("sent", "none")):
        labels = {"kind": "root", "outcome": outcome, "reason": reason}
        assert sample("zofbot_notifications_total", labels) == 1
    assert sample("zofbot_delivery_seconds_sum", {"since": "commit"}) == 1.5
    assert sample("zofbot_delivery_seconds_sum", {"since": "happened"}) == 0  # clocks differ: never below zero


def test_the_quota_is_unknown_before_it_is_reported_and_after_its_reset() -> None:
    clock = SetClock(60.0)
    metrics = Metrics(clock)
    emitter, sample = EventEmitter(metrics), metrics.registry.get_sample_value
    remaining = [sample("zofbot_zof_quota_remaining")]
    quota = Quota(limit=100, remaining=1, reset=utc_datetime(120))
    emitter.emit(ZofCall("GET", "/runs", 200, 1, 0.1, "req_1", "ok", quota=quota))
    for at in (60.0, 119.9, 120.0, 3600.0):
        clock.at = at
        remaining.append(sample("zofbot_zof_quota_remaining"))
    emitter.emit(ZofCall("GET", "/runs", None, 3, 0.1, None, "unavailable"))
    remaining.append(sample("zofbot_zof_quota_remaining"))
    assert remaining == pytest.approx([math.nan, 1, 1, math.nan, math.nan, math.nan], nan_ok=True)
    assert sample("zofbot_zof_quota_limit") == 100


def test_a_standby_cycle_counts_without_a_duration() -> None:
    metrics = Metrics(Clock())
    emitter, sample = EventEmitter(metrics), metrics.registry.get_sample_value
    emitter.emit(PollCycleEnded("standby", 1.0, True, 15.0))
    emitter.emit(PollCycleEnded("done", 2.0, True, 0.0, read_all_at=99.0))
    emitter.emit(PollCycleEnded("done", 4.0, False, 0.0))
    assert sample("zofbot_poll_turns_total", {"outcome": "done"}) == 2
    assert sample("zofbot_poll_duration_seconds_sum") == 2.0
    assert sample("zofbot_poll_last_success_timestamp_seconds") == 99.0


def test_added_hooks_are_called_after_the_others_and_only_for_their_type() -> None:
    emitter, seen = EventEmitter(), list[object]()
    emitter.add_hook(DeadLetter, seen.append)
    emitter.emit(ATTEMPT)
    with capture_logs() as lines:
        emitter.add_hook(DeadLetter, lambda letter: seen.append(len(lines)))
        emitter.emit(DeadLetter("k", "gone"))
    assert seen == [DeadLetter("k", "gone"), 1]
