"""Lookup of failures, their messages and permalinks, and permission checks."""

from __future__ import annotations

import structlog

from zofbot.alerting.causes import summarize_case
from zofbot.domain.errors import BadInput, NotAllowed, SlackError, StoreUnavailable, ZofRejected
from zofbot.domain.model import Outcome
from zofbot.domain.permissions import Membership, Person, Role, explain_refusal, role_of
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.idempotency import alert_key_of, split_key
from zofbot.notifications.notification import Receipt
from zofbot.notifications.payload_parts import RunSummary
from zofbot.observability import trace_recorder
from zofbot.services.failures import Failure, FailureExpired
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.store import audit
from zofbot.store.audit import REFUSED_ACTION
from zofbot.store.records import OutboxRecord
from zofbot.subscriptions import RunFinding

log = structlog.get_logger()


async def display_name(context: ListenerContext, requester: Requester) -> str:
    """Return a person's display name in Slack, or the name in the request if Slack does not answer.

    Commands contain handles and events contain ids, so request names are not consistent.
    """
    return (await context.people.load_person(requester.user)).name or requester.name


async def audit_refusal(context: ListenerContext, requester: Requester, tried: str, reason: str, key: str = "") -> None:
    """Write a refused attempt (``tried``) to the audit log, once per Slack request and failure."""
    entry = audit.AuditRecord(
        at=context.clock.time(),
        act=REFUSED_ACTION,
        user=requester.user,
        name=await display_name(context, requester),
        channel=requester.channel,
        key=key,
        details={"tried": tried, "reason": reason},
        request=requester.request,
    )
    try:
        if await context.store.claim_request(f"refused:{requester.request}:{key}"):
            await context.audit.append(entry)
    except StoreUnavailable as error:  # the refusal holds anyway
        log.error("refusal not in the audit", tried=tried, user=requester.user, cause=error.sentence)


async def require_role(
    context: ListenerContext, requester: Requester, needed: Role, tried: str, key: str = ""
) -> Person:
    """Return the person if they have the role; ``tried`` describes the attempt, to follow "you cannot".

    ``key`` is the failure concerned, if any. Raises NotAllowed with the reason, after writing it to the audit log.
    """
    person = await context.people.load_person(requester.user)
    reason = explain_refusal(needed, person, context.roles, tried)
    trace_recorder.record_step(
        "permission", f"needs {needed.name.lower()}", "refused" if reason else "granted", bad=bool(reason),
        has=role_of(person, context.roles).name.lower(), standing=person.membership.value,
    )  # fmt: skip
    if reason:
        await audit_refusal(context, requester, tried, f"needs the role {needed.name.lower()}", key)
        raise NotAllowed(reason)
    return person


async def require_reader(context: ListenerContext, requester: Requester, tried: str) -> None:
    """Check that a person may read more than the messages in their channel. All lookups use this check.

    Members and guests of this workspace may. People of other organizations may if the operator shows them details,
    and people whom Slack does not identify may in channels without external readers. ``tried`` follows "you cannot".
    Raises NotAllowed.
    """
    person = await context.people.load_person(requester.user)
    if person.membership in (Membership.MEMBER, Membership.GUEST):
        return
    if person.membership is Membership.UNKNOWN:
        if not await context.hides_details(requester.channel):
            return
        reason = f"Slack didn't say who you are, so you can't {tried}."
        reason = f"{reason} {person.doubt}".strip()
    elif person.membership is Membership.EXTERNAL and context.settings.zofbot_shared_details:
        return
    else:
        reason = f"You can't {tried} here. Only members of this workspace can."
    await audit_refusal(context, requester, tried, f"may not read here: {person.membership.value}")
    raise NotAllowed(reason)


async def require_visible(context: ListenerContext, requester: Requester, channel: str, tried: str) -> None:
    """Check that a person may see ``channel``: it is the request's channel, or one that is visible to them.

    ``tried`` follows "you cannot". Raises NotAllowed.
    """
    if channel == requester.channel:
        return
    if channel not in await context.people.visible_channels(
        await context.people.load_person(requester.user), [channel]
    ):
        await audit_refusal(context, requester, tried, f"is not in the channel {channel}")
        raise NotAllowed(f"You can't {tried}: you aren't in its channel, according to Slack.")


def check_channel(key: str, channel: str) -> None:
    """Raise BadInput if the failure belongs to another channel, or to this one before its id changed."""
    if split_key(key)[2] != channel:
        raise BadInput(
            "This failure is in another channel.",
            "Use the alert there. Alerts from before a channel got a new ID can no longer be used.",
        )


async def load_failure(context: ListenerContext, requester: Requester, about: FailureRef) -> Failure:
    """Load a failure, restoring it from Zof if it has expired. Raises FailureExpired if Zof has none, and ZofError."""
    failure = await context.failures.get(about.key)
    if failure is None and await restore_failure(context, requester, about):
        failure = await context.failures.get(about.key)
    if failure is None:
        raise FailureExpired(about.key)
    return failure


async def alert_key_at(context: ListenerContext, channel: str, ts: str) -> str:
    """Return the key of the failure whose message is at ``ts``; empty for any other message.

    Stored receipts are checked first, because Slack may allow only one read a minute. Raises SlackError.
    """
    own = await context.failures.alert_key_at(Receipt(channel, ts))
    return own or alert_key_of(await context.notifier.search.key_at(channel, ts), channel)


async def find_outbox_record(context: ListenerContext, key: str) -> OutboxRecord | None:
    """Return a message's outbox record; for a deleted message, the record of its replacement."""
    entry = await context.outbox.get_record(key)
    return await context.outbox.get_record(entry.replaced_by) if entry and entry.replaced_by else entry


async def find_permalink(context: ListenerContext, entry: OutboxRecord | None) -> str:
    """Return a message's permalink; empty if it is not sent yet or Slack does not answer."""
    if entry is None or entry.receipt is None:
        return ""
    try:
        return await context.notifier.fetch_permalink(entry.receipt)
    except SlackError as error:
        log.info("no permalink", key=entry.key, reason=error.reason)
        return ""


async def restore_failure(context: ListenerContext, requester: Requester, about: FailureRef) -> bool:
    """Rebuild an expired failure from Zof; returns False if Zof has it no more. Raises ZofError.

    The message of the request becomes the failure's card, so that later changes update it.
    """
    kind, identifier, channel = split_key(about.key)
    now = context.clock.time()
    try:
        if kind == "case":
            result = await context.zof.get_result(identifier)
            run = await context.zof.get_run(result.run_id) if result.run_id else None
            place = RunSummary.from_run(run, run.outcome) if run else RunSummary(id="")
            at = result.latest_time.timestamp() if result.latest_time else now
            body: RunAlertPayload | CaseAlertPayload = CaseAlertPayload(
                run=place, case=summarize_case(result, 1500), first=at, last=at, opened=at
            )
        elif kind == "run":
            run = await context.zof.get_run(identifier)
            at = run.latest_time.timestamp() if run.latest_time else now
            finding = RunFinding.from_results(run, run.results or (), otherwise=now)
            top = tuple(map(summarize_case, finding.failures[:3]))
            known = finding.outcome.is_bad or finding.passed_with_failures
            place = RunSummary.from_run(run, finding.outcome if known else Outcome.FAILED)
            body = RunAlertPayload(run=place, bad=finding.total, top=top, last=at, opened=at)
        else:
            return False
    except ZofRejected as error:
        if error.status != 404:
            raise
        log.info("failure not restored", key=about.key, cause=error.sentence, request_id=error.request_id)
        return False
    message = Receipt(channel, requester.message) if requester.message and channel == requester.channel else None
    await context.failures.restore_failure(about.key, body, message)
    return True
