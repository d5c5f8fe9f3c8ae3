"""``/zof triage``, ``/zof oncall`` and ``/zof handover``, for people on call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from zofbot.domain.permissions import Membership, Role
from zofbot.listeners import share
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import check_channel, find_outbox_record, find_permalink, require_role
from zofbot.listeners.triage.triage_actions import perform_action
from zofbot.services.failures import Failure
from zofbot.services.shift_reports import shift_report_for
from zofbot.services.triage import without_split_storms
from zofbot.slack.views import oncall
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.oncall import FailureRow, GroupSummary, HiddenFailures, OnCallStep
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.subscriptions import Subscription, format_filters
from zofbot.triage import Action, TriageState
from zofbot.triage.wake_times import parse_start_time

log = structlog.get_logger()

ROWS_PER_PAGE = 10
MAX_MEMBERS_NAMED = 20
"""Maximum members of a user group listed by name."""

DEFAULT_SHIFT = "12h"
"""Default length of a shift."""


async def find_open_failures(
    context: ListenerContext, requester: Requester, scope: str
) -> tuple[list[Failure], HiddenFailures]:
    """Return the open failures of a scope that the person may see, oldest first, and which are hidden.

    Members of a storm are listed individually; the storm itself is listed only if none of its members is open.
    Raises ZofbotError.
    """
    failures = without_split_storms(await context.failures.list_failures("" if scope else requester.channel))
    found = [
        item
        for item in failures
        if not item.present.state.is_closed and (scope != "mine" or _is_owner(requester, item))
    ]
    hidden = HiddenFailures()
    if scope:
        found, hidden = await _visible_failures(context, requester, found)
    found.sort(key=lambda item: (item.body.opened or item.present.opened, item.key))
    return found, hidden


async def list_open_failures(context: ListenerContext, requester: Requester, scope: str, start: int = 0) -> Message:
    """List open failures of this channel, those that are ``mine``, or those of ``all`` channels. Raises ZofbotError."""
    found, hidden = await find_open_failures(context, requester, scope)
    start = min(start, max(len(found) - 1, 0) // ROWS_PER_PAGE * ROWS_PER_PAGE)
    shown = found[start : start + ROWS_PER_PAGE]
    links = await asyncio.gather(*(_alert_link(context, item) for item in shown))
    rows = [
        FailureRow(
            item.title,
            item.body,
            item.present,
            link,
            item.channel if scope else "",
            bool(item.storm),
            item.key if item.channel == requester.channel else "",
        )
        for item, link in zip(shown, links, strict=True)
    ]
    return oncall.open_failures_card(rows, scope, (start, len(found)), context.clock.time(), hidden)


async def acknowledge_row(context: ListenerContext, requester: Requester, value: Mapping[str, object]) -> Message:
    """Acknowledge a listed failure and return the list again, or the reason why not. Raises ZofbotError."""
    about = FailureRef(str(value.get("key") or ""), str(value.get("version") or ""))
    refusal = await acknowledge_failure(context, requester, about)
    if refusal:
        return refusal
    start = value.get("from")
    return await list_open_failures(context, requester, page_scope(value), start if isinstance(start, int) else 0)


async def acknowledge_failure(context: ListenerContext, requester: Requester, about: FailureRef) -> Message | None:
    """Acknowledge a listed failure; returns the refusal, None if the person has it now. Raises ZofbotError."""
    check_channel(about.key, requester.channel)
    reply = await perform_action(context, requester, about, Action.ACKNOWLEDGE)
    failure = await context.failures.get(about.key)
    is_theirs = failure and _is_owner(requester, failure) and failure.present.state is TriageState.ACKNOWLEDGED
    return None if is_theirs else reply


def _is_owner(requester: Requester, failure: Failure) -> bool:
    return failure.present.owner.id == requester.user


async def _visible_failures(
    context: ListenerContext, requester: Requester, found: Sequence[Failure]
) -> tuple[list[Failure], HiddenFailures]:
    """Return the failures that a person may see, including this channel's, and which are hidden."""
    person = await context.people.load_person(requester.user)
    others = {item.channel for item in found} - {requester.channel}
    joined = await context.people.joined_channels(person, others)
    channels = await context.people.visible_channels(person, others) | {requester.channel}
    seen = [item for item in found if item.channel in channels]
    doubt = joined is None or person.membership is Membership.UNKNOWN
    return seen, HiddenFailures(len(found) - len(seen), doubt)


async def _alert_link(context: ListenerContext, failure: Failure) -> str:
    entry = await find_outbox_record(context, failure.key)
    if entry is None and failure.storm:
        entry = await find_outbox_record(context, failure.storm)
    return await find_permalink(context, entry)


async def show_on_call(context: ListenerContext, requester: Requester) -> Message:
    """Show whom the escalations of this channel would mention now. Raises ZofbotError."""
    steps = [
        (item, step)
        for item in await context.subscriptions.list_for_channel(requester.channel)
        for step in item.escalate
    ]
    groups = sorted({identifier for _, step in steps for identifier in step.mention if identifier.startswith("S")})
    members = dict(
        zip(groups, await asyncio.gather(*(_group_summary(context, group) for group in groups)), strict=True)
    )
    known = {group: names for group, names in members.items() if names is not None}
    callers = [
        OnCallStep(step.after, step.mention, known, await context.people.names.with_names(_filters_text(each_step)))
        for each_step, step in sorted(steps, key=lambda pair: pair[1].after)
    ]
    return oncall.on_call_card(callers)


def _filters_text(subscription: Subscription) -> str:
    return format_filters(subscription.model_copy(update={"escalate": (), "reack": 0}))


async def _group_summary(context: ListenerContext, group: str) -> GroupSummary | None:
    users = await context.people.group_members(group)
    if users is None:
        return None
    people = await asyncio.gather(*(context.people.load_person(user) for user in sorted(users)[:MAX_MEMBERS_NAMED]))
    return GroupSummary(len(users), tuple(person.name for person in people))


async def post_handover(context: ListenerContext, requester: Requester, words: str) -> Message:
    """Post a shift report in the channel. Raises ZofbotError."""
    person = await require_role(context, requester, Role.RESPONDER, "post a handover")
    now = context.clock.time()
    since = parse_start_time(words or DEFAULT_SHIFT, now, person.zone)
    report = shift_report_for(
        await context.failures.list_failures(requester.channel),
        await context.audit.read_records(since),
        requester.channel,
        since,
    )
    message = oncall.handover_card(report, person.name or requester.name)
    link = await share.post_card(context, requester, message, f"handover:{requester.request}")
    return oncall.handover_reply(link, now - since)


def page_scope(value: Mapping[str, object]) -> str:
    """Return the scope from a paging button's value."""
    scope = value.get("scope")
    return scope if isinstance(scope, str) and scope in ("", "mine", "all") else ""
