"""Which events become a step of the current trace, and how it reads. The steps hold no text from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zofbot.observability.events.calls import SlackCall, ZofCall, ZofTry
from zofbot.observability.events.delivery import DeliveryAttempt, DeliveryCrashed
from zofbot.observability.events.health import BackgroundTaskCanceled, BackgroundTaskFailed
from zofbot.observability.events.polling import PollCycleEnded
from zofbot.observability.events.requests import SlackRequestAnswered, TriageAct, TriageRefused
from zofbot.observability.metric_labels import status_label
from zofbot.observability.trace_recorder import record_error, record_step, safe_word

FAILED_ATTEMPTS = frozenset({"deferred", "unknown", "refused", "parked", "halted", "gone", "adopted"})
"""Outcomes of attempts whose traces are kept; "adopted" is one because an earlier attempt went wrong."""

MIN_TRACED_WAIT_MILLISECONDS = 50
"""Shorter waits before an attempt are left out, because they are scheduling noise."""


def _add_slack_call(call: SlackCall) -> None:
    outcome, reason = call.outcome, call.reason
    summary = f"{outcome}, HTTP {status_label(call.status)}: {safe_word(reason)}" if reason else outcome
    record_step("slack", call.method, summary, bad=bool(reason), ms=round(call.seconds * 1000))


def _add_zof_try(attempt: ZofTry) -> None:
    waited = round(attempt.waited * 1000)
    record_step(
        "zof", f"{attempt.method} {attempt.template}", f"{attempt.status or 'no reply'} {attempt.outcome}",
        bad=attempt.outcome != "ok", ids=(attempt.request_id,) if attempt.request_id else (),
        ms=round(attempt.seconds * 1000), waited=waited if waited >= MIN_TRACED_WAIT_MILLISECONDS else None,
        cause=attempt.cause, id=attempt.request_id,
    )  # fmt: skip


def _add_unsent_zof_call(call: ZofCall) -> None:
    if not call.tries:
        record_step("zof", f"{call.method} {call.template}", "not sent", bad=True)


def _add_delivery_attempt(attempt: DeliveryAttempt) -> None:
    outcome = attempt.outcome
    record_step("outbox", f"attempt {attempt.attempt}", outcome, bad=outcome in FAILED_ATTEMPTS, reason=attempt.reason)


def _add_delivery_crash(crash: DeliveryCrashed) -> None:
    record_error(crash.error)


def _add_failed_task(failed: BackgroundTaskFailed) -> None:
    record_error(failed.error)


def _add_canceled_task(canceled: BackgroundTaskCanceled) -> None:
    record_step("zofbot", "background task", "canceled: zofbot is stopping", bad=True)


def _add_poll_cycle(cycle: PollCycleEnded) -> None:
    if cycle.outcome == "failed" and cycle.error:
        record_error(cycle.error)
    record_step("poll", "cycle", cycle.outcome, bad=cycle.outcome in ("unavailable", "failed"))


def _add_slack_request(request: SlackRequestAnswered) -> None:
    record_step("request", "acknowledged", request.answer, bad=request.answer == "failed")


def _add_triage_act(act: TriageAct) -> None:
    record_step("redis", act.act, f"stored: {act.before} to {act.after}", ids=(act.key,))


def _add_triage_refusal(refusal: TriageRefused) -> None:
    record_step("redis", refusal.act, f"refused: {refusal.why}", ids=(refusal.key,))


TRACE_STEPS: dict[type, Callable[[Any], None]] = {
    SlackCall: _add_slack_call,
    ZofTry: _add_zof_try,
    ZofCall: _add_unsent_zof_call,
    DeliveryAttempt: _add_delivery_attempt,
    DeliveryCrashed: _add_delivery_crash,
    BackgroundTaskFailed: _add_failed_task,
    BackgroundTaskCanceled: _add_canceled_task,
    PollCycleEnded: _add_poll_cycle,
    SlackRequestAnswered: _add_slack_request,
    TriageAct: _add_triage_act,
    TriageRefused: _add_triage_refusal,
}
"""The function that records the step of an event, by the event's type."""
