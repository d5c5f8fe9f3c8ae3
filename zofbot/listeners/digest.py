"""``/zof digest``: set, end or show a channel's digest schedule, with a private preview."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from zofbot.clock import timeout
from zofbot.domain.errors import BadInput, ZofError
from zofbot.domain.model import Result, Run, utc_datetime
from zofbot.domain.permissions import Role
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.subscription.commands import ACK_SETTLE_SECONDS, request_hash
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.polling import time_window
from zofbot.polling.cursor import ListOrder
from zofbot.services.digest_report import DigestData, DueDigest, build_digest
from zofbot.services.shift_reports import shift_report_for
from zofbot.slack.views import channel_notes, digest_message, subscription_modal
from zofbot.slack.views.blocks import Message
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


async def answer_digest_command(desk: ListenerContext, who: Requester, words: str) -> Message:
    """Set the channel's digest, end it, or show its setting followed by a preview. Raises ZofbotError."""
    regular, last = await load_digest(desk.outbox, who.channel)
    if not words.strip():
        said = digest_message.setting_text(regular, _next_occurrence(desk, regular, last).at if regular else 0.0)
        desk.errands.start(_send_preview(desk, who, regular))
        return digest_message.setting_reply(said)
    person = await require_role(desk, who, Role.RESPONDER, "set this channel's digest")
    name = person.name or who.name
    if words.strip().lower() == "off":
        return await _end_digest(desk, replace(who, name=name), regular)
    rhythm = parse_schedule(words, iana_name(person.zone))
    made = DigestSetting(channel=who.channel, rhythm=rhythm, by=who.user, by_name=name, since=desk.clock.time())
    line = f"{made.by_name} set this channel's digest: {format_schedule(rhythm)} ({rhythm.zone})."
    await _save_setting(desk, replace(who, name=name), line, regular, made)
    return digest_message.digest_set_reply(
        made, _next_occurrence(desk, made, last).at, subscription_modal.channel_caution(who.room)
    )


async def _end_digest(desk: ListenerContext, who: Requester, regular: DigestSetting | None) -> Message:
    if regular is None:
        raise BadInput("This channel gets no digest.", "Nothing had to be done.", example="/zof digest daily 09:00")
    await _save_setting(
        desk,
        who,
        f"{who.name} ended this channel's digest, which was {format_schedule(regular.rhythm)}.",
        regular,
        None,
    )
    return digest_message.digest_ended_reply()


async def _save_setting(
    desk: ListenerContext, who: Requester, line: str, before: DigestSetting | None, after: DigestSetting | None
) -> None:
    """Store the setting, the note to the channel and the audit record in one transaction."""
    now = desk.clock.time()
    note = Notification(
        key=f"digest-set:{request_hash(who.request)}:{who.channel}", kind=NotificationKind.ROOT, channel=who.channel,
        body=channel_notes.note_payload(line), happened=now,
    )  # fmt: skip
    act = AuditRecord(
        at=now, act="digest", user=who.user, name=who.name, channel=who.channel, request=who.request,
        before=_format_setting(before), after=_format_setting(after),
    )  # fmt: skip
    changes = {DIGESTS_HASH: {who.channel: after.model_dump_json() if after else None}}
    await desk.outbox.commit([note], changes=changes, acts=[act.model_dump_json()])
    log.info("digest set", channel=who.channel, by=who.user, after=_format_setting(after))


def _format_setting(regular: DigestSetting | None) -> str:
    return f"{format_schedule(regular.rhythm)} {regular.rhythm.zone}" if regular else ""


def _next_occurrence(desk: ListenerContext, regular: DigestSetting, last: str) -> Occurrence:
    """Return the next digest's time; a day gets only one digest."""
    coming = next_occurrence(regular.rhythm, desk.clock.time())
    told = last == digest_key(regular.rhythm, coming.day, regular.channel)
    return next_occurrence(regular.rhythm, coming.at) if told else coming


async def _send_preview(desk: ListenerContext, who: Requester, regular: DigestSetting | None) -> None:
    """Send a preview of the digest, after the reply with the setting."""
    told, _ = await asyncio.gather(
        desk.run_safely(_build_preview(desk, who, regular)), desk.clock.sleep(ACK_SETTLE_SECONDS)
    )
    await desk.send_reply(who, told.message)


async def _build_preview(desk: ListenerContext, who: Requester, regular: DigestSetting | None) -> Message:
    """Build the digest for the period that ends now. Raises ZofbotError."""
    person = await desk.people.load_person(who.user)
    now = desk.clock.time()
    rhythm = regular.rhythm if regular else DigestSchedule(every="daily", minute=0, zone=iana_name(person.zone))
    standing = regular or DigestSetting(channel=who.channel, rhythm=rhythm)
    due = DueDigest(standing, "", period_bounds_until(rhythm, now))
    failures, acts = await desk.failures.list_failures(who.channel), await desk.audit.read_records(due.starts_at)
    own = await desk.subscriptions.list_for_channel(who.channel)
    found = await _read_listings(desk, due)
    return digest_message.digest_message(
        build_digest(due, found, shift_report_for(failures, acts, who.channel, due.starts_at), own),
        digest_message.PREVIEW_NOTE,
    )


async def _read_listings(desk: ListenerContext, due: DueDigest) -> DigestData:
    """Read Zof's listings back to the start of the digest, within the page limit and the timeout."""
    named: ListOrder | None = None if desk.list_order == "auto" else desk.list_order
    back = utc_datetime(due.starts_at)
    walk = time_window.start_window(due.ends_at, due.starts_at, named)
    runs: dict[str, Run] = {}
    results: dict[str, Result] = {}
    cut, trouble = False, None
    try:
        async with timeout(READ_TIMEOUT_SECONDS):
            cut = await time_window.read_window(desk.zof.list_runs(since=back, pages=MAX_PAGES), runs, walk, named)
            cut |= await time_window.read_window(
                desk.zof.list_results(since=back, pages=MAX_PAGES), results, walk, named
            )
    except TimeoutError:
        cut = True
    except ZofError as error:
        trouble = error
    return DigestData.from_listings(runs.values(), results.values(), due.ends_at, cut=cut, trouble=trouble)
