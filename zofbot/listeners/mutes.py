"""``/zof mute`` and ``/zof unmute``: suppress a channel's matching alerts for a while."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import structlog

from zofbot.alerting.catch_up_entries import reschedule_entries
from zofbot.alerting.holds import due_time
from zofbot.alerting.state import MUTES, HashChanges, catch_up_hash, held_hash
from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import BadInput
from zofbot.domain.permissions import Role
from zofbot.listeners.context import ListenerContext, Requester
from zofbot.listeners.failure_lookup import require_role
from zofbot.listeners.lookups import suggest_projects
from zofbot.listeners.subscription.notes import request_hash
from zofbot.notifications import payload_parts
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.notifications.text import describe_duration
from zofbot.slack.views import channel_notes, mutes
from zofbot.slack.views.blocks import Message
from zofbot.store.audit import AuditRecord
from zofbot.store.outbox import CommitConflict
from zofbot.subscriptions.mute import FILTERS, Mute, active_mutes, read_mutes
from zofbot.subscriptions.mute_reading import read_filters, read_mute
from zofbot.subscriptions.tokenizer import split_words

log = structlog.get_logger()

MUTE, UNMUTE = "mute alerts in this channel", "unmute alerts in this channel"
"""Descriptions of the attempts, to follow "You can't"."""

MAX_MUTES = 20
"""Maximum active mutes per channel."""

KEPT_SECONDS = 86400.0
"""Seconds that a mute is kept after its end."""


async def mute(context: ListenerContext, requester: Requester, typed: str) -> Message:
    """Create a mute, or change the end of the one with the same filters; a repeated request changes nothing.

    Raises ZofbotError.
    """
    person = await require_role(context, requester, Role.RESPONDER, MUTE)
    wish, request = read_mute(typed), request_hash(requester.request)
    while True:
        now, known = context.clock.time(), await _records(context)
        own = active_mutes(read_mutes(known), requester.channel, now)
        filters = {name: getattr(wish.filters, name) for name in FILTERS}
        before = next((each for each in own if all(getattr(each, name) == filters[name] for name in FILTERS)), None)
        if await context.outbox.get_record(_key(requester, "mute")):
            return mutes.muted_reply(before) if before else mutes.already_done_reply()
        if before is None and len(own) >= MAX_MUTES:
            raise BadInput(
                f"This channel already has {MAX_MUTES} mutes.", "Remove one first.", example=f"{SLASH_COMMAND} unmute 1"
            )
        made = Mute(
            **filters, id=before.id if before else request, channel=requester.channel, until=now + wish.seconds,
            reason=payload_parts.clean_text(wish.reason, 200), by=requester.user, by_name=person.name or requester.name,
            created=before.created if before else now,
        )  # fmt: skip
        until = f"for {describe_duration(wish.seconds)}" + (f": {made.reason}" if made.reason else "")
        line = f"{made.by_name} muted {made.filters} in this channel {until}."
        try:
            await _commit(context, requester, "mute", line, {made.id: made}, known)
        except CommitConflict:
            continue
        log.info("muted", id=made.id, channel=requester.channel, by=requester.user, seconds=wish.seconds)
        return mutes.muted_reply(made, await suggest_projects(context, made.project))


async def unmute(context: ListenerContext, requester: Requester, which: str) -> Message:
    """End mutes of the channel early: by number, by filters, or all; without an argument, the only one.

    Alerts that they held back are sent at once, unless something else holds them back. Raises ZofbotError.
    """
    return await _end_mutes(context, requester, lambda own: _select_mutes(own, which))


async def end_mute(context: ListenerContext, requester: Requester, identifier: str) -> Message:
    """End one mute of the channel, by its id. Raises ZofbotError."""
    return await _end_mutes(context, requester, lambda own: _with_id(own, identifier))


async def _end_mutes(
    context: ListenerContext, requester: Requester, choose: Callable[[Sequence[Mute]], list[Mute]]
) -> Message:
    """End those of the channel's active mutes that ``choose`` returns. Raises ZofbotError."""
    person = await require_role(context, requester, Role.RESPONDER, UNMUTE)
    while True:
        if await context.outbox.get_record(_key(requester, "unmute")):
            return mutes.already_done_reply()
        known = await _records(context)
        ended = choose(active_mutes(read_mutes(known), requester.channel, context.clock.time()))
        said = channel_notes.join_filters([each.filters for each in ended])
        line = f"{person.name or requester.name} unmuted {said} in this channel."
        try:
            await _commit(context, requester, "unmute", line, dict.fromkeys((each.id for each in ended), None), known)
        except CommitConflict:
            continue
        log.info("unmuted", ids=[each.id for each in ended], channel=requester.channel, by=requester.user)
        return mutes.unmuted_reply(ended)


def _with_id(own: Sequence[Mute], identifier: str) -> list[Mute]:
    """Return the mute with the id. Raises BadInput if it has ended."""
    found = [each for each in own if each.id == identifier]
    if not found:
        raise BadInput(
            "That mute has already ended.", "List the current ones.", example=f"{SLASH_COMMAND} subscriptions"
        )
    return found


def _select_mutes(own: Sequence[Mute], which: str) -> list[Mute]:
    """Return the mutes selected by ``which``. Raises BadInput with a list of the active ones."""
    if not own:
        raise BadInput("No mutes in this channel.", "Mute something first.", example=f"{SLASH_COMMAND} mute env:qa 2h")
    typed = which.lower().removeprefix("#")
    if typed == "all" or (not typed and len(own) == 1):
        return list(own)
    if not typed:
        raise _selection_error(f"{len(own)} mutes are active here. Which one should end?", own)
    if typed.isdecimal():
        if not 1 <= int(typed[:5]) <= len(own):
            raise _selection_error(f"No mute number {typed[:5]} in this channel.", own)
        return [own[int(typed[:5]) - 1]]
    unknown = _selection_error("No such mute in this channel.", own)
    try:
        filters = read_filters(split_words(which))
    except BadInput:  # which advises a command that mutes
        raise unknown from None
    found = [each for each in own if all(getattr(each, name) == getattr(filters, name) for name in FILTERS)]
    if not found:
        raise unknown
    return found


def _selection_error(sentence: str, own: Sequence[Mute]) -> BadInput:
    numbered = ", ".join(f"{number}: `{each.filters}`" for number, each in enumerate(own, start=1))
    return BadInput(sentence, f"Give a number, or `all`. Active: {numbered}.", example=f"{SLASH_COMMAND} unmute 1")


async def _records(context: ListenerContext) -> dict[str, str]:
    return (await context.outbox.read_hashes(MUTES))[MUTES]


async def _commit(  # noqa: PLR0913, PLR0917  (what happened, in words and in records)
    context: ListenerContext,
    requester: Requester,
    act: str,
    line: str,
    changed: Mapping[str, Mute | None],
    known: Mapping[str, str],
) -> None:
    """Store changed mutes, delete ended ones (None), and reschedule what they hold back, in one transaction.

    Notifications that started to wait concurrently are rescheduled afterwards; an ended mute holds back no new ones.
    Raises CommitConflict.
    """
    now = context.clock.time()
    others = [each for each in read_mutes(known) if each.id not in changed]
    old = {each.id: None for each in others if each.until < now - KEPT_SECONDS}
    records = {name: each.model_dump_json(exclude_defaults=True) if each else None for name, each in changed.items()}
    left = {each.id: each for each in others} | {name: each for name, each in changed.items() if each}
    due, entries, read = await _reschedule(context, requester.channel, await _waiting(context, changed), left)
    note = Notification(
        key=_key(requester, act),
        kind=NotificationKind.ROOT,
        channel=requester.channel,
        body=channel_notes.note_payload(line),
        happened=now,
    )
    acts = [_entry(context, requester, act, name, (known.get(name, ""), records[name] or "")) for name in changed]
    await context.outbox.commit(
        [note], changes={MUTES: {**old, **records}, **entries},
        expect={MUTES: {name: known.get(name) for name in changed}, **read},
        acts=[each.model_dump_json() for each in acts], due=due,
    )  # fmt: skip
    ended = [name for name, each in changed.items() if each is None]
    while ended and (rest := await _waiting(context, ended)):
        done = {held_hash(name): dict.fromkeys(rest) for name in ended}
        due, entries, read = await _reschedule(context, requester.channel, rest, left)
        with suppress(CommitConflict):  # read again, as they are still waiting
            await context.outbox.commit([], changes={**done, **entries}, expect=read, due=due)


def _key(requester: Requester, act: str) -> str:
    """Return the key of the note to the channel; if that note exists, the request was carried out before."""
    return f"{act}d:{request_hash(requester.request)}:{requester.channel}"


async def _waiting(context: ListenerContext, names: Sequence[str] | Mapping[str, object]) -> dict[str, str]:
    """Return the notifications that wait for any of these mutes: key -> record of all that holds them back."""
    held = await context.outbox.read_hashes(*map(held_hash, names))
    return {key: record for records in held.values() for key, record in records.items()}


async def _reschedule(
    context: ListenerContext, channel: str, waiting: Mapping[str, str], left: Mapping[str, Mute]
) -> tuple[dict[str, float], HashChanges, HashChanges]:
    """Return when what waits is due, the channel's catch-up entries that change by this, and those as they were."""
    if not waiting:
        return {}, {}, {}
    subscriptions = {each.id: each for each in await context.subscriptions.list_all()}
    due = {key: due_time(record, context.clock.time(), left, subscriptions) for key, record in waiting.items()}
    name = catch_up_hash(channel)
    stored = (await context.outbox.read_hashes(name))[name]
    changed = reschedule_entries(stored, due)
    return due, {name: changed}, {name: {root: stored[root] for root in changed}}


def _entry(
    context: ListenerContext, requester: Requester, act: str, name: str, records: tuple[str, str]
) -> AuditRecord:
    """Build a mute's audit record; ``records`` are its JSON before and after."""
    before, after = map(_describe_record, records)
    return AuditRecord(
        at=context.clock.time(), act=act, user=requester.user, name=requester.name, channel=requester.channel, key=name,
        before=before, after=after, request=requester.request,
    )  # fmt: skip


def _describe_record(record: str) -> str:
    """Describe a mute for the audit log."""
    if not record:
        return ""
    found = Mute.model_validate_json(record)
    return f"{found.filters} until {found.until:.0f}" + (f": {found.reason}" if found.reason else "")
