"""Which events become a log line, and how it reads. Operators search for these names and keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from zofbot.domain.errors import StoreUnavailable, ZofUnavailable
from zofbot.observability.events.calls import ZofCall
from zofbot.observability.events.delivery import (
    DeadLetter,
    DeliveryAttempt,
    DeliveryCrashed,
    NotificationDropped,
    OutboxNotMeasured,
    OutboxPaused,
    SettlementLost,
)
from zofbot.observability.events.health import BackgroundTaskFailed, CanaryLate
from zofbot.observability.events.polling import FeedAudited, PollCycleEnded, ReadGivenUp
from zofbot.observability.events.requests import SlackRequestAnswered, TriageAct

log = structlog.get_logger()


def _log_zof_call(call: ZofCall) -> None:
    details = {"cause": call.cause} if call.cause else {}
    line = log.info if call.outcome in ("ok", "rejected", "canceled") else log.warning
    line(
        "zof call", method=call.method, template=call.template, status=call.status, tries=call.tries,
        seconds=round(call.seconds, 3), request_id=call.request_id, outcome=call.outcome, **details,
    )  # fmt: skip


def _log_delivery_attempt(attempt: DeliveryAttempt) -> None:
    log.info(
        "delivery", key=attempt.key, kind=attempt.kind, channel=attempt.channel, attempt=attempt.attempt,
        outcome=attempt.outcome, reason=attempt.reason, ms=round(attempt.seconds * 1000, 1),
    )  # fmt: skip


def _log_delivery_crash(crash: DeliveryCrashed) -> None:
    log.error("delivery crashed", key=crash.key, exc_info=crash.error)


def _log_dropped(dropped: NotificationDropped) -> None:
    log.info("dropped", key=dropped.key, kind=dropped.kind, channel=dropped.channel, reason=dropped.reason)


def _log_dead_letter(letter: DeadLetter) -> None:
    log.error("dead letter", key=letter.key, reason=letter.reason)


def _log_lost_settlement(lost: SettlementLost) -> None:
    log.warning("settled too late", key=lost.key, attempt=lost.attempt)


def _log_outbox_pause(pause: OutboxPaused) -> None:
    log.error("outbox paused", reason=pause.reason, fix=pause.fix)


def _log_unmeasured_outbox(event: OutboxNotMeasured) -> None:
    log.warning("outbox not measured", error=event.error)


def _log_poll_cycle(cycle: PollCycleEnded) -> None:
    """Log a cycle that did not end well; the others are counted only."""
    match cycle.outcome, cycle.error:
        case "unavailable", ZofUnavailable() as error:
            again = round(cycle.pause, 1)
            log.warning("zof not read", cause=error.sentence, request_id=error.request_id, again=again)
        case "unavailable", StoreUnavailable() as error:
            log.warning("poller without store", error=error.sentence, again=round(cycle.pause, 1))
        case "fenced", _:
            log.warning("another poller has taken over")
        case "failed", Exception() as error:
            log.error("poll failed", exc_info=error)


def _log_given_up(event: ReadGivenUp) -> None:
    log.error("given up", kind=event.kind, id=event.id, why=event.why, cause=event.cause, request_id=event.request_id)


def _log_audit(audit: FeedAudited) -> None:
    line = log.warning if audit.missed else log.info
    line("feed audited", feed=audit.feed, missed=audit.missed, since=audit.since)


def _log_triage_act(act: TriageAct) -> None:
    log.info("triage", act=act.act, key=act.key, before=act.before, after=act.after, by=act.by)


def _log_late_canary(late: CanaryLate) -> None:
    log.error("canary late", link=late.link, what=late.what, fix=late.fix)


def _log_failed_task(failed: BackgroundTaskFailed) -> None:
    log.error("background task failed", exc_info=failed.error)


def _log_repeated_request(request: SlackRequestAnswered) -> None:
    if request.answer == "repeated":
        log.info("repeated request ignored")


LOG_LINES: dict[type, Callable[[Any], None]] = {
    ZofCall: _log_zof_call,
    DeliveryAttempt: _log_delivery_attempt,
    DeliveryCrashed: _log_delivery_crash,
    NotificationDropped: _log_dropped,
    DeadLetter: _log_dead_letter,
    SettlementLost: _log_lost_settlement,
    OutboxPaused: _log_outbox_pause,
    OutboxNotMeasured: _log_unmeasured_outbox,
    PollCycleEnded: _log_poll_cycle,
    ReadGivenUp: _log_given_up,
    FeedAudited: _log_audit,
    TriageAct: _log_triage_act,
    CanaryLate: _log_late_canary,
    BackgroundTaskFailed: _log_failed_task,
    SlackRequestAnswered: _log_repeated_request,
}
"""The function that writes the line of an event, by the event's type."""
