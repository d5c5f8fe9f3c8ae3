"""What a channel is told: asked for, listed, changed, tried and ended by the people in it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import structlog

from zofbot.access import Role
from zofbot.errors import BadInput
from zofbot.listeners import previewing
from zofbot.listeners.desk import Asked, Desk
from zofbot.listeners.known import may
from zofbot.notification import Kind, Notification
from zofbot.pipeline.memory import counted_in
from zofbot.routing import Broadcast, Subscription, parse, spelled
from zofbot.routing.rhythm import zone_of
from zofbot.routing.spelling import names_somebody
from zofbot.routing.subscription import MOST
from zofbot.slack import answers, foresight, lines, modals, text, trials
from zofbot.slack.answers import Listed
from zofbot.slack.message import Message
from zofbot.slack.people import Readers
from zofbot.store.audit import Entry

log = structlog.get_logger()

SETTLED = 0.5
"""Seconds until Slack has shown an acknowledgement: only then does another answer stand below it."""


SUBSCRIBE, CHANGE, END = "subscribe this channel", "change this subscription", "end this channel's subscriptions"
"""What is done here, as it follows "You cannot"."""


class Saved(NamedTuple):
    """How keeping a subscription went: ``standing`` is what is kept now, ``None`` where all was there already."""

    message: Message
    standing: Subscription | None = None


async def subscribe(desk: Desk, asked: Asked, wish: str) -> Message:
    """Keep a subscription as it was typed; the preview follows the answer. Raises ZofbotError."""
    ids = await known_ids(desk, asked.channel) if names_somebody(wish) else {}
    wanted = parse(wish, zone=await zone_name(desk, asked), ids=ids)
    saved = await save(desk, asked, wanted, name_of(asked.request))
    if saved.standing:
        desk.errands.start(preview(desk, asked, saved, after=SETTLED))
    return saved.message


async def zone_name(desk: Desk, asked: Asked) -> str:
    """The time zone in which somebody means their hours, by Slack's profile of them; UTC where that does not say."""
    return zone_of((await desk.people.person(asked.user)).zone)


async def known_ids(desk: Desk, channel: str) -> dict[str, str]:
    """The ids, by name, of user groups and of people whom any subscription mentions, this channel's first."""
    found = sorted(await desk.subscriptions.all(), key=lambda each: each.channel != channel)
    return await desk.people.ids(identifier for each in found for identifier in each.mentioned)


async def save(desk: Desk, asked: Asked, wanted: Subscription, identifier: str, *, edits: bool = False) -> Saved:
    """Keep a subscription, in the place of the one with its id if there is one, and let the channel see who did it.

    With ``edits`` there has to be one. Its id and birth stay, so that nothing is told again. Raises ZofbotError.
    """
    person = await may(desk, asked, Role.RESPONDER, CHANGE if edits else SUBSCRIBE)
    asked = replace(asked, name=person.name or asked.name)
    standing = await desk.subscriptions.of(asked.channel)
    before = next((one for one in standing if one.id == identifier), None)
    for number, one in enumerate(standing, start=1):
        if spelled(one) == spelled(wanted):
            return Saved(answers.subscribed_already(number, await _shown(desk, one)))
    if missing := await desk.people.unknown(wanted.mentioned):
        raise BadInput(missing, "Name somebody else, or leave them out.", example="/zof help subscribe")
    if before:
        return await _change(desk, asked, wanted, before)
    if edits:
        raise _ended()
    return await _begin(desk, asked, wanted, identifier, len(standing))


async def _begin(desk: Desk, asked: Asked, wanted: Subscription, identifier: str, count: int) -> Saved:
    if count >= MOST:
        raise BadInput(
            f"This channel has {MOST} subscriptions already.", "End one first.", example="/zof subscriptions"
        )
    now = desk.clock.time()
    own = {"id": identifier, "channel": asked.channel, "by": asked.user, "by_name": asked.name, "created": now}
    subscription = wanted.model_copy(update=own)
    shown = await _shown(desk, subscription)  # asks Slack, so before anything is stored that has to be told
    await desk.subscriptions.add(subscription)
    log.info("subscribed", id=subscription.id, channel=asked.channel, by=asked.user)
    line = f"{asked.name} subscribed this channel to {shown}."
    act = _entry(desk, asked, "subscribe", after=subscription)
    await _say(desk, asked, f"subscribed:{subscription.id}:{asked.channel}", line, act)
    return Saved(_answer(asked, subscription, shown), subscription)


async def _change(desk: Desk, asked: Asked, wanted: Subscription, before: Subscription) -> Saved:
    own = before.model_dump(include={"id", "channel", "by", "by_name", "created"})
    subscription = wanted.model_copy(update=own)
    old, new = await _shown(desk, before), await _shown(desk, subscription)
    if not await desk.subscriptions.replace(subscription):
        raise _ended()
    log.info("subscription changed", id=subscription.id, channel=asked.channel, by=asked.user)
    line = f"{asked.name} changed this channel's subscription from {old} to {new}."
    act = _entry(desk, asked, "change subscription", before, subscription)
    await _say(desk, asked, f"changed:{name_of(asked.request)}:{asked.channel}", line, act)
    return Saved(_answer(asked, subscription, new, changed=True), subscription)


async def preview(desk: Desk, asked: Asked, saved: Saved, *, after: float = 0.0) -> None:
    """Have the preview follow the answer, no sooner than ``after`` so many seconds."""
    if saved.standing:
        said, readers, _ = await asyncio.gather(
            previewing.said(desk, saved.standing), desk.people.readers(asked.channel), desk.clock.sleep(after)
        )
        caution = foresight.READ_ALONG if readers is Readers.SHARED else foresight.READERS_UNKNOWN
        await desk.respond(asked, answers.foreseen(said, "" if desk.details or readers is Readers.OURS else caution))


async def listed(desk: Desk, asked: Asked, start: int = 0, *, note: str = "") -> Message:
    """The channel's subscriptions, numbered, from ``start`` on. Raises StoreUnavailable."""
    found = await desk.subscriptions.of(asked.channel)
    rows = [Listed(one.id, await _shown(desk, one), one.by_name, one.created) for one in found]
    return answers.subscriptions(rows, start, note=note)


async def unsubscribe(desk: Desk, asked: Asked, which: str) -> Message:
    """End one subscription of the channel, by its number, or all. Raises ZofbotError."""
    person = await may(desk, asked, Role.RESPONDER, END)
    found = await desk.subscriptions.of(asked.channel)
    if not found:
        raise BadInput("This channel has no subscription.", "Make one first.", example="/zof subscribe")
    if which != "all" and int(which) > len(found):
        raise BadInput(
            f"There is no subscription {which} here.", f"They go up to {len(found)}.", example="/zof subscriptions"
        )
    ended = found if which == "all" else [found[int(which) - 1]]
    await _end(desk, replace(asked, name=person.name or asked.name), ended)
    return answers.unsubscribed(len(ended))


async def remove(desk: Desk, asked: Asked, identifier: str) -> Message:
    """End one subscription of the channel, by its id, and show what is left. Raises ZofbotError."""
    person = await may(desk, asked, Role.RESPONDER, END)
    ended = await find(desk, asked, identifier)
    await _end(desk, replace(asked, name=person.name or asked.name), [ended])
    return await listed(desk, asked, note=f"✅ Ended: {text.code(await _shown(desk, ended), 1500)}")


async def try_out(desk: Desk, asked: Asked, identifier: str) -> Message:
    """Send the channel a test alert like those of a subscription, once for each press. Raises ZofbotError."""
    person = await may(desk, asked, Role.RESPONDER, "send a test alert")
    subscription, now = await find(desk, asked, identifier), desk.clock.time()
    body = trials.body(subscription, person.name or asked.name, now)
    await desk.outbox.commit([_note(desk, asked, f"test:{name_of(asked.request)}:{asked.channel}", body)])
    log.info("test alert", id=identifier, channel=asked.channel, by=asked.user)
    return answers.tested()


async def find(desk: Desk, asked: Asked, identifier: str) -> Subscription:
    """One of the channel's subscriptions. Raises BadInput when it has ended, or StoreUnavailable."""
    for one in await desk.subscriptions.of(asked.channel):
        if one.id == identifier:
            return one
    raise _ended()


async def _end(desk: Desk, asked: Asked, ended: Sequence[Subscription]) -> None:
    said = "; ".join([await _shown(desk, one) for one in ended[:5]])
    if not await desk.subscriptions.remove(*(one.id for one in ended)):
        raise _ended()
    log.info("unsubscribed", ids=[one.id for one in ended], channel=asked.channel, by=asked.user)
    line = f"{asked.name} ended this channel's subscription to {said}."
    counted = await desk.outbox.hashes(*(counted_in(one) for one in ended))  # what their after: has counted goes, too
    await _say(
        desk, asked, f"unsubscribed:{name_of(asked.request)}:{asked.channel}", line,
        *(_entry(desk, asked, "unsubscribe", before=one) for one in ended),
        forget={name: dict.fromkeys(fields) for name, fields in counted.items() if fields},
    )  # fmt: skip


def _ended() -> BadInput:
    return BadInput("That subscription has ended meanwhile.", "See which there are.", example="/zof subscriptions")


async def _say(
    desk: Desk, asked: Asked, key: str, line: str, *acts: Entry, forget: Mapping[str, Mapping[str, None]] | None = None
) -> None:
    """Put one line into the channel, through the outbox like every message that all can see, and into the audit."""
    note = _note(desk, asked, key, lines.body(line))
    await desk.outbox.commit([note], changes=forget, acts=[one.model_dump_json() for one in acts])


def _note(desk: Desk, asked: Asked, key: str, body: dict[str, object]) -> Notification:
    now = desk.clock.time()
    return Notification(key=key, kind=Kind.ROOT, channel=asked.channel, body=body, happened=now)


def _entry(
    desk: Desk, asked: Asked, act: str, before: Subscription | None = None, after: Subscription | None = None
) -> Entry:
    return Entry(
        at=desk.clock.time(), act=act, user=asked.user, name=asked.name, channel=asked.channel,
        key=(after or before or Subscription()).id, before=_wish(before) if before else "",
        after=_wish(after) if after else "", request=asked.request,
    )  # fmt: skip


def _answer(asked: Asked, subscription: Subscription, shown: str, *, changed: bool = False) -> Message:
    notes = [modals.caution(asked.room), answers.THREAD_ALONE if Broadcast.NEVER in subscription.broadcast else ""]
    return answers.subscribed(shown, subscription.id, "\n".join(filter(None, notes)), changed=changed)


def name_of(request: str) -> str:
    """A name that a repeat of the request has as well, so that it makes no second subscription and no second line."""
    return hashlib.blake2s(request.encode(), digest_size=6).hexdigest()


async def _shown(desk: Desk, subscription: Subscription) -> str:
    return await desk.people.named(_wish(subscription))


def _wish(subscription: Subscription) -> str:
    return spelled(subscription) or "all failures"
