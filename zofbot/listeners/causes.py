"""``/zof causes`` and ``/zof cause``: what a channel's failures come from, and what that costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zofbot.alerting.history.cause_memory import recall_cause
from zofbot.alerting.state import causes_hash
from zofbot.domain.durations import try_parse_duration
from zofbot.domain.errors import BadInput
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import find_outbox_record, find_permalink
from zofbot.notifications.past_causes import PastCause
from zofbot.notifications.storm_payloads import StormPayload
from zofbot.services.cause_costs import (
    DEFAULT_PERIOD_SECONDS,
    MAX_PERIOD_SECONDS,
    CauseCost,
    compute_costs,
    find_cost,
)
from zofbot.services.failures import Failure
from zofbot.slack.views import causes
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.causes import MAX_ALERTS_SHOWN, CauseHistory, CauseRow
from zofbot.slack.views.oncall import FailureRow
from zofbot.slack.views.run_list import ROWS_PER_PAGE
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.slack.views.triage.triage_controls import CardOptions


async def list_causes(context: ListenerContext, requester: Requester, typed: str, start: int = 0) -> Message:
    """List the causes of this channel's failures in a period (``7d``), most failures first. Raises ZofbotError."""
    period = parse_period(typed)
    found = await _load_costs(context, requester.channel, period)
    start = min(start, max(len(found) - 1, 0) // ROWS_PER_PAGE * ROWS_PER_PAGE)
    rows = [cause_row(cost) for cost in found[start : start + ROWS_PER_PAGE]]
    return causes.cause_list(rows, (start, len(found)), period)


async def show_cause(context: ListenerContext, requester: Requester, typed: str) -> Message:
    """Show one cause of this channel, by its id or a unique part of it. Raises ZofbotError."""
    cost = find_cost(await _load_costs(context, requester.channel, MAX_PERIOD_SECONDS), typed)
    if cost is None:
        return causes.cause_unknown_reply(typed)
    shown = await _load_messages(context, cost.alerts)
    alerts = sorted(shown, key=lambda alert: alert.present.state.is_closed)[:MAX_ALERTS_SHOWN]
    links = await asyncio.gather(*(_alert_link(context, alert.key) for alert in alerts))
    rows = [
        FailureRow(alert.title, alert.body, alert.present, link, storm=bool(alert.storm))
        for alert, link in zip(alerts, links, strict=True)
    ]
    latest = alerts[0]
    about = None if latest.present.state.is_closed else FailureRef(latest.key, latest.present.card_version)
    offers = CardOptions(escalate=bool(latest.body.policy.escalate), run_id=latest.body.run.id)
    past = await _load_past(context, requester.channel, cost)
    history = CauseHistory(cause_row(cost), past, rows, about, offers)
    return causes.cause_card(history, context.clock.time())


def cause_row(cost: CauseCost, channel: str = "") -> CauseRow:
    """Return a cause as a row of a list; ``channel`` is set in a list over several channels."""
    return CauseRow(
        signature=cost.signature,
        example=cost.example,
        failures=cost.failures,
        alerts=len(cost.alerts),
        open=cost.open_count,
        seconds=cost.seconds,
        projects=cost.projects,
        channel=channel,
    )


def parse_period(typed: str) -> int:
    """Parse the period as seconds, 7 days if nothing is typed. Raises BadInput."""
    period = try_parse_duration(typed) if typed else DEFAULT_PERIOD_SECONDS
    if period is None or not 60 <= period <= MAX_PERIOD_SECONDS:
        sentence = "That isn't a duration." if period is None else "Failures are kept for 38 days."
        raise BadInput(sentence, "Name a time from `1m` to `38d`.", example="/zof causes 7d")
    return period


async def _load_costs(context: ListenerContext, channel: str, period: int) -> list[CauseCost]:
    now = context.clock.time()
    failures: Sequence[Failure] = await context.failures.list_failures(channel)
    return compute_costs(failures, now - period, now)


async def _load_messages(context: ListenerContext, alerts: Sequence[Failure]) -> list[Failure]:
    """Return what people triage for these alerts: themselves, and for those of ``group:cause`` the cause's message."""
    storms = await context.failures.list_by_keys(sorted({alert.storm for alert in alerts if alert.storm}))
    causes = {each.key: each for each in storms if isinstance(each.body, StormPayload) and each.body.by_cause}
    shown = [causes.get(alert.storm, alert) for alert in alerts]
    return list({each.key: each for each in shown}.values())


async def _load_past(context: ListenerContext, channel: str, cost: CauseCost) -> list[tuple[str, PastCause]]:
    """Return what is remembered of a cause in each of its projects, with links to where it was resolved."""
    names = {causes_hash(key, cost.signature): project for key, project in cost.projects_by_key.items()}
    stored = await context.outbox.read_hashes(*names) if names else {}
    found = [
        (names[name], past.for_channel(channel))
        for name, fields in stored.items()
        if (past := recall_cause(fields, cost.signature))
    ]
    return [(project, await _with_link(context, past)) for project, past in found]


async def _with_link(context: ListenerContext, past: PastCause) -> PastCause:
    if past.resolved is None or not past.resolved.alert:
        return past
    link = await _alert_link(context, past.resolved.alert)
    return past.model_copy(update={"resolved": past.resolved.model_copy(update={"link": link})})


async def _alert_link(context: ListenerContext, key: str) -> str:
    return await find_permalink(context, await find_outbox_record(context, key))
