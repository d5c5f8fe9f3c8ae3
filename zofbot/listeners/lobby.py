"""The lobby: the App Homes of everybody, each drawn when it is opened and for a while when something changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from zofbot.access import Standing
from zofbot.errors import SlackError, StoreUnavailable
from zofbot.listeners.board import Board, Known
from zofbot.listeners.desk import Desk
from zofbot.listeners.endings import unforeseen
from zofbot.pipeline.feeds import Order
from zofbot.pipeline.figures import Day
from zofbot.slack import home
from zofbot.slack.fallback import show_or_simplify
from zofbot.slack.message import Block
from zofbot.store.homes import Homes, Viewer

log = structlog.get_logger()

LOOK = 2.0
"""Seconds between two looks whether a Home shows what has passed."""

ABSENT = 5.0
"""The same while Redis does not answer."""

AT_ONCE = 4
"""Homes drawn at the same time."""

PATIENCE = 3.0
"""Seconds that a Home waits for Zof's figures before it is drawn without them."""

TRIES = 3
"""How often somebody's Home is drawn because another was published meanwhile; the last one asks for no version."""


class Lobby:
    """The Homes of everybody: whoever opens theirs sees it kept up to date for a while, by one process each time."""

    def __init__(self, desk: Desk) -> None:
        order: Order | None = None if desk.list_order == "auto" else desk.list_order
        self._desk = desk
        self._day = Day(desk.zof, desk.clock, order)
        self._board = Board(desk, self._day)
        self._homes = Homes(desk.store.client, desk.store.namespace, desk.clock)

    async def show(self, user: str, version: str = "", note: Sequence[Block] = ()) -> None:
        """Draw somebody's Home now, and once more when Zof has given its figures, if it has to be asked.

        ``version`` is Slack's hash of what stands there, where it is known.
        """
        try:
            await self._come(user, version, note)
        except Exception as error:
            await self._put(user, home.broken(unforeseen(error)), "")

    async def _come(self, user: str, version: str, note: Sequence[Block]) -> None:
        asking = self._desk.errands.start(self._ask()) if self._stale else None
        if asking and (self._day.figures is None or self._day.trouble):
            await asyncio.wait({asking}, timeout=PATIENCE)
        await self._show(user, version, note)
        if asking and not asking.done():
            await asking
            await self._show(user, "", note)

    @property
    def _stale(self) -> bool:
        return self._day.stale or self._desk.catalog.stale

    async def _ask(self) -> None:
        """Read what Zof says of the day and of what is to come."""
        await asyncio.gather(self._day.read(), self._desk.catalog.refresh())

    async def redraw(self, user: str) -> None:
        """Draw somebody's Home anew whether they look at it or not: it may show what they can no longer see."""
        await self._publish(user, "", await self._board.known())

    async def watch(self) -> None:
        """Draw anew what shows what has passed, until cancelled."""
        while True:
            pause = LOOK
            try:
                if viewers := await self._homes.due():
                    await self._renew(viewers)
            except StoreUnavailable as error:
                log.warning("homes not renewed", error=error.sentence)
                pause = ABSENT
            except Exception as error:  # the one place where nothing may end the loop
                log.error("homes not renewed", exc_info=error)
                pause = ABSENT
            await self._desk.clock.sleep(pause)

    async def _renew(self, viewers: Sequence[Viewer]) -> None:
        if self._stale:
            await asyncio.wait({self._desk.errands.start(self._ask())}, timeout=PATIENCE)
        known, slots = await self._board.known(), asyncio.Semaphore(AT_ONCE)

        async def renew(viewer: Viewer) -> None:
            async with slots:
                if not await self._publish(viewer.user, viewer.version, known):
                    await self._homes.again(*viewer)

        await asyncio.gather(*(renew(viewer) for viewer in viewers))

    async def _show(self, user: str, version: str, note: Sequence[Block]) -> None:
        for left in reversed(range(TRIES)):
            standing = await self._opened(user)
            known = await self._board.known()
            if await self._publish(user, (version or standing) if left else "", known, note):
                return
            version = ""

    async def _opened(self, user: str) -> str:
        try:
            return await self._homes.opened(user)
        except StoreUnavailable as error:
            log.warning("home not kept up to date", user=user, error=error.sentence)
            return ""

    async def _publish(self, user: str, version: str, known: Known, note: Sequence[Block] = ()) -> bool:
        """Draw and publish; False when another view was published since ``version``: what was read may be old."""
        return await self._put(user, await self._drawn(user, known, note), version)

    async def _put(self, user: str, view: Block, version: str) -> bool:
        try:
            published = await show_or_simplify(
                lambda shown: self._desk.notifier.publish_home(user, shown, version), view, home.plain()
            )
        except SlackError as error:
            log.info("home not published", reason=error.reason, user=user)
            return error.reason != "hash_conflict"
        await self._keep(user, published)
        return True

    async def _keep(self, user: str, published: str) -> None:
        try:
            await self._homes.drawn(user, published)
        except StoreUnavailable as error:
            log.warning("home's version not kept", user=user, error=error.sentence)

    async def _drawn(self, user: str, known: Known, note: Sequence[Block]) -> Block:
        person = await self._desk.people.person(user)
        if person.standing is not Standing.MEMBER:
            if person.standing is Standing.UNKNOWN:
                await self._doubt(user)
            return home.little(person.doubt)
        shown = await self._board.of(person, known, note)
        if not shown.rooms or person.doubt:
            await self._doubt(user)
        return home.draw(shown)

    async def _doubt(self, user: str) -> None:
        """Have a Home drawn anew soon, for Slack did not say all that it depends on."""
        try:
            await self._homes.doubt(user)
        except StoreUnavailable as error:
            log.warning("home not drawn anew", user=user, error=error.sentence)
