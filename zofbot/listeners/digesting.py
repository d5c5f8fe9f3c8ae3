"""``/zof digest``: how often a channel is told how things went, set by the people in it, and a private preview."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from zofbot.access import Role
from zofbot.clock import timeout
from zofbot.errors import BadInput, ZofError
from zofbot.listeners.desk import Asked, Desk
from zofbot.listeners.known import may
from zofbot.listeners.subscribing import SETTLED, name_of
from zofbot.model import Result, Run, utc
from zofbot.notification import Kind, Notification
from zofbot.pipeline import window
from zofbot.pipeline.digest import Due, Read, digest
from zofbot.pipeline.feeds import Order
from zofbot.pipeline.shifts import worked
from zofbot.routing.rhythm import Occasion, Regular, Rhythm, edges_until, following, key, read, spelled, zone_of
from zofbot.slack import digests, lines, modals
from zofbot.slack.message import Message
from zofbot.store.audit import Entry
from zofbot.store.digests import DIGESTS, digest_of
from zofbot.zof.client import Patience

log = structlog.get_logger()

PAGES = 10
"""Pages of each listing that are read for a preview."""

SECONDS = Patience.FOLLOW_UP.seconds


async def asked(desk: Desk, who: Asked, words: str) -> Message:
    """Set the channel's digest, end it, or say how it stands, with a preview later. Raises ZofbotError."""
    regular, last = await digest_of(desk.outbox, who.channel)
    if not words.strip():
        said = digests.standing(regular, _next(desk, regular, last).at if regular else 0.0)
        desk.errands.start(_preview(desk, who, regular))
        return digests.waiting(said)
    person = await may(desk, who, Role.RESPONDER, "set this channel's digest")
    name = person.name or who.name
    if words.strip().lower() == "off":
        return await _end(desk, replace(who, name=name), regular)
    rhythm = read(words, zone_of(person.zone))
    made = Regular(channel=who.channel, rhythm=rhythm, by=who.user, by_name=name, since=desk.clock.time())
    line = f"{made.by_name} set this channel's digest: {spelled(rhythm)} ({rhythm.zone})."
    await _keep(desk, replace(who, name=name), line, regular, made)
    return digests.agreed(made, _next(desk, made, last).at, modals.caution(who.room))


async def _end(desk: Desk, who: Asked, regular: Regular | None) -> Message:
    if regular is None:
        raise BadInput("This channel gets no digest.", "Nothing had to be done.", example="/zof digest daily 09:00")
    await _keep(
        desk, who, f"{who.name} ended this channel's digest, which was {spelled(regular.rhythm)}.", regular, None
    )
    return digests.ended()


async def _keep(desk: Desk, who: Asked, line: str, before: Regular | None, after: Regular | None) -> None:
    """Keep the setting, say so in the channel and write it into the audit: one step."""
    now = desk.clock.time()
    note = Notification(
        key=f"digest-set:{name_of(who.request)}:{who.channel}", kind=Kind.ROOT, channel=who.channel,
        body=lines.body(line), happened=now,
    )  # fmt: skip
    act = Entry(
        at=now, act="digest", user=who.user, name=who.name, channel=who.channel, request=who.request,
        before=_said(before), after=_said(after),
    )  # fmt: skip
    changes = {DIGESTS: {who.channel: after.model_dump_json() if after else None}}
    await desk.outbox.commit([note], changes=changes, acts=[act.model_dump_json()])
    log.info("digest set", channel=who.channel, by=who.user, after=_said(after))


def _said(regular: Regular | None) -> str:
    return f"{spelled(regular.rhythm)} {regular.rhythm.zone}" if regular else ""


def _next(desk: Desk, regular: Regular, last: str) -> Occasion:
    """When the next one comes: the day that has had one has no second."""
    coming = following(regular.rhythm, desk.clock.time())
    told = last == key(regular.rhythm, coming.day, regular.channel)
    return following(regular.rhythm, coming.at) if told else coming


async def _preview(desk: Desk, who: Asked, regular: Regular | None) -> None:
    """Have what a digest would say now follow the setting."""
    told, _ = await asyncio.gather(desk.told(_made(desk, who, regular)), desk.clock.sleep(SETTLED))
    await desk.respond(who, told.message)


async def _made(desk: Desk, who: Asked, regular: Regular | None) -> Message:
    """The digest of the time that ends now. Raises ZofbotError."""
    person = await desk.people.person(who.user)
    now = desk.clock.time()
    rhythm = regular.rhythm if regular else Rhythm(every="daily", minute=0, zone=zone_of(person.zone))
    standing = regular or Regular(channel=who.channel, rhythm=rhythm)
    due = Due(standing, "", edges_until(rhythm, now))
    failures, acts = await desk.failures.all(who.channel), await desk.audit.read(due.since)
    own = await desk.subscriptions.of(who.channel)
    found = await _read(desk, due)
    return digests.message(digest(due, found, worked(failures, acts, who.channel, due.since), own), digests.PREVIEW)


async def _read(desk: Desk, due: Due) -> Read:
    """Read Zof's listings back to where the digest begins, as far as the page cap and somebody's patience allow."""
    named: Order | None = None if desk.list_order == "auto" else desk.list_order
    back = utc(due.since)
    walk = window.begun(due.until, due.since, named)
    runs: dict[str, Run] = {}
    results: dict[str, Result] = {}
    cut, trouble = False, None
    try:
        async with timeout(SECONDS):
            cut = await window.read(desk.zof.runs(since=back, pages=PAGES), runs, walk, named)
            cut |= await window.read(desk.zof.results(since=back, pages=PAGES), results, walk, named)
    except TimeoutError:
        cut = True
    except ZofError as error:
        trouble = error
    return Read.of(runs.values(), results.values(), due.until, cut=cut, trouble=trouble)
