"""What Zof publishes about the organization, its projects and schedules: each listed once for all who want it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

import structlog

from zofbot.clock import Clock, timeout
from zofbot.errors import ZofError, ZofRejected, ZofUnavailable
from zofbot.model import Project, Schedule
from zofbot.zof.client import Page, Patience, ZofClient

log = structlog.get_logger()

Item = TypeVar("Item", Project, Schedule)

FRESH_SECONDS = 300.0
"""How long a listing counts before Zof is asked again."""

PAUSE_SECONDS = 60.0
"""How long Zof is not asked again for what it did not list."""

LISTING_SECONDS = 15.0
"""How long all pages of one listing may take."""


class Listing(Generic[Item]):
    """One listing as it was last read: its ``items``, whether these are all (``complete``), and what went wrong since.

    A listing that Zof refuses has no items; one that it could not give keeps those that are known.
    """

    def __init__(self, pages: Callable[[], AsyncGenerator[Page[Item], None]], clock: Clock) -> None:
        self.items: tuple[Item, ...] = ()
        self.complete = False
        self.error: ZofError | None = None
        self._pages: Callable[[], AsyncGenerator[Page[Item], None]] = pages
        self._clock = clock
        self._again = 0.0
        self._reading = asyncio.Lock()

    @property
    def stale(self) -> bool:
        """Whether it is worth asking again."""
        return self._clock.time() >= self._again

    @property
    def refused(self) -> ZofRejected | None:
        """Why the key may not read it."""
        return self.error if isinstance(self.error, ZofRejected) and self.error.status == 403 else None

    async def read(self) -> None:
        """Ask Zof, unless that was done lately or is being done; never raises ZofError."""
        async with self._reading:
            if not self.stale:
                return
            self.error = await self._read()
            if self.error:
                log.info("listing not read", cause=self.error.sentence, request_id=self.error.request_id)
            self._again = self._clock.time() + (PAUSE_SECONDS if self.error else FRESH_SECONDS)

    async def _read(self) -> ZofError | None:
        found: list[Item] = []
        more = False
        try:
            async with timeout(LISTING_SECONDS):
                async for page in self._pages():
                    found += page
                    more = page.more
        except ZofRejected as error:
            self.items, self.complete = (), False
            return error
        except ZofError as error:
            return error
        except TimeoutError:
            return ZofUnavailable(f"Zof did not give its listing within {LISTING_SECONDS:.0f} s.")
        self.items, self.complete = tuple(found), not more
        return None


class Catalog:
    """The projects and schedules of the organization, for all who ask in this process."""

    def __init__(self, zof: ZofClient, clock: Clock) -> None:
        patience = Patience(LISTING_SECONDS, background=True)  # what people look up goes first
        self.projects: Listing[Project] = Listing(lambda: zof.projects(patience=patience), clock)
        self.schedules: Listing[Schedule] = Listing(lambda: zof.schedules(patience=patience), clock)

    @property
    def stale(self) -> bool:
        """Whether it is worth asking again for one of them."""
        return self.projects.stale or self.schedules.stale

    @property
    def refused(self) -> tuple[ZofRejected, ...]:
        """What the key may not read of them."""
        return tuple(each for each in (self.projects.refused, self.schedules.refused) if each)

    async def refresh(self) -> None:
        """Read both, as far as they are stale."""
        await asyncio.gather(self.projects.read(), self.schedules.read())

    def named_schedules(self) -> list[Schedule]:
        """The schedules, each with its project's name where that is known."""
        names = {each.id: each.name or each.id for each in self.projects.items}
        return [
            each.model_copy(update={"project": names.get(each.project or "", each.project)})
            for each in self.schedules.items
        ]

    def schedule_name(self, identifier: str) -> str | None:
        """What a schedule is called, as far as it is known."""
        return next((each.name for each in self.schedules.items if each.id == identifier), None)
