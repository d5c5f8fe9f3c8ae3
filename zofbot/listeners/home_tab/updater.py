"""App Home updater: publishes a Home when it is opened, and for a while afterwards when its data changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from zofbot.concurrency import wait_for_tasks
from zofbot.domain.errors import SlackError, StoreUnavailable
from zofbot.domain.permissions import Membership
from zofbot.listeners.context import ListenerContext
from zofbot.listeners.error_handling import log_unexpected
from zofbot.listeners.home_tab.data import HomeDataLoader, HomeSnapshot
from zofbot.services.daily_stats import DailyStatsReader
from zofbot.slack.fallback import show_or_simplify
from zofbot.slack.views.blocks import Block
from zofbot.slack.views.home import home_view
from zofbot.store.home_viewers import HomeViewer, HomeViewers

log = structlog.get_logger()

CHECK_INTERVAL_SECONDS = 2.0
"""Seconds between checks for outdated Homes."""

RETRY_INTERVAL_SECONDS = 5.0
"""Seconds between checks after an error."""

MAX_CONCURRENT_UPDATES = 4
"""Homes published concurrently."""

STATS_WAIT_SECONDS = 3.0
"""Seconds that a Home waits for statistics from Zof before it is shown without them."""

MAX_PUBLISH_ATTEMPTS = 3
"""Attempts to publish a Home while others publish it, too; the last attempt ignores the version."""


class HomeUpdater:
    """Updater of all Homes. After it is opened, a Home is kept up to date for a while, each update by one process."""

    def __init__(self, context: ListenerContext) -> None:
        self._context = context
        self._day = DailyStatsReader(context.zof, context.clock, context.settings.list_order)
        self._board = HomeDataLoader(context, self._day)
        self._homes = HomeViewers(context.store.keyspace, context.clock)

    async def show_home(self, user: str, version: str = "", note: Sequence[Block] = ()) -> None:
        """Publish a person's Home now, and again once statistics from Zof have arrived, if they were stale.

        ``version`` is Slack's hash of the current view, if known.
        """
        try:
            await self._show_with_stats(user, version, note)
        except Exception as error:
            await self._publish_view(user, home_view.unexpected_error_view(log_unexpected(error)), "")

    async def _show_with_stats(self, user: str, version: str, note: Sequence[Block]) -> None:
        asking = self._context.background_tasks.start(self._refresh_zof_data()) if self._is_stale else None
        if asking and (self._day.figures is None or self._day.trouble):
            await wait_for_tasks({asking}, STATS_WAIT_SECONDS)
        await self._publish_with_retry(user, version, note)
        if asking and not asking.done():
            await asking
            await self._publish_with_retry(user, "", note)

    @property
    def _is_stale(self) -> bool:
        return self._day.is_stale or self._context.catalog.is_stale

    async def _refresh_zof_data(self) -> None:
        """Refresh the daily statistics and the schedules from Zof."""
        await asyncio.gather(self._day.refresh(), self._context.catalog.refresh())

    async def remove_channel(self, user: str, channel: str) -> None:
        """Publish the Home of somebody who left a channel, even if it is not open, if it may show that channel."""
        known = await self._board.load_snapshot()
        if known.trouble:
            log.warning("home not updated", user=user, error=known.trouble)
        elif channel in known.channels:
            await self._publish_home(user, "", known)

    async def update_homes(self) -> None:
        """Publish outdated Homes until cancelled."""
        while True:
            pause = CHECK_INTERVAL_SECONDS
            try:
                if viewers := await self._homes.claim_due():
                    await self._refresh_viewers(viewers)
            except StoreUnavailable as error:
                log.warning("homes not updated", error=error.sentence)
                pause = RETRY_INTERVAL_SECONDS
            except Exception as error:  # nothing may end this loop
                log.error("homes not updated", exc_info=error)
                pause = RETRY_INTERVAL_SECONDS
            await self._context.clock.sleep(pause)

    async def _refresh_viewers(self, viewers: Sequence[HomeViewer]) -> None:
        if self._is_stale:
            refreshing = self._context.background_tasks.start(self._refresh_zof_data())
            await wait_for_tasks({refreshing}, STATS_WAIT_SECONDS)
        known, slots = await self._board.load_snapshot(), asyncio.Semaphore(MAX_CONCURRENT_UPDATES)

        async def refresh_viewer(viewer: HomeViewer) -> None:
            async with slots:
                if not await self._publish_home(viewer.user, viewer.version, known):
                    await self._homes.mark_stale(*viewer)

        await asyncio.gather(*(refresh_viewer(viewer) for viewer in viewers))

    async def _publish_with_retry(self, user: str, version: str, note: Sequence[Block]) -> None:
        for left in reversed(range(MAX_PUBLISH_ATTEMPTS)):
            standing = await self._record_opening(user, has_note=bool(note))
            known = await self._board.load_snapshot()
            if await self._publish_home(user, (version or standing) if left else "", known, note):
                return
            version = ""

    async def _record_opening(self, user: str, *, has_note: bool) -> str:
        try:
            return await self._homes.add_viewer(user, has_note=has_note)
        except StoreUnavailable as error:
            log.warning("home not kept up to date", user=user, error=error.sentence)
            return ""

    async def _publish_home(self, user: str, version: str, known: HomeSnapshot, note: Sequence[Block] = ()) -> bool:
        """Build and publish; False if another view was published since ``version``, so ``known`` may be outdated."""
        return await self._publish_view(user, await self._build_view(user, known, note), version)

    async def _publish_view(self, user: str, view: Block, version: str) -> bool:
        try:
            published = await show_or_simplify(
                lambda shown: self._context.notifier.views.publish_home(user, shown, version),
                view,
                home_view.fallback_view(),
            )
        except SlackError as error:
            log.info("home not published", reason=error.reason, user=user)
            return error.reason != "hash_conflict"
        await self._record_published(user, published)
        return True

    async def _record_published(self, user: str, published: str) -> None:
        try:
            await self._homes.save_version(user, published)
        except StoreUnavailable as error:
            log.warning("home's version not kept", user=user, error=error.sentence)

    async def _build_view(self, user: str, known: HomeSnapshot, note: Sequence[Block]) -> Block:
        person = await self._context.people.load_person(user)
        if person.membership is not Membership.MEMBER:
            if person.membership is Membership.UNKNOWN:
                await self._schedule_refresh(user)
            return home_view.guest_view(person.doubt)
        shown = await self._board.build_home_data(person, known, note)
        if not shown.rooms or person.doubt:
            await self._schedule_refresh(user)
        return home_view.render_home(shown)

    async def _schedule_refresh(self, user: str) -> None:
        """Mark a Home for an update soon, because Slack did not answer all lookups for it."""
        try:
            await self._homes.mark_uncertain(user)
        except StoreUnavailable as error:
            log.warning("home not updated", user=user, error=error.sentence)
