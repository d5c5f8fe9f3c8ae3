"""``/zof triage``, ``/zof oncall`` and ``/zof handover``: the rounds of people on call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from zofbot.access import Role
from zofbot.listeners import sharing
from zofbot.listeners.desk import Asked, Desk
from zofbot.listeners.known import link, may, standing
from zofbot.pipeline.failures import Failure, list_members
from zofbot.pipeline.shifts import worked
from zofbot.routing import Subscription, spelled
from zofbot.slack import rounds
from zofbot.slack.message import Message
from zofbot.slack.rounds import Caller, Members, Row
from zofbot.triage.times import begun_at

log = structlog.get_logger()

PAGE = 10
NAMED = 20
"""Members of a user group that are named."""

USUAL = "12h"
"""How long a shift is where nobody says."""


async def open_failures(desk: Desk, who: Asked, scope: str, start: int = 0) -> Message:
    """What is open in this channel, what is ``mine``, or what is open in ``all`` channels. Raises ZofbotError.

    What a storm is made of is listed one by one, and the storm itself only where nothing else says that it is open.
    """
    standing_ = list_members(await desk.failures.all("" if scope else who.channel))
    found = [one for one in standing_ if not one.present.state.closed and (scope != "mine" or _has(who, one))]
    hidden = 0
    if scope:
        found, hidden = await _seen(desk, who, found)
    found.sort(key=lambda one: (one.body.opened or one.present.opened, one.key))
    start = min(start, max(len(found) - 1, 0) // PAGE * PAGE)
    shown = found[start : start + PAGE]
    links = await asyncio.gather(*(_link(desk, one) for one in shown))
    rows = [
        Row(one.title, one.body, one.present, link, one.channel if scope else "", bool(one.storm))
        for one, link in zip(shown, links, strict=True)
    ]
    return rounds.open_failures(rows, scope, (start, len(found)), desk.clock.time(), hidden)


def _has(who: Asked, failure: Failure) -> bool:
    return failure.present.owner.id == who.user


async def _seen(desk: Desk, who: Asked, found: Sequence[Failure]) -> tuple[list[Failure], int]:
    """Those that somebody may see, this channel's included, and how many others there are."""
    person = await desk.people.person(who.user)
    channels = await desk.people.visible(person, {one.channel for one in found} - {who.channel}) | {who.channel}
    seen = [one for one in found if one.channel in channels]
    return seen, len(found) - len(seen)


async def _link(desk: Desk, failure: Failure) -> str:
    entry = await standing(desk, failure.key)
    if entry is None and failure.storm:
        entry = await standing(desk, failure.storm)
    return await link(desk, entry)


async def on_call(desk: Desk, who: Asked) -> Message:
    """Whom the escalations of this channel would call now. Raises ZofbotError."""
    steps = [(one, step) for one in await desk.subscriptions.of(who.channel) for step in one.escalate]
    groups = sorted({identifier for _, step in steps for identifier in step.mention if identifier.startswith("S")})
    members = dict(zip(groups, await asyncio.gather(*(_members(desk, group) for group in groups)), strict=True))
    known = {group: names for group, names in members.items() if names is not None}
    callers = [
        Caller(step.after, step.mention, known, await desk.people.named(_filters(one)))
        for one, step in sorted(steps, key=lambda pair: pair[1].after)
    ]
    return rounds.on_call(callers)


def _filters(subscription: Subscription) -> str:
    return spelled(subscription.model_copy(update={"escalate": (), "reack": 0}))


async def _members(desk: Desk, group: str) -> Members | None:
    users = await desk.people.members(group)
    if users is None:
        return None
    people = await asyncio.gather(*(desk.people.person(user) for user in sorted(users)[:NAMED]))
    return Members(len(users), tuple(person.name for person in people))


async def handover(desk: Desk, who: Asked, words: str) -> Message:
    """Post in the channel how the shift went. Raises ZofbotError."""
    person = await may(desk, who, Role.RESPONDER, "post a handover")
    now = desk.clock.time()
    since = begun_at(words or USUAL, now, person.zone)
    told = worked(await desk.failures.all(who.channel), await desk.audit.read(since), who.channel, since)
    message = rounds.handover(told, person.name or who.name)
    link = await sharing.post(desk, who, message, f"handover:{who.request}")
    return rounds.handed_over(link, now - since)


def page(value: Mapping[str, object]) -> str:
    """The scope that a button of the list carries."""
    scope = value.get("scope")
    return scope if isinstance(scope, str) and scope in ("", "mine", "all") else ""
