"""What stands on App Homes: what Redis knows, read once for all who look, and each person's part of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from zofbot.access import Person, Role, role_of
from zofbot.errors import SlackError, StoreUnavailable
from zofbot.listeners.desk import Desk
from zofbot.notification import Receipt, State
from zofbot.pipeline import word
from zofbot.pipeline.failures import Failure, list_members, list_storms
from zofbot.pipeline.figures import Day
from zofbot.pipeline.memory import MUTES
from zofbot.routing import Subscription, spelled
from zofbot.routing.mute import Mute, read_mutes
from zofbot.slack.home import DEAD, ROWS, Dead, Health, Home, Part, Trouble, Wanted
from zofbot.slack.message import Block
from zofbot.slack.rounds import Row
from zofbot.slack.shelf import Shelf
from zofbot.store.entry import Depth, Entry
from zofbot.store.leases import Lease, Seen
from zofbot.triage import State as Stands

log = structlog.get_logger()

LATE = 3
"""Poll intervals after which Zof counts as not polled; the word of a turn comes with the next one."""

FOREVER = 30 * 86400.0
"""Seconds for which a message's link is kept: it never changes."""


@dataclass(frozen=True)
class Known:
    """What Redis knows, for all: the failures that are not closed, oldest first, and how the bot stands."""

    failures: Sequence[Failure] = ()
    subscriptions: Sequence[Subscription] = ()
    depth: Depth | None = None
    letters: Sequence[Entry] = ()
    poller: Seen | None = None
    mutes: Sequence[Mute] = ()
    trouble: str = ""
    """What is wrong with Redis; nothing else is known then."""


class Board:
    """Puts Homes together."""

    def __init__(self, desk: Desk, day: Day) -> None:
        self._desk, self._day = desk, day
        self._lease = Lease(desk.store.client, desk.store.namespace, word.NAME, 0, desk.clock)
        self._links = Shelf(self._link, desk.clock, fresh=FOREVER)

    async def known(self) -> Known:
        """Read what Redis knows."""
        desk = self._desk
        try:
            failures, subscriptions, depth, letters, poller, kept = await asyncio.gather(
                desk.failures.all(), desk.subscriptions.all(), desk.outbox.depth(),
                desk.outbox.list(State.DEAD, DEAD), self._lease.seen(),
                desk.outbox.hashes(MUTES),
            )  # fmt: skip
        except StoreUnavailable as error:
            return Known(trouble=error.sentence)
        standing = [one for one in failures if not one.present.state.closed]
        return Known(sorted(standing, key=_age), subscriptions, depth, letters, poller, mutes=read_mutes(kept[MUTES]))

    async def of(self, person: Person, known: Known, note: Sequence[Block] = ()) -> Home:
        """One person's Home: of failures those in their channels, and their own wherever everybody may look."""
        desk, role = self._desk, role_of(person, self._desk.roles)
        rooms = await desk.people.own(
            person,
            {one.channel for one in known.failures}
            | {one.channel for one in known.subscriptions}
            | {one.channel for one in known.mutes},
        )
        here = [one for one in known.failures if one.channel in (rooms or ())]
        waiting = [one for one in list_storms(here) if one.present.state is Stands.OPEN and not one.present.owner.id]
        theirs = [one for one in list_storms(known.failures) if one.present.owner.id == person.id]
        visible = await desk.people.visible(person, {one.channel for one in theirs})
        return Home(
            now=desk.clock.time(),
            figures=self._day.figures,
            open=len(list_members(here)),
            since=_age(waiting[0])[0] if waiting else None,
            mine=await self._part([one for one in theirs if one.channel in visible]),
            waiting=await self._part(waiting),
            wishes=[
                Wanted(one.id, one.channel, await desk.people.named(spelled(one)))
                for one in known.subscriptions
                if one.channel in (rooms or ())
            ],
            muted=[one for one in known.mutes if one.channel in (rooms or ()) and one.until > desk.clock.time()],
            health=self._health(known),
            rooms=rooms is not None,
            edits=role >= Role.RESPONDER,
            retries=role >= Role.ADMIN,
            links=desk.links,
            note=note,
            schedules=desk.catalog.named_schedules(),
        )

    async def _part(self, failures: Sequence[Failure]) -> Part:
        shown = failures[:ROWS]
        links = await asyncio.gather(*(self._linked(one) for one in shown))
        rows = [
            Row(one.title, one.body, one.present, link, one.channel) for one, link in zip(shown, links, strict=True)
        ]
        return Part(rows, len(failures))

    async def _linked(self, failure: Failure) -> str:
        """Where its alert stands; nothing while it is on its way, or when Slack does not say."""
        try:
            entry = await self._desk.outbox.show(failure.key)
            return (
                await self._links.get(f"{entry.receipt.channel} {entry.receipt.ts}") if entry and entry.receipt else ""
            )
        except (SlackError, StoreUnavailable) as error:
            log.info("no permalink", key=failure.key, error=type(error).__name__)
            return ""

    async def _link(self, place: str) -> str:
        return await self._desk.notifier.permalink(Receipt(*place.split()))

    def _health(self, known: Known) -> Health:
        zof, depth = self._day.trouble, known.depth
        asked = Trouble(zof.sentence, zof.request_id or "") if zof else None
        lacking = [Trouble(each.sentence, each.request_id or "") for each in self._desk.catalog.refused]
        if known.poller is None or depth is None:
            return Health(zof=asked, lacking=lacking, store=known.trouble)
        polled = word.read(known.poller.word)
        told = Trouble(polled.why, polled.request_id, polled.ill) if polled.ill else None
        late = self._desk.clock.time() - polled.well > LATE * self._desk.poll_interval
        letters = [Dead(one.key, one.channel, one.reason, one.committed) for one in known.letters]
        return Health(
            zof=asked or told, lacking=lacking, polled=polled.well, polling=known.poller.held, late=late,
            waiting=depth.pending + depth.sending - depth.scheduled, oldest=depth.oldest, parked=depth.parked,
            paused=depth.paused, dead=depth.dead, letters=letters,
        )  # fmt: skip


def _age(failure: Failure) -> tuple[float, str]:
    return failure.body.opened or failure.present.opened, failure.key
