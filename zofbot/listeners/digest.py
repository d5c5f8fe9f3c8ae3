"""``/zof digest``: set, end or show a channel's digest schedule, with a private preview."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

import structlog

from zofbot.clock import timeout
from zofbot.domain.errors import BadInput, ZofError, ZofRejected, ZofUnreadable
from zofbot.domain.model import Result, Run, utc_datetime
from zofbot.domain.permissions import Role
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.subscription.notes import request_hash
from zofbot.listeners.subscription.saving import ACK_SETTLE_SECONDS
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.polling import time_window
from zofbot.polling.cursor import ListingName
from zofbot.services.digest_causes import add_causes
from zofbot.services.digest_report import DigestData, DueDigest, build_digest
from zofbot.services.shift_reports import shift_report_for
from zofbot.slack.views import channel_notes, digest_message
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.subscription_form import modal
from zofbot.store.audit import AuditRecord
from zofbot.store.digests import DIGESTS_HASH, load_digest
from zofbot.subscriptions.digest_schedule import (
    DigestSchedule,
    DigestSetting,
    Occurrence,
    digest_key,
    format_schedule,
    iana_name,
    next_occurrence,
    parse_schedule,
    period_bounds_until,
)
from zofbot.zof.client import TimeBudget

log = structlog.get_logger()

MAX_PAGES = 10
"""Maximum pages of each listing to read for a preview."""

READ_TIMEOUT_SECONDS = TimeBudget.FOLLOW_UP.seconds


async def answer_digest_command(context: ListenerContext, requester: Requester, words: str) -> Message:
    """Set the channel's digest, end it, or show its setting followed by a preview. Raises ZofbotError."""
    setting, last = await load_digest(context.outbox, requester.channel)
    if not words.strip():
        said = digest_message.setting_text(setting, _next_occurrence(context, setting, last).at if setting else 0.0)
        context.background_tasks.start(_send_preview(context, requester, setting))
        return digest_message.setting_reply(said)
    person = await require_role(context, requester, Role.RESPONDER, "set this channel's digest")
    name = person.name or requester.name
    if words.strip().lower() == "off":
        return await _end_digest(context, replace(requester, name=name), setting)
    rhythm = parse_schedule(words, iana_name(person.zone))
    made = DigestSetting(
        channel=requester.channel, rhythm=rhythm, by=requester.user, by_name=name, since=context.clock.time()
    )
    line = f"{made.by_name} scheduled this channel's digest: {format_schedule(rhythm)} ({rhythm.zone})."
    await _save_setting(context, replace(requester, name=name), line, setting, made)
    return digest_message.digest_set_reply(
        made, _next_occurrence(context, made, last).at, modal.channel_caution(requester.room)
    )


async def _end_digest(context: ListenerContext, requester: Requester, setting: DigestSetting | None) -> Message:
    if setting is None:
        raise BadInput("No digest in this channel.", "Nothing to stop.", example="/zof digest daily 09:00")
    await _save_setting(
        context,
        requester,
        f"{requester.name} stopped this channel's digest ({format_schedule(setting.rhythm)}).",
        setting,
        None,
    )
    return digest_message.digest_ended_reply()


async def _save_setting(
    context: ListenerContext, requester: Requester, line: str, before: DigestSetting | None, after: DigestSetting | None
) -> None:
    """Store the setting, the note to the channel and the audit record in one transaction."""
    now = context.clock.time()
    note = Notification(
        key=f"digest-set:{request_hash(requester.request)}:{requester.channel}", kind=NotificationKind.ROOT,
        channel=requester.channel, body=channel_notes.note_payload(line), happened=now,
    )  # fmt: skip
    act = AuditRecord(
        at=now, act="digest", user=requester.user, name=requester.name, channel=requester.channel,
        request=requester.request, before=_format_setting(before), after=_format_setting(after),
    )  # fmt: skip
    changes = {DIGESTS_HASH: {requester.channel: after.model_dump_json() if after else None}}
    await context.outbox.commit([note], changes=changes, acts=[act.model_dump_json()])
    log.info("digest set", channel=requester.channel, by=requester.user, after=_format_setting(after))


def _format_setting(setting: DigestSetting | None) -> str:
    return f"{format_schedule(setting.rhythm)} {setting.rhythm.zone}" if setting else ""


def _next_occurrence(context: ListenerContext, setting: DigestSetting, last: str) -> Occurrence:
    """Return the next digest's time; a day gets only one digest."""
    coming = next_occurrence(setting.rhythm, context.clock.time())
    is_sent = last == digest_key(setting.rhythm, coming.day, setting.channel)
    return next_occurrence(setting.rhythm, coming.at) if is_sent else coming


async def _send_preview(context: ListenerContext, requester: Requester, setting: DigestSetting | None) -> None:
    """Send a preview of the digest, after the reply with the setting."""
    reply, _ = await asyncio.gather(
        context.run_safely(_build_preview(context, requester, setting)), context.clock.sleep(ACK_SETTLE_SECONDS)
    )
    await context.send_reply(requester, reply.message)


async def _build_preview(context: ListenerContext, requester: Requester, regular: DigestSetting | None) -> Message:
    """Build the digest for the period that ends now. Raises ZofbotError."""
    person = await context.people.load_person(requester.user)
    now = context.clock.time()
    rhythm = regular.rhythm if regular else DigestSchedule(every="daily", minute=0, zone=iana_name(person.zone))
    setting = regular or DigestSetting(channel=requester.channel, rhythm=rhythm)
    due = DueDigest(setting, "", period_bounds_until(rhythm, now))
    failures, acts = (
        await context.failures.list_failures(requester.channel),
        await context.audit.read_records(due.starts_at),
    )
    own = await context.subscriptions.list_for_channel(requester.channel)
    found = await _read_listings(context, due)
    body = build_digest(due, found, shift_report_for(failures, acts, requester.channel, due.starts_at), own)
    return digest_message.digest_message(add_causes(body, failures, requester.channel), digest_message.PREVIEW_NOTE)


async def _read_listings(context: ListenerContext, due: DueDigest) -> DigestData:
    """Read Zof's listings back to the start of the digest, within the page limit and the timeout."""
    back = utc_datetime(due.starts_at)
    order = context.settings.list_order
    cursor = time_window.start_window(due.ends_at, due.starts_at, order)
    runs: dict[str, Run] = {}
    results: dict[str, Result] = {}
    cut: set[ListingName] = {"runs", "results"}
    trouble: ZofError | None = None

    async def read(noun: ListingName, reading: Awaitable[bool]) -> None:
        nonlocal trouble
        try:
            is_cut = await reading
        except (ZofRejected, ZofUnreadable) as error:  # the other listing may be read nevertheless
            is_cut, trouble = False, error
        if not is_cut:
            cut.remove(noun)

    run_pages = context.zof.list_runs(since=back, pages=MAX_PAGES)
    result_pages = context.zof.list_results(since=back, pages=MAX_PAGES)
    try:
        async with timeout(READ_TIMEOUT_SECONDS):
            await read("runs", time_window.read_window(run_pages, runs, cursor, order))
            await read("results", time_window.read_window(result_pages, results, cursor, order))
    except TimeoutError:
        log.info("digest preview incomplete", cut=sorted(cut))
    except ZofError as error:
        trouble = error
    return DigestData.from_listings(runs.values(), results.values(), due.ends_at, cut=cut, trouble=trouble)
