"""``/zof why``: explains why a channel was or was not notified of a run, by running the rules again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from zofbot.alerting.audience import DEFAULT_SUBSCRIPTION
from zofbot.alerting.causes import Cause, group_by_cause, signature_of_text
from zofbot.alerting.explain import CountedMessage, Explanation, explain_run
from zofbot.alerting.reasons import REASON_TEXTS, DecisionReason
from zofbot.alerting.state import MUTES, RuleState, held_hash
from zofbot.domain.errors import ZofError, ZofRejected
from zofbot.domain.model import Run
from zofbot.listeners import lookups
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import find_outbox_record, find_permalink, require_reader, require_visible
from zofbot.notifications import payload_parts
from zofbot.notifications.idempotency import split_key
from zofbot.notifications.notification import NotificationState
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.polling.checkpoint import CURSORS_HASH, FLOOR_FIELD, HANDLED_HASH
from zofbot.polling.cursor import item_key
from zofbot.slack.views import why
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.triage import triage_replies
from zofbot.slack.views.why import MessageStatus, SubscriptionLine
from zofbot.slack.views.why_causes import CauseExplanation, with_causes
from zofbot.store.pending_runs import PENDING_RUNS_HASH
from zofbot.store.records import OutboxRecord
from zofbot.subscriptions import RunFinding, Subscription
from zofbot.subscriptions.filters import filters_text
from zofbot.subscriptions.mute import active_mutes, read_mutes

log = structlog.get_logger()

MAX_STORMS_SHOWN = 5
"""Storms, and messages of causes, that are shown as counting a run."""


async def explain_to_channel(context: ListenerContext, channel: str, identifier: str, message: str = "") -> Message:
    """Explain a run, or the run of a result, to a channel; ``message`` is the key of the alert in question, if any.

    Raises ZofbotError.
    """
    run = await _find_run(context, identifier)
    bad, _, unread = await lookups.failed_results_or_reason(context, run)
    now = context.clock.time()
    finding = RunFinding.from_results(
        run, {result.id: result for result in [*(run.results or ()), *bad]}.values(), otherwise=now
    )
    finding = replace(finding, is_unlisted=bool(unread))
    handled = await _is_handled(context, finding)  # before what was decided, which is stored with it
    wishes = await context.subscriptions.list_all()
    names = RuleState.hash_names(finding, wishes, context.settings.zofbot_default_channel, [channel])
    hashes = await context.outbox.read_hashes(CURSORS_HASH, PENDING_RUNS_HASH, *names)
    floor = float(hashes[CURSORS_HASH].get(FLOOR_FIELD, 0))
    explanation = explain_run(
        finding,
        channel,
        wishes,
        RuleState(hashes),
        now,
        lookback=now - floor,
        default_channel=context.settings.zofbot_default_channel,
        handled=handled and run.id not in hashes[PENDING_RUNS_HASH],
    )
    then = _next_step(explanation, is_pending=run.id in hashes[PENDING_RUNS_HASH] and not handled)
    statuses = await _message_statuses(context, explanation, message)
    card = why.why_card(run, _subscription_lines(explanation, wishes), statuses, now, then, unread=unread)
    return with_causes(card, [_explain_cause(cause) for cause in group_by_cause(finding.failures) if cause.signature])


async def _is_handled(context: ListenerContext, finding: RunFinding) -> bool:
    """Whether the poller has handled the run and each of its failures."""
    keys = (item_key(finding.run), *map(item_key, finding.failures))
    return None not in await context.outbox.read_fields(*((HANDLED_HASH, key) for key in keys))


def _explain_cause(cause: Cause) -> CauseExplanation:
    titles, listed = payload_parts.collect_titles(cause.results)
    normalized = signature_of_text(cause.results[0].failure or "").normalized
    return CauseExplanation(cause.signature, normalized, titles, len(cause.results), len(cause.results) - listed)


def _next_step(explanation: Explanation, *, is_pending: bool) -> str:
    """Return what happens next without anybody's action, a key of ``NEXT_STEP_NOTES``; empty for nothing."""
    if is_pending and not explanation.decided:
        return "heard" if explanation.finding.has_ended else "watched"
    return "expected" if explanation.is_expected else ""


async def explain_alert(context: ListenerContext, requester: Requester, key: str) -> Message:
    """Explain the alert ``key``, from stored data if it cannot be read from Zof. Raises ZofbotError."""
    tried = "see why this was posted"
    await require_reader(context, requester, tried)
    _, identifier, channel = split_key(key)
    await require_visible(context, requester, channel, tried)
    try:
        return await explain_to_channel(context, channel, identifier, key)
    except ZofError as error:
        log.info("explained from stored data", key=key, cause=error.sentence, request_id=error.request_id)
        failure = await context.failures.get(key)
        if failure is None:
            if not isinstance(error, ZofRejected):
                raise
            return triage_replies.unknown_alert_reply(key)
        own = {item.id: item for item in await context.subscriptions.list_for_channel(channel)}
        takers = [own[taker] for taker in failure.body.takers if taker in own]
        wishes = [
            SubscriptionLine(
                DecisionReason.KNOWN, REASON_TEXTS[DecisionReason.KNOWN], _filters_text(taker), taker.by_name
            )
            for taker in takers
        ]
        now = context.clock.time()
        return why.stored_why_card(
            failure.title, wishes, await _load_statuses(context, [CountedMessage(key)]), now, error
        )


async def _find_run(context: ListenerContext, identifier: str) -> Run:
    """Fetch a run by its own id or by that of one of its results. Raises ZofError."""
    if identifier.startswith("run_"):
        return await context.zof.get_run(identifier)
    try:
        result = await context.zof.get_result(identifier)
    except ZofRejected as error:
        if error.status != 404 or identifier.startswith("res_"):
            raise
        return await context.zof.get_run(identifier)
    if result.run_id:
        return await context.zof.get_run(result.run_id)
    where = result.model_dump(include={"title", "project_id", "project_name", "environment", "ended", "started"})
    return Run(id=result.id, outcome=result.outcome, results=(result,), **where)


def _subscription_lines(explanation: Explanation, subscriptions: Iterable[Subscription]) -> list[SubscriptionLine]:
    by_id = {subscription.id: subscription for subscription in subscriptions}
    made = []
    for reason in explanation.reasons:
        its = by_id.get(reason.subscription, Subscription())
        default = reason.subscription == DEFAULT_SUBSCRIPTION
        made.append(
            SubscriptionLine(reason.answer, reason.reason_text, _filters_text(its), its.by_name, reason.until, default)
        )
    return made


def _filters_text(subscription: Subscription) -> str:
    """Format a subscription as typed, without the parts that apply only after the alert."""
    return filters_text(subscription.model_copy(update={"mention": (), "escalate": (), "reack": 0}))


async def _message_statuses(context: ListenerContext, explanation: Explanation, message: str) -> list[MessageStatus]:
    """Return the status of the known messages, including the alert in question."""
    parts = list(explanation.parts)
    if message not in ("", *explanation.storms, *(part.key for part in parts)):
        parts.append(CountedMessage(message))
    statuses = await _load_statuses(context, parts)
    storms = [CountedMessage(key) for key in explanation.storms[:MAX_STORMS_SHOWN]]
    statuses += await _load_statuses(context, storms, storm=True)
    if statuses or not explanation.perhaps:
        return statuses
    found = [
        status
        for status in await _load_statuses(context, [CountedMessage(key) for key in explanation.perhaps])
        if status.state
    ]
    return found or [MessageStatus()]


async def _load_statuses(
    context: ListenerContext, parts: Sequence[CountedMessage], *, storm: bool = False
) -> list[MessageStatus]:
    return [await _load_status(context, part, storm) for part in parts]


async def _load_status(context: ListenerContext, part: CountedMessage, storm: bool) -> MessageStatus:
    entry = await find_outbox_record(context, part.key)
    failure = await context.failures.get(part.key)
    if entry is None:
        return MessageStatus(joined=part.joined, storm=storm)
    held = await _waiting_reason(context, entry) if entry.state is NotificationState.PENDING else ""
    present = failure.present if failure else None
    unposted = failure is not None and failure.body.unposted and not failure.body.is_withdrawn
    return MessageStatus(
        entry.state,
        await find_permalink(context, entry),
        entry.reason,
        entry.attempts,
        held,
        present,
        part.joined,
        storm,
        unposted,
        failure.body if failure and isinstance(failure.body, StormPayload) and failure.body.by_cause else None,
    )


async def _waiting_reason(context: ListenerContext, entry: OutboxRecord) -> str:
    parked = next(
        (channel.reason for channel in await context.outbox.parked_channels() if channel.channel == entry.channel), ""
    )
    now = context.clock.time()
    quiet = entry.not_before if entry.not_before > now else 0.0
    mutes = active_mutes(read_mutes((await context.outbox.read_hashes(MUTES))[MUTES]), entry.channel, now)
    held = await context.outbox.read_fields(*((held_hash(mute.id), entry.key) for mute in mutes)) if mutes else ()
    muted = max((mute.until for mute, record in zip(mutes, held, strict=False) if record), default=0.0)
    return why.waiting_reason(
        parked=parked, paused=(await context.outbox.read_stats()).paused, muted=muted, quiet=quiet
    )
